"""The data behind the page's panels: pure functions from a study's tables to what JSON can hold.

Numbers have five significant digits, and None stands for a value that does not exist. Rows of a table become columns:
one list a column, which is smaller than one object a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np

from boundary_bench.analysis.means import Boundary
from boundary_bench.grading import VERDICTS
from boundary_bench.plan import Plan
from boundary_bench.report.figures.dynamics import entropy_column, running_mean, window
from boundary_bench.report.tables import Row, Tables
from boundary_bench.statistics.estimate import Estimate
from boundary_bench.tables.table import ALL

#: A panel draws no more points of a training log: its running mean moves little between two of them.
POINTS = 400
#: The ends of a curve's intervals, and the columns of the tables that they are in.
_ENDS = {
    "band_low": "band_low",
    "band_high": "band_high",
    "problems_low": "low",
    "problems_high": "high",
    "samples_low": "samples_only_low",
    "samples_high": "samples_only_high",
}
_SETS = ("both", "base_only", "checkpoint_only", "neither")
_HALVES = ("base_only_at_half", "checkpoint_only_at_half", "null_at_half")
_GREEDY = ("greedy", "greedy_low", "greedy_high")


def blocks(plan: Plan, tables: Tables) -> dict[str, Any]:
    """Every block of data that the page embeds, by the id it is found under."""
    return {
        "data-study": study(plan),
        "data-curves": curves(plan, tables),
        "data-training": training(plan, tables),
        "data-summary": summary(tables),
        "data-coverage": coverage(tables),
    }


def study(plan: Plan) -> dict[str, Any]:
    """What can be chosen, and the numbers that every panel draws against."""
    asked = plan.study
    return {
        "models": list(asked.models),
        "algorithms": list(asked.algorithms),
        "benchmarks": list(asked.benchmarks),
        "seeds": [str(seed) for seed in asked.seeds],
        "steps": asked.evaluate.steps,
        "ks": asked.ks,
        "margin": asked.analysis.margin,
        "verdicts": list(VERDICTS),
    }


def rounded(value: Any) -> float | None:
    """A number with five significant digits; None where it is not finite.

    >>> [rounded(x) for x in ("0.1234567", 2, float("inf"), "")]
    [0.12346, 2.0, None, None]
    """
    number = float(value if value != "" else "nan")
    return float(f"{number:.5g}") if math.isfinite(number) else None


def _list(values: Iterable[Any]) -> list[float | None]:
    return [rounded(value) for value in values]


def columns(rows: Sequence[Row], names: Iterable[str], numbers: Iterable[str]) -> dict[str, list[Any]]:
    """Some rows as columns: names as they are, numbers rounded."""
    texts = {name: [row[name] for row in rows] for name in names}
    return texts | {name: _list(row[name] for row in rows) for name in numbers}


# boundary


def curves(plan: Plan, tables: Tables) -> list[dict[str, Any]]:
    """pass@k and differences of every model and benchmark: the mean over seeds, and each seed where there are several.

    A course is the checkpoints of an algorithm; the mean over seeds has the seed "".
    """
    each_seed = _courses(tables) if len(plan.study.seeds) > 1 else {}
    views = []
    for (model, benchmark), by_algorithm in tables.boundaries.items():
        first = next(iter(by_algorithm.values()))
        courses = [_mean(algorithm, boundary) for algorithm, boundary in by_algorithm.items()]
        for algorithm, seed in product(plan.study.algorithms, map(str, plan.study.seeds)):
            if each_seed:
                courses.append({"algorithm": algorithm, "seed": seed, **each_seed[model, benchmark, algorithm, seed]})
        views.append(
            {
                "model": model,
                "benchmark": benchmark,
                "problems": len(first.base.value_PK),
                "samples": plan.design.n_max,
                "null": None if np.isnan(first.null).any() else _list(first.null),
                "base": _curve(first.base),
                "courses": courses,
            }
        )
    return views


def _mean(algorithm: str, found: Boundary) -> dict[str, Any]:
    """The mean over the seeds."""
    checkpoints = [
        {
            "step": checkpoint.step,
            "curve": _curve(checkpoint.curve),
            "difference": _curve(checkpoint.difference),
            "crossover": _list([checkpoint.crossover.k, checkpoint.crossover.low, checkpoint.crossover.high]),
        }
        for checkpoint in found.checkpoints
    ]
    return {"algorithm": algorithm, "seed": "", "checkpoints": checkpoints}


def _curve(found: Estimate) -> dict[str, list[float | None]]:
    return {
        "estimate": _list(found.estimate_K),
        "band_low": _list(found.band_low_K),
        "band_high": _list(found.band_high_K),
        "problems_low": _list(found.low_K),
        "problems_high": _list(found.high_K),
        "samples_low": _list(found.samples_low_K),
        "samples_high": _list(found.samples_high_K),
    }


def _courses(tables: Tables) -> dict[tuple[str, ...], dict[str, Any]]:
    """The checkpoints of every run on every benchmark, as the tables have them."""
    names = ("model", "benchmark", "algorithm", "seed")
    curve, difference = _by_checkpoint(tables.pass_at_k), _by_checkpoint(tables.differences)
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in tables.boundary:
        if row["stratum"] != ALL:
            continue
        run = tuple(row[name] for name in names)
        checkpoint = {
            "step": int(row["step"]),
            "curve": _rows_curve(curve[*run, row["step"]], "estimate"),
            "difference": _rows_curve(difference[*run, row["step"]], "difference"),
            "crossover": _list(row[f"crossover{end}"] for end in ("", "_low", "_high")),
        }
        found.setdefault(run, {"checkpoints": []})["checkpoints"].append(checkpoint)
    return found


def _by_checkpoint(rows: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    """The rows of each checkpoint, one for every k."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row["stratum"] == ALL:
            key = tuple(row[name] for name in ("model", "benchmark", "algorithm", "seed", "step"))
            found.setdefault(key, []).append(row)
    return found


def _rows_curve(rows: Sequence[Row], name: str) -> dict[str, list[float | None]]:
    return {key: _list(row[column] for row in rows) for key, column in {"estimate": name, **_ENDS}.items()}


# training and evaluated policies


def training(plan: Plan, tables: Tables) -> dict[str, Any]:
    """Reward, entropy and response length of every run: a running mean, of which every so many steps are kept."""
    steps = plan.study.training.segments[-1]
    stride = max(1, math.ceil(steps / POINTS))
    logs: dict[tuple[str, ...], list[Row]] = {}
    for row in tables.training:
        logs.setdefault((row["model"], row["algorithm"], row["seed"]), []).append(row)
    runs = []
    for (model, algorithm, seed), log in logs.items():
        smooth = {
            name: _list(running_mean(np.array([float(row[name] or "nan") for row in log]), window(plan))[::stride])
            for name in ("reward", "entropy", "response_length")
        }
        who = {"model": model, "algorithm": algorithm, "seed": seed}
        runs.append({**who, "step": [int(row["step"]) for row in log[::stride]], **smooth})
    return {"window": window(plan), "runs": runs}


def summary(tables: Tables) -> dict[str, Any]:
    """Entropies, greedy accuracy and shares of every verdict, one row a policy and benchmark."""
    rows = [row for row in tables.summary if row["stratum"] == ALL]
    entropy, label = entropy_column(rows)
    numbers = (entropy, "answer_entropy_chao_shen", *_GREEDY, *(f"{name}_share" for name in VERDICTS))
    found = columns(rows, ("model", "benchmark", "algorithm", "seed", "step"), numbers)
    return {"entropy": label, "columns": found | {"token_entropy": found[entropy]}}


def coverage(tables: Tables) -> dict[str, list[Any]]:
    """Problems solved by both, by one and by none, one row a checkpoint, benchmark and rule."""
    rows = [row for row in tables.coverage if row["stratum"] == ALL]
    names = ("model", "benchmark", "algorithm", "seed", "step", "hits")
    return columns(rows, names, (*_SETS, *_HALVES))
