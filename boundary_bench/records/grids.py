"""Rows of CSV and of Parquet files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from boundary_bench.core.errors import DataError
from boundary_bench.records.base import Record
from boundary_bench.records.texts import check_size, decoded, lines

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
BATCH = 64  # rows of a Parquet file in memory at a time: a repeated text takes its full length in every row


def csv_rows(path: Path) -> Iterator[Record]:
    """The rows of a CSV file; the delimiter is found in the header, and is the tab in a ``.tsv`` file."""
    content = _decoded(path)
    header = next(content, "")
    tabs = path.name.lower().removesuffix(".gz").endswith(".tsv")
    delimiter = "\t" if tabs else _delimiter(path, header)
    reader = csv.reader(chain([header], content), delimiter=delimiter, strict=True)
    number = place = 0
    try:
        names = [name.strip() for name in next(reader, [])]
        _check_names(path, names)
        for cells in reader:
            place, begun = reader.line_num, place + 1
            if not cells:
                continue
            number += 1
            where = f"line {max(begun, 2)}"
            if len(cells) == len(names):
                yield Record(number, dict(zip(names, cells, strict=True)), where)
                continue
            fault = (
                f"found {len(cells)} cells, expected {len(names)} as in the header; "
                f"a cell with a {DELIMITERS[delimiter]} in it must stand in double quotes"
            )
            yield Record(number, None, where, fault)
    except csv.Error as fault:
        raise DataError(
            f"{path}, row {number + 1} (line {max(place, 1) + 1} or later): no CSV: {fault}; put a cell with quotes, "
            'commas or line breaks in double quotes, and double its own quotes (""); JSON lines hold any text'
        ) from None


def _decoded(path: Path) -> Iterator[str]:
    for number, line in enumerate(lines(path), 1):
        try:
            yield decoded(path, line)
        except ValueError as fault:
            raise DataError(f"{path}, line {number}: {fault}") from None


def _delimiter(path: Path, header: str) -> str:
    """The delimiter that gives the most columns of a header."""
    columns: dict[str, int] = {}
    for delimiter in DELIMITERS:
        try:
            columns[delimiter] = len(next(csv.reader([header], delimiter=delimiter, strict=True), []))
        except csv.Error:  # quotes that are invalid with this delimiter
            continue
    most = max(columns.values(), default=1)
    best = [delimiter for delimiter, count in columns.items() if count == most]
    if most > 1 and len(best) > 1:
        names = " and ".join(DELIMITERS[each] for each in best)
        raise DataError(f"{path}, line 1: found as many columns by {names}; separate them by tabs, in a .tsv file")
    return best[0] if most > 1 else ","


def parquet_rows(path: Path) -> Iterator[Record]:
    """The rows of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            _check_names(path, file.schema_arrow.names)
            size = 0
            for batch in file.iter_batches(batch_size=BATCH):
                size += sum(_plain(column).nbytes for column in batch.columns)
                check_size(path, size)
                for row in batch.to_pylist(maps_as_pydicts="strict"):
                    number += 1
                    yield Record(number, row)
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as fault:
        raise DataError(
            f"{path}, after row {number}: no readable Parquet ({fault}); write it or fetch it again"
        ) from None


def _plain(column: Any) -> Any:
    """A column without dictionary: repeated values take their full size, as they do in rows."""
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column


def _check_names(path: Path, names: Sequence[str]) -> None:
    """Refuse two columns of one name, since a reader would keep only the last."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: found the column {twice[0]!r:.80} twice, expected it once; rename or drop one")
