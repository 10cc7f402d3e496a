"""Samples on disk: Parquet (zstd) files that are written whole, checked when read, and never rewritten.

A block holds the samples of one range of indices for some problems of a benchmark. Drawing more adds blocks.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from boundary_bench.errors import DataError, StoreError
from boundary_bench.files import atomic, read_json, write_json
from boundary_bench.grading import VERDICTS, Verdict
from boundary_bench.statistics.design import Design, Progress, progress

SCHEMA_VERSION = 1
NOT_DRAWN = -1
#: Rows that are hashed together: a power of two, so that bits of validity start at whole bytes.
HASHED_ROWS = 4096
#: Rows of a row group: what is read at least to show one response. Files grow by 2 %, at 1024 rows by 8 %.
GROUP_ROWS = 4096
#: Sample indices that a problem may take for each sample of n_max: further ones replace those without a score.
SPARE = 2
BLOCK = re.compile(r"block-(\d{6,})-(\d{6,})(?:-(\d+))?\.parquet")

SAMPLES = pa.schema(
    {
        "problem_id": pa.dictionary(pa.int32(), pa.string()),
        "sample": pa.int32(),
        "response": pa.string(),
        "tokens": pa.list_(pa.int32()),
        "logprob": pa.float32(),  # summed over the tokens
        "entropy": pa.float32(),  # summed over the tokens
        "verdict": pa.dictionary(pa.int8(), pa.string()),
        "answer": pa.string(),
        "reason": pa.dictionary(pa.int32(), pa.string()),
    }
)


def content_sha256(table: pa.Table, facts: dict[str, Any]) -> str:
    """SHA-256 of what a file says: its facts and its rows, however they are encoded."""
    plain = pa.schema([(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in table.schema])
    digest = hashlib.sha256(json.dumps([facts, plain.names], sort_keys=True).encode())
    # of as many rows at a time whatever the chunks are, which a text column beyond 2 GiB has even when combined
    whole = pa.table([_defined(column) for column in table.cast(plain).columns], plain).combine_chunks()
    for first in range(0, len(whole), HASHED_ROWS):
        for batch in whole.slice(first, HASHED_ROWS).combine_chunks().to_batches():
            digest.update(batch.serialize())
    return digest.hexdigest()


def _defined(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """The column with zeros under its nulls, where memory holds one thing before writing and another after reading."""
    if not column.null_count or not pa.types.is_primitive(column.type):
        return column
    filled = pc.fill_null(column, pa.scalar(0).cast(column.type)).to_numpy()
    return pa.array(filled, column.type, pc.is_null(column).to_numpy(), from_pandas=False)


def write_table(path: Path, table: pa.Table, facts: dict[str, Any]) -> None:
    """Write a table atomically, with JSON facts and a checksum of both in its metadata."""
    facts = json.loads(json.dumps({"schema": SCHEMA_VERSION, **facts}))
    metadata = {b"boundary_bench": json.dumps({**facts, "sha256": content_sha256(table, facts)}).encode()}
    with atomic(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata(metadata), temporary, row_group_size=GROUP_ROWS, compression="zstd"
        )


def read_table(path: Path, columns: list[str] | None = None) -> tuple[pa.Table, dict[str, Any]]:
    """A table and its facts.

    Raises:
        DataError: the file is missing, torn, or not one of ours.
    """
    try:
        table = pq.read_table(path, columns=columns, partitioning=None)
        facts = json.loads((table.schema.metadata or {})[b"boundary_bench"])
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run the stage that makes it (snakemake does)") from None
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as fault:
        raise DataError(f"{path} is torn or not ours ({fault}); delete it and run the same command again") from None
    if facts.get("schema") != SCHEMA_VERSION:
        raise DataError(f"{path} has schema {facts.get('schema')}, expected {SCHEMA_VERSION}; made by another version")
    return table, facts


def read_verified(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """A whole table and its facts, as they were written.

    Raises:
        DataError: see ``read_table``; or the checksum in the file is not that of its content.
    """
    table, facts = read_table(path)
    declared = facts.pop("sha256", None)
    # files of version 0.1.0 carry no checksum, and were sampled at some cost
    if declared is not None and (found := content_sha256(table, facts)) != declared:
        raise DataError(f"{path} was altered: its content hashes to {found[:12]}, expected {declared[:12]}")
    return table, facts


@dataclass(frozen=True)
class SampleStore:
    """The files of one policy on one benchmark under one set of settings.

    Attributes:
        shard, shards: which of several writers this is, from 1 on: their new files have different names.
    """

    folder: Path
    shard: int = 1
    shards: int = 1

    def blocks(self) -> list[Path]:
        """The blocks in order of their sample indices.

        Raises:
            DataError: a file with another name is among them.
        """
        return sorted(self.folder.glob("block-*.parquet"), key=lambda file: (block_range(file), len(file.name), file))

    def greedy(self) -> list[Path]:
        """The files of the greedy responses."""
        return sorted(self.folder.glob("greedy*.parquet"))

    def new_block(self, first: int, stop: int, taken: Collection[Path] = ()) -> Path:
        """The file of a block of samples [first, stop); a number follows where other problems have such a block.

        Args:
            taken: files that will be written.
        """
        return self._new(f"block-{first:06d}-{stop:06d}", taken)

    def new_greedy(self) -> Path:
        """The file of greedy responses to problems that have none."""
        return self._new("greedy", ())

    def _new(self, name: str, taken: Collection[Path]) -> Path:
        numbers = count(self.shard - 1, self.shards)
        files = (self.folder / f"{name}{f'-{i}' if i else ''}.parquet" for i in numbers)
        return next(file for file in files if file not in taken and not file.exists())

    def claim(self, settings: dict[str, Any]) -> None:
        """Mark an empty folder with the settings, or check that it carries these.

        Raises:
            StoreError: the folder holds samples of other settings.
        """
        file = self.folder / "settings.json"
        if not file.exists():
            write_json(file, settings)
        elif (found := read_json(file)) != json.loads(json.dumps(settings)):
            changed = sorted(key for key in {*found, *settings} if found.get(key) != settings.get(key))
            raise StoreError(f"{self.folder} holds samples of other settings ({', '.join(changed)}); move it away")


def block_range(file: Path) -> tuple[int, int]:
    """The sample indices [first, stop) that a block is for, by its name.

    Raises:
        DataError: the name is no block's.
    """
    found = BLOCK.fullmatch(file.name)
    if found is None:
        raise DataError(f"{file}: this is no name of a block, expected block-FIRST-STOP.parquet; move the file away")
    return int(found[1]), int(found[2])


def sample_rows(path: Path, columns: list[str]) -> pa.Table:
    """Columns of a block, dictionaries decoded."""
    return decoded(read_table(path, columns)[0])


def decoded(table: pa.Table) -> pa.Table:
    """The same samples with ids, verdicts and reasons as plain text."""
    for name in ("problem_id", "verdict", "reason"):
        if name in table.column_names:
            index = table.schema.get_field_index(name)
            table = table.set_column(index, name, table.column(name).cast(pa.string()))
    return table


@dataclass(frozen=True)
class Stored:
    """What is in a store when a campaign begins.

    Attributes:
        verdict_PN: see ``read_verdicts``.
        greedy_P: which problems have a greedy response.
        files: those that hold a sample of the problems that were asked for.
    """

    verdict_PN: np.ndarray
    greedy_P: np.ndarray
    files: list[Path]


def read_stored(
    store: SampleStore,
    ids: Sequence[str],
    mine_P: np.ndarray,
    n_max: int,
    facts: dict[str, Any],
    log: Callable[[str], None],
) -> Stored:
    """Read every file of a store and check it. One that is torn or altered steps aside and is named in ``log``.

    Args:
        mine_P: the problems that are asked for.
        facts: what every file must say of itself: settings and weights, and tokenizer and grader if it says them.

    Raises:
        DataError: see ``add_verdicts``, or a problem has two greedy responses.
        StoreError: a file was made with other settings or weights.
    """
    found = Stored(np.full((len(ids), SPARE * n_max), NOT_DRAWN, np.int8), np.zeros(len(ids), bool), [])
    for file in [*store.greedy(), *store.blocks()]:
        try:
            table, said = read_verified(file)
        except DataError as fault:
            aside = file.with_name(f"{file.name}.torn-{secrets.token_hex(4)}")
            try:
                file.rename(aside)
            except FileNotFoundError:
                continue  # another shard has found it first, and says so
            log(f"{fault}; it is now {aside.name}, and its samples are drawn again")
            continue
        for name in ("settings", "weights"):
            if said.get(name) != facts.get(name):
                raise StoreError(
                    f"{file}: found {name} {said.get(name)}, expected {facts.get(name)}: it is of another store; move "
                    "the file away and run the same command again"
                )
        for name in ("tokenizer", "grader"):
            if name in said and said[name] != facts.get(name):
                raise StoreError(
                    f"{file}: found {name} {said[name]}, expected {facts.get(name)}: its samples and new ones would "
                    f"be mixed; go back to that {name}, or move {store.folder} away, which draws all samples anew"
                )
        rows = decoded(table.select(["problem_id", "sample", "verdict"]))
        place_S = places(rows, ids, file)
        if mine_P[place_S].any():
            found.files.append(file)
        if BLOCK.fullmatch(file.name):
            add_verdicts(found.verdict_PN, rows, ids, file)
            continue
        if found.greedy_P[place_S].any() or len(np.unique(place_S)) < len(place_S):
            raise DataError(f"{file}: a problem has two greedy responses, expected one; move the file away")
        found.greedy_P[place_S] = True
    return found


def read_verdicts(files: Sequence[Path], ids: Sequence[str], n_max: int) -> np.ndarray:
    """Which samples the blocks hold, and what the grader said of them.

    Returns:
        verdict_PN: the place in ``VERDICTS`` of each sample's verdict, ``NOT_DRAWN`` where there is none; problems in
        the order of ``ids``, sample indices below ``SPARE * n_max``.

    Raises:
        DataError: see ``add_verdicts``.
    """
    verdict_PN = np.full((len(ids), SPARE * n_max), NOT_DRAWN, np.int8)
    for file in files:
        add_verdicts(verdict_PN, sample_rows(file, ["problem_id", "sample", "verdict"]), ids, file)
    return verdict_PN


def add_verdicts(verdict_PN: np.ndarray, rows: pa.Table, ids: Sequence[str], file: Path) -> None:
    """Enter the verdicts of a block.

    Raises:
        DataError: a sample is of another problem or out of the block's range, has an unknown verdict, or is there
            already.
    """
    place_S, code_S = places(rows, ids, file), verdict_codes(rows, file)
    sample_S, (first, stop) = rows.column("sample").to_numpy(), block_range(file)
    outside = sample_S[(sample_S < first) | (sample_S >= stop)]
    if len(outside):
        raise DataError(
            f"{file}: found sample index {outside[0]}, expected {first} to {stop - 1} as its name says; "
            "delete the file and run the sample stage again"
        )
    width = verdict_PN.shape[1]
    read_S = sample_S < width
    place_S, sample_S, code_S = place_S[read_S], sample_S[read_S], code_S[read_S]
    key_U, times_U = np.unique(place_S * width + sample_S, return_counts=True)
    place_U, sample_U = np.divmod(key_U, width)
    again = np.flatnonzero((times_U > 1) | (verdict_PN[place_U, sample_U] != NOT_DRAWN))
    if len(again):
        raise DataError(
            f"{file}: found sample {sample_U[again[0]]} of problem {ids[place_U[again[0]]]} in this block and once "
            "more in this or another one, expected once; delete the file and run the sample stage again"
        )
    verdict_PN[place_S, sample_S] = code_S


def progress_of(design: Design, verdict_PN: np.ndarray) -> tuple[Progress, np.ndarray]:
    """How far the stored samples have come under a design.

    Returns:
        The progress, and have_P: how many sample indices of each problem are there from 0 on without a gap.
    """
    drawn_PN = verdict_PN != NOT_DRAWN
    have_P = np.where(drawn_PN.all(1), drawn_PN.shape[1], drawn_PN.argmin(1))
    return progress(design, have_P, scored(design, verdict_PN), verdict_PN == VERDICTS.index(Verdict.CORRECT)), have_P


def scored(design: Design, verdict_PN: np.ndarray) -> np.ndarray:
    """Which samples are there and have a score."""
    without = [VERDICTS.index(verdict) for verdict in design.unscored]
    return (verdict_PN != NOT_DRAWN) & ~np.isin(verdict_PN, without)


def places(rows: pa.Table, ids: Sequence[str], file: Path) -> np.ndarray:
    """Place of every row's problem in the problem file.

    Raises:
        DataError: a problem is not there.
    """
    place = pc.index_in(rows.column("problem_id"), pa.array(ids, pa.string()))
    if place.null_count:
        stranger = rows.column("problem_id").filter(pc.is_null(place))[0].as_py()
        raise DataError(
            f"{file}: found problem {stranger}, which is not in the problem file; it was sampled from other "
            "problems: run the sample stage again"
        )
    return place.to_numpy().astype(np.int64)


def verdict_codes(rows: pa.Table, file: Path) -> np.ndarray:
    """Place of every row's verdict in ``VERDICTS``.

    Raises:
        DataError: a verdict is unknown.
    """
    code = pc.index_in(rows.column("verdict"), pa.array(VERDICTS))
    if code.null_count:
        found = rows.column("verdict").filter(pc.is_null(code))[0].as_py()
        raise DataError(f"{file}: found verdict {found!r}, expected one of {', '.join(VERDICTS)}; grade it again")
    return code.to_numpy().astype(np.int8)
