"""Entropies and the majority vote against closed forms, enumeration and brute force."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.entropy import (
    answer_entropy,
    chao_shen,
    majority_at_k,
    miller_madow,
    per_token,
    sequence_entropy,
)

# the answers to one problem


def test_answer_entropy_closed_forms() -> None:
    assert answer_entropy([5]) == 0
    assert answer_entropy([3, 3, 0, 3]) == pytest.approx(math.log(3))
    assert answer_entropy([1, 3]) == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))
    assert miller_madow([1, 3]) == pytest.approx(answer_entropy([1, 3]) + 1 / 8)
    assert miller_madow([5]) == 0


@pytest.mark.parametrize("estimate", [answer_entropy, miller_madow, chao_shen])
def test_no_answer_has_no_entropy_and_no_count_is_negative(estimate: object) -> None:
    assert math.isnan(estimate([])) and math.isnan(estimate([0, 0]))  # type: ignore[operator]
    with pytest.raises(StatisticsError, match="answer 1"):
        estimate([1, -1])  # type: ignore[operator]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=10), st.randoms())
def test_answer_entropy_is_bounded_and_ignores_order(counts: list[int], random: object) -> None:
    entropy, adjusted = answer_entropy(counts), chao_shen(counts)
    assert -1e-12 <= entropy <= math.log(len(counts)) + 1e-12
    random.shuffle(counts)  # type: ignore[attr-defined]
    assert answer_entropy(counts) == pytest.approx(entropy, abs=1e-12)
    assert chao_shen(counts) == pytest.approx(adjusted, abs=1e-12)


def test_miller_madow_removes_most_of_the_bias() -> None:
    rng = np.random.default_rng(0)
    truth = math.log(8)
    counts = rng.multinomial(40, np.full(8, 1 / 8), 2000)
    plug_in = np.mean([answer_entropy(c) for c in counts]) - truth
    corrected = np.mean([miller_madow(c) for c in counts]) - truth
    assert abs(corrected) < 0.2 * abs(plug_in)


def test_chao_shen_by_hand() -> None:
    """Counts 2, 1, 1: coverage 1/2, scaled shares 1/4, 1/8, 1/8, seen with 1 - (3/4)^4 and 1 - (7/8)^4."""
    by_hand = 0.25 * math.log(4) / (1 - 0.75**4) + 2 * 0.125 * math.log(8) / (1 - 0.875**4)
    assert chao_shen([2, 1, 1]) == pytest.approx(by_hand, rel=1e-13)
    assert chao_shen([2, 0, 1, 1]) == chao_shen([2, 1, 1])
    assert chao_shen([7]) == 0 and chao_shen([1]) == 0


def test_chao_shen_of_answers_that_are_all_different_is_finite() -> None:
    """Coverage 1 - 2/3 instead of 0: three terms of 1/9."""
    assert chao_shen([1, 1, 1]) == pytest.approx(3 / 9 * math.log(9) / (1 - (8 / 9) ** 3), rel=1e-13)


def test_chao_shen_is_less_biased_where_most_answers_are_rare() -> None:
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 201)
    share /= share.sum()
    truth = -(share * np.log(share)).sum()
    counts = rng.multinomial(64, share, 500)
    bias = {f: abs(np.mean([f(c) for c in counts]) - truth) for f in (answer_entropy, miller_madow, chao_shen)}
    assert bias[chao_shen] < 0.4 * bias[answer_entropy]
    assert bias[chao_shen] < bias[miller_madow]


# the majority vote


def brute_force(answers: list[int], correct: list[bool], k: int) -> float:
    votes = []
    for start in range(0, len(answers) - k + 1, k):
        group = [(a, c) for a, c in zip(answers[start : start + k], correct[start : start + k], strict=True) if a >= 0]
        counts = Counter(a for a, _ in group)
        tied = [a for a in counts if counts[a] == max(counts.values())]
        right = [sum(c for b, c in group if b == a) / counts[a] for a in tied]
        votes.append(sum(right) / len(tied) if tied else 0.0)
    return sum(votes) / len(votes)


@given(st.lists(st.tuples(st.integers(-1, 3), st.booleans()), min_size=1, max_size=24))
def test_majority_is_what_a_plain_count_of_votes_says(samples: list[tuple[int, bool]]) -> None:
    answers, correct = [a for a, _ in samples], [c for _, c in samples]
    ks = range(1, len(answers) + 1)
    expected = [brute_force(answers, correct, k) for k in ks]
    np.testing.assert_allclose(majority_at_k(answers, correct, ks), expected, atol=1e-14)


def test_majority_by_hand() -> None:
    answers, correct = [7, 7, 2, 2, 7, 9], [True, True, False, False, True, False]
    np.testing.assert_allclose(
        majority_at_k(answers, correct, [1, 2, 3, 6]), [3 / 6, (1 + 0 + 1 / 2) / 3, (1 + 1 / 3) / 2, 1]
    )
    assert majority_at_k([-1, -1, -1, 4], [False, False, False, True], [4])[0] == 1  # no answer never votes
    assert majority_at_k([-1, -1], [False, False], [2])[0] == 0
    assert majority_at_k([5, 1, 1, 0], [True, False, False, True], [3])[0] == 0  # the rest of a group is not used


def test_majority_is_unbiased() -> None:
    """Averaged over all sequences of four samples, maj@2 of two groups is maj@2 of one."""
    share = {0: 0.5, 1: 0.2, 2: 0.2, -1: 0.1}
    mean = {2: 0.0, 4: 0.0}
    for total in mean:
        for answers in itertools.product(share, repeat=total):
            chance = math.prod(share[a] for a in answers)
            mean[total] += chance * majority_at_k(answers, [a == 0 for a in answers], [2])[0]
    assert mean[4] == pytest.approx(mean[2], rel=1e-12)
    assert mean[2] == pytest.approx(0.5**2 + 2 * 0.5 * 0.1 + 2 * 0.5 * 0.4 / 2, rel=1e-12)


@pytest.mark.parametrize(
    ("answers", "correct", "ks", "message"),
    [
        ([1, 2], [True, False], [3], r"numbers from 1 to 2"),
        ([1, 2], [True, False], [0], r"numbers from 1 to 2"),
        ([1, 2], [True, False], [], r"found k = \[\]"),
        ([1, 2], [True], [1], r"as many"),
        ([1, -2], [True, False], [1], r"-1 for no answer"),
        ([1, 0.5], [True, False], [1], r"whole numbers"),
    ],
)
def test_majority_refuses_what_it_cannot_count(
    answers: list[float], correct: list[bool], ks: list[int], message: str
) -> None:
    with pytest.raises(StatisticsError, match=message):
        majority_at_k(answers, correct, ks)


# tokens and whole responses


def test_per_token_weighs_tokens_alike() -> None:
    assert per_token([1.0, 9.0], [1, 3]) == 2.5
    assert math.isnan(per_token([0.0], [0]))


def test_sequence_entropy_is_the_mean_surprise_of_a_response() -> None:
    found = sequence_entropy([-6.0, 0.0, 0.0], [4, 2, 0])
    np.testing.assert_array_equal(found, [1.5, 0, np.nan])
    assert not np.signbit(found[1])
    with pytest.raises(StatisticsError, match="problem 1: found -1 samples"):
        sequence_entropy([0, 0], [1, -1])
    with pytest.raises(StatisticsError, match="as many"):
        sequence_entropy([0, 0], [1])


def test_sequence_entropy_is_unbiased_from_one_sample() -> None:
    p = np.array([0.7, 0.2, 0.1])
    entropy_P = sequence_entropy(np.log(p), np.ones(3))
    assert p @ entropy_P == pytest.approx(answer_entropy([7, 2, 1]), rel=1e-13)
