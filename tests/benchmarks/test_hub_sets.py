"""Hub sets from local files and folders: every layout gives the same problems, every fault names row and columns."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sets import lines, prepared, read_problems, refusal
from workflow import shipped, write_study

from boundary_bench.benchmarks import KINDS, options_of, problem_file, problems_of
from boundary_bench.benchmarks.base import Problem
from boundary_bench.commands import main
from boundary_bench.core.errors import DataError, StudyError
from boundary_bench.plan import make_plan
from boundary_bench.plan.stages import settings

HUB = Path(__file__).parent.parent / "data" / "hub"


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
        blank = [dict.fromkeys(found[0], "\\boxed{1}")]
        pq.write_table(pa.Table.from_pylist(own or blank), place / "test-0-of-1.parquet")
    clone = read_problems(kind, tmp_path / "clone", "test")
    assert {each.id for each in expected} <= {each.id for each in clone}
    (tmp_path / "clone" / "geometry" / "test-0-of-1.parquet").unlink()
    assert "could not be read" in refusal(kind, tmp_path / "clone")


SUBJECTS = KINDS["math"].source.configs  # type: ignore[union-attr]


def math_row(text: str, answer: str = "1") -> dict[str, str]:
    return {"problem": text, "solution": f"\\boxed{{{answer}}}", "type": "Algebra", "level": "Level 1"}


def test_the_layout_of_the_original_archive(tmp_path: Path) -> None:
    """MATH.tar: test/algebra/1.json, each file one object; numbers in names count as such."""
    for split in ("train", "test"):
        for subject in SUBJECTS:
            (tmp_path / split / subject).mkdir(parents=True)
            for number in (1, 2, 10):
                answer = "" if (split, subject, number) == ("test", "geometry", 10) else "1"
                row = math_row(f"{split} {subject} {number}", answer)
                (tmp_path / split / subject / f"{number}.json").write_text(json.dumps(row, indent=4))
    found = prepared("math", tmp_path)
    assert [each.prompt for each in found.problems[:4]] == [
        "test algebra 1",
        "test algebra 2",
        "test algebra 10",
        "test counting_and_probability 1",
    ]
    assert found.rows == 21 and found.notes == (
        "1 row(s) have no reference and are left out: 9 (test/geometry/10.json, row 1)",
    )
    assert {each.prompt.split()[0] for each in read_problems("math", tmp_path, "train")} == {"train"}
    whole = (tmp_path / "test/algebra/2.json").read_text()
    (tmp_path / "test/algebra/2.json").write_text(whole[:-9])
    assert "test/algebra/2.json, row 1" in refusal("math", tmp_path)


def test_rows_are_counted_through_all_configurations(tmp_path: Path) -> None:
    for subject in SUBJECTS:
        (tmp_path / subject).mkdir()
        bad = [{"problem": True, "solution": "\\boxed{1}", "type": "x", "level": "y"}] * (subject == "geometry")
        lines(tmp_path / subject / "test.jsonl", [math_row(f"{subject} 1"), *bad, math_row(f"{subject} 2")])
    message = refusal("math", tmp_path)
    assert "1 of 15 rows cannot be used" in message and "row 6 (geometry, row 2): problem: found True" in message
    assert message.endswith("options: {skip: [6]}")
    assert len(prepared("math", tmp_path, skip=[6]).problems) == 14
    (tmp_path / "geometry/test.jsonl").unlink()
    assert "could not be read" in refusal("math", tmp_path), "a configuration is not left out without a word"


ROW = {"question": "q", "answer": "1"}
FILES = {
    "test.jsonl": json.dumps(ROW).encode(),
    "test.json": json.dumps([ROW]).encode(),
    "test.csv": b"question,answer\nq,1\n",
    "test.tsv": b"question\tanswer\nq\t1\n",
    "test.jsonl.gz": gzip.compress(json.dumps(ROW).encode()),
    "test.csv.gz": gzip.compress(b"question;answer\nq;1\n"),
    "test/part.jsonl": json.dumps(ROW).encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_a_folder_of_files_named_by_split_needs_no_library(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(FILES[name])
    lines(tmp_path / "train.jsonl", [{"question": "not this", "answer": "2"}])
    assert [each.prompt for each in read_problems("qa-math", tmp_path)] == ["q"]
    assert [each.prompt for each in read_problems("qa-math", tmp_path, "train")] == ["not this"]
    dev = refusal("qa-math", tmp_path, "dev")
    assert "has no file of the split dev, but" in dev and "train.jsonl" in dev and "data: " in dev


def test_the_hubs_name_of_a_split_comes_before_ours(tmp_path: Path) -> None:
    """AIME 2024's only split is called train on the hub, and serves as test."""
    row = {"problem": "ours", "answer": "1"}
    lines(tmp_path / "test.jsonl", [row])
    assert read_problems("aime-2024", tmp_path)[0].prompt == "ours"
    lines(tmp_path / "train.jsonl", [row | {"problem": "the hub's"}])
    assert read_problems("aime-2024", tmp_path)[0].prompt == "the hub's"
    lines(tmp_path / "validation.jsonl", [ROW])
    assert read_problems("qa-math", tmp_path, "dev")[0].prompt == "q"


def test_two_files_of_one_split_are_refused(tmp_path: Path) -> None:
    lines(tmp_path / "test.jsonl", [ROW])
    (tmp_path / "test.csv").write_text("question,answer\nq,1\n")
    assert "found test.jsonl and test.csv, expected one" in refusal("qa-math", tmp_path)


def test_a_split_that_a_saved_set_has_not_is_named_with_those_it_has(tmp_path: Path) -> None:
    import datasets

    parts = {"train": datasets.Dataset.from_list([ROW]), "validation": datasets.Dataset.from_list([ROW])}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    assert "has no split test, but train, validation; write a split" in refusal("qa-math", tmp_path / "saved")
    assert len(read_problems("qa-math", tmp_path / "saved", "dev")) == 1
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone/README.md").write_text("A set.")
    lines(tmp_path / "clone/train.jsonl", [ROW])
    assert "has no split test, but train" in refusal("qa-math", tmp_path / "clone")


def test_a_file_is_one_split_whichever_it_is_called(tmp_path: Path) -> None:
    entry = {
        "kind": "aime-2024",
        "split": "dev",
        "data": str(lines(tmp_path / "r.jsonl", [{"problem": "p", "answer": 1}])),
    }
    study = shipped("smoke") | {"benchmarks": {"mine": entry}}
    study["training"] |= {"benchmark": "minerva-math", "data": "x.jsonl", "options": {}}
    plan = make_plan(str(write_study(tmp_path / "s.yaml", study)), tmp_path / "results")
    assert main(["prepare", str(plan.path), "--results", str(plan.results), "--benchmark", "mine"]) == 0


@pytest.mark.parametrize(
    ("name", "change", "parts"),
    [
        ("math", {"solution": None}, ["no row has 'answer'", "problem, level, type", "columns: {answer: "]),
        ("math", {"solution": "no box"}, ["none of its 1 rows has a reference", "no box"]),
        ("math", {"problem": " "}, ["row 1: problem: found ' ', expected text"]),
        ("math", {"problem": ["a"]}, ["row 1: problem: found ['a'], expected text"]),
        ("gsm8k", {"answer": "a few"}, ["row 1: answer: found 'a few', expected a number", "####"]),
        ("gsm8k", {"answer": "a ####  "}, ["has a reference", "####"]),
        ("olympiadbench", {"final_answer": {"a": "3"}}, ["row 1: final_answer: found {'a': '3'}, expected text"]),
        ("olympiadbench", {"final_answer": []}, ["has a reference", "'final_answer': []"]),
        ("arc-challenge", {"answerKey": "Z"}, ["row 1: answerKey: found 'Z'", "expected one of A, B, C, D"]),
        ("arc-challenge", {"choices": ["a", "b"]}, ["row 1: answerKey: found 'C'", "expected one of A, B"]),
        ("arc-challenge", {"choices": {"text": ["a"], "label": ["A"]}}, ["row 1: choices: found 1 options"]),
        ("mmlu-pro", {"answer_index": 10}, ["row 1: answer_index: found 10", "an index from 0 to 9"]),
        ("mmlu-pro", {"answer_index": True}, ["row 1: answer_index: found True"]),
        ("mmlu-pro", {"options": None}, ["row 1: answer_index: found 7 and no options", "answer_index (letter"]),
        ("amc-2023", {"answer": float("nan")}, ["row 1: NaN is no JSON"]),
        ("amc-2023", {"answer": True}, ["row 1: answer: found True, expected text"]),
    ],
)
def test_a_fault_names_row_and_columns(tmp_path: Path, name: str, change: dict[str, Any], parts: list[str]) -> None:
    row = {**next(each for each in rows(name, KINDS[name].source.splits["test"])), **change}  # type: ignore[union-attr]
    row = {key: value for key, value in row.items() if value is not None or key == "context"}
    message = refusal(name, lines(tmp_path / "mine.jsonl", [row]))
    assert all(part in message for part in ["mine.jsonl", "expected rows with ", *parts]), message


def test_repeated_rows_are_counted_and_kept_once_and_a_part_is_the_same_in_any_order(tmp_path: Path) -> None:
    found = rows("math", "test")
    twice = lines(tmp_path / "twice.jsonl", [*found, found[0], found[0]])
    every = prepared("math", twice)
    assert len(every.problems) == len(found) and every.left_out["repeated"] == 2
    assert every.notes == (
        f"2 row(s) repeat another one word for word and are left out: {len(found) + 1}, {len(found) + 2}",
    )
    back = lines(tmp_path / "back.jsonl", reversed(found))
    some = [prepared("math", path, problems=3).problems for path in (twice, back)]
    assert len(some[0]) == 3 and {each.id for each in some[0]} == {each.id for each in some[1]}


def test_long_questions_are_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, kind = str(HUB / "math" / "test.jsonl"), KINDS["math"]
    every = problems_of(kind, "test", 0, kind.options, data).problems
    lengths = sorted(len(each.prompt) for each in every)
    longest = lengths[-3]
    assert lengths[-3] < lengths[-2], "two are longer"
    study = shipped("smoke") | {"benchmarks": {"math": {"data": data, "options": {"longest": longest}}}}
    plan = make_plan(str(write_study(tmp_path / "study.yaml", study)), tmp_path / "results")
    assert main(["prepare", str(plan.path), "--results", str(plan.results), "--benchmark", "math"]) == 0
    told = f"[prepare math] 2 question(s) have more than {longest} characters (longest) and are left out\n"
    assert told in capsys.readouterr().out
    kept = {each.id for each in every if len(each.prompt) <= longest}
    assert {each.id for each in problem_file.read_problems(plan.problems("math"))} == kept and len(kept) == len(
        every
    ) - 2
    assert settings(plan, "prepare", "math")["options"] == {"longest": longest}
    one = options_of(kind, {"longest": longest, "problems": 1}, "here")
    assert [each.id for each in problems_of(kind, "test", 0, one, data).problems] == [min(kept)]
    with pytest.raises(DataError, match=rf"shortest question has {lengths[0]} characters, .*longest is 1; raise it"):
        problems_of(kind, "test", 0, options_of(kind, {"longest": 1}, "here"), data)


def test_a_length_that_is_not_given_is_no_identity(tmp_path: Path) -> None:
    study = shipped("smoke") | {"benchmarks": {"math": {"data": "math.jsonl"}}}
    plan = make_plan(str(write_study(tmp_path / "study.yaml", study)))
    assert "options" not in settings(plan, "prepare", "math")
    study["benchmarks"]["countdown"] = {"options": {"longest": 5}}
    with pytest.raises(StudyError, match=r"benchmarks\.countdown\.options: unknown option 'longest'"):
        make_plan(str(write_study(tmp_path / "study.yaml", study)))


def test_a_set_of_the_hub_that_is_out_of_reach_says_what_to_write() -> None:
    kind = KINDS["gsm8k"]
    with pytest.raises(DataError, match=r"openai/gsm8k of the hub at cc7b047b.* could not be read: .*data: .*a clone"):
        problems_of(kind, "test", 0, kind.options, None)


def test_a_problem_that_no_response_could_solve_is_refused(tmp_path: Path) -> None:
    """An answer of more than a thousand characters is none for any grader."""
    row = {"problem": "How many?", "solution": f"\\boxed{{{'7' * 2000}}}", "level": "Level 1", "type": "Algebra"}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row) + "\n")
    kind = KINDS["math"]
    with pytest.raises(DataError, match=r"row 1: the grader 'math' finds no answer in its own solution.*7}'"):
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
        plan = make_plan(str(path))
        found.append((settings(plan, "prepare", "mine"), settings(plan, "sample", "countdown-base", "mine", 1)))
    assert found[0] == found[2]
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1], "stop strings and filter of the same problems may be others"


def test_a_part_of_a_set_is_chosen_by_values_of_its_rows() -> None:
    def chosen(name: str, **where: Any) -> list[str]:
        return [problem.reference for problem in prepared(name, HUB / name, where=where).problems]

    assert chosen("math-beyond", **{"qwen2.5-7b_unsolved": True}) == ["1600", "97"]
    assert chosen("math-beyond", **{"qwen2.5-7b_pass@1024": 1}) == ["66"]
    assert chosen("math-beyond", **{"qwen2.5-7b_unsolved": True, "r1-1.5b_unsolved": "true"}) == ["1600"]
    found = prepared("math-beyond", HUB / "math-beyond", where={"r1-1.5b_unsolved": True}, problems=5)
    assert found.left_out["not_chosen"] == 2 and "2 row(s) have other values" in found.notes[0]
    whole = len(prepared("math", HUB / "math").problems)
    algebra = prepared("math", HUB / "math", where={"type": "Algebra"}, problems=1)
    assert len(algebra.problems) == 1 and sum(algebra.left_out.values()) == whole - 1


def test_a_part_that_is_not_there_is_refused() -> None:
    message = refusal("math-beyond", HUB / "math-beyond", where={"gpt_unsolved": True})
    assert "no column 'gpt_unsolved'" in message and "r1-1.5b_unsolved" in message
    assert "found no row of" in refusal("math-beyond", HUB / "math-beyond", where={"topic": "Geometry"})
    with pytest.raises(StudyError, match="options"):
        options_of(KINDS["math"], {"where": ["type"]}, "here")
    with pytest.raises(StudyError, match="unknown option 'where'"):
        options_of(KINDS["countdown"], {"where": {"a": 1}}, "here")


def test_a_part_has_an_identity_of_its_own(tmp_path: Path) -> None:
    study = shipped("smoke")
    names = []
    for options in ({}, {"where": {"topic": "Algebra"}}):
        entry = {"kind": "math-beyond", "data": str(HUB / "math-beyond"), "options": options}
        path = write_study(tmp_path / f"{len(names)}.yaml", study | {"benchmarks": {"beyond": entry}})
        names.append(settings(make_plan(str(path)), "prepare", "beyond"))
    assert "where" not in names[0]["options"] if "options" in names[0] else True
    assert names[1]["options"] == {"where": {"topic": "Algebra"}}
