"""Real golds and responses, where they are: every gold is correct in every notation, and none answers its neighbour."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import pytest
from workflow import REPOSITORY

from boundary_bench.benchmarks import KINDS, problems_of
from boundary_bench.benchmarks.base import Problem
from boundary_bench.benchmarks.columns import columns_of
from boundary_bench.benchmarks.notations import responses
from boundary_bench.grading import Grade, Verdict, grade_many
from boundary_bench.grading.graders import GRADERS
from boundary_bench.grading.judging import Judge
from boundary_bench.grading.normal import normal

SHARED = REPOSITORY.parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real sets of ../shared/data")

#: file -> kind, columns, problems
SETS = {
    "math-test.jsonl": ("math", None, 5_000),
    "math-train.jsonl": ("math", None, 7_498),
    "minerva_math.jsonl": ("minerva-math", {"question": "problem"}, 272),
    "olympiadbench.jsonl": ("olympiadbench", None, 675),
    "aime24.jsonl": ("aime-2024", None, 30),
    "aime2025-verl.parquet": ("aime-2025", "verl", 30),
    "amc23.jsonl": ("amc-2023", None, 40),
    "gsm8k-test.jsonl": ("gsm8k", None, 1_319),
    "arc-challenge-test.jsonl": ("arc-challenge", None, 1_172),
}


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with Judge(tmp_path_factory.mktemp("judgements"), 2) as found:
        yield found


@cache
def problems(name: str) -> list[Problem]:
    kind, columns, count = SETS[name]
    data = str(SHARED / "benchmarks" / name)
    found = problems_of(KINDS[kind], "test", 0, KINDS[kind].options, data, columns_of(KINDS[kind], columns, data, "it"))
    assert len(found.problems) == count
    return found.problems


def graded(name: str, rows: list[tuple[str, str]], judge: Judge) -> list[Grade]:
    references, texts = zip(*rows, strict=True)
    return grade_many(KINDS[SETS[name][0]].grader, references, texts, [True] * len(rows), judge)


@pytest.mark.parametrize("name", SETS)
def test_every_gold_solution_is_correct(name: str, judge: Judge) -> None:
    rows = [(each.reference, each.solution) for each in problems(name)]
    wrong = [row for row, grade in zip(rows, graded(name, rows, judge), strict=True) if grade.verdict != "correct"]
    assert not wrong, wrong[:3]


@pytest.mark.parametrize("name", SETS)
def test_every_gold_is_correct_in_every_notation(name: str, judge: Judge) -> None:
    grader = KINDS[SETS[name][0]].grader.name
    golds = dict.fromkeys(each.reference for each in problems(name))
    rows = [(gold, notation, text) for gold in golds for notation, text in responses(grader, gold).items()]
    assert len(rows) > 3 * len(golds)
    grades = graded(name, [(gold, text) for gold, _, text in rows], judge)
    wrong = [(row, grade) for row, grade in zip(rows, grades, strict=True) if grade.verdict is not Verdict.CORRECT]
    assert not wrong, wrong[:3]


@pytest.mark.parametrize("name", SETS)
def test_no_gold_answers_the_next_problem(name: str, judge: Judge) -> None:
    """Of golds that are not the same string in any dress."""
    found = problems(name)
    pairs = zip(found, [*found[1:], found[0]], strict=True)
    rows = [
        (each.reference, f"\\boxed{{{other.reference}}}")
        for each, other in pairs
        if normal(each.reference) != normal(other.reference)
    ]
    grades = graded(name, rows, judge)
    accepted = [row for row, grade in zip(rows, grades, strict=True) if grade.verdict is Verdict.CORRECT]
    assert not accepted


def test_real_responses_are_graded_as_their_authors_did_but_where_these_erred(judge: Judge) -> None:
    """800 responses to 100 problems of MATH with the scores of the Qwen2.5-Math evaluation."""
    lines = (SHARED / "samples" / "qwen-math-eval.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [
        (row["gt"], text, score)
        for row in map(json.loads, lines)
        for text, score in zip(row["code"], row["score"], strict=True)
    ]
    assert len(rows) == 800
    for grader in ("math", "boxed"):
        golds, texts, scores = zip(*rows, strict=True)
        grades = grade_many(GRADERS[grader], golds, texts, [True] * len(rows), judge)
        verdicts = [grade.verdict is Verdict.CORRECT for grade in grades]
        differ = [
            (gold, grade.answer)
            for (gold, *_), grade, a, b in zip(rows, grades, verdicts, scores, strict=True)
            if a != b
        ]
        assert differ == [("10{,}000", "10000")], "which is right, and was scored as wrong"
