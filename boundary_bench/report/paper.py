"""The main tables in the size of a paper: the base and the last checkpoints, few k, means over training seeds.

The compact tables have a line for every checkpoint and seed, which is too long for a paper.
"""

from __future__ import annotations

import numpy as np

from boundary_bench.analysis.means import Boundary
from boundary_bench.core.text import attempts, decimals, percent
from boundary_bench.plan import Plan
from boundary_bench.report import drawing
from boundary_bench.report.figures.style import intervals, level, over_seeds
from boundary_bench.report.tables import Tables
from boundary_bench.statistics.estimate import Estimate
from boundary_bench.statistics.paired import Change, changes
from boundary_bench.tables.formats import Pivot
from boundary_bench.tables.table import ALL, Row

#: Most columns of k.
COLUMNS = 6
MARKS = {
    Change.SHRUNK: "\N{DOWNWARDS ARROW}",
    Change.EXPANDED: "\N{UPWARDS ARROW}",
    Change.UNCHANGED: "=",
    Change.UNDECIDED: "",
}


def paper_tables(plan: Plan, tables: Tables) -> dict[str, dict[str, Pivot]]:
    """The tables ``pass_at_k`` and ``boundary``, one for every model and benchmark, by their names."""
    study = plan.study
    found: dict[str, dict[str, Pivot]] = {"pass_at_k": {}, "boundary": {}}
    for model in study.models:
        for benchmark in study.benchmarks:
            curves = tables.boundaries[model, benchmark]
            # names contain no two hyphens in a row, so labels are unique
            name = f"{model}--{benchmark}" if len(study.models) > 1 else benchmark
            found["pass_at_k"][name] = _pass_at_k(plan, curves, model, benchmark)
            found["boundary"][name] = _boundary(plan, tables, curves, model, benchmark)
    return found


def chosen(ks: list[int]) -> list[int]:
    """Places of at most six k: the smallest, the largest, and others evenly between them.

    >>> chosen([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
    [0, 2, 4, 6, 8, 10]
    """
    return sorted({round(place) for place in np.linspace(0, len(ks) - 1, COLUMNS)})


def _pass_at_k(plan: Plan, curves: dict[str, Boundary], model: str, benchmark: str) -> Pivot:
    """Two lines a policy: pass@k with a mark for its change, and below it the interval."""
    places = chosen(plan.study.ks)
    first, analysis = next(iter(curves.values())), plan.study.analysis
    known = not np.isnan(first.null).any()
    rows = _lines("base", first.base, [""] * len(plan.study.ks), places)
    for name, curve in curves.items():
        last = curve.checkpoints[-1]
        marks = [MARKS[change] for change in changes(last.difference, analysis.margin, analysis.level)]
        rows += _lines(name, last.curve, marks, places)
    if known:
        rows.append(["random", *(percent(first.null[place]) for place in places)])
    null = "random: uniformly random valid responses. " if known else ""
    margin = f"{100 * analysis.margin:g}"
    title = (
        f"pass@k in percent {_whose(plan, curves, model, benchmark)} In brackets: {intervals(plan)}. Change from the "
        f"base, problem by problem: {MARKS[Change.SHRUNK]} shrunk, {MARKS[Change.EXPANDED]} expanded (the band of the "
        f"difference over all k excludes 0), {MARKS[Change.UNCHANGED]} unchanged within {margin} points. "
        f"{null}{_settings(plan, len(first.base.value_PK))}"
    )
    return Pivot(title, ["", *(f"k={plan.study.ks[place]}" for place in places)], rows, 1)


def _lines(name: str, found: Estimate, marks: list[str], places: list[int]) -> list[list[str]]:
    estimates = [percent(found.estimate_K[place]) + marks[place] for place in places]
    intervals = [f"[{percent(found.low_K[place])}, {percent(found.high_K[place])}]" for place in places]
    return [[name, *estimates], ["", *intervals]]


def _boundary(plan: Plan, tables: Tables, curves: dict[str, Boundary], model: str, benchmark: str) -> Pivot:
    """Two lines an algorithm: crossover, gap, problems gained and lost, the four sets; below, intervals and ranges."""
    sets = {"both": "both", "base only": "base_only", "RL only": "checkpoint_only", "neither": "neither"}
    rows, ks, found_falsely = [], plan.study.ks, 100 - 100 * plan.study.analysis.level
    for name, curve in curves.items():
        last, crossed = curve.checkpoints[-1], curve.checkpoints[-1].crossover
        place = {"model": model, "algorithm": name, "step": str(last.step), "benchmark": benchmark, "stratum": ALL}
        counts = [_over_seeds(tables.rows["boundary"], column, place) for column in ("gained", "lost")]
        counts += [_over_seeds(tables.rows["coverage"], column, place | {"hits": "1"}) for column in sets.values()]
        means, spreads = zip(*counts, strict=True)
        k, low, high = (crossing(plan, value, "never") for value in (crossed.k, crossed.low, crossed.high))
        gap = percent(curve.base.estimate_K[-1] - last.curve.estimate_K[0])
        leader = {"checkpoint": "RL", "base": "base", "": "none"}[crossed.leader]
        rows += [[name, leader, k, gap, *means], ["", "", f"[{low}, {high}]", "", *spreads]]
    title = (
        f"The boundary {_whose(plan, curves, model, benchmark)} Who leads at small k, and the k at which it is "
        f"overtaken with its {level(plan)} interval; gap: pass@{ks[-1]} of the base minus pass@{ks[0]} after training, "
        f"in points; problems whose success rate rose and fell (false-discovery rate {found_falsely:g} %); problems "
        "solved at least once by both, by one only, by neither"
        + (", means over the seeds with the least and the most. " if plan.most_seeds > 1 else ". ")
        + _settings(plan, len(next(iter(curves.values())).base.value_PK))
    )
    return Pivot(title, ["", "leads", "overtaken", "gap", "gained", "lost", *sets], rows, 2)


def crossing(plan: Plan, k: float, never: str) -> str:
    """Where the leader is overtaken: infinity is up to no k, 0 from the smallest on."""
    return never if np.isinf(k) else attempts(k) if k else f"below {plan.study.ks[0]}"


def _over_seeds(rows: list[Row], column: str, place: dict[str, str]) -> tuple[str, str]:
    """The mean of a count over the seeds, and its range if there are several."""
    counts = [float(row[column]) for row in rows if place.items() <= row.items()]
    mean = decimals(np.mean(counts), 1).removesuffix(".0")
    return mean, f"[{min(counts):g}, {max(counts):g}]" if len(counts) > 1 else ""


def _whose(plan: Plan, curves: dict[str, Boundary], model: str, benchmark: str) -> str:
    last = sorted({curve.checkpoints[-1].step for curve in curves.values()})
    steps = f"{last[0]} steps" if len(last) == 1 else f"the last step of each ({', '.join(map(str, last))})"
    return f"of {model} on {benchmark}, before training (base) and after {steps}, {over_seeds(plan)}."


def _settings(plan: Plan, problems: int) -> str:
    return f"{problems} problems, {drawing.designs(plan)}, {', '.join(drawing.settings(plan))}."
