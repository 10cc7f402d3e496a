"""Checks that every benchmark must pass, shared by the tests and ``boundary-bench check``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from boundary_bench.benchmarks import KINDS, problems_of, templates
from boundary_bench.benchmarks.base import Kind, Options, Problem, Split
from boundary_bench.benchmarks.columns import OWN, Columns
from boundary_bench.benchmarks.notations import responses
from boundary_bench.benchmarks.rows import without_network
from boundary_bench.core.errors import DataError
from boundary_bench.core.text import plain
from boundary_bench.grading import Grade, JudgeAll, Verdict, grade_many
from boundary_bench.records import SUFFIXES

#: A number in garbage; garbage with it is skipped for a reference that contains it too.
NUMBER = "73918"
#: Responses that answer no problem.
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
    f"\u202e{NUMBER}",
    "👍" * 9,
    "1" * 10_000,
    "(" * 999,
    "\\boxed{",
    "\\boxed{}",
    "\\boxed{{" * 99,
    f"{NUMBER}^{{{NUMBER}^{{{NUMBER}}}}}",
    "\\frac{" * 500,
)
SHOWN = 5  # faults of a check that are listed
WIDTH = 15


@dataclass(frozen=True)
class Candidate:
    """A set of problems to check: a registered kind's, or an entry of a study."""

    name: str
    kind: Kind
    split: Split
    seed: int
    options: Options
    data: str | None
    columns: Columns = OWN


#: (kind, problems, judge) -> faults, one line a problem.
Check = Callable[[Kind, list[Problem], JudgeAll], list[str]]


def gold(kind: Kind, problems: list[Problem], judge: JudgeAll) -> list[str]:
    """Problems for which the solution does not grade correct."""
    asked = [(each, each.solution[-80:], each.solution) for each in problems]
    return [said for said, grade in _graded(kind, asked, judge) if grade.verdict is not Verdict.CORRECT]


def other_notations(kind: Kind, problems: list[Problem], judge: JudgeAll) -> list[str]:
    """Problems for which the reference in another notation does not grade correct."""
    asked = [
        (each, f"{name}, {text}", text)
        for each in problems
        for name, text in responses(kind.grader.name, each.reference).items()
    ]
    return [said for said, grade in _graded(kind, asked, judge) if grade.verdict is not Verdict.CORRECT]


def garbage(kind: Kind, problems: list[Problem], judge: JudgeAll) -> list[str]:
    """Problems for which garbage other than the answer grades neither wrong nor unparsable; checks every seventh."""
    asked = [
        (each, text[:20], text)
        for each in problems[::7]
        for text in GARBAGE
        if text.strip() != each.reference and not (NUMBER in text and NUMBER in each.reference)
    ]
    harmless = (Verdict.WRONG, Verdict.UNPARSABLE)
    return [said for said, grade in _graded(kind, asked, judge) if grade.verdict not in harmless]


def _graded(kind: Kind, asked: list[tuple[Problem, str, str]], judge: JudgeAll) -> Iterator[tuple[str, Grade]]:
    """The report line of each (problem, name of the response, response), and its grade."""
    problems, names, texts = zip(*asked, strict=True) if asked else ((), (), ())
    references = [each.reference for each in problems]
    grades = grade_many(kind.grader, references, texts, [True] * len(texts), judge)
    for problem, name, grade in zip(problems, names, grades, strict=True):
        yield f"{_of(problem)}: {name!r} is {grade.verdict} ({grade.reason})", grade


def _of(problem: Problem) -> str:
    return f"{problem.id} {problem.prompt[:40]!r}, answer {problem.reference!r:.60}"


def ids(_kind: Kind, problems: list[Problem], _judge: JudgeAll) -> list[str]:
    """Ids of several problems."""
    return [name for name, times in Counter(each.id for each in problems).items() if times > 1]


def chances(_kind: Kind, problems: list[Problem], _judge: JudgeAll) -> list[str]:
    """Problems with a chance outside (0, 1]."""
    return [_of(each) for each in problems if each.chance is not None and not 0 < each.chance <= 1]


def prompts(_kind: Kind, problems: list[Problem], _judge: JudgeAll) -> list[str]:
    """Problems with a question that some template does not put into the prompt word for word, once."""
    plain = [template for template in templates.TEMPLATES.values() if not template.chat]

    def kept(problem: Problem) -> bool:
        made = (templates.apply(template, problem.prompt).partition(problem.prompt) for template in plain)
        parts = [template.text.partition(templates.QUESTION) for template in plain]
        return all((a, c) == (x, z) for (a, _, c), (x, _, z) in zip(made, parts, strict=True))

    return [_of(each) for each in problems if not each.prompt.strip() or not kept(each)]


CHECKS: dict[str, Check] = {
    "gold is correct": gold,
    "other notations": other_notations,
    "garbage is not": garbage,
    "ids differ": ids,
    "chances": chances,
    "prompts": prompts,
}


def registered(folder: Path | None) -> list[Candidate]:
    """The test split of every registered kind.

    Args:
        folder: holds sets that are not on the hub or in its cache, as ``NAME``, ``NAME.jsonl`` or another form.
    """
    return [
        Candidate(kind.name, kind, "test", 0, kind.options, data_of(folder, kind) if folder else None)
        for kind in KINDS.values()
    ]


def data_of(folder: Path, kind: Kind) -> str | None:
    """The file or folder of a kind in a folder of sets; None if it has none."""
    places = (folder / f"{kind.name}{suffix}" for suffix in ("", *SUFFIXES))
    return next((str(place) for place in places if place.exists()), None)


def run(candidates: Iterable[Candidate], judge: JudgeAll, say: Callable[[str], None]) -> bool:
    """Report line by line which checks each set passes; returns whether all available sets passed.

    A missing network is noticed once; then only the hub's cache is read.
    """
    chosen = list(candidates)
    if any(each.data is None and each.kind.source for each in chosen) and (why := without_network()):
        say(f"the hub is out of reach ({why}): of its sets only those in its cache are checked")
    say(f"{'benchmark':<20}{'problems':>9}  {'  '.join(f'{name:<{WIDTH}}' for name in CHECKS)}".rstrip())
    return all([_passes(each, judge, say) for each in chosen])


def _passes(candidate: Candidate, judge: JudgeAll, say: Callable[[str], None]) -> bool:
    """Report which checks a set passes. An unavailable set is reported but is no failure; an unreadable file is."""
    kind, head = candidate.kind, f"{candidate.name:<20}"
    if kind.generate is None and candidate.data is None and getattr(candidate.options, "revision", None) is None:
        why = "no commit is known" if kind.source else "its problems are a user's"
        say(f"{head}{'':>9}  no data: {why}; give --data FOLDER with {kind.name}")
        return True
    chosen = (candidate.split, candidate.seed, candidate.options, candidate.data, candidate.columns)
    try:
        problems = problems_of(kind, *chosen).problems
    except DataError as fault:
        say(f"{head}{'':>9}  no data: {str(fault) if candidate.data else str(fault).partition('; ')[0]}")
        return candidate.data is None
    faults = {name: check(kind, problems, judge) for name, check in CHECKS.items()}
    cells = (f"{f'{len(found)} faults' if found else 'ok':<{WIDTH}}" for found in faults.values())
    say(f"{head}{len(problems):>9}  {'  '.join(cells)}".rstrip())
    for name, found in faults.items():
        for line in found[:SHOWN]:
            say(f"  {name}: {plain(line)}")
    return not any(faults.values())
