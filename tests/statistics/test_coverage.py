"""Who solves what, and what luck alone would show, against enumeration, closed forms and published counts."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.coverage import (
    Coverage,
    at_half,
    consolidation,
    cover_at,
    coverage,
    detection_limit,
    halves,
    rates,
    solved,
    thinned,
)
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.passk import random_pass_at_k
from boundary_bench.statistics.sequential import outcomes, probabilities

# the four sets and their rates


def test_the_four_sets_add_up() -> None:
    base, checkpoint = solved([0, 1, 3, 5], 1), solved([2, 0, 3, 0], 1)
    assert coverage(base, checkpoint) == Coverage(both=1, base_only=2, checkpoint_only=1, neither=0)
    assert coverage(solved([0, 1, 3, 5], 3), solved([2, 0, 3, 0], 3)) == Coverage(1, 1, 0, 2)
    with pytest.raises(StatisticsError, match="as many"):
        coverage(base, checkpoint[:3])
    with pytest.raises(StatisticsError, match="hits"):
        solved([1], 0)


def test_rates_of_published_counts() -> None:
    """ProRL-1.5B-v2 in "The Invisible Leash": 2388 kept, 48 found, 175 lost."""
    found = rates(Coverage(both=2388, base_only=175, checkpoint_only=48, neither=0))
    assert found.support_retention == pytest.approx(0.932, abs=5e-4)
    assert found.net_discovery == pytest.approx(0.0197, abs=5e-5)
    assert found.net_support_change == pytest.approx(-0.0486, abs=5e-5)
    assert found.support_dynamic == pytest.approx(2 / (2563 / 2388 + 2436 / 48), rel=1e-12)


def test_expansion_of_a_published_zero_baseline() -> None:
    """MATH-Beyond: 9 of the 115 problems that r1-1.5b does not solve make 7.83 %."""
    found = rates(Coverage(both=20, base_only=5, checkpoint_only=9, neither=106))
    assert found.expansion == pytest.approx(0.0783, abs=5e-5)
    assert (found.shrinkage, found.preservation) == (0.2, 0.8)


def test_rates_without_a_denominator_are_undefined() -> None:
    assert all(map(math.isnan, astuple(rates(Coverage(0, 0, 0, 0)))))
    nothing_lost = rates(Coverage(both=0, base_only=0, checkpoint_only=3, neither=0))
    assert math.isnan(nothing_lost.support_retention) and math.isnan(nothing_lost.shrinkage)
    assert math.isnan(nothing_lost.support_dynamic)
    assert (nothing_lost.net_discovery, nothing_lost.net_support_change, nothing_lost.expansion) == (1, 1, 1)


@given(*[st.integers(1, 50)] * 4)
def test_swapping_the_policies_swaps_what_is_gained_and_lost(both: int, lost: int, gained: int, neither: int) -> None:
    one, other = rates(Coverage(both, lost, gained, neither)), rates(Coverage(both, gained, lost, neither))
    assert one.support_retention == pytest.approx(1 - other.net_discovery)
    assert one.net_support_change == -other.net_support_change
    assert one.shrinkage == pytest.approx(1 - one.preservation)


def test_consolidation_counts_the_kept_problems_that_rose() -> None:
    base, checkpoint = [True, True, True, True, False], [True, True, True, False, True]
    assert consolidation(base, checkpoint, [0.1, 0.5, 0.2, 0.1, 0], [0.4, 0.5, 0.1, 0.9, 1]) == pytest.approx(1 / 3)
    assert math.isnan(consolidation([False], [True], [0.0], [0.5]))
    with pytest.raises(StatisticsError, match="as many"):
        consolidation([True], [True], [0.1], [0.2, 0.3])


# what luck alone would show


def all_splits(n: int, c: int, hits: int) -> Coverage:
    """Counted over every pair of disjoint halves."""
    half, found = n // 2, dict.fromkeys(asdict(Coverage(0, 0, 0, 0)), 0)
    pairs = [
        (first, second)
        for first in itertools.combinations(range(n), half)
        for second in itertools.combinations(sorted(set(range(n)) - set(first)), half)
    ]
    for first, second in pairs:
        one, other = (sum(i < c for i in part) >= hits for part in (first, second))
        found[[["neither", "checkpoint_only"], ["base_only", "both"]][one][other]] += 1
    return Coverage(**{name: count / len(pairs) for name, count in found.items()})


@pytest.mark.parametrize("hits", [1, 2, 3])
@pytest.mark.parametrize("n", range(2, 8))
def test_halves_average_over_every_split(n: int, hits: int) -> None:
    for c in range(n + 1):
        assert astuple(halves([n], [c], hits)) == pytest.approx(astuple(all_splits(n, c, hits)), abs=1e-12)


@pytest.mark.parametrize("hits", [1, 2, 3])
def test_at_half_averages_over_every_pair_of_halves(hits: int) -> None:
    def missed(n: int, c: int) -> float:
        draws = list(itertools.combinations([i < c for i in range(n)], n // 2))
        return sum(sum(draw) < hits for draw in draws) / len(draws)

    for (n, c), (other_n, other_c) in itertools.product([(2, 1), (5, 2), (7, 6), (8, 3)], repeat=2):
        one, other = missed(n, c), missed(other_n, other_c)
        expected = ((1 - one) * (1 - other), (1 - one) * other, one * (1 - other), one * other)
        assert astuple(at_half(([n], [c]), ([other_n], [other_c]), hits)) == pytest.approx(expected, abs=1e-12)


def test_fewer_samples_average_over_every_way_to_leave_some_out() -> None:
    def missed(n: int, c: int, size: int) -> float:
        draws = list(itertools.combinations([i < c for i in range(n)], size))
        return sum(not any(draw) for draw in draws) / len(draws)

    for (n, c), (other_n, other_c), size in itertools.product([(5, 2), (8, 1)], [(5, 1), (6, 0)], [1, 3, 5]):
        one, other = missed(n, c, size), missed(other_n, other_c, size)
        expected = ((1 - one) * (1 - other), (1 - one) * other, one * (1 - other), one * other)
        assert astuple(thinned(([n], [c]), ([other_n], [other_c]), [size], 1)) == pytest.approx(expected, abs=1e-12)
    counts = ([8, 8, 8, 8], [0, 1, 3, 8]), ([8, 8, 8, 8], [2, 0, 3, 0])
    whole = coverage(*(solved(correct, 2) for _, correct in counts))
    assert astuple(thinned(*counts, [8] * 4, 2)) == pytest.approx(astuple(whole), abs=1e-12)


def test_expected_sets_add_up_over_problems() -> None:
    counts = ([64, 1024, 512, 9], [40, 0, 3, 9])
    for sets in (halves(*counts, 1), at_half(counts, ([64, 1024, 1024, 9], [33, 2, 0, 0]), 1)):
        assert sum(astuple(sets)) == pytest.approx(4, abs=1e-9)
        assert min(astuple(sets)) >= 0
    assert min(astuple(halves([1023], [1], 3))) == 0  # not a hair below
    assert min(astuple(at_half(([100], [1]), ([64], [2]), 3))) == 0
    alone = [halves([n], [c], 1).base_only for n, c in zip(*counts, strict=True)]
    assert halves(*counts, 1).base_only == pytest.approx(sum(alone), abs=1e-12)


@pytest.mark.parametrize("rate", [0.003, 0.02, 0.2])
@pytest.mark.parametrize("hits", [1, 3])
@pytest.mark.parametrize("design", [Design((40,)), Design((64, 128, 256), 32)])
def test_the_null_is_what_two_equal_policies_show(design: Design, hits: int, rate: float) -> None:
    """Averaged over the outcomes of a known rate: exactly for one round, to 1e-9 of a problem for m = 32."""
    end, chance_O = outcomes(design), probabilities(design, [rate])[0]
    null, missed, solves_all = 0.0, 0.0, ([8], [8])
    for o in np.flatnonzero(chance_O > 1e-13):
        counts = [end.samples_O[o]], [end.correct_O[o]]
        null += chance_O[o] * halves(*counts, hits).checkpoint_only
        missed += chance_O[o] * at_half(counts, solves_all, hits).checkpoint_only
    assert null == pytest.approx(missed * (1 - missed), abs=1e-9)
    if len(design.rounds) == 1:
        half_missed = sum(math.comb(20, i) * rate**i * (1 - rate) ** (20 - i) for i in range(hits))
        assert missed == pytest.approx(half_missed, abs=1e-11)


def test_nothing_changed_yet_problems_seem_lost() -> None:
    """The reason for the null: 100 problems with 2 correct of 1024 lose about 25 when sampled again at half."""
    null = halves([1024] * 100, [2] * 100, 1)
    assert null.base_only == null.checkpoint_only == pytest.approx(25, abs=0.05)


@pytest.mark.parametrize(
    ("samples", "correct", "hits", "message"),
    [
        ([8, 1], [0, 1], 1, "problem 1: found 1 correct of 1 samples"),
        ([8, 8], [0, 9], 1, "problem 1: found 9 correct of 8"),
        ([8, 8], [0, -1], 1, "problem 1: found -1 correct"),
        ([8], [1], 0, "hits = 0"),
        ([8], [1, 1], 1, "as many"),
        ([], [], 1, "at least one"),
    ],
)
def test_halves_refuse_what_cannot_be_split(samples: list[int], correct: list[int], hits: int, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        halves(samples, correct, hits)
    with pytest.raises(StatisticsError, match=message):
        at_half((samples, correct), (samples, correct), hits)


def test_at_half_refuses_two_numbers_of_problems() -> None:
    with pytest.raises(StatisticsError, match="as many"):
        at_half(([8], [1]), ([8, 8], [1, 1]), 1)


# Cover@tau


def test_cover_counts_problems_at_or_above_the_threshold() -> None:
    share_T = cover_at([0, 0.25, 0.5, 1], [0, 0.1, 0.25, 0.3, 0.5, 1])
    np.testing.assert_allclose(share_T, [1, 0.75, 0.75, 0.5, 0.5, 0.25])
    assert cover_at([0.3 - 1e-12], [0.3])[0] == 1  # an estimate of 3/10 that lost its last digits


@pytest.mark.parametrize("k", [1, 2, 8, 64])
def test_pass_at_k_is_a_beta_average_of_cover(k: int) -> None:
    rate_P = np.random.default_rng(0).beta(0.3, 1, 50)
    edge = np.linspace(0, 1, 200_001)
    weight = np.diff(1 - (1 - edge) ** k)  # of Beta(1, k)
    cover_T = cover_at(rate_P, (edge[1:] + edge[:-1]) / 2)
    assert weight @ cover_T == pytest.approx(random_pass_at_k(rate_P, [k]).mean(), abs=k * 1e-5)


@pytest.mark.parametrize(
    ("rate", "tau", "message"),
    [
        ([], [0.1], "0 problems"),
        ([0.1, math.nan], [0.1], "problem 1"),
        ([0.1, 1.2], [0.1], "problem 1"),
        ([0], [2], "tau"),
    ],
)
def test_cover_refuses_what_is_no_rate(rate: list[float], tau: list[float], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        cover_at(rate, tau)


# the detection limit


@settings(max_examples=50)
@given(st.integers(1, 4096), st.integers(1, 5))
def test_detection_limit_is_missed_with_five_percent(n: int, hits: int) -> None:
    if hits > n:
        with pytest.raises(StatisticsError, match="hits"):
            detection_limit(n, hits)
        return
    p = detection_limit(n, hits)
    missed = sum(math.comb(n, c) * p**c * math.exp((n - c) * math.log1p(-p)) for c in range(hits))
    assert missed == pytest.approx(0.05, rel=1e-8)


def test_detection_limit_of_one_hit_in_closed_form() -> None:
    assert detection_limit(1024) == pytest.approx(1 - 0.05 ** (1 / 1024), rel=1e-12)
