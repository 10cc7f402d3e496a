"""The answer in a sentence: algorithms that solve more or fewer problems than the base, and undecided ones."""

from __future__ import annotations

from dataclasses import dataclass

from boundary_bench.analysis.means import Boundaries, Boundary
from boundary_bench.core.text import MINUS, decimals, interval
from boundary_bench.plan import Plan
from boundary_bench.statistics.estimate import Estimate
from boundary_bench.statistics.paired import ROUNDING


@dataclass(frozen=True)
class Clause:
    """Algorithms with the same finding: "more" or "fewer" problems solved than by the base, or "undecided"."""

    word: str
    algorithms: list[str]


@dataclass(frozen=True)
class Answer:
    """The answer for one model and benchmark.

    Attributes:
        after: how long the runs were trained.
        large: the smallest large k; the upper half of the study's k counts as large.
        once: findings at the smallest k.
        often: findings at the largest large k with a simultaneous band that excludes 0, else at the largest k.
    """

    model: str
    benchmark: str
    after: str
    large: int
    once: list[Clause]
    often: list[Clause]


def answers(plan: Plan, found: Boundaries) -> list[Answer]:
    """The answer for every model and benchmark at the last step, from means over the training seeds."""
    ks = plan.study.ks
    return [
        Answer(model, benchmark, _after(curves), ks[len(ks) // 2], _clauses(curves), _clauses(curves, ks))
        for (model, benchmark), curves in found.items()
    ]


def _after(curves: dict[str, Boundary]) -> str:
    last = sorted({curve.checkpoints[-1].step for curve in curves.values()})
    if last == [1]:
        return "1 step"
    return f"{last[0]} steps" if len(last) == 1 else f"{last[0]} to {last[-1]} steps"


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
    """The place of the largest k in the upper half with a band that excludes 0; the last place without one."""
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
