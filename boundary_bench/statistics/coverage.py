"""Solved problems of two policies: the four sets, their rates, the detection limit, and the null of luck alone.

Axes: P problems, T thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from boundary_bench.core.errors import StatisticsError

#: An estimated rate of 3/10 may be a hair below 0.3.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Coverage:
    """Numbers of problems solved by both policies, by one alone, and by neither; they add up to all problems.

    Whole numbers from ``coverage``, expected numbers from ``halves`` and ``at_half``.
    """

    both: float
    base_only: float
    checkpoint_only: float
    neither: float


@dataclass(frozen=True)
class Rates:
    """Shares of the four sets: P is both, S base only, E checkpoint only, N neither; NaN where a denominator is 0.

    The first four are from "The Invisible Leash" (Wu et al. 2025, arXiv 2507.14843), the last three from MATH-Beyond
    (arXiv 2510.11653).

    Attributes:
        support_retention: SRR = P / (P+S).
        net_discovery: NDR = E / (P+E).
        support_dynamic: SDS, the harmonic mean of SRR and NDR.
        net_support_change: NSCR = (E-S) / (P+E+S).
        expansion: E / (E+N), the share of problems unsolved by the base that the checkpoint solves.
        shrinkage: S / (P+S).
        preservation: P / (P+S), another name for SRR.
    """

    support_retention: float
    net_discovery: float
    support_dynamic: float
    net_support_change: float
    expansion: float
    shrinkage: float
    preservation: float


def solved(correct_P: ArrayLike, hits: int) -> np.ndarray:
    """solved_P: whether at least ``hits`` samples of a problem are correct.

    One hit can be luck, and counts of problems near the detection limit are noisy; three hits are steadier.

    Raises:
        StatisticsError: ``hits`` is below 1.
    """
    if hits < 1:
        raise StatisticsError(f"found hits = {hits}, expected 1 or more")
    return np.asarray(correct_P) >= hits


def coverage(base_solved_P: ArrayLike, checkpoint_solved_P: ArrayLike) -> Coverage:
    """The four sets of two policies on the same problems, in the same order.

    "Base only" is the shrinkage, "checkpoint only" the expansion that n samples can show. Both are above 0 even for two
    equal policies: ``halves`` gives the numbers from luck alone.

    Raises:
        StatisticsError: the two have different numbers of problems, or none.
    """
    base_P, checkpoint_P = _alike(base_solved_P, checkpoint_solved_P)
    base_P, checkpoint_P = base_P.astype(bool), checkpoint_P.astype(bool)
    sets = (base_P & checkpoint_P, base_P & ~checkpoint_P, ~base_P & checkpoint_P, ~base_P & ~checkpoint_P)
    return Coverage(*(int(part_P.sum()) for part_P in sets))


def rates(sets: Coverage) -> Rates:
    """The rates of "The Invisible Leash" and of MATH-Beyond, from the four sets.

    MATH-Beyond (as quoted in reviews; its own formulas were not at hand) defines the sets, E = R(checkpoint) - R(base)
    with R the solved problems, and reports E / all on problems that the base does not solve at all, where it equals
    E / (E+N). The denominators on other problems are our reading: each set is a share of the problems that could have
    ended in it. Its fourth measure needs success rates: ``consolidation``.
    """
    both, lost, gained = sets.both, sets.base_only, sets.checkpoint_only
    retention, discovery = _ratio(both, both + lost), _ratio(gained, both + gained)
    return Rates(
        support_retention=retention,
        net_discovery=discovery,
        support_dynamic=_ratio(2 * retention * discovery, retention + discovery),
        net_support_change=_ratio(gained - lost, both + gained + lost),
        expansion=_ratio(gained, gained + sets.neither),
        shrinkage=_ratio(lost, both + lost),
        preservation=retention,
    )


def consolidation(
    base_solved_P: ArrayLike, checkpoint_solved_P: ArrayLike, base_rate_P: ArrayLike, checkpoint_rate_P: ArrayLike
) -> float:
    """The share of problems with a risen success rate (pass@1) among those that both policies solve; NaN without any.

    The term is from MATH-Beyond (arXiv 2510.11653): solutions within reach become reliable. This measure of it is our
    reading; we found no formula. Two equal policies give 1/2 less half the share of ties; ``gains.gained_and_lost``
    tests the change of single problems.

    Raises:
        StatisticsError: the four have different numbers of problems, or none.
    """
    base_P, checkpoint_P, base_rate_P, checkpoint_rate_P = _alike(
        base_solved_P, checkpoint_solved_P, base_rate_P, checkpoint_rate_P
    )
    both_P = base_P.astype(bool) & checkpoint_P.astype(bool)
    return _ratio(int((checkpoint_rate_P > base_rate_P)[both_P].sum()), int(both_P.sum()))


def thinned(
    base: tuple[ArrayLike, ArrayLike], checkpoint: tuple[ArrayLike, ArrayLike], size_P: ArrayLike, hits: int
) -> Coverage:
    """The expected sets of two policies if each had only ``size_P`` of its samples of a problem.

    For policies with different numbers of samples, since "solved" depends on n: over all ways to leave samples out,
    P(fewer than ``hits`` correct) is hypergeometric. With all samples these are the sets of ``coverage``.

    Args:
        base: samples_P and correct_P of the base.
        checkpoint: the same of the checkpoint, problems in the same order.
        size_P: at most the samples of either.

    Raises:
        StatisticsError: there is no problem, or the policies have different numbers of problems.
    """
    size_P = np.asarray(size_P)
    base_P, checkpoint_P = (_missed(*_alike(*counts, size_P), hits) for counts in (base, checkpoint))
    return _independent(base_P, checkpoint_P)


def halves(samples_P: ArrayLike, correct_P: ArrayLike, hits: int, most_P: ArrayLike | None = None) -> Coverage:
    """The null of ``at_half``: the sets of a policy compared with itself, each time with half of its samples.

    Expected numbers over all ways to split the n samples of a problem into two halves of floor(n/2), one sample left
    out if n is odd. Given c correct ones, the numbers of correct ones in the halves have the (multivariate)
    hypergeometric distribution, so no split is drawn and the result is exact. "Base only" and "checkpoint only" are
    equal: the losses and gains from chance alone, to be subtracted from those of ``at_half``.

    Two equal policies give ``at_half`` the same numbers in expectation, exactly so if n is fixed. Under a sequential
    design a problem that stopped early has c >= m successes; the split ignores the order of the samples, so the formula
    applies to its own n and c, and the numbers agree where m is well above 2 ``hits`` (m = 32, 3 hits: to 1e-9 of a
    problem; m = 8, 3 hits: the null is up to 6 % too large).

    Args:
        samples_P: n of each problem, 2 or more.
        correct_P: c of each problem.
        hits: correct samples that a half needs to have solved the problem.
        most_P: samples to be halved, where not all of them are.

    Raises:
        StatisticsError: as ``at_half``.
    """
    n_P, c_P, half_P = _split(samples_P, correct_P, hits, most_P)
    missed_P = _missed(n_P, c_P, half_P, hits)
    neither_P = np.zeros(len(n_P))
    for first in range(hits):
        for second in range(hits):
            ways_P = _log_choose(half_P, first) + _log_choose(half_P, second)
            left_P = _log_choose(n_P - 2 * half_P, c_P - first - second)
            neither_P += np.exp(ways_P + left_P - _log_choose(n_P, c_P))
    return _expected(1 - 2 * missed_P + neither_P, missed_P - neither_P, missed_P - neither_P, neither_P)


def at_half(
    base: tuple[ArrayLike, ArrayLike],
    checkpoint: tuple[ArrayLike, ArrayLike],
    hits: int,
    most_P: ArrayLike | None = None,
) -> Coverage:
    """The sets of two policies, each with a random half of its samples, for comparison with ``halves`` of the base.

    Expected numbers over all halves of floor(n/2) of the n samples of a problem: null and comparison have the same n,
    which matters because "gained" and "lost" depend on n. P(fewer than ``hits`` correct) is hypergeometric, and the
    halves of base and checkpoint are independent.

    Args:
        base: samples_P and correct_P of the base, n of 2 or more; n may differ between problems.
        checkpoint: the same of the checkpoint, problems in the same order.
        hits: correct samples that a half needs to have solved the problem.
        most_P: samples to be halved, where not all of them are.

    Raises:
        StatisticsError: ``hits`` is below 1, there is no problem, the policies have different numbers of problems, or a
            problem has fewer than 2 samples or not 0 <= c <= n.
    """
    return _independent(*_alike(*(_missed(*_split(*counts, hits, most_P), hits) for counts in (base, checkpoint))))


def cover_at(pass_P: ArrayLike, thresholds: ArrayLike) -> np.ndarray:
    """Cover@tau: the share of problems with a success rate of at least tau (Dragoi et al. 2025, arXiv 2510.08325).

    pass@k is its average with the weights k (1-tau)^(k-1) of a Beta(1, k) distribution, so pass@k at large k reflects
    only rates near 1/k. With estimated rates of standard error sqrt(p (1-p) / n), problems near tau fall on either
    side: the curve is smoothed by that width, and biased wherever it bends. Below tau = 1/n it is the share with one
    success, whatever tau; compare only at equal n.

    Args:
        pass_P: the success rate of each problem, c / n or, from a sequential design, the estimate of pass@1.
        thresholds: tau_T, in [0, 1].

    Returns:
        share_T.

    Raises:
        StatisticsError: there is no problem, or a rate or threshold is outside [0, 1] or NaN.
    """
    pass_P, tau_T = (np.atleast_1d(np.asarray(values, np.float64)) for values in (pass_P, thresholds))
    if not len(pass_P) or not np.all((tau_T >= 0) & (tau_T <= 1)):
        raise StatisticsError(f"found {len(pass_P)} problems, tau {tau_T}, expected at least one, and tau in [0, 1]")
    wrong = np.flatnonzero(~((pass_P >= 0) & (pass_P <= 1)))
    if len(wrong):
        raise StatisticsError(f"problem {wrong[0]}: found rate {pass_P[wrong[0]]}, expected a number in [0, 1]")
    return 1 - np.searchsorted(np.sort(pass_P), tau_T - ROUNDING) / len(pass_P)


def detection_limit(samples: int, hits: int = 1, miss: float = 0.05) -> float:
    """The success rate that the rule "at least ``hits`` of n" misses with probability ``miss``.

    The p with P(Binomial(n, p) < hits) = miss; for one hit it is 1 - miss^(1/n), about 3/n at 5 %. So "not solved"
    means, with 95 % confidence, that p is below this number, and nothing more.

    Raises:
        StatisticsError: not 1 <= hits <= n, or ``miss`` outside (0, 1).
    """
    if not 1 <= hits <= samples or not 0 < miss < 1:
        raise StatisticsError(
            f"found n = {samples}, hits = {hits}, miss = {miss}, expected 1 <= hits <= n, 0 < miss < 1"
        )
    if hits == 1:
        return float(-np.expm1(np.log(miss) / samples))
    from scipy.special import betaincinv

    return float(betaincinv(hits, samples - hits + 1, 1 - miss))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _alike(*values: ArrayLike) -> tuple[np.ndarray, ...]:
    found = tuple(np.asarray(value) for value in values)
    shapes = [value.shape for value in found]
    if len(set(shapes)) > 1 or found[0].ndim != 1 or not len(found[0]):
        listed = " and ".join(map(str, shapes))
        raise StatisticsError(f"found {listed} problems, expected as many, at least one")
    return found


def _split(
    samples_P: ArrayLike, correct_P: ArrayLike, hits: int, most_P: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n_P, c_P = _alike(samples_P, correct_P)
    if hits < 1:
        raise StatisticsError(f"found hits = {hits}, expected 1 or more")
    wrong = np.flatnonzero((n_P < 2) | (c_P < 0) | (c_P > n_P))
    if len(wrong):
        i = wrong[0]
        raise StatisticsError(
            f"problem {i}: found {c_P[i]} correct of {n_P[i]} samples, expected 2 samples or more, and 0 to n correct;"
            " draw more samples, or compare without halves"
        )
    return n_P, c_P, (n_P if most_P is None else np.asarray(most_P)) // 2


def _missed(n_P: np.ndarray, c_P: np.ndarray, size_P: np.ndarray, hits: int) -> np.ndarray:
    """The probability that ``size_P`` random ones of the samples have fewer than ``hits`` correct ones."""
    logs = (_log_choose(size_P, i) + _log_choose(n_P - size_P, c_P - i) - _log_choose(n_P, c_P) for i in range(hits))
    return sum(map(np.exp, logs))


def _log_choose(n_P: np.ndarray, k_P: np.ndarray | int) -> np.ndarray:
    from scipy.special import gammaln

    # outside 0 <= k <= n one of the last two is at a pole, +inf: no way to choose
    return gammaln(n_P + 1) - gammaln(k_P + 1) - gammaln(n_P - k_P + 1)


def _independent(base_P: np.ndarray, checkpoint_P: np.ndarray) -> Coverage:
    """The expected sets, from the probabilities that each policy misses a problem."""
    lost_P, gained_P, neither_P = (1 - base_P) * checkpoint_P, base_P * (1 - checkpoint_P), base_P * checkpoint_P
    return _expected((1 - base_P) * (1 - checkpoint_P), lost_P, gained_P, neither_P)


def _expected(*sets: np.ndarray) -> Coverage:
    return Coverage(*(max(0.0, float(part_P.sum())) for part_P in sets))  # a sum of rounding errors may be below 0
