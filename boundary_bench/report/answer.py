"""The answer in a sentence: what the last checkpoint solves more or less often than its base, and what is undecided."""

from __future__ import annotations

from dataclasses import dataclass

from boundary_bench.plan import Plan
from boundary_bench.report.boundary import Boundaries, Boundary
from boundary_bench.statistics.estimate import Estimate
from boundary_bench.statistics.paired import ROUNDING


@dataclass(frozen=True)
class Clause:
    """What holds of some algorithms: they solve "more" or "fewer" problems than the base, or it is "undecided"."""

    word: str
    algorithms: list[str]


@dataclass(frozen=True)
class Answer:
    """The answer for one model and benchmark.

    Attributes:
        once: at the smallest k.
        often: at the largest k whose simultaneous band excludes 0.
    """

    model: str
    benchmark: str
    once: list[Clause]
    often: list[Clause]


def answers(plan: Plan, found: Boundaries) -> list[Answer]:
    """The answer of every model and benchmark at the last step, as means over the training seeds."""
    return [
        Answer(model, benchmark, _once(curves), _often(plan.study.ks, curves))
        for (model, benchmark), curves in found.items()
    ]


def _once(curves: dict[str, Boundary]) -> list[Clause]:
    said = []
    for algorithm, curve in curves.items():
        difference = curve.checkpoints[-1].difference
        said.append((_word(difference, 0), f"{algorithm} {_points(difference, 0)}"))
    return _clauses(said)


def _often(ks: list[int], curves: dict[str, Boundary]) -> list[Clause]:
    said = []
    for algorithm, curve in curves.items():
        difference = curve.checkpoints[-1].difference
        decided = [place for place in range(1, len(ks)) if _word(difference, place) != "undecided"]
        last = decided[-1] if decided else len(ks) - 1
        said.append((_word(difference, last), f"{algorithm} {_points(difference, last)} at k = {ks[last]}"))
    return _clauses(said)


def _word(difference: Estimate, place: int) -> str:
    if difference.band_low_K[place] > ROUNDING:
        return "more"
    return "fewer" if difference.band_high_K[place] < -ROUNDING else "undecided"


def _points(difference: Estimate, place: int) -> str:
    """A difference and its band in percentage points."""
    ends = (difference.estimate_K[place], difference.band_low_K[place], difference.band_high_K[place])
    value, low, high = (f"{100 * end:+.1f}".replace("-", "\N{MINUS SIGN}") for end in ends)
    return f"{value} [{low}, {high}]"


def _clauses(said: list[tuple[str, str]]) -> list[Clause]:
    found = [Clause(word, [text for each, text in said if each == word]) for word in ("more", "fewer", "undecided")]
    return [clause for clause in found if clause.algorithms]
