"""Defects of published evaluators, each named after what went wrong, so that they cannot happen here."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.entropy import answer_entropy, per_token, sequence_entropy
from boundary_bench.statistics.estimate import estimate
from boundary_bench.statistics.intervals import resample
from boundary_bench.statistics.passk import guess_chance, pass_at_k, random_pass_at_k
from boundary_bench.statistics.posterior import Counts


def test_missing_samples_are_not_counted_as_wrong() -> None:
    """8 of 16 samples present, 4 right: a library divided by the 16 asked for and said 0.25 (lighteval, PassAtK)."""
    assert pass_at_k([8], [4], [1])[0, 0] == pytest.approx(0.5, rel=1e-14)
    by_budget = [pass_at_k([n], [n // 2], [1])[0, 0] for n in (8, 16, 32, 64)]
    np.testing.assert_allclose(by_budget, 0.5)  # there: halved at every doubling


def test_short_rows_are_not_padded_with_their_last_score() -> None:
    """1 right of 4, beside a row of 16: padded with the last score it became 13 of 16 (limit-of-RLVR, evaluate.py)."""
    np.testing.assert_allclose(pass_at_k([4, 16], [1, 8], [1])[:, 0], [1 / 4, 1 / 2])


@pytest.mark.parametrize(("n", "with_replacement"), [(4, 0.684), (256, 0.633)])
def test_attempts_are_drawn_without_replacement(n: int, with_replacement: float) -> None:
    """1 right of n, k = n: the right one is among them. Drawn with replacement it may be missed (verl, best@k)."""
    assert 1 - (1 - 1 / n) ** n == pytest.approx(with_replacement, abs=1e-3)
    assert pass_at_k([n], [1], [n])[0, 0] == 1


def test_problems_with_too_few_samples_are_refused_and_not_dropped() -> None:
    """A mean over the problems that happen to have n >= k is that of another benchmark (tinker, _compute_pass_at_k)."""
    with pytest.raises(StatisticsError, match="problem 2: found 7 samples, expected at least k = 8"):
        pass_at_k([16, 8, 7], [3, 0, 7], [1, 8])


def test_the_first_k_samples_are_not_pass_at_k() -> None:
    """ "Any of the first k" is an estimate from k of n samples that depends on their order (nanochat, chat_rl.py)."""
    verdicts, k = [0, 0, 1, 1, 0], 2
    first = [any(order[:k]) for order in itertools.permutations(verdicts)]
    estimate = pass_at_k([5], [2], [k])[0, 0]
    assert set(first) == {False, True}
    assert estimate == pytest.approx(np.mean(first), rel=1e-12)


def test_paired_problems_are_not_compared_as_if_unpaired() -> None:
    """z = difference / sqrt(se^2 + se^2) of two policies on the same problems (lm-eval, model_comparator).

    Some problems are easy and some are hard, for both: unpaired, that drowns a gain that nearly all of them show.
    """
    n, problems, rng = 64, 200, np.random.default_rng(0)
    rate_P = rng.beta(0.4, 0.6, problems)
    n_P, rates = np.full(problems, n), (rate_P, rate_P ** (1 / 1.25))
    base, ours = (Counts(Design((n,)), n_P, rng.binomial(n, p_P)) for p_P in rates)
    paired = estimate([1], [(1, ours), (-1, base)], resample(problems, 1000, 0), 0.95)
    error = np.sqrt(sum(np.var(counts.correct_P / n, ddof=1) / problems for counts in (base, ours)))
    assert paired.estimate_K[0] < 1.96 * error, "unpaired, the gain is not seen"
    assert paired.low_K[0] > 0 and paired.band_low_K[0] > 0, "paired, it is"
    assert paired.high_K[0] - paired.low_K[0] < 2 * 1.96 * error / 3, "a third of the unpaired interval"


def test_token_entropy_is_not_cut_to_the_top_20() -> None:
    """Engines log 20 log-probabilities a token: their entropy misses the tail, the sampled token's does not (vLLM)."""
    p_V = 1 / np.arange(1, 1001)
    p_V /= p_V.sum()
    entropy = -(p_V * np.log(p_V)).sum()
    top_20 = -(p_V[:20] * np.log(p_V[:20])).sum()
    assert top_20 < 0.4 * entropy
    draws_V = 1_000_000 * p_V  # as often as expected
    assert per_token(-draws_V * np.log(p_V), draws_V) == pytest.approx(entropy, rel=1e-12)


def test_raw_log_probabilities_of_another_temperature_are_no_entropy() -> None:
    """The sampled-token estimate needs the log-probability of the distribution that was sampled from."""
    raw_V = np.array([0.6, 0.3, 0.1])
    sampled_V = raw_V ** (1 / 0.6)
    sampled_V /= sampled_V.sum()
    processed = sampled_V @ sequence_entropy(np.log(sampled_V), np.ones(3))
    unprocessed = sampled_V @ sequence_entropy(np.log(raw_V), np.ones(3))
    assert processed == pytest.approx(answer_entropy(sampled_V), rel=1e-12)
    assert abs(unprocessed - answer_entropy(sampled_V)) > 0.02
    assert abs(unprocessed - answer_entropy(raw_V)) > 0.02


def test_guessing_multiple_choice_reaches_pass_at_128() -> None:
    """A curve that ends at 1 says nothing about a policy where guessing ends there, too."""
    chance_P = guess_chance([4, 10])
    np.testing.assert_array_equal(chance_P, [0.25, 0.1])
    null_PK = random_pass_at_k(chance_P, [1, 128, 256])
    np.testing.assert_allclose(1 - null_PK[1, 1:], [0.9**128, 0.9**256], rtol=1e-4)
    np.testing.assert_allclose(null_PK[:, 1:], 1, atol=2e-6)
    assert null_PK[0, 1] > 1 - 1e-15


@pytest.mark.parametrize("options", [[4, 1], [4, 0], [4, -2]])
def test_a_choice_has_two_options_at_least(options: list[int]) -> None:
    with pytest.raises(StatisticsError, match=r"problem 1: found -?\d options"):
        guess_chance(options)
    with pytest.raises(StatisticsError, match="whole numbers"):
        guess_chance([2.5])
