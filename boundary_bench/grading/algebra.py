"""Equality by math-verify, and what is wrong with it mended from outside.

Each mend has a test that fails once math-verify has it too (``tests/test_math_verify.py``). Its own time-outs are off:
they work in a main thread only, and end in "wrong".
"""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, NamedTuple

from boundary_bench.grading.readings import brackets_of
from boundary_bench.grading.typography import dress
from boundary_bench.grading.units import is_unit
from boundary_bench.grading.values import CLOSE, EQUALS, close, value_of

LONGEST_SHOWN = 80  # characters of what was read
DIGITS = 60  # in which numbers are compared that are not rational
NEGLIGIBLE = Fraction(1, 10**40)
UNIT = re.compile(r"(?<=[\w}])\s*(?:\\text\{[^{}]*\}|\s[A-Za-z. ]+)(?:\^\{[1-9]\})?$")
#: An equation that is solved for nothing; that its right side is 0 does not make 0 an answer.
IMPLICIT = re.compile(r"[+\-*/^].*=\s*0$")
WITHOUT_COMMANDS = re.compile(r"\\[a-zA-Z]+(?:\{[a-zA-Z ]+\})?")
PRIME = re.compile(r"'|\\prime")
#: Where two formulas are compared; at least so many points must be in the domain of both.
POINTS = ("3/7", "5/3", "11/4", "2/9", "17/6", "1/13", "31/8", "23/5")
#: Their signs, variable by variable.
SIGNS = ("+", "+", "+", "-", "-", "+-", "-+", "++-")
FEWEST_POINTS = 3


@cache
def _library() -> ModuleType:
    """math-verify, mended: ``2^{-98}`` is no ``2^{-99}``, and equations without a solution are not all alike."""
    import math_verify
    from math_verify import grader
    from sympy import solve

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    same_numbers, same_solutions = grader.sympy_numeric_eq, grader.sympy_solve_and_compare
    grader.sympy_numeric_eq = lambda a, b, *precision: same_numbers(a, b, *precision) and not _apart(a, b)
    grader.sympy_solve_and_compare = lambda gold, given, *precision: (
        bool(solve(gold, gold.free_symbols)) and same_solutions(gold, given, *precision)
    )
    return math_verify


class Comparison(NamedTuple):
    """Whether a reference and an answer are equal, and what either was read as, in a line."""

    equal: bool
    gold: str
    given: str


def compare(reference: str, answer: str) -> Comparison:
    """Compare an answer with a reference.

    The reference comes first: ``x=3`` may be answered by 3, and ``3`` by x=3, by rules that differ.

    Raises:
        MemoryError: the comparison needs more than its process may have.
    """
    texts = _in_two_cases(dress(reference), dress(answer))
    gold, given = map(parsed, texts)
    return Comparison(_equal(texts, gold, given), _shown(gold), _shown(given))


def _in_two_cases(reference: str, answer: str) -> tuple[str, str]:
    """Two answers, of which one has a letter both capital and small: for math-verify they are one and the same."""
    letters = [set(WITHOUT_COMMANDS.sub("", text)) for text in (reference, answer)]
    both = {letter for found in letters for letter in found if letter.isupper() and letter.lower() in found}
    if not both:
        return reference, answer
    capital = re.compile(rf"(\\[a-zA-Z]+(?:\{{[a-zA-Z]+\}})?)|([{''.join(both)}])(?:_\{{?(\w+)\}}?)?")
    one, other = (
        capital.sub(lambda found: found[1] or f"{found[2]}_{{c{found[3] or ''}}}", text) for text in (reference, answer)
    )
    return one, other


def _equal(texts: tuple[str, str], gold: Any, given: Any) -> bool:
    if gold is None or given is None or not _alike(*texts):
        return False
    for rounded, exact in ((texts[0], given), (texts[1], gold)):
        value = value_of(rounded)
        if value and value.step and not value.percent and (number := _real(exact)) is not None:
            return close(value.number, number, value.step)
    return _verified(gold, given) or _same_formula(gold, given)


def _alike(reference: str, answer: str) -> bool:
    """Whether two dressed answers are of one form, which math-verify does not ask: brackets, primes, equations."""
    kinds = {brackets_of(text) for text in (reference, answer)} - {""}
    if len(kinds) > 1 and ("{}" in kinds or "\\infty" not in reference):
        return False
    if len(PRIME.findall(reference)) != len(PRIME.findall(answer)):
        return False
    return IMPLICIT.search(reference) is None or EQUALS.search(answer) is not None


@lru_cache(maxsize=20_000)
def parsed(text: str) -> Any:
    """What math-verify reads in a dressed answer, without its unit; None where it reads nothing."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig

    rules = NormalizationConfig(units=False, malformed_operators=True, nits=True)
    latex = LatexExtractionConfig(boxed_match_priority=0, normalization_config=rules)
    unit = UNIT.search(text)
    if unit and is_unit(unit[0]):
        text = text[: unit.start()]
    # all of it, or nothing: by default it would go on to a fraction within what it cannot read
    modes: dict[str, Any] = {"fallback_mode": "no_fallback", "extraction_mode": "first_match", "parsing_timeout": None}
    found = _library().parse(f"\\boxed{{{text}}}", [latex], **modes)
    return found[0] if found else None


def _verified(gold: Any, given: Any) -> bool:
    try:
        return _library().verify(gold, given, timeout_seconds=None, raise_on_error=True)
    except MemoryError:
        raise
    except Exception:  # what sympy cannot compare is unequal, as in math-verify itself
        return False


def _apart(a: Any, b: Any) -> bool:
    """Whether two expressions are numbers that differ: exact ones at all, others by more than a millionth."""
    import sympy
    from math_verify.grader import get_pct_val

    if not all(isinstance(each, sympy.Expr) and get_pct_val(each) is None for each in (a, b)):
        return False
    difference = (a - b).doit()
    if difference.free_symbols:
        return False
    size = max((abs(each.doit().evalf(DIGITS)) for each in (a, b) if not each.free_symbols), default=1)
    bound = CLOSE if any(each.has(sympy.Float) for each in (a, b)) else NEGLIGIBLE
    return bool(abs(difference.evalf(DIGITS)) > sympy.Rational(bound) * size)


def _real(expression: Any) -> Fraction | None:
    """The value of an expression that is a real number; None where it is anything else."""
    import sympy

    if not isinstance(expression, sympy.Expr) or expression.free_symbols:
        return None
    value = expression.doit().evalf(DIGITS)
    return Fraction(str(value)) if isinstance(value, sympy.Float | sympy.Rational) else None


def _same_formula(gold: Any, given: Any) -> bool:
    """Whether two formulas have the same value at every point at which the reference has a real one.

    So is ``1/\\sqrt{n}``, where math-verify takes n for real, ``\\sqrt{1/n}``. The letter i is the imaginary unit.
    """
    import sympy

    if not all(isinstance(each, sympy.Expr) for each in (gold, given)):
        return False
    unit = [symbol for symbol in gold.free_symbols | given.free_symbols if symbol.name == "i"]
    gold, given = (each.xreplace(dict.fromkeys(unit, sympy.I)) for each in (gold, given))
    symbols = sorted(gold.free_symbols, key=str)
    if gold.free_symbols != given.free_symbols or not (symbols or unit):
        return False
    compared = 0
    for place, signs in enumerate(SIGNS if symbols else SIGNS[:1]):
        points = (f"{signs[i % len(signs)]}{POINTS[(place + i) % len(POINTS)]}" for i in range(len(symbols)))
        point = dict(zip(symbols, map(sympy.Rational, points), strict=True))
        a, b = (each.xreplace(point).doit().evalf(DIGITS) for each in (gold, given))
        if not a.is_number or not a.is_finite or not (unit or a.is_real):
            continue
        if not b.is_number or not b.is_finite or abs(a - b) > sympy.Rational(NEGLIGIBLE) * max(abs(a), abs(b)):
            return False
        compared += 1
    return compared >= min(FEWEST_POINTS, 1 + 2 * bool(symbols))


def _shown(expression: Any) -> str:
    """What was read, as sympy writes it, cut to a line."""
    text = "nothing" if expression is None else " ".join(str(expression).split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
