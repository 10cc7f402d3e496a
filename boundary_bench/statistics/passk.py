"""pass@k: the probability that at least one of k attempts at a problem is correct."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from boundary_bench.core.errors import StatisticsError


def pass_at_k(samples_P: ArrayLike, correct_P: ArrayLike, ks: Sequence[int]) -> np.ndarray:
    """The unbiased estimate of pass@k of every problem.

    1 - C(n-c, k) / C(n, k), with c correct of n samples (Chen et al. 2021, arXiv 2107.03374, equation 1). Computed as
    1 - prod_{i<c} (1 - k / (n-i)), summed in logarithms: the relative error stays below 1e-12 at n = 16384, also for
    tiny estimates.

    Args:
        samples_P: n of each problem; they may differ, a problem is never padded.
        correct_P: c of each problem.
        ks: numbers of attempts.

    Returns:
        pass_PK, in [0, 1]: c / n at k = 1; 0 if c = 0; 1 if fewer than k samples are not correct.

    Raises:
        StatisticsError: there is no problem or no k, a number is no whole number, or a problem has c < 0, c > n or
            n < k; the message names the problem by its position.
    """
    n_P, c_P, k_K = _whole(samples_P, "samples"), _whole(correct_P, "correct"), _whole(ks, "k")
    _check(n_P, c_P, k_K)
    pass_PK = np.empty((len(n_P), len(k_K)))
    for n in np.unique(n_P):
        of_n = n_P == n
        left_C = n - np.arange(c_P[of_n].max(), dtype=np.float64)
        with np.errstate(divide="ignore"):  # a factor 0 is a certain success: its logarithm is -inf
            log_CK = np.log1p(-np.minimum(k_K / left_C[:, None], 1.0))
        missed_CK = np.concatenate([np.zeros((1, len(k_K))), np.cumsum(log_CK, 0)])
        pass_PK[of_n] = -np.expm1(missed_CK[c_P[of_n]])
    return pass_PK + 0.0  # no negative zero


def random_pass_at_k(chance_P: ArrayLike, ks: Sequence[int]) -> np.ndarray:
    """pass_PK of the null line: independent random responses that are each correct with a known chance.

    1 - (1-p)^k, through log1p and expm1, so that small p keep all their digits.

    Raises:
        StatisticsError: there is no problem or no k, a chance is outside [0, 1] or NaN, or a k is below 1.
    """
    p_P, k_K = np.atleast_1d(np.asarray(chance_P, np.float64)), _whole(ks, "k")
    if not len(p_P) or not len(k_K) or k_K.min() < 1:
        raise StatisticsError(f"found {len(p_P)} problems and k = {k_K.tolist()}, expected at least one, and k >= 1")
    wrong = np.flatnonzero(~((p_P >= 0) & (p_P <= 1)))
    if len(wrong):
        raise StatisticsError(f"problem {wrong[0]}: found chance {p_P[wrong[0]]}, expected a number in [0, 1]")
    with np.errstate(divide="ignore"):  # p = 1
        return -np.expm1(k_K * np.log1p(-p_P)[:, None]) + 0.0


def guess_chance(options_P: ArrayLike) -> np.ndarray:
    """chance_P of answering a multiple-choice problem by guessing, 1 / options, for ``random_pass_at_k``.

    Guessing among 4 options reaches pass@128 = 1 - (3/4)^128, which is 1 to 15 digits: pass@k of multiple choice at
    large k tells nothing about a policy, and must not be shown without this null line.

    Args:
        options_P: number of options of each problem, 2 or more.

    Raises:
        StatisticsError: a number of options is no whole number or below 2; the message names the problem.
    """
    options_P = _whole(options_P, "options")
    wrong = np.flatnonzero(options_P < 2)
    if len(wrong):
        i = wrong[0]
        raise StatisticsError(f"problem {i}: found {options_P[i]} options, expected 2 or more; correct the problem")
    return 1 / options_P


def _whole(values: ArrayLike, what: str) -> np.ndarray:
    found = np.atleast_1d(np.asarray(values))
    numbers = found.dtype.kind in "iuf" and found.ndim == 1
    if not numbers or (len(found) and not np.all(found == np.floor(found))):
        raise StatisticsError(f"{what}: found {values!r}, expected a list of whole numbers")
    return found.astype(np.int64)


def _check(n_P: np.ndarray, c_P: np.ndarray, k_K: np.ndarray) -> None:
    if not len(n_P) or len(n_P) != len(c_P):
        raise StatisticsError(f"found {len(n_P)} sample and {len(c_P)} correct counts, expected as many, at least one")
    if not len(k_K) or k_K.min() < 1:
        raise StatisticsError(f"found k = {k_K.tolist()}, expected at least one, each 1 or more")
    wrong = np.flatnonzero((c_P < 0) | (c_P > n_P))
    if len(wrong):
        i = wrong[0]
        raise StatisticsError(f"problem {i}: found {c_P[i]} correct of {n_P[i]} samples, expected 0 to {n_P[i]}")
    short = np.flatnonzero(n_P < k_K.max())
    if len(short):
        i = short[0]
        raise StatisticsError(
            f"problem {i}: found {n_P[i]} samples, expected at least k = {k_K.max()}; draw more samples or drop this k"
        )
