"""Equality by math-verify, with its faults fixed from outside.

Each fix has a test that fails once math-verify has the fix too (``tests/grading/test_math_verify.py``). The time-outs
of math-verify are off: they work in a main thread only, and give "wrong".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, NamedTuple

from boundary_bench.grading.readings import brackets_of
from boundary_bench.grading.rewriting import rewritten
from boundary_bench.grading.typography import dress
from boundary_bench.grading.units import Unit, is_unit, unit_of
from boundary_bench.grading.values import CLOSE, close, value_of

LONGEST_SHOWN = 80  # characters of a reading
DIGITS = 60  # for comparing irrational numbers
MOST_DIGITS = 4_000  # that may cancel
UNIT = re.compile(
    r"(?<=[\w})])\s*(?:\\text\{[^{}]*\}|\\frac\{\\text\{[^{}]*\}\}\{\\text\{[^{}]*\}(?:\^\{\d\})?\}|\\cdot|/|\^\{-?[1-9]\}"
    r"|\s[A-Za-z. ]++)+$"
)
TWO_NUMBERS = re.compile(r"(?<![_\d])\d+\s+\d")
#: Letters that stand for whole numbers where floors, factorials or remainders are taken.
WHOLE = set("ijkmnpqN")
#: Points at which two formulas are compared; at least FEWEST_POINTS must be in the domain of both.
POINTS = ("3/7", "5/3", "11/4", "2/9", "17/6", "1/13", "31/8", "23/5")
WHOLE_POINTS = ("6", "3", "8", "5", "12", "7", "4", "10")
#: Their signs, variable by variable.
SIGNS = ("+", "+", "+", "-", "-", "+-", "-+", "++-")
FEWEST_POINTS = 3


@cache
def _library() -> ModuleType:
    """math-verify with fixes: ``2^{-98}`` is not ``2^{-99}``, and equations without a solution are not all equal."""
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
    """Whether a reference and an answer are equal, and the reading of each, in a line."""

    equal: bool
    gold: str
    given: str


def compare(reference: str, answer: str) -> Comparison:
    """Compare an answer with a reference.

    The order matters: a reference ``x=3`` may be answered by 3, and ``3`` by x=3, by different rules.
    """
    (one, unit), (other, its_unit) = (_measured(dress(text)) for text in (reference, answer))
    texts = rewritten(one, other)
    gold, given = map(parsed, texts)
    try:
        equal = _equal(texts, gold, _times(given, unit, its_unit))
    except MemoryError:
        raise
    except Exception:  # as in math-verify, expressions that sympy cannot compare are unequal
        equal = False
    return Comparison(equal, f"{_shown(gold)}{unit}", f"{_shown(given)}{its_unit}")


def _measured(text: str) -> tuple[str, Unit]:
    """A dressed answer without its unit, and the unit."""
    unit = UNIT.search(text)
    return (text[: unit.start()], unit_of(unit[0])) if unit and is_unit(unit[0]) else (text, Unit(None))


def _times(given: Any, unit: Unit, its_unit: Unit) -> Any:
    """An answer in the unit of the reference; None if its unit measures something else."""
    import sympy

    if unit.powers is None or its_unit.powers is None or (unit == its_unit):
        return given
    scalable = unit.powers == its_unit.powers and isinstance(given, sympy.Expr)
    return given * sympy.Rational(its_unit.size / unit.size) if scalable else None


def _equal(texts: tuple[str, str], gold: Any, given: Any) -> bool:
    if gold is None or given is None or not _alike(*texts):
        return False
    for rounded, exact in ((texts[0], given), (texts[1], gold)):
        value = value_of(rounded)
        if value and value.step and not value.percent and (number := _real(exact)) is not None:
            return close(value.number, number, value.step)
    formulas = _formulas(gold, given)
    if formulas and (_apart(*formulas) or _apart_at_points(*formulas)):
        return False
    return _verified(gold, given) or (bool(formulas) and _same_formula(*formulas))


def _formulas(gold: Any, given: Any) -> tuple[Any, Any] | None:
    """Two formulas with the letter i as the imaginary unit; None if one is a set, a relation or the like."""
    import sympy

    if not all(isinstance(each, sympy.Expr) for each in (gold, given)):
        return None
    unit = [symbol for symbol in gold.free_symbols | given.free_symbols if symbol.name == "i"]
    return tuple(each.xreplace(dict.fromkeys(unit, sympy.I)) for each in (gold, given))  # type: ignore[return-value]


def _alike(reference: str, answer: str) -> bool:
    """Whether the brackets of two dressed answers mean the same; math-verify ignores them."""
    kinds = {brackets_of(text) for text in (reference, answer)} - {""}
    return len(kinds) < 2 or ("{}" not in kinds and "\\infty" in reference)


@lru_cache(maxsize=20_000)
def parsed(text: str) -> Any:
    """The expression that math-verify reads in a rewritten answer; None if it reads nothing."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig

    rules = NormalizationConfig(units=False, malformed_operators=True, nits=True)
    latex = LatexExtractionConfig(boxed_match_priority=0, normalization_config=rules)
    if TWO_NUMBERS.search(text):  # math-verify would add them
        return None
    # all or nothing: by default it would read a fraction within a text that it cannot read
    modes: dict[str, Any] = {"fallback_mode": "no_fallback", "extraction_mode": "first_match", "parsing_timeout": None}
    found = _library().parse(f"\\boxed{{{text}}}", [latex], **modes)
    return found[0] if found else None


def _verified(gold: Any, given: Any) -> bool:
    return _library().verify(gold, given, timeout_seconds=None, raise_on_error=True)


def _apart(a: Any, b: Any) -> bool:
    """Whether two expressions are different numbers: exact ones that differ at all, rounded ones by over a millionth.

    Two exact numbers are equal if their difference has no certain digit.
    """
    import sympy
    from math_verify.grader import get_pct_val

    if not all(isinstance(each, sympy.Expr) and get_pct_val(each) is None for each in (a, b)):
        return False
    difference = (a - b).doit()
    if difference.free_symbols:
        return False
    if not any(each.has(sympy.Float) for each in (a, b)):
        slow = difference.has(sympy.Function, sympy.Integral, sympy.Sum, sympy.Product)
        found = difference.evalf(DIGITS, maxn=DIGITS if slow else MOST_DIGITS)
        return any((part.is_Rational and part != 0) or _is_sure(part) for part in found.as_real_imag())
    size = max((abs(each.doit().evalf(DIGITS)) for each in (a, b) if not each.free_symbols), default=1)
    return bool(abs(difference.evalf(DIGITS)) > sympy.Rational(CLOSE) * size)


def _is_sure(part: Any) -> bool:
    """Whether a number has certain digits; if all have cancelled, sympy gives one with a single bit."""
    import sympy

    return isinstance(part, sympy.Float) and part._prec > 1


def _real(expression: Any) -> Fraction | None:
    """The value of an expression that is a real number, else None."""
    import sympy

    if not isinstance(expression, sympy.Expr) or expression.free_symbols:
        return None
    value = expression.doit().evalf(DIGITS)
    return Fraction(str(value)) if isinstance(value, sympy.Float | sympy.Rational) else None


def _same_formula(gold: Any, given: Any) -> bool:
    """Whether two formulas have the same value at every point at which the reference has a real one.

    This makes ``1/\\sqrt{n}`` equal to ``\\sqrt{1/n}``, although math-verify takes n for real. With complex numbers all
    points count.
    """
    import sympy

    if gold.free_symbols != given.free_symbols:
        return False
    numbers = not gold.free_symbols or any(each.has(sympy.I) for each in (gold, given))
    compared = 0
    for a, b in _at_points(gold, given, SIGNS if gold.free_symbols else SIGNS[:1]):
        value = a.evalf()
        if not _is_number(value) or not (numbers or value.is_real):
            continue
        if not _is_number(b.evalf()) or _apart(a, b):
            return False
        compared += 1
    return compared >= (FEWEST_POINTS if gold.free_symbols else 1)


def _apart_at_points(gold: Any, given: Any) -> bool:
    """Whether two formulas differ at a point; math-verify misses small differences."""
    if not (gold.free_symbols and given.free_symbols):
        return False
    pairs = ((a, b, a.evalf(), b.evalf()) for a, b in _at_points(gold, given, ("+", "+", "+")))
    return any(at.is_real and _is_number(at) and _is_number(bt) and _apart(a, b) for a, b, at, bt in pairs)


def _is_number(value: Any) -> bool:
    return bool(value.is_number and value.is_finite)


def _at_points(gold: Any, given: Any, signs: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    """The values of two formulas at some points; at whole numbers if they count or round."""
    import sympy

    symbols = sorted(gold.free_symbols | given.free_symbols, key=str)
    functions = (sympy.floor, sympy.ceiling, sympy.factorial, sympy.binomial, sympy.Mod)
    whole = any(each.has(*functions) for each in (gold, given)) and {symbol.name for symbol in symbols} <= WHOLE
    points = WHOLE_POINTS if whole else POINTS
    for place, sign in enumerate(signs):
        values = (f"{sign[i % len(sign)]}{points[(place + i) % len(points)]}" for i in range(len(symbols)))
        point = dict(zip(symbols, map(sympy.Rational, values), strict=True))
        yield gold.xreplace(point).doit(), given.xreplace(point).doit()


def _shown(expression: Any) -> str:
    """A reading as sympy prints it, cut to a line."""
    text = "nothing" if expression is None else " ".join(str(expression).split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
