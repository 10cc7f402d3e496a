"""Rows of tables: whose they are, what they were made from, and how they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from boundary_bench.core.errors import DataError
from boundary_bench.grading import Verdict
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.intervals import INTERVAL, Resamples, holding, mean_draws, percentiles, resample
from boundary_bench.statistics.posterior import Counts
from boundary_bench.study.analysis import Analysis
from boundary_bench.study.policies import Policy
from boundary_bench.tables.table import ALL, BASE

Rows = dict[str, np.ndarray]


def identify(policy: Policy, benchmark: str) -> dict[str, Any]:
    """The columns that say whose row it is; a base model has algorithm "base", no seed, and step 0."""
    run = policy.run
    return {
        "model": policy.model,
        "algorithm": run.algorithm if run else BASE,
        "seed": run.seed if run else "",
        "step": policy.step,
        "policy": policy.name,
        "benchmark": benchmark,
    }


def strata(stratum_P: Sequence[str]) -> dict[str, np.ndarray]:
    """Positions of the problems of "all", and of each stratum in the order of their names.

    Unnamed strata are left out, and a single one, which would only repeat "all".

    Raises:
        DataError: a stratum has the name "all".
    """
    labels_P = np.asarray(stratum_P, str)
    names = sorted({str(name) for name in labels_P} - {""})
    if ALL in names:
        raise DataError(f"found a stratum {ALL!r}, which is the name of all problems together; give it another name")
    everyone = {ALL: np.arange(len(labels_P))}
    if len(names) < 2:
        return everyone
    return everyone | {name: np.flatnonzero(labels_P == name) for name in names}


@dataclass(frozen=True)
class Setup:
    """How counts become statements.

    Attributes:
        design: when a problem was sampled enough; for n samples of every problem, ``Design((n,))``.
        ks: the values of k that are reported.
        analysis: level, resamples, margin and seed of the intervals.
    """

    design: Design
    ks: Sequence[int]
    analysis: Analysis = field(default_factory=Analysis)

    @property
    def level(self) -> float:
        """Confidence level of every interval."""
        return self.analysis.level

    def resampled(self, problems: int) -> Resamples:
        """The resamples of a set of problems: the same for every policy, so that comparisons are paired."""
        return resample(problems, self.analysis.resamples, self.analysis.seed)

    @property
    def intervals(self) -> dict[str, Any]:
        """The columns that say of which kind ``low`` and ``high`` are."""
        return {"level": self.level, "interval": INTERVAL}


def counts_of(rows: Rows) -> Counts:
    """The counts that every estimate is made from."""
    return Counts(rows["n"], rows["correct"])


def sampling_columns(design: Design, rows: Rows) -> dict[str, Any]:
    """How much was sampled for an estimate, and what of it was cut off or could not be scored."""
    return {
        "problems": len(rows["n"]),
        "n_max": design.n_max,
        "samples": int(rows["n"].sum()),
        "truncated": int(rows[Verdict.TRUNCATED].sum()),
        "unscored": int(sum(rows[verdict].sum() for verdict in design.unscored)),
    }


def mean_interval(value_P: np.ndarray, resamples: Resamples, level: float) -> tuple[float, float, float]:
    """Mean over problems of values in [0, 1], with its interval."""
    draw_B1 = mean_draws(value_P[:, None], resamples, np.zeros(1), np.ones(1))
    mean_1 = value_P.mean(keepdims=True)
    return float(mean_1[0]), *(float(end_1[0]) for end_1 in holding(mean_1, *percentiles(draw_B1, level)))
