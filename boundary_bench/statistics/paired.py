"""Properties of a paired difference curve: its change at every k, its crossover, and the detectable difference.

Axes: K values of k, B resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import ndtri

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.estimate import Estimate
from boundary_bench.statistics.intervals import check_level, percentiles

#: Differences below this are rounding errors.
ROUNDING = 1e-9
#: Probability of finding the smallest detectable difference.
POWER = 0.8


class Change(StrEnum):
    """The change of the boundary at one k."""

    SHRUNK = "shrunk"
    EXPANDED = "expanded"
    UNCHANGED = "unchanged"
    UNDECIDED = "undecided"


def equivalence(draw_BK: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """low_K and high_K of the equivalence test: the 1 - 2 alpha interval, with alpha = 1 - level.

    Two one-sided tests at alpha (TOST; Schuirmann 1987) find a difference smaller than a margin exactly if this
    interval lies within the margin on either side.
    """
    check_level(level)
    return percentiles(draw_BK, max(2 * level - 1, 1e-6))


def changes(found: Estimate, margin: float, level: float) -> list[Change]:
    """The change at every k.

    Unchanged: equivalent to the base within ``margin``, at this k. Otherwise shrunk or expanded: the simultaneous band
    lies below or above 0, so that the probability of any false change among all k is at most 1 - level. Otherwise
    undecided: neither a change nor its absence could be shown.

    Raises:
        StatisticsError: the margin is not above 0.
    """
    if not margin > 0:
        raise StatisticsError(f"found margin {margin}, expected a difference above 0, e.g. 0.05")
    near_low_K, near_high_K = equivalence(found.draw_BK, level)
    verdicts = []
    for k in range(len(found.estimate_K)):
        if -margin < near_low_K[k] and near_high_K[k] < margin:
            verdicts.append(Change.UNCHANGED)
        elif found.band_high_K[k] < -ROUNDING:
            verdicts.append(Change.SHRUNK)
        elif found.band_low_K[k] > ROUNDING:
            verdicts.append(Change.EXPANDED)
        else:
            verdicts.append(Change.UNDECIDED)
    return verdicts


def detectable(draw_BK: np.ndarray, level: float) -> np.ndarray:
    """difference_K: the smallest true difference that the interval at one k would have shown four times in five.

    (z of the level, two-sided, + z of 80 %) times the standard error for these problems and samples.
    """
    check_level(level)
    return (ndtri((1 + level) / 2) + ndtri(POWER)) * draw_BK.std(0)


@dataclass(frozen=True)
class Crossover:
    """The k at which the policy that leads at small k is overtaken.

    Attributes:
        leader: "checkpoint" or "base", whichever is ahead at the smallest k with a difference; "" without any.
        k: interpolated in log k; infinity without a crossover up to the largest k.
        low, high: interval of ``k``; 0 if the leader may not lead at any k, infinity if it may never be overtaken.
    """

    leader: str
    k: float
    low: float
    high: float


def crossover(ks: Sequence[int], difference_K: np.ndarray, draw_BK: np.ndarray, level: float) -> Crossover:
    """The first sign change of the difference curve (checkpoint minus base).

    The usual finding of the debate is a checkpoint that leads at k = 1 and is overtaken at some k* (Yue et al., arXiv
    2504.13837). The interval holds the percentiles of the first crossing of every resampled curve.

    Raises:
        StatisticsError: the values of k do not ascend, or do not fit the curves.
    """
    check_level(level)
    if len(ks) != len(difference_K) or draw_BK.shape[1] != len(ks) or list(ks) != sorted(set(ks)):
        raise StatisticsError(f"found k = {list(ks)} for curves of {len(difference_K)}, expected as many, ascending")
    moved_K = np.flatnonzero(np.abs(difference_K) > ROUNDING)
    if not len(moved_K):
        return Crossover("", np.inf, 0.0, np.inf)
    sign = np.sign(difference_K[moved_K[0]])
    k = _first_crossing(ks, sign * difference_K[None])[0]
    drawn_B = _first_crossing(ks, sign * draw_BK)
    # without interpolation, since half way to infinity is infinity
    low, high = np.quantile(drawn_B, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Crossover("checkpoint" if sign > 0 else "base", float(k), float(low), float(high))


def _first_crossing(ks: Sequence[int], lead_BK: np.ndarray) -> np.ndarray:
    """k_B at which each curve that starts above 0 first falls below; 0 if it starts below, infinity if never."""
    log_K = np.log(ks)
    found_B = np.full(len(lead_BK), np.inf)
    for b, lead_K in enumerate(lead_BK):
        below_K = np.flatnonzero(lead_K < -ROUNDING)
        if not len(below_K):
            continue
        j = below_K[0]
        if not np.any(lead_K[:j] > ROUNDING):
            found_B[b] = 0
            continue
        ahead, behind = max(lead_K[j - 1], 0.0), lead_K[j]
        found_B[b] = np.exp(log_K[j - 1] + (log_K[j] - log_K[j - 1]) * ahead / (ahead - behind))
    return found_B
