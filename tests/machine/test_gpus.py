"""The GPUs of a machine: which are in sight, and that no two jobs hold one. Processes and locks are real, cards not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from workflow import ENVIRONMENT, finish

from boundary_bench.core.errors import GpuError, Interrupted
from boundary_bench.machine import gpus

LISTING = "".join(f"{index}, GPU-{index}{index}aa-{index}b\n" for index in range(4))
FOUR = gpus.visible(LISTING, None)

#: Hold some of four cards until stdin ends; FOLDER COUNT are its arguments.
HOLDER = f"""
import sys
from pathlib import Path
from boundary_bench.machine import gpus
from boundary_bench.commands.stages import logger, stop_signal
folder, count = Path(sys.argv[1]), int(sys.argv[2])
with gpus.claim({FOUR!r}, count, logger("job"), stop_signal(), folder) as got:
    print("held", *got, flush=True)
    sys.stdin.read()
"""

#: Take COUNT cards a hundred times; a card that two hold is one whose file exists already.
TAKER = f"""
import sys
from pathlib import Path
from boundary_bench.machine import gpus
gpus.SECONDS_BETWEEN_LOOKS = 0.001
folder, count = Path(sys.argv[1]), int(sys.argv[2])
for _ in range(100):
    with gpus.claim({FOUR!r}, count, lambda line: None, lambda: False, folder) as got:
        for name in got:
            (folder / f"in-use-{{name}}").touch(exist_ok=False)
        for name in got:
            (folder / f"in-use-{{name}}").unlink()
"""


def started(code: str, folder: Path, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(count)],
        env=ENVIRONMENT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def line(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


@pytest.fixture
def holders(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that the test starts; none outlives it."""
    found: list[subprocess.Popen[str]] = []
    yield found
    for process in found:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (None, ["0", "1", "2", "3"]),
        ("2,0", ["2", "0"]),
        (" 1 , 3 ", ["1", "3"]),
        ("GPU-22,1", ["GPU-22", "1"]),
        ("1,1,GPU-11aa-1b", ["1"]),
        ("0,7,1", ["0"]),
        ("GPU-,1", []),
        ("GPU-99,1", []),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("MIG-0c757cd7-e942-5726-a0b8-0e8fb7067135,MIG-GPU-1/3/0", None),
    ],
)
def test_cards_in_sight_are_those_that_cuda_would_see(chosen: str | None, names: list[str] | None) -> None:
    found = gpus.visible(LISTING, chosen)
    assert list(found.values()) == (chosen.split(",") if names is None and chosen else names)
    assert all(uuid in FOUR or uuid.startswith("MIG-") for uuid in found)


@pytest.mark.parametrize("found", ["No devices were found", "0, [Unknown Error]", "0", "0, GPU-aa; rm -rf /"])
def test_a_listing_of_something_else_is_refused(found: str) -> None:
    with pytest.raises(GpuError, match="expected a line like"):
        gpus.visible(f"0, GPU-aa\n{found}\n", None)


def test_the_name_of_a_card_does_not_leave_the_folder_of_locks(tmp_path: Path) -> None:
    part = gpus.visible("", "MIG-/../../escaped")
    with gpus.claim(part, 1, print, lambda: False, tmp_path / "locks") as names:
        assert names == ["MIG-/../../escaped"]
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]


def test_more_cards_than_are_in_sight_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpus.VISIBLE, "3")
    message = r"needs 2 GPU\(s\), found 1 in sight \(GPU-33aa-3b; CUDA_VISIBLE_DEVICES=3\).* device: cpu"
    with (
        pytest.raises(GpuError, match=message),
        gpus.claim(gpus.visible(LISTING, "3"), 2, print, lambda: False, tmp_path),
    ):
        pass


def test_a_job_without_gpus_looks_at_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(gpus.VISIBLE, "5")
    with gpus.hold(0, print, lambda: False):
        assert os.environ[gpus.VISIBLE] == "5"
    with pytest.raises(GpuError, match="nvidia-smi does not list"), gpus.hold(1, print, lambda: False):
        pass


def test_a_job_waits_for_a_card_and_has_it_when_the_holder_is_killed(
    tmp_path: Path, holders: list[subprocess.Popen[str]]
) -> None:
    holders.append(started(HOLDER, tmp_path, 3))
    assert line(holders[0]) == "held 0 1 2"
    holders.append(started(HOLDER, tmp_path, 1))
    assert line(holders[1]) == "held 3"  # it goes by the three
    holders.append(started(HOLDER, tmp_path, 2))
    assert line(holders[2]) == "[job] waiting: other jobs have GPUs, and 2 of 0, 1, 2, 3 must be free at once"
    holders[0].kill()
    assert line(holders[2]) == "held 0 1"


def test_a_card_is_the_same_one_under_another_index(tmp_path: Path, holders: list[subprocess.Popen[str]]) -> None:
    """A scheduler that hides all other cards calls each job's card 0."""
    holders.append(started(HOLDER, tmp_path, 1))
    assert line(holders[0]) == "held 0"
    [(first, _), (second, _), *_] = FOUR.items()
    with gpus.claim(gpus.visible(f"0, {second}\n", None), 1, print, lambda: True, tmp_path) as names:
        assert names == ["0"]
    with (
        pytest.raises(Interrupted, match="while it waited for GPUs"),
        gpus.claim(gpus.visible(f"0, {first}\n", None), 1, print, lambda: True, tmp_path),
    ):
        pass


def test_who_waits_ends_at_a_signal(tmp_path: Path, holders: list[subprocess.Popen[str]]) -> None:
    holders += [started(HOLDER, tmp_path, 4)]
    assert line(holders[0]) == "held 0 1 2 3"
    holders += [started(HOLDER, tmp_path, 1)]
    assert "waiting" in line(holders[1])
    holders[1].send_signal(signal.SIGTERM)
    assert "Interrupted: stopped by a signal" in holders[1].communicate()[0]


def test_jobs_of_several_cards_never_share_one_and_all_end(
    tmp_path: Path, holders: list[subprocess.Popen[str]]
) -> None:
    holders += [started(TAKER, tmp_path, count) for count in (1, 2, 3, 4, 2, 3)]
    for process in holders:
        finish(process)


def test_other_users_can_lock_the_same_cards(tmp_path: Path) -> None:
    folder, before = tmp_path / "locks", os.umask(0o077)
    try:
        with gpus.claim(FOUR, 1, print, lambda: False, folder):
            modes = {path.name: path.stat().st_mode & 0o7777 for path in (folder, *folder.iterdir())}
    finally:
        os.umask(before)
    assert modes == {"locks": 0o1777, "turn": 0o666, "GPU-00aa-0b": 0o666}
