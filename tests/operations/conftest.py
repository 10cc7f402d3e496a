"""Two results: as they were, and with a better last checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from contrasts import BETTER, made


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("contrast") / "before")


@pytest.fixture(scope="module")
def better(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("contrast") / "better", BETTER)
