"""Several graders of the same samples: verdicts beside each other, how often they disagree, and on what."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from memory import counted

from boundary_bench.analysis.graders import CASES, _cases, regrade
from boundary_bench.commands import main, stages
from boundary_bench.core.files import read_json, write_json
from boundary_bench.core.parquet import write_table
from boundary_bench.grading import NO_ANSWER, Grader, JudgeAll, Pair, Ruling, Verdict, judge_here
from boundary_bench.plan import Plan
from boundary_bench.samples.store import SAMPLES
from results import FIRST, PROBLEMS, STEP2, graded, make_tree, write_samples

#: Right is what ends in t, so that "wrong 0" is wrong and "right" is right; "wrong 1" has no answer.
LENIENT = Grader(
    "lenient",
    3,
    lambda response: NO_ANSWER if response.endswith("1") else response.removeprefix("text "),
    lambda reference, answer: Ruling(
        Verdict.CORRECT if answer != "None" else Verdict.WRONG, f"leniently: read as {answer}"
    ),
)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Correct of 8 samples: 0, 4, 8, 0; the fifth to eighth of problems 1 and 2 were never drawn."""
    made = make_tree(tmp_path, benchmarks={"countdown": {}})
    with_second = replace(made.problem_sets["countdown"].kind, second=LENIENT)
    sets = made.problem_sets | {"countdown": replace(made.problem_sets["countdown"], kind=with_second)}
    monkeypatch.setitem(vars(made), "problem_sets", sets)
    return made


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as lines:
        return list(csv.DictReader(lines))


def rows_of(plan: Plan, judge: JudgeAll = judge_here) -> dict[tuple[str, str], dict[str, str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("boundary_bench.grading.judging.Judge", lambda folder: nullcontext(judge))
        stages.measure(plan, STEP2, "countdown")
    return {(row["grader"], row["k"]): row for row in read(plan.measures(STEP2, "countdown") / "graders.csv")}


def test_graders_are_compared_on_the_first_round(plan: Plan) -> None:
    """Own: 0, 4, 4, 0 of 4 correct. The other one calls "wrong 0" correct, and finds no answer in "wrong 1"."""
    found = rows_of(plan)
    assert sorted(found) == [(grader, k) for grader in ("countdown 2", "lenient 3") for k in ("1", "2", "4")]
    own, other = found["countdown 2", "1"], found["lenient 3", "1"]
    assert [float(row["estimate"]) for row in (own, other)] == [0.5, 0.75]
    assert [float(found["lenient 3", k]["estimate"]) for k in ("2", "4")] == [
        pytest.approx((2 + 2 * 5 / 6) / 4, abs=1e-5),
        1,
    ]
    assert [own[name] for name in ("correct", "wrong", "unparsable", "truncated", "timeout")] == [
        "8",
        "8",
        "0",
        "0",
        "0",
    ]
    assert [other[name] for name in ("correct", "wrong", "unparsable")] == ["12", "0", "4"]
    assert (own["reasons"], other["reasons"]) == ("8 equal; 8 unequal", "12 leniently; 4 no answer found")
    assert (other["compared"], other["disagreements"], float(other["disagreement"])) == ("16", "4", 0.25)
    assert own["disagreement"] == own["disagreement_high"] == "" and own["samples"] == other["samples"] == str(
        4 * FIRST
    )
    assert all(float(row["low"]) <= float(row["estimate"]) <= float(row["high"]) for row in found.values())
    assert {row["stopped_by"] for row in found.values()} == {"countdown 2"}


def test_the_cases_are_listed_by_answer_with_how_often(plan: Plan) -> None:
    rows_of(plan)
    cases = read(plan.measures(plan.policy(STEP2), "countdown") / "disagreements.csv")
    assert list(cases[0]) == CASES
    assert {
        (c["problem_id"], c["answer"], c["verdict"], c["answer_of_grader"], c["verdict_of_grader"]) for c in cases
    } == {(PROBLEMS[place].id, "wrong 0", "wrong", "wrong 0", "correct") for place in (0, 3)}
    assert {(c["samples"], c["sample"], c["end"]) for c in cases} == {("4", "0", "text wrong 0")}
    read_as = {("unequal: read as wrong", "leniently: read as wrong 0")}
    assert {(c["reason"], c["reason_of_grader"]) for c in cases} == read_as


def test_the_cases_do_not_depend_on_the_order_in_which_manifests_declare_files(plan: Plan) -> None:
    """Other shards declare the same files in another order, and what was graded is not graded again."""
    rows_of(plan)
    policy = plan.policy(STEP2)
    cases = read(plan.measures(policy, "countdown") / "disagreements.csv")
    (manifest,) = plan.samples(policy, "countdown")
    declared = read_json(manifest)
    write_json(manifest, declared | {"files": dict(reversed(declared["files"].items()))})
    rows_of(plan)
    assert read(plan.measures(policy, "countdown") / "disagreements.csv") == cases != []


def test_the_responses_of_one_file_at_a_time_are_in_memory(plan: Plan) -> None:
    """Those of all files together can be more than the 2 GiB of text that an array holds."""
    files, size = 24, 2**20
    columns = {"problem_id": PROBLEMS[0].id, "tokens": [1], "logprob": -1.0, "entropy": 0.5}
    blocks = []
    for i in range(files):
        rows = [columns | {"sample": i, "response": "x" * size + " 0", "verdict": "wrong", "answer": f"wrong {i % 5}"}]
        blocks.append(plan.root / f"block-{i:06d}-{i + 1:06d}.parquet")
        write_table(blocks[-1], pa.Table.from_pylist(rows, SAMPLES), {})
    verdicts = {"problem_id": [PROBLEMS[0].id] * files, "sample": range(files), "answer": ["0"] * files}
    verdicts |= {"verdict": ["correct"] * files, "reason": ["leniently"] * files}
    write_table(plan.root / "other.parquet", pa.table(verdicts), {})
    with counted() as pool:
        cases = _cases(blocks, plan.root / "other.parquet", LENIENT)
    assert [(case["sample"], case["samples"], len(case["end"])) for case in cases] == [
        (i, 5 - (i > 3), 200) for i in range(5)
    ]
    assert size < pool.max_memory() < files / 3 * size


def test_truncated_stays_truncated_and_timeouts_are_left_out(plan: Plan) -> None:
    def judge(grader: Grader, pairs: list[Pair]) -> list[Ruling]:
        late = Ruling(Verdict.TIMEOUT, "late")
        return [late if reference == "0" else grader.judge(reference, a) for reference, a in pairs]

    other = rows_of(plan, judge)["lenient 3", "1"]
    assert (other["timeout"], other["samples"], other["compared"]) == ("2", str(4 * FIRST - 2), str(4 * FIRST - 2))
    table = pq.read_table(plan.grades(plan.policy(STEP2), "countdown", "lenient"))
    truncated = [row for row in table.to_pylist() if row["verdict"] == "truncated"]
    assert [row["sample"] for row in truncated] == [7, 7] and all(row["answer"] is None for row in truncated)


def test_what_was_graded_is_graded_again_only_where_samples_or_grader_changed(plan: Plan) -> None:
    policy, asked = plan.policy(STEP2), []

    def judge(grader: Grader, pairs: list[Pair]) -> list[Ruling]:
        asked.append(len(pairs))
        return judge_here(grader, pairs)

    def again(grader: Grader) -> int:
        regrade(graded(plan, policy, "countdown"), grader, judge, plan.grades(policy, "countdown", grader.name))
        return len(asked)

    first = again(LENIENT)
    assert again(LENIENT) == first > 0
    assert again(replace(LENIENT, version=4)) == 2 * first
    write_samples(plan, policy, "countdown", [8, 0, 0, 0])
    assert again(replace(LENIENT, version=4)) == 3 * first


@pytest.mark.parametrize("correct", [None, [0, 0, 0, 0]])
def test_graders_that_agree_have_their_rows_and_no_case(tmp_path: Path, correct: list[int] | None) -> None:
    """One grader, or a second one that finds the wrong ones wrong too."""
    further = {"graders": ["exact"]} if correct else {}
    plan = make_tree(tmp_path, {STEP2: correct} if correct else None, benchmarks={"countdown": further})
    assert {grader for grader, _ in rows_of(plan)} == {"countdown 2", *(["exact 1"] if correct else [])}
    assert read(plan.measures(plan.policy(STEP2), "countdown") / "disagreements.csv") == []


@pytest.fixture
def command(tmp_path: Path) -> Iterator[list[str]]:
    plan = make_tree(tmp_path, benchmarks={"countdown": {}})
    yield [str(plan.path), "--results", str(plan.results), "--policy", STEP2, "--benchmark", "countdown"]


def test_the_command_grades_what_is_stored(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["regrade", *command, "--grader", "exact"]) == 0
    said = capsys.readouterr().out
    assert "exact.parquet" in said and "benchmarks.countdown.graders: [exact]" in said
    file = Path(said.split("-> ")[1].split(";")[0])
    assert {row["verdict"] for row in pq.read_table(file).to_pylist()} == {"wrong", "truncated"}


def test_an_unknown_grader_is_a_message(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["regrade", *command, "--grader", "exat"]) == 2
    assert "no grader 'exat'" in (said := capsys.readouterr().err) and "exact" in said


def test_a_study_names_further_graders(tmp_path: Path) -> None:
    made = make_tree(tmp_path, benchmarks={"countdown": {"graders": ["exact"]}})
    assert [grader.name for grader in made.graders("countdown")] == ["countdown", "exact"]
