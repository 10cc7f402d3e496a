"""Tests for problems that a checkpoint solves more or less often than its base, at a false-discovery rate.

A problem that only one policy solved may be luck. Here every problem has its own test, exact also under early stopping.

Axes: P problems, O outcomes of a design, U distinct statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.posterior import Counts
from boundary_bench.statistics.sequential import Outcomes, outcomes, place, probabilities

#: Statistics within this distance count as equally extreme.
TIE = 1e-9
#: Outcomes with a total probability below this are left out, and counted as extreme.
NEGLIGIBLE = 1e-12
#: Grid spacing of the common rate, in logits. A grid six times as fine raised no p-value by more than 0.6 %, for n = 8
#: to 1024, in one round and in several; with steps of 0.4 p-values were up to 36 % too small.
LOGIT_STEP = 0.05


@dataclass(frozen=True)
class Gains:
    """The problems with a changed success rate, at a false-discovery rate.

    Attributes:
        gained_P: whether the checkpoint solves the problem more often than the base.
        lost_P: whether the checkpoint solves the problem less often than the base.
        p_two_sided_P: the p-value of "the rate is the same", before the correction for many problems.
    """

    gained_P: np.ndarray
    lost_P: np.ndarray
    p_two_sided_P: np.ndarray


def rate_tests(base: Counts, checkpoint: Counts) -> tuple[np.ndarray, np.ndarray]:
    """One-sided p-values of every problem for a success rate above, and below, the base's.

    An exact unconditional test (Barnard 1945, Nature 156; Suissa & Shuster 1985, JRSS A 148). For two independent
    draws, each from its policy's design, with the same rate p, the p-value is max over p of P_p(Z >= z), with z the
    difference of the variance-stabilised rates (Anscombe 1948, Biometrika 35) in units of its standard error,

        z = 2 (a_1 - a_0) / sqrt(1/(n_1 + 1/2) + 1/(n_0 + 1/2)),  a = asin sqrt((c + 3/8) / (n + 3/4)).

    The outcomes (n, c) have the probabilities of the design, so the test is as exact with early stopping as without.
    The scaling gives it power there: n is random and depends on p, and the plain difference of asin sqrt(c/n) has its
    largest spread, and so its p-value, at rates where problems stop after the first round, far from the problem's own
    rates. (Exact power at 5 %, rounds 64 to 1024, m = 32, rates .05 and .10: .93 against .01.) Fisher's test,
    conditional on the totals of n and c, is exact too under such a design, but has almost no power: the total number of
    draws nearly determines the two outcomes.

    Args:
        checkpoint: the same problems as the base, in the same order.

    Returns:
        p_greater_P and p_less_P, in (0, 1]; equal counts of one design give two values above 1/2. No p-value is below
        2e-12. The maximum is taken over rates 0.05 logits apart, from 0.01 / n_max up; a finer grid adds at most 0.6 %.

    Raises:
        StatisticsError: the policies have different numbers of problems, or a problem's counts are no outcome of the
            design.
    """
    base_P, checkpoint_P = (place(each.design, each.samples_P, each.correct_P) for each in (base, checkpoint))
    if len(base_P) != len(checkpoint_P):
        raise StatisticsError(
            f"found {len(base_P)} problems of the base and {len(checkpoint_P)} of the checkpoint, expected the same"
        )
    z_P = _statistic(outcomes(base.design), base_P, outcomes(checkpoint.design), checkpoint_P)
    if base.design == checkpoint.design:  # the statistic has one distribution on both sides
        p_greater_P, p_less_P = np.split(_tails(base.design, base.design, np.concatenate([z_P, -z_P])), 2)
        return p_greater_P, p_less_P
    return _tails(base.design, checkpoint.design, z_P), _tails(checkpoint.design, base.design, -z_P)


def discoveries(p_P: ArrayLike, level: float) -> np.ndarray:
    """found_P: whether each problem is a discovery; on average at most the share ``level`` of discoveries is false.

    The step-up procedure of Benjamini & Hochberg 1995 (JRSS B 57): with sorted p_(1) <= ... <= p_(P), the largest i
    with p_(i) <= level i / P, and all problems up to it. It holds for independent p-values, as those of ``rate_tests``
    are if every problem has its own samples.

    Raises:
        StatisticsError: there is no problem, a p-value is outside [0, 1] or NaN, or ``level`` is outside (0, 1).
    """
    from scipy.stats import false_discovery_control

    p_P = np.atleast_1d(np.asarray(p_P, np.float64))
    if p_P.ndim != 1 or not len(p_P) or not 0 < level < 1:
        raise StatisticsError(f"found {p_P.shape} p-values, level {level}, expected at least one, level in (0, 1)")
    wrong = np.flatnonzero(~((p_P >= 0) & (p_P <= 1)))
    if len(wrong):
        i = wrong[0]
        raise StatisticsError(f"problem {i}: found p-value {p_P[i]}, expected [0, 1]; leave the problem out")
    return false_discovery_control(p_P) <= level


def gained_and_lost(base: Counts, checkpoint: Counts, level: float) -> Gains:
    """The problems with a higher and those with a lower success rate than the base.

    Two-sided p-values min(1, 2 min(p_greater, p_less)) of ``rate_tests``, ``discoveries`` among them, and for each
    discovery the side with the smaller p-value: the directional false-discovery rate, with a wrong side counted as
    false, is at most ``level`` (Benjamini & Yekutieli 2005, JASA 100). A problem that is no discovery is not shown to
    be unchanged: ``coverage.detection_limit`` gives the rate that its samples could have missed.

    Args:
        checkpoint: the same problems as the base, in the same order.
        level: share of false discoveries, e.g. 0.05.

    Raises:
        StatisticsError: as ``rate_tests``, or ``level`` is outside (0, 1).
    """
    p_greater_P, p_less_P = rate_tests(base, checkpoint)
    p_two_sided_P = np.minimum(1, 2 * np.minimum(p_greater_P, p_less_P))
    found_P = discoveries(p_two_sided_P, level)
    return Gains(found_P & (p_greater_P < p_less_P), found_P & (p_less_P < p_greater_P), p_two_sided_P)


def _statistic(base: Outcomes, base_at: np.ndarray, checkpoint: Outcomes, checkpoint_at: np.ndarray) -> np.ndarray:
    """z of pairs of outcomes, given by their places."""
    (base_angle, base_variance), (angle, variance) = (
        (np.arcsin(np.sqrt((end.correct_O[at] + 3 / 8) / (end.samples_O[at] + 3 / 4))), 1 / (end.samples_O[at] + 1 / 2))
        for end, at in ((base, base_at), (checkpoint, checkpoint_at))
    )
    return 2 * (angle - base_angle) / np.sqrt(variance + base_variance)


def _tails(base: Design, checkpoint: Design, z_P: np.ndarray) -> np.ndarray:
    """tail_P: the largest probability, over all common rates, of a statistic of at least z."""
    z_U, at_P = np.unique(z_P, return_inverse=True)
    ends, edge = (outcomes(base), outcomes(checkpoint)), np.log(100 * max(base.n_max, checkpoint.n_max))
    logits = np.linspace(-edge, edge, 2 + int(2 * edge / LOGIT_STEP))
    rates, tail_U = 1 / (1 + np.exp(-logits)), np.zeros(len(z_U))
    for chances in zip(probabilities(base, rates), probabilities(checkpoint, rates), strict=True):
        likely = [np.flatnonzero(chance_O > NEGLIGIBLE / len(chance_O)) for chance_O in chances]
        z = _statistic(ends[0], likely[0], ends[1], likely[1][:, None])
        chance = np.outer(chances[1][likely[1]], chances[0][likely[0]])
        reached = np.searchsorted(z_U, z.ravel() + TIE, side="right")
        chance_of_reached = np.bincount(reached, chance.ravel(), len(z_U) + 1)
        np.maximum(tail_U, chance_of_reached[::-1].cumsum()[-2::-1], out=tail_U)
    return np.minimum(1, tail_U + 2 * NEGLIGIBLE)[at_P]
