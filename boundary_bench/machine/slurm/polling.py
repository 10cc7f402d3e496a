"""Corrections to how snakemake-executor-plugin-slurm 2.8.0 asks for the states of jobs; docs/upstream/ has the report.

1. sacct says ``CANCELLED by 1000``; the plugin compares with ``CANCELLED``, so that the job runs for ever.
2. Where every query of a cycle failed (accounting down or absent, controller restarting), the plugin drops all jobs.
3. PREEMPTED is taken for "SLURM will start it again", also where it will not.
4. A job that SLURM has forgotten (older than MinJobAge, without accounting) is waited for.
5. The time between queries grows by ten seconds with each in which nothing has ended, to three minutes: every link of a
   chain of jobs of that length may be noticed so much later. It is bounded by a multiple of the first time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from types import ModuleType
from typing import Any

#: The newest version that has these faults.
FAULTY = (2, 8, 0)
#: Seconds for which a doubtful state is left alone: SLURM may hold a preempted job for two minutes before it queues it
#: again, but then squeue knows of it, which is asked after this time.
GRACE = 60.0
#: The longest time between queries, as a multiple of ``init-seconds-before-status-checks``.
SLOWEST = 3
#: Seconds after which a query is given up.
PATIENCE = 60.0


def mend(plugin: ModuleType, version: str, grace: float = GRACE) -> bool:
    """Correct the plugin in this process; False for a version that is newer than those known to need it.

    Replaces ``query_job_status``, and has ``Executor.check_active_jobs`` say of which jobs. Once is enough.
    """
    if tuple(int(part) for part in version.split(".")[:3]) > FAULTY or hasattr(plugin, "doubts"):
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
    """For how long each active job has had a state that may or may not be its end."""

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.since: dict[str, float] = {}
        self.active: set[str] = set()

    def watch(self, jobs: Iterable[str]) -> None:
        """Forget all jobs but these."""
        self.active = set(jobs)
        self.since = {job: begun for job, begun in self.since.items() if job in self.active}

    async def settle(self, answer: dict[str, str] | None) -> dict[str, str]:
        """States as the plugin understands them, from its query's answer, or None where that failed.

        Then squeue is asked for all jobs, and else for those that are PREEMPTED or unknown for longer than the grace.
        """
        answer = await squeue(sorted(self.active)) if answer is None else answer
        if answer is None:  # nobody answers, which says nothing of any job
            return {}
        states = {job: state.split()[0] for job, state in answer.items() if state}
        now = time.monotonic()
        for job in self.active:
            # sacct may know a task of an array by the number of the array alone
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
    """The state of a doubtful job, given what squeue knows of it.

    ``UNKNOWN`` makes the plugin end the job and Snakemake look for its files: they are there, or it failed.
    """
    if known not in (None, "PREEMPTED"):
        return known
    return "UNKNOWN" if told is None and known is None else "CANCELLED"


async def squeue(jobs: list[str]) -> dict[str, str] | None:
    """States of jobs by number, without those that the controller has forgotten; None where it does not answer."""
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
