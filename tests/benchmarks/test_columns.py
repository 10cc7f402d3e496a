"""Where rows have their columns: paths, known layouts, and the line to write where a column is not found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sets import lines, prepared, read_problems, refusal
from workflow import shipped, write_study

from boundary_bench.core.errors import StudyError
from boundary_bench.plan import make_plan
from boundary_bench.plan.stages import STAGES, settings

ENTRY = {"kind": "qa-math", "data": "x.jsonl"}


def verl(question: Any, truth: Any) -> dict[str, Any]:
    said = [{"role": "system", "content": "Think."}, {"role": "user", "content": question}]
    return {"data_source": "x", "prompt": said, "reward_model": {"ground_truth": truth, "style": "rule"}}


def asked(path: Path, kind: str = "qa-math", columns: Any = None) -> list[tuple[str, str]]:
    return [(each.prompt, each.reference) for each in read_problems(kind, path, columns=columns)]


# a study


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        ({"questoin": "a"}, ["benchmarks.m.columns", "'questoin' is no column of qa-math", "did you mean 'question'"]),
        ({"problem": "a"}, ["'problem' is no column", "Known: answer, question"]),
        ({"question": ""}, ["benchmarks.m.columns.question", "found ''"]),
        ({"question": " "}, ["columns.question", "found ' '"]),
        ({"question": "a..b"}, ["columns.question", "found 'a..b'"]),
        ({"question": ".a"}, ["found '.a'"]),
        ({"question": "a."}, ["found 'a.'"]),
        ({"question": "a", "stratum": "b", "answer": "a"}, ["question and answer are both 'a'"]),
        ("veral", ["'veral' is no known layout", "did you mean 'verl'"]),
        ("", ["'' is no known layout"]),
        ({"answer": 0}, ["benchmarks.m.columns", "{'answer': 0}", "expected texts", "{question: problem}"]),
        ({"question": None}, ["expected texts"]),
        ({5: "a"}, ["expected texts"]),
        (["question"], ["benchmarks.m.columns", "['question']", "expected texts"]),
        (5, ["found 5", "expected texts"]),
    ],
)
def test_columns_that_cannot_be_meant_are_refused_with_the_study(
    columns: Any, parts: list[str], tmp_path: Path
) -> None:
    study = shipped("smoke") | {"benchmarks": {"m": {**ENTRY, "columns": columns}}}
    with pytest.raises(StudyError) as caught:
        make_plan(str(write_study(tmp_path / "s.yaml", study)))
    assert all(part in str(caught.value) for part in parts), caught.value


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ({"kind": "countdown", "columns": {"numbers": "nums"}}, "problems of countdown are not read from rows here"),
        ({"kind": "reasoning_gym:leg_counting", "columns": "verl"}, "are not read from rows"),
        ({"kind": "countdown", "data": "x", "columns": "verl"}, "countdown has no column of answers for verl"),
    ],
)
def test_columns_of_what_has_none_are_refused(entry: dict[str, Any], part: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=part):
        make_plan(str(write_study(tmp_path / "s.yaml", shipped("smoke") | {"benchmarks": {"m": entry}})))


def test_columns_are_part_of_the_problems_only_where_they_are_given(tmp_path: Path) -> None:
    def found(columns: Any) -> dict[str, Any]:
        study = shipped("smoke") | {"benchmarks": {"m": {**ENTRY, "columns": columns}}}
        study["training"] |= {"benchmark": "qa-math", "options": {}, "data": "y.jsonl", "columns": columns}
        plan = make_plan(str(write_study(tmp_path / "s.yaml", study)))
        job = ("train", plan.runs[0].name, 2)
        assert "columns" not in settings(plan, *job)["training"], "they are in the problems that it depends on"
        assert STAGES["train"].made_from(plan, *job[1:])["problems"] == (("prepare", "training"), "content")
        prepared = settings(plan, "prepare", "m")
        assert settings(plan, "prepare", "training").get("columns") == prepared.get("columns")
        return prepared

    assert "columns" not in found(None) and found({}) == found(None)
    assert found("verl") == {**found(None), "columns": "verl"}
    assert found({"question": "a"})["columns"] == {"question": "a"}


# rows


def test_a_column_stands_where_the_study_says(tmp_path: Path) -> None:
    rows = [{"a.b": "q", "a": {"b": "no", "c": [{"d": "5"}, {"d": "6"}]}, "question": "not this", "answer": "nor this"}]
    path = lines(tmp_path / "r.jsonl", rows)
    assert asked(path, columns={"question": "a.b", "answer": "a.c.-1.d"}) == [("q", "6")]
    assert asked(path, columns={"answer": "a.c.0.d"}) == [("not this", "5")], "the others keep their own names"
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "r.parquet")
    assert asked(tmp_path / "r.parquet", columns={"question": "a.b", "answer": "a.c.-1.d"}) == [("q", "6")]


def test_an_answer_that_is_called_a_solution_is_a_worked_one(tmp_path: Path) -> None:
    rows = [
        {"problem": "p", "solution": "so \\boxed{4}", "answer": "not asked for"},
        {"problem": "r", "solution": "We see that it is four.", "answer": "not asked for"},
    ]
    path, columns = lines(tmp_path / "r.jsonl", rows), {"question": "problem", "answer": "solution"}
    found = prepared("minerva-math", path, columns=columns)
    assert [each.reference for each in found.problems] == ["4"] and found.left_out["no_reference"] == 1
    deep = lines(tmp_path / "d.jsonl", [{"problem": row["problem"], "x": row} for row in rows])
    assert asked(deep, "qa-math", {"question": "problem", "answer": "x.solution"}) == [("p", "4")]


@pytest.mark.parametrize("kind", ["qa-math", "math", "aime-2025", "qa-numeric", "gsm8k", "olympiadbench"])
def test_the_layout_of_verl(kind: str, tmp_path: Path) -> None:
    talk = verl("first", "5")
    talk["prompt"] += [{"role": "assistant", "content": "well"}, {"role": "user", "content": "last"}]
    rows = [verl("q0", "1"), verl("q1", 2), verl("q2", json.dumps({"target": "3"})), verl("q3", ["4"]), talk]
    path = lines(tmp_path / "r.jsonl", [*rows, {**verl("", "6"), "prompt": "plain"}, verl("none", None)])
    found = prepared(kind, path, columns="verl")
    expected = [("q0", "1"), ("q1", "2"), ("q2", "3"), ("q3", "4"), ("last", "5"), ("plain", "6")]
    assert [(each.prompt, each.reference) for each in found.problems] == expected
    assert found.left_out["no_reference"] == 1
    pq.write_table(pa.Table.from_pylist(rows[:1]), tmp_path / "r.parquet")
    assert asked(tmp_path / "r.parquet", kind, "verl") == [("q0", "1")]


def test_the_layout_of_verl_for_multiple_choice(tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", [verl("Which? A. x B. y", "B")])
    for kind in ("qa-choice", "arc-challenge", "mmlu-pro"):
        assert asked(path, kind, "verl") == [("Which? A. x B. y", "B")]


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"prompt": [{"role": "assistant", "content": "x"}]}, "prompt: found .*, expected messages"),
        ({"prompt": []}, "prompt: found .*, expected messages"),
        ({"prompt": [{"role": "user", "content": [{"type": "text"}]}]}, "question: found .*, expected text"),
        ({"prompt": [{"role": "user"}]}, "question: found None, expected text"),
        (
            {"reward_model": {"ground_truth": {"x": "1"}}},
            r"reward_model\.ground_truth: found .*, expected an answer, or one in target",
        ),
        ({"reward_model": {"ground_truth": '{"x": "1"}'}}, r"reward_model\.ground_truth: found .*, expected an answer"),
        ({"reward_model": {"ground_truth": ["1", "2"]}}, "answer: found .*, expected text"),
    ],
)
def test_what_verl_does_not_write_is_refused(row: dict[str, Any], part: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", [verl("q", "1"), {**verl("r", "1"), **row}])
    assert re.search(f"row 2: {part}", refusal("qa-math", path, columns="verl"))


# what to write


def line_of(message: str) -> Any:
    """The columns that a message ends in, as YAML reads them."""
    assert "; mend" not in message
    last = message.splitlines()[-1]
    return yaml.safe_load(last.removeprefix("write into the study: "))["columns"]


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"problem": "q", "solution": "\\boxed{1}"}, {"question": "problem"}),
        ({"problem": "q", "answer": "1"}, {"question": "problem"}),
        ({"prompt": "q", "gt": "1"}, {"question": "prompt", "answer": "gt"}),
        ({"query": "q", "gold": 1}, {"question": "query", "answer": "gold"}),
        ({"input": "q", "target": "1"}, {"question": "input", "answer": "target"}),
        ({"Question": "q", "Answer": "1"}, {"question": "Question", "answer": "Answer"}),
        ({"instruction": "q", "output": "1"}, {"question": "instruction", "answer": "output"}),
        ({"question": "q", "final_answer": "1"}, {"answer": "final_answer"}),
        ({"question": "q", "answer": None, "gold": "1"}, {"answer": "gold"}),
        (
            {"data": {"problem": "q"}, "x": {"ground_truth": "1"}},
            {"question": "data.problem", "answer": "x.ground_truth"},
        ),
        ({"a: b": "how much?", "c, d": "1"}, {"question": "a: b", "answer": "c, d"}),
        (
            {"prompt": [{"role": "user", "content": "q"}], "answer": "1"},
            {"question": "prompt.-1.content"},
        ),
        (verl("q", "1"), "verl"),
        ({"id": 7, "q": "how much?", "a": "1"}, {"question": "q", "answer": "a"}),
    ],
)
def test_the_line_that_a_message_ends_in_reads_the_file(row: dict[str, Any], columns: Any, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", [row, row | {"id": 8}])
    found = line_of(refusal("qa-math", path))
    assert found == columns
    ((prompt, reference),) = asked(path, columns=found)
    assert prompt in ("q", "how much?") and reference == "1"


def test_other_kinds_are_told_their_line_too(tmp_path: Path) -> None:
    cases: list[tuple[str, dict[str, Any], Any]] = [
        ("math", {"question": "q", "gt": "1"}, {"problem": "question", "answer": "gt"}),
        ("olympiadbench", {"question": "q", "gt": "1"}, {"final_answer": "gt"}),
        ("countdown", {"nums": [3, 4], "target": 12}, {"numbers": "nums"}),
        ("random-calculation", {"problem": "1 + 1", "answer": "2"}, {"expression": "problem"}),
        ("qa-choice", {"question": "q", "choices": ["a", "b"], "answer": "B"}, {"options": "choices"}),
        ("qa-choice", {"question": "q", "choices": ["a", "b"], "label": 1}, {"answer": "label", "options": "choices"}),
        (
            "arc-challenge",
            {"question": "q", "options": ["a", "b"], "answer": 1},
            {"answerKey": "answer", "choices": "options"},
        ),
        (
            "arc-challenge",
            {
                "question": {"stem": "q", "choices": [{"text": "a", "label": "A"}, {"text": "b", "label": "B"}]},
                "answerKey": "B",
            },
            {"question": "question.stem", "choices": "question.choices"},
        ),
    ]
    for kind, row, columns in cases:
        path = lines(tmp_path / "r.jsonl", [row])
        assert line_of(refusal(kind, path)) == columns, kind
        assert len(read_problems(kind, path, columns=columns)) == 1


def test_a_path_that_is_in_no_row_is_refused_and_the_near_one_named(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "r.jsonl", [{"problem": "q", "info": {"gold": "1", "topic": "x"}, "solution": "\\boxed{2}"}]
    )
    message = refusal("qa-math", path, columns={"question": "problem", "answer": "info.golt"})
    assert (
        "no row has 'info.golt' (columns.answer); the columns are: problem, solution, info.gold, info.topic" in message
    )
    assert line_of(message) == {"question": "problem", "answer": "info.gold"}, "and not the solution without a word"
    message = refusal("qa-math", path, columns={"question": "problem", "answer": "info.gold", "stratum": "info.topik"})
    assert line_of(message) == {"question": "problem", "answer": "info.gold", "stratum": "info.topic"}
    assert "'answer' as verl has it" in refusal("qa-math", path, columns="verl"), "though there is a solution"


def test_a_path_that_is_in_some_rows_is_enough(tmp_path: Path) -> None:
    rows = [{"q": "a", "x": {"gt": "1"}}, {"q": "b", "x": {}}, {"q": "c", "x": None}, {"q": "d"}]
    found = prepared("qa-math", lines(tmp_path / "r.jsonl", rows), columns={"question": "q", "answer": "x.gt"})
    assert len(found.problems) == 1 and found.left_out["no_reference"] == 3


def test_rows_inside_of_one_object_are_named_with_the_command_that_takes_them_out(tmp_path: Path) -> None:
    row = {"question": "q", "answer": "1"}
    for text in (json.dumps({"version": 1, "data": [row, row]}), json.dumps({"data": [row], "n": 1}, indent=2)):
        (tmp_path / "it's.json").write_text(text)
        message = refusal("qa-math", tmp_path / "it's.json")
        assert "data.-1.question" in message and "its rows are in 'data'; run: jq -c '.[\"data\"][]' '" in message
        assert """it'"'"'s.json'""" in message, "for a shell"


def test_names_of_columns_are_shown_harmlessly_and_not_without_end(tmp_path: Path) -> None:
    row = {"\x1b[31m\n": "y", "n" * 900: "z"} | {f"column {number}": "x" for number in range(500)}
    message = refusal("qa-math", lines(tmp_path / "r.jsonl", [row]))
    assert "\x1b" not in message and "and 159 more" in message and len(message) < 4_000
    assert "'\\x1b[31m\\n'" in message


def test_options_under_another_name_are_not_overlooked(tmp_path: Path) -> None:
    """A question without its options is another problem; one that holds them needs no column."""
    row = {"question": "Which one?", "answer": "B", "choices": ["red", "green"]}
    assert line_of(refusal("qa-choice", lines(tmp_path / "r.jsonl", [row]))) == {"options": "choices"}
    whole = row | {"question": "Which one? A. red B. green"}
    found = prepared("qa-choice", lines(tmp_path / "r.jsonl", [whole]))
    assert found.problems[0].prompt == whole["question"] and "no row has the column options" in found.notes[1]
