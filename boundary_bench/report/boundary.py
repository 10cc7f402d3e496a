"""The numbers behind the boundary map: pass@k and paired differences, averaged over the training seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boundary_bench.measure import null_line
from boundary_bench.plan import Plan, Policy, Run
from boundary_bench.report.tables import Tables
from boundary_bench.statistics.intervals import bootstrap_weights, mean_interval
from boundary_bench.statistics.passk import pass_at_k

Interval = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Boundary:
    """The curves of one algorithm on one benchmark, means over its seeds.

    Attributes:
        base: estimate, low and high of pass@k, with axis K.
        curves: the same of every checkpoint, with axes S (evaluated steps after 0) and K.
        differences: the same of the paired difference, checkpoint minus base.
        null: pass@k of random valid responses; NaN where unknown.
    """

    base: Interval
    curves: Interval
    differences: Interval
    null: np.ndarray


def boundary(plan: Plan, tables: Tables, model: str, algorithm: str, benchmark: str) -> Boundary:
    """Seed-averaged pass@k and paired differences, each with its interval over problems.

    The values of a problem are averaged over the seeds first, then the problems are resampled, so that the
    interval is that of the mean over these seeds.
    """
    analysis, ks = plan.study.analysis, plan.study.ks

    def of(policy: Policy) -> np.ndarray:
        counts = tables.counts[policy.name, benchmark]
        return pass_at_k(counts["n"], counts["correct"], ks)

    base_PK = of(Policy(model, None, 0))
    weight_BP = bootstrap_weights(len(base_PK), analysis.resamples, analysis.seed)

    def intervals(value_SPK: list[np.ndarray]) -> Interval:
        estimate, low, high = zip(*(mean_interval(v, weight_BP, analysis.level) for v in value_SPK), strict=True)
        return np.array(estimate), np.array(low), np.array(high)

    runs = [Run(model, algorithm, seed) for seed in plan.study.seeds]
    steps = plan.study.evaluate.steps[1:]
    mean_SPK = [np.mean([of(Policy(model, run, step)) for run in runs], 0) for step in steps]
    return Boundary(
        mean_interval(base_PK, weight_BP, analysis.level),
        intervals(mean_SPK),
        intervals([mean_PK - base_PK for mean_PK in mean_SPK]),
        null_line(tables.counts[model, benchmark]["chance"], ks),
    )
