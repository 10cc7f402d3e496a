"""Uncertainty of a mean over training seeds: the spread between runs, and an interval for other seeds.

Axes: S seeds, K values of k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.intervals import check_level


@dataclass(frozen=True)
class Seeds:
    """The spread of the seeds' differences, and an interval of their mean.

    Attributes:
        lowest_K, highest_K: lowest and highest difference of a seed.
        deviation_K: standard deviation over the seeds; NaN for a single seed.
        low_K, high_K: interval of the mean for new problems of the same kind and other seeds; NaN for a single seed.
    """

    lowest_K: np.ndarray
    highest_K: np.ndarray
    deviation_K: np.ndarray
    low_K: np.ndarray
    high_K: np.ndarray


def over_seeds(difference_SK: np.ndarray, low_K: np.ndarray, high_K: np.ndarray, level: float) -> Seeds:
    """The spread over seeds, and the interval over problems widened by it.

    Two half-widths, added in quadrature on either side (method of variance estimates recovery, Zou and Donner,
    Statistics in Medicine 2008): t deviation / sqrt(S), with Student's t at S - 1 degrees of freedom, and the
    half-width of the interval over problems. The interaction of seeds and problems is in both, as in the bootstrap of
    both (Owen, Annals of Applied Statistics 2007), so the interval errs on the wide side. The first alone would leave
    out the noise of the base's samples, which all seeds share. Its coverage: ``docs/statistics.md``.

    Args:
        difference_SK: checkpoint minus base of every seed, in [-1, 1].
        low_K, high_K: the interval over problems of the mean difference.

    Raises:
        StatisticsError: there is no seed, the shapes do not fit, or the level is outside (0, 1).
    """
    check_level(level)
    if difference_SK.ndim != 2 or not len(difference_SK) or difference_SK.shape[1] != len(low_K):
        raise StatisticsError(f"found {difference_SK.shape} for {len(low_K)} values of k, expected (S, K), S above 0")
    seeds, mean_K = len(difference_SK), difference_SK.mean(0)
    lowest_K, highest_K, unknown_K = difference_SK.min(0), difference_SK.max(0), np.full(len(mean_K), np.nan)
    if seeds == 1:
        return Seeds(lowest_K, highest_K, unknown_K, unknown_K, unknown_K)
    deviation_K = difference_SK.std(0, ddof=1)
    half_K = stdtrit(seeds - 1, (1 + level) / 2) * deviation_K / np.sqrt(seeds)
    ends = (mean_K - np.hypot(mean_K - low_K, half_K), mean_K + np.hypot(high_K - mean_K, half_K))
    return Seeds(lowest_K, highest_K, deviation_K, *(np.clip(end_K, -1, 1) for end_K in ends))
