"""When a problem has been sampled enough: rounds of fixed size, and a stop that depends on the successes so far.

Axes: P problems, N sample indices.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from boundary_bench.core.errors import StatisticsError


@dataclass(frozen=True)
class Design:
    """Rounds of cumulative sizes n_1 < ... < n_R; a problem stops at the end of the first with c >= m successes.

    A problem with fewer than m successes at n_R stops there. Without ``stop_after`` nothing stops early, and the
    design is the classical one of n_R samples for every problem.

    Attributes:
        rounds: n_1, ..., n_R. Measures that need equally many samples of every problem use the first n_1.
        stop_after: m, or None.
        unscored: verdicts that leave a sample unscored: it is missing, not wrong, and a further one takes its place.

    Raises:
        StatisticsError: no round, rounds that do not increase, or m below 1.
    """

    rounds: tuple[int, ...]
    stop_after: int | None = None
    unscored: tuple[str, ...] = ("timeout",)

    def __post_init__(self) -> None:
        if not self.rounds or any(a >= b for a, b in pairwise((0, *self.rounds))):
            raise StatisticsError(f"found rounds {list(self.rounds)}, expected increasing sizes from 1, e.g. 64, 128")
        if self.stop_after is not None and self.stop_after < 1:
            raise StatisticsError(f"found stop_after {self.stop_after}, expected 1 or more successes")

    def record(self) -> dict[str, Any]:
        """The design as a JSON object."""
        return {"rounds": list(self.rounds), "stop_after": self.stop_after, "unscored": list(self.unscored)}

    @property
    def n_max(self) -> int:
        """The most samples that a problem can have."""
        return self.rounds[-1]

    @property
    def stops(self) -> tuple[int, ...]:
        """The sizes at which a problem can stop."""
        return self.rounds if self.stop_after is not None else self.rounds[-1:]


def plan_rounds(n_max: int, stop_after: int | None) -> tuple[int, ...]:
    """Rounds that double up to ``n_max``, the first of at least 2 m samples.

    A shorter round saves next to nothing: only a problem with p > 1/2 could stop in it. With n_max = 1024 and m = 32:
    64, 128, 256, 512, 1024. Without ``stop_after`` there is one round.

    Raises:
        StatisticsError: ``n_max`` or ``stop_after`` is below 1.
    """
    if n_max < 1:
        raise StatisticsError(f"found n_max {n_max}, expected 1 or more samples")
    sizes = [n_max]
    while stop_after is not None and sizes[0] % 2 == 0 and sizes[0] // 2 >= 2 * stop_after:
        sizes.insert(0, sizes[0] // 2)
    return Design(tuple(sizes), stop_after).rounds


@dataclass(frozen=True)
class Progress:
    """The progress of every problem under a design.

    Attributes:
        samples_P: scored samples up to the stopping point, or up to the last drawn one before it is reached.
        correct_P: correct ones among ``samples_P``.
        used_P: sample indices of ``samples_P``, unscored ones included.
        needed_P: sample indices to draw before the stopping point can be known; ``used_P`` once it is reached.
    """

    samples_P: np.ndarray
    correct_P: np.ndarray
    used_P: np.ndarray
    needed_P: np.ndarray

    @property
    def going_P(self) -> np.ndarray:
        """Whether a problem needs more samples."""
        return self.needed_P > self.used_P


def progress(design: Design, drawn_P: np.ndarray, scored_PN: np.ndarray, correct_PN: np.ndarray) -> Progress:
    """The stopping point of every problem, or the least number of samples before it can be known.

    Only the order of sample indices counts, never the order in which responses finished, since short responses finish
    first. An unscored sample is missing: the next index takes its place, so that every problem ends with the design's
    number of scored samples. Samples beyond the stopping point are ignored, so that a problem that was once sampled
    further counts no differently.

    Args:
        drawn_P: number of drawn indices of each problem, from 0 on without gaps.
        scored_PN: whether a sample is scored; entries beyond ``drawn_P`` are not read.
        correct_PN: whether a sample is correct.
    """
    rows = zip(drawn_P.tolist(), scored_PN, correct_PN, strict=True)
    found_P4 = np.array([_progress(design, drawn, scored_N[:drawn], hit_N[:drawn]) for drawn, scored_N, hit_N in rows])
    return Progress(*found_P4.reshape(-1, 4).T)


def _progress(design: Design, drawn: int, scored_N: np.ndarray, correct_N: np.ndarray) -> tuple[int, int, int, int]:
    index_S = np.flatnonzero(scored_N)
    hits_S = np.cumsum(correct_N[index_S], dtype=np.int64)
    for size in design.stops:
        if len(index_S) < size:
            break
        correct, used = int(hits_S[size - 1]), int(index_S[size - 1]) + 1
        if size == design.n_max or correct >= (design.stop_after or 0):
            return size, correct, used, used
    return len(index_S), int(correct_N[index_S].sum()), drawn, drawn + size - len(index_S)
