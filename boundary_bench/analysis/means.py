"""The boundary as the mean over the training seeds, for the boundary map and the tables of means with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from boundary_bench.analysis.compare import crossover_cells, difference_rows
from boundary_bench.analysis.measure import null_line
from boundary_bench.analysis.rows import Tally, estimate_ends, together
from boundary_bench.statistics.estimate import Estimate, Terms, estimate
from boundary_bench.statistics.paired import Crossover, crossover
from boundary_bench.statistics.training_seeds import Seeds, over_seeds
from boundary_bench.study.analysis import Setup
from boundary_bench.tables.table import ALL


@dataclass(frozen=True)
class Checkpoint:
    """A step of an algorithm as the mean over its seeds: its curve, and its difference from the base.

    Attributes:
        seeds: spread of the seeds' differences, and the interval widened by it.
        runs: number of training seeds in the mean.
        counted: numbers of samples of all seeds together, as columns of the tables.
    """

    step: int
    curve: Estimate
    difference: Estimate
    crossover: Crossover
    seeds: Seeds
    runs: int
    counted: dict[str, int]


@dataclass(frozen=True)
class Boundary:
    """The boundary of one algorithm on one benchmark over training.

    Attributes:
        null: pass@k of random valid responses; NaN if unknown.
    """

    base: Estimate
    checkpoints: list[Checkpoint]
    null: np.ndarray


#: The boundary of every algorithm, for each (model, benchmark).
Boundaries = dict[tuple[str, str], dict[str, Boundary]]


def boundary(setup: Setup, base: Tally, runs_of: Mapping[int, Sequence[Tally]]) -> Boundary:
    """Seed-averaged pass@k and paired differences, each with its intervals over problems.

    The values of a problem are averaged over the seeds first, then the problems are resampled, so the interval belongs
    to the mean over these seeds.

    Args:
        runs_of: every training seed, by step.
    """
    ks, level, resamples = setup.ks, setup.level, setup.resampled(len(base))

    def curve(terms: Terms) -> Estimate:
        return estimate(ks, terms, resamples, level)

    alone = curve([(1, base.counts)])
    checkpoints = []
    for step, runs in runs_of.items():
        mean = [(1 / len(runs), run.counts) for run in runs]
        found = curve([*mean, (-1, base.counts)])
        crossing = crossover(ks, found.estimate_K, found.draw_BK, level)
        each_SK = [run.pass_at(ks).mean(0) for run in runs]
        seeds = over_seeds(np.stack(each_SK) - alone.estimate_K, found.low_K, found.high_K, level)
        counted = {**together(runs), "samples_base": int(base.rows["n"].sum())}
        checkpoints.append(Checkpoint(step, curve(mean), found, crossing, seeds, len(runs), counted))
    return Boundary(alone, checkpoints, null_line(base.rows["chance"], ks))


def difference_means(setup: Setup, place: tuple[str, str, str], found: Boundary) -> Iterator[dict[str, Any]]:
    """The rows of ``mean_differences`` of one boundary: the mean, and the spread of the seeds.

    Args:
        place: model, algorithm and benchmark.
    """
    for checkpoint in found.checkpoints:
        alone = [found.base.estimate_K, checkpoint.curve.estimate_K]
        rows = difference_rows(setup, alone, checkpoint.difference, _where(place, checkpoint), {})
        for i, row in enumerate(rows):
            yield {**row, **_curve_cells(checkpoint, i), **_seed_cells(checkpoint, i), **checkpoint.counted}


def boundary_means(setup: Setup, place: tuple[str, str, str], found: Boundary) -> Iterator[dict[str, Any]]:
    """The rows of ``mean_boundary`` of one boundary: the crossover of the mean over the seeds and its base."""
    for checkpoint in found.checkpoints:
        cells = {**crossover_cells(checkpoint.crossover), **setup.intervals, "seeds": checkpoint.runs}
        yield {**_where(place, checkpoint), **cells, **checkpoint.counted}


def _where(place: tuple[str, str, str], checkpoint: Checkpoint) -> dict[str, Any]:
    model, algorithm, benchmark = place
    whose = {"model": model, "algorithm": algorithm, "step": checkpoint.step}
    return {**whose, "benchmark": benchmark, "stratum": ALL}


def _curve_cells(checkpoint: Checkpoint, i: int) -> dict[str, Any]:
    ends = estimate_ends(checkpoint.curve, i)
    return {f"checkpoint_{name}": ends[name] for name in ("low", "high", "band_low", "band_high")}


def _seed_cells(checkpoint: Checkpoint, i: int) -> dict[str, Any]:
    found = checkpoint.seeds
    return {
        "seeds": checkpoint.runs,
        "seed_lowest": found.lowest_K[i],
        "seed_highest": found.highest_K[i],
        "seed_deviation": found.deviation_K[i],
        "other_seeds_low": found.low_K[i],
        "other_seeds_high": found.high_K[i],
    }
