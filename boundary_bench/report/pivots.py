"""Compact versions of the tables, for reading."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import itemgetter

import numpy as np

from boundary_bench.core.text import DASH, decimals, interval
from boundary_bench.grading import VERDICTS
from boundary_bench.plan import Plan
from boundary_bench.report.figures.style import level
from boundary_bench.report.paper import MARKS, crossing
from boundary_bench.report.tables import TRAINING_COLUMNS, Tables
from boundary_bench.statistics.paired import Change
from boundary_bench.tables.formats import Pivot
from boundary_bench.tables.table import RUN_KEYS, Row

WHO = (*RUN_KEYS, "step")
#: Makes a cell of a readable table from a row.
Cell = Callable[[Row], str]


def make_pivots(plan: Plan, tables: Tables) -> dict[str, list[Pivot]]:
    """Compact versions of every table; the CSV files hold all columns and strata."""
    parts = [{**_changes(plan, tables, b), **_policies(plan, tables, b)} for b in plan.study.benchmarks]
    found = {name: [part[name] for part in parts] for name in parts[0]}
    title = "Problems: rows that were read, and why some became no problem; of those that did, which ask the same"
    rows = tables.rows["problems"]
    names = [name for name in rows[0] if name != "settings"]  # in which only programs read
    found["problems"] = [_table(title, rows, _plain(*names[:3]), _plain(*names[3:]))]
    found["training"] = [_training_means(plan, tables.rows["training"])]
    probed = tables.rows["contamination"]
    return found | ({"contamination": [_contamination(plan, probed)]} if probed else {})


def _changes(plan: Plan, tables: Tables, benchmark: str) -> dict[str, Pivot]:
    """What training has changed."""
    whole, ends = partial(tables.whole, benchmark=benchmark), f"[{level(plan)} interval]"
    leader: dict[str, Cell] = {"leader at small k": lambda row: row["leader"] or "none"}
    crossover = ("crossover", "crossover_low", "crossover_high")
    overtaken: dict[str, Cell] = {
        f"crossover k {ends}": lambda row: interval(*(crossing(plan, float(row[name]), "none") for name in crossover))
    }
    moved = {f"sampling-efficiency gap {ends}": _ranged("efficiency_gap", "efficiency_gap_")}
    moved |= {f"problems {name}": itemgetter(name) for name in ("gained", "lost")}
    course: dict[str, Cell] = {
        "turn at step": lambda row: interval(row["turn"], row["turn_low"], row["turn_high"]) if row["turn"] else DASH,
        **_numbers("first", "lowest", "highest", "last"),
        f"last minus first {ends}": _ranged("change", "change_"),
        **{f"p of the {move}": _number(f"{move}_p") for move in ("fall", "rise")},
    }
    sets = _plain("hits", "both", "base_only", "checkpoint_only", "neither")
    sets |= _numbers("detection_limit", "support_retention", "net_discovery", "net_support_change", "consolidation")
    sets |= _numbers("base_only_at_half", "checkpoint_only_at_half", "null_at_half")
    less, of, boundary = f"pass@k minus the base's on {benchmark} {ends}", f"of {benchmark}", whole("boundary")
    rate = f"gained and lost at a false-discovery rate of {100 * float(boundary[0]['false_discovery_rate']):g} %"
    solved = f"Problems {of} solved by whom (at least that many hits), and what half of the samples shows"
    run, mean = _plain(*RUN_KEYS, "measure", "k", "course"), _plain("model", "algorithm", "step", "seeds")
    over, means = "mean over the training seeds", _with_other_seeds(whole("mean_differences"))
    return {
        "pass_at_k": _over(f"pass@k on {benchmark} {ends}", whole("pass_at_k"), "k", _ranged("estimate")),
        "differences": _differences(less, whole("differences")),
        "boundary": _table(f"The boundary {of}; {rate}", boundary, _plain(*WHO) | leader, overtaken | moved),
        "mean_differences": _differences(f"{over.capitalize()} of {less}", means),
        "mean_boundary": _table(f"The boundary {of}, {over}", whole("mean_boundary"), mean | leader, overtaken),
        "stages": _table(f"The course over training on {benchmark}", whole("stages"), run, course),
        "coverage": _table(solved, whole("coverage"), _plain(*WHO), sets),
    }


def _policies(plan: Plan, tables: Tables, benchmark: str) -> dict[str, Pivot]:
    """What policies do, by themselves."""
    whole, ends = partial(tables.whole, benchmark=benchmark), f"[{level(plan)} interval]"
    summary, graders = whole("summary"), whole("graders")
    cells: dict[str, Cell] = {f"greedy accuracy {ends}": _ranged("greedy", "greedy_")}
    cells |= _numbers("token_entropy", "nll", "sequence_entropy", "answer_entropy_chao_shen", "distinct_answers")
    cells |= _numbers("distinct_responses_share", "mean_tokens") | _plain("samples")
    cells |= _numbers(*(f"{name}_share" for name in VERDICTS))
    first, smallest = summary[0]["first_round"], graders[0]["k"]
    diverse = f"Policies on {benchmark}; entropies and diversity of the first {first} samples of every problem"
    graded: dict[str, Cell] = {f"pass@{smallest} {ends}": _ranged("estimate")}
    graded |= {f"disagreement {ends}": _ranged("disagreement", "disagreement_")}
    graded |= _plain("samples", *VERDICTS, "compared", "disagreements")
    stopped = f"first round of every problem; {graders[0]['stopped_by']} decided where to stop"
    at_smallest = [row for row in graders if row["k"] == smallest]
    solved = f"Share of {benchmark} solved at least so often {ends}"
    return {
        "cover": _over(solved, whole("cover"), "threshold", _ranged("share")),
        "summary": _table(diverse, summary, _plain(*WHO), cells),
        "graders": _table(f"Graders of {benchmark}, {stopped}", at_smallest, _plain(*WHO, "grader"), graded),
    }


def _table(title: str, rows: list[Row], labels: dict[str, Cell], cells: dict[str, Cell]) -> Pivot:
    columns = labels | cells
    return Pivot(title, list(columns), [[make(row) for make in columns.values()] for row in rows], len(labels))


def _plain(*names: str) -> dict[str, Cell]:
    return {name.replace("_", " "): itemgetter(name) for name in names}


def _number(name: str, digits: int = 3) -> Cell:
    return lambda row: decimals(row[name], digits)


def _numbers(*names: str, digits: int = 3) -> dict[str, Cell]:
    return {name.replace("_", " "): _number(name, digits) for name in names}


def _ranged(name: str, ends: str = "") -> Cell:
    """A number with its interval, in the columns ``low`` and ``high`` that begin with ``ends``."""

    def cell(row: Row) -> str:
        numbers = [decimals(row[column]) for column in (name, f"{ends}low", f"{ends}high")]
        return interval(*numbers) if row[f"{ends}low"] else numbers[0]

    return cell


def _over(title: str, rows: list[Row], column: str, make: Cell) -> Pivot:
    """One line a policy, one column a value of k or a threshold."""
    values = list(dict.fromkeys(row[column] for row in rows))
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        lines.setdefault(tuple(row[name] for name in WHO), []).append(make(row))
    if rows[0].get("null"):
        lines["", "random valid responses", "", ""] = [decimals(row["null"]) for row in rows[: len(values)]]
    header = [*WHO, *(f"{column.replace('threshold', 'rate')}={value}" for value in values)]
    return Pivot(title, header, [[*key, *cells] for key, cells in lines.items()], len(WHO))


def _differences(title: str, rows: list[Row]) -> Pivot:
    """The differences, each with its verdict where there is one."""
    shrunk, expanded, difference = MARKS[Change.SHRUNK], MARKS[Change.EXPANDED], _ranged("difference")
    legend = f"{shrunk} shrunk, {expanded} expanded (by the band over all k), = unchanged within {rows[0]['margin']}"

    def marked(row: Row) -> str:
        return f"{difference(row)} {MARKS[Change(row['change'])]}".rstrip()

    return _over(f"{title} {legend}", rows, "k", marked)


def _with_other_seeds(rows: list[Row]) -> list[Row]:
    """The means with the intervals of these seeds, then with those for other seeds, which no verdict is made of."""
    means = [{**row, "seed": f"mean of {row['seeds']}"} for row in rows]
    return means + [
        {**row, "seed": "other seeds too", "change": "undecided"}
        | {end: row[f"other_seeds_{end}"] for end in ("low", "high")}
        for row in rows
        if row["other_seeds_low"]
    ]


def _contamination(plan: Plan, rows: list[Row]) -> Pivot:
    """Base models on all benchmarks together: a benchmark stands beside the generated ones, its control."""
    names = {"exact": "rest written word for word", "rouge_l": "ROUGE-L", "accuracy": "answer accuracy"}
    labels = _plain("model", "benchmark", "origin") | {"given": lambda row: f"{float(row['fraction']):.0%}"}
    cells: dict[str, Cell] = {words: _ranged(name, f"{name}_") for name, words in names.items()}
    cells |= {"problems": itemgetter("problems"), "divided by characters": itemgetter("by_characters")}
    title = f"Contamination: base models continue statements of which they are given a part [{level(plan)} interval]"
    return _table(title, rows, labels, cells | _plain("too_short", *VERDICTS))


def _training_means(plan: Plan, rows: list[Row]) -> Pivot:
    names, means = [name for name in TRAINING_COLUMNS if name not in ("step", "updates")], []
    for run in plan.trained:
        whose = {name: str(value) for name, value in vars(run).items()}
        mine = [row for row in rows if whose.items() <= row.items()]
        for stop in plan.segments:
            first = plan.previous(stop) + 1
            part = [row for row in mine if first <= int(row["step"]) <= stop]
            cells = {name: _mean([row[name] for row in part]) for name in names}
            means.append({**whose, "steps": f"{first}-{stop}", **cells})
    title = "Training, means over the steps of each segment"
    return _table(title, means, _plain(*RUN_KEYS, "steps"), _numbers(*names, digits=4))


def _mean(cells: list[str]) -> str:
    """Their mean; empty where one of them is."""
    return str(np.mean([float(cell) for cell in cells])) if all(cells) else ""
