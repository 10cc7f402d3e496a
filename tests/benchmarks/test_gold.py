"""Reference answers as the world writes them: every form is the same problem, and what is none is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary_bench.benchmarks import KINDS
from boundary_bench.benchmarks.answers import undressed, written
from boundary_bench.benchmarks.base import NoReference, Problem
from boundary_bench.grading import Verdict
from boundary_bench.records.jsons import Written

OPTIONS = ["red", "green", "blue", "none"]


def of(kind: str, **row: Any) -> Problem:
    """The problem in a row whose question does not matter."""
    parse = KINDS[kind].parse
    assert parse is not None
    return parse({next(iter(KINDS[kind].columns)): "q", **row})


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("7", "7"),
        (" 7\n", "7"),
        (7, "7"),
        (-7, "-7"),
        (27.0, "27"),
        (13.5, "13.5"),
        (-0.0, "0"),
        (1e23, "100000000000000000000000"),
        (1e-7, "0.0000001"),
        (Decimal("2.50"), "2.5"),
        (Written("12345678901234567890.125"), "12345678901234567890.125"),
        ("$\\frac{1}{2}$", "\\frac{1}{2}"),
        ("$$x$$", "x"),
        ("\\(x\\)", "x"),
        ("\\[x\\]", "x"),
        ("5\\$", "5\\$"),
        ("\\$5", "\\$5"),
        ("$5", "$5"),
        ("$\\$5$", "\\$5"),
        ("$5\\$", "$5\\$"),
        ("$a$ or $b$", "$a$ or $b$"),
        ("\\(a\\) or \\(b\\)", "\\(a\\) or \\(b\\)"),
        ("[2,3]", "[2,3]"),
        ("so $x=\\boxed{3}$, no: $\\boxed{4}$.", "4"),
        ("our answer is $\\boxed 2$.", "2"),
        ("by hand\n#### 1,000", "1,000"),
        ("#### $x$\nthanks", "x"),
        ("\\boxed{1}\n#### 2", "1"),
        ("\\boxed{}\n#### 2", "2"),
    ],
)
@pytest.mark.parametrize("kind", ["qa-math", "minerva-math", "math", "math-500", "amc-2023"])
def test_an_answer_of_mathematics(kind: str, answer: Any, reference: str) -> None:
    found = of(kind, answer=answer)
    assert found.reference == reference
    assert KINDS[kind].grader.extract(found.solution) == reference


@pytest.mark.parametrize(
    ("row", "reference"),
    [
        ({"solution": "thus \\boxed{3}"}, "3"),
        ({"solution": "thus\n#### 3"}, "3"),
        ({"answer": None, "solution": "\\boxed{3}"}, "3"),
        ({"answer": " ", "solution": "\\boxed{3}"}, "3"),
        ({"answer": "\\boxed{}", "solution": "\\boxed{3}"}, "3"),
        ({"answer": "2", "solution": "\\boxed{3}"}, "2"),
        ({"answer": "2", "solution": ["any", "thing"]}, "2"),
    ],
)
@pytest.mark.parametrize("kind", ["qa-math", "minerva-math", "math", "qa-numeric", "gsm8k"])
def test_a_worked_solution_counts_where_there_is_no_answer(kind: str, row: dict[str, Any], reference: str) -> None:
    assert of(kind, **row).reference == reference


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"answer": None},
        {"answer": ""},
        {"answer": " \n"},
        {"answer": "\\boxed{}"},
        {"answer": "$x = \\boxed{ }$"},
        {"answer": "work\n#### "},
        {"solution": "We see that it is four."},
        {"solution": "so the answer is $\\boxed{}$."},
        {"solution": ["a text", "another"]},
        {"answer": None, "solution": None},
    ],
)
@pytest.mark.parametrize("kind", ["qa-math", "minerva-math", "math", "qa-numeric", "gsm8k"])
def test_a_row_without_an_answer_has_no_reference(kind: str, row: dict[str, Any]) -> None:
    with pytest.raises(NoReference):
        of(kind, **row)


@pytest.mark.parametrize("answer", [True, False, ["2", "3"], ["2"], {"a": 1}, float("nan"), float("inf"), b"2"])
@pytest.mark.parametrize("kind", ["qa-math", "math", "qa-numeric", "gsm8k"])
def test_what_is_no_answer_is_refused(kind: str, answer: Any) -> None:
    with pytest.raises(ValueError, match=r"^answer: found .*, expected text") as caught:
        of(kind, answer=answer)
    assert not isinstance(caught.value, NoReference)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("18", "18"),
        (18, "18"),
        (18.0, "18"),
        ("1,000", "1000"),
        ("so\n#### 1,000", "1000"),
        ("#### -5 ", "-5"),
        ("#### $5", "$5"),
        ("#### 1/2", "1/2"),
        ("#### .5", ".5"),
        ("thus \\boxed{12}", "12"),
        ("$18$", "18"),
        ("50%", "50%"),
    ],
)
@pytest.mark.parametrize("kind", ["qa-numeric", "gsm8k"])
def test_a_number(kind: str, answer: Any, reference: str) -> None:
    found = of(kind, answer=answer)
    assert found.reference == reference
    assert KINDS[kind].grader.grade(reference, found.solution).verdict is Verdict.CORRECT


@pytest.mark.parametrize("answer", ["a few", "She has 5. So 5.", "#### about 5", "\\boxed{x}", "1/0"])
def test_what_no_number_equals_is_refused(answer: str) -> None:
    """The grader would find a number in it, and call every response wrong."""
    with pytest.raises(ValueError, match=r"^answer: found .*, expected a number"):
        of("gsm8k", answer=answer)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (["2"], "2"),
        (["$(1,2)$", "$(2,1)$"], "(1,2), (2,1)"),
        (["-1,0,1"], "-1,0,1"),
        ([2, 3.0], "2, 3"),
        ("2", "2"),
        (2, "2"),
        ("[2,3]", "[2,3]"),
        ('["2", "3"]', "2, 3"),
    ],
)
def test_several_answers(answer: Any, reference: str) -> None:
    assert of("olympiadbench", final_answer=answer).reference == reference


def test_the_columns_of_a_copy_of_olympiadbench() -> None:
    assert of("olympiadbench", answer="2", solution=["worked"]).reference == "2"


@pytest.mark.parametrize("answer", [[], [""], None, [" "]])
def test_no_answers(answer: Any) -> None:
    with pytest.raises(NoReference):
        of("olympiadbench", final_answer=answer, solution=["Worked out at length."])


@pytest.mark.parametrize("answer", [[True], [["2"]], [None, "2"], ["2", ""], {"2": "3"}])
def test_answers_that_are_none(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"^final_answer: "):
        of("olympiadbench", final_answer=answer)


@given(st.text(st.characters(exclude_characters="$\\"), max_size=20).map(str.strip).filter(bool))
def test_dollars_go_as_a_pair_or_stay(text: str) -> None:
    assert [undressed(form.format(text)) for form in ("${}$", "$${}$$", "{}")] == [text] * 3
    for form in ("${}", "{}$", "${}\\$", "{}\\$", "\\${}$", "${}$ or ${}$", "$$", "$"):
        assert undressed(form.format(text, text)) == form.format(text, text)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_is_written_exactly_and_without_an_exponent(number: float) -> None:
    text = written(number)
    assert Decimal(text) == Decimal(str(number)) and "E" not in text.upper() and not text.endswith((".", ".0"))


# multiple choice


@pytest.mark.parametrize("kind", ["qa-choice", "arc-challenge", "mmlu-pro"])
@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        {"text": OPTIONS, "label": ["A", "B", "C", "D"]},
        {"text": OPTIONS},
        [{"label": name, "text": text} for name, text in zip("ABCD", OPTIONS, strict=True)],
        [{"text": text} for text in OPTIONS],
        dict(zip("ABCD", OPTIONS, strict=True)),
        dict(zip("abcd", OPTIONS, strict=True)),
        dict(zip("ABCDE", [*OPTIONS, None], strict=True)),
        '["red", "green", "blue", "none"]',
        [" red", "green ", "blue", "none"],
    ],
)
@pytest.mark.parametrize("right", [2, 2.0, "blue", " blue "])
def test_options_and_the_right_one_in_every_form(kind: str, options: Any, right: Any) -> None:
    names = KINDS[kind].uniform[-1], KINDS[kind].reference[0]
    found = of(kind, **dict(zip(names, (options, right), strict=True)))
    assert found.prompt == "q\nA. red\nB. green\nC. blue\nD. none"
    assert (found.reference, found.chance) == ("C", 0.25)


@pytest.mark.parametrize("right", ["C", "c", "(C)", "C.", "C)", "(c)."])
def test_a_letter(right: str) -> None:
    assert of("qa-choice", options=OPTIONS, answer=right).reference == "C"


@pytest.mark.parametrize(("labels", "right"), [(["1", "2", "3", "4"], 3), (["0", "1", "2", "3"], 2), ("WXYZ", "Y")])
def test_a_label_of_the_rows_own_comes_before_letters_and_places(labels: Any, right: Any) -> None:
    options = {"text": OPTIONS, "label": list(labels)}
    for answer in (right, str(right)):
        assert of("arc-challenge", choices=options, answerKey=answer).reference == "C"


def test_text_of_an_option_may_be_a_number_and_an_index_is_one() -> None:
    options = ["1", "2", "3"]
    assert of("qa-choice", options=options, answer="2").reference == "B", "text"
    assert of("qa-choice", options=options, answer=2).reference == "C", "a place"
    assert of("mmlu-pro", options=options, answer_index="2").reference == "C", "as a cell of a CSV file"
    assert of("qa-choice", options=OPTIONS, answer="2").reference == "C", "no other text"


@pytest.mark.parametrize(
    "right", ["E", "e", 4, -1, 4.0, 1.5, True, "pink", ["A"], {"a": 1}, float("nan"), "-1", "4", "CD", b"A"]
)
def test_what_is_none_of_the_options_is_refused(right: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^answer: found .*, meant by it: none of the options; expected one of A, B, C, D"
    ):
        of("qa-choice", options=OPTIONS, answer=right)


@pytest.mark.parametrize(("options", "right"), [(["B", "A"], "B"), (["x", "y", "x"], "x"), (["C", "x", "y"], "c")])
def test_what_means_two_options_is_refused_or_is_the_letter(options: list[str], right: str) -> None:
    if right == "c":
        assert of("qa-choice", options=options, answer=right).reference == "C"
        return
    with pytest.raises(ValueError, match="meant by it: option 1, option"):
        of("qa-choice", options=options, answer=right)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["x"], "found 1 options, expected 2 to 10"),
        (list("abcdefghijk"), "found 11 options"),
        ("['a', 'b']", "as JSON"),
        ("a, b", "expected a list of texts"),
        (["a", ["b"]], "expected a list of texts"),
        ([True, False], "expected a list of texts"),
        ({"text": ["a", "b"], "label": ["A"]}, "expected a list of texts"),
        ({"text": ["a", "b"], "label": ["A", "A"]}, "each once"),
        ('[{"text": "a", "label": "A"}, {"text": "b", "label": "B", "text": "c"}]', "expected a list of texts"),
        ('["a", "b"] and more', "expected a list of texts"),
        (5, "expected a list of texts"),
    ],
)
def test_options_that_are_none_are_refused(options: Any, part: str) -> None:
    with pytest.raises(ValueError, match=f"^options: .*{part}"):
        of("qa-choice", options=options, answer="A")


def test_a_place_that_holds_no_option_keeps_the_places_of_the_others() -> None:
    options = ["red", "N/A", "blue", "N/A"]
    found = of("mmlu-pro", options=options, answer_index=2)
    assert (found.prompt, found.reference, found.chance) == ("q\nA. red\nB. blue", "B", 0.5)
    assert of("mmlu-pro", options=options, answer="C").reference == "B", "the letter of the set's own list"
    with pytest.raises(ValueError, match="none of the options"):
        of("mmlu-pro", options=options, answer_index=1)
    assert of("arc-challenge", choices=options[:3], answerKey="B").prompt.endswith("B. N/A\nC. blue"), (
        "a text elsewhere"
    )


def test_a_question_may_hold_its_options() -> None:
    found = of("qa-choice", question="Which? A. x B. y", answer="b")
    assert (found.prompt, found.reference, found.chance) == ("Which? A. x B. y", "B", None)
    for right in (1, "x", "K", True):
        with pytest.raises(ValueError, match="and no options, expected a letter, or options"):
            of("qa-choice", answer=right)


@pytest.mark.parametrize("kind", ["qa-choice", "arc-challenge", "mmlu-pro"])
def test_a_row_that_says_of_no_option_that_it_is_right_has_no_reference(kind: str) -> None:
    names = KINDS[kind].uniform[-1], KINDS[kind].reference[0]
    for right in (None, "", " "):
        with pytest.raises(NoReference):
            of(kind, **dict(zip(names, (OPTIONS, right), strict=True)))
