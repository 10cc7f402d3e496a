"""Claims: every rule on tables whose truth is known, the control of false verdicts, damage, and the published study."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from claim_tables import FALLS, FLAT, RISES, TURNS, TURNS_OVER, World, edit
from hypothesis import given
from hypothesis import strategies as st
from workflow import REPOSITORY

from boundary_bench.claims import Judged, Ledger, Verdict, judge, ledger, ledger_text, load_claims, read_tables
from boundary_bench.claims.claim import SHIPPED, Claim, Needs
from boundary_bench.claims.spread import Mean, Proportion
from boundary_bench.claims.verdicts import adjusted, overall
from boundary_bench.cli import main
from boundary_bench.errors import EXIT_USER_ERROR, DataError

CLAIMS = {claim.id: claim for claim in load_claims()}
PUBLISHED = REPOSITORY / "results" / "published" / "quickstart-seeds" / "tables"
SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE = Verdict
SURE = 0.01
CLEAN = {"training": {"reward": {"random": 0.5}}}


def world(**changes: Any) -> dict[str, Any]:
    return {"width": SURE, **changes}


def token(course: Any, answer: Any = FLAT) -> dict[str, Any]:
    return {"courses": {"token entropy": course, "answer entropy": answer}}


def change(once: float, many: float) -> dict[str, Any]:
    return world(change={1: once, 128: many, 256: many})


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


def judged(folder: Path, claim: Claim, drop: tuple[str, dict[str, str]] | None = None, **changes: Any) -> Judged:
    tables = read_tables(World(**changes).write(folder))
    if drop:
        table, cells = drop
        kept = {key: row for key, row in tables.rows[table].items() if not cells.items() <= row.items()}
        tables.rows[table].clear()
        tables.rows[table].update(kept)
    (found,) = judge([claim], tables).claims
    return found


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
def test_less_another(minus: str | None, verdict: Verdict, tmp_path: Path) -> None:
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
def test_the_ends_are_compared_by_their_own_pair(change: float, verdict: Verdict, tmp_path: Path) -> None:
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
def test_the_verdict_of_a_study(verdicts: list[Verdict], whole: Verdict) -> None:
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


def test_adjusted_by_hand() -> None:
    assert adjusted(np.array([0.01, 0.5, 0.03, 0.02])) == pytest.approx([0.04, 0.5, 0.04, 0.04])
    assert adjusted(np.array([])).shape == (0,)


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
        decided_T = adjusted(p_T) <= 0.05
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


# the file of claims

NEW = """
- id: mine
  sentence: The boundary shrinks at k = 128.
  source: {paper: Me 2026, arxiv: "2601.00001"}
  parts:
    - {kind: value, table: differences, column: difference, where: {k: 128}, side: below, threshold: 0, reason: a loss}
"""


def test_a_new_claim_is_one_entry(tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text(SHIPPED.read_text() + NEW)
    claim = load_claims(tmp_path / "claims.yaml")[-1]
    assert judged(tmp_path / "tables", claim, **change(0, -0.1)).verdict == SUPPORTED


def test_the_entry_of_the_docs_is_a_claim(tmp_path: Path) -> None:
    (entry,) = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs" / "claims.md").read_text(), re.DOTALL)
    (tmp_path / "claims.yaml").write_text(entry)
    assert len(load_claims(tmp_path / "claims.yaml")) == 1


FAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "mine.sentense: Extra inputs": lambda entry: entry.update(sentense="?"),
    "mine.source.arxiv: ": lambda entry: entry["source"].update(arxiv="last year"),
    "mine.parts.0.value: where: found": lambda entry: entry["parts"][0].update(where={}),
    "mine.parts.0.value.side": lambda entry: entry["parts"][0].update(side="beside"),
    "mine.parts.0.value.reason: Field required": lambda entry: entry["parts"][0].pop("reason"),
    "mine.parts.0: Input tag 'magic'": lambda entry: entry["parts"][0].update(kind="magic"),
    "mine: found parts and beyond": lambda entry: entry.update(beyond="all"),
    "entry 1.id": lambda entry: entry.pop("id"),
    "mine.parts.0.value.threshold: Input should be a finite number": lambda entry: entry["parts"][0].update(
        threshold=float("nan")
    ),
}


@pytest.mark.parametrize("said", FAULTS)
def test_a_fault_in_a_claim_is_told_with_its_place(said: str, tmp_path: Path) -> None:
    (entry,) = yaml.safe_load(NEW)
    FAULTS[said](entry)
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump([entry]))
    with pytest.raises(DataError) as fault:
        load_claims(tmp_path / "claims.yaml")
    assert "claims.yaml has" in str(fault.value) and f"  {said}" in str(fault.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- id: a\n  id: b\n", "'id' is written twice"),
        ("{}", "found dict, expected a list"),
        ("[]", "expected a list"),
        ("- [", "not readable as YAML"),
        ("[" * 5000, "nested too deeply"),
        ("- 3\n", "entry 1"),
        (NEW + NEW, "'mine' twice"),
        ("- !!python/object/apply:os.system [true]\n", "not readable as YAML"),
    ],
)
def test_no_file_of_claims(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text(text)
    with pytest.raises(DataError, match=re.escape(said)):
        load_claims(tmp_path / "claims.yaml")


# damage

DAMAGE: dict[str, Callable[[Path], Any]] = {
    "provenance.json is missing": lambda folder: (folder / "provenance.json").unlink(),
    "provenance.json: found no study": lambda folder: (folder / "provenance.json").write_text('{"study": []}'),
    "found no study with analysis.level": lambda folder: (folder / "provenance.json").write_text(
        '{"study": {"analysis": {"level": NaN, "resamples": 2000}, "benchmarks": {}}}'
    ),
    "stages.csv is missing": lambda folder: (folder / "stages.csv").unlink(),
    "coverage.csv: found no column": lambda folder: (folder / "coverage.csv").write_text("model,seed\na,b\n"),
    "summary.csv is torn": lambda folder: (folder / "summary.csv").write_bytes(b"\xff\xfe\n"),
    "differences.csv: found no row": lambda folder: (folder / "differences.csv").write_text(
        (folder / "differences.csv").read_text().split("\n")[0]
    ),
    "differences.csv: found step 'x'": lambda folder: edit(folder / "differences.csv", 0, step="x"),
    "differences.csv, row 4: found": lambda folder: edit(folder / "differences.csv", 3, k=1, step=1000),
    "boundary.csv, row 10 is torn": lambda folder: (folder / "boundary.csv").write_text(
        (folder / "boundary.csv").read_text()[:-20]
    ),
    "low: found 'nan', expected a finite number": lambda folder: edit(folder / "differences.csv", 5, low="nan"),
    "difference: found '<script>'": lambda folder: edit(folder / "differences.csv", 5, difference="<script>"),
    "expected an interval around it": lambda folder: edit(folder / "differences.csv", 5, low="0.4"),
    "at level 2.0": lambda folder: edit(folder / "differences.csv", 5, level="2"),
    "both: found -3": lambda folder: edit(folder / "coverage.csv", 2, both="-3"),
    "change: found 'up', expected a finite number": lambda folder: edit(folder / "stages.csv", 6, change="up"),
    "found fall_p 7": lambda folder: edit(folder / "stages.csv", 2, fall_p="7"),
}


@pytest.mark.parametrize("said", DAMAGE)
def test_damage_is_named(said: str, tmp_path: Path) -> None:
    folder = World().write(tmp_path)
    DAMAGE[said](folder)
    with pytest.raises(DataError, match=re.escape(said)) as fault:
        ledger(folder)
    assert str(folder) in str(fault.value)


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [
        ("yao-greedy-competitive", "summary.csv", "greedy_low"),
        ("yao-grpo-n-entropy-ends-above-base", "stages.csv", "change_low"),
    ],
)
def test_a_missing_column_is_what_is_missing(name: str, table: str, column: str, tmp_path: Path) -> None:
    folder = World(**change(0, 0)).write(tmp_path)
    path = folder / table
    path.write_text(path.read_text().replace(column, "from"))
    (found,) = judge([CLAIMS[name]], read_tables(folder)).claims
    assert found.verdict == NOT_TESTABLE and found.findings[0].note == f"column {column} of {table}"


# the published study


@pytest.fixture(scope="module")
def published() -> Ledger:
    return ledger(PUBLISHED)


def test_the_published_study_says_what_the_readme_says(published: Ledger) -> None:
    assert {each.claim.id: str(each.verdict) for each in published.claims[:8]} == {
        "yao-grpo-entropy-collapses": "supported",  # shown in direction, every seed
        "yao-entropy-falls-then-rises": "undecided",  # not shown
        "yao-grpo-n-entropy-ends-above-base": "contradicted",  # contradicted here
        "yao-greedy-competitive": "undecided",  # cannot be told apart
        "yao-exploitation-then-exploration": "undecided",  # not shown
        "yao-negative-keeps-boundary": "undecided",  # not shown
        "yue-above-at-1-below-at-large-k": "supported",  # shown for GRPO and GSPO
        "yue-solved-is-a-subset": "undecided",  # not contradicted
    }
    yue = published.claims[6]
    assert all(each.unit.algorithm in ("grpo", "gspo") for each in yue.findings if each.verdict == SUPPORTED)
    assert yue.count(CONTRADICTED) == 0
    negative = published.claims[5]
    assert all("contradict" in each.note for each in negative.findings), "its numbers lean that way"


def test_every_number_is_in_the_table_that_is_named(published: Ledger) -> None:
    texts = {path.stem: path.read_text() for path in PUBLISHED.glob("*.csv")}
    seen = 0
    for judged in published.claims:
        whole = [part.kind == "value" and not part.minus and not part.across_strata for part in judged.claim.parts]
        for finding in judged.findings:
            for each in (each for each, plain in zip(finding.evidence, whole, strict=False) if plain):
                assert f",{each.estimate:g},{each.low:g},{each.high:g}," in texts[each.table]
                seen += 1
    assert seen > 50


def test_the_ledger_of_a_decided_claim_shows_its_interval(published: Ledger) -> None:
    """The corrected interval of every decided number excludes its threshold; of an undecided one part does not."""
    for judged in published.claims:
        if any(part.kind != "value" or part.side == "within" for part in judged.claim.parts):
            continue
        for each in (each for each in judged.findings if each.evidence):
            outside = [
                low > part.threshold or high < part.threshold
                for part, (low, high) in zip(judged.claim.parts, each.corrected, strict=True)
            ]
            assert all(outside) == (each.verdict != UNDECIDED)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    results = str(REPOSITORY / "results" / "published")
    assert main(["claims", "quickstart-seeds", "--results", results]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  supported +yue-above-at-1-below-at-large-k +\d+ supported", out, re.MULTILINE)
    assert "differences.csv: difference, k = 1 0.0884 [0.0276 to 0.149; " in out
    assert "missing: algorithm nsr" in out
    assert main(["claims", "quickstart-seeds", "--results", results, "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [each["id"] for each in found["claims"]] == list(CLAIMS)
    first = found["claims"][6]["findings"][0]["evidence"][0]
    assert first["corrected_low"] < first["low"] < first["estimate"] == 0.0883675


def test_the_verdicts_as_a_table(published: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    results = str(REPOSITORY / "results" / "published")
    assert main(["claims", "quickstart-seeds", "--results", results, "--markdown"]) == 0
    head, _, labels, _, *body = capsys.readouterr().out.splitlines()
    assert (head, labels.count("|")) == ("## Claims of the literature on study quickstart-seeds", 5)
    rows = [line for line in body if line.startswith("| ")]
    assert [row.split(" | ")[0][2:] for row in rows] == [str(judged.verdict) for judged in published.claims]
    assert all(row.count("|") == 5 and "](https://arxiv.org/abs/" in row for row in rows)
    assert body[-1].startswith(f"{published.tested} tests (claims x runs x benchmarks), {published.decided} decided")


def test_hostile_words_stay_in_their_cell() -> None:
    words = "[a](b) | <script>alert(1)</script> `x` *y* _z_ \\ & &amp;\n| c |"
    source = {"paper": words, "arxiv": "2601.00001"}
    claim = Claim.model_validate({"id": "x", "sentence": words, "source": source, "beyond": "it is a test"})
    lines = ledger_text.markdown(
        Ledger("study", "folder", 0.05, 0, 0, 0.95, [Judged(claim, Verdict.NOT_TESTABLE, [], [])])
    ).splitlines()
    (row,) = (line for line in lines if "script" in line)
    assert row.count("|") == 5 and not set("<>*_`\\") & set(row)
    assert row.count("](") == row.count("[") == 1, "the paper's link alone"


def test_a_study_without_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "quickstart", "--results", str(tmp_path)]) == EXIT_USER_ERROR
    assert "provenance.json is missing; run the stage that makes it" in capsys.readouterr().err
