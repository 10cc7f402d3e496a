"""Choice of problems to show: gained, lost, solved by one side alone, or disputed by graders.

Pure functions of counts. Axes: P problems of a benchmark, S seeds of an algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from boundary_bench.statistics.coverage import solved
from boundary_bench.statistics.gains import gained_and_lost
from boundary_bench.statistics.posterior import Counts

#: Problems to show of one kind for one algorithm on one benchmark, as many as a person reads through.
MOST_OF_KIND = 8
#: Problems to show of a study with many benchmarks and algorithms, but at least one of every kind.
MOST_CASES = 320


class CaseKind(StrEnum):
    """The reason for showing a problem, in the order of choosing."""

    GAINED = "gained"
    LOST = "lost"
    BASE_ALONE = "solved by the base alone"
    CHECKPOINT_ALONE = "solved by the checkpoint alone"
    DISPUTED = "disputed by graders"


@dataclass(frozen=True)
class RunChange:
    """The changes of every problem from the base to one run's last checkpoint.

    Attributes:
        p_P: p-values of "the success rate equals the base's", see ``gains``.
        q_P: ``p_P`` corrected for the number of problems; gained and lost are those with q <= the false-discovery rate.
        held: whether a problem is of a kind, by kind; it can be of several.
        disputes_P: number of samples of base and checkpoint on which another grader disagrees.
    """

    p_P: np.ndarray
    q_P: np.ndarray
    held: dict[CaseKind, np.ndarray]
    disputes_P: np.ndarray


def change(base: Counts, checkpoint: Counts, disputes_P: np.ndarray, rate: float) -> RunChange:
    """The changes of every problem from the base to a checkpoint.

    Args:
        rate: the false-discovery rate among gained and lost problems.
    """
    from scipy.stats import false_discovery_control

    moved = gained_and_lost(base, checkpoint, rate)
    base_P, checkpoint_P = (solved(each.correct_P, 1) for each in (base, checkpoint))
    held = {
        CaseKind.GAINED: moved.gained_P,
        CaseKind.LOST: moved.lost_P,
        CaseKind.BASE_ALONE: base_P & ~checkpoint_P,
        CaseKind.CHECKPOINT_ALONE: checkpoint_P & ~base_P,
        CaseKind.DISPUTED: disputes_P > 0,
    }
    return RunChange(moved.p_two_sided_P, false_discovery_control(moved.p_two_sided_P), held, disputes_P)


def most_of_kind(groups: int) -> int:
    """Number of problems to show of each kind, given the number of (model, benchmark, algorithm) groups."""
    return min(MOST_OF_KIND, max(1, MOST_CASES // max(1, groups * len(CaseKind))))


def choose(changes: Sequence[RunChange], most: int) -> list[int]:
    """Places of the problems to show of an algorithm on a benchmark: of each kind at most ``most`` new ones.

    Problems of the kind in most seeds come first (for disputes: those with most disputed samples), then by the smallest
    p-value, then in the order of the problem file; the text of responses plays no role.

    Args:
        changes: one a seed.
    """
    chosen: dict[int, None] = {}
    for kind in CaseKind:
        held_SP, p_SP = (np.stack(values) for values in ([c.held[kind] for c in changes], [c.p_P for c in changes]))
        weight_P = sum(c.disputes_P for c in changes) if kind is CaseKind.DISPUTED else held_SP.sum(0)
        least_P = np.where(held_SP, p_SP, 1).min(0)
        order = np.lexsort((least_P, -np.asarray(weight_P)))  # stable: ties stay in the order of the file
        fresh = [place for place in order.tolist() if held_SP[:, place].any() and place not in chosen]
        chosen |= dict.fromkeys(fresh[:most])
    return list(chosen)


def success_interval(counts: Counts, level: float) -> tuple[np.ndarray, np.ndarray]:
    """low_P and high_P of each problem's success rate: the Jeffreys interval, Beta(c + 1/2, n - c + 1/2).

    The lower end is 0 if no sample is correct, the upper end 1 if all are (Brown, Cai and DasGupta 2001, Statistical
    Science 16). Stopping after enough successes does not change the likelihood, nor the interval.
    """
    from scipy.special import betaincinv

    a_P, b_P = counts.correct_P + 0.5, counts.samples_P - counts.correct_P + 0.5
    low_P, high_P = (betaincinv(a_P, b_P, tail) for tail in ((1 - level) / 2, (1 + level) / 2))
    none_P, all_P = counts.correct_P == 0, counts.correct_P == counts.samples_P
    return np.where(none_P, 0.0, low_P), np.where(all_P, 1.0, high_P)
