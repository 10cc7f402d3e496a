"""The jobs of a study, the same as the workflow's. Only the study is read."""

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
        """Stage and ``names`` in one text: "train base--grpo--seed0 step40"."""
        return " ".join((self.stage.name, *self.names))

    @property
    def names(self) -> tuple[str, ...]:
        """Its wildcard values as text; see ``Stage.title``."""
        return self.stage.title(self.plan, *self.values)

    @cached_property
    def outputs(self) -> tuple[Path, ...]:
        """The declared files."""
        return tuple(self.stage.outputs(self.plan, *self.values))

    @property
    def log(self) -> Path:
        """The log of its output, if the workflow started it."""
        return self.plan.log(self.stage.name, *self.names)

    @property
    def records(self) -> Path:
        """The machine-readable progress of a sample job, beside its log."""
        return self.log.with_suffix(".jsonl")

    @property
    def key(self) -> Key:
        """Stage name and wildcard values, by which other jobs refer to it."""
        return (self.stage.name, *self.values)

    @property
    def needs(self) -> Iterator[Key]:
        """The jobs that it waits for."""
        return iter(self.stage.needs(self.plan, *self.values))

    @property
    def facts(self) -> dict[str, Any]:
        """Facts that its first output must carry to be up to date; empty if it is not checked."""
        found = {"settings": settings(self.plan, self.stage.name, *self.values), "design": self.plan.design.record()}
        return {name: found[name] for name in self.stage.says}

    @property
    def made_from(self) -> Facts:
        """Facts of its first output that name the content it was made from."""
        return self.stage.made_from(self.plan, *self.values)

    @property
    def store(self) -> Path | None:
        """Its store folder without the identity at the end of the name; None if it has no store."""
        held = self.stage.stores
        return self.plan.store(self.stage.name, *map(str, self.values[:held])) if held else None

    @property
    def shard(self) -> tuple[int, int]:
        """Its shard, from 1 on, and the number of shards that write to the store."""
        return (self.values[-1], self.plan.shard_count) if self.stage.name == "sample" else (1, 1)

    @property
    def steps(self) -> tuple[int, int] | None:
        """The training steps (first, last] of the job; None if it trains nothing."""
        if self.stage.name == "train":
            return self.plan.previous(self.values[1]), self.values[1]
        pretrain = self.plan.study.models[self.values[0]].pretrain if self.stage.name == "pretrain" else None
        return (0, pretrain.steps) if pretrain else None

    @property
    def like(self) -> str:
        """A label; jobs of one stage with the same label take about as long."""
        return self.stage.like(self.plan, *self.values)


def jobs(plan: Plan) -> list[Job]:
    """Every job of a study, each after the jobs that it waits for."""
    return [Job(plan, stage, values) for stage in STAGES.values() for values in stage.each(plan)]
