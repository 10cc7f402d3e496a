"""What of a benchmark a policy may have been trained on: whole questions, and 13 words in a row.

13 words is the length that GPT-3's authors chose and most reports follow. A shared run of words is a hint and no proof:
two problems may share a definition.
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
        share: fraction of its 13-word runs that any of them holds; 1 for a whole question.
    """

    id: str
    with_ids: list[str]
    share: float


@dataclass(frozen=True)
class Overlap:
    """What was found.

    Attributes:
        problems: problems of the benchmark.
        training: problems of the training set.
        duplicates: questions that an earlier problem of the benchmark asks too.
        exact: questions of the training set.
        words: problems, not those of ``exact``, that share 13 words in a row with the training set.
    """

    problems: int
    training: int
    duplicates: list[Shared]
    exact: list[Shared]
    words: list[Shared]

    def record(self) -> dict[str, Any]:
        """The finding, as it is written down."""
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

    Whole questions are compared but for case and white space; runs of words where a question has as many.
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
    # the runs of the benchmark are kept, those of the training set only looked up: memory follows the smaller set
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
