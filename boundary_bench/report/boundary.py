"""The numbers behind the boundary map: pass@k and paired differences, averaged over the training seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boundary_bench.measure import null_line
from boundary_bench.plan import Plan
from boundary_bench.policies import Policy, Run
from boundary_bench.report.tables import Tables
from boundary_bench.rows import counts_of, resampled
from boundary_bench.statistics.estimate import Estimate, Terms, estimate
from boundary_bench.statistics.paired import Change, Crossover, changes, crossover
from boundary_bench.statistics.posterior import Counts


@dataclass(frozen=True)
class Checkpoint:
    """A step of an algorithm, as the mean over its seeds: its curve, and what has changed from the base."""

    step: int
    curve: Estimate
    difference: Estimate
    changes: list[Change]
    crossover: Crossover


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


def boundaries(plan: Plan, tables: Tables) -> Boundaries:
    """The boundary of every model, benchmark and algorithm."""
    study = plan.study
    return {
        (model, benchmark): {name: boundary(plan, tables, model, name, benchmark) for name in study.algorithms}
        for model in study.models
        for benchmark in study.benchmarks
    }


def boundary(plan: Plan, tables: Tables, model: str, algorithm: str, benchmark: str) -> Boundary:
    """Seed-averaged pass@k and paired differences, each with its intervals over problems.

    The values of a problem are averaged over the seeds first, then the problems are resampled, so that the
    interval is that of the mean over these seeds.
    """
    analysis, ks = plan.study.analysis, plan.study.ks
    rows = tables.counts[model, benchmark]
    resamples = resampled(analysis, len(rows["n"]))

    def counts(policy: Policy) -> Counts:
        return counts_of(tables.counts[policy.name, benchmark])

    def curve(terms: Terms) -> Estimate:
        return estimate(plan.design, ks, terms, resamples, analysis.level)

    base = counts(Policy(model, None, 0))
    checkpoints = []
    for step in plan.study.evaluate.steps[1:]:
        policies = [Policy(model, Run(model, algorithm, seed), step) for seed in plan.study.seeds]
        mean = [(1 / len(policies), counts(policy)) for policy in policies]
        difference = curve([*mean, (-1, base)])
        crossing = crossover(ks, difference.estimate_K, difference.draw_BK, analysis.level)
        verdicts = changes(difference, analysis.margin, analysis.level)
        checkpoints.append(Checkpoint(step, curve(mean), difference, verdicts, crossing))
    return Boundary(curve([(1, base)]), checkpoints, null_line(rows["chance"], ks))
