"""Locks on stores: one writer at a time per store, or per shard of it."""

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
    """Lock a store, or one shard of it. A second writer waits and logs who holds the lock.

    Writers of different shards run side by side if ``shards`` is the same; with another count they exclude each other.
    The locks are advisory, on files in the store; the kernel releases them when the holder dies.
    """
    own = store / f".lock-{shard}-of-{shards}"
    holder = store / f".holder-{shard}-of-{shards}"
    try:
        store.mkdir(parents=True, exist_ok=True)
        lock = FileLock(own)
        while (busy := _taken(lock, store, shards)) is not None:
            try:
                who = (store / busy.name.replace("lock", "holder")).read_text().strip()
            except FileNotFoundError:
                who = "another process"
            log(f"waiting: {store} is in use by {who}")
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
    """Take the lock and return None, or return the file of a lock that is in the way."""
    with FileLock(store / ".lock"):  # makes check and acquisition one step
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
    """The process that holds a store or one shard of it, or held it when it died.

    Attributes:
        process, host, job: process number, host name and SLURM job; None if unknown, ``job`` also without SLURM.
        since: when it took the lease, in seconds since the epoch.
        locked: whether this machine's kernel sees the lock held; if the file system does not share locks between
            machines, a holder on another machine goes unseen.
    """

    process: int | None
    host: str | None
    job: str | None
    since: float
    locked: bool


def holder(store: Path, shard: int = 1, shards: int = 1) -> Holder | None:
    """The holder of a store, alive or dead; None if the lease was released. Changes nothing.

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
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that only check do not see each other
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
