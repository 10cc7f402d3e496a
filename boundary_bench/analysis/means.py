"""The numbers behind the boundary map: pass@k and paired differences, averaged over the training seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from boundary_bench.analysis.measure import null_line
from boundary_bench.analysis.rows import Rows, counts_of, resampled, sampling_columns
from boundary_bench.plan import Plan
from boundary_bench.statistics.estimate import Estimate, Terms, estimate
from boundary_bench.statistics.paired import Crossover, crossover
from boundary_bench.statistics.sequential import sequential_pass_at_k
from boundary_bench.statistics.training_seeds import Seeds, over_seeds
from boundary_bench.study.policies import Policy, Run


@dataclass(frozen=True)
class Checkpoint:
    """A step of an algorithm, as the mean over its seeds: its curve, and what has changed from the base.

    Attributes:
        seeds: how far the seeds lie apart in their differences, and what that adds to the interval.
        counted: how much was sampled, all seeds together, as the tables say it.
    """

    step: int
    curve: Estimate
    difference: Estimate
    crossover: Crossover
    seeds: Seeds
    counted: dict[str, int]


@dataclass(frozen=True)
class Boundary:
    """The boundary of one algorithm on one benchmark over training.

    Attributes:
        null: pass@k of random valid responses; NaN where unknown.
    """

    base: Estimate
    checkpoints: list[Checkpoint]
    null: np.ndarray


#: The boundary of every algorithm, of each (model, benchmark).
Boundaries = dict[tuple[str, str], dict[str, Boundary]]
#: What is compared of each (policy name, benchmark), one entry a problem.
Measured = Mapping[tuple[str, str], Rows]


def boundaries(plan: Plan, measured: Measured) -> Boundaries:
    """Every boundary of a study, in its order."""
    study = plan.study
    return {
        (model, benchmark): {name: boundary(plan, measured, model, name, benchmark) for name in study.algorithms}
        for benchmark in study.benchmarks
        for model in study.models
    }


def boundary(plan: Plan, measured: Measured, model: str, algorithm: str, benchmark: str) -> Boundary:
    """Seed-averaged pass@k and paired differences, each with its intervals over problems.

    The values of a problem are averaged over the seeds first, then the problems are resampled, so that the
    interval is that of the mean over these seeds.
    """
    analysis, ks = plan.study.analysis, plan.study.ks
    base_rows = measured[model, benchmark]
    resamples = resampled(analysis, len(base_rows["n"]))

    def curve(terms: Terms) -> Estimate:
        return estimate(plan.design, ks, terms, resamples, analysis.level)

    base = curve([(1, counts_of(base_rows))])
    checkpoints = []
    for step in plan.study.evaluate.steps[1:]:
        policies = [Policy(model, Run(model, algorithm, seed), step) for seed in plan.study.seeds]
        runs = [measured[policy.name, benchmark] for policy in policies]
        mean = [(1 / len(runs), counts_of(rows)) for rows in runs]
        found = curve([*mean, (-1, counts_of(base_rows))])
        crossing = crossover(ks, found.estimate_K, found.draw_BK, analysis.level)
        each_SK = [sequential_pass_at_k(plan.design, rows["n"], rows["correct"], ks).mean(0) for rows in runs]
        seeds = over_seeds(np.stack(each_SK) - base.estimate_K, found.low_K, found.high_K, analysis.level)
        drawn = {name: np.concatenate([rows[name] for rows in runs]) for name in base_rows}
        counted = {**sampling_columns(plan.design, drawn), "problems": len(base_rows["n"])}
        counted["samples_base"] = int(base_rows["n"].sum())
        checkpoints.append(Checkpoint(step, curve(mean), found, crossing, seeds, counted))
    return Boundary(base, checkpoints, null_line(base_rows["chance"], ks))
