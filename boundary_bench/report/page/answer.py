"""The answer in a sentence: what the last checkpoint solves more or less often than its base, and what is undecided."""

from __future__ import annotations

from dataclasses import dataclass

from boundary_bench.analysis.means import Boundaries, Boundary
from boundary_bench.core.text import MINUS, decimals, interval
from boundary_bench.plan import Plan
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
        large: the smallest k that counts as large: the upper half of the study's does.
        once: at the smallest k.
        often: at the largest large k whose simultaneous band excludes 0; at the largest of all where there is none.
    """

    model: str
    benchmark: str
    large: int
    once: list[Clause]
    often: list[Clause]


def answers(plan: Plan, found: Boundaries) -> list[Answer]:
    """The answer of every model and benchmark at the last step, as means over the training seeds."""
    ks = plan.study.ks
    return [
        Answer(model, benchmark, ks[len(ks) // 2], _clauses(curves), _clauses(curves, ks))
        for (model, benchmark), curves in found.items()
    ]


def _clauses(curves: dict[str, Boundary], ks: list[int] | None = None) -> list[Clause]:
    """At the smallest k; where ``ks`` are given, at the largest that is decided, which is named."""
    said: dict[str, list[str]] = {word: [] for word in ("more", "fewer", "undecided")}
    for algorithm, curve in curves.items():
        difference = curve.checkpoints[-1].difference
        place = largest_decided(difference) if ks else 0
        named = f" (k = {ks[place]})" if ks else ""
        said[_word(difference, place)].append(f"{algorithm} {_points(difference, place)}{named}")
    return [Clause(word, algorithms) for word, algorithms in said.items() if algorithms]


def largest_decided(difference: Estimate) -> int:
    """The place of the largest k, in the upper half of all, whose band excludes 0; the last where there is none."""
    places = range(len(difference.estimate_K))
    return max((k for k in places[len(places) // 2 :] if _word(difference, k) != "undecided"), default=places[-1])


def _word(difference: Estimate, place: int) -> str:
    if difference.band_low_K[place] > ROUNDING:
        return "more"
    return "fewer" if difference.band_high_K[place] < -ROUNDING else "undecided"


def _points(difference: Estimate, place: int) -> str:
    """A difference and its band in percentage points."""
    ends = (difference.estimate_K[place], difference.band_low_K[place], difference.band_high_K[place])
    return interval(*(decimals(100 * end, 1, "+").replace("-", MINUS) for end in ends))
