"""Corrections to how snakemake-executor-plugin-slurm 2.8.0 asks for the states of jobs; docs/upstream/ has the report.

1. sacct says ``CANCELLED by 1000``; the plugin compares with ``CANCELLED``, so the job never ends.
2. If every query of a cycle failed (accounting down or absent, controller restarting), the plugin drops all jobs.
3. PREEMPTED is taken for "SLURM will start it again", even if SLURM will not.
4. The plugin waits for ever for a job that SLURM has forgotten (older than MinJobAge, without accounting).
5. The interval between queries grows by ten seconds with each that sees no job end, to three minutes: in a chain of
   jobs, each end may be noticed that much later. The interval is now bounded by a multiple of the first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from types import ModuleType
from typing import Any

from packaging.version import Version

#: The newest version that has these faults.
FAULTY = (2, 8, 0)
#: Seconds after which squeue is asked about a doubtful state. SLURM may hold a preempted job for two minutes before it
#: queues it again, but squeue knows of it meanwhile.
GRACE = 60.0
#: The longest interval between queries, as a multiple of ``init-seconds-before-status-checks``.
SLOWEST = 3
#: Timeout of a query in seconds.
PATIENCE = 60.0


def mend(plugin: ModuleType, version: str, grace: float = GRACE) -> bool:
    """Correct the plugin in this process; False for a version newer than the known faulty ones.

    Replaces ``query_job_status`` and wraps ``Executor.check_active_jobs``, which knows the active jobs. Idempotent.
    """
    if Version(version).release > FAULTY or hasattr(plugin, "doubts"):
        return hasattr(plugin, "doubts")
    doubts = plugin.doubts = Doubts(grace)
    query, check = plugin.query_job_status, plugin.Executor.check_active_jobs

    async def check_active_jobs(self: Any, active_jobs: list[Any]) -> AsyncIterator[Any]:
        doubts.watch(job.external_jobid for job in active_jobs)
        async for job in check(self, active_jobs):
            yield job
        longest = SLOWEST * self.workflow.executor_settings.init_seconds_before_status_checks
        self.next_seconds_between_status_checks = min(self.next_seconds_between_status_checks, longest)

    async def query_job_status(command: str, logger: Any) -> tuple[dict[str, str], float]:
        states, seconds = await query(command, logger)
        return await doubts.settle(states), seconds or 0.0

    plugin.query_job_status, plugin.Executor.check_active_jobs = query_job_status, check_active_jobs
    return True


class Doubts:
    """The active jobs, and since when each of them is in a state that may or may not be final."""

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.since: dict[str, float] = {}
        self.active: set[str] = set()

    def watch(self, jobs: Iterable[str]) -> None:
        """Forget all jobs but these."""
        self.active = set(jobs)
        self.since = {job: begun for job, begun in self.since.items() if job in self.active}

    async def settle(self, answer: dict[str, str] | None) -> dict[str, str]:
        """States as the plugin understands them, from its query's answer (None: the query failed).

        After a failed query squeue is asked about all jobs; always about those PREEMPTED or unknown beyond the grace.
        """
        answer = await squeue(sorted(self.active)) if answer is None else answer
        if answer is None:  # no answer says nothing about any job
            return {}
        states = {job: state.split()[0] for job, state in answer.items() if state}
        now = time.monotonic()
        for job in self.active:
            # sacct may list a task of a job array under the number of the array
            state = states.get(job) or states.get(job.split("_")[0])
            if state not in (None, "PREEMPTED"):
                self.since.pop(job, None)
            else:
                self.since.setdefault(job, now)
        late = [job for job, begun in self.since.items() if now - begun > self.grace]
        if late and (known := await squeue(late)) is not None:
            states |= {job: verdict(states.get(job), known.get(job)) for job in late}
        return states


def verdict(told: str | None, known: str | None) -> str:
    """The state of a doubtful job, from its states in the plugin's query and in squeue.

    ``UNKNOWN`` makes the plugin end the job; Snakemake then looks for its files: without them the job has failed.
    """
    if known not in (None, "PREEMPTED"):
        return known
    return "UNKNOWN" if told is None and known is None else "CANCELLED"


async def squeue(jobs: list[str]) -> dict[str, str] | None:
    """States of jobs by number, without those that the controller has forgotten; None if it does not answer."""
    command = ["squeue", "-h", "-r", "--states=all", "-j", ",".join(jobs), "-o", "%i|%T"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        told, fault = await asyncio.wait_for(process.communicate(), PATIENCE)
    except TimeoutError:
        process.kill()
        return None
    if process.returncode:
        return {} if b"Invalid job id" in fault else None
    return dict(line.split("|", 1) for line in told.decode().split())
