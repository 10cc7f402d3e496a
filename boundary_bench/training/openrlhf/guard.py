"""Runs a command, and afterwards ends all its descendants and removes their shared memory, and nothing else.

    python -P guard.py PARENT TEMPORARY_FOLDER COMMAND...

Ray and vLLM start processes in sessions of their own, which outlive their parent. The guard adopts orphans (prctl, a
"subreaper"), so every process of the command is among its descendants. It ends them when the command ends, on SIGTERM,
and when its own parent dies for whatever reason. It uses the standard library alone, since it has to start at once.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

SET_PARENT_DEATH_SIGNAL, SET_CHILD_SUBREAPER = 1, 36
SECONDS_TO_END, SECONDS_AT_MOST, SECONDS_TO_LOOK = 10.0, 60.0, 5.0
SHARED = Path("/dev/shm")


def descendants(root: int) -> list[int]:
    """Processes below ``root`` except zombies, children before grandchildren."""
    parent_of = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            # the process name in parentheses may contain any text
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parent_of[int(folder.name)] = int(parent)
    found, row = [], [root]
    while row:
        row = [process for process, parent in parent_of.items() if parent in row]
        found += row
    return found


def guards(folder: str) -> list[int]:
    """Process ids of the guards with this temporary folder."""
    found, own = [], os.path.realpath(__file__).encode()
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (place / "cmdline").read_bytes().split(b"\0")
            if folder.encode() in words and any(os.path.realpath(word) == own for word in words[:4] if word):
                found.append(int(place.name))
    return found


def shared_memory(processes: list[int], since: float) -> set[Path]:
    """The files in /dev/shm that the processes have mapped and that were created after ``since``."""
    found = set()
    for process in processes:
        with suppress(OSError):
            text = Path(f"/proc/{process}/maps").read_text(errors="replace")
            found |= {Path(name) for name in re.findall(rf"{SHARED}/\S+", text)}
    return {path for path in found if path.exists() and path.stat().st_ctime >= since}


def end(seen: set[Path], since: float) -> None:
    """End all descendants, first by SIGTERM, later by SIGKILL, and remove their shared memory."""
    begun, own = time.monotonic(), os.getpid()
    asked: set[int] = set()
    # a process that hangs in the kernel cannot be ended, so the wait is limited
    while (processes := descendants(own)) and (passed := time.monotonic() - begun) < SECONDS_AT_MOST:
        # first of all: SLURM kills this process too, a few seconds after its SIGTERM
        for path in seen | shared_memory(processes, since):
            path.unlink(missing_ok=True)
        late = passed > SECONDS_TO_END
        for process in processes:
            if late or process not in asked:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL if late else signal.SIGTERM)
                asked.add(process)
        reap()
        time.sleep(0.1)
    for path in seen:  # files of processes that had ended before
        path.unlink(missing_ok=True)


def reap() -> dict[int, int]:
    """The exit codes of ended children, by process id."""
    done = {}
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            done[found[0]] = os.waitstatus_to_exitcode(found[1])
    return done


def main(parent: str, folder: str, *command: str) -> int:
    """Run the command; returns its exit code, or 128 plus the signal.

    Args:
        parent: id of the process that ends everything when it dies.
        folder: temporary folder, created if missing and removed in the end.
    """
    since, asked = time.time(), []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: asked.append(got))
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(SET_CHILD_SUBREAPER, 1)
    library.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    os.makedirs(folder, exist_ok=True)

    def bound_to_us() -> None:
        library.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)

    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=bound_to_us).pid
    seen: set[Path] = set()
    code, look = None, 0.0
    while code is None and not asked and os.getppid() == int(parent):
        code = reap().get(child)
        if time.monotonic() > look:
            seen |= shared_memory(descendants(os.getpid()), since)
            look = time.monotonic() + SECONDS_TO_LOOK
        time.sleep(0.2)
    end(seen, since)
    shutil.rmtree(folder, ignore_errors=True)
    if code is None:
        return 128 + (asked[0] if asked else signal.SIGTERM)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
