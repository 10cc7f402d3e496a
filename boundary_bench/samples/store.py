"""Samples on disk: Parquet (zstd) files that are written whole, checked when read, and never rewritten.

A block holds one range of sample indices of some problems. Drawing more samples adds blocks.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boundary_bench.core.errors import DataError, StoreError
from boundary_bench.core.files import read_json, write_json
from boundary_bench.core.parquet import read_verified
from boundary_bench.samples.grades import BLOCK, NOT_DRAWN, SPARE, add_verdicts, block_range, decoded, places

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


@dataclass(frozen=True)
class SampleStore:
    """The files of one policy on one benchmark under one set of settings.

    Attributes:
        shard, shards: number of this writer, from 1 on, and of all writers: they name their new files differently.
    """

    folder: Path
    shard: int = 1
    shards: int = 1

    def blocks(self) -> list[Path]:
        """The blocks in order of their sample indices; DataError if a file has another name."""
        return sorted(self.folder.glob("block-*.parquet"), key=lambda file: (block_range(file), len(file.name), file))

    def greedy(self) -> list[Path]:
        """The files of the greedy responses."""
        return sorted(self.folder.glob("greedy*.parquet"))

    def new_block(self, first: int, stop: int, taken: Collection[Path] = ()) -> Path:
        """The path of a new block of samples [first, stop), numbered by shard, and if the name is in use.

        Args:
            taken: paths of blocks that are still to be written.
        """
        return self._new(f"block-{first:06d}-{stop:06d}", taken)

    def new_greedy(self) -> Path:
        """The path of a new file of greedy responses."""
        return self._new("greedy", ())

    def _new(self, name: str, taken: Collection[Path]) -> Path:
        numbers = count(self.shard - 1, self.shards)
        files = (self.folder / f"{name}{f'-{i}' if i else ''}.parquet" for i in numbers)
        return next(file for file in files if file not in taken and not file.exists())

    def claim(self, settings: dict[str, Any]) -> None:
        """Write the settings into a new folder, or check that it has the same.

        Raises:
            StoreError: the folder holds samples of other settings.
        """
        file = self.folder / "settings.json"
        if not file.exists():
            write_json(file, settings)
        elif (found := read_json(file)) != json.loads(json.dumps(settings)):
            changed = sorted(key for key in {*found, *settings} if found.get(key) != settings.get(key))
            raise StoreError(f"{self.folder} holds samples of other settings ({', '.join(changed)}); move it away")


@dataclass(frozen=True)
class Stored:
    """The content of a store when a campaign begins.

    Attributes:
        verdict_PN: see ``grades.Graded``.
        greedy_P: mask of the problems with a greedy response.
        files: the files with samples of the requested problems.
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
    """Read and check every file of a store. A torn or altered file is renamed and logged.

    Args:
        mine_P: mask of the requested problems.
        facts: facts that every file must carry: settings, model, problems; and tokenizer and grader, if it has them.

    Raises:
        DataError: as ``add_verdicts``, or a problem has two greedy responses.
        StoreError: a file has other facts.
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
                continue  # another shard renamed and logged it first
            log(f"{fault}; it is now {aside.name}, and its samples are drawn again")
            continue
        for name in ("settings", "model", "problems"):
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
