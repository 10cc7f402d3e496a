"""Uncertainty of each problem's success rate: a beta posterior under a prior fitted to all problems.

c = 0 does not mean p = 0: the posterior of such a problem reaches up to about 3/n. Axes: P problems, O outcomes of a
design, K values of k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln

from boundary_bench.statistics.design import Design
from boundary_bench.statistics.sequential import outcomes, place, sequential_pass_at_k, table


@dataclass(frozen=True)
class Counts:
    """Counts of P problems: n scored samples each, c of them correct, all drawn by one design."""

    design: Design
    samples_P: np.ndarray
    correct_P: np.ndarray

    def __getitem__(self, part_P: np.ndarray) -> Counts:
        return Counts(self.design, self.samples_P[part_P], self.correct_P[part_P])

    def pass_at(self, ks: Sequence[int]) -> np.ndarray:
        """pass_PK: the estimate of every problem, see ``sequential_pass_at_k``."""
        return sequential_pass_at_k(self.design, self.samples_P, self.correct_P, ks)


@dataclass(frozen=True)
class Prior:
    """A distribution Beta(a, b) of success rates over problems."""

    a: float
    b: float


def fit_prior(counts: Counts) -> Prior:
    """The beta prior under which the counts of all problems are most likely.

    Maximum likelihood of the beta-binomial; stopping depends on the draws alone, so the design does not change the
    likelihood. One pseudo-problem with half a success in one draw keeps a and b finite and above 0 if all problems are
    unsolved, or all solved.
    """
    pairs_D2, weight_D = np.unique(np.stack([counts.samples_P, counts.correct_P], 1), axis=0, return_counts=True)
    n_D, c_D = np.concatenate([pairs_D2, [[1, 0.5]]]).T
    weight_D = np.append(weight_D, 1)

    def loss(log_ab: np.ndarray) -> float:
        a, b = np.exp(log_ab)
        return -float(weight_D @ (betaln(a + c_D, b + n_D - c_D) - betaln(a, b)))

    found = minimize(loss, [-0.5, 0.0], method="L-BFGS-B", bounds=[(-9, 9)] * 2)
    return Prior(*(float(value) for value in np.exp(found.x)))


def sampling_variance(counts: Counts, prior: Prior, ks: Sequence[int]) -> np.ndarray:
    """variance_PK: the variance of each problem's estimate of pass@k if the same problem were sampled again.

    The variance of the estimate given p, averaged over the posterior Beta(a + c, b + n - c) of p. Exact, by the law of
    total variance: E[estimate^2] under the posterior predictive distribution of outcomes, N B(a', b') / B(a, b), less
    E[(1 - (1-p)^k)^2] under the posterior.

    Raises:
        StatisticsError: a problem's counts are no outcome of the design, or a k is outside 1..n_max.
    """
    design = counts.design
    place_P = place(design, counts.samples_P, counts.correct_P)
    place_D, back_P = np.unique(place_P, return_inverse=True)
    a_D, b_D = _posterior(design, place_D, prior)
    missed_DK, both_DK = (
        np.exp(betaln(a_D[:, None], b_D[:, None] + times * np.asarray(ks)) - betaln(a_D, b_D)[:, None])
        for times in (1, 2)
    )
    square_DK = predictive(design, place_D, prior) @ np.nan_to_num(table(design, tuple(ks))) ** 2
    return np.maximum(square_DK - (1 - 2 * missed_DK + both_DK), 0)[back_P]


def predictive(design: Design, place_D: np.ndarray, prior: Prior) -> np.ndarray:
    """probability_DO: the posterior predictive distribution of a new outcome, for each of these first outcomes."""
    end = outcomes(design)
    a_D, b_D = _posterior(design, place_D, prior)
    missed_O = end.samples_O - end.correct_O
    again_DO = betaln(a_D[:, None] + end.correct_O, b_D[:, None] + missed_O)
    probability_DO = np.exp(end.log_count_O + again_DO - betaln(a_D, b_D)[:, None])
    return probability_DO / probability_DO.sum(1, keepdims=True)


def _posterior(design: Design, place_D: np.ndarray, prior: Prior) -> tuple[np.ndarray, np.ndarray]:
    end = outcomes(design)
    return prior.a + end.correct_O[place_D], prior.b + (end.samples_O - end.correct_O)[place_D]
