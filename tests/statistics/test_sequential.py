"""The sequential estimate against enumeration of every sequence, exact integers, and closed forms."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.design import Design, plan_rounds
from boundary_bench.statistics.passk import pass_at_k
from boundary_bench.statistics.sequential import (
    expected_samples,
    log_paths,
    outcomes,
    place,
    probabilities,
    sequential_pass_at_k,
    table,
    variance,
)

SMALL = [
    Design((1, 2, 3, 4, 5, 6), 1),
    Design((2, 5, 9), 2),
    Design((3, 4, 11), 3),
    Design((4, 12), 2),
    Design((10,), 2),
    Design((5, 10)),
]
DOUBLING = Design((64, 128, 256, 512, 1024), 32)


def end_of(design: Design, draws: tuple[int, ...]) -> tuple[int, int]:
    """Where a sequence of draws ends, by the words of the definition."""
    for size in design.rounds:
        correct = sum(draws[:size])
        if size == design.n_max or (design.stop_after is not None and correct >= design.stop_after):
            return size, correct
    raise AssertionError


def count_paths(design: Design, n: int, c: int, k: int) -> int:
    """N_k in exact integers: a dynamic programme over rounds, one binomial at a time."""
    going, start = {0: 1}, 0
    for size in design.stops:
        free, ended = size - max(start, min(k, size)), {}
        for before, ways in going.items():
            for more in range(min(free, c - before) + 1):
                ended[before + more] = ended.get(before + more, 0) + ways * math.comb(free, more)
        if size == n:
            return ended.get(c, 0)
        going, start = {i: ways for i, ways in ended.items() if i < (design.stop_after or 0)}, size
    raise AssertionError


@pytest.mark.parametrize("design", SMALL, ids=str)
def test_estimate_is_the_mean_of_the_indicator_over_all_sequences_that_end_alike(design: Design) -> None:
    ends: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for draws in itertools.product((0, 1), repeat=design.n_max):
        ends.setdefault(end_of(design, draws), []).append(draws)
    ks = list(range(1, design.n_max + 1))
    reached = {(int(n), int(c)) for n, c, log in zip(*vars(outcomes(design)).values(), strict=True) if log > -np.inf}
    assert reached == set(ends)
    for (n, c), sequences in ends.items():
        # of an early end every continuation is among the sequences, in equal shares for each beginning
        missed = [Fraction(sum(not any(draws[:k]) for draws in sequences), len(sequences)) for k in ks]
        np.testing.assert_allclose(
            sequential_pass_at_k(design, [n], [c], ks)[0], [float(1 - share) for share in missed], atol=1e-13
        )


@pytest.mark.parametrize("p", [1e-3, 0.07, 0.3, 0.5, 0.94])
@pytest.mark.parametrize("design", [*SMALL, Design((16, 32, 64, 128), 8), Design((20, 50, 51, 100), 30)], ids=str)
def test_estimate_is_unbiased_for_every_k(design: Design, p: float) -> None:
    """The exact mean over all outcomes, no simulation."""
    ks = tuple(range(1, design.n_max + 1))
    probability_O = probabilities(design, p)[0]
    assert probability_O.sum() == pytest.approx(1, abs=1e-12)
    mean_K = probability_O @ np.nan_to_num(table(design, ks))
    np.testing.assert_allclose(mean_K, [-math.expm1(k * math.log1p(-p)) for k in ks], atol=1e-12)


def test_estimate_is_unbiased_for_the_default_design() -> None:
    ks = tuple(2**i for i in range(11))
    for p in (1e-4, 0.003, 0.03, 0.2, 0.7):
        mean_K = probabilities(DOUBLING, p)[0] @ table(DOUBLING, ks)
        np.testing.assert_allclose(mean_K, [-math.expm1(k * math.log1p(-p)) for k in ks], atol=1e-10)


def test_ignoring_the_design_would_be_biased() -> None:
    """The reason for all this: c / n at a stopping point that depends on c is too high."""
    design, p = Design((4, 8, 16, 32), 2), 0.1
    end = outcomes(design)
    naive = probabilities(design, p)[0] @ (end.correct_O / end.samples_O)
    assert naive > p * 1.15
    assert probabilities(design, p)[0] @ np.nan_to_num(table(design, (1,)))[:, 0] == pytest.approx(p, abs=1e-13)


@pytest.mark.parametrize("n", [1, 2, 7, 64, 1024])
def test_one_round_is_the_classical_estimate(n: int) -> None:
    ks = sorted({1, 2, (n + 1) // 2, n} & set(range(1, n + 1)))
    every = range(n + 1)
    expected = pass_at_k([n] * (n + 1), every, ks)
    for design in (Design((n,)), Design((n,), 3)):
        np.testing.assert_allclose(sequential_pass_at_k(design, [n] * (n + 1), every, ks), expected, atol=1e-14)


def test_rounds_that_never_stop_are_the_classical_estimate() -> None:
    """With m out of reach the paths through the rounds add up to the plain binomial: a check of the programme."""
    design, ks = Design((100, 300, 1024), 1025), [1, 5, 64, 700, 1024]
    correct = [0, 1, 2, 30, 500, 1000, 1024]
    np.testing.assert_allclose(
        sequential_pass_at_k(design, [1024] * 7, correct, ks), pass_at_k([1024] * 7, correct, ks), atol=1e-11
    )


def test_rounds_of_one_sample_are_haldanes_inverse_sampling() -> None:
    design = Design(tuple(range(1, 41)), 4)
    for n in range(4, 40):
        assert sequential_pass_at_k(design, [n], [4], [1])[0, 0] == pytest.approx(3 / (n - 1), abs=1e-13)


@pytest.mark.parametrize("k", [1, 3, 64, 65, 300, 1024])
def test_paths_equal_exact_integers_up_to_1024(k: int) -> None:
    end, log_O = outcomes(DOUBLING), log_paths(DOUBLING, k)
    chosen = np.random.default_rng(k).choice(len(log_O), 40, replace=False)
    ratio = []
    for o in chosen:
        n, c = int(end.samples_O[o]), int(end.correct_O[o])
        exact, total = count_paths(DOUBLING, n, c, k), count_paths(DOUBLING, n, c, 0)
        ratio.append(float(Fraction(exact, total)))
        assert end.log_count_O[o] == pytest.approx(math.log(total), rel=1e-13)
    np.testing.assert_allclose(1 - table(DOUBLING, (k,))[chosen, 0], ratio, atol=1e-11)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True), st.integers(1, 12))
def test_estimates_are_probabilities_that_grow_with_k_and_with_correct(sizes: list[int], stop_after: int) -> None:
    design = Design(tuple(sorted(sizes)), stop_after)
    end = outcomes(design)
    possible_O = np.isfinite(end.log_count_O)
    pass_OK = table(design, tuple(range(1, design.n_max + 1)))[possible_O]
    assert np.all((pass_OK >= 0) & (pass_OK <= 1))
    assert np.all(np.diff(pass_OK, axis=1) >= -1e-12)
    for size in design.stops:
        assert np.all(np.diff(pass_OK[end.samples_O[possible_O] == size], axis=0) >= -1e-12)
    assert np.all(pass_OK[end.correct_O[possible_O] == 0] == 0)


def test_more_attempts_than_an_early_end_has_samples_are_legal() -> None:
    """A problem that stopped at 64 has a success among its first 64: within 1024 attempts it is solved for sure."""
    pass_K = sequential_pass_at_k(DOUBLING, [64], [32], [8, 33, 64, 1024])[0]
    assert pass_K[0] < 1
    np.testing.assert_array_equal(pass_K[1:], 1)


def test_cost_and_variance_of_a_design() -> None:
    p = np.array([0.0, 0.01, 0.3, 1.0])
    np.testing.assert_allclose(expected_samples(DOUBLING, p)[[0, 3]], [1024, 64])
    assert expected_samples(Design((7,)), 0.5) == pytest.approx(7)
    # of one round: the binomial variance at k = 1, and the formula of a Bernoulli at k = n
    one = Design((50,))
    variance_PK = variance(one, p, [1, 50])
    np.testing.assert_allclose(variance_PK[:, 0], p * (1 - p) / 50, atol=1e-15)
    q = (1 - p) ** 50
    np.testing.assert_allclose(variance_PK[:, 1], q * (1 - q), atol=1e-12)
    # stopping early costs precision where it saves samples, and nowhere else
    full, early = (variance(design, [0.005, 0.4], [1])[:, 0] for design in (Design((1024,)), DOUBLING))
    assert early[0] == pytest.approx(full[0], rel=1e-6)
    assert full[1] * 5 < early[1] < full[1] * 17


@pytest.mark.parametrize(
    ("samples", "correct", "message"),
    [
        ([64, 100], [40, 3], r"problem 1: found 3 correct of 100 samples"),
        ([64], [31], r"problem 0: found 31 correct of 64 samples.*sample it on"),
        ([1024], [1025], r"problem 0: found 1025"),
        ([1024], [-1], r"problem 0: found -1"),
        ([1024, 1024], [1], r"as many"),
        ([], [], r"one or more"),
    ],
)
def test_counts_that_the_design_cannot_end_with_are_refused(
    samples: list[int], correct: list[int], message: str
) -> None:
    with pytest.raises(StatisticsError, match=message):
        place(DOUBLING, samples, correct)


@pytest.mark.parametrize("ks", [[], [0], [-1], [1, 1025], [1.5]])
def test_attempts_outside_of_the_design_are_refused(ks: list[float]) -> None:
    with pytest.raises(StatisticsError, match=r"expected whole numbers from 1 to 1024"):
        sequential_pass_at_k(DOUBLING, [1024], [1], ks)  # type: ignore[arg-type]


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_rates_outside_of_zero_and_one_are_refused(p: float) -> None:
    with pytest.raises(StatisticsError, match="success rates"):
        probabilities(DOUBLING, [0.5, p])


def test_the_order_of_problems_does_not_matter() -> None:
    samples, correct = [64, 1024, 128, 1024], [33, 0, 40, 60]
    found = sequential_pass_at_k(DOUBLING, samples, correct, [1, 16, 1024])
    np.testing.assert_array_equal(
        sequential_pass_at_k(DOUBLING, samples[::-1], correct[::-1], [1, 16, 1024]), found[::-1]
    )


def test_default_rounds_are_shared_by_a_larger_n() -> None:
    """Raising n keeps every round there was, so that nothing is stopped otherwise than before."""
    assert plan_rounds(4096, 32)[:5] == plan_rounds(1024, 32)
