"""Graders and their verdicts on responses. A missing answer is not wrong, and neither is a truncated one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from typing import NamedTuple

from boundary_bench.core.errors import GradingError


class Verdict(StrEnum):
    """The five outcomes, counted separately in every table."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNPARSABLE = "unparsable"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"


VERDICTS = tuple(str(verdict) for verdict in Verdict)


class Ruling(NamedTuple):
    """A verdict and its reason: a few words, which tables count, then ": read as" and the readings, which they omit."""

    verdict: Verdict
    reason: str


class Nothing(NamedTuple):
    """A response without an answer, and the reason."""

    reason: str


NO_ANSWER = Nothing("no answer found")


@dataclass(frozen=True)
class Grade:
    """A grader's verdict on a response, its reason, and the answer, if there is one."""

    verdict: Verdict
    answer: str | None
    reason: str


TRUNCATED = Grade(Verdict.TRUNCATED, None, "cut off at the token limit")


def counted(reason: str) -> str:
    """The part of a reason that tables count: the words before the readings.

    >>> counted("unequal numbers: read as 3 against 4"), counted("limit: a tower of powers")
    ('unequal numbers', 'limit: a tower of powers')
    """
    return reason.partition(": read as ")[0]


#: A reference and an answer.
Pair = tuple[str, str]


@dataclass(frozen=True)
class Grader:
    """How a response becomes a grade, in two steps: responses repeat, and their answers repeat still more.

    Attributes:
        version: increases when a change can move a verdict.
        extract: response -> its answer as text, or the reason why there is none. Pure, fast and safe on any text.
        judge: (reference, answer) -> correct or wrong; unparsable if the answer is beyond a limit; timeout if undecided
            in time. Pure and deterministic but for the time. If ``isolated``, a module-level function, since it is
            pickled by name.
        isolated: whether to judge in separate processes (``grading.judging``), since ``judge`` may hang or crash.
        deadline: most seconds of an isolated judgement.
        libraries: distributions with versions that can move a verdict.
        quick: (reference, answer) -> the ruling of ``judge`` if it is fast and safe to get, else None.
    """

    name: str
    version: int
    extract: Callable[[str], str | Nothing]
    judge: Callable[[str, str], Ruling]
    isolated: bool = False
    deadline: float = 10.0
    libraries: tuple[str, ...] = ()
    quick: Callable[[str, str], Ruling | None] = lambda reference, answer: None

    @property
    def identity(self) -> list[str | int]:
        """Name, version and library versions, on which a verdict depends besides the texts."""
        return [self.name, self.version, *(f"{name} {_version(name)}" for name in self.libraries)]

    @property
    def label(self) -> str:
        """Name and version, as in tables."""
        return f"{self.name} {self.version}"

    def grade(self, reference: str, response: str) -> Grade:
        """The grade of one response that ended by itself, judged in this process."""
        answer = self.extract(response)
        if isinstance(answer, Nothing):
            return _without_answer(answer)
        return _with_answer(answer, self.judge(reference, answer))


def _without_answer(nothing: Nothing) -> Grade:
    return Grade(Verdict.UNPARSABLE, None, nothing.reason)


def _with_answer(answer: str, ruling: Ruling) -> Grade:
    return Grade(ruling.verdict, answer, ruling.reason)


@functools.cache
def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:  # a workflow may be planned where graders are not installed
        return "not installed"


#: The rulings on distinct (reference, answer) pairs, in their order.
JudgeAll = Callable[[Grader, Sequence[Pair]], list[Ruling]]


def judge_here(grader: Grader, pairs: Sequence[Pair]) -> list[Ruling]:
    """Judge in this process, one after the other.

    Raises:
        GradingError: the grader is isolated, and could hang or crash this process.
    """
    if grader.isolated:
        raise GradingError(f"the grader {grader.name!r} may hang: give a boundary_bench.grading.judging.Judge")
    return [grader.judge(reference, answer) for reference, answer in pairs]


def grade_many(
    grader: Grader,
    references: Sequence[str],
    responses: Sequence[str],
    finished: Sequence[bool],
    judge: JudgeAll = judge_here,
) -> list[Grade]:
    """Grades of responses to one problem or many; equal answers to one reference are judged once.

    A response that hit the token limit is truncated whatever its text: a prefix of a longer answer is no answer.

    Args:
        references: the reference of each response's problem.
        responses: the decoded responses, without the EOS token.
        finished: whether each ended by itself.

    Raises:
        GradingError: the grader is isolated and there is no ``judge``, or its processes do not start.
    """
    whole = dict.fromkeys(text for text, ended in zip(responses, finished, strict=True) if ended)
    found = {text: grader.extract(text) for text in whole}
    grade_of: dict[Nothing | Pair, Grade] = {
        answer: _without_answer(answer) for answer in found.values() if isinstance(answer, Nothing)
    }
    rows = list(zip(references, responses, finished, strict=True))
    answered = [(reference, found[text]) for reference, text, ended in rows if ended]
    pairs = dict.fromkeys((gold, answer) for gold, answer in answered if not isinstance(answer, Nothing))
    for pair, ruling in zip(pairs, judge(grader, list(pairs)), strict=True):
        grade_of[pair] = _with_answer(pair[1], ruling)
    return [
        TRUNCATED if not ended else grade_of[answer if isinstance(answer := found[text], Nothing) else (gold, answer)]
        for gold, text, ended in rows
    ]


def grade_all(
    grader: Grader,
    reference: str,
    responses: Sequence[str],
    finished: Sequence[bool],
    judge: JudgeAll = judge_here,
) -> list[Grade]:
    """Grades of the responses to one problem; see ``grade_many``."""
    return grade_many(grader, [reference] * len(responses), responses, finished, judge)
