"""Whether a job on another machine sees the same results folder as the Snakemake that started it.

That Snakemake leaves a file in the folder, and its name in an environment variable, which executors hand on to their
jobs; the Snakemake inside of a job looks for the file. A random name for every start: several of them do not disturb
each other, and no machine remembers that the file was not there. Where an executor hands no variable on, nothing is
asked.
"""

from __future__ import annotations

import atexit
import os
import secrets
import sys
import time
from pathlib import Path

from boundary_bench.core.errors import StoreError
from boundary_bench.core.files import write_text

VARIABLE = "BOUNDARY_BENCH_START"
PREFIX = ".start-"
#: Longest that NFS goes on, by default, without asking what is new in a folder (acdirmax).
SECONDS_TO_APPEAR = 60.0
#: A start that was killed leaves its file; its jobs may be queued for weeks, and need it.
SECONDS_KEPT = 28 * 24 * 3600


def announce(results: Path) -> None:
    """Leave this start's file in the results folder until this process ends, and name it to the jobs it starts."""
    results, name = results.absolute(), f"{PREFIX}{secrets.token_hex(8)}"
    write_text(results / name, f"process {os.getpid()} on {os.uname().nodename}\n")
    atexit.register((results / name).unlink, missing_ok=True)
    os.environ[VARIABLE] = f"{name}@{os.uname().nodename}"
    for path in results.glob(f"{PREFIX}*"):
        if _age(path) > SECONDS_KEPT:
            path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # its own start has just ended
        return 0.0


def check(results: Path, seconds: float = SECONDS_TO_APPEAR) -> None:
    """Look for the file of the start that this process is a job of, if it is one's.

    Args:
        seconds: how long it may take until the file is seen here.

    Raises:
        StoreError: it is not here.
    """
    name, _, host = os.environ.get(VARIABLE, "").partition("@")
    if not name or (results / name).exists():
        return
    here, due = os.uname().nodename, time.monotonic() + seconds
    print(f"waiting for {results.absolute() / name} to be seen on {here}", file=sys.stderr, flush=True)
    while not (results / name).exists():
        if time.monotonic() >= due:
            raise StoreError(
                f"the results folder {results.absolute()} is not the same here ({here}) as where snakemake was started "
                f"({host}): found {_found(results)}, expected {name}, written there; put it on a file system that both "
                "machines share, e.g. --config results=/shared/folder. Or that snakemake has ended: start it again"
            )
        time.sleep(1.0)


def _found(results: Path) -> str:
    if not results.is_dir():
        return "no such folder"
    others = sorted(path.name for path in results.glob(f"{PREFIX}*"))
    return f"the folder, with {', '.join(others) or 'no such file'}"
