"""The state of a study's jobs (done, running, failed, stopped), and the time that the rest may take.

Everything is read from the results folder, whatever started the jobs and wherever they run. Nothing is written. A job
is done if its declared outputs exist, its manifest agrees with the study as it is now, and all jobs that it needs are
done. The manifests of prepare, pretrain, train and sample are read, each once; other files need only exist.

A job runs if a process holds its store (``locks.lease``). Stages without a store, which take minutes, never show as
running.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from boundary_bench.core.errors import DataError, StoreError
from boundary_bench.core.files import read_json
from boundary_bench.core.locks import Holder, holder
from boundary_bench.plan import Plan
from boundary_bench.plan.jobs import Job, jobs
from boundary_bench.plan.stages import STAGES, Key

#: Silence after which a holder on another machine, with a lock that is not seen from here, counts as dead.
SILENT_SECONDS = 1800
#: About this many finished sample jobs are read for their pace.
TIMED = 200
#: Bytes that are read from the end of a log.
TAIL = 32_768
#: Beginning of a line with the reason why a process ended: this package's, argparse's, the shell's or Python's.
FAULT = re.compile(r"(boundary-bench( \w+)?|(\S*/)?(ba|da)?sh|(\S*/)?python[\d.]*): ")
STOPPED = "boundary-bench: stopped by a signal"
TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True)
class JobProgress:
    """The progress of a job: ``done`` of ``total`` steps, or of problems, with the samples so far."""

    done: int
    total: int
    unit: str
    samples: int | None = None


@dataclass(frozen=True)
class Running:
    """A job that a process works on.

    Attributes:
        process, host, job: process number, host name, SLURM job; None if unknown.
        since, heard: times of the start and of the last write, in seconds since the epoch.
        seconds_left: at the job's own pace; in sampling, until its next decision whether to stop.
    """

    name: str
    process: int | None
    host: str | None
    job: str | None
    since: float
    heard: float
    progress: JobProgress | None
    seconds_left: float | None


@dataclass(frozen=True)
class Ended:
    """A job whose last attempt ended without its outputs.

    Attributes:
        said: the line of its log with the reason, or the facts known about a process that left none.
    """

    name: str
    log: str
    said: str


@dataclass(frozen=True)
class StageStatus:
    """Jobs of one stage.

    Attributes:
        to_do: jobs to do, stopped ones included.
        seconds_left: time for the rest at the pace of finished jobs, with ``side_by_side`` jobs at once.
        side_by_side: jobs that run now, at least 1.
    """

    jobs: int
    done: int
    running: int
    failed: int
    to_do: int
    seconds_left: float | None
    side_by_side: int


@dataclass(frozen=True)
class Status:
    """The state of a study's jobs; ``damaged`` has a message for every unreadable manifest."""

    study: str
    stages: dict[str, StageStatus]
    running: list[Running]
    failed: list[Ended]
    stopped: list[Ended]
    damaged: list[str]


@dataclass(frozen=True)
class _Done:
    """Facts of the finished jobs, and messages about unreadable manifests."""

    facts: dict[Key, dict[str, Any]] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)


def status(plan: Plan) -> Status:
    """The state of every job of a study.

    Raises:
        StoreError: the results folder cannot be read.
    """
    found, now = jobs(plan), time.time()
    running: dict[str, Running] = {}
    failed, stopped = [], []
    try:
        done, stores = _done(found), _stores(plan)
        for job in found:
            if job.key in done.facts:
                continue
            held = _holder(job, stores)
            if held and (worker := _running(job, *held, now)):
                running[job.name] = worker
            elif ended := _ended(job, held[1] if held else None):
                (stopped if ended[0] else failed).append(Ended(job.name, str(job.log), ended[1]))
    except OSError as fault:
        raise StoreError(f"cannot read {fault.filename or plan.root}: {fault.strerror}; who may read it?") from None
    broken = {each.name for each in failed}
    stages = {
        stage: _stage([job for job in found if job.stage.name == stage], done, running, broken)
        for stage in dict.fromkeys(job.stage.name for job in found)
    }
    return Status(plan.study.study, stages, list(running.values()), failed, stopped, done.damaged)


def _done(found: list[Job]) -> _Done:
    done = _Done()
    for job in found:
        if not all(path.exists() for path in job.outputs):
            continue
        try:
            said = _facts(job)
        except DataError as fault:
            done.damaged.append(str(fault))
            continue
        if not all(key in done.facts for key in job.needs):
            continue
        if said and not _as_now(job, said, done):
            continue
        done.facts[job.key] = {name: said[name] for name in ("content", "seconds") if name in said}
    return done


def _as_now(job: Job, said: dict[str, Any], done: _Done) -> bool:
    """Whether the facts of an output agree with the study, and with the content it is made from, as they are now."""
    made_from = {fact: done.facts.get(key, {}).get(name) for fact, (key, name) in job.made_from.items()}
    return all(said.get(name) == value for name, value in {**job.facts, **made_from}.items())


def _facts(job: Job) -> dict[str, Any]:
    """The facts of a job's first output; empty if they are not compared."""
    if not job.stage.says:
        return {}
    if job.outputs[0].suffix == ".json":
        return read_json(job.outputs[0])
    from boundary_bench.core.parquet import read_table

    return read_table(job.outputs[0], ["id"])[1]


def _stores(plan: Plan) -> dict[Path, list[Path]]:
    """All store folders, by their names without the identity."""
    stores: dict[Path, list[Path]] = {}
    for folder in (plan.root / "store" / stage.name for stage in STAGES.values() if stage.stores):
        for name in os.listdir(folder) if folder.is_dir() else ():
            stores.setdefault(folder / name.rpartition("--")[0], []).append(folder / name)
    return stores


def _holder(job: Job, stores: dict[Path, list[Path]]) -> tuple[Path, Holder] | None:
    """The store folder of a job and its present or last holder; None without one.

    The segments of a run share a store and are trained in order, so the first unfinished one gets it.
    """
    if job.store is None:
        return None
    held = [(folder, who) for folder in stores.get(job.store, ()) if (who := holder(folder, *job.shard))]
    if not held:
        return None
    if job.stage.name == "train":
        del stores[job.store]
    return max(held, key=lambda pair: (pair[1].locked, pair[1].since))


def _running(job: Job, store: Path, who: Holder, now: float) -> Running | None:
    """The process that works on a job; None if it is dead."""
    signs = (job.log, job.records, store / "steps.jsonl", store)
    heard = max([who.since, *(path.stat().st_mtime for path in signs if path.exists())])
    elsewhere = who.host != os.uname().nodename
    if not (who.locked or (elsewhere and now - heard < SILENT_SECONDS)):
        return None
    progress, left = _progress(job, store, who.since)
    return Running(job.name, who.process, who.host, who.job, who.since, heard, progress, left)


def _progress(job: Job, store: Path, since: float) -> tuple[JobProgress | None, float | None]:
    """The progress of a running job, and its seconds left."""
    if job.stage.name == "sample":
        # records of an earlier attempt have another pace, and perhaps another store
        new = job.records.exists() and job.records.stat().st_mtime >= since
        record = _last_record(job.records) if new else {}
        if not {"done", "problems", "samples"} <= record.keys():
            return None, None
        come = JobProgress(record["done"], record["problems"], "problems", record["samples"])
        return come, record.get("seconds_left")
    if job.steps is None:
        return None, None
    first, last = job.steps
    if job.stage.name == "pretrain":
        states = (re.fullmatch(r"step-(\d{6,})", path.name) for path in store.glob("state/step-*"))
        return JobProgress(max((int(name[1]) for name in states if name), default=0), last, "steps"), None
    log = store / "steps.jsonl"
    row = _last_record(log) if log.exists() else {}
    step, parts = max(row.get("step", first), first), [row.get("seconds_rollout"), row.get("seconds_update")]
    left = None if None in parts else (last - step) * sum(parts)
    return JobProgress(step, last, "steps"), left


def _last_record(path: Path) -> dict[str, Any]:
    """The last complete JSON object of a file of lines, which may be half written; empty without one."""
    for line in reversed(_tail(path)):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return {}


def _tail(path: Path) -> list[str]:
    """The last non-blank lines of a text file, without control characters."""
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        text = file.read().decode(errors="replace")
    lines = ("".join(c if c.isprintable() else " " for c in line).rstrip() for line in text.splitlines())
    return [line for line in lines if line]


def _ended(job: Job, dead: Holder | None) -> tuple[bool, str] | None:
    """Whether a job without a process was only stopped, and the reason of its end; None if nothing went wrong.

    A killed process leaves its holder file behind.
    """
    lines = _tail(job.log) if job.log.exists() else []
    newest = _after_progress(job.stage.name, lines)
    last = _fault(newest)
    if last is None and newest and not job.outputs[0].exists():
        last = newest[-1]  # from another program
    if last and not (dead and job.log.stat().st_mtime < dead.since):
        return last.startswith(STOPPED), last
    if dead:
        where = f"process {dead.process} on {dead.host}" if dead.process else "its process"
        batch = f", job {dead.job}" if dead.job else ""
        return True, f"{where}{batch} died without a word: killed, out of memory, or its machine went down"
    return None


def _after_progress(stage: str, lines: list[str]) -> list[str]:
    """The lines of a log below the last line of progress; none if the attempt went well."""
    progress = [number for number, line in enumerate(lines) if line.startswith((f"[{stage}]", f"[{stage} "))]
    return lines[progress[-1] + 1 :] if progress else lines


def _fault(newest: list[str]) -> str | None:
    """The line with the reason why an attempt failed or stopped; None without one."""
    for line in reversed(newest):
        if FAULT.match(line):
            return line
    if TRACEBACK not in newest:
        return None
    below = newest[len(newest) - newest[::-1].index(TRACEBACK) :]
    return next((line for line in below if not line.startswith(" ")), newest[-1])


def _stage(found: list[Job], done: _Done, running: dict[str, Running], failed: set[str]) -> StageStatus:
    finished = [job for job in found if job.key in done.facts]
    at_work = sum(job.name in running for job in found)
    broken = sum(job.name in failed for job in found)
    to_do = len(found) - len(finished) - at_work - broken
    unfinished = [(job, running.get(job.name)) for job in found if job.key not in done.facts]
    seconds = _seconds_left(unfinished, dict(_took(finished, done))) if finished else None
    side_by_side = max(at_work, 1)
    left = 0.0 if not unfinished else None if seconds is None else seconds / side_by_side
    return StageStatus(len(found), len(finished), at_work, broken, to_do, left, side_by_side)


def _took(finished: list[Job], done: _Done) -> Iterator[tuple[str, list[float]]]:
    """Seconds of finished jobs per step, or per job without steps, by ``Job.like``; those of all jobs under ""."""
    paces: dict[str, list[float]] = {"": []}
    for job in finished if finished[0].stage.name != "sample" else finished[:: max(1, len(finished) // TIMED)]:
        seconds = done.facts[job.key].get("seconds")
        if job.stage.name == "sample" and job.records.exists():
            record = _last_record(job.records)
            rate = record.get("samples_per_second")
            seconds = record["samples"] / rate if rate and "samples" in record else None
        if isinstance(seconds, int | float):
            pace = seconds / _work(job)
            paces[""].append(pace)
            paces.setdefault(job.like, []).append(pace)
    yield from paces.items()


def _work(job: Job) -> int:
    """Steps of a job, or 1."""
    return job.steps[1] - job.steps[0] if job.steps else 1


def _seconds_left(unfinished: list[tuple[Job, Running | None]], took: dict[str, list[float]]) -> float | None:
    if not took[""]:
        return None
    paces = {like: mean(each) for like, each in took.items()}
    left = 0.0
    for job, worker in unfinished:
        first = job.steps[0] if job.steps else 0
        come = worker.progress if worker else None
        share = (come.done - first) / max(come.total - first, 1) if come else 0.0
        left += (1 - share) * _work(job) * paces.get(job.like, paces[""])
    return left
