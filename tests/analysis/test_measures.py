"""The numbers of the tables of measures against direct computation from the counts of a small results tree."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from math import log, nan
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from expected import CORRECT, KS, ONE_RUN, STRATA, analysed, exact, has_sampling, mean_of, near, one

from boundary_bench.analysis.measure import THRESHOLDS
from boundary_bench.analysis.rows import strata
from boundary_bench.analysis.tallies import tally
from boundary_bench.benchmarks.base import Problem
from boundary_bench.core.errors import DataError
from boundary_bench.plan import Plan
from boundary_bench.plan.stages import STAGES, identity
from boundary_bench.report import report
from boundary_bench.report.tables import Tables, collect
from boundary_bench.samples.grades import Graded
from boundary_bench.statistics.intervals import INTERVAL
from boundary_bench.statistics.passk import pass_at_k
from boundary_bench.tables.writing import write_csv
from results import FIRST, HOSTILE, PROBLEMS, RUN, STEP2, N, make_tree, write_samples


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Tables]:
    plan = make_tree(tmp_path_factory.mktemp("toy"), CORRECT, **ONE_RUN)
    return plan, analysed(plan)


def test_pass_at_k_is_the_mean_of_the_exact_estimates(toy: tuple[Plan, Tables]) -> None:
    _, tables = toy
    assert len(tables.rows["pass_at_k"]) == len(CORRECT) * len(STRATA) * len(KS)
    for row in tables.rows["pass_at_k"]:
        k = int(row["k"])
        assert float(row["estimate"]) == near(mean_of(row["policy"], row["stratum"], lambda c, k=k: exact(c, k)))
        null = np.mean([1 - (1 - PROBLEMS[i].chance) ** k for i in STRATA[row["stratum"]]])
        assert float(row["null"]) == near(null)
        assert has_sampling(row, row["policy"])
        assert (row["level"], row["interval"]) == ("0.95", INTERVAL)


def test_null_line_is_empty_where_a_chance_is_unknown(tmp_path: Path) -> None:
    problems = [*PROBLEMS[:3], Problem("new", "", "", stratum=HOSTILE)]
    tables = analysed(make_tree(tmp_path, CORRECT, problems, **ONE_RUN))
    assert {row["stratum"] for row in tables.rows["pass_at_k"] if not row["null"]} == {"all", HOSTILE}
    assert {row["stratum"] for row in tables.rows["pass_at_k"] if row["null"]} == {"three"}


def test_majority_is_of_the_first_round(toy: tuple[Plan, Tables]) -> None:
    """One and two votes: 0, 1/2, 1 and 1/4 of the groups; four votes: 0, 1, 1 and 0."""
    rows = [one(toy[1].rows["pass_at_k"], policy="base-model", stratum="all", k=k) for k in KS]
    assert [row["majority"] for row in rows] == ["0.4375", "0.4375", "0.5", ""]
    assert all(float(row["majority_low"]) < float(row["majority"]) < float(row["majority_high"]) for row in rows[:3])
    assert rows[3]["majority_low"] == rows[3]["majority_high"] == ""


def test_cover_is_the_share_of_problems_at_the_threshold_or_above(toy: tuple[Plan, Tables]) -> None:
    assert [float(row["threshold"]) for row in toy[1].rows["cover"][: len(THRESHOLDS)]] == list(THRESHOLDS)
    for row in toy[1].rows["cover"]:
        tau = float(row["threshold"])
        share = mean_of(row["policy"], row["stratum"], lambda c, tau=tau: exact(c, 1) >= tau)
        assert float(row["share"]) == near(share) and has_sampling(row, row["policy"])


def test_a_rate_at_the_threshold_counts_in_the_share_and_in_its_interval(tmp_path: Path) -> None:
    """2 of 8 is a quarter, but for rounding; an interval that rounds otherwise was [0, 0] around a share of 1/2."""
    fixed = {"sampling": {"n_max": N, "stop_after": None}}
    tables = analysed(make_tree(tmp_path, {name: [2, 2, 0, 0] for name in CORRECT}, **ONE_RUN, **fixed))
    row = one(tables.rows["cover"], policy="base-model", stratum="all", threshold=0.25)
    assert row["share"] == "0.5" and float(row["low"]) < 0.5 < float(row["high"])


def test_summary_counts_verdicts_and_averages_the_first_round(toy: tuple[Plan, Tables]) -> None:
    row = one(toy[1].rows["summary"], policy="base-model", stratum="all")
    assert has_sampling(row, "base-model") and row["drawn"] == "28" and row["first_round"] == str(FIRST)
    counts = {"correct": 7, "wrong": 18, "unparsable": 0, "truncated": 3, "timeout": 0}
    for name, count in counts.items():
        assert row[name] == str(count) and float(row[f"{name}_share"]) == near(count / 28)
    assert (row["greedy"], row["greedy_correct"], row["greedy_wrong"]) == ("0.75", "3", "1")
    assert float(row["greedy_low"]) < 0.75 < float(row["greedy_high"])
    assert (row["token_entropy"], row["nll"], row["sequence_entropy"], row["mean_tokens"]) == ("0.25", "0.5", "1", "2")
    # first four answers: twice each of two; right, right and one each of two; right; one, one and two of three
    assert (row["distinct_answers"], row["distinct_responses_share"], row["problems_with_answers"]) == (
        "2.25",
        "0.5625",
        "4",
    )
    entropies = [log(2), 1.5 * log(2), 0, 1.5 * log(2)]
    assert float(row["answer_entropy"]) == near(np.mean(entropies))
    corrected = [h + (a - 1) / (2 * FIRST) for h, a in zip(entropies, (2, 3, 1, 3), strict=True)]
    assert float(row["answer_entropy_miller_madow"]) == near(np.mean(corrected))


def test_problems_without_answers_are_left_out_of_the_answer_entropies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("answer_entropy", "answer_entropy_miller_madow", "answer_entropy_chao_shen")

    def silent(graded: Graded, ks: Sequence[int]) -> pa.Table:
        table = tally(graded, ks)
        table = table.set_column(
            table.column_names.index("distinct_answers"), "distinct_answers", pa.array([0, 2, 0, 3])
        )
        for name in names:
            table = table.set_column(table.column_names.index(name), name, pa.array([nan, 0.5, nan, 0.25]))
        return table

    monkeypatch.setattr("boundary_bench.analysis.tallies.tally", silent)
    rows = analysed(make_tree(tmp_path, CORRECT, **ONE_RUN)).rows["summary"]
    row = one(rows, policy="base-model", stratum="all")
    assert [row[name] for name in names] == ["0.375"] * 3
    assert (row["problems_with_answers"], row["distinct_answers"]) == ("2", "1.25")


def test_samples_without_a_score_are_counted_apart_and_replaced(tmp_path: Path, toy: tuple[Plan, Tables]) -> None:
    plan = make_tree(tmp_path, CORRECT, **ONE_RUN)
    write_samples(plan, plan.policy(STEP2), "countdown", CORRECT[STEP2], timeouts=2)
    tables = analysed(plan)
    for name in ("pass_at_k", "cover", "differences", "boundary", "coverage"):
        for row, other in zip(tables.rows[name], toy[1].rows[name], strict=True):
            late = row.get("policy") == STEP2 or ("policy" not in row and row["step"] == "2")
            assert row == other | {"unscored": str(2 * int(row["problems"]) if late else 0)}
    row = one(tables.rows["summary"], policy=STEP2, stratum="all")
    assert (row["unscored"], row["timeout"], row["greedy_timeout"]) == ("8", "8", "4")
    assert int(row["drawn"]) == int(row["samples"]) + 8


def test_an_engine_that_says_no_entropies_leaves_them_empty(tmp_path: Path, toy: tuple[Plan, Tables]) -> None:
    plan = make_tree(tmp_path, CORRECT, entropy=float("nan"), **ONE_RUN)
    _, whole = toy
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tables = analysed(plan)
        report(plan)
    for row, before in zip(tables.rows["summary"], whole.rows["summary"], strict=True):
        assert row["token_entropy"] == "" and row["nll"] == before["nll"] == "0.5"
        assert {**row, "token_entropy": ""} == {**before, "token_entropy": ""}
    for row, before in zip(tables.rows["stages"], whole.rows["stages"], strict=True):
        if row["measure"] == "token entropy":
            assert (row["course"], row["problems"], row["first"]) == ("unknown", "0", "")
        else:
            assert row == before
    shown = re.sub(r"<script>.*?</script>", "", (plan.root / "report.html").read_text(), flags=re.DOTALL)
    assert "data-panels" in shown and not re.search(r"\bnan\b", shown)
    assert "sampled-token entropy" in (plan.root / "figures/dynamics.svg").read_text()


def test_without_early_stopping_the_numbers_are_the_classical_ones(tmp_path: Path) -> None:
    plan = make_tree(tmp_path, CORRECT, **ONE_RUN, sampling={"n_max": N, "stop_after": None})
    tables = analysed(plan)
    assert plan.design.rounds == (N,)
    pass_PK = {policy: pass_at_k([N] * 4, correct, KS) for policy, correct in CORRECT.items()}
    for row in tables.rows["pass_at_k"]:
        column = KS.index(int(row["k"]))
        assert float(row["estimate"]) == near(pass_PK[row["policy"]][STRATA[row["stratum"]], column].mean())
        assert int(row["samples"]) == N * int(row["problems"]) and row["majority"]
    for row in tables.rows["differences"]:
        change_PK = pass_PK[f"{RUN}--step{row['step']}"] - pass_PK["base-model"]
        assert float(row["difference"]) == near(change_PK[STRATA[row["stratum"]], KS.index(int(row["k"]))].mean())
    row = one(tables.rows["coverage"], step=4, stratum="all", hits=3)
    assert [row[name] for name in ("both", "base_only", "checkpoint_only", "neither")] == ["1", "0", "1", "2"]


def test_every_row_leads_to_its_settings(toy: tuple[Plan, Tables]) -> None:
    plan, tables = toy
    for stage, names in {
        "measure": ("pass_at_k", "cover", "summary"),
        "compare": ("differences", "boundary", "coverage", "stages"),
    }.items():
        job = next(iter(STAGES[stage].each(plan)))
        expected = identity(plan, stage, *job)
        assert {row["settings"] for name in names for row in tables.rows[name]} == {expected}


@pytest.mark.parametrize(
    ("stage", "part"), [("measure", r"problems\.parquet"), ("compare", r"differences\.csv, row 1")]
)
def test_rows_that_another_version_made_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, part: str
) -> None:
    plan = make_tree(tmp_path, CORRECT, **ONE_RUN)
    analysed(plan)
    monkeypatch.setitem(STAGES, stage, replace(STAGES[stage], version=99))
    plan = replace(plan)
    with pytest.raises(DataError, match=part):
        collect(plan)
    analysed(plan)


def test_strata_are_all_and_each_one_by_name() -> None:
    def places(*labels: str) -> dict[str, list[int]]:
        return {name: part_P.tolist() for name, part_P in strata(labels).items()}

    assert places("b", "a", "b") == {"all": [0, 1, 2], "a": [1], "b": [0, 2]}
    assert places("b", "", "a") == {"all": [0, 1, 2], "a": [2], "b": [0]}
    assert places("b", "b") == places("", "b") == places("", "") == {"all": [0, 1]}
    with pytest.raises(DataError, match="stratum 'all'"):
        strata(["all", "b"])


def test_a_table_has_the_same_columns_in_every_row(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    write_csv(path, [{"a": 1, "b": "x\ry\r\nz"}])
    with open(path, newline="") as lines:
        assert list(csv.DictReader(lines)) == [{"a": "1", "b": "x\ny\nz"}], "a row stays one"
    write_csv(path, [{"a": 1, "b": float("nan")}, {"a": -1e-17, "b": "x,y"}])
    assert path.read_text() == 'a,b\n1,\n0,"x,y"\n'
    for rows in ([], [{"a": 1, "b": 2}, {"a": 1}], [{"a": 1}, {"a": 1, "b": 2}]):
        with pytest.raises(DataError, match=r"x\.csv(: found no row|, row 2: .* \['b'\])"):
            write_csv(path, rows)
