"""Intervals of a mean over problems, by resampling the problems."""

from __future__ import annotations

import numpy as np

from boundary_bench.errors import StatisticsError

#: What the interval columns of every table hold.
INTERVAL = "bootstrap over problems"


def bootstrap_weights(problems: int, resamples: int, seed: int) -> np.ndarray:
    """How much each problem weighs in each resample: multinomial counts over the number of problems.

    Giving the same weights to two policies resamples them together, which is what makes a comparison paired.

    Returns:
        weight_BP; every row sums to 1. The same arguments give the same weights.

    Raises:
        StatisticsError: there is no problem or no resample.
    """
    if problems < 1 or resamples < 1:
        raise StatisticsError(f"found {problems} problems and {resamples} resamples, expected at least one of each")
    rng = np.random.default_rng(seed)
    return rng.multinomial(problems, np.full(problems, 1 / problems), size=resamples) / problems


def mean_interval(
    value_PK: np.ndarray, weight_BP: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean over problems and its percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    The interval speaks of other problems like these, with the policies and the training seeds held fixed;
    each k has its own interval, so of many at a level of 0.95 about one in twenty misses. That a problem's
    value is itself estimated from n samples is in the interval, as part of the spread between problems.

    Args:
        value_PK: one row a problem; a difference of two policies gives the interval of a paired comparison.
        weight_BP: from ``bootstrap_weights``.
        level: confidence level, in (0, 1).

    Returns:
        estimate_K, low_K, high_K. With a single problem there is no spread to learn from: low and high are
        NaN. Where every problem has the same value the interval has no width, and is too sure of itself.

    Raises:
        StatisticsError: the shapes do not fit, a value is NaN, or the level is outside (0, 1).
    """
    if value_PK.ndim != 2 or not len(value_PK) or weight_BP.ndim != 2 or weight_BP.shape[1] != len(value_PK):
        raise StatisticsError(
            f"values {value_PK.shape} do not fit weights {weight_BP.shape}, expected (P, K) and (B, P)"
        )
    if not 0 < level < 1:
        raise StatisticsError(f"found level {level}, expected a number between 0 and 1")
    missing = np.flatnonzero(np.isnan(value_PK).any(1))
    if len(missing):
        raise StatisticsError(f"problem {missing[0]}: found NaN, expected a number; leave out problems without a value")
    estimate_K = value_PK.mean(0)
    if len(value_PK) == 1:
        return estimate_K, np.full_like(estimate_K, np.nan), np.full_like(estimate_K, np.nan)
    low_K, high_K = np.quantile(weight_BP @ value_PK, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return estimate_K, low_K, high_K
