"""The tables of means over the training seeds: what the figures show, with the intervals that readers quote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from boundary_bench.analysis.compare import crossover_cells, difference_rows
from boundary_bench.analysis.means import Boundary, Checkpoint
from boundary_bench.analysis.rows import interval_columns
from boundary_bench.plan import Plan
from boundary_bench.plan.stages import identity
from boundary_bench.statistics.intervals import METHODS
from boundary_bench.tables.registry import ALL
from boundary_bench.tables.writing import number


def difference_means(plan: Plan, place: tuple[str, str, str], found: Boundary) -> Iterator[dict[str, str]]:
    """``mean_differences.csv`` of one boundary: ``differences.csv`` of the mean, and how far the seeds lie apart."""
    for checkpoint in found.checkpoints:
        where = _where(place, checkpoint)
        alone = [found.base.estimate_K, checkpoint.curve.estimate_K]
        rows = difference_rows(plan, alone, checkpoint.difference, where, {})
        for i, row in enumerate(rows):
            yield _written(plan, checkpoint, {**row, **_curve_cells(checkpoint, i), **_seed_cells(plan, checkpoint, i)})


def boundary_means(plan: Plan, place: tuple[str, str, str], found: Boundary) -> Iterator[dict[str, str]]:
    """``mean_boundary.csv`` of one boundary: where the mean over the seeds and its base cross."""
    for checkpoint in found.checkpoints:
        cells = {**crossover_cells(checkpoint.crossover), **interval_columns(plan.study.analysis, METHODS)}
        yield _written(plan, checkpoint, {**_where(place, checkpoint), **cells, "seeds": len(plan.study.seeds)})


def _where(place: tuple[str, str, str], checkpoint: Checkpoint) -> dict[str, Any]:
    model, algorithm, benchmark = place
    whose = {"model": model, "algorithm": algorithm, "step": checkpoint.step}
    return {**whose, "benchmark": benchmark, "stratum": ALL}


def _curve_cells(checkpoint: Checkpoint, i: int) -> dict[str, Any]:
    curve = checkpoint.curve
    ends = {"low": curve.low_K, "high": curve.high_K, "band_low": curve.band_low_K, "band_high": curve.band_high_K}
    return {f"checkpoint_{name}": end_K[i] for name, end_K in ends.items()}


def _seed_cells(plan: Plan, checkpoint: Checkpoint, i: int) -> dict[str, Any]:
    found = checkpoint.seeds
    return {
        "seeds": len(plan.study.seeds),
        "seed_lowest": found.lowest_K[i],
        "seed_highest": found.highest_K[i],
        "seed_deviation": found.deviation_K[i],
        "other_seeds_low": found.low_K[i],
        "other_seeds_high": found.high_K[i],
    }


def _written(plan: Plan, checkpoint: Checkpoint, row: dict[str, Any]) -> dict[str, str]:
    """A row as a table has it: what it rests on, what made it, and numbers as they are written."""
    made_with = identity(plan, "report")
    return {name: number(cell) for name, cell in {**row, **checkpoint.counted, "settings": made_with}.items()}
