"""Prepared problems on disk, with the settings that they depend on and the record of the rows left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core.errors import DataError
from boundary_bench.core.parquet import read_verified, write_table
from boundary_bench.core.provenance import fingerprint


def write_problems(path: Path, problems: list[Problem], split: str, facts: dict[str, Any]) -> None:
    """Write a problem file; the ids are content hashes.

    Args:
        facts: the settings that the problems depend on, and the record of the set's rows.

    Raises:
        DataError: two problems are the same.
    """
    ids = [problem.id for problem in problems]
    repeated = [place for place, count in Counter(ids).items() if count > 1]
    if repeated:
        first = problems[ids.index(repeated[0])]
        raise DataError(f"{len(repeated)} problem(s) occur twice, e.g. prompt {first.prompt!r}; each may occur once")
    columns = {
        "id": ids,
        "prompt": [problem.prompt for problem in problems],
        "reference": [problem.reference for problem in problems],
        "solution": [problem.solution for problem in problems],
        "stratum": [problem.stratum for problem in problems],
        "chance": pa.array([problem.chance for problem in problems], pa.float64()),
        "split": [split] * len(problems),
        "name": [problem.name for problem in problems],
    }
    write_table(path, pa.table(columns), {"content": content_of(problems), **facts})


def content_of(problems: list[Problem]) -> str:
    """The content hash of a problem file: a hash of its problems' ids, in order."""
    return fingerprint([problem.id for problem in problems])


def read_problems(path: Path) -> list[Problem]:
    """The problems of a prepared benchmark, in file order; see ``read_prepared``."""
    return read_prepared(path)[0]


def read_prepared(path: Path) -> tuple[list[Problem], dict[str, Any]]:
    """The problems of a prepared benchmark, in file order, and its facts.

    Raises:
        DataError: the file is missing, torn or altered, or an id is not the hash of its problem.
    """
    try:
        table, facts = read_verified(path)
    except DataError as fault:
        raise DataError(f"{fault}; the prepare stage makes it anew") from None
    rows = table.to_pylist()
    problems = [
        Problem(**{name: row[name] for name in ("prompt", "reference", "solution", "stratum", "chance", "name")})
        for row in rows
    ]
    for row, problem in zip(rows, problems, strict=True):
        if row["id"] != problem.id:
            raise DataError(
                f"{path}: problem {row['id']} was altered (its content hashes to {problem.id}); prepare it again"
            )
    return problems, facts
