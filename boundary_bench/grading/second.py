"""A second opinion: where two graders differ on the same responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from boundary_bench.grading import Grade, Verdict

#: Verdicts that say nothing of the answer.
UNDECIDED = (Verdict.TRUNCATED, Verdict.TIMEOUT)


@dataclass(frozen=True)
class Disagreement:
    """A response that one grader calls correct and the other does not."""

    problem_id: str
    sample: int
    first: Grade
    second: Grade


def decided(first: Sequence[Grade], second: Sequence[Grade]) -> int:
    """How many responses both graders have decided: neither truncated nor timeout."""
    pairs = zip(first, second, strict=True)
    return sum(a.verdict not in UNDECIDED and b.verdict not in UNDECIDED for a, b in pairs)


def disagreements(
    problem_ids: Sequence[str], samples: Sequence[int], first: Sequence[Grade], second: Sequence[Grade]
) -> list[Disagreement]:
    """The decided responses that one grader calls correct and the other wrong or unparsable, in their order.

    Args:
        problem_ids, samples: which response each grade is of.
    """
    rows = zip(problem_ids, samples, first, second, strict=True)
    return [
        Disagreement(problem_id, sample, a, b)
        for problem_id, sample, a, b in rows
        if a.verdict not in UNDECIDED
        and b.verdict not in UNDECIDED
        and (a.verdict is Verdict.CORRECT) != (b.verdict is Verdict.CORRECT)
    ]


def disagreement_rate(first: Sequence[Grade], second: Sequence[Grade]) -> float | None:
    """The share of the decided responses on which two graders disagree; None where none is decided."""
    count, places = decided(first, second), range(len(first))
    return len(disagreements([""] * len(first), places, first, second)) / count if count else None
