"""The reader of a file of rows: its name tells CSV, its name or content Parquet, and the rest is JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from boundary_bench.core.errors import DataError
from boundary_bench.records import jsons
from boundary_bench.records.base import Record
from boundary_bench.records.grids import csv_rows, parquet_rows
from boundary_bench.records.texts import PARQUET

#: Suffixes of files of rows; text may be gzipped: ``.jsonl.gz``.
SUFFIXES = (".jsonl", ".json", ".parquet", ".csv", ".tsv", ".jsonl.gz", ".json.gz", ".csv.gz", ".tsv.gz")


def read(path: Path) -> Iterator[Record]:
    """The rows of a file: JSON lines, a JSON array, Parquet or CSV; text may be gzipped.

    An invalid row is a record with a fault. Numbers count rows, without blank lines and the header.

    Raises:
        DataError: there is no such file, or reading cannot go on; the rows before that place have been yielded.
    """
    if not path.is_file():
        raise DataError(f"found no file {path}, expected one of rows")
    name = path.name.lower()
    if name.removesuffix(".gz").endswith((".csv", ".tsv")):
        return csv_rows(path)
    return parquet_rows(path) if name.endswith(".parquet") or _magic(path) == PARQUET else jsons.rows(path)


def _magic(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(len(PARQUET))
    except OSError as fault:
        raise DataError(f"{path} cannot be read: {fault.strerror}") from None
