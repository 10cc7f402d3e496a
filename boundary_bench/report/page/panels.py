"""The panels of the page: a text on reading each, and its data, from a study's tables to JSON.

The function ``panels[id]`` of a script ``panels-*.js`` draws a panel. Numbers have five significant digits, and None
stands for a missing value. Rows of a table become one list a column, which is smaller than one object a row.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from operator import itemgetter
from typing import Any

import numpy as np

from boundary_bench.analysis.means import Boundary
from boundary_bench.analysis.rows import estimate_ends
from boundary_bench.core.text import rounded
from boundary_bench.grading import VERDICTS
from boundary_bench.plan import Plan
from boundary_bench.report.figures.dynamics import entropy_column, running_mean, window
from boundary_bench.report.tables import Tables
from boundary_bench.statistics.estimate import Estimate
from boundary_bench.tables.table import RUN_KEYS, Row

#: Most points of a training log in a panel; its running mean moves little between two of them.
POINTS = 400
#: The ends of a curve's intervals, and their columns in the tables.
_ENDS = {
    "band_low": "band_low",
    "band_high": "band_high",
    "problems_low": "low",
    "problems_high": "high",
    "samples_low": "samples_only_low",
    "samples_high": "samples_only_high",
}
_WHO = ("model", "benchmark", "algorithm", "seed", "step")


def study(plan: Plan) -> dict[str, Any]:
    """The study's choices (models, algorithms, ...), and the numbers that all panels share."""
    asked = plan.study
    return {
        "models": list(asked.models),
        "algorithms": plan.labels,
        "benchmarks": list(asked.benchmarks),
        # of courses with one seed each there is nothing to choose
        "seeds": [str(seed) for seed in plan.seeds[: None if plan.most_seeds > 1 else 1]],
        "courses": [
            {"model": model, "algorithm": algorithm, "seeds": [str(run.seed) for run in runs]}
            for (model, algorithm), runs in plan.courses.items()
        ],
        "steps": plan.steps,
        "ks": asked.ks,
        "margin": asked.analysis.margin,
        "verdicts": list(VERDICTS),
    }


def _list(values: Iterable[Any]) -> list[float | None]:
    return [rounded(value, 5) for value in values]


def columns(rows: Sequence[Row], names: Iterable[str], numbers: Iterable[str]) -> dict[str, list[Any]]:
    """Rows as columns: ``names`` unchanged, ``numbers`` rounded."""
    texts = {name: [row[name] for row in rows] for name in names}
    return texts | {name: _list(row[name] for row in rows) for name in numbers}


# boundary


def curves(plan: Plan, tables: Tables) -> list[dict[str, Any]]:
    """pass@k and differences of every model and benchmark: the mean over seeds, and each seed if there are several.

    A course is the sequence of an algorithm's checkpoints; the mean over seeds has the seed "".
    """
    each_seed = _courses(tables) if plan.most_seeds > 1 else {}
    views = []
    for (model, benchmark), by_algorithm in tables.boundaries.items():
        first = next(iter(by_algorithm.values()))
        courses = [_mean(algorithm, boundary) for algorithm, boundary in by_algorithm.items()]
        for algorithm, seed in product(plan.labels, map(str, plan.seeds)):
            if course := each_seed.get((model, benchmark, algorithm, seed)):
                courses.append({"algorithm": algorithm, "seed": seed, **course})
        views.append(
            {
                "model": model,
                "benchmark": benchmark,
                "problems": len(first.base.value_PK),
                "samples": max(plan.design_of(policy, benchmark).n_max for policy in plan.policies),
                "null": None if np.isnan(first.null).any() else _list(first.null),
                "base": _curve(first.base),
                "courses": courses,
            }
        )
    return views


def _mean(algorithm: str, found: Boundary) -> dict[str, Any]:
    """The course of the mean over the seeds."""
    checkpoints = [
        {
            "step": each.step,
            "curve": _curve(each.curve),
            "difference": _curve(each.difference),
            "crossover": _list([each.crossover.k, each.crossover.low, each.crossover.high]),
        }
        for each in found.checkpoints
    ]
    return {"algorithm": algorithm, "seed": "", "checkpoints": checkpoints}


def _curve(found: Estimate) -> dict[str, list[float | None]]:
    ends = estimate_ends(found)
    return {"estimate": _list(found.estimate_K), **{name: _list(ends[column]) for name, column in _ENDS.items()}}


def _courses(tables: Tables) -> dict[tuple[str, ...], dict[str, Any]]:
    """The checkpoints of every run on every benchmark, as the tables have them."""
    place, run = itemgetter(*_WHO), itemgetter(*_WHO[:-1])
    drawn: dict[tuple[str, ...], list[Row]] = {}
    for name in ("pass_at_k", "differences"):
        for row in tables.whole(name):
            drawn.setdefault((name, *place(row)), []).append(row)
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in tables.whole("boundary"):
        checkpoint = {
            "step": int(row["step"]),
            "curve": _rows_curve(drawn["pass_at_k", *place(row)], "estimate"),
            "difference": _rows_curve(drawn["differences", *place(row)], "difference"),
            "crossover": _list(row[name] for name in ("crossover", "crossover_low", "crossover_high")),
        }
        found.setdefault(run(row), {"checkpoints": []})["checkpoints"].append(checkpoint)
    return found


def _rows_curve(rows: Sequence[Row], name: str) -> dict[str, list[float | None]]:
    return {key: _list(row[column] for row in rows) for key, column in {"estimate": name, **_ENDS}.items()}


# training and evaluated policies


def training(plan: Plan, tables: Tables) -> dict[str, Any]:
    """Reward, entropy and response length of every run: running means, thinned to ``POINTS`` steps."""
    stride = max(1, math.ceil(max(plan.segments, default=1) / POINTS))
    logs: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in tables.rows["training"]:
        logs[tuple(row[name] for name in RUN_KEYS)].append(row)
    runs = []
    for run, log in logs.items():
        smooth = {
            name: _list(running_mean(np.array([float(row[name] or "nan") for row in log]), window(plan))[::stride])
            for name in ("reward", "entropy", "response_length")
        }
        whose = dict(zip(RUN_KEYS, run, strict=True))
        runs.append({**whose, "step": [int(row["step"]) for row in log[::stride]], **smooth})
    return {"window": window(plan), "runs": runs}


def summary(plan: Plan, tables: Tables) -> dict[str, Any]:
    """Entropies, greedy accuracy and shares of every verdict, one row a policy and benchmark."""
    rows = tables.whole("summary")
    entropy, label = entropy_column(rows)
    numbers = [entropy, "answer_entropy_chao_shen", "greedy", "greedy_low", "greedy_high"]
    numbers += [f"{name}_share" for name in VERDICTS]
    found = columns(rows, _WHO, numbers)
    return {"entropy": label, "columns": found | {"token_entropy": found[entropy]}}


def coverage(plan: Plan, tables: Tables) -> dict[str, list[Any]]:
    """Problems solved by both, by one and by none, one row a checkpoint, benchmark and rule."""
    numbers = ["both", "base_only", "checkpoint_only", "neither"]
    numbers += ["base_only_at_half", "checkpoint_only_at_half", "null_at_half"]
    return columns(tables.whole("coverage"), (*_WHO, "hits"), numbers)


# the panels


@dataclass(frozen=True)
class Panel:
    """A place of the page that a script draws into.

    Attributes:
        reading: a text on how to read the panel.
        data: functions for its data; the page holds the result of each once, by the function's name.
    """

    id: str
    heading: str
    reading: str
    data: tuple[Callable[[Plan, Tables], Any], ...]


#: In the order of the page; the first stands beside the ledger.
PANELS = (
    Panel(
        "boundary_map",
        "The boundary map",
        "pass@k less the base's: training step across, attempts k upwards.",
        (curves,),
    ),
    Panel(
        "pass_at_k",
        "pass@k curves",
        "Problems solved within k attempts. Small k is what a user sees, large k is what could be found by search: "
        "where a checkpoint's curve crosses the base's, some problems are solved more often than before, and others "
        "more rarely or not at all.",
        (curves,),
    ),
    Panel(
        "differences",
        "Difference from the base",
        "The same problems before and after: above zero the boundary has expanded at that k, below it has shrunk. The "
        "band is the last checkpoint's; the grey zone is the margin, the diamond the crossover with its interval.",
        (curves,),
    ),
    Panel(
        "guessing",
        "Against guessing",
        "pass@k less what uniformly random valid responses reach. Below zero a policy solves fewer problems than "
        "guessing, and what differs there is how many different responses are drawn: no evidence of skill.",
        (curves,),
    ),
    Panel(
        "dynamics",
        "Dynamics of training",
        "Reward, entropy and length of the rollouts at every step; entropies and greedy accuracy of the evaluated "
        "checkpoints. Thick lines are means over the seeds, thin ones the seeds.",
        (training, summary),
    ),
    Panel(
        "coverage",
        "Coverage over training",
        "How many problems have a correct sample: of both, newly, no longer, of none. Beneath, both policies with half "
        "of their samples: the grey band is what two halves of the base differ by on average, by luck alone.",
        (coverage,),
    ),
    Panel(
        "verdicts",
        "Verdicts and truncation",
        "What the grader said of every sample. A change of pass@k that comes from responses cut off or not readable is "
        "one of form. Hard problems are sampled longer, so the correct share is not pass@1.",
        (summary,),
    ),
)


def data(plan: Plan, tables: Tables) -> dict[str, Any]:
    """The data of all panels, by function name."""
    parts = dict.fromkeys(part for panel in PANELS for part in panel.data)
    return {part.__name__: part(plan, tables) for part in parts}
