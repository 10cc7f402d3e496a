"""A curve over k with all its intervals: pass@k of a policy, or a difference of policies on the same problems.

Axes: J policies, P problems, K values of k, B resamples, D distinct and O possible outcomes of the design.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.intervals import Resamples, band, holding, mean_draws, percentiles, typical_change
from boundary_bench.statistics.posterior import Counts, fit_prior, sampling_variance

#: Weighted policies: [(1, policy)], or [(1, checkpoint), (-1, base)], or a mean over seeds.
Terms = Sequence[tuple[float, Counts]]


@dataclass(frozen=True)
class Estimate:
    """A curve over k.

    Attributes:
        value_PK: the value of every problem.
        estimate_K: its mean over problems.
        low_K, high_K: the problem+sample interval, for new problems and samples of the same kind.
        band_low_K, band_high_K: the same for all k at once.
        samples_low_K, samples_high_K: the sample-only interval, for new samples of the same problems.
        draw_BK: the resampled means behind the first two intervals.
    """

    value_PK: np.ndarray
    estimate_K: np.ndarray
    low_K: np.ndarray
    high_K: np.ndarray
    band_low_K: np.ndarray
    band_high_K: np.ndarray
    samples_low_K: np.ndarray
    samples_high_K: np.ndarray
    draw_BK: np.ndarray


def estimate(ks: Sequence[int], terms: Terms, resamples: Resamples, level: float) -> Estimate:
    """The sum of the weighted pass@k curves of some policies on the same problems, in the same order, with intervals.

    The sample-only interval is the estimate -+ z times the design's standard error, averaged over the posterior of each
    problem's success rate. The coverage of both kinds of interval: ``docs/statistics.md``. Each policy has the design
    that it was sampled by; none needs the number of samples of another.

    Args:
        terms: policies and their weights. Without a negative weight the sum is itself a pass@k, in [0, 1]; with one it
            is a difference, in [-1, 1].
        resamples: from ``resample``; the same for all curves that are compared with one another.

    Raises:
        StatisticsError: there is no term, the policies have different numbers of problems, or a problem's counts are no
            outcome of the design.
    """
    if len({len(counts.samples_P) for _, counts in terms}) != 1:
        raise StatisticsError(
            f"found policies with {[len(counts.samples_P) for _, counts in terms]} problems, expected one or more with "
            "the same problems; measure them again"
        )
    weight_J = np.array([weight for weight, _ in terms])
    value_JPK = [counts.pass_at(ks) for _, counts in terms]
    value_PK = np.tensordot(weight_J, value_JPK, 1)
    priors = [fit_prior(counts) for _, counts in terms]
    least, most = (-1.0, 1.0) if weight_J.min() < 0 else (0.0, 1.0)
    size_K = typical_change(value_PK) if least < 0 else np.ones(len(ks))
    draw_BK = mean_draws(value_PK, resamples, least * size_K, most * size_K)
    estimate_K = value_PK.mean(0)
    low_K, high_K = holding(estimate_K, *percentiles(draw_BK, level))
    band_low_K, band_high_K = holding(estimate_K, *band(draw_BK, level))
    variance_JK = [
        sampling_variance(counts, prior, ks).sum(0) for (_, counts), prior in zip(terms, priors, strict=True)
    ]
    half_K = ndtri((1 + level) / 2) * np.sqrt(weight_J**2 @ variance_JK) / len(value_PK)
    only_low_K, only_high_K = (np.clip(estimate_K + sign * half_K, least, most) for sign in (-1, 1))
    ends_K = (low_K, high_K, band_low_K, band_high_K, only_low_K, only_high_K)
    return Estimate(value_PK, estimate_K, *ends_K, draw_BK)
