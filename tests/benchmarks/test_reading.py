"""Rows become problems: all faults in one message, what is left out is counted and said, and the record is kept."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sets import lines, prepared, read_problems, refusal
from workflow import shipped, write_study

from boundary_bench.benchmarks.base import LEFT_OUT, Problem
from boundary_bench.benchmarks.problem_file import read_prepared, write_problems
from boundary_bench.commands import main
from boundary_bench.core.errors import DataError, StudyError
from boundary_bench.plan import make_plan
from boundary_bench.plan.stages import settings

GOOD = [{"question": f"q{number}", "answer": str(number)} for number in range(40)]


def skipped(message: str) -> list[int]:
    """The rows that the line at the end of a message skips."""
    return yaml.safe_load(message[message.rindex("options: {skip:") :])["options"]["skip"]


def test_every_row_that_cannot_be_used_is_named_in_one_message_and_its_line_mends_the_set(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    bad = [
        '{"question": true, "answer": 1}',
        "{torn",
        '{"answer": "1"}',
        '{"question": "q", "answer": ["1", "2"]}',
        "[]",
    ]
    bad += ['{"question": "q", "answer": "\\u202e5"}', '{"question": "q", "answer": NaN}']
    text = [json.dumps(row) for row in GOOD]
    path.write_text("\n\n".join([*text[:3], *bad, *text[3:], '{"question": "last", "answer": true}']))
    message = refusal("qa-math", path)
    assert message.startswith(f"{path}: 8 of 48 rows cannot be used\n")
    for number, part in {
        4: "question: found True",
        5: "no JSON",
        6: "no column 'question'",
        7: "answer: found",
        8: "list",
    }.items():
        assert re.search(rf"\n  row {number} \(line {2 * number - 1}\): .*{part}", message), part
    assert "finds no answer in its own solution, which ends in " in message and "row 48 (line 95)" in message
    assert skipped(message) == [4, 5, 6, 7, 8, 9, 10, 48]
    found = prepared("qa-math", path, skip=skipped(message))
    assert len(found.problems) == 40 and found.left_out["skipped"] == 8
    assert found.notes[0] == (
        "8 row(s) are named by options.skip and are left out: 4 (line 7), 5 (line 9), 6 (line 11), 7 (line 13), "
        "8 (line 15), 9 (line 17), 10 (line 19), 48 (line 95)"
    )
    some = refusal("qa-math", path, skip=[4, 48])
    assert skipped(some) == [4, 5, 6, 7, 8, 9, 10, 48], "what was skipped before is not lost when the line is pasted"


def test_twenty_faults_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": True}] * 30 + GOOD
    message = refusal("qa-math", lines(tmp_path / "r.jsonl", rows))
    assert message.count("\n  row ") == 20 and "and 10 more" in message and skipped(message) == list(range(1, 31))
    many = refusal("qa-math", lines(tmp_path / "m.jsonl", [{"question": "q", "answer": True}] * 1_001 + GOOD))
    assert "skip" not in many and "mend them" in many, "a line for so many would hide that the form is another"


def test_a_set_that_has_no_usable_row_is_not_to_be_skipped(tmp_path: Path) -> None:
    message = refusal("qa-math", lines(tmp_path / "r.jsonl", [{"question": "q", "answer": True}] * 3))
    assert "none of its 3 rows can be used" in message and "skip" not in message


@pytest.mark.parametrize("rows", [[1], [41], [7, 99], [40, 40]])
def test_skipped_rows_are_counted_through_the_set(rows: list[int], tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", GOOD)
    if max(rows) > 40:
        message = refusal("qa-math", path, skip=rows)
        assert f"options.skip: found {max(rows)}, which is no row of {path}; expected numbers from 1 to 40" in message
        return
    kept = [each.prompt for each in read_problems("qa-math", path)]
    found = [each.prompt for each in prepared("qa-math", path, skip=rows).problems]
    assert found == [text for number, text in enumerate(kept, 1) if number not in rows]


@pytest.mark.parametrize("skip", [[0], [-1], [True], ["3"], [1.5], 3, [None]])
def test_numbers_of_rows_that_are_none_are_refused_with_the_study(skip: Any, tmp_path: Path) -> None:
    entry = {"kind": "qa-math", "data": "x.jsonl", "options": {"skip": skip}}
    with pytest.raises(StudyError, match=r"options has 1 fault\(s\):\n  skip"):
        make_plan(str(write_study(tmp_path / "s.yaml", shipped("smoke") | {"benchmarks": {"m": entry}})))


def test_generated_problems_have_no_rows_to_skip(tmp_path: Path) -> None:
    entry = {"options": {"skip": [1]}}
    with pytest.raises(StudyError, match=r"benchmarks\.countdown\.options\.skip: problems of countdown are generated"):
        make_plan(str(write_study(tmp_path / "s.yaml", shipped("smoke") | {"benchmarks": {"countdown": entry}})))


def test_rows_without_a_reference_are_left_out_and_said(tmp_path: Path) -> None:
    rows = [{"question": f"none {number}", "answer": None} for number in range(12)]
    found = prepared("qa-math", lines(tmp_path / "r.jsonl", [*GOOD, *rows]))
    assert len(found.problems) == 40 and found.rows == 52 and found.left_out["no_reference"] == 12
    places = ", ".join(map(str, range(41, 51)))
    assert found.notes[0] == f"12 row(s) have no reference and are left out: {places} and 2 more"


def test_a_set_without_any_reference_shows_its_first_rows(tmp_path: Path) -> None:
    rows = [
        {"question": "q", "answer": "", "label": 7},
        {"question": "r", "answer": None},
        {"question": "s"},
        {"question": "t"},
    ]
    message = refusal("qa-math", lines(tmp_path / "r.jsonl", rows))
    assert "none of its 4 rows has a reference" in message and "{'question': 'r', 'answer': None}" in message
    assert "'s'" in message and "'t'" not in message and message.endswith("columns: {answer: label}")


@pytest.mark.parametrize("text", ["", "\n \n", "[]", "\ufeff"])
def test_a_file_without_rows_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    assert "holds no row; expected rows with question (text)" in refusal("qa-math", tmp_path / "r.json")
    lines(tmp_path / "r.json", GOOD[:2])
    assert "holds no row that is not skipped" in refusal("qa-math", tmp_path / "r.json", skip=[1, 2])


def test_strata_are_of_all_rows_or_of_none(tmp_path: Path) -> None:
    row = {"problem": "p", "solution": "\\boxed{1}"}
    found = prepared("math", lines(tmp_path / "r.jsonl", [row]))
    assert found.problems[0].stratum == "" and [note.split(":")[0] for note in found.notes] == [
        "no row has the column type",
        "no row has the column level",
    ]
    typed = [row | {"type": "Algebra", "level": level} for level in ("Level 1", None)]
    only = lines(tmp_path / "r.jsonl", [{key: each[key] for key in ("problem", "solution", "type")} for each in typed])
    assert read_problems("math", only)[0].stratum == "Algebra"
    message = refusal("math", lines(tmp_path / "r.jsonl", [*typed, row]))
    assert "row 2: no level, which other rows have" in message and "row 3: no type, which other rows have" in message
    assert skipped(message) == [2, 3]
    options = [{"question": "q", "options": ["a", "b"], "answer": "A"}, {"question": "A. x B. y", "answer": "A"}]
    assert "row 2: no options, which other rows have" in refusal("qa-choice", lines(tmp_path / "r.jsonl", options))


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    rows = [*GOOD, GOOD[0], GOOD[5], {"question": "x" * 50, "answer": "1"}, {"question": "y", "answer": None}]
    found = prepared("qa-math", lines(tmp_path / "r.jsonl", rows), skip=[2], longest=20, problems=30)
    assert found.left_out == {"no_reference": 1, "skipped": 1, "repeated": 2, "too_long": 1, "not_chosen": 9}
    assert found.rows == 44 == len(found.problems) + sum(found.left_out.values())
    assert found.notes[1:5] == (
        "1 row(s) are named by options.skip and are left out: 2",
        "2 row(s) repeat another one word for word and are left out: 41, 42",
        "1 question(s) have more than 20 characters (longest) and are left out",
        "9 problem(s) are beyond the 30 of options.problems and are left out",
    )


def test_one_question_with_two_answers_is_said(tmp_path: Path) -> None:
    rows = [("a", "1/2"), ("b", "1"), (" A\n", "\\frac{1}{2}"), ("a", "3"), ("b", "1")]
    found = prepared("qa-math", lines(tmp_path / "r.jsonl", [{"question": q, "answer": a} for q, a in rows]))
    assert len(found.problems) == 4 and (found.duplicates, found.other_answer) == (2, 1)
    ids = {each.reference: each.id for each in found.problems}
    (note,) = [note for note in found.notes if "another answer" in note]
    assert note.startswith(
        "1 problem(s) ask what an earlier one asks, for another answer; at most one is right, and they stay"
    )
    assert f"'1/2' ({ids['1/2']}) and '3' ({ids['3']})" in note


@pytest.mark.parametrize(("name", "most"), [("MOST_ROWS", 39), ("MOST_TEXT", len("q0\\boxed{0}") * 9)])
def test_more_than_a_set_of_problems_holds_is_refused(
    name: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"boundary_bench.benchmarks.reading.{name}", most)
    assert f" {most} " in refusal("qa-math", lines(tmp_path / "r.jsonl", GOOD))
    monkeypatch.undo()
    assert len(read_problems("qa-math", tmp_path / "r.jsonl")) == 40


def test_a_small_file_that_unpacks_to_a_large_one_takes_bounded_memory(tmp_path: Path) -> None:
    """A million rows of one text of a megabyte, in a file of a few kilobytes."""
    places = pa.array(np.zeros(1_000_000, np.int32))
    texts = pa.DictionaryArray.from_arrays(places, pa.array(["x" * 1_000_000]))
    pq.write_table(pa.table({"question": texts, "answer": texts}), tmp_path / "r.parquet")
    assert (tmp_path / "r.parquet").stat().st_size < 200_000
    tracemalloc.start()
    message = refusal("qa-choice", tmp_path / "r.parquet", columns={"answer": "question", "question": "answer"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "4,294,967,296 bytes" in message and peak < 500e6


# the stage, and the file


def study_of(tmp_path: Path, rows: list[Any], **options: Any) -> Any:
    data = str(lines(tmp_path / "r.jsonl", rows))
    entry = {"kind": "qa-math", "data": data, "columns": {"question": "q"}, "options": options}
    study = shipped("smoke") | {"benchmarks": {"mine": entry}}
    return make_plan(str(write_study(tmp_path / "s.yaml", study)), tmp_path / "results")


def test_the_stage_says_and_keeps_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"q": "a", "answer": "1"}, {"q": "b", "answer": None}, {"q": "c", "answer": True}]
    plan = study_of(tmp_path, rows, skip=[3])
    command = ["prepare", str(plan.path), "--results", str(plan.results), "--benchmark", "mine"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "[prepare mine] 1 row(s) have no reference and are left out: 2\n" in out and "1 problems -> " in out
    problems, facts = read_prepared(plan.problems("mine"))
    assert [each.prompt for each in problems] == ["a"]
    assert facts["settings"] == settings(plan, "prepare", "mine") and facts["rows"] == 3
    assert facts["left_out"] == dict.fromkeys(LEFT_OUT, 0) | {"no_reference": 1, "skipped": 1}
    assert (facts["duplicates"], facts["other_answer"]) == (0, 0) and "left out: 2" in facts["notes"][0]


def test_a_set_with_faults_is_a_message_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = study_of(tmp_path, [{"q": "a", "answer": "1"}, {"q": "c", "answer": True}])
    assert main(["prepare", str(plan.path), "--results", str(plan.results), "--benchmark", "mine"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("boundary-bench: ") and "row 2: answer: found True" in error and "Traceback" not in error
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("column", "values"),
    [("stratum", ["y", "x"]), ("chance", [0.5, 0.9]), ("solution", ["1", "3"]), ("split", ["a", "a"])],
)
def test_a_problem_file_that_was_altered_is_refused(column: str, values: list[Any], tmp_path: Path) -> None:
    """Ids are of prompt and reference alone."""
    path = tmp_path / "p.parquet"
    write_problems(path, [Problem("a", "1", "1", "x", 0.5), Problem("b", "2", "2", "y", 0.5)], "test", {})
    whole = pq.read_table(path)
    place = whole.schema.get_field_index(column)
    pq.write_table(whole.set_column(place, whole.schema.field(column), pa.array(values)), path)
    with pytest.raises(DataError, match=r"was altered.*; the prepare stage makes it anew"):
        read_prepared(path)
    pq.write_table(whole, path)
    assert len(read_prepared(path)[0]) == 2


def test_problems_that_occur_twice_are_found_at_once(tmp_path: Path) -> None:
    """Counted one by one, so many would take a quarter of an hour."""
    problems = [Problem(f"q{number % 100_000}", "1", "1") for number in range(100_003)]
    with pytest.raises(DataError, match=r"3 problem\(s\) occur twice, e\.g\. prompt 'q0'"):
        write_problems(tmp_path / "p.parquet", problems, "test", {})
