"""Compact versions of the tables, for reading."""

from __future__ import annotations

import numpy as np

from boundary_bench.core.text import DASH, attempts, decimals, interval
from boundary_bench.grading import VERDICTS
from boundary_bench.plan import Plan
from boundary_bench.report.tables import TRAINING_COLUMNS, Row, Tables
from boundary_bench.study.policies import Run
from boundary_bench.tables.formats import Pivot

WHO = ["model", "algorithm", "seed", "step"]


def make_pivots(plan: Plan, tables: Tables) -> dict[str, list[Pivot]]:
    """Compact versions of every table; the CSV files hold all columns and strata."""
    level, rows = f"{100 * plan.study.analysis.level:g} % interval", tables.rows
    tables_of_all = {
        "problems": [_problems(rows["problems"])],
        "training": [_training_means(plan, rows["training"])],
    }
    if rows["contamination"]:
        tables_of_all["contamination"] = [_contamination(rows["contamination"], level)]
    return {
        name: [make(benchmark) for benchmark in plan.study.benchmarks]
        for name, make in {
            "pass_at_k": lambda b: _over(f"pass@k on {b} [{level}]", _of(rows["pass_at_k"], b), "k", "estimate"),
            "differences": lambda b: _differences(f"pass@k minus the base's on {b} [{level}]", rows["differences"], b),
            "boundary": lambda b: _boundary(plan, rows["boundary"], b, level),
            "mean_differences": lambda b: _mean_differences(rows["mean_differences"], b, level),
            "mean_boundary": lambda b: _mean_boundary(plan, rows["mean_boundary"], b, level),
            "stages": lambda b: _stages(rows["stages"], b, level),
            "coverage": lambda b: _coverage(rows["coverage"], b),
            "cover": lambda b: _over(f"Share of {b} solved at least so often [{level}]", _of(rows["cover"], b)),
            "summary": lambda b: _summary(rows["summary"], b, level),
            "graders": lambda b: _graders(rows["graders"], b, level),
        }.items()
    } | tables_of_all


def _of(rows: list[Row], benchmark: str) -> list[Row]:
    return [row for row in rows if row["benchmark"] == benchmark and row["stratum"] == "all"]


def _over(title: str, chosen: list[Row], column: str = "threshold", value: str = "share") -> Pivot:
    """One line a policy, one column a value of k or a threshold."""
    values = list(dict.fromkeys(row[column] for row in chosen))
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in chosen:
        lines.setdefault(tuple(row[name] for name in WHO), []).append(_interval(row[value], row["low"], row["high"]))
    if chosen[0].get("null"):
        lines["", "random valid responses", "", ""] = [decimals(row["null"]) for row in chosen[: len(values)]]
    header = [*WHO, *(f"{column.replace('threshold', 'rate')}={value}" for value in values)]
    return Pivot(title, header, [[*key, *cells] for key, cells in lines.items()], len(WHO))


def _differences(title: str, rows: list[Row], benchmark: str) -> Pivot:
    """The differences, each with its verdict where there is one."""
    marks = {"shrunk": " \N{DOWNWARDS ARROW}", "expanded": " \N{UPWARDS ARROW}", "unchanged": " =", "undecided": ""}
    chosen = _of(rows, benchmark)
    pivot = _over(title, chosen, "k", "difference")
    wide = len(pivot.header) - pivot.labels
    verdicts = [marks[row["change"]] for row in chosen]
    for i, line in enumerate(pivot.rows):
        line[pivot.labels :] = [
            cell + mark for cell, mark in zip(line[pivot.labels :], verdicts[i * wide : (i + 1) * wide], strict=True)
        ]
    legend = "\N{DOWNWARDS ARROW} shrunk, \N{UPWARDS ARROW} expanded (by the band over all k), = unchanged within "
    return Pivot(f"{title} {legend}{chosen[0]['margin']}", pivot.header, pivot.rows, pivot.labels)


def _boundary(plan: Plan, rows: list[Row], benchmark: str, level: str) -> Pivot:
    header = [*WHO, "leader at small k", f"crossover k [{level}]", f"sampling-efficiency gap [{level}]"]
    body = [
        [
            *(row[name] for name in WHO),
            row["leader"] or "none",
            _crossover(row, plan.study.ks[0]),
            _interval(*(row[f"efficiency_gap{end}"] for end in ("", "_low", "_high"))),
            row["gained"],
            row["lost"],
        ]
        for row in _of(rows, benchmark)
    ]
    rate = 100 * float(rows[0]["false_discovery_rate"])
    title = f"The boundary of {benchmark}; gained and lost at a false-discovery rate of {rate:g} %"
    return Pivot(title, [*header, "problems gained", "problems lost"], body, len(WHO) + 1)


def _crossover(row: Row, smallest: int) -> str:
    """Infinity is "none up to the largest k", 0 "from the smallest k on"."""
    names = {"inf": "none", "0": f"below {smallest}"}
    k, low, high = (names.get(row[name], row[name]) for name in ("crossover", "crossover_low", "crossover_high"))
    k, low, high = (attempts(float(cell)) if cell.replace(".", "").isdigit() else cell for cell in (k, low, high))
    return interval(k, low, high)


def _mean_differences(rows: list[Row], benchmark: str, level: str) -> Pivot:
    """The means with the intervals of these seeds, then with those for other seeds, which no verdict is made of."""
    means = [{**row, "seed": f"mean of {row['seeds']}"} for row in rows]
    means += [
        {**row, "seed": "other seeds too", "change": "undecided"}
        | {end: row[f"other_seeds_{end}"] for end in ("low", "high")}
        for row in rows
        if row["other_seeds_low"]
    ]
    title = f"Mean over the training seeds of pass@k minus the base's on {benchmark} [{level}]"
    return _differences(title, means, benchmark)


def _mean_boundary(plan: Plan, rows: list[Row], benchmark: str, level: str) -> Pivot:
    who = ["model", "algorithm", "step", "seeds"]
    body = [
        [*(row[name] for name in who), row["leader"] or "none", _crossover(row, plan.study.ks[0])]
        for row in _of(rows, benchmark)
    ]
    title = f"The boundary of {benchmark}, mean over the training seeds"
    return Pivot(title, [*who, "leader at small k", f"crossover k [{level}]"], body, len(who) + 1)


def _stages(rows: list[Row], benchmark: str, level: str) -> Pivot:
    who = ["model", "algorithm", "seed", "measure", "k"]
    body = [
        [
            *(row[name] for name in who),
            row["course"],
            interval(row["turn"], row["turn_low"], row["turn_high"]) if row["turn"] else DASH,
            *(decimals(row[name], 3) for name in ("first", "lowest", "highest", "last")),
            _interval(*(row[f"change{end}"] for end in ("", "_low", "_high"))),
            *(decimals(row[f"{move}_p"], 3) for move in ("fall", "rise")),
        ]
        for row in _of(rows, benchmark)
    ]
    header = [*who, "course", "turn at step", "first", "lowest", "highest", "last", f"last minus first [{level}]"]
    header += ["p of the fall", "p of the rise"]
    return Pivot(f"The course over training on {benchmark}", header, body, len(who) + 1)


def _summary(rows: list[Row], benchmark: str, level: str) -> Pivot:
    columns = ["token_entropy", "nll", "sequence_entropy", "answer_entropy_chao_shen", "distinct_answers"]
    columns += ["distinct_responses_share", "mean_tokens"]
    shares = [f"{name}_share" for name in ("correct", "wrong", "unparsable", "truncated", "timeout")]
    header = [*WHO, f"greedy accuracy [{level}]", *columns, "samples", *shares]
    body = [
        [
            *(row[name] for name in WHO),
            _interval(row["greedy"], row["greedy_low"], row["greedy_high"]),
            *(decimals(row[name], 3) for name in columns),
            row["samples"],
            *(decimals(row[name], 3) for name in shares),
        ]
        for row in _of(rows, benchmark)
    ]
    first = rows[0]["first_round"]
    title = f"Policies on {benchmark}; entropies and diversity of the first {first} samples of every problem"
    return Pivot(title, [name.replace("_", " ") for name in header], body, len(WHO))


def _graders(rows: list[Row], benchmark: str, level: str) -> Pivot:
    """One line a policy and grader, at the smallest k."""
    counts = ["samples", *VERDICTS, "compared", "disagreements"]
    chosen = [row for row in _of(rows, benchmark) if row["k"] == rows[0]["k"]]
    header = [*WHO, "grader", f"pass@{chosen[0]['k']} [{level}]", f"disagreement [{level}]", *counts]
    body = [
        [
            *(row[name] for name in (*WHO, "grader")),
            _interval(row["estimate"], row["low"], row["high"]),
            _interval(*(row[f"disagreement{end}"] for end in ("", "_low", "_high"))),
            *(row[name] for name in counts),
        ]
        for row in chosen
    ]
    title = f"Graders of {benchmark}, first round of every problem; {chosen[0]['stopped_by']} decided where to stop"
    return Pivot(title, header, body, len(WHO) + 1)


def _coverage(rows: list[Row], benchmark: str) -> Pivot:
    sets = ["hits", "both", "base_only", "checkpoint_only", "neither"]
    rates = ["detection_limit", "support_retention", "net_discovery", "net_support_change", "consolidation"]
    null = ["base_only_at_half", "checkpoint_only_at_half", "null_at_half"]
    body = [
        [*(row[name] for name in (*WHO, *sets)), *(decimals(row[name], 3) for name in (*rates, *null))]
        for row in _of(rows, benchmark)
    ]
    title = f"Problems of {benchmark} solved by whom (at least that many hits), and what half of the samples shows"
    return Pivot(title, [name.replace("_", " ") for name in (*WHO, *sets, *rates, *null)], body, len(WHO))


def _contamination(rows: list[Row], level: str) -> Pivot:
    """Base models on all benchmarks together: a benchmark stands beside the generated ones, its control."""
    names = {"exact": "rest written word for word", "rouge_l": "ROUGE-L", "accuracy": "answer accuracy"}
    body = [
        [
            *(row[name] for name in ("model", "benchmark", "origin")),
            f"{float(row['fraction']):.0%}",
            *(_interval(*(row[f"{name}{end}"] for end in ("", "_low", "_high"))) for name in names),
            *(row[name] for name in ("problems", "by_characters", "too_short", *VERDICTS)),
        ]
        for row in rows
    ]
    header = ["model", "benchmark", "origin", "given", *names.values()]
    header += ["problems", "divided by characters", "too short", *VERDICTS]
    title = f"Contamination: base models continue statements of which they are given a part [{level}]"
    return Pivot(title, header, body, 4)


def _problems(rows: list[Row]) -> Pivot:
    """All columns but the settings, in which only programs read."""
    header = [name for name in rows[0] if name != "settings"]
    title = "Problems: rows that were read, and why some became no problem; of those that did, which ask the same"
    return Pivot(
        title, [name.replace("_", " ") for name in header], [[row[name] for name in header] for row in rows], 3
    )


def _training_means(plan: Plan, rows: list[Row]) -> Pivot:
    names = [name for name in TRAINING_COLUMNS if name not in ("step", "updates")]
    body = []
    for run in plan.runs:
        mine = [row for row in rows if [row[name] for name in ("model", "algorithm", "seed")] == _run_key(run)]
        for stop in plan.study.training.segments:
            first = plan.previous(stop) + 1
            part = [row for row in mine if first <= int(row["step"]) <= stop]
            means = [_mean([row[name] for row in part]) for name in names]
            body.append([*_run_key(run), f"{first}-{stop}", *(decimals(mean, 4) for mean in means)])
    header = ["model", "algorithm", "seed", "steps", *(name.replace("_", " ") for name in names)]
    return Pivot("Training, means over the steps of each segment", header, body, 4)


def _run_key(run: Run) -> list[str]:
    return [run.model, run.algorithm, str(run.seed)]


def _mean(cells: list[str]) -> str:
    """Their mean; empty where one of them is."""
    return str(np.mean([float(cell) for cell in cells])) if all(cells) else ""


def _interval(value: str, low: str, high: str) -> str:
    return interval(*map(decimals, (value, low, high))) if low else decimals(value)
