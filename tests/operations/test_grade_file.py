"""``boundary-bench grade FILE``: anybody's responses get a line each, their counts, and pass@k with its intervals."""

from __future__ import annotations

import json
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import pytest
from workflow import REPOSITORY

from boundary_bench.commands import main
from boundary_bench.grading import Grade, Verdict
from boundary_bench.operations.grade_file import Response, Tally, summary

SAMPLES = REPOSITORY.parent / "shared" / "data" / "samples"

#: Two problems with three responses each, of which two and none are correct.
ROWS = [
    {"problem": "1+1", "gold": "2", "response": r"\boxed{2}"},
    {"problem": "a half", "gold": r"\frac12", "response": "The answer is 0.25."},
    {"problem": "1+1", "gold": "2", "response": "I do not know."},
    {"problem": "a half", "gold": r"\frac12", "response": r"\boxed{9^{9^{9^9}}}"},
    {"problem": "1+1", "gold": "2", "response": r"So $\boxed{2.0}$"},
    {"problem": "a half", "gold": r"\frac12", "response": "So it is, as", "finish_reason": "length"},
]


def written(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def graded(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What ``--json`` prints: the lines of the responses and the summary."""
    assert main(["grade", *map(str, arguments), "--json"]) == 0
    *lines, last = map(json.loads, capsys.readouterr().out.splitlines())
    return lines, last


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["grade", *map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert not said.out
    return said.err


def test_a_line_each_then_counts_by_verdict_and_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, found = graded(capsys, written(tmp_path, ROWS))
    assert [(line["row"], line["verdict"], line["answer"]) for line in lines] == [
        (1, "correct", "2"), (2, "wrong", "0.25"), (3, "unparsable", None),
        (4, "unparsable", "9^{9^{9^9}}"), (5, "correct", "2.0"), (6, "truncated", None),
    ]  # fmt: skip
    assert found["verdicts"] == {
        "correct": {"equal text": 1, "equal numbers": 1},
        "wrong": {"unequal numbers": 1},
        "unparsable": {"no answer found": 1, "limit: powers more than 2 deep": 1},
        "truncated": {"cut off at the token limit": 1},
        "timeout": {},
    }


def test_pass_at_k_counts_the_sets_of_k_responses_that_hold_a_correct_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = graded(capsys, written(tmp_path, ROWS))
    verdicts = {"1+1": [1, 0, 1], "a half": [0, 0, 0]}
    assert (found["problems"], found["fewest"], found["most"]) == (2, 3, 3)
    for row in found["pass_at_k"]:
        chances = [sum(map(any, combinations(each, row["k"]))) / comb(3, row["k"]) for each in verdicts.values()]
        assert row["estimate"] == pytest.approx(sum(chances) / 2, abs=1e-6)
        assert 0 <= row["low"] <= row["estimate"] <= row["high"] <= 1
    assert [row["k"] for row in found["pass_at_k"]] == [1, 2]


def test_a_list_of_responses_is_as_many_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"q": "1+1", "a": {"b": 2}, "out": [r"\boxed{2}", "no", r"\boxed{2}"], "why": ["stop", "length", "stop"]},
        {"q": "a half", "a": {"b": r"\frac12"}, "out": ["so 0.25", "no", r"\boxed{3"], "why": "stop"},
    ]
    columns = "problem=q, gold=a.b, response=out, finish_reason=why"
    lines, found = graded(capsys, written(tmp_path, rows), "--columns", columns)
    assert [line["row"] for line in lines] == [1, 1, 1, 2, 2, 2]
    assert [line["verdict"] for line in lines[:3]] == ["correct", "truncated", "correct"]
    assert [row["estimate"] for row in found["pass_at_k"]] == pytest.approx([1 / 3, 0.5], abs=1e-6)
    assert found["problems"] == 2


def test_one_question_with_two_golds_is_two_problems_and_rows_without_question_are_one_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = {"problem": "x?", "response": r"\boxed{1}"}
    _, found = graded(capsys, written(tmp_path, [same | {"gold": "1"}, same | {"gold": "2"}]))
    assert found["problems"] == 2
    _, found = graded(capsys, written(tmp_path, [{"gold": "1", "response": "1"}] * 3))
    assert (found["problems"], found["most"]) == (3, 1)


def test_a_timeout_is_no_sample() -> None:
    tally = Tally("math 2")
    for verdict in (Verdict.CORRECT, Verdict.TIMEOUT, Verdict.WRONG):
        tally.add(Response(1, "x", "1", "", True), Grade(verdict, "1", verdict))
    found = summary(tally)
    assert found["fewest"] == found["most"] == 2
    assert found["pass_at_k"][0]["estimate"] == 0.5
    tally = Tally("math 2")
    tally.add(Response(1, "x", "1", "", True), Grade(Verdict.TIMEOUT, "1", "deadline"))
    assert summary(tally)["pass_at_k"] == []


@pytest.mark.parametrize("grader", ["boxed", "numeric", "exact", "choice"])
def test_every_grader_can_be_named(grader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"gold": "B", "response": "B"}, {"gold": "4", "response": "4"}]
    _, found = graded(capsys, written(tmp_path, rows), "--grader", grader)
    assert found["grader"].split()[0] == grader
    assert sum(sum(reasons.values()) for reasons in found["verdicts"].values()) == 2


def test_a_column_that_was_named_must_be_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = written(tmp_path, ROWS[:2])
    assert "no column 'why'" in refused(capsys, rows, "--columns", "finish_reason=why")


def test_no_character_of_a_response_steers_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"gold": "2", "response": "\\boxed{\x1b[2J\u202e3}"}
    assert main(["grade", str(written(tmp_path, [row]))]) == 0
    out = capsys.readouterr().out
    assert not {"\x1b", "\u202e"} & set(out)
    assert "wrong" in out and "pass@k" in out


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ({"question": "q", "expected_answer": "1", "generation": "1"},
         ["no column 'gold'", "write: --columns problem=question,gold=expected_answer,response=generation"]),
        ({"target": "1", "resps": [["1"]]}, ["no column 'gold'", "write: --columns gold=target,response=..."]),
        ({"gold": None, "response": "1"}, ["expected a reference answer"]),
        ({"gold": "1", "response": None}, ["response: found None, expected a text"]),
        ({"gold": "1", "response": []}, ["response: found [], expected a text or a list of some"]),
        ({"gold": "1", "response": [], "finish_reason": []}, ["response: found []"]),
        ({"gold": "1", "response": [1, 2]}, ["response: found [1, 2], expected a text"]),
        ({"gold": "1", "response": ["1", "2"], "finish_reason": ["stop"] * 3}, ["as long as finish_reason"]),
        (["1"], ["row 2", "expected an object"]),
        ({"gold": "1", "response": "\ud800"}, ["surrogate"]),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_graded_is_named_with_what_to_write(
    row: Any, parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = {"gold": "1", "response": "1"} if not isinstance(row, dict) or "gold" in row else row
    said = refused(capsys, written(tmp_path, [first, row]))
    for part in ["rows cannot be graded", "row 2", *parts]:
        assert part in said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["grade", "rows.jsonl", "--policy", "base"], "unrecognized arguments: --policy base"),
        (["grade", "smoke", "--policy", "base"], "unrecognized arguments: --policy base"),
        (["regrade", "smoke", "--policy", "base"], "required: --benchmark, --grader"),
        (
            ["regrade", "smoke", "--policy", "a", "--benchmark", "b", "--grader", "math", "--json"],
            "unrecognized arguments: --json",
        ),
    ],
)
def test_a_file_and_a_study_are_graded_by_commands_of_their_own(
    command: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2 and said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["rows.jsonl", "--columns", "golds=a"], ["expected COLUMN=PLACE", "gold"]),
        (["rows.jsonl", "--columns", "gold"], ["found 'gold'", "expected COLUMN=PLACE"]),
        (["rows.jsonl", "--grader", "maths"], ["grade --grader", "maths", "math"]),
        (["smoke"], ["found smoke, expected a file of rows", "with: boundary-bench regrade STUDY"]),
        (["smoke", "--grader", "math", "--json"], ["found smoke, expected a file of rows"]),
        (["none.jsonl"], ["none.jsonl"]),
        (["empty.jsonl"], ["holds no row"]),
    ],
)
def test_a_wrong_command_says_what_was_expected(
    arguments: list[str], parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    written(tmp_path, ROWS)
    written(tmp_path, [], "empty.jsonl")
    said = refused(capsys, *arguments)
    for part in parts:
        assert part in said


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the real samples of ../shared/data")
@pytest.mark.parametrize(
    ("name", "columns", "correct", "n"),
    [
        ("qwen-math-eval.jsonl", "problem=question,gold=gt,response=code", 729, 8),
        ("nemo-skills-output-rs0.jsonl", "gold=expected_answer,response=generation", 5, 1),
        ("lm_eval-samples_math_perturbed_full.jsonl", "problem=doc.problem,gold=target,response=resps.0", 0, 1),
    ],
)
def test_files_of_other_harnesses(
    name: str, columns: str, correct: int, n: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, found = graded(capsys, SAMPLES / name, "--columns", columns)
    assert sum(line["verdict"] == "correct" for line in lines) == correct
    assert found["fewest"] == found["most"] == n
    assert [row["k"] for row in found["pass_at_k"]] == [1, 2, 4, 8][: n.bit_length()]
