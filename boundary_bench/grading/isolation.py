"""Judging in separate processes, each with its own pipe, so that a failure of one affects no other.

A worker that is late or dies is killed and replaced, and its pair is a timeout. No library's pool is used: pebble, the
usual one, shares one locked pipe among all workers, so that a worker killed from outside can block the rest.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

from boundary_bench.core.errors import GradingError
from boundary_bench.grading import Grader, Pair, Ruling, Verdict
from boundary_bench.grading.worker import READY

MEMORY = 4 << 30  # bytes of address space of a worker
START_SECONDS = 180.0  # for the first import of sympy from a slow disk
MOST_FAILED_STARTS = 3  # in a row, since something may kill a process now and then
SPARE_SECONDS = 2.0  # between the parent's deadline and the worker's own
RENEW_AFTER = 20_000  # judgements, since the caches of its libraries only grow


@dataclass
class Worker:
    """A process and its current pair.

    Attributes:
        pair: the pair being judged; None while the process starts or waits.
        due: deadline of the next message, on the monotonic clock.
    """

    process: subprocess.Popen[bytes]
    pipe: Connection
    due: float
    ready: bool = False
    pair: Pair | None = None
    judged: int = 0

    @property
    def free(self) -> bool:
        """Whether the process can take a pair."""
        return self.ready and self.pair is None

    def take(self, pair: Pair, deadline: float) -> None:
        """Send a pair to judge."""
        self.pair, self.due = pair, time.monotonic() + deadline
        self.tell(json.dumps(pair).encode())

    def tell(self, message: bytes) -> None:
        """Send a message; a dead process is noticed when its pipe is read."""
        with suppress(OSError):
            self.pipe.send_bytes(message)

    def end(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()
        self.pipe.close()


def start(grader: Grader) -> Worker:
    """A new process for a grader. It needs no main module, so any script and any thread can start it."""
    ours, theirs = socket.socketpair()
    with theirs:
        number, limits = theirs.fileno(), (MEMORY, grader.deadline + SPARE_SECONDS)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "boundary_bench.grading.worker", *map(str, (number, os.getpid(), *limits))],
            pass_fds=[number],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        )
    worker = Worker(process, Connection(ours.detach()), time.monotonic() + START_SECONDS)
    worker.tell(pickle.dumps(grader.judge))
    return worker


@dataclass
class Pool:
    """Up to ``size`` workers of one grader, started on demand.

    Attributes:
        failed: failed starts since the last successful one.
    """

    grader: Grader
    size: int
    workers: list[Worker] = field(default_factory=list)
    failed: int = 0

    def judged(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Ruling]]:
        """Every pair with its ruling, in the order of completion."""
        waiting = deque(pairs)
        busy: list[Worker] = []
        try:
            while waiting or busy:
                self._fill(min(self.size, len(waiting) + len(busy)))
                for worker in self.workers:
                    if worker.free and waiting:
                        worker.take(waiting.popleft(), self.grader.deadline)
                yield from self._done()
                busy = [worker for worker in self.workers if worker.pair is not None]
        finally:
            # a caller that stops early leaves pairs behind; their rulings must not be taken for later ones
            for worker in [worker for worker in self.workers if worker.pair is not None]:
                self._drop(worker)

    def _fill(self, wanted: int) -> None:
        """Drop workers that died while waiting, and start new ones up to ``wanted``."""
        for worker in [worker for worker in self.workers if worker.free and worker.process.poll() is not None]:
            self._drop(worker)
        while len(self.workers) < wanted:
            self.workers.append(start(self.grader))

    def _done(self) -> list[tuple[Pair, Ruling]]:
        """Wait for the first event (a ruling, a ready worker, a death, a deadline); returns the rulings."""
        at_work = [worker for worker in self.workers if not worker.free]
        patience = min(worker.due for worker in at_work) - time.monotonic()
        speaking = set(wait([worker.pipe for worker in at_work], max(0.0, patience)))
        done = []
        for worker in at_work:
            if worker.pipe in speaking:
                ruling = self._heard(worker)
            elif time.monotonic() >= worker.due:
                ruling = self._lost(worker, f"not decided in {self.grader.deadline:g} s")
            else:
                continue
            if ruling is not None and worker.pair is not None:
                done.append((worker.pair, ruling))
                worker.pair = None
        return done

    def _heard(self, worker: Worker) -> Ruling | None:
        try:
            said = worker.pipe.recv_bytes()
        except (EOFError, OSError):
            return self._lost(worker, "its process died")
        if not worker.ready:
            worker.ready, self.failed = said == READY, 0
            return None
        worker.judged += 1
        if worker.judged >= RENEW_AFTER:
            self._drop(worker)
        verdict, reason = json.loads(said)
        return Ruling(Verdict(verdict), reason)

    def _lost(self, worker: Worker, reason: str) -> Ruling | None:
        self._drop(worker)
        if worker.ready:
            return Ruling(Verdict.TIMEOUT, reason)
        self.failed += 1
        if self.failed < MOST_FAILED_STARTS:
            return None
        raise GradingError(
            f"the grader {self.grader.name!r} judges in processes of its own, and {self.failed} of them did not start: "
            f"found them dead or silent, expected an answer within {START_SECONDS:.0f} s. What they said is above; try "
            "python -c 'import math_verify', and whether memory is left"
        )

    def _drop(self, worker: Worker) -> None:
        worker.end()
        self.workers.remove(worker)

    def close(self) -> None:
        """End all workers."""
        while self.workers:
            self._drop(self.workers[-1])
