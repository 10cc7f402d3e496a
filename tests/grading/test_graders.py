"""Graders without their processes: what counts as equal, what is beyond a limit, and hostile text."""

from __future__ import annotations

import time

import pytest
from answers import GOLDEN, REFUSED
from hypothesis import given
from hypothesis import strategies as st

from boundary_bench.grading import Grade, Nothing, Ruling, Verdict, extract, graders, sieve
from boundary_bench.grading.graders import GRADERS
from boundary_bench.grading.normal import normal

NAME = {"C": Verdict.CORRECT, "w": Verdict.WRONG}
#: Text made of what the extraction looks for.
PIECES = st.lists(
    st.sampled_from(
        [
            "\\boxed{",
            "\\fbox{",
            "{",
            "}",
            "\\{",
            "\\",
            "\\frac",
            "1",
            "23",
            ",",
            ".",
            "####",
            "answer is",
            "Answer:",
            " ",
            "\n",
            "$",
            "%",
            "^",
            "!",
            "(",
            ")",
            "A",
            "(B)",
            "\x00",
            "\u202e",
            "x",
            "-",
            "/",
            "I hope it is correct",
        ]
    ),
    max_size=40,
).map("".join)


@pytest.mark.parametrize(("reference", "answer", "expected"), GOLDEN)
def test_math_and_boxed_on_golden_answers(reference: str, answer: str, expected: str) -> None:
    assert extract.mathematics(f"So \\boxed{{{answer}}}.") == answer
    assert graders.mathematics(reference, answer).verdict is NAME[expected[0]]
    assert graders.boxed(reference, answer).verdict is NAME[expected[1]]


@pytest.mark.parametrize("reference", sorted({reference for reference, _, _ in GOLDEN}))
def test_every_reference_answers_itself_and_its_normal_form_is_its_own(reference: str) -> None:
    assert graders.mathematics(reference, reference) == (Verdict.CORRECT, "equal text")
    assert graders.boxed(reference, reference).verdict is Verdict.CORRECT
    assert normal(normal(reference)) == normal(reference)


@pytest.mark.parametrize(
    ("reference", "response", "expected"),
    [
        ("18", "Janet makes 9 * 2 = $18 a day.\n#### 18", "correct"),
        ("1000", "So #### 1,000", "correct"),
        ("1,000", "It costs $1000.00 in all.", "correct"),
        ("18", "The answer is 18.", "correct"),
        ("18", "\\boxed{18} since 2 + 16 = 18, or 17 + 1", "correct"),
        ("50", "50% of them", "correct"),
        ("0.75", "#### 3/4", "correct"),
        ("-3", "#### -3", "correct"),
        ("0.1", "#### 0.10", "correct"),
        ("3", "#### 1/0", "wrong"),
        ("18", "#### 18.5", "wrong"),
        ("18", "18 of 20", "wrong"),
        ("18", "none", "unparsable"),
        ("18", "#### " + "1" * 200, "wrong"),
    ],
)
def test_numbers(reference: str, response: str, expected: str) -> None:
    assert GRADERS["numeric"].grade(reference, response).verdict == expected


def test_exact_answers() -> None:
    exact = GRADERS["exact"]
    assert exact.grade("abc", " abc\n") == Grade(Verdict.CORRECT, "abc", "equal text")
    assert exact.grade("abc", "Abc").verdict is Verdict.WRONG
    assert exact.grade("abc", " \n").verdict is Verdict.UNPARSABLE


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
def test_answers_beyond_a_limit_never_meet_algebra_and_say_which_limit_it_is(answer: str) -> None:
    for response in (f"\\boxed{{{answer}}}", f"The answer is: {answer}"):
        found = extract.mathematics(response)
        verdict, reason = (Verdict.UNPARSABLE, found.reason) if isinstance(found, Nothing) else ruled("2", found)
        exactly = reason.startswith("unequal numbers")  # 101 digits are, or what stands in balanced braces
        assert exactly or (verdict is Verdict.UNPARSABLE and reason.startswith(("limit: ", "no answer found"))), reason


def ruled(reference: str, answer: str) -> Ruling:
    """The ruling of ``math``, which needs no algebra."""
    found = graders.quick(reference, answer)
    assert found is not None
    return found


@pytest.mark.parametrize("answer", [text for text in REFUSED.values() if text and not sieve.unreadable(text)])
def test_a_reference_beyond_a_limit_is_answered_by_its_own_text(answer: str) -> None:
    assert ruled(answer, answer) == ruled(answer, f" {answer}. ") == (Verdict.CORRECT, "equal text")
    verdict, reason = ruled(answer, "5")
    assert verdict is Verdict.WRONG and ("the reference is beyond a limit: " in reason or "unequal numbers" in reason)


@pytest.mark.parametrize(
    "answer",
    [
        "2^{100}",
        "x^2y^2",
        "2a^3b^4",
        "x^ny^n",
        "e^xe^y",
        "2^3x^2",
        "2018^{2018}",
        "2013!",
        "x^{2^n}",
        "2^{2^{10}}",
        "e^{-x^2}",
        "20!",
        r"\frac{10!}{5!\,5!}",
        "(-1,2]",
        "1" * 100,
        ",".join(map(str, range(60))),
        r"\sqrt{1+\sqrt{1+\sqrt{1+\sqrt{2}}}}",
        r"\left\{1,2\right\}",
        "a\nb",
    ],
)
def test_honest_answers_are_within_the_limits(answer: str) -> None:
    assert sieve.unreadable(answer) is sieve.incomputable(answer) is None


def test_every_reference_is_within_the_limits() -> None:
    assert not any(sieve.unreadable(text) or sieve.incomputable(text) for pair in GOLDEN for text in pair[:2])


@given(st.one_of(st.text(), PIECES))
def test_no_text_breaks_an_extraction_and_what_it_finds_is_in_the_text(text: str) -> None:
    for name, grader in GRADERS.items():
        answer = grader.extract(text)
        if isinstance(answer, Nothing):
            assert answer.reason
        else:
            assert answer and sieve.unreadable(answer) is None
            assert answer in "ABCDEFGHIJ" if name == "choice" else answer in text


@given(st.one_of(st.text(), PIECES), st.one_of(st.text(), PIECES))
def test_no_text_breaks_a_judge_in_this_process(reference: str, answer: str) -> None:
    for name in ("boxed", "exact", "choice", "numeric"):
        verdict, reason = GRADERS[name].judge(reference, answer[:1000])
        assert verdict in (Verdict.CORRECT, Verdict.WRONG) and reason
    verdict, reason = graders.quick(reference, answer[:1000]) or (None, "")
    assert verdict in (None, Verdict.CORRECT, Verdict.WRONG, Verdict.UNPARSABLE)


@pytest.mark.parametrize(
    "piece",
    [
        "\\boxed{",
        "\\boxed{1} ",
        "\\boxed{1",
        "}",
        "{",
        "\\",
        "\\\\",
        "answer is ",
        "answer: ",
        "#### ",
        "1",
        "1,",
        "(",
        " ",
        "\n",
        "\\boxed ",
        "$",
        "A ",
        "*",
        "-",
        "1/",
        ".",
        "\\text{",
        "answer:*",
        "\n\n####",
    ],
)
def test_extraction_takes_time_linear_in_the_response(piece: str) -> None:
    """Quadratic time on a million characters would be hours; the bound leaves room for a slow machine."""
    text = (piece * 1_000_000)[:1_000_000]
    begun = time.process_time()
    for grader in GRADERS.values():
        grader.extract(text)
    assert time.process_time() - begun < 20


@pytest.mark.parametrize("cue", ["The answer is ", "#### ", "\\boxed{"])
@pytest.mark.parametrize(
    "piece", ["12 or ", "1*2, which is ", "5 or 5.0 or ", " ", "x = ", "1:", "not ", "A or ", "1 and "]
)
def test_an_answer_without_end_is_bounded_in_depth_and_time(cue: str, piece: str) -> None:
    text = cue + (piece * 100_000)[:100_000]
    begun = time.process_time()
    for grader in GRADERS.values():
        grader.extract(text)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("reference", ["1e999999999", "nan", "Infinity", "1/0", "", "1/2/3", "sNaN"])
def test_a_reference_that_is_no_number_in_digits_is_right_for_nothing(reference: str) -> None:
    """References are data of others too: a billion digits are not written out."""
    started = time.perf_counter()
    assert GRADERS["numeric"].judge(reference, "5") == (Verdict.WRONG, "the reference is no number")
    assert time.perf_counter() - started < 1
