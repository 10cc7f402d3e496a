"""Per-problem tests of gain and loss: exact size by enumeration, brute force, symmetry, false finds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.gains import discoveries, gained_and_lost, rate_tests
from boundary_bench.statistics.posterior import Counts
from boundary_bench.statistics.sequential import outcomes, probabilities

SEQUENTIAL = Design((64, 128, 256, 512, 1024), 32)
SMALL = [Design((6,)), Design((4, 8), 2), Design((3, 6, 12), 3), Design((20,))]


def every_pair(design: Design) -> tuple[np.ndarray, np.ndarray]:
    """p_greater and p_less by outcome of the base (rows) and of the checkpoint (columns)."""
    end = outcomes(design)
    possible = np.flatnonzero(np.isfinite(end.log_count_O))
    base, checkpoint = (part.ravel() for part in np.meshgrid(possible, possible, indexing="ij"))
    counts = [Counts(design, end.samples_O[part], end.correct_O[part]) for part in (base, checkpoint)]
    p_OO = np.ones((2, len(end.samples_O), len(end.samples_O)))
    p_OO[:, base, checkpoint] = rate_tests(*counts)
    return p_OO[0], p_OO[1]


def draw(design: Design, rate_P: np.ndarray, rng: np.random.Generator) -> Counts:
    end = outcomes(design)
    at_P = [rng.choice(len(chance_O), p=chance_O / chance_O.sum()) for chance_O in probabilities(design, rate_P)]
    return Counts(design, end.samples_O[at_P], end.correct_O[at_P])


def counts(samples: list[int], correct: list[int], design: Design = SEQUENTIAL) -> Counts:
    return Counts(design, np.array(samples), np.array(correct))


# the test of one problem


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("design", SMALL, ids=str)
def test_a_true_null_is_rejected_no_more_often_than_the_level(design: Design, level: float) -> None:
    """Summed over all pairs of outcomes; 0.6 % for rates between those of the grid."""
    p_greater_OO, p_less_OO = every_pair(design)
    for chance_O in probabilities(design, np.linspace(0.001, 0.999, 333)):
        for p_OO in (p_greater_OO, p_less_OO):
            assert chance_O @ (p_OO <= level) @ chance_O <= level * 1.006


@pytest.mark.parametrize("design", SMALL, ids=str)
def test_a_lower_rate_is_no_gain(design: Design) -> None:
    """The null "not above the base" holds its level inside, too, not only where the rates are equal."""
    p_greater_OO, _ = every_pair(design)
    chance_PO = probabilities(design, np.linspace(0.02, 0.98, 25))
    size = chance_PO @ (p_greater_OO <= 0.05) @ chance_PO.T
    assert size[np.tril_indices(25)].max() <= 0.05 * 1.006
    assert size[2, 24] > 0.9  # and there is power


def test_one_round_is_barnards_test_by_brute_force() -> None:
    n = 6

    def angle(c: int) -> float:
        return math.asin(math.sqrt((c + 3 / 8) / (n + 3 / 4)))

    def chance(c: int, rate: float) -> float:
        return math.comb(n, c) * rate**c * (1 - rate) ** (n - c)

    rates = [i / 400 for i in range(1, 400)]
    for base, checkpoint in itertools.product(range(n + 1), repeat=2):
        z = angle(checkpoint) - angle(base)
        extreme = [(b, c) for b in range(n + 1) for c in range(n + 1) if angle(c) - angle(b) >= z - 1e-12]
        by_hand = max(sum(chance(b, rate) * chance(c, rate) for b, c in extreme) for rate in rates)
        p_greater, _ = rate_tests(*(Counts(Design((n,)), np.array([n]), np.array([c])) for c in (base, checkpoint)))
        assert p_greater[0] == pytest.approx(by_hand, rel=5e-3)


def test_swapping_the_policies_swaps_the_p_values() -> None:
    rng = np.random.default_rng(0)
    rate_P = rng.random(40)
    base, checkpoint = draw(SEQUENTIAL, rate_P, rng), draw(SEQUENTIAL, rate_P**2, rng)
    p_greater_P, p_less_P = rate_tests(base, checkpoint)
    np.testing.assert_array_equal(rate_tests(checkpoint, base), [p_less_P, p_greater_P])


def test_p_values_do_not_depend_on_the_company_of_problems() -> None:
    base, checkpoint = counts([1024, 64, 256], [3, 40, 33]), counts([1024, 64, 128], [9, 50, 40])
    together = np.array(rate_tests(base, checkpoint))
    for i in range(3):
        one = [each[np.array([i])] for each in (base, checkpoint)]
        np.testing.assert_allclose(np.array(rate_tests(*one))[:, 0], together[:, i], rtol=1e-12)


def test_equal_counts_are_no_evidence() -> None:
    same = counts([1024, 1024, 64, 64], [0, 31, 64, 40])
    for p_P in rate_tests(same, same):
        assert np.all((p_P > 0.5) & (p_P <= 1))


@pytest.mark.parametrize(
    "designs", [(Design((6,)), Design((20,))), (Design((3, 6, 12), 3), Design((5,))), (Design((1,)), Design((4, 8), 2))]
)
def test_two_designs_have_a_test_of_their_own(designs: tuple[Design, Design]) -> None:
    """By summing over all pairs of outcomes: exact in size, and the same from the other side."""
    ends = [outcomes(design) for design in designs]
    pairs = list(itertools.product(*(np.flatnonzero(np.isfinite(end.log_count_O)) for end in ends)))
    base, checkpoint = (
        Counts(design, end.samples_O[list(part)], end.correct_O[list(part)])
        for design, end, part in zip(designs, ends, zip(*pairs, strict=True), strict=True)
    )
    p_greater, p_less = rate_tests(base, checkpoint)
    np.testing.assert_array_equal(rate_tests(checkpoint, base), [p_less, p_greater])
    for rates in np.linspace(0.001, 0.999, 99):
        first_O, second_O = (probabilities(design, [rates])[0] for design in designs)
        chance = np.array([first_O[a] * second_O[b] for a, b in pairs])
        for p in (p_greater, p_less):
            for level in (0.05, 0.2):
                assert chance[p <= level].sum() <= level * 1.006


def test_early_stopping_keeps_the_power() -> None:
    """Rates of .05 and .10, on average 960 and 480 samples. With asin sqrt(c/n) unscaled the power is .01."""
    p_greater_OO, _ = every_pair(SEQUENTIAL)
    base_O, checkpoint_O = probabilities(SEQUENTIAL, [0.05, 0.1])
    assert base_O @ (p_greater_OO <= 0.05) @ checkpoint_O > 0.92
    assert base_O @ (p_greater_OO <= 0.05) @ base_O <= 0.05 * 1.006


def test_a_strong_effect_is_found_and_only_on_its_side() -> None:
    p_greater, p_less = rate_tests(counts([1024], [0]), counts([64], [32]))
    assert p_greater[0] == pytest.approx(2e-12, rel=1e-3)  # what is not summed counts against the find
    assert p_less[0] == 1


def test_rate_tests_refuse_what_the_design_cannot_end_with() -> None:
    with pytest.raises(StatisticsError, match="problem 1"):
        rate_tests(counts([64, 64], [40, 3]), counts([64, 64], [40, 40]))
    with pytest.raises(StatisticsError, match="found 2 problems of the base and 1 of the checkpoint"):
        rate_tests(counts([64, 64], [40, 40]), counts([64], [40]))


# many problems


def test_discoveries_by_hand() -> None:
    """The example of Benjamini & Hochberg 1995: 15 p-values, 4 rejected at 5 %, where Bonferroni rejects 3."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    p += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000]
    np.testing.assert_array_equal(discoveries(p, 0.05), [True] * 4 + [False] * 11)
    np.testing.assert_array_equal(discoveries(p[::-1], 0.05), [False] * 11 + [True] * 4)
    np.testing.assert_array_equal(discoveries([0.04, 0.03], 0.05), [True, True])  # .04 takes .03 along


@pytest.mark.parametrize(
    ("p", "level", "message"),
    [
        ([], 0.05, "at least one"),
        ([0.1], 1.0, "level"),
        ([0.1, math.nan], 0.05, "problem 1"),
        ([0.1, 1.5], 0.05, "problem 1"),
    ],
)
def test_discoveries_refuse_what_is_no_p_value(p: list[float], level: float, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        discoveries(p, level)


def test_gained_and_lost_take_the_side_of_the_smaller_p_value() -> None:
    base, checkpoint = counts([1024, 64, 64, 1024], [0, 40, 60, 2]), counts([64, 1024, 64, 1024], [32, 0, 60, 3])
    found = gained_and_lost(base, checkpoint, 0.05)
    np.testing.assert_array_equal(found.gained_P, [True, False, False, False])
    np.testing.assert_array_equal(found.lost_P, [False, True, False, False])
    p_greater_P, p_less_P = rate_tests(base, checkpoint)
    np.testing.assert_allclose(found.p_two_sided_P[[0, 1]], [2 * p_greater_P[0], 2 * p_less_P[1]])
    assert found.p_two_sided_P[2] == 1


def test_false_finds_are_rare_where_nothing_changed() -> None:
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(40):
        rate_P = rng.beta(0.3, 0.9, 100)
        gains = gained_and_lost(draw(SEQUENTIAL, rate_P, rng), draw(SEQUENTIAL, rate_P, rng), 0.1)
        found += np.any(gains.gained_P | gains.lost_P)
    assert found <= 8  # 4 are expected at most; 8 or fewer have a chance of 98 %


def test_most_finds_are_true_where_a_third_changed() -> None:
    rng = np.random.default_rng(1)
    rate_P = rng.beta(0.5, 1, 600)
    changed_P = np.arange(600) < 200
    later_P = np.where(changed_P, np.where(rate_P < 0.3, rate_P * 2 + 0.02, rate_P / 2), rate_P)
    found = gained_and_lost(draw(SEQUENTIAL, rate_P, rng), draw(SEQUENTIAL, later_P, rng), 0.1)
    right_P = np.where(later_P > rate_P, found.gained_P, found.lost_P) & changed_P
    finds = (found.gained_P | found.lost_P).sum()
    assert right_P.sum() > 100
    assert right_P.sum() >= 0.85 * finds
