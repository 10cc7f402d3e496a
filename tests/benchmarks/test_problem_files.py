"""Problems from a user's file: read in order, and every fault names the file, the line and what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from sets import read_problems

from boundary_bench.benchmarks.countdown import COUNTDOWN, problem
from boundary_bench.core.errors import DataError
from boundary_bench.grading import Verdict

ROW = '{"numbers": [3, 4], "target": 12}\n'


def test_problems_of_a_users_file_are_read_in_order_and_solved(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(ROW + "\n   \n" + '{"numbers": [5, 2, 2], "target": 20, "note": "more columns do not matter"}\r\n')
    first, second = read_problems(COUNTDOWN, path)
    assert (first.prompt, first.chance) == ("34=12:", pytest.approx(1 / 3))
    assert first.id == problem([3, 4], 12, "").id
    assert all(
        COUNTDOWN.grader.grade(each.reference, each.solution).verdict is Verdict.CORRECT for each in (first, second)
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["holds no row", "numbers", "target"]),
        ("\n\n", ["holds no row"]),
        (ROW + "{not json}\n", ["row 2"]),
        (ROW + ROW + '{"numbers": [3, 4]}\n', ["row 3", "'target'"]),
        (ROW + "\n" + '{"target": 4}\n', ["row 2 (line 3)", "'numbers'"]),
        (ROW + "[1, 2]\n", ["row 2", "list"]),
        (ROW + "null\n", ["row 2", "NoneType"]),
        ('{"numbers": [3, 4], "target": 99}\n', ["row 1", "[3, 4]", "99"]),
        ('{"numbers": [3], "target": 3}\n', ["row 1", "2 to 6"]),
        ('{"numbers": [1, 1, 1, 1, 1, 1, 1], "target": 3}\n', ["row 1", "2 to 6"]),
        ('{"numbers": "34", "target": 12}\n', ["row 1", "'34'"]),
        ('{"numbers": [3, 0], "target": 12}\n', ["row 1", "1 to 9"]),
        ('{"numbers": [3, 10], "target": 13}\n', ["row 1", "1 to 9"]),
        ('{"numbers": [3, 4.0], "target": 12}\n', ["row 1", "4.0"]),
        ('{"numbers": [3, true], "target": 3}\n', ["row 1", "True"]),
        ('{"numbers": [3, NaN], "target": 3}\n', ["row 1", "NaN"]),
        ('{"numbers": [3, 4], "target": "12"}\n', ["row 1", "'12'"]),
        ('{"numbers": [3, 4], "target": -1}\n', ["row 1", "-1"]),
        ('{"numbers": [3, 4], "target": 1e400}\n', ["row 1", "1e400"]),
        ('{"numbers": [3, 4], "target": ' + "1" * 5000 + "}\n", ["row 1"]),
        (ROW + '{"numbers": ' + "[" * 100_000 + "\n", ["row 2"]),
        ("[" * 100_000, ["row 1"]),
    ],
)
def test_a_fault_in_a_users_file_is_a_data_error_that_names_the_line(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_problems(COUNTDOWN, path)
    message = str(caught.value)
    assert all(part in message for part in [str(path), *parts]), message[:500]


def test_a_file_that_is_no_utf8_is_a_data_error_that_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(ROW.encode() * 2 + b"\xff\n")
    with pytest.raises(DataError, match=r"row 3: byte 0xff at place 1 of the line is no UTF-8; run: iconv"):
        read_problems(COUNTDOWN, path)


def test_a_missing_file_or_a_folder_is_a_data_error(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "none.jsonl", "found no file or folder"), (tmp_path, "expected .* a clone of")):
        with pytest.raises(DataError, match=message):
            read_problems(COUNTDOWN, path)


@pytest.mark.parametrize(
    ("kind", "row", "part"),
    [
        ("math", r'{"problem": "\ud800", "solution": "\\boxed{1}", "level": "1", "type": "a"}', "surrogate"),
        ("olympiadbench", '{"question": "q", "final_answer": ["1"], "subfield": "x", "context": ["c"]}', "context"),
        (
            "mmlu-pro",
            '{"question": "q", "options": ["' + '", "'.join("abcdefghijk") + '"], "answer_index": 10, "category": "x"}',
            "found 11 options, expected 2 to 10",
        ),
    ],
)
def test_a_row_that_no_response_could_answer_or_no_file_could_hold_is_a_message(
    tmp_path: Path, kind: str, row: str, part: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(row + "\n")
    with pytest.raises(DataError, match=rf"row 1: .*{part}"):
        read_problems(kind, path)
