"""Common parts of table rows: keys, strata, numbers of samples, and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from boundary_bench.core.errors import DataError
from boundary_bench.grading import Verdict
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.estimate import Estimate
from boundary_bench.statistics.intervals import Resamples, holding, mean_draws, percentiles
from boundary_bench.statistics.posterior import Counts
from boundary_bench.study.policies import Policy
from boundary_bench.tables.table import ALL, BASE

Rows = dict[str, np.ndarray]


@dataclass(frozen=True)
class Tally:
    """What was counted of a policy on a benchmark.

    Attributes:
        design: the design that its samples were drawn by.
        rows: one entry a problem, see ``tallies.tally``.
    """

    design: Design
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows["n"])

    def __getitem__(self, part_P: np.ndarray) -> Tally:
        return Tally(self.design, {name: values[part_P] for name, values in self.rows.items()})

    @property
    def counts(self) -> Counts:
        """The counts for every estimate."""
        return Counts(self.design, self.rows["n"], self.rows["correct"])

    def pass_at(self, ks: Sequence[int]) -> np.ndarray:
        """pass_PK: the estimate of every problem."""
        return self.counts.pass_at(ks)

    @property
    def sampled(self) -> dict[str, Any]:
        """The numbers of problems and samples of an estimate, and of truncated and unscored samples, as columns."""
        return {
            "problems": len(self),
            "n_max": self.design.n_max,
            "samples": int(self.rows["n"].sum()),
            "truncated": total(self.rows[Verdict.TRUNCATED]),
            "unscored": sum(total(self.rows[verdict]) for verdict in self.design.unscored),
        }


def total(count_P: np.ndarray) -> float:
    """The sum of a count over the problems, NaN where nobody knows it."""
    found = float(count_P.astype(np.float64).sum())
    return found if np.isnan(found) else int(found)


def identify(policy: Policy, benchmark: str) -> dict[str, Any]:
    """The columns that name policy and benchmark; a base model has algorithm "base", no seed, and step 0."""
    run = policy.run
    return {
        "model": policy.model,
        "algorithm": run.algorithm if run else BASE,
        "seed": run.seed if run else "",
        "step": policy.step,
        "policy": policy.name,
        "benchmark": benchmark,
    }


def together(runs: Sequence[Tally]) -> dict[str, float]:
    """``Tally.sampled`` of several runs on the same problems: the most samples of a problem, and sums."""
    each = [run.sampled for run in runs]
    summed = {name: sum(found[name] for found in each) for name in each[0]}
    return {**summed, "problems": len(runs[0]), "n_max": max(found["n_max"] for found in each)}


def strata(stratum_P: Sequence[str]) -> dict[str, np.ndarray]:
    """Positions of the problems of "all" and of each stratum, in the order of names.

    Unnamed strata are left out, as is a single one, which would only repeat "all".

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


def estimate_ends(found: Estimate, i: int | slice = slice(None)) -> dict[str, Any]:
    """The ends of the intervals of an estimate at the ``i``-th k, or at every k."""
    return {
        "low": found.low_K[i],
        "high": found.high_K[i],
        "band_low": found.band_low_K[i],
        "band_high": found.band_high_K[i],
        "samples_only_low": found.samples_low_K[i],
        "samples_only_high": found.samples_high_K[i],
    }


def mean_interval(value_P: np.ndarray, resamples: Resamples, level: float) -> tuple[float, float, float]:
    """The mean over problems of values in [0, 1], and the ends of its interval."""
    draw_B1 = mean_draws(value_P[:, None], resamples, np.zeros(1), np.ones(1))
    mean_1 = value_P.mean(keepdims=True)
    return float(mean_1[0]), *(float(end_1[0]) for end_1 in holding(mean_1, *percentiles(draw_B1, level)))
