"""Shared by the tests of stored samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from stored_files import Row, Write, written


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(rows: Sequence[Row], name: str = "rows.jsonl") -> Path:
        return written(tmp_path / name, rows)

    return write
