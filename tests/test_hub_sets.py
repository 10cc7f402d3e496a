"""Hub sets from local files and folders: every layout gives the same problems, every fault names row and columns."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from workflow import shipped, write_study

from boundary_bench import store
from boundary_bench.benchmarks import KINDS, options_of, problems_of, read_problems
from boundary_bench.benchmarks.base import Problem
from boundary_bench.cli import main
from boundary_bench.errors import DataError, StudyError
from boundary_bench.plan import make_plan

HUB = Path(__file__).parent / "data" / "hub"


def rows(name: str, part: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HUB / name / f"{part}.jsonl").read_text().splitlines()]


def test_a_row_of_each_set_means_what_its_authors_mean() -> None:
    def first(name: str, place: int = 0) -> Problem:
        return read_problems(KINDS[name], HUB / name, "test")[place]

    assert (first("math").reference, first("math").stratum) == ("\\frac{7}{12}", "Prealgebra, Level 1")
    assert first("math").solution.startswith("Over twelve")
    assert (first("math-500").reference, first("math-500").stratum) == ("\\frac{7}{12}", "Prealgebra, 1")
    assert first("aime-2024", 2).reference == "001"
    assert [first("amc-2023", place).reference for place in (0, 3, 4)] == ["55", "8", "13.5"]
    assert first("minerva-math").reference == "20 t"
    assert first("olympiadbench").reference == "-1,0,1"
    assert first("olympiadbench", 2).prompt.startswith("Five people stand in a row.\nHow many")
    assert first("olympiadbench", 4).reference == "(1,2), (2,1)"
    assert first("gsm8k", 1).reference == "180000"
    arc = first("arc-challenge")
    assert arc.prompt.endswith("\nA. the Moon\nB. a mirror\nC. the Sun\nD. a window")
    assert (arc.reference, arc.chance) == ("C", 0.25)
    assert first("arc-challenge", 3).reference == "D", "labels may be numbers"
    pro = first("mmlu-pro")
    assert (pro.reference, pro.chance, pro.stratum) == ("H", 0.1, "math")
    assert first("mmlu-pro", 3).chance == 0.5


def test_every_layout_gives_the_same_problems(tmp_path: Path) -> None:
    import datasets

    expected, kind = read_problems(KINDS["math"], HUB / "math", "test"), KINDS["math"]
    found = rows("math", "test")
    pq.write_table(pa.Table.from_pylist(found), tmp_path / "rows.parquet")
    with open(tmp_path / "rows.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    datasets.DatasetDict({"test": datasets.Dataset.from_list(found)}).save_to_disk(str(tmp_path / "dict"))
    datasets.Dataset.from_list(found).save_to_disk(str(tmp_path / "one"))
    for place in (
        HUB / "math" / "test.jsonl",
        *(tmp_path / name for name in ("rows.parquet", "rows.csv", "dict", "one")),
    ):
        assert read_problems(kind, place, "test") == expected, place
    assert kind.source is not None
    for config in kind.source.configs:  # as the repository is laid out
        own = [row for row in found if row["type"].lower().replace("&", "and").replace(" ", "_") == config]
        place = tmp_path / "clone" / config
        place.mkdir(parents=True)
        pq.write_table(
            pa.Table.from_pylist(own or [dict.fromkeys(found[0], "\\boxed{1}")]), place / "test-0-of-1.parquet"
        )
    clone = read_problems(kind, tmp_path / "clone", "test")
    assert {each.id for each in expected} <= {each.id for each in clone}
    (tmp_path / "clone" / "geometry" / "test-0-of-1.parquet").unlink()
    with pytest.raises(DataError, match="could not be read"):
        read_problems(kind, tmp_path / "clone", "test")


@pytest.mark.parametrize(
    ("name", "change", "parts"),
    [
        (
            "math",
            {"solution": None},
            ["no column 'solution'", "problem, level, type", "text with the answer in its last"],
        ),
        ("math", {"solution": "no box"}, ["no \\boxed", "no box"]),
        ("math", {"problem": " "}, ["problem", "expected text"]),
        ("math", {"problem": ["a"]}, ["['a']", "expected text"]),
        ("gsm8k", {"answer": "18"}, ["'18'", "####"]),
        ("gsm8k", {"answer": "a ####  "}, ["####"]),
        ("olympiadbench", {"final_answer": "3"}, ["final_answer", "list of texts"]),
        ("olympiadbench", {"final_answer": []}, ["final_answer", "list of texts"]),
        ("arc-challenge", {"answerKey": "Z"}, ["'Z'", "one of ['A', 'B', 'C', 'D']"]),
        ("arc-challenge", {"choices": ["a", "b"]}, ["row"]),
        ("arc-challenge", {"choices": {"text": ["a"], "label": ["A"]}, "answerKey": "A"}, ["found 1 options"]),
        ("mmlu-pro", {"answer_index": 10}, ["option 11", "of 10"]),
        ("mmlu-pro", {"answer_index": "7"}, ["'7'", "whole number"]),
        ("mmlu-pro", {"options": None}, ["no column 'options'", "answer_index (whole number)"]),
        ("amc-2023", {"answer": float("nan")}, ["nan"]),
        ("amc-2023", {"answer": True}, ["True"]),
    ],
)
def test_a_fault_names_row_and_columns(tmp_path: Path, name: str, change: dict[str, Any], parts: list[str]) -> None:
    row = {**next(each for each in rows(name, KINDS[name].source.splits["test"])), **change}  # type: ignore[union-attr]
    row = {key: value for key, value in row.items() if value is not None or key == "context"}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError) as caught:
        read_problems(KINDS[name], tmp_path / "mine.jsonl")
    message = str(caught.value)
    assert all(part.replace("row", "mine.jsonl, line 1") in message for part in parts), message


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_a_torn_file_is_a_data_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00torn")
    with pytest.raises(DataError, match=name):
        read_problems(KINDS["math"], tmp_path / name)


def test_repeated_rows_are_counted_and_kept_once_and_a_part_is_the_same_in_any_order(tmp_path: Path) -> None:
    kind = KINDS["math"]
    found = rows("math", "test")
    (tmp_path / "twice.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*found, found[0], found[0]]))
    problems, repeats = problems_of(kind, "test", 0, kind.options, str(tmp_path / "twice.jsonl"))
    assert len(problems) == len(found)
    assert repeats == ["2 row(s) repeat another one word for word and are left out"]
    some = options_of(kind, {"problems": 3}, "here")
    (tmp_path / "back.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reversed(found)))
    forth, back = (problems_of(kind, "test", 0, some, str(tmp_path / f"{name}.jsonl"))[0] for name in ("twice", "back"))
    assert len(forth) == 3 and {each.id for each in forth} == {each.id for each in back}


def test_long_questions_are_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, kind = str(HUB / "math" / "test.jsonl"), KINDS["math"]
    every, _ = problems_of(kind, "test", 0, kind.options, data)
    lengths = sorted(len(each.prompt) for each in every)
    longest = lengths[-3]
    assert lengths[-3] < lengths[-2], "two are longer"
    study = shipped("smoke") | {"benchmarks": {"math": {"data": data, "options": {"longest": longest}}}}
    plan = make_plan(str(write_study(tmp_path / "study.yaml", study)), tmp_path / "results")
    assert main(["prepare", str(plan.path), "--results", str(plan.results), "--benchmark", "math"]) == 0
    told = f"[prepare math] 2 question(s) have more than {longest} characters (longest) and are left out\n"
    assert told in capsys.readouterr().out
    kept = {each.id for each in every if len(each.prompt) <= longest}
    assert {each.id for each in store.read_problems(plan.problems("math"))} == kept and len(kept) == len(every) - 2
    assert plan.problem_settings("math")["options"]["longest"] == longest
    one = options_of(kind, {"longest": longest, "problems": 1}, "here")
    assert [each.id for each in problems_of(kind, "test", 0, one, data)[0]] == [min(kept)]
    with pytest.raises(DataError, match=rf"shortest question has {lengths[0]} characters, .*longest is 1; raise it"):
        problems_of(kind, "test", 0, options_of(kind, {"longest": 1}, "here"), data)


def test_a_length_that_is_not_given_is_no_identity(tmp_path: Path) -> None:
    study = shipped("smoke") | {"benchmarks": {"math": {"data": "math.jsonl"}}}
    plan = make_plan(str(write_study(tmp_path / "study.yaml", study)))
    assert plan.problem_settings("math")["options"].keys() == {"revision", "problems"}
    study["benchmarks"]["countdown"] = {"options": {"longest": 5}}
    with pytest.raises(StudyError, match=r"benchmarks\.countdown\.options: unknown option 'longest'"):
        make_plan(str(write_study(tmp_path / "study.yaml", study)))


def test_a_set_of_the_hub_that_is_out_of_reach_says_what_to_write() -> None:
    kind = KINDS["gsm8k"]
    with pytest.raises(DataError, match=r"openai/gsm8k of the hub at cc7b047b.* could not be read: .*data: a clone"):
        problems_of(kind, "test", 0, kind.options, None)


def test_a_problem_that_no_response_could_solve_is_refused(tmp_path: Path) -> None:
    """An answer of more than a thousand characters is none for any grader."""
    row = {"problem": "How many?", "solution": f"\\boxed{{{'7' * 2000}}}", "level": "Level 1", "type": "Algebra"}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row) + "\n")
    kind = KINDS["math"]
    with pytest.raises(
        DataError, match=r"\('How many\?'\): the grader 'math' finds no answer in its own solution.*7}'"
    ):
        problems_of(kind, "test", 0, kind.options, str(tmp_path / "mine.jsonl"))


def test_an_edited_task_file_makes_other_problems(tmp_path: Path) -> None:
    task = tmp_path / "task.yaml"
    study = shipped("smoke") | {"benchmarks": {"mine": {"kind": f"lm_eval:{task}"}}}
    path = write_study(tmp_path / "study.yaml", study)
    with pytest.raises(StudyError, match=r"benchmarks\.mine\.kind: no task file at .*task\.yaml"):
        make_plan(str(path))
    found = []
    for text in ("task: one", "task: two", "task: one"):
        task.write_text(text)
        found.append(make_plan(str(path)).sample_settings("mine", "countdown-base"))
    assert found[0] == found[2] != found[1]
