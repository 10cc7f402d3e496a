"""Tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from boundary_bench.core.errors import DataError
from boundary_bench.core.files import write_text
from boundary_bench.core.text import cell
from boundary_bench.tables.registry import TABLES


def write_rows(folder: Path, name: str, rows: Iterable[dict[str, Any]]) -> None:
    """Write a table of the registry; a row without exactly its columns raises DataError."""
    write_csv(folder / f"{name}.csv", rows, TABLES[name].columns)


def write_csv(path: Path, rows: Iterable[dict[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write rows as CSV, numbers as ``core.text.cell`` writes them.

    Args:
        columns: by default the keys of the first row; only with given columns may there be no row.

    Raises:
        DataError: there is no row, or a row has other keys.
    """
    rows = list(rows)
    if not rows and columns is None:
        raise DataError(f"{path}: found no row to write, expected at least one")
    columns = list(rows[0]) if columns is None else columns
    for place, row in enumerate(rows, 1):
        if odd := row.keys() ^ set(columns):
            raise DataError(f"{path}, row {place}: found other columns than expected (differing: {sorted(odd)})")
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    write_text(path, text.getvalue())
