"""Locks on stores: one writer of a store, or of one shard of it, at a time."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from boundary_bench.core.errors import StoreError


@contextmanager
def lease(store: Path, log: Any, shard: int = 1, shards: int = 1) -> Iterator[None]:
    """Hold a store, or one shard of it, alone: a second writer waits, says for whom, and goes on when the first ends.

    Writers of different shards of the same number work side by side; those of another number wait for all of them.
    Advisory locks on files in the store, which the kernel releases when their holder dies, however it dies.
    """
    own = store / f".lock-{shard}-of-{shards}"
    holder = store / f".holder-{shard}-of-{shards}"
    try:
        store.mkdir(parents=True, exist_ok=True)
        lock = FileLock(own)
        while (busy := _taken(lock, store, shards)) is not None:
            who = store / busy.name.replace("lock", "holder")
            log(f"waiting: {store} is in use by {who.read_text().strip() if who.exists() else 'another process'}")
            FileLock(busy).acquire().lock.release()
        holder.write_text(
            f"process {os.getpid()} on {os.uname().nodename}, job {os.environ.get('SLURM_JOB_ID', 'none')}\n"
        )
    except OSError as fault:
        raise StoreError(f"cannot lock {store}: {fault.strerror or fault}; is the folder writable?") from None
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _taken(lock: FileLock, store: Path, shards: int) -> Path | None:
    """Take the lock where nothing stands in its way; else the file of a lock that does."""
    with FileLock(store / ".lock"):  # looking and taking are one step
        for path in store.glob(".lock-*-of-*"):
            if path.name.endswith(f"-of-{shards}"):
                continue
            try:
                FileLock(path).acquire(timeout=0).lock.release()
            except Timeout:
                return path
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return Path(lock.lock_file)
    return None


@dataclass(frozen=True)
class Holder:
    """Who holds a store or one shard of it, or did when it died.

    Attributes:
        process, host, job: its number there, and its SLURM job; None where it has not said so.
        since: when it took the store, in seconds since the epoch.
        locked: whether the lock is held, as far as this machine's kernel knows: a file system without locks between
            machines knows nothing of a holder on another one.
    """

    process: int | None
    host: str | None
    job: str | None
    since: float
    locked: bool


def holder(store: Path, shard: int = 1, shards: int = 1) -> Holder | None:
    """Who holds a store, or held it to the last; None where it was given back. Changes nothing.

    Raises:
        OSError: the folder cannot be read.
    """
    file = store / f".holder-{shard}-of-{shards}"
    try:
        since, said = file.stat().st_mtime, file.read_text(errors="replace")
    except FileNotFoundError:
        return None
    named = re.match(r"process (\d+) on (\S+), job (\S+)", said)
    locked = _locked(store / f".lock-{shard}-of-{shards}")
    if not named:
        return Holder(None, None, None, since, locked)
    return Holder(int(named[1]), named[2], None if named[3] == "none" else named[3], since, locked)


def _locked(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not see each other
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
