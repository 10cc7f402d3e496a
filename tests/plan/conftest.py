"""Fingerprints of a changed study, beside a file of rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from fingerprints import Prints, prints_of

ROWS = '{"question": "a?", "answer": "1", "q": "b?", "prompt": [{"role": "user", "content": "c?"}], "gt": "2"}\n'


@pytest.fixture
def prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Prints]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(ROWS)
    return partial(prints_of, tmp_path / "study.yaml")
