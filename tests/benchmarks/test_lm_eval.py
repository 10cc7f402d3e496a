"""lm-eval tasks through lm-eval itself: a small task of our own with local data, and the definitions it ships."""

from __future__ import annotations

import pytest

from boundary_bench.benchmarks import kind_of, options_of
from boundary_bench.benchmarks.base import Kind
from boundary_bench.benchmarks.battery import CHECKS
from boundary_bench.benchmarks.lm_eval_task import stop_strings
from boundary_bench.core.errors import DataError, StudyError
from boundary_bench.grading import Grade, Verdict, judge_here

SUMS = "lm_eval:tests/data/lm_eval/sums.yaml"


@pytest.fixture
def sums() -> Kind:
    pytest.importorskip("lm_eval")
    return kind_of(SUMS, "here")


def test_prompt_target_and_examples_are_the_tasks_own(sums: Kind) -> None:
    problems = sums.generate("test", 0, sums.options)
    assert len(problems) == 6 and not any(check(sums, problems, judge_here) for check in CHECKS.values())
    examples = "Q: What is 3 and 3?\nA: #### 6\n\nQ: What is 10 and 5?\nA: #### 15\n\n"
    assert problems[0].prompt == examples + "Q: What is 2 and 3?\nA:"
    assert problems[0].reference == '["Two and three make five.\\n#### 5"]'
    none = options_of(sums, {"few_shot": 0, "problems": 2}, "here")
    assert [each.prompt for each in sums.generate("test", 0, none)] == [
        "Q: What is 2 and 3?\nA:",
        "Q: What is 999 and 1?\nA:",
    ]
    assert problems == sums.generate("test", 0, sums.options)
    train = {each.prompt for each in sums.generate("train", 0, none)}
    assert len(train) == 2 and not train & {each.prompt for each in problems}
    with pytest.raises(StudyError, match="has no dev split"):
        sums.generate("dev", 0, sums.options)


@pytest.mark.parametrize(
    ("response", "verdict", "flexible"),
    [
        ("It is #### 1,000", Verdict.CORRECT, Verdict.CORRECT),
        ("#### 1000.", Verdict.CORRECT, Verdict.CORRECT),
        ("1000", Verdict.UNPARSABLE, Verdict.CORRECT),
        ("#### 1000 or 7", Verdict.CORRECT, Verdict.WRONG),
        ("#### 100", Verdict.WRONG, Verdict.WRONG),
        ("none", Verdict.UNPARSABLE, Verdict.UNPARSABLE),
        ("[invalid]", Verdict.UNPARSABLE, Verdict.UNPARSABLE),
        ("#### 1000" + " " * 60_000, Verdict.UNPARSABLE, Verdict.UNPARSABLE),
    ],
)
def test_filter_and_metric_are_the_tasks_own(sums: Kind, response: str, verdict: str, flexible: str) -> None:
    reference = sums.generate("test", 0, sums.options)[1].reference
    assert sums.grader.grade(reference, response).verdict is verdict
    assert kind_of(f"{SUMS}@flexible", "here").grader.grade(reference, response).verdict is flexible


def test_the_answer_is_what_the_filter_takes_out(sums: Kind) -> None:
    assert sums.grader.grade('["5"]', "so #### 5.") == Grade(Verdict.CORRECT, "5.", "exact match")


def test_stop_strings_hold_no_ordinary_word(sums: Kind) -> None:
    assert sums.stop() == ("\n\n", "</s>", "<|im_end|>")
    assert stop_strings(["user", "assistant", "Question:", "_end", "<b c>", "<|a b|>", "2 < 3 > 1"]) == ()
    assert stop_strings(["\nQ:", "<|eot_id|>", "<end_of_turn>"]) == ("\nQ:", "<|eot_id|>", "<end_of_turn>")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("arc_easy", "output_type is multiple_choice"),
        ("aime24", "function of its own"),
        ("gsm8k@nope", "no filter 'nope', but strict-match, flexible-extract"),
        ("nope", "no task of that name"),
        ("nope.yaml", "no such file"),
    ],
)
def test_what_no_exact_match_decides_is_refused_by_name(sums: Kind, name: str, reason: str) -> None:
    with pytest.raises(StudyError, match=f"lm_eval:{name.split('@')[0]}.*{reason}"):
        kind_of(f"lm_eval:{name}", "here").stop()


def test_definitions_that_lm_eval_ships_are_read_without_their_data(sums: Kind) -> None:
    kind = kind_of("lm_eval:gsm8k", "here")
    assert kind.stop() == ("</s>", "<|im_end|>")
    assert kind.grader.grade('["They are\\n#### 1,018"]', "The sum is\n#### 1018").verdict is Verdict.CORRECT
    with pytest.raises(DataError, match=r"lm_eval:gsm8k: the task or its data set cannot be loaded"):
        kind.generate("test", 0, kind.options)


def test_naming_a_task_loads_nothing() -> None:
    """Every job plans the study first: a task that does not exist is found when its problems are made."""
    assert kind_of("lm_eval:no_such_task", "here").name == "lm_eval:no_such_task"
