"""Parquet (zstd) files that are written whole and carry facts and a checksum of their content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from boundary_bench.core.errors import DataError
from boundary_bench.core.files import atomic

SCHEMA_VERSION = 1
#: Rows hashed at a time: a power of two, so that validity bits start at whole bytes.
HASHED_ROWS = 4096
#: Rows of a row group, the least that is read to show one response. Files grow by 2 %, with 1024 rows by 8 %.
GROUP_ROWS = 4096


def content_sha256(table: pa.Table, facts: dict[str, Any]) -> str:
    """SHA-256 of a file's facts and rows, independent of their chunks and dictionaries."""
    plain = pa.schema([(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in table.schema])
    digest = hashlib.sha256(json.dumps([facts, plain.names], sort_keys=True).encode())
    # in slices of fixed length: a text column beyond 2 GiB stays in several chunks even when combined
    whole = pa.table([_defined(column) for column in table.cast(plain).columns], plain).combine_chunks()
    for first in range(0, len(whole), HASHED_ROWS):
        for batch in whole.slice(first, HASHED_ROWS).combine_chunks().to_batches():
            digest.update(batch.serialize())
    return digest.hexdigest()


def _defined(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """The column with zeros under its nulls: the bytes there differ before writing and after reading."""
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
        # not read_table of pyarrow, which imports pandas: a fifth of a second in every process
        with pq.ParquetFile(path) as file:
            if missing := sorted({*(columns or ())} - {*file.schema_arrow.names}):
                raise KeyError(f"no column {missing[0]}")
            table = file.read(columns)
        facts = json.loads((table.schema.metadata or {})[b"boundary_bench"])
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run the stage that makes it (snakemake does)") from None
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as fault:
        raise DataError(f"{path} is torn or not ours ({fault}); delete it and run the same command again") from None
    if facts.get("schema") != SCHEMA_VERSION:
        raise DataError(f"{path} has schema {facts.get('schema')}, expected {SCHEMA_VERSION}; made by another version")
    return table, facts


def columns_of(table: pa.Table) -> dict[str, np.ndarray]:
    """The columns of a table as arrays."""
    return {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}


def read_verified(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """A whole table and its facts, checked against the checksum in the file.

    Raises:
        DataError: as ``read_table``, or the checksum differs.
    """
    table, facts = read_table(path)
    declared = facts.pop("sha256", None)
    if (found := content_sha256(table, facts)) != declared:
        raise DataError(f"{path} was altered: its content hashes to {found[:12]}, expected {str(declared)[:12]}")
    return table, facts
