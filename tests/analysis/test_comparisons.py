"""The numbers of the tables of comparisons: against direct computation, and against one another in every row."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import comb
from pathlib import Path

import pyarrow as pa
import pytest
from expected import CORRECT, KS, ONE_RUN, STRATA, analysed, ended, exact, has_sampling, mean_of, near, one, sampling

from boundary_bench.analysis.compare import ENTROPIES
from boundary_bench.benchmarks.base import Problem
from boundary_bench.commands import stages
from boundary_bench.core.errors import StatisticsError
from boundary_bench.core.parquet import read_table, write_table
from boundary_bench.plan import Plan
from boundary_bench.report.tables import Tables, collect
from boundary_bench.statistics.intervals import INTERVAL
from boundary_bench.tables.table import Row
from results import PROBLEMS, RUN, STEP2, N, analyse, make_tree


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return analysed(make_tree(tmp_path_factory.mktemp("toy"), CORRECT, **ONE_RUN))


@pytest.fixture
def fresh(tmp_path: Path) -> Plan:
    """A tree of its own, with measures and without comparisons."""
    plan = make_tree(tmp_path, CORRECT, **ONE_RUN)
    for policy in plan.policies:
        stages.measure(plan, policy.name, "countdown")
    return plan


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """120 problems that lose everything, come back, gain, and end surer of fewer."""
    problems = [Problem(f"question {i}", "", "", chance=0.05) for i in range(120)]
    courses = [[0, 1, 2, 4], [0, 0, 0, 0], [0, 1, 2, 4], [4, 1, 2, 4], [0, 0, 4, 4]]
    policies = ["base-model", *(f"{RUN}--step{step}" for step in (1, 2, 3, 4))]
    correct = {policy: counts * 30 for policy, counts in zip(policies, courses, strict=True)}
    steps = {"training": {"benchmark": "countdown", "segments": [1, 2, 3, 4]}, "evaluate": {"steps": [0, 1, 2, 3, 4]}}
    folder, analysis = tmp_path_factory.mktemp("wide"), {"resamples": 400}
    return analysed(make_tree(folder, correct, problems, **ONE_RUN, **steps, analysis=analysis))


def test_differences_are_those_of_the_measures(toy: Tables) -> None:
    estimates = {(row["policy"], row["stratum"], row["k"]): row["estimate"] for row in toy.rows["pass_at_k"]}
    assert len(toy.rows["differences"]) == 2 * len(STRATA) * len(KS)
    for row in toy.rows["differences"]:
        policy, where = f"{RUN}--step{row['step']}", (row["stratum"], row["k"])
        assert (row["base"], row["checkpoint"]) == (estimates["base-model", *where], estimates[policy, *where])
        assert float(row["difference"]) == pytest.approx(float(row["checkpoint"]) - float(row["base"]), abs=2e-6)
        assert has_sampling(row, policy) and float(row["detectable"]) > 0
        assert row["samples_base"] == sampling("base-model", row["stratum"])["samples"]


def verdict(row: Row) -> str:
    """What the columns say: equivalence within the margin first, then on which side of 0 the band lies."""
    margin = float(row["margin"])
    if -margin < float(row["equivalence_low"]) and float(row["equivalence_high"]) < margin:
        return "unchanged"
    return "shrunk" if float(row["band_high"]) < 0 else "expanded" if float(row["band_low"]) > 0 else "undecided"


def test_a_verdict_is_what_band_and_margin_say(toy: Tables, wide: Tables) -> None:
    rows = [row for tables in (toy, wide) for row in tables.rows["differences"]]
    assert [row["change"] for row in rows] == [verdict(row) for row in rows]
    by_step = [[row["change"] for row in wide.rows["differences"] if row["step"] == str(s)] for s in (1, 2, 3, 4)]
    assert by_step[:3] == [["shrunk"] * 4, ["unchanged"] * 4, ["expanded"] * 4]
    assert by_step[3] == ["expanded", "expanded", "shrunk", "shrunk"]
    assert {row["change"] for row in toy.rows["differences"]} == {"undecided"}, "four problems say nothing"


def crossing(change_K: list[float]) -> tuple[str, float]:
    """Who leads at the smallest k with a difference, and where, on a logarithmic axis, the curve goes below 0."""
    sign = next((1 if change > 0 else -1 for change in change_K if abs(change) > 1e-9), 0)
    for (k, ahead), (after, behind) in pairwise(zip(KS, (sign * change for change in change_K), strict=True)):
        if behind < -1e-9:
            return {1: "checkpoint", -1: "base"}[sign], k * (after / k) ** (ahead / (ahead - behind))
    return {1: "checkpoint", -1: "base", 0: ""}[sign], float("inf")


def test_boundary_holds_crossover_and_gap(toy: Tables) -> None:
    found = []
    for row in toy.rows["boundary"]:
        policy, stratum = f"{RUN}--step{row['step']}", row["stratum"]
        gap = mean_of("base-model", stratum, lambda c: exact(c, KS[-1])) - mean_of(
            policy, stratum, lambda c: exact(c, 1)
        )
        assert float(row["efficiency_gap"]) == near(gap)
        assert float(row["efficiency_gap_low"]) < gap < float(row["efficiency_gap_high"])
        changes = [
            float(r["difference"])
            for r in toy.rows["differences"]
            if (r["step"], r["stratum"]) == (row["step"], stratum)
        ]
        leader, k = crossing(changes)
        assert (row["leader"], float(row["crossover"])) == (leader, near(k))
        assert float(row["crossover_low"]) <= k <= float(row["crossover_high"])
        assert has_sampling(row, policy) and row["false_discovery_rate"] == "0.05"
        found.append((row["leader"], row["crossover"]))
    assert found[0] == ("checkpoint", "2.82843") and ("base", "inf") in found, "half way between 2 and 4; never"


def test_a_crossover_says_when_there_is_none_and_when_it_may_lie_below(wide: Tables) -> None:
    names = ("leader", "crossover", "crossover_low", "crossover_high", "gained", "lost")
    rows = [[row[name] for name in names] for row in wide.rows["boundary"]]
    assert rows[0][:5] == ["base", "inf", "inf", "inf", "0"], "behind at every k, in every resample"
    assert rows[1] == ["", "inf", "0", "inf", "0", "0"], "no difference at all: it may lie anywhere"
    assert rows[2][:4] == ["checkpoint", "inf", "inf", "inf"] and rows[2][5] == "0"
    assert rows[0][5] == rows[2][4] == "30", "4 of 4 and 0 of 8: p = 0.001, for 30 problems of 120"
    leader, k, low, high, *_ = rows[3]
    assert leader == "checkpoint" and 2 < float(low) < float(k) < float(high) < 4


def less_than(hits: int, n: int, c: int, size: int) -> float:
    """The chance that so many of n samples, c of them correct, hold fewer hits."""
    return sum(comb(c, j) * comb(n - c, size - j) for j in range(min(hits, size + 1))) / comb(n, size)


def split(hits: int, n: int, c: int) -> float:
    """The chance that one half of the samples solves a problem and the other does not."""
    half = n // 2
    ways = sum(
        comb(c, first) * comb(n - c, half - first) * less_than(hits, n - half, c - first, half)
        for first in range(max(hits, c - (n - half)), min(c, half) + 1)
    )
    return ways / comb(n, half)


def test_coverage_sets_add_up_and_have_their_null(toy: Tables) -> None:
    assert [row["hits"] for row in toy.rows["coverage"]] == ["1", "3"] * 2 * len(STRATA)
    for row in toy.rows["coverage"]:
        policy, hits, part = f"{RUN}--step{row['step']}", int(row["hits"]), STRATA[row["stratum"]]
        base, ours = ([ended(CORRECT[name][i]) for i in part] for name in ("base-model", policy))
        pairs = [(a >= hits, b >= hits) for (_, a), (_, b) in zip(base, ours, strict=True)]
        sets = [pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))]
        assert [row[name] for name in ("both", "base_only", "checkpoint_only", "neither")] == [*map(str, sets)]
        assert sum(sets) == int(row["problems"]) and has_sampling(row, policy)
        missed = [[less_than(hits, n, c, n // 2) for n, c in counts] for counts in (base, ours)]
        assert float(row["base_only_at_half"]) == near(sum((1 - a) * b for a, b in zip(*missed, strict=True)))
        assert float(row["checkpoint_only_at_half"]) == near(sum(a * (1 - b) for a, b in zip(*missed, strict=True)))
        assert float(row["null_at_half"]) == near(sum(split(hits, n, c) for n, c in base))
        p = float(row["detection_limit"])
        assert sum(comb(N, j) * p**j * (1 - p) ** (N - j) for j in range(hits)) == pytest.approx(0.05, rel=1e-4)
    row = one(toy.rows["coverage"], step=2, stratum="all", hits=1)
    names = ("support_retention", "net_discovery", "net_support_change", "shrinkage", "consolidation")
    assert [float(row[name]) for name in names] == [near(x) for x in (2 / 3, 0, -1 / 3, 1 / 3, 1 / 2)]


# stages


def test_stages_have_a_row_for_every_k_and_both_entropies(toy: Tables) -> None:
    courses = [("pass@k", str(k)) for k in KS] + [(name, "") for name in ENTROPIES]
    assert ENTROPIES == ("token entropy", "answer entropy")
    assert [(row["measure"], row["k"]) for row in toy.rows["stages"]] == courses * len(STRATA)
    for row in toy.rows["stages"]:
        assert row["problems"] == str(len(STRATA[row["stratum"]]))
        if row["measure"] != "pass@k":
            continue
        course = {
            step: float(one(toy.rows["pass_at_k"], step=step, stratum=row["stratum"], k=row["k"])["estimate"])
            for step in (0, 2, 4)
        }
        assert [float(row[name]) for name in ("first", "last")] == [course[0], course[4]]
        for name, extreme in (("lowest", min), ("highest", max)):
            assert float(row[name]) == extreme(course.values()) == course[int(row[f"{name}_step"])]
        for move in ("fall", "rise"):
            change = course[int(row[f"{move}_to"])] - course[int(row[f"{move}_from"])]
            assert float(row[f"{move}_change"]) == pytest.approx(change, abs=2e-6)
            assert 0 <= float(row[f"{move}_p"]) <= 1
        last = one(toy.rows["differences"], step=4, stratum=row["stratum"], k=row["k"])
        assert [row[f"change{end}"] for end in ("", "_low", "_high")] == [
            last[c] for c in ("difference", "low", "high")
        ]
    entropy = one(toy.rows["stages"], stratum="all", measure="token entropy")
    assert (entropy["first"], entropy["last"], entropy["course"]) == ("0.25", "0.25", "no change seen")
    entropy, steps = one(toy.rows["stages"], stratum="all", measure="answer entropy"), ("base-model", f"{RUN}--step4")
    ends = [one(toy.rows["summary"], policy=policy, stratum="all")["answer_entropy_chao_shen"] for policy in steps]
    assert [entropy["first"], entropy["last"]] == ends


def test_a_course_with_two_stages_names_its_turn(wide: Tables) -> None:
    for k in KS:
        row = one(wide.rows["stages"], measure="pass@k", k=k)
        assert (row["course"], row["turn"], row["lowest_step"], row["lowest"]) == ("falls, then rises", "1", "1", "0")
        assert int(row["turn_low"]) <= 1 <= int(row["turn_high"])
        assert row["fall_p"] == row["rise_p"] == "0"


def alter(plan: Plan, policy: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Another ``problems.parquet``, as if the measure stage had found it."""
    path = plan.measures(plan.policy(policy), "countdown") / "problems.parquet"
    table, facts = read_table(path)
    write_table(path, change(table), facts)


def answers(*entropy_P: float) -> Callable[[pa.Table], pa.Table]:
    name = "answer_entropy_chao_shen"
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(entropy_P, pa.float64()))


NONE = float("nan")


@pytest.mark.parametrize(
    ("entropies", "problems", "course"),
    [((NONE, 0.5, NONE, 0.5), "2", "no change seen"), ((NONE,) * 4, "0", "unknown")],
)
@pytest.mark.filterwarnings("error")
def test_problems_without_answers_have_no_course(
    fresh: Plan, entropies: tuple[float, ...], problems: str, course: str
) -> None:
    for policy in ("base-model", f"{RUN}--step4"):
        alter(fresh, policy, answers(0.5, 0.5, 0.5, 0.5))
    alter(fresh, STEP2, answers(*entropies))
    stages.compare(fresh, RUN, "countdown")
    row = one(collect(fresh).rows["stages"], stratum="all", measure="answer entropy")
    assert (row["problems"], row["course"]) == (problems, course)
    cells = tuple(row[name] for name in ("turn", "first", "fall_p", "change", "change_low"))
    assert cells == (("", "", "", "", "") if problems == "0" else ("", "0.5", "1", "0", "0"))


# intervals


def test_every_interval_names_its_kind(wide: Tables) -> None:
    curves = (
        wide.rows["pass_at_k"],
        wide.rows["differences"],
        wide.rows["boundary"],
        wide.rows["mean_differences"],
        wide.rows["mean_boundary"],
    )
    for rows in (*curves, wide.rows["cover"], wide.rows["summary"], wide.rows["stages"]):
        assert {(row["interval"], row["level"]) for row in rows} == {(INTERVAL, "0.95")}
        for row in rows:
            ends = [name for name in row if name.endswith("_low") and row[name]] + ["low"] * ("low" in row)
            assert ends
            assert all(float(row[name]) <= float(row[name.removesuffix("low") + "high"]) for name in ends)


def test_intervals_lie_around_each_other(wide: Tables, toy: Tables) -> None:
    """Not around the estimate in every case. A resampled mean is hardly ever at the end of the range, where the
    estimate lies when all problems agree; and a two-level bootstrap redraws from fitted rates, so that at large k its
    draws lie around another number.
    """
    rows = [("estimate", row) for found in (wide, toy) for row in found.rows["pass_at_k"]]
    rows += [("difference", row) for found in (wide, toy) for row in found.rows["differences"]]
    wider = set()
    for name, row in rows:
        value, low, high, band_low, band_high, only_low, only_high = (
            float(row[column])
            for column in (name, "low", "high", "band_low", "band_high", "samples_only_low", "samples_only_high")
        )
        assert only_low <= value <= only_high
        assert band_low <= low <= high <= band_high
        wider |= {name} if band_low < low and high < band_high else set()
        assert low <= value <= high or abs(value) in (0, 1)
    assert wider == {"estimate", "difference"}


def test_equivalence_is_tested_on_a_narrower_interval(wide: Tables) -> None:
    """Two tests at 5 %: 90 %, where low and high hold 95 %."""
    for row in wide.rows["differences"]:
        low, near_low, near_high, high = (
            float(row[name]) for name in ("low", "equivalence_low", "equivalence_high", "high")
        )
        assert low < near_low < near_high < high
        assert 0.7 < (near_high - near_low) / (high - low) < 0.95


def test_resamples_and_seed_decide_the_bytes(fresh: Plan, tmp_path: Path) -> None:
    def differences(**analysis: int) -> bytes:
        plan = make_tree(tmp_path, CORRECT, **ONE_RUN, analysis={"resamples": 200, **analysis})
        analyse(plan)
        return (plan.comparison(RUN, "countdown") / "differences.csv").read_bytes()

    first = differences()
    assert differences() == first
    assert differences(seed=1) != first


# what is refused


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda table: table.slice(0, 3), 3),
        (lambda table: table.take([1, 0, 2, 3]), 0),
        (
            lambda table: table.set_column(
                0, "problem_id", pa.array([*table["problem_id"].to_pylist()[:3], "stranger"])
            ),
            3,
        ),
    ],
)
def test_other_problems_than_the_base_had_are_refused(
    fresh: Plan, change: Callable[[pa.Table], pa.Table], named: int
) -> None:
    alter(fresh, STEP2, change)
    message = rf"{STEP2} and its base .* of countdown \(\d differ, e\.g\. ({PROBLEMS[named].id}|stranger)\)"
    with pytest.raises(StatisticsError, match=message):
        stages.compare(fresh, RUN, "countdown")
