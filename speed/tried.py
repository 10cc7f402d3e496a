"""Intervals that were tried and are not offered, since they collapse where all problems agree, see ``intervals.py``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from boundary_bench.statistics.design import Design
from boundary_bench.statistics.estimate import Terms
from boundary_bench.statistics.intervals import Resamples, check_level
from boundary_bench.statistics.posterior import fit_prior, predictive
from boundary_bench.statistics.sequential import place, table


def classical(problems: int, resamples: int, seed: int) -> Resamples:
    """The weights of the classical bootstrap: multinomial counts over P (Efron and Tibshirani 1993, chapter 13)."""
    weight_BP = np.random.default_rng(seed).multinomial(problems, np.full(problems, 1 / problems), size=resamples)
    return Resamples(weight_BP / problems, np.zeros(resamples), np.zeros(resamples))


def bca(value_PK: np.ndarray, draw_BK: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """low_K and high_K, bias-corrected and accelerated (Efron, JASA 1987; acceleration from the jackknife).

    Where every value is the same the interval has no width, as that of the percentiles.

    Raises:
        StatisticsError: the level is outside (0, 1).
    """
    check_level(level)
    resamples, mean_K = len(draw_BK), value_PK.mean(0)
    below_K = ((draw_BK < mean_K).sum(0) + 0.5 * (draw_BK == mean_K).sum(0)) / resamples
    bias_K = ndtri(np.clip(below_K, 0.5 / resamples, 1 - 0.5 / resamples))
    away_PK = value_PK - mean_K
    spread_K = (away_PK**2).sum(0)
    skew_K = np.divide((away_PK**3).sum(0), 6 * spread_K**1.5, out=np.zeros_like(mean_K), where=spread_K > 0)
    ends = []
    for z in ndtri([(1 - level) / 2, (1 + level) / 2]):
        shifted_K = bias_K + (bias_K + z) / np.maximum(1 - skew_K * (bias_K + z), 1e-9)
        ends.append(np.array([np.quantile(d, q) for d, q in zip(draw_BK.T, ndtr(shifted_K), strict=True)]))
    return ends[0], ends[1]


def redrawn(design: Design, ks: Sequence[int], terms: Terms, resamples: Resamples, seed: int) -> np.ndarray:
    """draw_BK of the two-level bootstrap: problems by weight, and within each the outcome of sampling it again."""
    rng = np.random.default_rng([seed, 1])
    pass_OK = np.nan_to_num(table(design, tuple(ks)))
    draw_BK = np.zeros((len(resamples.weight_BP), len(ks)))
    for weight, counts in terms:
        prior = fit_prior(counts)
        place_D, back_P = np.unique(place(design, counts.samples_P, counts.correct_P), return_inverse=True)
        sum_DO = np.cumsum(predictive(design, place_D, prior), 1)
        again_BP = np.empty(resamples.weight_BP.shape, np.int64)
        for d, sum_O in enumerate(sum_DO):
            mine_P = np.flatnonzero(back_P == d)
            uniform_BP = rng.random((len(again_BP), len(mine_P)))
            again_BP[:, mine_P] = np.minimum(np.searchsorted(sum_O, uniform_BP), len(sum_O) - 1)
        for k in range(len(ks)):
            draw_BK[:, k] += weight * np.einsum("bp,bp->b", resamples.weight_BP, pass_OK[:, k][again_BP])
    return draw_BK
