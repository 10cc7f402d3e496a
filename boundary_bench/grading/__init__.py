"""Verdicts: what a grader may say of a response. Missing is not wrong, and neither is cut off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata

from boundary_bench.errors import GradingError


class Verdict(StrEnum):
    """The five outcomes; they are counted apart in every table."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNPARSABLE = "unparsable"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"


VERDICTS = tuple(str(verdict) for verdict in Verdict)


@dataclass(frozen=True)
class Grade:
    """A verdict and the answer that was extracted, where there was one."""

    verdict: Verdict
    answer: str | None = None


TRUNCATED = Grade(Verdict.TRUNCATED)
UNPARSABLE = Grade(Verdict.UNPARSABLE)


#: A reference and an answer.
Pair = tuple[str, str]


@dataclass(frozen=True)
class Grader:
    """How a response becomes a verdict, in two steps: responses repeat, and their answers repeat still more.

    Attributes:
        version: grows when a change can move a verdict.
        extract: response -> the answer in it, as text; None where there is none. Pure, quick and safe on any text.
        judge: (reference, answer) -> correct or wrong; timeout where the question could not be decided in time. Pure
            and deterministic but for the time. Where ``isolated``, a function of a module, found there by its name.
        isolated: judged in processes of their own (``boundary_bench.grading.judging``), since it may hang or crash.
        deadline: seconds an isolated judgement may take.
        libraries: distributions whose versions can move a verdict.
        quick: (reference, answer) -> the verdict of ``judge`` where it can be had at once and safely, else None.
    """

    name: str
    version: int
    extract: Callable[[str], str | None]
    judge: Callable[[str, str], Verdict]
    isolated: bool = False
    deadline: float = 10.0
    libraries: tuple[str, ...] = ()
    quick: Callable[[str, str], Verdict | None] = lambda reference, answer: None

    @property
    def identity(self) -> list[str | int]:
        """Name, version and the versions of its libraries: what a verdict depends on besides the texts."""
        return [self.name, self.version, *(f"{name} {_version(name)}" for name in self.libraries)]

    @property
    def label(self) -> str:
        """Name and version, as tables give them."""
        return f"{self.name} {self.version}"

    def grade(self, reference: str, response: str) -> Grade:
        """The grade of one response that ended by itself, judged here and now."""
        answer = self.extract(response)
        if answer is None:
            return UNPARSABLE
        return Grade(self.judge(reference, answer), answer)


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:  # a workflow may be planned where nothing is graded
        return "not installed"


#: The verdicts of distinct (reference, answer) pairs, in their order.
JudgeAll = Callable[[Grader, Sequence[Pair]], list[Verdict]]


def judge_here(grader: Grader, pairs: Sequence[Pair]) -> list[Verdict]:
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

    A response that hit the token limit is truncated whatever it says: a prefix of a longer answer is no answer.

    Args:
        references: of the problem of each response.
        responses: the decoded responses, without the end-of-sequence token.
        finished: whether each ended by itself.

    Raises:
        GradingError: the grader is isolated and there is no ``judge``, or its processes do not start.
    """
    whole = dict.fromkeys(text for text, ended in zip(responses, finished, strict=True) if ended)
    answer_of = {text: grader.extract(text) for text in whole}
    pairs = dict.fromkeys(
        (reference, answer)
        for reference, text, ended in zip(references, responses, finished, strict=True)
        if ended and (answer := answer_of[text]) is not None
    )
    verdicts = judge(grader, list(pairs))
    grade_of = {pair: Grade(verdict, pair[1]) for pair, verdict in zip(pairs, verdicts, strict=True)}
    return [
        TRUNCATED if not ended else UNPARSABLE if (answer := answer_of[text]) is None else grade_of[reference, answer]
        for reference, text, ended in zip(references, responses, finished, strict=True)
    ]


def grade_all(
    grader: Grader,
    reference: str,
    responses: Sequence[str],
    finished: Sequence[bool],
    judge: JudgeAll = judge_here,
) -> list[Grade]:
    """Grades of the responses to one problem, as ``grade_many`` gives them."""
    return grade_many(grader, [reference] * len(responses), responses, finished, judge)
