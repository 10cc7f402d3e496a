"""Published numbers and ours beside each other, with the settings that differ.

A published number has a counterpart where the study has its benchmark, algorithm, k and step. Models may differ: that
is one of the settings.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

from boundary_bench.algorithms import OF_TRAINING
from boundary_bench.analysis.means import Boundaries
from boundary_bench.analysis.rows import estimate_ends
from boundary_bench.benchmarks import KINDS
from boundary_bench.benchmarks.problem_sets import TRAINING_SET
from boundary_bench.claims.published import PublishedEntry, PublishedSettings, PublishedValue
from boundary_bench.core import text
from boundary_bench.plan import Plan
from boundary_bench.plan.stages import identity
from boundary_bench.report.figures.style import level, over_seeds
from boundary_bench.statistics.estimate import Estimate
from boundary_bench.tables.formats import Pivot
from boundary_bench.tables.registry import TABLES
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
    """A number of the study, a share in [0, 1], and the ends of its intervals by their columns."""

    cell: OwnCell
    problems: int
    estimate: float
    ends: dict[str, float]


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
    found = [pair for number in numbers for pair in _pairs(plan, boundaries, *number)]
    benchmarks, models, algorithms = list(study.benchmarks), list(study.models), [BASE, *plan.labels]

    def place(pair: Beside) -> tuple[int, ...]:
        if isinstance(pair.ours, Missing):
            return (len(benchmarks),)
        cell = pair.ours.cell
        whose = benchmarks.index(cell.benchmark), models.index(cell.model), algorithms.index(cell.algorithm)
        return (*whose, pair.k, pair.value.step or 0)

    return sorted(found, key=place)


def _pairs(plan: Plan, boundaries: Boundaries, entry: PublishedEntry, value: PublishedValue, k: int) -> list[Beside]:
    published = value.percent[k] / 100, value.deviation[k] / 100 if k in value.deviation else None
    cells = _cells(plan, entry, value, k)
    if isinstance(cells, Missing):
        return [Beside(entry, value, k, *published, cells, {}, [])]
    made, place = [], plan.study.ks.index(k)
    for cell in cells:
        found = _estimate(boundaries, cell)
        ours = Ours(cell, len(found.value_PK), found.estimate_K[place], estimate_ends(found, place))
        differs, unknown = _compare(entry.settings_of(value), _settings(plan, cell, ours.problems))
        # a name of the table may be changed too; settings of training are compared by themselves
        entries = plan.study.algorithms.get(cell.algorithm, {}).items()
        if changes := [f"{name} {text.cell(each)}" for name, each in entries if name not in OF_TRAINING]:
            differs = {"algorithm": (value.algorithm, f"{cell.algorithm} ({', '.join(changes)})"), **differs}
        made.append(Beside(entry, value, k, *published, ours, differs, unknown))
    return made


def _estimate(boundaries: Boundaries, cell: OwnCell) -> Estimate:
    curves = boundaries[cell.model, cell.benchmark]
    if cell.algorithm == BASE:  # no algorithm's own: any of them leads to it
        return next(iter(curves.values())).base
    return next(each.curve for each in curves[cell.algorithm].checkpoints if each.step == cell.step)


def _cells(plan: Plan, entry: PublishedEntry, value: PublishedValue, k: int) -> list[OwnCell] | Missing:
    study, wanted, name = plan.study, value.benchmark, value.algorithm
    kinds = {each: plan.problem_sets[each].kind.name for each in study.benchmarks}
    # names that a study gives are looked at where neither benchmark is in the registry
    benchmarks = [b for b, kind in kinds.items() if kind == wanted or (b == wanted and not KINDS.keys() & {b, kind})]
    if not benchmarks:
        return Missing("benchmark", wanted)
    likes = {each: study.algorithms.get(each, {}).get("like", each) for each in (*plan.labels, BASE)}
    algorithms = [name] if name in likes else [each for each, like in likes.items() if like == name]
    if not algorithms:
        return Missing("algorithm", name)
    model = entry.settings_of(value).model
    models = [each for each in study.models if _source(plan, each) == model] or list(study.models)
    steps = {(m, a): _step(plan, m, a, value.step) for m in models for a in algorithms if _run(plan, m, a)}
    if None in steps.values():
        return Missing("step", str(value.step))
    if k not in study.ks:
        return Missing("k", str(k))
    return [OwnCell(m, a, b, step) for b in benchmarks for (m, a), step in steps.items() if step is not None]


def _run(plan: Plan, model: str, algorithm: str) -> bool:
    return algorithm == BASE or (model, algorithm) in plan.courses


def _step(plan: Plan, model: str, algorithm: str, published: int | None) -> int | None:
    """Our step to compare: the nearest to the published one, or the last; None if all are far."""
    if algorithm == BASE:
        return 0
    steps = plan.steps_of(plan.courses[model, algorithm][0])[1:]
    if not published:
        return steps[-1]
    step = min(steps, key=lambda each: abs(each - published))
    return step if abs(step - published) <= NEAR * published else None


def _source(plan: Plan, model: str) -> str:
    chosen = plan.study.models[model]
    return chosen.hub or chosen.path or f"{model}, made from scratch"


def _settings(plan: Plan, cell: OwnCell, problems: int) -> PublishedSettings:
    """Those of training are not said of the base."""
    sampling, design = plan.study.sampling, plan.design
    rounds = f"{', '.join(map(str, design.rounds))}, until {design.stop_after} are correct"
    found: dict[str, Any] = {
        "model": _source(plan, cell.model),
        "problems": problems,
        "samples": design.n_max if design.stop_after is None else rounds,
        **sampling.model_dump(include={"temperature", "top_p", "max_tokens"}),
        "template": plan.template(cell.model, cell.benchmark).name,
        "grader": plan.graders(cell.benchmark)[0].label,
        "reward": None,
    }
    if cell.algorithm in plan.trainings:  # of a run from elsewhere they are not known
        training = plan.trainings[cell.algorithm]
        found |= training.model_dump(include={"prompts", "rollouts", "updates_per_rollout", "lr"}) | {
            "trained_on": plan.problem_sets[TRAINING_SET].kind.name,
            "framework": training.backend,
            "steps": cell.step,
            "kl": plan.algorithms[cell.algorithm].kl.kl_coefficient,
            "training_temperature": training.temperature,
            "training_max_tokens": training.max_tokens,
            "reward": training.reward if isinstance(training.reward, str) else f"random {training.reward.random:g}",
        }
    return PublishedSettings(**found)


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
    row: dict[str, Any] = dict.fromkeys(TABLES["ours_vs_published"].columns, "")
    row |= entry.model_dump(include={"paper", "where", "form", "read"})
    row["arxiv"] = f"arXiv:{entry.arxiv}"  # or programs read a number and drop its last zero
    row |= value.model_dump(include={"benchmark", "algorithm", "step"})
    row |= {"k": pair.k, "published": pair.published, "deviation": pair.deviation, "settings": identity(plan, "report")}
    if isinstance(ours, Missing):
        return row | {"missing": f"{ours.key} {ours.value}"}
    row |= {f"our_{name}": each for name, each in ours.cell._asdict().items()} | plan.setup.intervals
    return row | {
        "seeds": "" if ours.cell.algorithm == BASE else len(plan.courses[ours.cell.model, ours.cell.algorithm]),
        "problems": ours.problems,
        "ours": ours.estimate,
        **{name: end for name, end in ours.ends.items() if name in row},
        "difference": ours.estimate - pair.published,
        "inside": _inside(pair, ours),
        "inside_samples_only": _inside(pair, ours, "samples_only_"),
        "differs": "; ".join(f"{name}: {theirs} vs {mine}" for name, (theirs, mine) in pair.differs.items()),
        "unknown": ", ".join(pair.unknown),
    }


def _inside(pair: Beside, ours: Ours, kind: str = "") -> str:
    return "yes" if ours.ends[f"{kind}low"] <= pair.published <= ours.ends[f"{kind}high"] else "no"


def pivots(plan: Plan, found: list[Beside]) -> list[Pivot]:
    """The numbers, model by model; their sources; the settings that differ; a line a paper for what is not here."""
    marks: dict[int, str] = {}
    by_mark: dict[str, list[tuple[Beside, OwnCell]]] = defaultdict(list)
    numbers: dict[str, list[list[str]]] = defaultdict(list)
    for pair in found:
        if isinstance(pair.ours, Ours):
            mark = marks.setdefault(id(pair.entry), f"[{len(marks) + 1}]")
            by_mark[mark].append((pair, pair.ours.cell))
            numbers[pair.ours.cell.model].append(_number(pair, pair.ours, mark))
    mean = f", {over_seeds(plan)}" if plan.most_seeds > 1 else ""
    note = (
        f"{mean}, pass@k in percent [{level(plan)} interval]; inside: the published number is within it; steps: theirs/"
        "ours. Their sources, and settings that differ, are in the tables below"
    )
    header = ["benchmark", "algorithm", "k", "source", "steps", "published", "ours", "diff.", "inside"]
    title = "Ours beside published numbers: "
    tables = [Pivot(f"{title}{model}{note}", header, body, 5) for model, body in numbers.items()]
    absent = _absent(found)
    return [*tables, *(_sources(by_mark) if tables else []), *([absent] if absent.rows else [])]


def _number(pair: Beside, ours: Ours, mark: str) -> list[str]:
    cell, theirs = ours.cell, text.percent(pair.published)
    if pair.deviation is not None:
        theirs += f" \N{PLUS-MINUS SIGN} {text.percent(pair.deviation)}"
    mine = text.interval(*map(text.percent, (ours.estimate, ours.ends["low"], ours.ends["high"])))
    steps = "" if cell.algorithm == BASE else f"{pair.value.step or '?'}/{cell.step}"
    numbers = [theirs, mine, text.percent(ours.estimate - pair.published), _inside(pair, ours)]
    return [cell.benchmark, cell.algorithm, str(pair.k), mark, steps, *numbers]


def _sources(by_mark: dict[str, list[tuple[Beside, OwnCell]]]) -> list[Pivot]:
    """Where the numbers stand, and one line a setting that differs: ``of`` says of whom, where it is not of all."""
    sources, settings = [], []
    for mark, found in by_mark.items():
        entry = found[0][0].entry
        doubts = ["read from a figure"] * (entry.form == "figure") + ([entry.note] if entry.note else [])
        doubts += ["read in notes on the paper, not in it"] * (entry.read == "notes")
        unknown = dict.fromkeys(name.replace("_", " ") for pair, _ in found for name in pair.unknown)
        where = [f"{entry.paper}, arXiv {entry.arxiv}", entry.where]
        sources.append([mark, *where, "; ".join(doubts), ", ".join(unknown)])
        whose: dict[tuple[str, ...], list[OwnCell]] = defaultdict(list)
        for pair, cell in found:
            for name, values in pair.differs.items():
                whose[name.replace("_", " "), *values].append(cell)
        lines = [[*setting, _of(some, [cell for _, cell in found])] for setting, some in whose.items()]
        lines = lines or [["none known", "", "", ""]]
        settings += [["" if place else mark, *line] for place, line in enumerate(lines)]
    header = ["source", "paper", "where", "to know", "settings that are not known"]
    return [
        Pivot("Where the published numbers stand", header, sources, len(header)),
        Pivot("Settings that differ", ["source", "setting", "theirs", "ours", "of"], settings, 5),
    ]


def _of(some: list[OwnCell], everyone: list[OwnCell]) -> str:
    """Whose a setting is: models, algorithms and benchmarks, as far as others have it not."""
    names = [([cell[place] for cell in some], [cell[place] for cell in everyone]) for place in (0, 1, 2)]
    return "; ".join(", ".join(dict.fromkeys(these)) for these, every in names if {*these} != {*every}) or "all"


def _absent(found: list[Beside]) -> Pivot:
    body, keys = [], ("benchmark", "algorithm", "step", "k")
    for paper, arxiv in dict.fromkeys((pair.entry.paper, pair.entry.arxiv) for pair in found):
        theirs = [pair for pair in found if (pair.entry.paper, pair.entry.arxiv) == (paper, arxiv)]
        lacking = [pair.ours for pair in theirs if isinstance(pair.ours, Missing)]
        values = {key: dict.fromkeys(each.value for each in lacking if each.key == key) for key in keys}
        if lacking:
            what = "; ".join(f"{key} {', '.join(names)}" for key, names in values.items() if names)
            numbers = len({(id(pair.value), pair.k) for pair in theirs})
            body.append([paper, f"arXiv {arxiv}", f"{len(lacking)} of {numbers}", what])
    header = ["published", "paper", "numbers", "missing here"]
    return Pivot("Published numbers that have no counterpart in this study", header, body, 4)
