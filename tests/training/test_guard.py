"""The guard: what a command leaves behind is ended, its shared memory too, and nothing else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import shared_memory
from pathlib import Path

import pytest

from boundary_bench.training.openrlhf import guard

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found in /proc")

#: Leaves a process in a session of its own, which ignores SIGTERM and holds shared memory, and says both names.
STUBBORN = """
import os, signal, sys, time
from multiprocessing import shared_memory
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
memory = shared_memory.SharedMemory(create=True, size=4096, track=False) if sys.version_info >= (3, 13) else None
if memory is None:
    from multiprocessing import resource_tracker
    memory = shared_memory.SharedMemory(create=True, size=4096)
    resource_tracker.unregister(memory._name, "shared_memory")
with open(sys.argv[1] + ".part", "w") as file:
    file.write(f"{os.getpid()} {memory.name}")
os.rename(sys.argv[1] + ".part", sys.argv[1])
while True:
    time.sleep(60)
"""


def eventually(true: Callable[[], object], seconds: float = 30) -> None:
    due = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < due, "it did not come to pass"
        time.sleep(0.02)


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def guarded(folder: Path, *command: str, **named: object) -> subprocess.Popen[bytes]:
    folder.mkdir()
    words = [sys.executable, "-P", guard.__file__, str(os.getpid()), str(folder), *command]
    return subprocess.Popen(words, **named)  # type: ignore[call-overload]


@pytest.fixture
def other() -> shared_memory.SharedMemory:
    """Shared memory of somebody else."""
    memory = shared_memory.SharedMemory(create=True, size=4096)
    yield memory
    memory.close()
    memory.unlink()


def left_behind(said: Path) -> tuple[int, Path]:
    eventually(said.exists)
    process, name = said.read_text().split()
    return int(process), guard.SHARED / name


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_the_commands(tmp_path: Path, code: int) -> None:
    process = guarded(tmp_path / "t", sys.executable, "-c", f"raise SystemExit({code})")
    assert process.wait(30) == code
    assert not (tmp_path / "t").exists(), "the temporary folder is removed"


def test_a_command_ended_by_a_signal_has_its_code(tmp_path: Path) -> None:
    process = guarded(tmp_path / "t", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert process.wait(30) == 128 + 9


def test_what_outlives_the_command_is_ended_with_its_shared_memory(
    tmp_path: Path, other: shared_memory.SharedMemory
) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        # the command itself ends only when the orphan has been seen, as Ray's driver does
        command = f"{STUBBORN.replace('os._exit(0)', 'time.sleep(1.5); os._exit(0)', 1)}"
        process = guarded(tmp_path / "t", sys.executable, "-c", command, str(tmp_path / "said"))
        orphan, memory = left_behind(tmp_path / "said")
        assert memory.exists()
        assert process.wait(60) == 0
        assert gone(orphan)
        assert not memory.exists()
        assert bystander.poll() is None
        assert (guard.SHARED / other.name).exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_sigterm_ends_all_of_it(tmp_path: Path) -> None:
    command = STUBBORN.replace("os._exit(0)", "time.sleep(600)", 1)
    process = guarded(tmp_path / "t", sys.executable, "-c", command, str(tmp_path / "said"))
    orphan, memory = left_behind(tmp_path / "said")
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert gone(orphan)
    assert not memory.exists()


def test_the_death_of_who_started_it_ends_all_of_it(tmp_path: Path) -> None:
    command = STUBBORN.replace("os._exit(0)", "time.sleep(600)", 1)
    own = [str(tmp_path / "t"), sys.executable, "-c", command, str(tmp_path / "said")]
    words = f"[{sys.executable!r}, '-P', {guard.__file__!r}, str(os.getpid()), *{own!r}]"
    parent = f"import os, subprocess; subprocess.run({words})"
    starter = subprocess.Popen([sys.executable, "-c", parent])
    orphan, memory = left_behind(tmp_path / "said")
    starter.kill()
    starter.wait()
    eventually(lambda: gone(orphan))
    eventually(lambda: not memory.exists())
    eventually(lambda: not (tmp_path / "t").exists())


def test_a_guard_that_is_killed_takes_its_command_along(tmp_path: Path) -> None:
    code = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
    process = guarded(tmp_path / "t", sys.executable, "-c", code, str(tmp_path / "said"))
    eventually(lambda: (tmp_path / "said").exists() and (tmp_path / "said").read_text())
    process.kill()
    process.wait()
    eventually(lambda: gone(int((tmp_path / "said").read_text())))


def test_a_parent_that_is_dead_already_ends_all_of_it(tmp_path: Path) -> None:
    nobody = subprocess.Popen([sys.executable, "-c", ""])
    nobody.wait()
    words = [sys.executable, "-P", guard.__file__, str(nobody.pid), str(tmp_path / "t"), "sleep", "600"]
    assert subprocess.run(words, check=False, timeout=60).returncode == 128 + signal.SIGTERM


def test_descendants_are_found_over_sessions() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '600'], start_new_session=True)"]
    )
    try:
        eventually(lambda: len([p for p in guard.descendants(os.getpid()) if p == child.pid]) == 1)
        eventually(lambda: len(guard.descendants(child.pid)) == 1)
    finally:
        for process in guard.descendants(child.pid):
            os.kill(process, signal.SIGKILL)
        child.kill()
        child.wait()
