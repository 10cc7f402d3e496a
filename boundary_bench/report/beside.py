"""Published numbers and ours beside each other, with the settings that differ.

A published number has a counterpart where the study has its benchmark, algorithm, k and step. Models may differ: that
is one of the settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from boundary_bench.algorithms import OF_TRAINING
from boundary_bench.analysis.means import Boundaries
from boundary_bench.benchmarks import KINDS
from boundary_bench.benchmarks.problem_sets import TRAINING_SET
from boundary_bench.claims.published import PublishedEntry, PublishedSettings, PublishedValue
from boundary_bench.core import text
from boundary_bench.plan import Plan
from boundary_bench.plan.stages import identity
from boundary_bench.statistics.estimate import Estimate
from boundary_bench.statistics.intervals import INTERVAL
from boundary_bench.tables.formats import Pivot
from boundary_bench.tables.table import BASE

#: How far the step of ours may be from the published one, as a share of it.
NEAR = 0.25


class OwnCell(NamedTuple):
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

    cell: OwnCell
    problems: int
    estimate: float
    low: float
    high: float
    samples_only_low: float
    samples_only_high: float


@dataclass(frozen=True)
class Beside:
    """A published number and ours.

    Attributes:
        published, deviation: shares in [0, 1]; the deviation None where none is given.
        ours: or what is missing for it.
        differs: settings that differ: theirs and ours.
        unknown: settings of theirs that are not known.
    """

    entry: PublishedEntry
    value: PublishedValue
    k: int
    published: float
    deviation: float | None
    ours: Ours | Missing
    differs: dict[str, tuple[str, str]]
    unknown: list[str]


def pairs(plan: Plan, boundaries: Boundaries, entries: list[PublishedEntry]) -> list[Beside]:
    """Every published number with ours: first those with a counterpart, in the order of the study."""
    study = plan.study
    numbers = ((entry, value, k) for entry in entries for value in entry.values for k in value.percent)
    found = [pair for number_of in numbers for pair in _pairs(plan, boundaries, *number_of)]
    orders = [list(study.benchmarks), list(study.models), [BASE, *study.algorithms]]

    def place(pair: Beside) -> tuple[int, ...]:
        if isinstance(pair.ours, Missing):
            return (len(orders[0]),)
        cell = pair.ours.cell
        names = (cell.benchmark, cell.model, cell.algorithm)
        return (*(order.index(name) for order, name in zip(orders, names, strict=True)), pair.k, pair.value.step or 0)

    return sorted(found, key=place)


def _pairs(plan: Plan, boundaries: Boundaries, entry: PublishedEntry, value: PublishedValue, k: int) -> list[Beside]:
    published = value.percent[k] / 100, value.deviation[k] / 100 if k in value.deviation else None
    cells = _cells(plan, entry, value, k)
    if isinstance(cells, Missing):
        return [Beside(entry, value, k, *published, cells, {}, [])]
    made = []
    for cell in cells:
        found, place = _estimate(plan, boundaries, cell), plan.study.ks.index(k)
        ends = ("estimate", "low", "high", "samples_low", "samples_high")
        ours = Ours(cell, len(found.value_PK), *(float(getattr(found, f"{end}_K")[place]) for end in ends))
        differs, unknown = _compare(entry.settings_of(value), _settings(plan, ours))
        # a name of the table may be changed too; settings of training are compared by themselves
        entries = plan.study.algorithms.get(cell.algorithm, {}).items()
        if changes := [f"{name} {text.cell(each)}" for name, each in entries if name not in OF_TRAINING]:
            described = ", ".join(changes)
            differs = {"algorithm": (value.algorithm, f"{cell.algorithm} ({described})"), **differs}
        made.append(Beside(entry, value, k, *published, ours, differs, unknown))
    return made


def _estimate(plan: Plan, boundaries: Boundaries, cell: OwnCell) -> Estimate:
    # the base is no algorithm's, and any of them leads to it
    name = next(iter(plan.study.algorithms)) if cell.algorithm == BASE else cell.algorithm
    found = boundaries[cell.model, cell.benchmark][name]
    steps = {checkpoint.step: checkpoint.curve for checkpoint in found.checkpoints}
    return {0: found.base, **steps}[cell.step]


def _cells(plan: Plan, entry: PublishedEntry, value: PublishedValue, k: int) -> list[OwnCell] | Missing:
    study = plan.study
    kinds = {name: chosen.kind.name for name, chosen in plan.problem_sets.items() if name in study.benchmarks}
    # names that a study gives are looked at where neither benchmark is in the registry
    wanted, unknown = value.benchmark, {name for name, kind in kinds.items() if kind not in KINDS}
    benchmarks = [b for b, kind in kinds.items() if kind == wanted or (b == wanted and b in unknown - KINDS.keys())]
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
    return [OwnCell(m, a, b, step) for m in models for b in benchmarks for a in algorithms]


def _source(plan: Plan, model: str) -> str:
    chosen = plan.study.models[model]
    return chosen.hub or chosen.path or f"{model}, made from scratch"


def _settings(plan: Plan, ours: Ours) -> PublishedSettings:
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
        return PublishedSettings(**found)
    training = plan.trainings[cell.algorithm]
    return PublishedSettings(
        **found
        | training.model_dump(include={"prompts", "rollouts", "updates_per_rollout", "lr"})
        | {
            "trained_on": plan.problem_sets[TRAINING_SET].kind.name,
            "framework": training.backend,
            "steps": cell.step,
            "kl": plan.algorithms[cell.algorithm].kl.kl_coefficient,
            "training_temperature": training.temperature,
            "training_max_tokens": training.max_tokens,
            "reward": training.reward if isinstance(training.reward, str) else f"random {training.reward.random:g}",
        }
    )


def _compare(theirs: PublishedSettings, ours: PublishedSettings) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """The settings that differ, and those of theirs that are not known."""
    said = {name: (getattr(theirs, name), mine) for name, mine in ours if mine is not None}
    differs = {name: (text.cell(a), text.cell(b)) for name, (a, b) in said.items() if a is not None and a != b}
    return differs, [name for name, (a, _) in said.items() if a is None]


def rows(plan: Plan, found: list[Beside]) -> list[dict[str, Any]]:
    """One row a published number and cell of ours; empty where there is none."""
    return [_row(plan, pair) for pair in found]


def _row(plan: Plan, pair: Beside) -> dict[str, Any]:
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
        row |= {"missing": "", "level": plan.study.analysis.level, "interval": INTERVAL}
    return row | {"settings": identity(plan, "report")}


def _yes(low: float, pair: Beside, high: float) -> str:
    return "yes" if low <= pair.published <= high else "no"


def pivots(plan: Plan, found: list[Beside]) -> list[Pivot]:
    """The numbers, model by model; their sources; the settings that differ; a line a paper for what is not here."""
    there = [(pair, pair.ours) for pair in found if isinstance(pair.ours, Ours)]
    entries = _distinct([pair.entry for pair, _ in there])
    models = dict.fromkeys(ours.cell.model for _, ours in there)
    tables = [
        _numbers(plan, model, [each for each in there if each[1].cell.model == model], entries) for model in models
    ]
    if there:
        tables += [_sources(there, entries), _differing(there, entries)]
    return tables + ([_absent(found)] if len(there) < len(found) else [])


def _distinct(entries: list[PublishedEntry]) -> list[PublishedEntry]:
    return [entry for place, entry in enumerate(entries) if all(entry is not other for other in entries[:place])]


Found = list[tuple[Beside, Ours]]


def _numbers(plan: Plan, model: str, found: Found, entries: list[PublishedEntry]) -> Pivot:
    body = []
    for pair, ours in found:
        cell, theirs = ours.cell, text.percent(pair.published)
        if pair.deviation is not None:
            theirs += f" \N{PLUS-MINUS SIGN} {text.percent(pair.deviation)}"
        mine = text.interval(*map(text.percent, (ours.estimate, ours.low, ours.high)))
        steps = "" if cell.algorithm == BASE else f"{pair.value.step or '?'}/{cell.step}"
        numbers = [theirs, mine, text.percent(ours.estimate - pair.published), _yes(ours.low, pair, ours.high)]
        body.append([cell.benchmark, cell.algorithm, str(pair.k), _mark(pair.entry, entries), steps, *numbers])
    seeds = len(plan.study.seeds)
    mean = f", mean over {seeds} training seeds" if seeds > 1 else ""
    level = f"{100 * plan.study.analysis.level:g} % interval"
    title = (
        f"Ours beside published numbers: {model}{mean}, pass@k in percent [{level}]; inside: the published number is "
        "within it; steps: theirs/ours. Their sources, and settings that differ, are in the tables below"
    )
    header = ["benchmark", "algorithm", "k", "source", "steps", "published", "ours", "diff.", "inside"]
    return Pivot(title, header, body, 5)


def _mark(entry: PublishedEntry, entries: list[PublishedEntry]) -> str:
    place = next(place for place, other in enumerate(entries, 1) if other is entry)
    return f"[{place}]"


def _sources(found: Found, entries: list[PublishedEntry]) -> Pivot:
    body = []
    for entry in entries:
        unknown = dict.fromkeys(name for pair, _ in found if pair.entry is entry for name in pair.unknown)
        doubts = (["read from a figure"] if entry.form == "figure" else []) + ([entry.note] if entry.note else [])
        doubts += ["read in notes on the paper, not in it"] if entry.read == "notes" else []
        cells = ["; ".join(doubts), ", ".join(name.replace("_", " ") for name in unknown)]
        body.append([_mark(entry, entries), f"{entry.paper}, arXiv {entry.arxiv}", entry.where, *cells])
    header = ["source", "paper", "where", "to know", "settings that are not known"]
    return Pivot("Where the published numbers stand", header, body, len(header))


def _differing(found: Found, entries: list[PublishedEntry]) -> Pivot:
    """One line a setting; ``of`` names the models, algorithms and benchmarks where it is not of all."""
    body = []
    for entry in entries:
        mine = [(pair, ours.cell) for pair, ours in found if pair.entry is entry]
        cells: dict[tuple[str, str, str], list[OwnCell]] = {}
        for pair, cell in mine:
            for name, (theirs, own) in pair.differs.items():
                cells.setdefault((name, theirs, own), []).append(cell)
        lines = [
            [name.replace("_", " "), *values, _of(some, [cell for _, cell in mine])]
            for (name, *values), some in cells.items()
        ]
        firsts = [_mark(entry, entries), *[""] * len(lines)]
        body += [[first, *line] for first, line in zip(firsts, lines or [["none known", "", "", ""]], strict=False)]
    return Pivot("Settings that differ", ["source", "setting", "theirs", "ours", "of"], body, 5)


def _of(some: list[OwnCell], everyone: list[OwnCell]) -> str:
    """Whose a setting is: models, algorithms and benchmarks, as far as others have it not."""
    parts = []
    for place in (0, 1, 2):
        if {cell[place] for cell in some} != {cell[place] for cell in everyone}:
            parts.append(", ".join(dict.fromkeys(cell[place] for cell in some)))
    return "; ".join(parts) or "all"


def _absent(found: list[Beside]) -> Pivot:
    body = []
    for paper, arxiv in dict.fromkeys((pair.entry.paper, pair.entry.arxiv) for pair in found):
        theirs = [pair for pair in found if (pair.entry.paper, pair.entry.arxiv) == (paper, arxiv)]
        lacking = [pair.ours for pair in theirs if isinstance(pair.ours, Missing)]
        keys = [key for key in ("benchmark", "algorithm", "step", "k") if any(each.key == key for each in lacking)]
        values = {key: dict.fromkeys(each.value for each in lacking if each.key == key) for key in keys}
        if lacking:
            what = "; ".join(f"{key} {', '.join(names)}" for key, names in values.items())
            numbers = len({(id(pair.value), pair.k) for pair in theirs})
            body.append([paper, f"arXiv {arxiv}", f"{len(lacking)} of {numbers}", what])
    header = ["published", "paper", "numbers", "missing here"]
    return Pivot("Published numbers that have no counterpart in this study", header, body, 4)
