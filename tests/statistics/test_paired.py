"""Crossover, equivalence, verdicts and stages: on curves whose answer is known, and on flat ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.courses import Course, trajectory
from boundary_bench.statistics.design import Design, plan_rounds
from boundary_bench.statistics.estimate import Estimate, estimate
from boundary_bench.statistics.intervals import resample
from boundary_bench.statistics.paired import Change, Crossover, changes, crossover, detectable, equivalence
from boundary_bench.statistics.posterior import Counts
from boundary_bench.statistics.sequential import place, table

DESIGN = Design(plan_rounds(1024, 32), 32)
KS = [2**i for i in range(11)]
NOISE_BK = np.random.default_rng(0).normal(0, 0.01, (2000, len(KS)))


def drawn(p_P: np.ndarray, rng: np.random.Generator) -> Counts:
    counts = np.zeros((2, len(p_P)), np.int64)
    for i, p in enumerate(p_P):
        hits, start = 0, 0
        for size in DESIGN.rounds:
            hits, start = hits + rng.binomial(size - start, p), size
            if hits >= 32:
                break
        counts[:, i] = start, hits
    return Counts(DESIGN, *counts)


# crossover


def test_crossover_of_a_straight_line_is_where_it_meets_zero() -> None:
    difference_K = 0.2 - 0.05 * np.arange(len(KS))  # zero at k = 2^4
    found = crossover(KS, difference_K, difference_K + NOISE_BK, 0.95)
    assert found.leader == "checkpoint" and found.k == pytest.approx(16)
    assert found.low < 16 < found.high < 64
    between = crossover(KS, difference_K + 0.025, difference_K + 0.025 + NOISE_BK, 0.95)
    assert between.k == pytest.approx(2**4.5)


def test_no_crossover_is_said_so() -> None:
    above_K = np.full(len(KS), 0.1)
    assert crossover(KS, above_K, above_K + NOISE_BK, 0.95) == Crossover("checkpoint", np.inf, np.inf, np.inf)
    assert crossover(KS, -above_K, -above_K + NOISE_BK, 0.95) == Crossover("base", np.inf, np.inf, np.inf)
    none = crossover(KS, 0 * above_K, NOISE_BK, 0.95)
    assert none.leader == "" and none.low == 0 and none.high == np.inf


def test_a_crossover_that_may_not_exist_has_an_open_interval() -> None:
    difference_K = np.where(np.array(KS) < 256, 0.1, -0.003)
    found = crossover(KS, difference_K, difference_K + NOISE_BK, 0.95)
    assert 128 < found.k < 256 and found.high == np.inf
    doubtful_K = np.where(np.array(KS) < 2, 0.003, -0.1)
    assert crossover(KS, doubtful_K, doubtful_K + NOISE_BK, 0.95).low == 0


def test_the_base_can_be_overtaken_too() -> None:
    difference_K = np.linspace(-0.1, 0.1, len(KS))
    found = crossover(KS, difference_K, difference_K + NOISE_BK, 0.95)
    assert found.leader == "base" and found.k == pytest.approx(32)
    with pytest.raises(StatisticsError, match="ascending"):
        crossover([1, 4, 2], difference_K[:3], NOISE_BK[:, :3], 0.95)


# equivalence, verdicts, power


def fake(estimate_K: np.ndarray, spread: float) -> Estimate:
    draw_BK = estimate_K + spread * np.random.default_rng(1).normal(size=(4000, 1))
    ends = (estimate_K - 1.96 * spread, estimate_K + 1.96 * spread)
    return Estimate(np.zeros((5, len(estimate_K))), estimate_K, *ends, *ends, *ends, draw_BK)


@pytest.mark.parametrize(
    ("difference", "spread", "verdict"),
    [
        (-0.2, 0.03, Change.SHRUNK),
        (0.2, 0.03, Change.EXPANDED),
        (0.0, 0.01, Change.UNCHANGED),
        (0.0, 0.028, Change.UNCHANGED),  # two one-sided tests at 5 %: its 95 % interval reaches beyond the margin
        (0.02, 0.005, Change.UNCHANGED),  # not zero for sure, and smaller than the margin for sure
        (0.0, 0.1, Change.UNDECIDED),
        (-0.05, 0.03, Change.UNDECIDED),
    ],
)
def test_verdict(difference: float, spread: float, verdict: Change) -> None:
    assert changes(fake(np.array([difference]), spread), 0.05, 0.95) == [verdict]


def test_equivalence_is_two_one_sided_tests() -> None:
    low, high = equivalence(fake(np.array([0.0]), 1.0).draw_BK, 0.95)
    np.testing.assert_allclose([low[0], high[0]], [-1.645, 1.645], atol=0.09)
    with pytest.raises(StatisticsError, match="margin"):
        changes(fake(np.zeros(1), 1.0), 0, 0.95)


def test_the_smallest_detectable_difference_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(0)
    least = float(detectable(fake(np.zeros(1), 0.02).draw_BK, 0.95)[0])
    found = least + rng.normal(0, 0.02, 20_000)
    assert np.mean(np.abs(found) > 1.96 * 0.02) == pytest.approx(0.8, abs=0.02)


def test_noise_is_called_a_change_rarely_and_a_change_often() -> None:
    rng, found = np.random.default_rng(0), resample(60, 500, 0)
    verdicts: dict[float, list[Change]] = {0.0: [], -1.5: []}
    for shift, seen in verdicts.items():
        for _ in range(100):
            x_P = logit(rng.beta(0.5, 0.8, 60).clip(1e-9, 1 - 1e-9))
            base, ours = drawn(expit(x_P), rng), drawn(expit(x_P + shift * (x_P > -3)), rng)
            result = estimate(KS, [(1, ours), (-1, base)], found, 0.95)
            curve = changes(result, 0.05, 0.95)
            seen.append(Change.SHRUNK if Change.SHRUNK in curve else curve[0])
            assert Change.EXPANDED not in curve or shift == 0
    assert verdicts[0.0].count(Change.SHRUNK) <= 5
    assert verdicts[-1.5].count(Change.SHRUNK) >= 95


# stages

STEPS = [0, 20, 40, 80, 160]


def run_of(shifts: list[float], seed: int, problems: int = 60, k: int = 64) -> np.ndarray:
    """value_SP of checkpoints whose problems are shifted in log-odds, each with a little movement of its own."""
    rng = np.random.default_rng(seed)
    x_P = logit(rng.beta(0.3, 1.2, problems).clip(1e-9, 1 - 1e-9))
    policies = [
        drawn(expit(x_P + shift + 0.3 * rng.normal(size=problems) * (i > 0)), rng) for i, shift in enumerate(shifts)
    ]
    return np.stack([table(DESIGN, (k,))[place(DESIGN, c.samples_P, c.correct_P)][:, 0] for c in policies])


@pytest.mark.parametrize(
    ("shifts", "course", "turn"),
    [
        ([0, -1.5, -3, -1.5, 0], Course.FALLS_THEN_RISES, 40),
        ([0, -1, -2, -3, 0], Course.FALLS_THEN_RISES, 80),
        ([0, 1, 2, 1, -1], Course.RISES_THEN_FALLS, 40),
        ([0, -0.5, -1, -1.5, -2], Course.FALLS, None),
        ([0, 0.5, 1, 1.5, 2], Course.RISES, None),
    ],
)
def test_a_known_turn_is_found(shifts: list[float], course: Course, turn: int | None) -> None:
    for seed in range(10):
        found = trajectory(STEPS, run_of(shifts, seed), resample(60, 500, 0), 0.95)
        assert (found.course, found.turn) == (course, turn)
        if turn is not None:
            assert found.turn_low <= turn <= found.turn_high and (found.fall.seen and found.rise.seen)


def test_the_ends_have_the_interval_of_their_difference() -> None:
    """Student's interval of a shift of all problems, as the bootstrap has it, a little wider."""
    value_SP = run_of([0, -2, 1], seed=3)
    found = trajectory([0, 5, 9], value_SP, resample(60, 4000, 0), 0.95)
    change_P = value_SP[2] - value_SP[0]
    half = 2.001 * change_P.std(ddof=1) / 60**0.5
    assert found.change == pytest.approx(change_P.mean()) == found.mean_S[-1] - found.mean_S[0]
    assert found.change_low == pytest.approx(found.change - half, abs=0.2 * half)
    assert found.change_high == pytest.approx(found.change + half, abs=0.2 * half)
    assert found.change_low < found.change < found.change_high


def test_a_flat_run_shows_nothing_19_times_in_20() -> None:
    found = resample(60, 500, 0)
    courses = [trajectory(STEPS, run_of([0] * 5, seed), found, 0.95).course for seed in range(150)]
    assert sum(course is not Course.NONE for course in courses) <= 14  # 5 % of 150, and two standard errors


def test_a_run_without_any_change_has_no_finding_from_rounding() -> None:
    value_SP = np.tile(np.random.default_rng(0).random(40), (3, 1))
    found = trajectory([0, 1, 2], value_SP, resample(40, 500, 0), 0.95)
    assert found.course is Course.NONE and found.fall.change == found.rise.change == 0


def test_a_turn_that_could_be_elsewhere_has_a_wide_interval() -> None:
    value_SP = run_of([0, -2, -2, -2, 0], seed=1)
    found = trajectory(STEPS, value_SP, resample(60, 500, 0), 0.95)
    assert found.course is Course.FALLS_THEN_RISES
    assert found.turn_low < found.turn_high


@pytest.mark.parametrize("steps", [[0], [0, 0, 1], [2, 1, 0], [0, 1]])
def test_steps_that_do_not_fit_are_refused(steps: list[int]) -> None:
    with pytest.raises(StatisticsError, match="ascending"):
        trajectory(steps, np.zeros((3, 4)), resample(4, 100, 0), 0.95)
