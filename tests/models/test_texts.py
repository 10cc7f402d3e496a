"""The text of a response: what its tokens say, with a mark where one of them is no text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def words() -> Any:
    from boundary_bench.training.pretrain import character_tokenizer

    return character_tokenizer()


def test_a_token_that_is_no_text_leaves_a_mark(words: Any) -> None:
    """Without it, 4<pad>2 would be 42; an id beyond the tokenizer's comes from a padded vocabulary."""
    from boundary_bench.models.tokenizer import MARK, shown

    four, two = words.encode("42").ids
    rows = [[four, 0, two], [four, two], [], [0], [four, 31_000, 1, two, 0], [four, 1], [four, two], [1]]
    assert shown(words, rows, [False] * 5 + [True] * 3) == [
        f"4{MARK}2",
        "42",
        "",
        MARK,
        f"4{MARK}{MARK}2{MARK}",
        "4",
        "42",
        "",
    ]


@pytest.mark.parametrize(
    ("grader", "reference", "before", "after"),
    [
        ("numeric", "42", "#### 4", "2"),
        ("math", "42", r"\boxed{4", "2}"),
        ("boxed", "42", r"\boxed{4", "2}"),
        ("exact", "42", "4", "2"),
        ("countdown", json.dumps({"numbers": [4, 6], "target": 24}), "4*", "6=24"),
    ],
)
def test_a_divided_answer_is_not_the_answer_and_one_beside_a_mark_is(
    grader: str, reference: str, before: str, after: str, tmp_path: Path
) -> None:
    from boundary_bench.benchmarks.countdown import GRADER
    from boundary_bench.grading import grade_many
    from boundary_bench.grading.graders import GRADERS
    from boundary_bench.grading.judging import Judge
    from boundary_bench.models.tokenizer import MARK

    whole = before + after
    texts = [whole, f"{before}{MARK}{after}", f"{MARK}{whole}", f"{whole}{MARK}"]
    with Judge(tmp_path) as judge:
        chosen = {**GRADERS, "countdown": GRADER}[grader]
        grades = grade_many(chosen, [reference] * 4, texts, [True] * 4, judge)
    beside = grader in ("exact", "countdown")  # there the answer is the whole response
    assert [grade.verdict == "correct" for grade in grades] == [True, False, not beside, not beside], grades


@pytest.mark.parametrize("text", ["Answer: B{}", "Answer: {}B", "{}B", "the answer is ({}B)", "B{}\n{}user\nWhat"])
def test_a_letter_beside_a_mark_is_the_choice(text: str) -> None:
    from boundary_bench.grading import grade_many, judge_here
    from boundary_bench.grading.graders import GRADERS
    from boundary_bench.models.tokenizer import MARK

    (grade,) = grade_many(GRADERS["choice"], ["B"], [text.replace("{}", MARK)], [True], judge_here)
    assert grade.verdict == "correct", grade


def test_the_users_turn_after_a_special_token_is_another_question() -> None:
    from boundary_bench.grading import grade_many, judge_here
    from boundary_bench.grading.graders import GRADERS
    from boundary_bench.models.tokenizer import MARK

    texts = [f"#### 42{MARK}\n{MARK}user\nAnd 3 + 4?{MARK}\n{MARK}assistant\n#### 7", f"#### 7{MARK}final{MARK}#### 42"]
    grades = grade_many(GRADERS["numeric"], ["42"] * 2, texts, [True] * 2, judge_here)
    assert [str(grade.verdict) for grade in grades] == ["correct"] * 2, grades
