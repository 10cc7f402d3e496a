"""The runs and policies of a study, and their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One training run, made here or given; ``algorithm`` is its label."""

    model: str
    algorithm: str
    seed: int

    @property
    def name(self) -> str:
        """The name in files and tables."""
        return f"{self.model}--{self.algorithm}--seed{self.seed}"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Policy:
    """A model that is sampled: a base model (``run`` is None, step 0) or a checkpoint of a run."""

    model: str
    run: Run | None
    step: int

    @property
    def name(self) -> str:
        """The name in files and tables."""
        return self.model if self.run is None else f"{self.run.name}--step{self.step}"

    def __str__(self) -> str:
        return self.name


def one_of(names: Iterable[object]) -> str:
    """A regular expression that matches exactly these names; without any, nothing."""
    return "|".join(re.escape(str(name)) for name in names) or "(?!)"
