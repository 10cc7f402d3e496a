"""Overlap of a benchmark with a training set: whole questions, and 13 words in a row.

GPT-3's authors chose 13 words, and most reports follow them. A shared run of words is a hint and no proof: two
problems may share a definition.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from boundary_bench.benchmarks.base import Problem

WORDS = 13
EDGES = ".,;:!?()[]{}$\"'`*"


@dataclass(frozen=True)
class Shared:
    """A problem of a benchmark and the problems that it shares text with.

    Attributes:
        with_ids: ids of the others, sorted.
        share: fraction of the problem's 13-word runs that occur in the others; 1 for a whole question.
    """

    id: str
    with_ids: list[str]
    share: float


@dataclass(frozen=True)
class Overlap:
    """The overlap of a benchmark with a training set and with itself.

    Attributes:
        problems: number of problems of the benchmark.
        training: number of problems of the training set.
        duplicates: problems with the question of an earlier problem of the benchmark.
        exact: problems with a question of the training set.
        words: other problems that share 13 words in a row with the training set.
    """

    problems: int
    training: int
    duplicates: list[Shared]
    exact: list[Shared]
    words: list[Shared]

    def record(self) -> dict[str, Any]:
        """The overlap as a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"of {self.problems} problems, {len(self.duplicates)} repeat another, {len(self.exact)} are in the "
            f"training set of {self.training}, {len(self.words)} more share {WORDS} words in a row with it"
        )


def normal(question: str) -> str:
    """A question without differences of case and white space."""
    return " ".join(question.casefold().split())


def runs(question: str) -> Iterator[str]:
    """All runs of 13 words, without the punctuation at the ends of a word."""
    words = [stripped for word in question.casefold().split() if (stripped := word.strip(EDGES))]
    return (" ".join(words[place : place + WORDS]) for place in range(len(words) - WORDS + 1))


def overlap(problems: list[Problem], training: list[Problem]) -> Overlap:
    """Compare a benchmark with the training set and with itself.

    Whole questions are compared up to case and white space; runs of words if a question has that many.
    """
    seen: dict[str, str] = {}
    duplicates = []
    for problem in problems:
        first = seen.setdefault(normal(problem.prompt), problem.id)
        if first != problem.id:
            duplicates.append(Shared(problem.id, [first], 1.0))
    whole: dict[str, list[str]] = defaultdict(list)
    for problem in training:
        whole[normal(problem.prompt)].append(problem.id)
    exact = [Shared(each.id, sorted(whole[text]), 1.0) for each in problems if (text := normal(each.prompt)) in whole]
    found = {each.id for each in exact}
    rest = [each for each in problems if each.id not in found]
    return Overlap(len(problems), len(training), duplicates, exact, _shared_runs(rest, training))


def _shared_runs(problems: list[Problem], training: list[Problem]) -> list[Shared]:
    # only the benchmark's runs are kept, since it is usually the smaller set
    wanted: dict[str, set[str]] = {run: set() for problem in problems for run in runs(problem.prompt)}
    for problem in training:
        for run in runs(problem.prompt):
            if run in wanted:
                wanted[run].add(problem.id)
    shared = []
    for problem in problems:
        own = [wanted[run] for run in runs(problem.prompt)]
        held = [ids for ids in own if ids]
        if held:
            shared.append(Shared(problem.id, sorted(set().union(*held)), len(held) / len(own)))
    return shared
