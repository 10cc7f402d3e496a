"""Which problems are solved at all, by whom, and how rare a success may be to be missed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from boundary_bench.errors import StatisticsError


@dataclass(frozen=True)
class Coverage:
    """Numbers of problems solved by both policies, by one alone, and by neither; they add up to all."""

    both: int
    base_only: int
    checkpoint_only: int
    neither: int


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

    "Base only" is the shrinkage, "checkpoint only" the expansion that n samples can show.

    Raises:
        StatisticsError: the two do not have as many problems, or none.
    """
    base_P, checkpoint_P = np.asarray(base_solved_P, bool), np.asarray(checkpoint_solved_P, bool)
    if base_P.shape != checkpoint_P.shape or base_P.ndim != 1 or not len(base_P):
        raise StatisticsError(f"found {base_P.shape} and {checkpoint_P.shape} problems, expected as many, at least one")
    sets = (base_P & checkpoint_P, base_P & ~checkpoint_P, ~base_P & checkpoint_P, ~base_P & ~checkpoint_P)
    return Coverage(*(int(part_P.sum()) for part_P in sets))


def detection_limit(samples: int, hits: int = 1, miss: float = 0.05) -> float:
    """The success rate that the rule "at least ``hits`` of n" misses with probability ``miss``.

    The p with P(Binomial(n, p) < hits) = miss; for one hit it is 1 - miss^(1/n), about 3/n at 5 %. So "not
    solved" says, with 95 % confidence, that p is below this number, and nothing more.

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
