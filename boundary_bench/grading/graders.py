"""The table of graders. A benchmark names one of them, or brings its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from boundary_bench.core.errors import StudyError, did_you_mean
from boundary_bench.grading import Grader, Ruling, Verdict, algebra, boxes, equations, extract, letters, sieve
from boundary_bench.grading.normal import normal
from boundary_bench.grading.readings import equal, is_list, readings
from boundary_bench.grading.typography import dress, key
from boundary_bench.grading.values import Value, equal_values, value_of

LETTER = re.compile(r"\(?([A-Za-z])\)?")
WORDS = re.compile(r"[A-Za-z][A-Za-z\s,.'!-]*")
LONG_WORD = re.compile(r"[A-Za-z]{4}")
SET_AS_TEXT = re.compile(r"\\text\{([^{}]*)\}")
ARTICLE = re.compile(r"\b(?:the|a|an)\b|[\s.'!-]")
AND = re.compile(r",|\band\b|\bor\b")


def _ruling(correct: bool, of_what: str, detail: str = "") -> Ruling:
    return Ruling(
        Verdict.CORRECT if correct else Verdict.WRONG,
        f"{'' if correct else 'un'}equal {of_what}{detail and f': {detail}'}",
    )


def mathematics(reference: str, answer: str) -> Ruling:
    """The ruling on equality as text, as numbers, lists or words, or by algebra.

    Of several boxes that form one answer, all count if the reference is a list, else only the last.
    """
    return _any_of(_judged, reference, answer) or Ruling(Verdict.WRONG, "unequal")


def quick(reference: str, answer: str) -> Ruling | None:
    """The ruling of ``mathematics`` if it needs no algebra, else None."""
    return _any_of(_without_algebra, reference, answer)


Judge = Callable[[str, str], Ruling | None]


def _any_of(judge: Judge, reference: str, answer: str) -> Ruling | None:
    """The first correct ruling on the readings of an answer, else the last; None if one is undecided."""
    rulings = []
    for text in _answers(reference, answer):
        ruling = _every(judge, reference, text)
        if ruling is not None and ruling.verdict is Verdict.CORRECT:
            return ruling
        rulings.append(ruling)
    return None if None in rulings else rulings[-1]


def _every(judge: Judge, reference: str, answer: str) -> Ruling | None:
    """The ruling on an answer that may be an equation; all its sides must be right."""
    if key(reference) == key(answer):
        return judge(reference, answer)
    gold, given = equations.without_modulus(dress(reference), dress(answer))
    are_equations = [len(equations.sides(text)) > 1 for text in (gold, given)]
    if is_list(gold) or is_list(given) or all(are_equations) or not any(are_equations):
        return judge(gold, given)
    asked = equations.asked(gold)
    if asked is None:
        return Ruling(Verdict.WRONG, f"the answer is no equation: read as {given} against {gold}")
    value = value_of(asked)
    ruling = None
    for side in equations.answers(given, decimal=value is not None and value.step is not None):
        ruling = judge(asked, side)
        if ruling is None or ruling.verdict is not Verdict.CORRECT:
            break
    return ruling


def _answers(reference: str, answer: str) -> list[str]:
    """The readings of an answer: the text; for several boxes their list, if the reference is a list, and the last box.

    The last box also counts among alternatives: solutions of MATH end in "3 or 5" in two boxes, with the last as
    reference.
    """
    if "\\boxed" not in answer and "\\fbox" not in answer:
        return [answer]
    contents = [box.content for box in boxes.boxes(answer)] or [answer]
    listed = [", ".join(contents)] if len(contents) > 1 and is_list(dress(reference)) else []
    return [*listed, contents[-1]]


def _judged(reference: str, answer: str) -> Ruling:
    return _without_algebra(reference, answer) or _by_algebra(reference, answer)


def _by_algebra(reference: str, answer: str) -> Ruling:
    found = algebra.compare(reference, answer)
    if "nothing" in (found.gold, found.given):
        what = "reference" if found.gold == "nothing" else "answer"
        return Ruling(Verdict.WRONG, f"the {what} is no formula: read as {found.given} against {found.gold}")
    return _ruling(found.equal, "by algebra", f"read as {found.given} against {found.gold}")


def _without_algebra(reference: str, answer: str) -> Ruling | None:
    if key(reference) == key(answer):
        return _ruling(True, "text")
    gold, given = dress(reference), dress(answer)
    if (letters := [LETTER.fullmatch(text) for text in (gold, given)]) and None not in letters:
        one, other = (match[1] for match in letters if match)
        return _ruling(one.lower() == other.lower(), "letters", f"read as {other} against {one}")
    return _numbers(gold, given) or _words(gold, given) or _limits(gold, given)


def _numbers(gold: str, given: str) -> Ruling | None:
    """The ruling on two answers made of numbers, each with one or more readings; None if undecided."""
    pairs = [(one, other) for one in readings(gold) for other in readings(given)]
    found = [(equal(one, other), one, other) for one, other in pairs]
    if not found or all(same is None for same, *_ in found):
        return None
    same, one, other = next((each for each in found if each[0]), next(each for each in found if each[0] is not None))
    if not same and None in (each[0] for each in found):
        return None
    return _ruling(bool(same), "numbers", f"read as {other} against {one}")


def _words(gold: str, given: str) -> Ruling | None:
    """The ruling on two answers in words, ignoring case, articles and the order of a list."""
    plain = [SET_AS_TEXT.sub(r" \1 ", text).strip() for text in (gold, given)]
    if not all(WORDS.fullmatch(text) for text in plain):
        return None
    if not any("\\text" in text for text in (gold, given)) and not all(map(LONG_WORD.search, plain)):
        return None  # a product of variables
    one, other = (sorted(ARTICLE.sub("", part.lower()) for part in AND.split(text)) for text in plain)
    return _ruling(one == other, "words")


def _limits(gold: str, given: str) -> Ruling | None:
    """The ruling on an answer that is kept from algebra, since it or its reference could hang it; else None."""
    if limit := sieve.incomputable(given):
        return Ruling(Verdict.UNPARSABLE, f"limit: {limit}")
    if limit := sieve.unreadable(gold) or sieve.incomputable(gold):
        return Ruling(Verdict.WRONG, f"unequal text, and the reference is beyond a limit: {limit}")
    return None


def boxed(reference: str, answer: str) -> Ruling:
    """The ruling on equality as normalised strings."""
    pairs = [(normal(text), normal(reference)) for text in _answers(reference, answer)]
    given, gold = next((pair for pair in pairs if pair[0] == pair[1]), pairs[-1])
    return _ruling(given == gold, "strings", f"read as {given} against {gold}")


def exact(reference: str, answer: str) -> Ruling:
    """The ruling on equality as strings, white space at the ends aside."""
    return _ruling(reference.strip() == answer.strip(), "text")


def letter(reference: str, answer: str) -> Ruling:
    """The ruling on equality of two letters."""
    return _ruling(reference.strip() == answer, "letters", f"read as {answer} against {reference.strip()}")


def numeric(reference: str, answer: str) -> Ruling:
    """The ruling on exact equality of numbers; a percent sign may count or not, and units count if both have one."""
    gold, given = (_exactly(value_of(dress(text))) for text in (reference, answer))
    if gold is None or given is None:
        what = "reference" if gold is None else "answer"
        return Ruling(Verdict.WRONG, f"the {what} is no number")
    return _ruling(equal_values(gold, given), "numbers", f"read as {given} against {gold}")


def _exactly(value: Value | None) -> Value | None:
    return value and replace(value, step=None, name="")


MATH = Grader(
    "math",
    3,
    extract.mathematics,
    mathematics,
    isolated=True,
    libraries=("math-verify", "latex2sympy2_extended", "sympy"),
    quick=quick,
)

GRADERS = {
    grader.name: grader
    for grader in (
        MATH,
        Grader("boxed", 3, extract.mathematics, boxed),
        Grader("exact", 1, extract.exact, exact),
        Grader("choice", 3, letters.choice, letter),
        Grader("numeric", 3, extract.numeric, numeric),
    )
}
"""``math`` is the field's standard; ``boxed``, which knows no algebra, is its second opinion."""

#: Stands for the scores that came with stored samples; nothing is graded by it.
SCORES = Grader("scores", 1, str, exact)
THEIRS = "by the file"  # the reason of its verdicts
#: Verdicts that no score tells from wrong.
NOT_SCORED = (str(Verdict.UNPARSABLE), str(Verdict.TIMEOUT))


def grader_of(name: str, where: str) -> Grader:
    """The grader ``name``.

    Raises:
        StudyError: there is no grader of that name.
    """
    if name not in GRADERS:
        raise StudyError(f"{where}: no grader {name!r}; {did_you_mean(name, GRADERS)}")
    return GRADERS[name]
