"""Sets of rows as a user has them, read by the code that prepares problems for a study."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from boundary_bench.benchmarks import KINDS, options_of, problems_of
from boundary_bench.benchmarks.base import Kind, Prepared, Problem, Split
from boundary_bench.benchmarks.columns import columns_of
from boundary_bench.core.errors import DataError

#: Real sets, beside the repository; none of them goes into it.
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "benchmarks"


def prepared(kind: Kind | str, path: Path, split: Split = "test", columns: Any = None, **options: Any) -> Prepared:
    """What a study with these options makes of a file or folder."""
    kind = KINDS[kind] if isinstance(kind, str) else kind
    taken = columns_of(kind, columns, str(path), "here")
    return problems_of(kind, split, 0, options_of(kind, options, "here"), str(path), taken)


def read_problems(kind: Kind | str, path: Path, split: Split = "test", columns: Any = None) -> list[Problem]:
    """The problems of a file or folder."""
    return prepared(kind, path, split, columns).problems


def refusal(kind: Kind | str, path: Path, split: Split = "test", columns: Any = None, **options: Any) -> str:
    """The message of a file or folder that must be refused."""
    with pytest.raises(DataError) as caught:
        prepared(kind, path, split, columns, **options)
    return str(caught.value)


def lines(path: Path, rows: Iterable[Any]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
