"""The table of graders. Benchmarks name one of them, or bring their own."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from boundary_bench.grading import Grader, Verdict, extract
from boundary_bench.grading.normal import normal

#: A whole number or a fraction of two, as it is or in LaTeX.
RATIONAL = re.compile(r"(-?)(?:(\d{1,15})(?:/(\d{1,15}))?|\\[dt]?frac\{(\d{1,15})\}\{(\d{1,15})\})", re.ASCII)
DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")
SEPARATORS = re.compile(r"[\s,$\\%]")


@lru_cache(maxsize=20_000)
def _parsed(text: str) -> list[Any]:
    """What math-verify reads in an answer: an expression, and the text itself where it found one."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    targets = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    return parse(f"\\boxed{{{text}}}", targets, parsing_timeout=None)


def mathematics(reference: str, answer: str) -> Verdict:
    """Equal by math-verify, the reference first: ``x=3`` may be answered by 3, and ``3`` by x=3, by rules that differ.

    Its own time-outs are off: they work in a main thread only, and end in "wrong".

    Raises:
        MemoryError: the comparison needs more than its process may have.
    """
    quick = rationals(reference, answer)
    if quick is not None:
        return quick
    import logging

    from math_verify import verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    for gold in _parsed(reference):
        for given in _parsed(answer):
            try:
                if verify(gold, given, timeout_seconds=None, raise_on_error=True):
                    return Verdict.CORRECT
            except MemoryError:
                raise
            except Exception:  # what sympy cannot compare is unequal, as in math-verify itself
                continue
    return Verdict.WRONG


def rationals(reference: str, answer: str) -> Verdict | None:
    """Whether two rational numbers, which most pairs are, are equal; None where one is something else."""
    exact = _rational(reference), _rational(answer)
    if None in exact:
        return None
    return Verdict.CORRECT if exact[0] == exact[1] else Verdict.WRONG


def _rational(text: str) -> Fraction | None:
    match = RATIONAL.fullmatch(text)
    if match is None:
        return None
    above, below = int(match[2] or match[4]), int(match[3] or match[5] or 1)
    return Fraction(-above if match[1] else above, below) if below else None


def boxed(reference: str, answer: str) -> Verdict:
    """Equal as normalised strings."""
    return Verdict.CORRECT if normal(reference) == normal(answer) else Verdict.WRONG


def exact(reference: str, answer: str) -> Verdict:
    """Equal strings, white space at the ends aside."""
    return Verdict.CORRECT if reference.strip() == answer.strip() else Verdict.WRONG


def numeric(reference: str, answer: str) -> Verdict:
    """Equal numbers, exactly; commas, dollar and percent signs do not count."""
    given = _number(answer)
    return Verdict.CORRECT if given is not None and given == _number(reference) else Verdict.WRONG


def _number(text: str) -> Fraction | None:
    """The value of a number or a fraction of two, written in digits: an exponent would be written out."""
    parts = SEPARATORS.sub("", text).rstrip(".").split("/")
    if not all(DECIMAL.fullmatch(part) for part in parts):
        return None
    try:
        values = [Fraction(Decimal(part)) for part in parts]
        return values[0] if len(values) == 1 else values[0] / values[1] if len(values) == 2 else None
    except ZeroDivisionError:
        return None


MATH = Grader(
    "math",
    1,
    extract.mathematics,
    mathematics,
    isolated=True,
    libraries=("math-verify", "latex2sympy2_extended", "sympy"),
    quick=rationals,
)

GRADERS = {
    grader.name: grader
    for grader in (
        MATH,
        Grader("boxed", 1, extract.mathematics, boxed),
        Grader("exact", 1, extract.exact, exact),
        Grader("choice", 1, extract.choice, exact),
        Grader("numeric", 1, extract.numeric, numeric),
    )
}
"""``math`` is the field's standard; ``boxed``, independent of it, is its second opinion."""
