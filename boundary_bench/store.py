"""Problems and samples on disk: Parquet (zstd) files that are written whole, checked when read, and never rewritten.

A block holds the samples of a fixed range of indices for every problem of a benchmark. Raising n adds blocks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from boundary_bench.benchmarks.base import Problem
from boundary_bench.errors import DataError, StoreError
from boundary_bench.files import atomic, read_json, write_json

SCHEMA_VERSION = 1

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
    }
)


def write_table(path: Path, table: pa.Table, facts: dict[str, Any]) -> None:
    """Write a table atomically, with JSON facts in its metadata."""
    metadata = {b"boundary_bench": json.dumps({"schema": SCHEMA_VERSION, **facts}).encode()}
    with atomic(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")


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


def write_problems(path: Path, problems: list[Problem], split: str, settings: dict[str, Any]) -> None:
    """Write a problem file; the ids are content hashes.

    Raises:
        DataError: two problems are the same.
    """
    ids = [problem.id for problem in problems]
    repeated = sorted({i for i in ids if ids.count(i) > 1}) if len(set(ids)) < len(ids) else []
    if repeated:
        first = next(problem for problem in problems if problem.id == repeated[0])
        raise DataError(f"{len(repeated)} problem(s) occur twice, e.g. prompt {first.prompt!r}; each may occur once")
    columns = {
        "id": ids,
        "prompt": [problem.prompt for problem in problems],
        "reference": [problem.reference for problem in problems],
        "solution": [problem.solution for problem in problems],
        "stratum": [problem.stratum for problem in problems],
        "chance": pa.array([problem.chance for problem in problems], pa.float64()),
        "split": [split] * len(problems),
    }
    write_table(path, pa.table(columns), {"settings": settings})


def read_problems(path: Path) -> list[Problem]:
    """The problems of a prepared benchmark, in file order.

    Raises:
        DataError: the file is missing or torn, or an id is not the hash of its problem.
    """
    rows = read_table(path)[0].to_pylist()
    problems = [
        Problem(**{name: row[name] for name in ("prompt", "reference", "solution", "stratum", "chance")})
        for row in rows
    ]
    for row, problem in zip(rows, problems, strict=True):
        if row["id"] != problem.id:
            raise DataError(
                f"{path}: problem {row['id']} was altered (its content hashes to {problem.id}); prepare it again"
            )
    return problems


@dataclass(frozen=True)
class SampleStore:
    """The blocks of one policy on one benchmark under one set of settings."""

    folder: Path

    def block(self, index: int) -> Path:
        """The file of a block."""
        return self.folder / f"block-{index:06d}.parquet"

    @property
    def greedy(self) -> Path:
        """The file of the greedy responses."""
        return self.folder / "greedy.parquet"

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


def sample_rows(path: Path, columns: list[str]) -> pa.Table:
    """Columns of a block, dictionaries decoded."""
    table, _ = read_table(path, columns)
    for name in ("problem_id", "verdict"):
        if name in columns:
            index = table.schema.get_field_index(name)
            table = table.set_column(index, name, table.column(name).cast(pa.string()))
    return table


def list_column(rows: np.ndarray, length_S: np.ndarray) -> pa.Array:
    """A ragged column from padded rows."""
    offsets = np.concatenate([[0], np.cumsum(length_S)]).astype(np.int32)
    values = rows[np.arange(rows.shape[1])[None] < length_S[:, None]]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, pa.int32()))
