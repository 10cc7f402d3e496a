"""The samples of a report: the problems that decide, a few responses of each, read alone, and whole in the archive."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_pages import made_up

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core.errors import DataError
from boundary_bench.core.parquet import GROUP_ROWS, write_table
from boundary_bench.grading import Grader, Ruling, Verdict
from boundary_bench.plan import Plan
from boundary_bench.report.page import samples
from boundary_bench.report.page.cases import (
    MOST_CASES,
    MOST_OF_KIND,
    CaseKind,
    RunChange,
    choose,
    most_of_kind,
    success_interval,
)
from boundary_bench.report.page.samples import EXCERPT, excerpt
from boundary_bench.report.page.stored import SAMPLES_EACH, files_here, read_shown
from boundary_bench.report.tables import collect
from boundary_bench.samples.store import SAMPLES, SampleStore
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.posterior import Counts
from results import FIRST, PROBLEMS, N, analyse, copied, make_tree, rewrite

RUN = "base-model--grpo--seed0"
LAST = f"{RUN}--step4"
ONE = {"algorithms": ["grpo"], "seeds": [0], "benchmarks": {"countdown": {}}}
#: Of eight samples: gained, lost, unchanged, solved by the base alone.
BASE, CHECKPOINT = [0, 8, 8, 1], [8, 0, 8, 0]
HOSTILE = "</script><script>alert(1)</script></style><!-- \u202e\x00\x1b[31m \u2028 🙂 " + "x" * 5000


def tree(folder: Path, **changes: Any) -> Plan:
    """One run on one benchmark, its stages not yet run."""
    correct = {"base-model": BASE} | {f"{RUN}--step{step}": CHECKPOINT for step in (2, 4)}
    return make_tree(folder, **{"correct": correct, **ONE, **changes})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = tree(tmp_path_factory.mktemp("made"))
    analyse(plan)
    return plan


@pytest.fixture
def fresh(made: Plan, tmp_path: Path) -> Plan:
    """A copy of the finished results that a test may damage."""
    return copied(made, tmp_path / "results")


def data_of(plan: Plan) -> dict[str, Any]:
    return samples.write(plan, collect(plan))


def lines(plan: Plan, name: str) -> list[dict[str, Any]]:
    with zipfile.ZipFile(plan.root / "samples.zip") as archive:
        return [json.loads(line) for line in archive.read(name).decode("ascii").splitlines()]


# which problems


def fake(p_P: list[float], held: dict[CaseKind, list[int]], disputes: dict[int, int] | None = None) -> RunChange:
    count = len(p_P)
    masks = {kind: np.isin(np.arange(count), held.get(kind, [])) for kind in CaseKind}
    disputes_P = np.array([(disputes or {}).get(place, 0) for place in range(count)])
    return RunChange(np.array(p_P), np.array(p_P), masks | {CaseKind.DISPUTED: disputes_P > 0}, disputes_P)


def test_problems_are_chosen_by_seeds_then_by_p_then_by_place() -> None:
    changes = [
        fake([0.01, 0.01, 0.001, 0.02, 1.0], {CaseKind.GAINED: [0, 1, 2, 3]}),
        fake([1.0, 1.0, 1.0, 0.04, 1.0], {CaseKind.GAINED: [3]}),
    ]
    assert choose(changes, 4) == [3, 2, 0, 1]
    assert choose(changes, 2) == [3, 2]
    assert choose([fake([1.0] * 3, {})], 8) == []


def test_a_kind_adds_problems_that_another_has_not_brought() -> None:
    changes = [
        fake(
            [0.1, 0.2, 0.3, 0.4],
            {CaseKind.LOST: [0], CaseKind.BASE_ALONE: [0, 1, 2], CaseKind.DISPUTED: []},
            {2: 5, 3: 9},
        )
    ]
    assert choose(changes, 1) == [0, 1, 3]
    assert choose(changes, 2) == [0, 1, 2, 3]


def test_disputes_are_chosen_by_how_many_samples_they_are_about() -> None:
    assert choose([fake([1.0] * 3, {}, {0: 1, 2: 4}), fake([1.0] * 3, {}, {0: 2, 1: 3})], 2) == [2, 0]


@pytest.mark.parametrize("groups", [0, 1, 8, 13, 200])
def test_the_number_of_cases_is_bounded(groups: int) -> None:
    most = most_of_kind(groups)
    assert 1 <= most <= MOST_OF_KIND and (most == 1 or most * groups * len(CaseKind) <= MOST_CASES)


def test_the_interval_of_one_problem_is_that_of_jeffreys() -> None:
    """Brown, Cai and DasGupta 2001, table 5: n = 10."""
    counts = Counts(Design((10,)), np.full(4, 10), np.array([0, 1, 3, 10]))
    low_P, high_P = success_interval(counts, 0.95)
    assert low_P.round(3).tolist() == [0.0, 0.011, 0.093, 0.783]
    assert high_P.round(3).tolist() == [0.217, 0.381, 0.606, 1.0]


def test_kinds_and_totals_are_those_of_the_tables(made: Plan) -> None:
    tables, data = collect(made), data_of(made)
    (group,) = data["groups"]
    kinds = {case["problem"]: case["seeds"][0]["kinds"] for case in group["cases"]}
    assert kinds == {
        PROBLEMS[0].id: ["gained", "solved by the checkpoint alone"],
        PROBLEMS[1].id: ["lost", "solved by the base alone"],
        PROBLEMS[3].id: ["solved by the base alone"],
    }
    (boundary,) = (row for row in tables.rows["boundary"] if (row["step"], row["stratum"]) == ("4", "all"))
    (sets,) = (
        row for row in tables.rows["coverage"] if (row["step"], row["stratum"], row["hits"]) == ("4", "all", "1")
    )
    found = {kind: found for kind, (_, found) in group["totals"].items()}
    assert found == {
        "gained": int(boundary["gained"]),
        "lost": int(boundary["lost"]),
        "solved by the base alone": int(sets["base_only"]),
        "solved by the checkpoint alone": int(sets["checkpoint_only"]),
        "disputed by graders": 0,
    }
    assert [shown for shown, _ in group["totals"].values()] == [1, 1, 2, 1, 0]
    gained = next(case for case in group["cases"] if case["problem"] == PROBLEMS[0].id)["seeds"][0]
    assert gained["counts"][:3] == [FIRST, 4, 1.0] and gained["p"] <= gained["q"] <= data["rate"]
    assert data["problems"]["base-model/countdown"]["of"][PROBLEMS[0].id]["base"][:3] == [N, 0, 0.0]


# which samples


def test_the_first_samples_of_either_side_and_the_greedy_one_are_shown(made: Plan) -> None:
    shown = data_of(made)["samples"]
    assert set(shown) == {"base-model/countdown", f"{LAST}/countdown"}
    found = sorted((str(row[0]), row[1]) for row in shown["base-model/countdown"][PROBLEMS[3].id])
    assert found == [("0", "correct"), ("1", "wrong"), ("2", "wrong"), ("3", "wrong"), ("None", "correct")]
    first = shown["base-model/countdown"][PROBLEMS[1].id][0]
    assert first == [0, "correct", 2, -1.0, 0.5, "right", "text right", [], "equal"]
    assert PROBLEMS[2].id not in shown["base-model/countdown"], "a problem that nothing happened to"


def stored(folder: Path, ids: list[str], rows: list[tuple[str, int, str, str]]) -> Path:
    """A block of samples with texts, in as many row groups as it takes."""
    table = {
        "problem_id": [row[0] for row in rows],
        "sample": [row[1] for row in rows],
        "response": [row[2] for row in rows],
        "tokens": [[1]] * len(rows),
        "logprob": [-1.0] * len(rows),
        "entropy": [1.0] * len(rows),
        "verdict": [row[3] for row in rows],
        "answer": [None] * len(rows),
        "reason": ["a reason"] * len(rows),
    }
    file = SampleStore(folder).new_block(0, max(row[1] for row in rows) + 1)
    write_table(file, pa.table(table).cast(SAMPLES), {})
    return file


def big(plan: Plan, folder: Path) -> tuple[Path, list[str]]:
    """Two row groups and a bit of problems with eight samples; every third is correct until three are."""
    ids = [f"{i:016x}" for i in range(2 * GROUP_ROWS // N + 8)]
    rng = np.random.default_rng(0)
    texts = rng.integers(0, 256, (len(ids) * N, 32), np.uint8)
    rows = [
        (name, i, texts[place * N + i].tobytes().hex(), "correct" if i % 4 == 3 else "wrong")
        for place, name in enumerate(ids)
        for i in range(N)
    ]
    return stored(folder, ids, rows), ids


def test_only_the_row_groups_of_shown_samples_are_read(made: Plan, tmp_path: Path) -> None:
    """The texts of all others are destroyed, and nobody notices."""
    file, ids = big(made, tmp_path)
    metadata = pq.ParquetFile(file).metadata
    assert metadata.num_row_groups == 3
    column = metadata.row_group(0).column(SAMPLES.names.index("response"))
    start = column.dictionary_page_offset or column.data_page_offset
    whole = bytearray(file.read_bytes())
    whole[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    file.write_bytes(whole)
    found = list(read_shown(made.design, [file], {ids[-1]: (N, 2)}, {}))
    assert [(sample.problem_id, sample.sample) for sample in found] == [(ids[-1], i) for i in (0, 1, 2, 3, 7)]
    with pytest.raises(DataError, match=r"block-000000-000008\.parquet is torn or not ours"):
        list(read_shown(made.design, [file], {ids[0]: (N, 2)}, {}))


def test_samples_beyond_the_stopping_point_are_not_shown(made: Plan, tmp_path: Path) -> None:
    """Three correct ones among the first four end a problem; a store that once went further still holds the rest."""
    rows = [("a", i, f"text {i}", "correct" if i < 3 else "wrong") for i in range(N)]
    file = stored(tmp_path, ["a"], rows)
    found = list(read_shown(made.design, [file], {"a": (FIRST, 3)}, {}))
    assert [sample.sample for sample in found] == [0, 1, 2, 3]
    assert [s.sample for s in read_shown(made.design, [file], {"a": (FIRST, 3)}, {"a": [6, 99]})] == [0, 1, 2, 3, 6]


def test_samples_other_than_those_that_were_measured_are_refused(made: Plan, tmp_path: Path) -> None:
    file = stored(tmp_path, ["a"], [("a", i, "text", "wrong") for i in range(N)])
    for counted, ids in (((N, 1), "a"), ((FIRST, 0), "a"), ((N, 0), "b")):
        with pytest.raises(DataError, match=rf"problem {ids}: .*expected {counted[1]} of {counted[0]} as measured"):
            list(read_shown(made.design, [file], {ids: counted}, {}))


def test_disputed_samples_are_shown_with_what_the_other_grader_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one calls every "wrong 0" correct: samples of problem 2, which nothing else has happened to, too."""
    lenient = Grader(
        "lenient", 1, lambda text: text.removeprefix("text "), lambda _, answer: Ruling(
            Verdict("wrong" if answer == "wrong 1" else "correct"), "leniently"
        )
    )  # fmt: skip
    plan = tree(tmp_path, correct={"base-model": [0, 8, 2, 1], LAST: [8, 0, 2, 0]})
    kind = replace(plan.problem_sets["countdown"].kind, second=lenient)
    sets = {"countdown": replace(plan.problem_sets["countdown"], kind=kind)}
    monkeypatch.setitem(vars(plan), "problem_sets", plan.problem_sets | sets)
    analyse(plan)
    data = data_of(plan)
    (group,) = data["groups"]
    kinds = {case["problem"]: case["seeds"][0]["kinds"] for case in group["cases"]}
    assert kinds[PROBLEMS[2].id] == ["disputed by graders"]
    rows = {row[0]: row for row in data["samples"][f"{LAST}/countdown"][PROBLEMS[2].id]}
    assert rows[2][1:2] + rows[2][7] == ["wrong", ["lenient 1", "correct", 3]]
    assert [row[7] for index, row in rows.items() if index != 2] == [[]] * (len(rows) - 1)


# texts


@given(st.text(max_size=40), st.sampled_from([1, 26, 400]))
def test_an_excerpt_is_the_text_or_its_two_ends(text: str, times: int) -> None:
    whole = text * times
    found = excerpt(whole)
    if len(whole) <= EXCERPT:
        assert found == whole
    else:
        assert found == [whole[: EXCERPT // 2], len(whole), whole[-(EXCERPT // 2) :]]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    problems = [replace(problem, prompt=f"{HOSTILE} {i}") for i, problem in enumerate(PROBLEMS)]
    plan = tree(tmp_path_factory.mktemp("hostile"), problems=problems)
    number = {"logprob": float("nan")}
    rewrite(
        plan,
        plan.policy(LAST),
        lambda row: row | {"response": HOSTILE if row["sample"] else "y" * 1_000_000, "answer": HOSTILE, **number},
    )
    analyse(plan)
    return plan


def test_hostile_texts_are_short_on_the_page_and_whole_in_the_archive(hostile: Plan) -> None:
    data = data_of(hostile)
    assert len(json.dumps(data, allow_nan=False)) < 200_000
    rows = [row for rows in data["samples"][f"{LAST}/countdown"].values() for row in rows]
    assert {tuple(row[3:5]) for row in rows} == {(None, 0.5)}
    assert {row[6][1] for row in rows} == {1_000_000, len(HOSTILE)}
    assert rows[0][5] == [HOSTILE[:500], len(HOSTILE), HOSTILE[-500:]]
    kept = [row for row in lines(hostile, "countdown/samples.jsonl") if row["policy"] == LAST]
    assert {len(row["response"]) for row in kept} == {1_000_000, len(HOSTILE)} and len(kept) == len(rows)
    assert {row["answer"] for row in kept} == {HOSTILE}
    problems = lines(hostile, "countdown/problems.jsonl")
    assert [row["prompt"] for row in problems] == [f"{HOSTILE} {i}" for i in (0, 1, 3)]
    assert [Problem(**{k: v for k, v in row.items() if k != "id"}).id for row in problems] == [
        r["id"] for r in problems
    ]


def test_a_prompt_is_shown_as_it_was_sent(tmp_path: Path) -> None:
    plan = tree(tmp_path, models={"base-model": {"path": "nowhere", "template": "simple"}})
    analyse(plan)
    problems = data_of(plan)["problems"]["base-model/countdown"]
    assert problems["of"][PROBLEMS[0].id]["prompt"].startswith(f"Question:\n{PROBLEMS[0].prompt}\nAnswer:\n")
    assert (problems["template"], problems["chat"]) == ("simple", False)


# the archive, and a store that is gone


def test_the_archive_holds_what_is_shown_and_has_the_same_bytes_again(fresh: Plan) -> None:
    data = data_of(fresh)
    first = (fresh.root / "samples.zip").read_bytes()
    data_of(fresh)
    assert (fresh.root / "samples.zip").read_bytes() == first
    with zipfile.ZipFile(fresh.root / "samples.zip") as archive:
        assert archive.namelist() == ["README.txt", "countdown/problems.jsonl", "countdown/samples.jsonl"]
        assert archive.testzip() is None
    found = {(row["policy"], row["problem_id"], row["sample"]) for row in lines(fresh, "countdown/samples.jsonl")}
    assert found == {
        (policy.split("/")[0], problem, row[0])
        for policy, of_problem in data["samples"].items()
        for problem, rows in of_problem.items()
        for row in rows
    }
    rows = lines(fresh, "countdown/samples.jsonl")
    row = next(
        row for row in rows if (row["problem_id"], row["sample"]) == (PROBLEMS[1].id, 0) and row["policy"] == LAST
    )
    assert row == {"policy": LAST, "problem_id": PROBLEMS[1].id, "sample": 0, "response": "text wrong 0", "tokens": 2,
                   "logprob": -1.0, "entropy": 0.5, "verdict": "wrong", "answer": "wrong 0",
                   "reason": "unequal: read as wrong"}  # fmt: skip


def test_a_report_of_deleted_samples_is_made_and_says_which(fresh: Plan) -> None:
    before = data_of(fresh)
    files, gone = files_here(fresh, fresh.policy(LAST), "countdown")
    assert not gone
    files[0].unlink()
    data = data_of(fresh)
    assert data["absent"] == [(LAST, "countdown", 1, len(files))] and before["absent"] == []
    assert set(data["samples"]) == {"base-model/countdown"}
    assert data["groups"] == before["groups"] and data["problems"] == before["problems"]
    assert {row["policy"] for row in lines(fresh, "countdown/samples.jsonl")} == {"base-model"}


def test_a_missing_or_torn_list_of_disputes_is_an_error(fresh: Plan) -> None:
    path, tables = fresh.measures(fresh.policy(LAST), "countdown") / "disagreements.csv", collect(fresh)
    path.write_text("problem_id,sample\na,0\n")
    with pytest.raises(DataError, match=r"disagreements\.csv is torn"):
        samples.write(fresh, tables)
    path.unlink()
    with pytest.raises(DataError, match=r"disagreements\.csv is missing"):
        samples.write(fresh, tables)


def test_the_number_of_shown_samples_is_small(made: Plan) -> None:
    for of_problem in data_of(made)["samples"].values():
        assert all(len(rows) <= 2 * SAMPLES_EACH + 1 for rows in of_problem.values())


def test_the_data_is_of_the_shape_that_the_browser_is_tested_with(made: Plan) -> None:
    def shape(data: dict[str, Any]) -> list[Any]:
        group, problems = data["groups"][0], next(iter(data["problems"].values()))
        problem, case = next(iter(problems["of"].values())), group["cases"][0]
        sample = next(iter(next(iter(data["samples"].values())).values()))[0]
        parts = data, group, problems, problem, case, case["seeds"][0]
        return [*map(sorted, parts), len(problem["base"]), len(case["seeds"][0]["counts"]), len(sample)]

    assert shape(data_of(made)) == shape(made_up())
