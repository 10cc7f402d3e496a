"""Rows of a user's file or folder, or of a set on the hub. Nothing in them is run as code.

JSON lines, Parquet and CSV files are read here; folders and the hub by the library ``datasets``, which must be
installed for them alone.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from boundary_bench.benchmarks.base import Kind, Problem, Source, Split
from boundary_bench.errors import DataError

Row = tuple[str, Any]  #: where it stands, and what stands there


def read_problems(kind: Kind, path: Path, split: Split = "test") -> list[Problem]:
    """Problems from a user's file (JSON lines, ``.parquet``, ``.csv``) or folder (a repository of the hub, or what
    ``save_to_disk`` wrote).

    Args:
        split: which part of a folder; a file is one part, whichever it is.

    Raises:
        DataError: it is missing or unreadable, a row is none or misses a column, or there is no problem in it.
    """
    expected = _expected(kind)
    if not path.exists():
        raise DataError(f"no problem file at {path}; expected {expected}")
    problems = parsed(kind, _folder(path, kind, split) if path.is_dir() else _file(path, expected))
    if not problems:
        raise DataError(f"{path} holds no problem; expected {expected}")
    return problems


def parsed(kind: Kind, rows: Iterable[Row]) -> list[Problem]:
    """The problems in some rows.

    Raises:
        DataError: a row is no problem; it says which, and which columns were expected and found.
    """
    assert kind.parse is not None
    problems = []
    for where, row in rows:
        try:
            if not isinstance(row, dict):
                raise ValueError(f"found {type(row).__name__}, expected an object")
            problem = kind.parse(row)
            "".join((problem.prompt, problem.reference, problem.solution, problem.stratum)).encode()
            problems.append(problem)
        except (ValueError, KeyError, TypeError) as fault:
            reason = (
                f"no column {fault} among {', '.join(map(str, row))}" if isinstance(fault, KeyError) else str(fault)
            )
            raise DataError(f"{where}: {reason}; expected {_expected(kind)}") from None
    return problems


def _expected(kind: Kind) -> str:
    return "rows with " + ", ".join(f"{name} ({meaning})" for name, meaning in kind.columns.items())


def _file(path: Path, expected: str) -> Iterator[Row]:
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            rows = pq.read_table(path, partitioning=None).to_pylist()
        except (pa.ArrowInvalid, OSError) as fault:
            raise DataError(f"{path} is no readable Parquet file ({fault}); expected {expected}") from None
        yield from ((f"{path}, row {number}", row) for number, row in enumerate(rows, 1))
    elif path.suffix == ".csv":
        try:
            with open(path, encoding="utf-8", newline="") as lines:
                yield from ((f"{path}, row {number}", row) for number, row in enumerate(csv.DictReader(lines), 1))
        except (csv.Error, UnicodeDecodeError, OSError) as fault:
            raise DataError(f"{path} is no readable CSV file ({fault}); expected {expected}") from None
    else:
        yield from _json_lines(path, expected)


def _json_lines(path: Path, expected: str) -> Iterator[Row]:
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{path}, line {number}"
            try:
                row = json.loads(line.decode()) if line.strip() else None
            except (ValueError, RecursionError) as fault:
                raise DataError(f"{where}: {fault}; expected {expected}") from None
            if line.strip():
                yield where, row


def _folder(path: Path, kind: Kind, split: Split) -> Iterator[Row]:
    part = kind.source.splits.get(split, split) if kind.source else split
    configs = kind.source.configs if kind.source else ()
    library = _library(f"the folder {path}")
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        with _readable(f"the folder {path}"):
            found = library.load_from_disk(str(path))
            found = found[part] if isinstance(found, dict) else found
        yield from _numbered(f"{path}, {part}", found)
        return
    laid_out = (path / "README.md").exists() or any((path / config).is_dir() for config in configs)
    for config in configs if laid_out and configs else (None,):
        # a folder of that name, where the set is laid out so: then the card that maps names to files may be missing
        place = {"data_dir": config} if config and (path / config).is_dir() else {"name": config}
        with _readable(f"the folder {path}"):
            found = library.load_dataset(str(path), split=part, streaming=True, **place)
        yield from _numbered(f"{path}, {config or ''} {part}", found)


def hub_rows(source: Source, split: Split, revision: str) -> Iterator[Row]:
    """Rows of a split of a set on the hub, or of its copy in the local cache.

    Raises:
        DataError: it cannot be had, or ``datasets`` is not installed.
    """
    part = source.splits[split]
    library = _library(f"the set {source.hub}")
    for config in source.configs or (None,):
        with _readable(f"the set {source.hub} of the hub at {revision}"):
            found = library.load_dataset(source.hub, config, split=part, revision=revision)
        yield from _numbered(f"{source.hub}, {config or ''} {part}", found)


def _numbered(where: str, rows: Iterable[Any]) -> Iterator[Row]:
    with _readable(where):
        yield from ((f"{where}, row {number}", row) for number, row in enumerate(rows, 1))


def _library(what: str) -> Any:
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"{what} needs the library datasets, which is not installed; run: pip install 'boundary-bench[hub]'"
        ) from None
    datasets.disable_progress_bars()
    return datasets


class _readable:
    """Turn whatever ``datasets`` raises into one message."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        if isinstance(fault, Exception) and not isinstance(fault, DataError):
            reason = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
            raise DataError(
                f"{self.what} could not be read: {reason}; expected the set on the hub or in its cache, or in the "
                "study data: a clone of the set's repository, a folder that save_to_disk wrote, or a file"
            ) from None
