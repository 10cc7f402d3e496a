"""The jobs of a study, as the workflow makes them of its stages. Nothing is read but the study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from boundary_bench.plan import Plan
from boundary_bench.plan.stages import STAGES, Facts, Key, Stage, settings


@dataclass(frozen=True, eq=False)
class Job:
    """One job of the workflow: a stage, and the values of its wildcards."""

    plan: Plan
    stage: Stage
    values: tuple[Any, ...]

    @cached_property
    def name(self) -> str:
        """The stage and what it works at: "train base--grpo--seed0 step40"."""
        return " ".join((self.stage.name, *self.names))

    @property
    def names(self) -> tuple[str, ...]:
        """What it works at."""
        return self.stage.title(self.plan, *self.values)

    @cached_property
    def outputs(self) -> tuple[Path, ...]:
        """The files that it declares."""
        return tuple(self.stage.outputs(self.plan, *self.values))

    @property
    def log(self) -> Path:
        """What it prints, where the workflow started it."""
        return self.plan.log(self.stage.name, *self.names)

    @property
    def records(self) -> Path:
        """What a sample job says for programs, beside its log."""
        return self.log.with_suffix(".jsonl")

    @property
    def key(self) -> Key:
        """The job as others refer to it."""
        return (self.stage.name, *self.values)

    @property
    def needs(self) -> Iterator[Key]:
        """The jobs that it waits for."""
        return iter(self.stage.needs(self.plan, *self.values))

    @property
    def facts(self) -> dict[str, Any]:
        """What its first output says where it is of the study as it is now; empty where that is not looked at."""
        found = {"settings": settings(self.plan, self.stage.name, *self.values), "design": self.plan.design_settings}
        return {name: found[name] for name in self.stage.says}

    @property
    def made_from(self) -> Facts:
        """What its first output says of the content that it was made from."""
        return self.stage.made_from(self.plan, *self.values)

    @property
    def store(self) -> Path | None:
        """The folder that it works in, without the identity at the end of its name."""
        held = self.stage.stores
        return self.plan.store(self.stage.name, *self.values[:held]) if held else None

    @property
    def shard(self) -> tuple[int, int]:
        """Which of how many writers of that store it is."""
        return (self.values[-1], self.plan.shard_count) if self.stage.name == "sample" else (1, 1)

    @property
    def steps(self) -> tuple[int, int] | None:
        """The steps (first, last] that it trains."""
        if self.stage.name == "train":
            return self.plan.previous(self.values[1]), self.values[1]
        pretrain = self.plan.study.models[self.values[0]].pretrain if self.stage.name == "pretrain" else None
        return (0, pretrain.steps) if pretrain else None

    @property
    def like(self) -> str:
        """Jobs of its stage with the same word take about as long."""
        return self.stage.like(self.plan, *self.values)


def jobs(plan: Plan) -> list[Job]:
    """Every job of a study, after those that it waits for."""
    return [Job(plan, stage, values) for stage in STAGES.values() for values in stage.each(plan)]
