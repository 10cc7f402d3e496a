"""Countdown: exact chances, disjoint splits, and a grader that no text can fool."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary_bench.benchmarks import KINDS, options_of
from boundary_bench.benchmarks.base import Kind, Problem
from boundary_bench.benchmarks.countdown import (
    ALPHABET,
    COUNTDOWN,
    TARGETS,
    problem,
    prompt,
    reachable,
    solutions,
    solve,
    split_of,
)
from boundary_bench.core.errors import StudyError
from boundary_bench.grading import TRUNCATED, Grade, Ruling, Verdict, grade_all


def grade(problem: Problem, response: str) -> Grade:
    return COUNTDOWN.grader.grade(problem.reference, response)


SPLITS = ("train", "dev", "test")
EXAMPLE = problem([3, 8, 5, 2], 27, "3*8=24,24+5=29,29-2=27")


@cache
def generated(name: str, split: str, seed: int) -> list[Problem]:
    kind = KINDS[name]
    return kind.generate(split, seed, kind.options)


@pytest.fixture(params=["countdown", "countdown-hard"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def test_a_spoilt_solution_never_grades_correct(kind: Kind) -> None:
    for each in generated(kind.name, "test", 0)[::7]:
        spoilt = [each.solution + " ", " " + each.solution, each.solution + "\n", each.solution * 2, each.solution[1:]]
        for text in [*spoilt, "0", "-1", "yes", each.prompt, each.reference]:
            assert kind.grader.grade(each.reference, text).verdict in (Verdict.WRONG, Verdict.UNPARSABLE), text


def test_splits_share_no_problem_even_in_another_order(kind: Kind) -> None:
    def names(split: str) -> set[object]:
        rows = [json.loads(each.reference) for seed in (0, 1, 2) for each in generated(kind.name, split, seed)]
        return {(*sorted(row["numbers"]), row["target"]) for row in rows}

    train, dev, test = map(names, SPLITS)
    assert train and dev and test
    assert not (train & dev or train & test or dev & test)


# countdown: what is generated


def test_kinds_give_the_numbers_and_sizes_they_promise() -> None:
    assert Counter(each.stratum for each in generated("countdown", "test", 0)) == {
        "3 numbers": 20,
        "4 numbers": 40,
        "5 numbers": 40,
    }
    for each in generated("countdown-hard", "test", 0):
        numbers, target = (json.loads(each.reference)[name] for name in ("numbers", "target"))
        assert len(numbers) == 5 and target in TARGETS and each.chance is not None and each.chance <= 1e-3
        assert each.chance == reachable(tuple(sorted(numbers)))[target]


def test_prompts_and_solutions_use_the_alphabet_of_the_tokenizer() -> None:
    for name in ("countdown", "countdown-hard"):
        for each in generated(name, "test", 0):
            assert set(each.prompt + each.solution) <= set(ALPHABET)
            assert each.prompt == prompt(**json.loads(each.reference))


def test_solutions_to_pretrain_on_are_right_and_of_the_train_split() -> None:
    texts = list(solutions(0, 300, {2: 1, 3: 2, 4: 1}))
    assert len(texts) == 300 and texts == list(solutions(0, 300, {2: 1, 3: 2, 4: 1})) != list(solutions(1, 300, {3: 1}))
    for question, answer in texts:
        digits, target = question.removesuffix(":").split("=")
        numbers = [int(digit) for digit in digits]
        assert split_of(numbers, int(target)) == "train"
        assert grade(problem(numbers, int(target), answer), answer).verdict is Verdict.CORRECT


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(0, 400), st.randoms(use_true_random=False))
def test_permutations_of_a_problem_share_its_split(numbers: list[int], target: int, rng: random.Random) -> None:
    shuffled = rng.sample(numbers, len(numbers))
    assert split_of(numbers, target) == split_of(shuffled, target)


def test_splits_have_their_shares() -> None:
    found = Counter(
        split_of([a, b, c], t) for a, b, c in itertools.combinations(range(1, 10), 3) for t in range(10, 60)
    )
    total = sum(found.values())
    assert abs(found["test"] / total - 0.05) < 0.02 and abs(found["dev"] / total - 0.05) < 0.02


@pytest.mark.parametrize(
    "options", [{"problems": {2: 20}}, {"problems": {3: 5}, "max_chance": 1e-9, "targets": "uniform"}]
)
def test_options_that_no_problem_meets_are_an_error_and_no_endless_search(options: dict[str, object]) -> None:
    with pytest.raises(StudyError, match="expected"):
        COUNTDOWN.generate("test", 0, options_of(COUNTDOWN, options, "here"))


@pytest.mark.parametrize("count", [0, -4])
def test_a_size_without_problems_is_refused(count: int) -> None:
    """An empty problem set would only fail much later, in the sample stage."""
    with pytest.raises(StudyError, match="problems"):
        options_of(COUNTDOWN, {"problems": {3: count}}, "here")


# countdown: chances


def test_chances_of_three_numbers_equal_an_enumeration() -> None:
    def ends(a: int, b: int) -> list[int]:
        return [a + b, max(a, b) - min(a, b), a * b]

    for numbers in [(1, 2, 3), (2, 2, 9), (5, 5, 5), (1, 8, 9), (3, 7, 4)]:
        found: Counter[int] = Counter()
        for alone in range(3):
            a, b = (numbers[i] for i in range(3) if i != alone)
            for first in ends(a, b):
                found.update(ends(first, numbers[alone]))
        assert sum(found.values()) == 27
        expected = {value: count / 27 for value, count in found.items()}
        assert reachable(tuple(sorted(numbers))) == pytest.approx(expected)


def chance_of(pool: list[int], target: int) -> Fraction:
    """The definition, written down again: average over every pair of places and every operation."""
    if len(pool) == 1:
        return Fraction(int(pool[0] == target))
    outcomes = []
    for i, j in itertools.combinations(range(len(pool)), 2):
        rest = [pool[k] for k in range(len(pool)) if k not in (i, j)]
        outcomes += [
            chance_of([*rest, v], target) for v in (pool[i] + pool[j], abs(pool[i] - pool[j]), pool[i] * pool[j])
        ]
    return sum(outcomes, Fraction()) / len(outcomes)


@pytest.mark.parametrize("numbers", [[1, 2, 3, 4], [7, 3, 3, 9], [2, 2, 2, 2]])
def test_chances_of_four_numbers_equal_an_exact_recursion(numbers: list[int]) -> None:
    found = reachable(tuple(sorted(numbers)))
    assert sum(found.values()) == pytest.approx(1)
    for target in [*itertools.islice(found, 25), 7777]:
        assert found.get(target, 0.0) == pytest.approx(float(chance_of(numbers, target)), abs=1e-12)


def random_chain(rng: random.Random, numbers: list[int]) -> str:
    """A uniformly random valid chain as a response would write it."""
    pool, steps = numbers[:], []
    while len(pool) > 1:
        i, j = rng.sample(range(len(pool)), 2)
        a, b = max(pool[i], pool[j]), min(pool[i], pool[j])
        operator, value = rng.choice([("+", a + b), ("-", a - b), ("*", a * b)])
        pool = [pool[k] for k in range(len(pool)) if k not in (i, j)] + [value]
        steps.append(f"{a}{operator}{b}={value}")
    return ",".join(steps)


def test_the_stated_chance_is_how_often_the_grader_accepts_random_chains() -> None:
    rng, count = random.Random(0), 4_000
    chosen = [generated("countdown", "test", 0)[i] for i in (0, 5, 12, 30, 45)] + [problem([2, 2, 4], 8, "")]
    assert len({each.stratum for each in chosen}) >= 2
    for each in chosen:
        numbers = json.loads(each.reference)["numbers"]
        verdicts = Counter(grade(each, random_chain(rng, numbers)).verdict for _ in range(count))
        assert set(verdicts) <= {Verdict.CORRECT, Verdict.WRONG}, "a valid chain is never unparsable"
        assert each.chance is not None
        error = (each.chance * (1 - each.chance) / count) ** 0.5
        assert abs(verdicts[Verdict.CORRECT] / count - each.chance) < 4 * error + 1 / count


def test_solve_finds_a_chain_exactly_where_one_exists() -> None:
    for numbers in ([3, 4], [1, 1, 1], [2, 3, 9], [1, 5, 7, 8]):
        values = reachable(tuple(sorted(numbers)))
        for target in range(0, 130):
            found = solve(numbers, target)
            assert (found is not None) == (target in values)
            if found is not None:
                assert grade(problem(numbers, target, found), found).verdict is Verdict.CORRECT


# countdown: the grader

WRONG_CHAINS = {
    "wrong arithmetic": "3*8=25,25+5=30,30-2=28",
    "wrong arithmetic that ends at the target": "3*8=22,22+5=27,27-2=27",
    "a number used twice": "3*8=24,3*8=24,24+5=29,29-2=27",
    "a number that is not given": "3*8=24,24+4=28,28-1=27",
    "a number that is not given, after all others": "3*8=24,24+5=29,29-2=27,27+0=27",
    "two numbers that are not given": "3*8=24,24+5=29,29-2=27,9*3=27",
    "not all numbers used": "3*8=24,24+5=29",
    "not all numbers used, target reached": "5*5=25,25+2=27",
    "a result used twice": "3*8=24,24+5=29,29-2=27,27+24=51",
    "the target as a given number": "27+0=27",
    "only the last step": "29-2=27",
    "a step before its operand exists": "24+5=29,3*8=24,29-2=27",
    "another target": "3*8=24,24+5=29,29+2=31",
}
NO_CHAIN = Grade(Verdict.UNPARSABLE, None, "no answer found")
UNPARSABLE_CHAINS = {
    "empty": "",
    "only commas": ",,,",
    "comma at the end": "3*8=24,24+5=29,29-2=27,",
    "comma at the front": ",3*8=24,24+5=29,29-2=27",
    "two commas": "3*8=24,,24+5=29,29-2=27",
    "newline at the end": "3*8=24,24+5=29,29-2=27\n",
    "newline between": "3*8=24\n24+5=29\n29-2=27",
    "carriage return": "3*8=24,24+5=29,29-2=27\r",
    "spaces": "3 * 8 = 24, 24 + 5 = 29, 29 - 2 = 27",
    "no-break space": "3*8=24,\u00a024+5=29,29-2=27",
    "negative result": "3-8=-5,5+5=10,10-2=8",
    "negative operand": "3*8=24,24--5=29,29-2=27",
    "plus sign": "3*8=+24,24+5=29,29-2=27",
    "Arabic-Indic digits": "٣*٨=٢٤,٢٤+٥=٢٩,٢٩-٢=٢٧",
    "fullwidth digits": "3*8=24,24+5=29,29-2=27".translate({48 + digit: 0xFF10 + digit for digit in range(10)}),
    "superscript": "3*8=24,24+5=29,29-2=2⁷",
    "multiplication sign": "3×8=24,24+5=29,29-2=27",
    "minus sign": "3*8=24,24+5=29,29\u22122=27",
    "words around it": "The answer is 3*8=24,24+5=29,29-2=27",
    "two operations in a step": "3*8+5=29,29-2=27",
    "division": "8/2=4,4*5=20,20+3=23",
    "float": "3*8=24.0,24+5=29,29-2=27",
    "exponent": "3*8=24,24+5=29,29-2=27e0",
    "seven digits": "3*8=0000024,24+5=29,29-2=27",
    "a huge number": "3*8=" + "9" * 200,
    "hexadecimal": "3*8=0x18,24+5=29,29-2=27",
    "underscore": "3*8=2_4,24+5=29,29-2=27",
    "the target alone": "27",
    "end token as text": "3*8=24,24+5=29,29-2=27</s>",
}


@pytest.mark.parametrize("name", WRONG_CHAINS)
def test_chains_with_a_fault_are_wrong_and_an_answer_all_the_same(name: str) -> None:
    found = grade(EXAMPLE, WRONG_CHAINS[name])
    assert found.verdict is Verdict.WRONG
    assert found.answer is not None
    assert [step.split("=")[1] for step in found.answer.split(",")] == [
        step.split("=")[1] for step in WRONG_CHAINS[name].split(",")
    ]


def test_the_answer_is_the_chain_whatever_the_order_of_operands() -> None:
    answers = {
        text: grade(EXAMPLE, text).answer
        for text in ("3*8=24,24+5=29,29-2=27", "8*3=24,5+24=29,29-2=27", "03*8=24,24+05=29,29-2=27", "8+5=13")
    }
    assert set(answers.values()) == {"3*8=24,5+24=29,29-2=27", "5+8=13"}
    assert grade(EXAMPLE, "9-2=7").answer == "9-2=7", "the operands of a difference keep their places"


@pytest.mark.parametrize("name", UNPARSABLE_CHAINS)
def test_what_is_no_chain_is_unparsable(name: str) -> None:
    found = grade(EXAMPLE, UNPARSABLE_CHAINS[name])
    assert found in (NO_CHAIN, replace(NO_CHAIN, reason="limit: more than 256 characters"))


@pytest.mark.parametrize(
    "response", ["3*8=24,24+5=29,29-2=27", "8*3=24,5+24=29,29-2=27", "5-2=3,3*8=24,24+3=27", "8-5=3,3*3=9,9*2=18"]
)
def test_any_valid_order_of_steps_and_operands_counts(response: str) -> None:
    expected = Verdict.CORRECT if response.endswith("27") else Verdict.WRONG
    assert grade(EXAMPLE, response).verdict is expected


def test_a_part_of_the_numbers_does_not_do() -> None:
    chain = problem([3, 8, 2], 24, "")
    assert grade(chain, "3*8=24").verdict is Verdict.WRONG
    assert grade(problem([2, 2, 24], 24, ""), "2-2=0").verdict is Verdict.WRONG


def test_a_foreign_digit_anywhere_is_unparsable() -> None:
    gold = EXAMPLE.solution
    for place in [i for i, character in enumerate(gold) if character.isdigit()]:
        for zero in (0x0660, 0xFF10, 0x1D7CE):
            response = f"{gold[:place]}{chr(zero + int(gold[place]))}{gold[place + 1 :]}"
            assert grade(EXAMPLE, response) == NO_CHAIN, response


def test_leading_zeros_are_read_as_the_number_they_write() -> None:
    """Pinned, not praised: 024 counts as 24 (up to six digits), so a policy is not marked down for it."""
    assert grade(EXAMPLE, "03*8=024,24+05=29,29-2=000027").verdict is Verdict.CORRECT


@pytest.mark.parametrize(
    "text", ["1+1=2," * 200_000, "9" * 1_000_000, "," * 1_000_000, "3*8=24" + " " * 1_000_000, "\0" * 10**6]
)
def test_a_megabyte_of_text_is_refused_at_once(text: str) -> None:
    begun = time.perf_counter()
    for _ in range(100):
        assert grade(EXAMPLE, text) == replace(NO_CHAIN, reason="limit: more than 256 characters")
    assert time.perf_counter() - begun < 1.0, "a hundred of them take milliseconds"


def test_equal_numbers_may_each_be_used_once() -> None:
    twice = problem([4, 4, 2], 18, "4*4=16,16+2=18")
    assert grade(twice, "4*4=16,16+2=18").verdict is Verdict.CORRECT
    assert grade(problem([4, 3, 2], 18, ""), "4*4=16,16+2=18").verdict is Verdict.WRONG


def test_grading_is_pure() -> None:
    before = EXAMPLE.reference
    right = Grade(Verdict.CORRECT, "3*8=24,5+24=29,29-2=27", "a chain to the target")
    assert [grade(EXAMPLE, EXAMPLE.solution) for _ in range(3)] == [right] * 3
    assert EXAMPLE.reference == before


def test_a_response_that_was_cut_off_is_truncated_even_where_its_text_is_right() -> None:
    gold = EXAMPLE.solution
    texts, finished = [gold, gold, "3*8=25", "", gold], [True, False, True, False, True]
    calls: list[str] = []

    def counting(reference: str, answer: str) -> Ruling:
        calls.append(answer)
        return COUNTDOWN.grader.judge(reference, answer)

    right = Grade(Verdict.CORRECT, "3*8=24,5+24=29,29-2=27", "a chain to the target")
    wrong = Grade(Verdict.WRONG, "3*8=25", "a step that is wrong")
    found = grade_all(replace(COUNTDOWN.grader, judge=counting), EXAMPLE.reference, texts, finished)
    assert found == [right, TRUNCATED, wrong, TRUNCATED, right]
    assert calls == [right.answer, wrong.answer], "equal answers are judged once, truncated ones not at all"


def test_grades_and_responses_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="zip"):
        grade_all(COUNTDOWN.grader, EXAMPLE.reference, ["a", "b"], [True])
