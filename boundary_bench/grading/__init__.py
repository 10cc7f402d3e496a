"""Verdicts: what a grader may say of a response. Missing is not wrong, and neither is cut off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


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


@dataclass(frozen=True)
class Grader:
    """How a response becomes a verdict, in two steps: responses repeat, and their answers repeat still more.

    Attributes:
        version: grows when a change can move a verdict.
        extract: response -> the answer in it, as text; None where there is none. Pure, quick and safe on any text.
        judge: (reference, answer) -> correct or wrong; timeout where the question could not be decided in time. Pure
            and deterministic but for the time.
    """

    name: str
    version: int
    extract: Callable[[str], str | None]
    judge: Callable[[str, str], Verdict]

    def grade(self, reference: str, response: str) -> Grade:
        """The grade of one response that ended by itself."""
        answer = self.extract(response)
        if answer is None:
            return UNPARSABLE
        return Grade(self.judge(reference, answer), answer)


def grade_all(grader: Grader, reference: str, responses: Sequence[str], finished: Sequence[bool]) -> list[Grade]:
    """Grades of the responses to one problem; equal answers are judged once.

    A response that hit the token limit is truncated whatever it says: a prefix of a longer answer is no answer.

    Args:
        responses: the decoded responses, without the end-of-sequence token.
        finished: whether each ended by itself.
    """
    whole = dict.fromkeys(text for text, ended in zip(responses, finished, strict=True) if ended)
    answer_of = {text: grader.extract(text) for text in whole}
    answers = dict.fromkeys(answer for answer in answer_of.values() if answer is not None)
    grade_of = {answer: Grade(grader.judge(reference, answer), answer) for answer in answers}
    return [
        TRUNCATED if not ended else UNPARSABLE if (answer := answer_of[text]) is None else grade_of[answer]
        for text, ended in zip(responses, finished, strict=True)
    ]
