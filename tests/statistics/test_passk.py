"""pass@k and the null line against enumeration, exact integers and closed forms."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.passk import pass_at_k, random_pass_at_k


def exact(n: int, c: int, k: int) -> Fraction:
    return 1 - Fraction(math.comb(n - c, k), math.comb(n, k))


@st.composite
def problems(draw: st.DrawFn, largest: int = 60) -> tuple[list[int], list[int], list[int]]:
    """Ragged n, correct counts, and values of k that every problem can serve."""
    samples = draw(st.lists(st.integers(1, largest), min_size=1, max_size=8))
    correct = [draw(st.integers(0, n)) for n in samples]
    ks = draw(st.lists(st.integers(1, min(samples)), min_size=1, max_size=5, unique=True).map(sorted))
    return samples, correct, ks


# pass@k


@pytest.mark.parametrize("n", range(1, 7))
def test_pass_at_k_is_the_share_of_subsets_with_a_success(n: int) -> None:
    for c, k in itertools.product(range(n + 1), range(1, n + 1)):
        draws = list(itertools.combinations([i < c for i in range(n)], k))
        assert pass_at_k([n], [c], [k])[0, 0] == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-14)


@given(problems())
def test_pass_at_k_equals_exact_integers(case: tuple[list[int], list[int], list[int]]) -> None:
    samples, correct, ks = case
    pass_PK = pass_at_k(samples, correct, ks)
    assert pass_PK.shape == (len(samples), len(ks))
    for i, (n, c) in enumerate(zip(samples, correct, strict=True)):
        for j, k in enumerate(ks):
            assert pass_PK[i, j] == pytest.approx(float(exact(n, c, k)), rel=1e-12, abs=0)


def test_pass_at_k_keeps_its_digits_at_16384() -> None:
    n, ks = 16384, [2**i for i in range(15)]
    correct = [0, 1, 2, 7, 100, 5000, 8192, 8193, 16000, 16383, 16384]
    pass_PK = pass_at_k([n] * len(correct), correct, ks)
    for i, c in enumerate(correct):
        for j, k in enumerate(ks):
            assert pass_PK[i, j] == pytest.approx(float(exact(n, c, k)), rel=1e-12, abs=0)


@given(problems())
def test_pass_at_k_is_a_probability_and_pass_at_1_the_share_of_correct(
    case: tuple[list[int], list[int], list[int]],
) -> None:
    samples, correct, ks = case
    pass_PK = pass_at_k(samples, correct, ks)
    assert np.all((pass_PK >= 0) & (pass_PK <= 1))
    np.testing.assert_allclose(pass_at_k(samples, correct, [1])[:, 0], np.divide(correct, samples), rtol=1e-13)
    assert np.all(pass_PK[np.array(correct) == 0] == 0)
    assert np.all(pass_PK[np.array(correct) == np.array(samples)] == 1)


@given(st.integers(1, 400))
def test_pass_at_k_grows_with_k_and_with_correct(n: int) -> None:
    pass_CK = pass_at_k([n] * (n + 1), range(n + 1), range(1, n + 1))
    assert np.all(np.diff(pass_CK, axis=0) >= 0)
    assert np.all(np.diff(pass_CK, axis=1) >= 0)


@given(problems(), st.randoms())
def test_pass_at_k_does_not_depend_on_the_order_or_the_company_of_problems(
    case: tuple[list[int], list[int], list[int]], random: object
) -> None:
    samples, correct, ks = case
    order = list(range(len(samples)))
    random.shuffle(order)  # type: ignore[attr-defined]
    together = pass_at_k(samples, correct, ks)
    shuffled = pass_at_k([samples[i] for i in order], [correct[i] for i in order], ks)
    np.testing.assert_array_equal(together[order], shuffled)
    for i, (n, c) in enumerate(zip(samples, correct, strict=True)):
        np.testing.assert_array_equal(together[i : i + 1], pass_at_k([n], [c], ks))


def test_pass_at_k_of_all_subsets_is_unbiased() -> None:
    """Averaged over the binomial counts that a known p gives, the estimate is 1 - (1-p)^k."""
    n, p = 12, 0.13
    weight = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    mean_K = np.array(weight) @ pass_at_k([n] * (n + 1), range(n + 1), range(1, n + 1))
    np.testing.assert_allclose(mean_K, [1 - (1 - p) ** k for k in range(1, n + 1)], rtol=1e-12)


@pytest.mark.parametrize(
    ("samples", "correct", "ks", "message"),
    [
        ([8, 4], [1, 1], [1, 8], r"problem 1: found 4 samples, expected at least k = 8"),
        ([8, 8], [1, 9], [1], r"problem 1: found 9 correct of 8 samples"),
        ([8, 8], [-1, 1], [1], r"problem 0: found -1 correct"),
        ([-8], [0], [1], r"problem 0"),
        ([0], [0], [1], r"problem 0: found 0 samples"),
        ([], [], [1], r"at least one"),
        ([8], [1], [], r"k = \[\]"),
        ([8], [1], [0], r"k = \[0\]"),
        ([8], [1, 2], [1], r"as many"),
        ([8], [1.5], [1], r"whole numbers"),
        ([8], [math.nan], [1], r"whole numbers"),
        (["8"], [1], [1], r"samples: found \['8'\], expected a list of whole numbers"),
        ([8], [None], [1], r"whole numbers"),
        ([8], [True], [1], r"whole numbers"),
    ],
)
def test_pass_at_k_refuses_what_it_cannot_estimate(
    samples: list[Any], correct: list[Any], ks: list[int], message: str
) -> None:
    with pytest.raises(StatisticsError, match=message):
        pass_at_k(samples, correct, ks)


# the null line


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.integers(1, 10_000))
def test_null_line_is_the_chance_of_a_hit_in_k_draws(chance: list[float], k: int) -> None:
    null_P1 = random_pass_at_k(chance, [k])
    np.testing.assert_allclose(null_P1[:, 0], [1 - (1 - p) ** k for p in chance], atol=1e-11)


def test_null_line_keeps_tiny_chances_and_both_ends() -> None:
    assert random_pass_at_k([1e-18], [4])[0, 0] == pytest.approx(4e-18, rel=1e-12)
    np.testing.assert_array_equal(random_pass_at_k([0, 1], [1, 1024]), [[0, 0], [1, 1]])


@pytest.mark.parametrize("chance", [[0.1, -0.1], [0.1, 1.1], [0.1, math.nan], []])
def test_null_line_refuses_what_is_no_chance(chance: list[float]) -> None:
    with pytest.raises(StatisticsError, match=r"problem 1|0 problems"):
        random_pass_at_k(chance, [1])
