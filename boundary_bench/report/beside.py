"""Published numbers and ours beside each other, with the settings that differ.

A published number has a counterpart where the study has its benchmark, algorithm, k and step. Models may differ: that
is one of the settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from boundary_bench.benchmarks import KINDS
from boundary_bench.plan import Plan
from boundary_bench.problem_sets import TRAINING_SET
from boundary_bench.provenance import fingerprint
from boundary_bench.report.boundary import boundary
from boundary_bench.report.formats import Pivot
from boundary_bench.report.published import Entry, Settings, Value
from boundary_bench.report.tables import Tables
from boundary_bench.rows import BASE, interval_columns, number
from boundary_bench.statistics.estimate import Estimate
from boundary_bench.statistics.intervals import METHODS

#: How far the step of ours may be from the published one, as a share of it.
NEAR = 0.25


class Cell(NamedTuple):
    """Where a study has a pass@k, as the mean over its training seeds."""

    model: str
    algorithm: str
    benchmark: str
    step: int


class Missing(NamedTuple):
    """What a study lacks for a counterpart: which key, and its value."""

    key: str
    value: str


@dataclass(frozen=True)
class Ours:
    """A number of the study, a share in [0, 1], and its intervals."""

    cell: Cell
    problems: int
    estimate: float
    low: float
    high: float
    samples_only_low: float
    samples_only_high: float


@dataclass(frozen=True)
class Pair:
    """A published number and ours.

    Attributes:
        published, deviation: shares in [0, 1]; the deviation None where none is given.
        ours: or what is missing for it.
        differs: settings that differ: theirs and ours.
        unknown: settings of theirs that are not known.
    """

    entry: Entry
    value: Value
    k: int
    published: float
    deviation: float | None
    ours: Ours | Missing
    differs: dict[str, tuple[str, str]]
    unknown: list[str]


Curve = Callable[[Cell], Estimate]


def pairs(plan: Plan, tables: Tables, entries: list[Entry]) -> list[Pair]:
    """Every published number with ours: first those with a counterpart, in the order of the study."""
    study = plan.study

    @cache
    def curve(cell: Cell) -> Estimate:
        # the base is no algorithm's, and any of them leads to it
        name = next(iter(study.algorithms)) if cell.algorithm == BASE else cell.algorithm
        found = boundary(plan, tables, cell.model, name, cell.benchmark, [cell.step] if cell.step else [])
        return found.checkpoints[0].curve if cell.step else found.base

    numbers = ((entry, value, k) for entry in entries for value in entry.values for k in value.percent)
    found = [pair for number_of in numbers for pair in _pairs(plan, curve, *number_of)]
    orders = [list(study.benchmarks), list(study.models), [BASE, *study.algorithms]]

    def place(pair: Pair) -> tuple[int, ...]:
        if isinstance(pair.ours, Missing):
            return (len(orders[0]),)
        cell = pair.ours.cell
        names = (cell.benchmark, cell.model, cell.algorithm)
        return (*(order.index(name) for order, name in zip(orders, names, strict=True)), pair.k, pair.value.step or 0)

    return sorted(found, key=place)


def _pairs(plan: Plan, curve: Curve, entry: Entry, value: Value, k: int) -> list[Pair]:
    published = value.percent[k] / 100, value.deviation[k] / 100 if k in value.deviation else None
    cells = _cells(plan, entry, value, k)
    if isinstance(cells, Missing):
        return [Pair(entry, value, k, *published, cells, {}, [])]
    made = []
    for cell in cells:
        found, place = curve(cell), plan.study.ks.index(k)
        ends = ("estimate", "low", "high", "samples_low", "samples_high")
        ours = Ours(cell, len(found.value_PK), *(float(getattr(found, f"{end}_K")[place]) for end in ends))
        differs, unknown = _compare(entry.settings_of(value), _settings(plan, ours))
        if cell.algorithm != value.algorithm:
            changes = plan.study.algorithms[cell.algorithm].items()
            described = ", ".join(f"{name} {number(each)}" for name, each in changes)
            differs = {"algorithm": (value.algorithm, f"{cell.algorithm} ({described})"), **differs}
        made.append(Pair(entry, value, k, *published, ours, differs, unknown))
    return made


def _cells(plan: Plan, entry: Entry, value: Value, k: int) -> list[Cell] | Missing:
    study = plan.study
    kinds = {name: chosen.kind.name for name, chosen in plan.problem_sets.items() if name in study.benchmarks}
    # a name of the registry given to something else is not that benchmark
    wanted = value.benchmark
    benchmarks = [b for b, kind in kinds.items() if kind == wanted or (b == wanted and wanted not in KINDS)]
    if not benchmarks:
        return Missing("benchmark", wanted)
    likes = {name: changes.get("like", name) for name, changes in study.algorithms.items()} | {BASE: BASE}
    name = value.algorithm
    algorithms = [name] if name in likes else [each for each, like in likes.items() if like == name]
    if not algorithms:
        return Missing("algorithm", name)
    step = 0 if name == BASE else study.evaluate.steps[-1]
    if value.step:
        step = min(study.evaluate.steps[1:], key=lambda each: abs(each - value.step))
        if abs(step - value.step) > NEAR * value.step:
            return Missing("step", str(value.step))
    if k not in study.ks:
        return Missing("k", str(k))
    model = entry.settings_of(value).model
    models = [each for each in study.models if _source(plan, each) == model] or list(study.models)
    return [Cell(m, a, b, step) for m in models for b in benchmarks for a in algorithms]


def _source(plan: Plan, model: str) -> str:
    chosen = plan.study.models[model]
    return chosen.hub or chosen.path or f"{model}, made from scratch"


def _settings(plan: Plan, ours: Ours) -> Settings:
    """Those of training are not said of the base."""
    sampling, design, cell = plan.study.sampling, plan.design, ours.cell
    rounds = f"{', '.join(map(str, design.rounds))}, until {design.stop_after} are correct"
    found: dict[str, Any] = {
        "model": _source(plan, cell.model),
        "problems": ours.problems,
        "samples": design.n_max if design.stop_after is None else rounds,
        **sampling.model_dump(include={"temperature", "top_p", "max_tokens"}),
        "template": plan.template(cell.model, cell.benchmark).name,
        "grader": plan.graders(cell.benchmark)[0].label,
        "reward": None,
    }
    if cell.algorithm == BASE:
        return Settings(**found)
    training = plan.trainings[cell.algorithm]
    return Settings(
        **found
        | training.model_dump(include={"prompts", "rollouts", "updates_per_rollout", "lr"})
        | {
            "trained_on": plan.problem_sets[TRAINING_SET].kind.name,
            "framework": training.backend,
            "steps": cell.step,
            "kl": plan.objectives[cell.algorithm].kl_coefficient,
            "training_temperature": training.temperature,
            "training_max_tokens": training.max_tokens,
            "reward": training.reward if isinstance(training.reward, str) else f"random {training.reward.random:g}",
        }
    )


def _compare(theirs: Settings, ours: Settings) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """The settings that differ, and those of theirs that are not known."""
    said = {name: (getattr(theirs, name), mine) for name, mine in ours if mine is not None}
    differs = {name: (number(a), number(b)) for name, (a, b) in said.items() if a is not None and a != b}
    return differs, [name for name, (a, _) in said.items() if a is None]


def rows(plan: Plan, found: list[Pair]) -> list[dict[str, Any]]:
    """One row a published number and cell of ours; empty where there is none."""
    return [_row(plan, pair) for pair in found]


def _row(plan: Plan, pair: Pair) -> dict[str, Any]:
    entry, value, ours = pair.entry, pair.value, pair.ours
    row = {name: getattr(entry, name) for name in ("paper", "arxiv", "where", "form", "read")}
    row["arxiv"] = f"arXiv:{entry.arxiv}"  # or programs read a number and drop its last zero
    row |= {"benchmark": value.benchmark, "algorithm": value.algorithm, "step": value.step or "", "k": pair.k}
    row |= {"published": pair.published, "deviation": "" if pair.deviation is None else pair.deviation}
    names = ("our_model", "our_algorithm", "our_benchmark", "our_step", "seeds", "problems", "ours", "low", "high")
    names += ("samples_only_low", "samples_only_high", "difference", "inside", "inside_samples_only")
    if isinstance(ours, Missing):
        row |= dict.fromkeys((*names, "differs", "unknown"), "") | {"missing": f"{ours.key} {ours.value}"}
        row |= dict.fromkeys(("level", "interval"), "")
    else:
        numbers = (ours.estimate, ours.low, ours.high, ours.samples_only_low, ours.samples_only_high)
        seeds = "" if ours.cell.algorithm == BASE else len(plan.study.seeds)
        cells = [*ours.cell, seeds, ours.problems, *numbers, ours.estimate - pair.published]
        cells += [_yes(ours.low, pair, ours.high), _yes(ours.samples_only_low, pair, ours.samples_only_high)]
        differs = "; ".join(f"{name}: {theirs} vs {mine}" for name, (theirs, mine) in pair.differs.items())
        row |= dict(zip(names, cells, strict=True)) | {"differs": differs, "unknown": ", ".join(pair.unknown)}
        row |= {"missing": "", **interval_columns(plan.study.analysis, METHODS)}
    return row | {"settings": fingerprint(plan.analysis_settings("report"))}


def _yes(low: float, pair: Pair, high: float) -> str:
    return "yes" if low <= pair.published <= high else "no"


def pivots(plan: Plan, found: list[Pair]) -> list[Pivot]:
    """The numbers; the settings that differ, of each entry; and a line a paper for what has no counterpart."""
    there = [pair for pair in found if isinstance(pair.ours, Ours)]
    entries = [pair.entry for place, pair in enumerate(there) if all(pair.entry is not p.entry for p in there[:place])]
    tables = [_numbers(plan, there)] if there else []
    tables += [_differing([pair for pair in there if pair.entry is entry]) for entry in entries]
    absent = [pair for pair in found if isinstance(pair.ours, Missing)]
    return tables + ([_absent(found)] if absent else [])


def _numbers(plan: Plan, found: list[Pair]) -> Pivot:
    level, seeds = f"{100 * plan.study.analysis.level:g} % interval", len(plan.study.seeds)
    several = len(plan.study.models) > 1
    body = []
    for pair in found:
        assert isinstance(pair.ours, Ours)
        cell = pair.ours.cell
        spread = "" if pair.deviation is None else f" \N{PLUS-MINUS SIGN} {100 * pair.deviation:.1f}"
        numbers = (pair.ours.estimate, pair.ours.low, pair.ours.high, pair.ours.estimate - pair.published)
        ours, low, high, difference = (f"{100 * each:z.1f}" for each in numbers)
        names = [cell.benchmark, *([cell.model] if several else []), cell.algorithm, str(pair.k), _cited(pair.entry)]
        steps = ["", ""] if cell.algorithm == BASE else [str(pair.value.step or "\N{EN DASH}"), str(cell.step)]
        shares = [f"{100 * pair.published:.1f}{spread}", f"{ours} [{low}, {high}]", difference]
        body.append([*names, *steps, *shares, _yes(pair.ours.low, pair, pair.ours.high)])
    header = ["benchmark", *(["model"] if several else []), "algorithm", "k", "paper", "step", "our step"]
    mean = f", mean over {seeds} seeds" if seeds > 1 else ""
    title = f"Ours beside published numbers, pass@k in percent [{level}{mean}]"
    title += "; inside: the published number is within our interval. Settings that differ are listed apart"
    return Pivot(title, [*header, "published", "ours", "difference", "inside"], body, len(header))


def _cited(entry: Entry) -> str:
    """The paper, and in brackets why its number may be inexact."""
    doubts = (["figure"] if entry.form == "figure" else []) + (["from notes"] if entry.read == "notes" else [])
    return entry.paper + (f" ({', '.join(doubts)})" if doubts else "")


def _differing(found: list[Pair]) -> Pivot:
    """One line a setting; ``of`` names the policies and benchmarks where it is not of all."""
    cells: dict[tuple[str, str, str], list[Cell]] = {}
    for pair in found:
        assert isinstance(pair.ours, Ours)
        for name, (theirs, mine) in pair.differs.items():
            cells.setdefault((name, theirs, mine), []).append(pair.ours.cell)
    everyone = [pair.ours.cell for pair in found if isinstance(pair.ours, Ours)]
    body = [[name.replace("_", " "), *values, _of(mine, everyone)] for (name, *values), mine in cells.items()]
    entry, unknown = found[0].entry, list(dict.fromkeys(name for pair in found for name in pair.unknown))
    title = f"Settings that differ from {_cited(entry)}, arXiv {entry.arxiv}, {entry.where}"
    title += f"; {entry.note}" if entry.note else ""
    title += f"; not known of theirs: {', '.join(name.replace('_', ' ') for name in unknown)}" if unknown else ""
    return Pivot(title, ["setting", "theirs", "ours", "of"], body or [["none", "", "", ""]], 4)


def _of(mine: list[Cell], everyone: list[Cell]) -> str:
    """Whose a setting is: the models, algorithms and benchmarks that say so, as far as others do not."""
    parts = []
    for place in (0, 1, 2):
        names, all_names = ({cell[place] for cell in cells} for cells in (mine, everyone))
        if names != all_names:
            parts.append(", ".join(dict.fromkeys(cell[place] for cell in mine)))
    return "; ".join(parts) or "all"


def _absent(found: list[Pair]) -> Pivot:
    body = []
    for paper, arxiv in dict.fromkeys((pair.entry.paper, pair.entry.arxiv) for pair in found):
        theirs = [pair for pair in found if (pair.entry.paper, pair.entry.arxiv) == (paper, arxiv)]
        lacking = [pair.ours for pair in theirs if isinstance(pair.ours, Missing)]
        values: dict[str, list[str]] = {}
        for each in dict.fromkeys(lacking):
            values.setdefault(each.key, []).append(each.value)
        if lacking:
            what = "; ".join(f"{key} {', '.join(names)}" for key, names in values.items())
            numbers = len({(id(pair.value), pair.k) for pair in theirs})
            body.append([paper, arxiv, f"{len(lacking)} of {numbers}", what])
    header = ["paper", "arXiv", "numbers", "missing here"]
    return Pivot("Published numbers that have no counterpart in this study", header, body, 4)
