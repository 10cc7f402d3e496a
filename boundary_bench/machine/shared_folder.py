"""Check that a job on another machine sees the same results folder as the Snakemake that started it.

That Snakemake writes a file into the folder and its name into an environment variable, which executors pass on to
their jobs; the Snakemake inside a job looks for the file. Each start has a random name: concurrent starts do not
collide, and no NFS client has cached its absence. If an executor does not pass the variable on, nothing is checked.
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
#: Longest time for which an NFS client caches the entries of a folder, by default (acdirmax).
SECONDS_TO_APPEAR = 60.0
#: A killed start leaves its file behind; its jobs may be queued for weeks, and need it.
SECONDS_KEPT = 28 * 24 * 3600


def announce(results: Path) -> None:
    """Write this start's file into the results folder until the process ends, and pass its name on to the jobs."""
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
    except FileNotFoundError:  # its start has just ended
        return 0.0


def check(results: Path, seconds: float = SECONDS_TO_APPEAR) -> None:
    """Check that the file of the start that this job belongs to, if any, is in the results folder.

    Args:
        seconds: longest wait for the file to appear.

    Raises:
        StoreError: the file did not appear.
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
