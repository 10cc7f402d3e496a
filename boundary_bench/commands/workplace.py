"""Inputs and resources of a stage that trains or samples: store, GPUs, judge, prompts, and facts of its results."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boundary_bench.benchmarks.base import Kind, Problem
from boundary_bench.benchmarks.templates import Prompting, prompting
from boundary_bench.core import provenance
from boundary_bench.core.locks import lease
from boundary_bench.machine import gpus
from boundary_bench.plan import Plan
from boundary_bench.plan.stages import STAGES, settings

if TYPE_CHECKING:
    from boundary_bench.grading.judging import Judge

Log = Callable[[str], None]
Stopped = Callable[[], bool]


def logger(label: str) -> Log:
    """A function that prints one labelled line of progress."""
    return lambda line: print(f"[{label}] {line}", flush=True)


def stop_signal() -> Stopped:
    """A function that tells whether SIGTERM or SIGINT has arrived; SIGINT after an earlier signal ends at once."""
    seen: list[int] = []

    def note(number: int, _frame: object) -> None:
        if seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        seen.append(number)

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, note)
    return lambda: bool(seen)


@dataclass(frozen=True)
class Task:
    """The inputs of a job, read and checked before it takes a lease or a GPU.

    Attributes:
        values: the wildcard values of the job.
        folder, manifest: the model that the job starts from.
    """

    plan: Plan
    stage: str
    values: tuple[Any, ...]
    folder: Path
    manifest: dict[str, Any]
    problems: list[Problem]
    kind: Kind
    log: Log
    stopped: Stopped

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the job's results depend on."""
        return settings(self.plan, self.stage, *self.values)

    @property
    def content(self) -> dict[str, str]:
        """The content hashes of its model and problems, by the stage's names of these facts."""
        from boundary_bench.benchmarks.problem_file import content_of

        model, problems = STAGES[self.stage].made_from(self.plan, *self.values)
        return {model: self.manifest["content"], problems: content_of(self.problems)}

    @property
    def identity(self) -> dict[str, Any]:
        """The identity of its store: other settings, weights, tokenizers or problems go to another folder."""
        return {**self.settings, **self.content}

    @property
    def store(self) -> Path:
        """Its store folder."""
        held = map(str, self.values[: STAGES[self.stage].stores])
        return self.plan.store(self.stage, *held, identity=self.identity)

    def facts(self, engine: str, put: Prompting) -> dict[str, Any]:
        """The facts that its files carry."""
        return {
            "settings": provenance.fingerprint(self.settings),
            **self.content,
            "engine": engine,
            "tokenizer": put.identity(self.folder),
            "grader": self.kind.grader.identity,
            "provenance": provenance.record(),
        }


@dataclass(frozen=True)
class Workplace:
    """The judge and the prompting of a job at work."""

    judge: Judge
    put: Prompting


def task_of(plan: Plan, stage: str, values: tuple[Any, ...], manifest: Path, benchmark: str, label: str) -> Task:
    """The inputs of a job: its model and problems, checked against their hashes."""
    from boundary_bench.benchmarks.problem_file import read_problems
    from boundary_bench.models.folder import read_manifest

    stopped, log = stop_signal(), logger(f"{stage} {label}")
    folder, said = read_manifest(manifest)
    problems, kind = read_problems(plan.problems(benchmark)), plan.problem_sets[benchmark].kind
    return Task(plan, stage, values, folder, said, problems, kind, log, stopped)


@contextmanager
def workplace(
    task: Task, count: int, model: str, benchmark: str, shard: tuple[int, int] = (1, 1)
) -> Iterator[Workplace]:
    """Hold a job's store, or its shard of the store, its GPUs, and a judge.

    Args:
        count: number of GPUs to hold on this machine.
        model: the base model, which determines the prompt template.
    """
    from boundary_bench.grading.judging import Judge

    plan, log = task.plan, task.log
    held = lease(task.store, log, *shard)
    with held, gpus.hold(count, log, task.stopped), Judge(plan.judgements) as judge:
        yield Workplace(judge, prompting(plan.template(model, benchmark), task.folder))
