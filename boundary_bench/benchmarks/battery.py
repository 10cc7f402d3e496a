"""What every registered benchmark must pass, whichever it is: the tests and ``boundary-bench check`` ask the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from boundary_bench.benchmarks import KINDS, problems_of, templates
from boundary_bench.benchmarks.base import Kind, Problem
from boundary_bench.errors import DataError
from boundary_bench.grading import Verdict
from boundary_bench.records import SUFFIXES

#: Responses that answer no problem at all.
GARBAGE = (
    "",
    " ",
    ",",
    "=",
    "\0",
    "\n",
    "None",
    "[]",
    "{}",
    "nan",
    "\ud800",
    "\u202e1",
    "👍" * 9,
    "1" * 10_000,
    "(" * 999,
    "\\boxed{",
    "\\boxed{}",
    "\\boxed{{" * 99,
    "9^{9^{9^{9^9}}}",
    "\\frac{" * 500,
)


def gold(kind: Kind, problems: list[Problem]) -> list[str]:
    """Problems whose own solution does not grade correct."""
    return [each.id for each in problems if kind.grader.grade(each.reference, each.solution).verdict != Verdict.CORRECT]


def garbage(kind: Kind, problems: list[Problem]) -> list[str]:
    """Problems that nonsense answers; one in seven is asked."""
    harmless = (Verdict.WRONG, Verdict.UNPARSABLE)
    asked = [(each, text) for each in problems[::7] for text in GARBAGE]
    return [each.id for each, text in asked if kind.grader.grade(each.reference, text).verdict not in harmless]


def ids(_kind: Kind, problems: list[Problem]) -> list[str]:
    """Ids that two problems have."""
    found = [each.id for each in problems]
    return [] if len(set(found)) == len(found) else sorted({each for each in found if found.count(each) > 1})


def chances(_kind: Kind, problems: list[Problem]) -> list[str]:
    """Problems whose chance is no probability."""
    return [each.id for each in problems if each.chance is not None and not 0 < each.chance <= 1]


def prompts(_kind: Kind, problems: list[Problem]) -> list[str]:
    """Problems whose question is not in their prompt word for word, once, under some template."""
    plain = [template for template in templates.TEMPLATES.values() if not template.chat]

    def kept(problem: Problem) -> bool:
        made = (templates.apply(template, problem.prompt).partition(problem.prompt) for template in plain)
        parts = [template.text.partition(templates.QUESTION) for template in plain]
        return all((a, c) == (x, z) for (a, _, c), (x, _, z) in zip(made, parts, strict=True))

    return [each.id for each in problems if not each.prompt.strip() or not kept(each)]


CHECKS: dict[str, Callable[[Kind, list[Problem]], list[str]]] = {
    "gold is correct": gold,
    "garbage is not": garbage,
    "ids differ": ids,
    "chances": chances,
    "prompts": prompts,
}


def data_of(folder: Path, kind: Kind) -> Path | None:
    """The file or folder of a kind in a folder of sets: ``NAME``, ``NAME.jsonl`` or another form that is read."""
    places = [folder / f"{kind.name}{suffix}" for suffix in ("", *SUFFIXES)]
    return next((place for place in places if place.exists()), None)


def table(folder: Path | None) -> tuple[str, bool]:
    """The battery of every registered kind's test split, as a table; and whether all that could be had passed.

    Args:
        folder: where sets lie that are not on the hub or in its cache.
    """
    lines = [f"{'benchmark':<20}{'problems':>9}  " + "  ".join(f"{name:<15}" for name in CHECKS)]
    sound = True
    for kind in KINDS.values():
        data = data_of(folder, kind) if folder else None
        if kind.generate is None and data is None and getattr(kind.options, "revision", None) is None:
            why = "no commit is known" if kind.source else "its problems are a user's"
            lines.append(f"{kind.name:<20}{'':>9}  no data: {why}; give --data FOLDER with {kind.name}")
            continue
        try:
            problems = problems_of(kind, "test", 0, kind.options, str(data) if data else None).problems
        except DataError as fault:
            sound &= data is None  # what is out of reach is said, and no failure; what is there must be readable
            lines.append(f"{kind.name:<20}{'':>9}  no data: {fault}")
            continue
        faults = {name: check(kind, problems) for name, check in CHECKS.items()}
        sound &= not any(faults.values())
        cells = (f"{f'{len(found)} faults' if found else 'ok':<15}" for found in faults.values())
        lines.append(f"{kind.name:<20}{len(problems):>9}  " + "  ".join(cells).rstrip())
        lines += [f"  {name}: {', '.join(found[:5])}" for name, found in faults.items() if found]
    return "\n".join(lines), sound
