"""Graders without their processes: what is extracted, what is refused, what counts as equal."""

from __future__ import annotations

import random
import time

import pytest
from answers import GOLDEN, REFUSED
from hypothesis import given
from hypothesis import strategies as st

from boundary_bench.grading import Grade, Verdict, extract, graders, limits
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
    assert graders.mathematics(reference, answer) is NAME[expected[0]]
    assert graders.boxed(reference, answer) is NAME[expected[1]]


@pytest.mark.parametrize("reference", sorted({reference for reference, _, _ in GOLDEN}))
def test_every_reference_answers_itself_and_its_normal_form_is_its_own(reference: str) -> None:
    assert graders.mathematics(reference, reference) is Verdict.CORRECT
    assert graders.boxed(reference, reference) is Verdict.CORRECT
    assert normal(normal(reference)) == normal(reference)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (r"\boxed{1}, no, \boxed{2}", "2"),
        (r"\boxed{\frac{1}{\sqrt{2}}} and so on", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{x = \boxed{3}}", "3"),
        (r"\boxed {4}", "4"),
        (r"\fbox{5}", "5"),
        (r"\boxed{6} but maybe \boxed{7", "6"),
        (r"}} stray } \boxed{8} }", "8"),
        (r"\boxed{ }", None),
        ("The final answer is $9$. I hope it is correct.", "9"),
        ("Final Answer: The final answer is $\\frac{1}{2}$. I hope it is correct.", r"\frac{1}{2}"),
        ("**Answer:** 3.5\nThat is all.", "3.5"),
        ("The answer is 4. No, the answer is 5.", "5"),
        ("The answer is \\(x+1\\).", "x+1"),
        ("It is 12.", None),
        ("", None),
    ],
)
def test_where_a_math_answer_is(response: str, expected: str | None) -> None:
    assert extract.mathematics(response) == expected


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("The answer is (C).", "C"),
        ("answer: B", "B"),
        ("**Answer:** **D**", "D"),
        ("\\boxed{\\text{E}}", "E"),
        ("\\boxed{(F)}", "F"),
        ("Final answer: option G", "G"),
        ("So it must be this one:\n(H)", "H"),
        ("J", "J"),
        ("The answer is Apple.", None),
        ("A dog has four legs.", None),
        ("I do not know", None),
        ("I think of many things, " * 400, None),
        ("C" + "." * 9_000, "C"),
        ("The answer is K.", None),
        ("", None),
    ],
)
def test_where_a_choice_is(response: str, expected: str | None) -> None:
    assert extract.choice(response) == expected


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
        ("18", "#### " + "1" * 200, "unparsable"),
    ],
)
def test_numbers(reference: str, response: str, expected: str) -> None:
    assert GRADERS["numeric"].grade(reference, response).verdict == expected


def test_exact_answers() -> None:
    exact = GRADERS["exact"]
    assert exact.grade("abc", " abc\n") == Grade(Verdict.CORRECT, "abc")
    assert exact.grade("abc", "Abc").verdict is Verdict.WRONG
    assert exact.grade("abc", " \n").verdict is Verdict.UNPARSABLE


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
def test_answers_beyond_a_limit_are_none(answer: str) -> None:
    assert not (limits.plain(answer) and limits.computable(answer))
    for response in (f"\\boxed{{{answer}}}", f"The answer is: {answer}"):
        assert GRADERS["math"].extract(response) in (None, "1"), "nothing, or what stands in balanced braces"


@pytest.mark.parametrize(
    "answer",
    [
        "2^{100}",
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
    assert limits.plain(answer) and limits.computable(answer)


def test_every_reference_is_within_the_limits() -> None:
    assert all(limits.plain(text) and limits.computable(text) for pair in GOLDEN for text in pair[:2])


@given(st.one_of(st.text(), PIECES))
def test_no_text_breaks_an_extraction_and_what_it_finds_is_in_the_text(text: str) -> None:
    for grader in GRADERS.values():
        answer = grader.extract(text)
        assert answer is None or (answer in text and limits.plain(answer))


@given(st.one_of(st.text(), PIECES), st.one_of(st.text(), PIECES))
def test_no_text_breaks_a_judge_in_this_process(reference: str, answer: str) -> None:
    for name in ("boxed", "exact", "choice", "numeric"):
        assert GRADERS[name].judge(reference, answer[:1000]) in (Verdict.CORRECT, Verdict.WRONG)


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


def rational(rng: random.Random, above: int, below: int) -> str:
    """One of the ways to write a fraction."""
    sign, above = "-" if above < 0 else "", abs(above)
    forms = [
        f"{above}/{below}",
        *(f"\\{name}{{{above}}}{{{below}}}" for name in ("frac", "dfrac", "tfrac")),
        str(above),
    ]
    return sign + rng.choice(forms)


def test_rational_numbers_are_compared_as_math_verify_does(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, pairs = random.Random(0), []
    for _ in range(200):
        above, below, times = rng.randint(-30, 30), rng.randint(1, 9), rng.randint(1, 4)
        other = rng.choice([(above * times, below * times), (rng.randint(-30, 30), rng.randint(1, 9))])
        pairs.append((rational(rng, above, below), rational(rng, *other)))
    quick = [graders.mathematics(*pair) for pair in pairs]
    monkeypatch.setattr("boundary_bench.grading.graders._rational", lambda text: None)
    assert quick == [graders.mathematics(*pair) for pair in pairs]
    assert 60 < quick.count(Verdict.CORRECT) < 160


@pytest.mark.parametrize("reference", ["1e999999999", "nan", "Infinity", "1/0", "", "1/2/3", "sNaN"])
def test_a_reference_that_is_no_number_in_digits_is_right_for_nothing(reference: str) -> None:
    """References are data of others too: a billion digits are not written out."""
    started = time.perf_counter()
    assert GRADERS["numeric"].judge(reference, "5") == Verdict.WRONG and time.perf_counter() - started < 1
