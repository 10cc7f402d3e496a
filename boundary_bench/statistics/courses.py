"""Stages over training: whether a measure falls, rises, or turns, and at which checkpoint.

The rule. Every pair of checkpoints is compared on the same problems. A fall (rise) is seen if the difference of a pair,
in standard errors, exceeds the chance level of the largest difference among all pairs. The null distribution of that
largest difference comes from the same resamples, centred, which corrects for picking the best of many pairs. The
course turns where a fall into a checkpoint and a rise out of it are both seen. At large k a fall is exploitation (the
boundary shrinks while known solutions are sharpened) and a rise after it exploration, the two stages of arXiv
2510.04028.

Axes: S checkpoints in order of training, the base first; P problems; B resamples; K values of k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.intervals import Resamples, check_level, holding, mean_draws, percentiles, typical_change

#: Standard errors below this are rounding errors of a constant.
TINY = 1e-12


class Course(StrEnum):
    """The course of a measure over training."""

    FALLS_THEN_RISES = "falls, then rises"
    RISES_THEN_FALLS = "rises, then falls"
    FALLS = "falls"
    RISES = "rises"
    NONE = "no change seen"


@dataclass(frozen=True)
class Move:
    """The clearest fall or rise of a trajectory, from one step to a later one.

    Attributes:
        change: the difference of the means, later minus earlier.
        probability: chance that, without any change, the clearest of all pairs is at least as clear.
        seen: whether the change exceeds the chance level.
    """

    start: int
    stop: int
    change: float
    probability: float
    seen: bool


@dataclass(frozen=True)
class Trajectory:
    """The course of one measure over a run.

    Attributes:
        mean_S: the measure at every checkpoint.
        change, change_low, change_high: the last checkpoint minus the first, and its paired interval over problems.
        turn, turn_low, turn_high: the step at the turn and its interval; None without a turn.
    """

    course: Course
    mean_S: np.ndarray
    change: float
    change_low: float
    change_high: float
    fall: Move
    rise: Move
    turn: int | None
    turn_low: int | None
    turn_high: int | None


def trajectory(
    steps: Sequence[int], value_SP: np.ndarray, resamples: Resamples, level: float, largest: float = 1.0
) -> Trajectory:
    """The course of a measure with one value a problem at every checkpoint.

    A flat trajectory shows a fall or a rise with a probability of at most 1 - level. The turn is the lowest (highest)
    checkpoint with a fall (rise) into it and a rise (fall) out of it; its interval holds the percentiles, over the
    resamples, of the lowest (highest) checkpoint between the first and the last.

    Args:
        steps: the S training steps, ascending.
        value_SP: e.g. the pass@k estimates of every problem at one k.
        resamples: the weights of the problems.
        largest: the largest change that a problem's value can make.

    Raises:
        StatisticsError: there are fewer than two checkpoints, the steps do not ascend, or the shapes do not fit.
    """
    check_level(level)
    if len(steps) < 2 or list(steps) != sorted(set(steps)) or value_SP.ndim != 2 or len(value_SP) != len(steps):
        raise StatisticsError(
            f"found steps {list(steps)} and values {value_SP.shape}, expected two ascending steps or more and (S, P)"
        )
    found = _contrasts(value_SP, resamples, level, largest)
    fall, rise = (_clearest(steps, found, sign) for sign in (-1, 1))
    mean_S = value_SP.mean(1)
    whole = len(steps) - 2  # the pair of the first and the last
    change_1 = found.change_D[[whole]]
    low_1, high_1 = holding(change_1, *percentiles(found.draw_BD[:, [whole]], level))
    parts = (mean_S, float(change_1[0]), float(low_1[0]), float(high_1[0]), fall, rise)
    for sign, course in ((-1, Course.FALLS_THEN_RISES), (1, Course.RISES_THEN_FALLS)):
        ends = {later for _, later in found.seen(sign)} & {earlier for earlier, _ in found.seen(-sign)}
        if ends:
            turn = max(ends, key=lambda place, sign=sign: sign * mean_S[place])
            between_BS = sign * (resamples.weight_BP @ value_SP[1:-1].T)
            tails = ((1 - level) / 2, (1 + level) / 2)
            low, high = np.quantile(between_BS.argmax(1) + 1, tails, method="inverted_cdf")
            return Trajectory(course, *parts, steps[turn], steps[int(low)], steps[int(high)])
    likely = [(Course.FALLS, fall), (Course.RISES, rise)]
    course = next((c for c, move in sorted(likely, key=lambda pair: pair[1].probability) if move.seen), Course.NONE)
    return Trajectory(course, *parts, None, None, None)


@dataclass(frozen=True)
class _Contrasts:
    """Every pair of checkpoints (axis D): places, change, its draws, the change in standard errors, and the limit."""

    pairs: list[tuple[int, int]]
    change_D: np.ndarray
    draw_BD: np.ndarray
    clear_D: np.ndarray
    chance_B: np.ndarray
    limit: float

    def seen(self, sign: int) -> list[tuple[int, int]]:
        return [pair for pair, clear in zip(self.pairs, sign * self.clear_D, strict=True) if clear > self.limit]


def _contrasts(value_SP: np.ndarray, resamples: Resamples, level: float, largest: float) -> _Contrasts:
    pairs = list(combinations(range(len(value_SP)), 2))
    change_PD = np.stack([value_SP[later] - value_SP[earlier] for earlier, later in pairs], 1)
    size_D = typical_change(change_PD, largest)
    draw_BD = mean_draws(change_PD, resamples, -size_D, size_D)
    error_D = np.maximum(draw_BD.std(0), TINY)
    chance_B = np.abs((draw_BD - draw_BD.mean(0)) / error_D).max(1)
    change_D = change_PD.mean(0)
    return _Contrasts(pairs, change_D, draw_BD, change_D / error_D, chance_B, float(np.quantile(chance_B, level)))


def _clearest(steps: Sequence[int], found: _Contrasts, sign: int) -> Move:
    best = int(np.argmax(sign * found.clear_D))
    clear = sign * found.clear_D[best]
    start, stop = (steps[place] for place in found.pairs[best])
    chance = float(np.mean(found.chance_B >= clear))
    return Move(start, stop, float(found.change_D[best]), chance, bool(clear > found.limit))
