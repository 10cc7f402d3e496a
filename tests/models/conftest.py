"""The whole matrix of architectures is left out unless it is asked for by name: ``pytest -m architectures``."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "architectures" not in config.getoption("markexpr"):
        left_out = [item for item in items if item.get_closest_marker("architectures")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
