"""Claims: every rule on tables whose truth is known, and the control of false verdicts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claim_tables import (
    CLAIMS,
    CLEAN,
    CONTRADICTED,
    FALLS,
    NOT_TESTABLE,
    RISES,
    SUPPORTED,
    TURNS,
    TURNS_OVER,
    UNDECIDED,
    World,
    change,
    judged,
    token,
    world,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from boundary_bench.claims.claim import Needs
from boundary_bench.claims.spread import Mean, Proportion
from boundary_bench.claims.verdicts import ClaimVerdict, judge, overall
from boundary_bench.tables.reading import read_tables

#: For each claim a truth that supports it, one that contradicts it, and one where it cannot be tested.
TRUTHS: dict[str, tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]] = {
    "yao-grpo-entropy-collapses": (token(FALLS), token(RISES), {"algorithms": ("gspo",)}),
    "yao-entropy-falls-then-rises": (token(TURNS), token(TURNS_OVER), {"algorithms": ("grpo",)}),
    "yao-grpo-n-entropy-ends-above-base": (token(RISES), token(FALLS), {"algorithms": ("grpo",)}),
    "yao-greedy-competitive": (
        world(greedy={"grpo": 0.4}),
        world(greedy={"grpo": 0.6}),
        {"algorithms": ("grpo-n", "gspo")},
    ),
    "yao-exploitation-then-exploration": (
        {"courses": {"pass@k": TURNS}},
        {"courses": {"pass@k": TURNS_OVER}},
        {"courses": {}, "drop": ("stages", {"k": "256"})},
    ),
    "yao-negative-keeps-boundary": (change(0, 0), change(0, -0.2), {"algorithms": ("grpo", "gspo")}),
    "yue-above-at-1-below-at-large-k": (change(0.1, -0.1), change(0.1, 0.1), {"change": {1: 0.0, 64: 0.0}}),
    "yue-solved-is-a-subset": ({"sets": (300, 50, 0)}, {"sets": (200, 0, 100)}, {"sets": (0, 5, 0)}),
    "yue-efficiency-gap-alike": (
        world(gap={}),
        world(gap={"grpo": 0.8}),
        {"algorithms": ("grpo",)},
    ),
    "yue-efficiency-gap-closes": (
        {"courses": {"pass@k": RISES}},
        {"courses": {"pass@k": FALLS}},
        {"drop": ("stages", {"measure": "pass@k"})},
    ),
    "leash-retention-is-high": ({"sets": (300, 3, 0)}, {"sets": (200, 100, 0)}, {"sets": (0, 0, 5)}),
    "leash-discovery-is-low": ({"sets": (300, 50, 3)}, {"sets": (200, 0, 100)}, {"sets": (0, 5, 0)}),
    "leash-net-support-shrinks": ({"sets": (100, 60, 20)}, {"sets": (100, 20, 60)}, {"sets": (100, 0, 0)}),
    "leash-token-entropy-up-answer-entropy-down": (
        token(RISES, FALLS),
        None,
        {"drop": ("stages", {"measure": "answer entropy"})},
    ),
    "prorl-prolonged-training-expands": (change(0, 0.1), change(0, -0.1), {"steps": (500, 1000)}),
    "nsr-keeps-pass-at-256": (change(0, 0), change(0, -0.2), {"algorithms": ("grpo", "grpo-n")}),
    "paradox-winner-takes-all": (
        world(strata={"easy": (0.8, 0.15), "hard": (0.1, 0.0)}),
        world(strata={"easy": (0.8, 0.0), "hard": (0.1, 0.15)}),
        {},
    ),
    "memorization-random-rewards-do-not-help": (
        {**change(0, 0), **CLEAN},
        {**change(0.2, 0), **CLEAN},
        {"training": {"reward": "correct"}},
    ),
}
BEYOND = {"brorl-more-rollouts-lose-less", "gradient-gap-collapse-above-a-step-size"}
UNCLEAR = {
    "memorization-random-rewards-do-not-help": CLEAN,
    "paradox-winner-takes-all": {"strata": {"easy": (0.8, 0.05), "hard": (0.1, 0.0)}},
}


def test_every_claim_has_a_truth() -> None:
    assert set(TRUTHS) | BEYOND == set(CLAIMS)
    assert {name for name, claim in CLAIMS.items() if claim.beyond} == BEYOND


@pytest.mark.parametrize("name", TRUTHS)
def test_the_four_verdicts(name: str, tmp_path: Path) -> None:
    true, false, untestable = TRUTHS[name]
    assert judged(tmp_path / "true", CLAIMS[name], **true).verdict == SUPPORTED
    if false is not None:
        assert judged(tmp_path / "false", CLAIMS[name], **false).verdict == CONTRADICTED
    undecided = judged(tmp_path / "unclear", CLAIMS[name], **UNCLEAR.get(name, {}))
    assert undecided.verdict == UNDECIDED
    assert all(each.note for each in undecided.findings), "what would decide it is said"
    lacking = judged(tmp_path / "lacking", CLAIMS[name], **untestable)
    assert lacking.verdict == NOT_TESTABLE
    assert lacking.missing or all(each.note for each in lacking.findings)


@pytest.mark.parametrize("name", sorted(BEYOND))
def test_no_single_study_decides_what_is_beyond(name: str, tmp_path: Path) -> None:
    found = judged(tmp_path, CLAIMS[name])
    assert (found.verdict, found.findings, found.missing) == (NOT_TESTABLE, [], [CLAIMS[name].beyond])


LACKING = {
    "k = 256; differences.csv has 1, 64": ("yue-above-at-1-below-at-large-k", {"change": {1: 0.0, 64: 0.0}}),
    "2000 training steps; this run has 1000": ("prorl-prolonged-training-expands", {"steps": (1000,)}),
    "a weak base: at most 0.5, found 0.9": ("prorl-prolonged-training-expands", {"base": {128: 0.9}}),
    "a benchmark with strata": ("paradox-winner-takes-all", {}),
    "a row of summary.csv for base grpo seed 0 step 2000 countdown": (
        "yao-greedy-competitive",
        {"algorithms": ("gspo",)},
    ),
    "an interval with a width": ("nsr-keeps-pass-at-256", {"width": 0.0}),
    "algorithm grpo": ("yao-greedy-competitive", {"algorithms": ("gspo",)}),
    "algorithm nsr": ("nsr-keeps-pass-at-256", {"algorithms": ("grpo",)}),
    "setting training.reward.random": ("memorization-random-rewards-do-not-help", {}),
    "one of the benchmarks countdown, countdown-hard": (
        "memorization-random-rewards-do-not-help",
        {**CLEAN, "benchmark": "math-500"},
    ),
}


@pytest.mark.parametrize("said", LACKING)
def test_what_is_missing_is_said(said: str, tmp_path: Path) -> None:
    name, changes = LACKING[said]
    found = judged(tmp_path, CLAIMS[name], **changes)
    assert found.verdict == NOT_TESTABLE
    assert any(said in text for text in [*found.missing, *(each.note for each in found.findings)])


def test_few_samples_are_missing(tmp_path: Path) -> None:
    claim = CLAIMS["nsr-keeps-pass-at-256"]
    demanding = claim.model_copy(update={"needs": Needs(algorithms=["nsr"], n=2048)})
    (found,) = judged(tmp_path, demanding, **change(0, 0)).findings
    assert (found.verdict, found.note) == (NOT_TESTABLE, "2048 samples a problem; this study draws 1024")


@pytest.mark.parametrize(("minus", "verdict"), [("base", SUPPORTED), ("grpo", UNDECIDED), (None, CONTRADICTED)])
def test_less_another(minus: str | None, verdict: ClaimVerdict, tmp_path: Path) -> None:
    """GSPO at .6 is above the base at .4, is as GRPO, and is above 0."""
    part = CLAIMS["yao-greedy-competitive"].parts[0].model_copy(update={"minus": minus, "threshold": 0.0})
    if minus is None:
        part = part.model_copy(update={"side": "below"})
    claim = CLAIMS["yao-greedy-competitive"].model_copy(update={"parts": [part], "needs": Needs(algorithms=["gspo"])})
    found = judged(tmp_path, claim, greedy={"base": 0.4, "grpo": 0.6, "gspo": 0.6}, width=0.05)
    assert found.verdict == verdict
    (each,) = found.findings[0].evidence
    assert each.high - each.low == pytest.approx(0.1 if minus is None else 0.2)


def test_a_benchmark_is_known_by_its_kind(tmp_path: Path) -> None:
    folder = World(benchmark="mine", **change(0, 0), **CLEAN).write(tmp_path)
    content = json.loads((folder / "provenance.json").read_text())
    content["study"]["benchmarks"]["mine"]["kind"] = "countdown"
    (folder / "provenance.json").write_text(json.dumps(content))
    (found,) = judge([CLAIMS["memorization-random-rewards-do-not-help"]], read_tables(folder)).claims
    assert found.verdict == SUPPORTED


def test_an_estimate_alone_decides_nothing(tmp_path: Path) -> None:
    claim = CLAIMS["yue-above-at-1-below-at-large-k"]
    changes = {"change": {1: 0.3, 128: -0.3, 256: -0.3}}
    assert judged(tmp_path / "sure", claim, width=0.1, **changes).verdict == SUPPORTED
    assert judged(tmp_path / "unsure", claim, width=0.31, **changes).verdict == UNDECIDED


def test_a_possibility_is_not_contradicted_where_it_does_not_happen(tmp_path: Path) -> None:
    claim = CLAIMS["leash-token-entropy-up-answer-entropy-down"]
    assert judged(tmp_path / "a", claim, **token(FALLS, RISES)).verdict == UNDECIDED
    always = claim.model_copy(update={"possible": False})
    assert judged(tmp_path / "b", always, **token(FALLS, RISES)).verdict == CONTRADICTED


def test_luck_contradicts_nothing(tmp_path: Path) -> None:
    """A third of what is solved is new; so it is between two halves of the base."""
    sets = {"sets": (40, 20, 20)}
    for name in ("yue-solved-is-a-subset", "leash-discovery-is-low", "leash-retention-is-high"):
        assert judged(tmp_path / "no" / name, CLAIMS[name], **sets).verdict == CONTRADICTED
        assert judged(tmp_path / "luck" / name, CLAIMS[name], **sets, luck=20).verdict == UNDECIDED


def test_a_bump_within_the_training_is_no_contrary_course(tmp_path: Path) -> None:
    claim, bump = CLAIMS["yao-entropy-falls-then-rises"], ((1000, 2000, 0.0), (500, 1000, 0.0))
    assert judged(tmp_path / "bump", claim, **token(bump)).verdict == UNDECIDED
    assert judged(tmp_path / "order", claim, **token(((0, 1500, 0.0), (1000, 2000, 0.0)))).verdict == UNDECIDED


@pytest.mark.parametrize(("change", "verdict"), [(0.3, SUPPORTED), (0.05, UNDECIDED), (-0.3, CONTRADICTED)])
def test_the_ends_are_compared_by_their_own_pair(change: float, verdict: ClaimVerdict, tmp_path: Path) -> None:
    """A clear rise from the middle to the last checkpoint does not say where the base is; the interval does."""
    late = ((0, 1000, 1.0), (1000, 2000, 0.0))
    ends = {"ends": {"token entropy": change}}
    found = judged(tmp_path, CLAIMS["yao-grpo-n-entropy-ends-above-base"], **token(late), **ends)
    assert found.verdict == verdict
    (each,) = found.findings[0].evidence
    assert (each.estimate, each.low, each.high) == pytest.approx((change, change - 0.1, change + 0.1))
    assert found.findings[0].corrected[0] == pytest.approx((each.low, each.high)), "alone, nothing is corrected"
    assert each.what == f"token entropy: 1 to {1 + change:g}, change"


def test_a_chance_of_0_is_one_that_the_resamples_have_not_met(tmp_path: Path) -> None:
    (found,) = judged(tmp_path, CLAIMS["yao-grpo-entropy-collapses"], **token(FALLS)).findings
    assert found.q == pytest.approx(1 / 2001)


def test_the_pick_among_parts_is_paid_for(tmp_path: Path) -> None:
    """One part of two is missed, at 4 % by itself."""
    claim = CLAIMS["yue-above-at-1-below-at-large-k"].model_copy(update={"needs": Needs(algorithms=["grpo"])})
    changes = {"change": {1: -0.105, 128: 0.0, 256: 0.0}}
    alone = claim.model_copy(update={"parts": claim.parts[:1]})
    assert judged(tmp_path / "one", alone, **changes).verdict == CONTRADICTED
    assert judged(tmp_path / "two", claim, **changes).verdict == UNDECIDED


def test_a_fall_that_comes_back_is_no_fall(tmp_path: Path) -> None:
    assert judged(tmp_path, CLAIMS["yao-grpo-entropy-collapses"], **token(TURNS)).verdict == UNDECIDED


def test_what_would_decide_is_the_square_of_what_is_short(tmp_path: Path) -> None:
    """One unit, one part: known to +-.1 at 95 %, .05 above its threshold; four times the problems are needed."""
    claim = CLAIMS["nsr-keeps-pass-at-256"]
    (found,) = judged(tmp_path / "a", claim, width=0.1).findings
    assert re.match(r"about 1,(59|60)\d problems would support it, .* \(P is 400\)", found.note)
    assert "samples are 25% of the squared width: more of them alone would not" in found.note
    (close,) = judged(tmp_path / "b", claim, width=0.053).findings
    assert (n := re.search(r"or n of about ([\d,]+) ", close.note))
    assert 1024 < int(n[1].replace(",", "")) < 2 * 1024


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ([SUPPORTED, UNDECIDED, NOT_TESTABLE], SUPPORTED),
        ([CONTRADICTED, UNDECIDED], CONTRADICTED),
        ([SUPPORTED, CONTRADICTED], UNDECIDED),
        ([UNDECIDED, NOT_TESTABLE], UNDECIDED),
        ([NOT_TESTABLE], NOT_TESTABLE),
        ([], NOT_TESTABLE),
    ],
)
def test_the_verdict_of_a_study(verdicts: list[ClaimVerdict], whole: ClaimVerdict) -> None:
    assert overall(verdicts) == whole


# how many verdicts are false


@given(
    estimate=st.floats(-0.5, 0.5),
    low=st.floats(1e-3, 0.3),
    high=st.floats(1e-3, 0.3),
    at=st.floats(-0.9, 0.9),
    problems=st.integers(2, 500),
)
def test_nothing_within_the_interval_is_excluded(
    estimate: float, low: float, high: float, at: float, problems: int
) -> None:
    found = Mean(estimate, estimate - low, estimate + high, 0.95, problems)
    p = 2 * min(found.chance_not(True, at), found.chance_not(False, at))
    if found.low + 1e-9 <= at <= found.high - 1e-9:
        assert p > 0.05
    wide_low, wide_high = found.interval(0.99)
    assert (p < 0.01) == (not wide_low <= at <= wide_high)
    assert wide_low < found.low and wide_high > found.high


def test_an_estimate_at_the_end_of_its_interval_is_no_certainty() -> None:
    """As where the interval was widened to hold its estimate."""
    found = Mean(0.1, 0.1, 0.3, 0.95, 100)
    assert found.interval(0.95) == pytest.approx((0.0, 0.3))
    assert found.chance_not(True, 0.05) > 0.1


@given(inside=st.integers(0, 40), outside=st.integers(0, 40), at=st.floats(0.01, 0.99))
def test_a_share_and_its_interval_agree(inside: int, outside: int, at: float) -> None:
    found = Proportion(inside, outside)
    low, high = found.interval(0.9)
    assert 0 <= low < high <= 1
    assert (found.chance_not(True, at) < 0.05) == (low > at)
    assert (found.chance_not(False, at) < 0.05) == (high < at)


@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_few_of_the_decided_are_false(alike: float) -> None:
    """120 tests on the same problems, half of them of nothing: 5 % of the decided are false, or fewer."""
    rng, studies, tests, problems = np.random.default_rng(1), 400, 120, 40
    truth_T = np.where(np.arange(tests) < 60, 0.0, 0.6)
    false, shares = 0, []
    for _ in range(studies):
        noise_PT = rng.normal(size=(problems, tests)) * (1 - alike) ** 0.5
        value_PT = truth_T + noise_PT + rng.normal(size=(problems, 1)) * alike**0.5
        mean_T, error_T = value_PT.mean(0), value_PT.std(0, ddof=1) / problems**0.5
        half_T = 2.0227 * error_T
        found = [Mean(m, m - h, m + h, 0.95, problems) for m, h in zip(mean_T, half_T, strict=True)]
        p_T = np.array([2 * min(each.chance_not(True, 0), each.chance_not(False, 0)) for each in found])
        decided_T = false_discovery_control(p_T) <= 0.05
        wrong = int((decided_T & (truth_T == 0)).sum())
        false, shares = false + wrong, [*shares, wrong / max(decided_T.sum(), 1)]
    assert false > 0 and 0.005 < np.mean(shares) < 0.05


def test_more_tests_ask_for_more(tmp_path: Path) -> None:
    """The same row, alone and among others."""
    name = "nsr-keeps-pass-at-256"
    tables = read_tables(World(width=0.048).write(tmp_path))
    alone, among = judge([CLAIMS[name]], tables), judge(list(CLAIMS.values()), tables)
    assert (alone.tested, alone.claims[0].verdict) == (1, SUPPORTED)
    (found,) = (each for each in among.claims if each.claim.id == name)
    assert among.tested > 50 and found.verdict == UNDECIDED
