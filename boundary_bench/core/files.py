"""Atomic writes: a crash leaves the old file or the new one, never half of either."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from boundary_bench.core.errors import DataError, StoreError


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, for a file or a folder; it is renamed to ``path`` if the block succeeds.

    Raises:
        StoreError: the folder cannot be written to (read-only, full).
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if path.is_dir():
            # a folder cannot be replaced in one rename: the old one is deleted only once the new one is in place
            aside = temporary.with_suffix(".old")
            os.replace(path, aside)
            try:
                os.replace(temporary, path)
            except OSError:
                os.replace(aside, path)
                raise
            shutil.rmtree(aside, ignore_errors=True)
        else:
            os.replace(temporary, path)
    except OSError as fault:
        if isinstance(fault, StoreError):
            raise
        raise StoreError(
            f"cannot write {path}: {fault.strerror or fault}; is the folder writable, is the disk full?"
        ) from None
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        elif temporary.exists():
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN and infinity, which JSON lacks, raise ValueError."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Add a line to a log.

    Raises:
        StoreError: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as fault:
        raise StoreError(f"cannot write {path}: {fault.strerror or fault}; is the disk full?") from None


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that this package wrote.

    Raises:
        DataError: the file is missing, torn, or not a JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path} is missing; run the stage that makes it (snakemake does)") from None
    except (ValueError, RecursionError) as fault:
        raise DataError(f"{path} is torn ({fault}); delete it and run the same command again") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: found {type(found).__name__}, expected a JSON object")
    return found
