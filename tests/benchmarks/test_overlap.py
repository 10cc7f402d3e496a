"""Overlap: whole questions and 13 words in a row, found in made cases and against a plain definition."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from boundary_bench.benchmarks.base import Problem
from boundary_bench.benchmarks.overlap import EDGES, WORDS, overlap

LONG = "A farmer has three fields and plants wheat on two of them while cows graze on the third one"


def asked(*questions: str) -> list[Problem]:
    return [Problem(question, str(number), "") for number, question in enumerate(questions)]


def test_questions_are_the_same_but_for_case_and_white_space() -> None:
    problems, training = (
        asked("What is 2+2?", "what  is\n2+2?", "What is 2-2?"),
        asked("", "WHAT IS 2+2?", "What is 2+2? "),
    )
    found = overlap(problems, training)
    assert [(each.id, each.with_ids) for each in found.duplicates] == [(problems[1].id, [problems[0].id])]
    both = sorted(each.id for each in training[1:])
    assert [(each.id, each.with_ids) for each in found.exact] == [(each.id, both) for each in problems[:2]]
    assert not found.words, "short questions have no 13 words, and operators count"


def test_thirteen_words_in_a_row_are_found_and_twelve_are_not() -> None:
    words = LONG.split()
    thirteen, twelve = (" ".join(["Once:", *words[2 : 2 + count], "again!"]) for count in (13, 12))
    training = asked(LONG)
    assert len(words) == 19
    found = overlap(asked(thirteen), training)
    assert [each.with_ids for each in found.words] == [[training[0].id]] and found.words[0].share == 1 / 3
    assert not overlap(asked(twelve), training).words
    punctuated = ", ".join(words[:13]).upper() + "."
    assert overlap(asked(punctuated), training).words[0].share == 1.0
    assert not overlap(asked(LONG), training).words, "the whole question counts as exact alone"


def test_the_record_is_json_and_the_line_gives_the_counts() -> None:
    found = overlap(asked(LONG, LONG.lower(), "short"), asked(LONG + " here", LONG))
    assert json.loads(json.dumps(found.record()))["problems"] == 3
    assert str(found) == (
        "of 3 problems, 1 repeat another, 2 are in the training set of 2, 0 more share 13 words in a row with it"
    )


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=10, max_size=22), max_size=6), st.integers(0, 6))
def test_runs_agree_with_the_definition(texts: list[list[str]], cut: int) -> None:
    problems, training = (asked(*map(" ".join, part)) for part in (texts[:cut], texts[cut:]))

    def runs(problem: Problem) -> list[tuple[str, ...]]:
        words = [word.strip(EDGES) for word in problem.prompt.split()]
        return [tuple(words[i : i + WORDS]) for i in range(max(0, len(words) - WORDS + 1))]

    expected = {}
    for problem in problems:
        if problem.prompt not in {each.prompt for each in training}:
            held = {each.id for each in training if set(runs(problem)) & set(runs(each))}
            if held:
                known = {run for each in training for run in runs(each)}
                share = sum(run in known for run in runs(problem)) / len(runs(problem))
                expected[problem.id] = (sorted(held), share)
    assert {each.id: (each.with_ids, each.share) for each in overlap(problems, training).words} == expected
