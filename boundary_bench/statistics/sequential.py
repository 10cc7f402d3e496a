"""Exactly unbiased pass@k of problems that were sampled until they had enough successes.

Axes: P problems, O outcomes of a design, K values of k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, xlog1py, xlogy

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.passk import pass_at_k


def sequential_pass_at_k(design: Design, samples_P: ArrayLike, correct_P: ArrayLike, ks: Sequence[int]) -> np.ndarray:
    """The unbiased estimate of pass@k of problems under a sequential design.

    1 - N_k(n, c) / N(n, c): N counts the 0/1 sequences of length n with c ones that end there under the design, N_k
    those that start with k zeros (none if k >= n and c > 0, so the estimate is 1).

    Proof of unbiasedness. Let Z be 1 if the first k entries of an endless sequence of draws are all 0, else 0, so that
    E Z = (1-p)^k. Every sequence that ends at (n, c) has probability p^c (1-p)^(n-c): given (n, c) all N are equally
    likely. If k <= n, Z is determined by the sequence, and E[Z | n, c] = N_k / N. If n < k <= n_max, the problem ended
    early, with c >= m >= 1 successes among its first n < k draws: Z = 0, and so is N_k. Taking the mean over (n, c)
    gives E[N_k / N] = (1-p)^k (Rao-Blackwell: no unbiased estimate from the same draws varies less than its mean given
    the sufficient statistic (n, c)). With one round it is the classical estimate of ``pass_at_k``; with rounds of one
    sample and k = 1 it is Haldane's (m-1) / (n-1) of inverse sampling (Biometrika 1945).

    Args:
        design: the design of all problems' samples.
        samples_P: n of each problem when it ended.
        correct_P: c of each problem when it ended.
        ks: numbers of attempts, up to ``design.n_max``.

    Returns:
        pass_PK, in [0, 1]; 0 if c = 0.

    Raises:
        StatisticsError: a k is outside 1..n_max, or a problem's counts are no outcome of the design.
    """
    return table(design, tuple(ks))[place(design, samples_P, correct_P)]


@lru_cache(maxsize=64)
def table(design: Design, ks: tuple[int, ...]) -> np.ndarray:
    """pass_OK: the estimate of every outcome of a design.

    Raises:
        StatisticsError: there is no k, or one is outside 1..n_max.
    """
    if not ks or min(ks) < 1 or max(ks) > design.n_max or any(k != int(k) for k in ks):
        raise StatisticsError(
            f"found k = {list(ks)}, expected whole numbers from 1 to {design.n_max}; draw more samples or drop these k"
        )
    end = outcomes(design)
    if len(design.stops) == 1:
        return pass_at_k(end.samples_O, end.correct_O, ks)
    with np.errstate(invalid="ignore"):  # outcomes that cannot occur: -inf - -inf
        ratio_KO = np.exp([log_paths(design, k) - end.log_count_O for k in ks])
    pass_OK = np.ascontiguousarray(1 - np.minimum(ratio_KO, 1).T)
    pass_OK.setflags(write=False)
    return pass_OK


def variance(design: Design, p_P: ArrayLike, ks: Sequence[int]) -> np.ndarray:
    """variance_PK: the variance of the estimate of pass@k for a problem of each success rate.

    Raises:
        StatisticsError: a rate is outside [0, 1], or a k outside 1..n_max.
    """
    pass_OK, probability_PO = np.nan_to_num(table(design, tuple(ks))), probabilities(design, p_P)
    return np.maximum(probability_PO @ pass_OK**2 - (probability_PO @ pass_OK) ** 2, 0)


@dataclass(frozen=True)
class Outcomes:
    """The possible ends of a problem: O pairs of samples and successes, round by round, c ascending.

    Attributes:
        log_count_O: log N, with N the number of 0/1 sequences of each outcome.
    """

    samples_O: np.ndarray
    correct_O: np.ndarray
    log_count_O: np.ndarray


@lru_cache(maxsize=64)
def outcomes(design: Design) -> Outcomes:
    """The outcomes of a design; impossible (n, c) pairs are kept, with log N = -inf, unless a whole round ends none."""
    samples, correct, first, start = [], [], 0, 0
    for end in design.stops:
        least = 0 if end == design.n_max else design.stop_after or 0
        ones = np.arange(least, first + end - start + 1)
        samples.append(np.full(len(ones), end))
        correct.append(ones)
        first, start = min(first + end - start, least - 1), end
    return Outcomes(np.concatenate(samples), np.concatenate(correct), log_paths(design, 0))


def log_paths(design: Design, k: int) -> np.ndarray:
    """log N_k of every outcome: its sequences that start with k zeros; k = 0 gives N.

    By rounds: the sequences that go on with i successes, times the ways to place the others among the free entries.
    """
    parts, start = [], 0
    going = np.zeros(1)  # log number of sequences that go on, by successes so far
    for end in design.stops:
        free, size = end - max(start, min(k, end)), end - start
        ways = np.full(size + 1, -np.inf)
        ways[: free + 1] = _log_binomials(free)
        ended = np.full(len(going) + size, -np.inf)
        for i, log_i in enumerate(going):
            np.logaddexp(ended[i : i + size + 1], log_i + ways, out=ended[i : i + size + 1])
        least = 0 if end == design.n_max else design.stop_after or 0
        parts.append(ended[least:])
        going, start = ended[:least], end
    return np.concatenate(parts)


def _log_binomials(n: int) -> np.ndarray:
    j = np.arange(n + 1)
    return gammaln(n + 1) - gammaln(j + 1) - gammaln(n - j + 1)


def probabilities(design: Design, p_P: ArrayLike) -> np.ndarray:
    """probability_PO of each outcome for a problem of success rate p: N p^c (1-p)^(n-c); every row sums to 1.

    Raises:
        StatisticsError: a rate is outside [0, 1].
    """
    p_P1 = np.atleast_1d(np.asarray(p_P, np.float64))[:, None]
    if not np.all((p_P1 >= 0) & (p_P1 <= 1)):
        raise StatisticsError(f"found success rates {p_P!r}, expected numbers in [0, 1]")
    end = outcomes(design)
    missed_O = end.samples_O - end.correct_O
    return np.exp(end.log_count_O + xlogy(end.correct_O, p_P1) + xlog1py(missed_O, -p_P1))


def expected_samples(design: Design, p_P: ArrayLike) -> np.ndarray:
    """samples_P: the expected number of samples of a problem of each success rate."""
    return probabilities(design, p_P) @ outcomes(design).samples_O


def place(design: Design, samples_P: ArrayLike, correct_P: ArrayLike) -> np.ndarray:
    """Position of every problem's (n, c) among the outcomes of the design.

    Raises:
        StatisticsError: there is no problem, or a problem's counts are no outcome of the design; the message names it.
    """
    n_P, c_P = (np.atleast_1d(np.asarray(values)) for values in (samples_P, correct_P))
    if not len(n_P) or n_P.shape != c_P.shape or n_P.ndim != 1:
        raise StatisticsError(f"found {n_P.shape} sample and {c_P.shape} correct counts, expected as many, one or more")
    end = outcomes(design)
    width = design.n_max + 1
    key_O = end.samples_O * width + end.correct_O
    order_O = np.argsort(key_O)
    key_P = np.where((c_P >= 0) & (c_P <= n_P), n_P * width + c_P, -1)
    at_P = np.searchsorted(key_O, key_P, sorter=order_O)
    place_P = order_O[np.minimum(at_P, len(key_O) - 1)]
    wrong = np.flatnonzero((key_O[place_P] != key_P) | ~np.isfinite(end.log_count_O[place_P]))
    if len(wrong):
        i = wrong[0]
        rule = f", stopping after {design.stop_after} correct" if design.stop_after is not None else ""
        raise StatisticsError(
            f"problem {i}: found {c_P[i]} correct of {n_P[i]} samples, which the design of {list(design.stops)} samples"
            f"{rule} cannot end with; sample it on, or measure it with the design it was drawn with"
        )
    return place_P
