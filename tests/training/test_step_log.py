"""The step log on disk: a torn last line costs nothing, any other fault is a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from boundary_bench.core.errors import DataError
from boundary_bench.training import step_log

ROWS = [{"step": step, "reward": 0.5} for step in (1, 2, 3)]


def written(store: Path, *lines: str) -> Path:
    (store / "steps.jsonl").write_text("".join(lines))
    return store


def lines(until: int = 3) -> list[str]:
    return [f'{{"step": {step}, "reward": 0.5}}\n' for step in range(1, until + 1)]


def test_no_log_is_one_of_no_steps(tmp_path: Path) -> None:
    assert step_log.read(tmp_path, 3) == []


@pytest.mark.parametrize("torn", ["", '{"step": 4, "rew', "{", "\0\0\0", '{"step": 4, "a": "\udcff'])
def test_a_torn_last_line_is_dropped(torn: str, tmp_path: Path) -> None:
    (tmp_path / "steps.jsonl").write_bytes("".join([*lines(), torn]).encode(errors="surrogateescape"))
    assert step_log.read(tmp_path, 9) == ROWS and step_log.read(tmp_path, 2) == ROWS[:2]
    step_log.rewind(tmp_path, 2)
    assert (tmp_path / "steps.jsonl").read_text() == "".join(lines(2))


NO_ROWS = ["{}", "[1]", "7", '{"step": "2"}']
UNREADABLE = ['{"step": 2, "rew', "\0", ""]


@pytest.mark.parametrize(
    ("bad", "after"), [*((bad, 1) for bad in NO_ROWS + UNREADABLE), *((bad, 0) for bad in NO_ROWS)]
)
def test_any_other_line_that_is_none_says_what_to_do(bad: str, after: int, tmp_path: Path) -> None:
    store = written(tmp_path, *lines(1), f"{bad}\n", *lines()[2:] * after)
    with pytest.raises(DataError, match=r"steps\.jsonl, line 2: found .*put the line back .*delete") as caught:
        step_log.read(store, 3)
    assert str(store) in str(caught.value)
