r"""Answers that are numbers: read exactly and compared without algebra.

A number is an integer, decimal, fraction, mixed number or in scientific notation, optionally after ``x =`` or a
currency, and before a unit, a percent sign or a word like million. It is read as a ``Fraction``; a number with a
decimal point also carries its last decimal place, as it may be rounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from boundary_bench.grading.equations import NAME, sides
from boundary_bench.grading.units import CURRENCY, TEMPERATURE, TEXT, Unit, is_unit, unit_of, unlike

LARGEST_EXPONENT = 1_000
#: Relative difference up to which a rounded number equals another: six equal digits suffice.
CLOSE = Fraction(1_000_001, 10**12)

PLAIN = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+"
POWER = r"10\s*\^\s*\{{\s*\+?(?P<{}>-?\d{{1,6}})\s*\}}"
NUMBER = re.compile(
    rf"""
    (?P<sign>[+-]?)\s*(?P<money>{CURRENCY})?\s*(?P<inner>[+-]?)\s*
    (?:
        (?P<whole>\d+)\s*\\frac\{{\s*(?P<part>\d+)\s*\}}\{{\s*(?P<parts>\d+)\s*\}}
      | \\frac\{{\s*(?P<above>[+-]?(?:{PLAIN}))\s*\}}\{{\s*(?P<below>[+-]?(?:{PLAIN}))\s*\}}
      | (?P<over>{PLAIN})\s*/\s*(?P<under>{PLAIN})
      | (?P<fixed>\d*\.\d*)\\overline\{{\s*(?P<period>\d+)\s*\}}
      | (?P<mantissa>{PLAIN})\s*(?:\\times|\\cdot|\*)\s*{POWER.format("exponent")}
      | {POWER.format("power")}
      | (?P<number>{PLAIN})
    )
    """,
    re.VERBOSE,
)
SCALES = {
    **{"dozen": 12, "hundred": 100, "thousand": 10**3, "lakh": 10**5, "million": 10**6, "crore": 10**7},
    **{"billion": 10**9, "bn": 10**9, "trillion": 10**12, "halve": Fraction(1, 2)},
}
#: Read only in the plural: 5 fifth graders are five.
PARTS = (("third", 3), ("fourth", 4), ("fifth", 5), ("sixth", 6), ("seventh", 7), ("eighth", 8), ("ninth", 9))
PARTS += (("tenth", 10), ("hundredth", 100), ("thousandth", 1000), ("millionth", 10**6))
SIZES = {**SCALES, **{f"{name}s": Fraction(1, size) for name, size in PARTS}}
SCALE = re.compile(rf"\s*(?:({'|'.join(SCALES)})s?|({'|'.join(f'{name}s' for name, _ in PARTS)}))\b", re.IGNORECASE)
SPELLED = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
]
NAMES_OF_NUMBERS = dict(zip(SPELLED, [*range(20), *range(20, 100, 10)], strict=True))
PERCENT = re.compile(r"\s*(?:\\%|(?:percent(?:age)?|pct)\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Value:
    """A number.

    Attributes:
        step: its last decimal place, if it is written with a decimal point.
        unit: its unit, if stated.
        percent: whether a percent sign follows, which may count or not.
        name: its name, as ``x`` in ``x = 3``.
        digits: the text if it is only digits and a point, which may be meant in another base.
    """

    number: Fraction
    step: Fraction | None = None
    unit: Unit | None = None
    percent: bool = False
    name: str = ""
    digits: str = ""

    def __str__(self) -> str:
        plain = self.step is None and max(abs(self.number.numerator), self.number.denominator) < 10**30
        rounded = (Decimal(self.number.numerator) / self.number.denominator).normalize()
        return f"{self.number if plain else f'{rounded:.12g}'}{' %' if self.percent else ''}{self.unit or ''}"


def value_of(text: str) -> Value | None:
    """A dressed answer as a number; None if it is anything else."""
    name, text = named(text)
    if (number := spelled(TEXT.sub(r"\1", text))) is not None and name is not None:
        return Value(Fraction(number), name=name)
    if text.startswith("(") and text.endswith(")") and "(" not in text[1:] and ")" not in text[:-1]:
        text = text[1:-1].strip()
    match = NUMBER.match(text)
    if match is None or name is None:
        return None
    number, step = _number(match)
    if number is None:
        return None
    found = _followed(text[match.end() :], match["money"] or "")
    if found is None:
        return None
    times, percent, unit = found
    sign = -1 if (match["sign"] == "-") != (match["inner"] == "-") else 1
    digits = text if text == match["number"] else ""
    return Value(sign * number * times, step and step * times, unit, percent, name, digits)


def spelled(text: str) -> int | None:
    """The number named by one or two words, up to ninety-nine; None if they name none.

    >>> spelled("twelve"), spelled("Twenty-five"), spelled("twenty ten")
    (12, 25, None)
    """
    words = re.split(r"[\s-]+", text.strip().lower())
    values = [NAMES_OF_NUMBERS.get(word, -1) for word in words]
    if len(values) == 1 and values[0] >= 0:
        return values[0]
    return sum(values) if len(values) == 2 and values[0] >= 20 and 0 < values[1] < 10 else None


def named(text: str) -> tuple[str | None, str]:
    """The name of a number and the text after it; name None if the left side is more than a name."""
    *others, last = sides(text)
    names = [re.sub(r"[\s{}]", "", name) for name in others]
    plain = len(names) < 2 and all(map(NAME.fullmatch, others))
    return ("".join(names) if plain else None), last


def _number(match: re.Match[str]) -> tuple[Fraction | None, Fraction | None]:
    """The absolute value of a matched number, and its last decimal place."""
    found = match.groupdict()
    if found["whole"]:
        part, parts = int(found["part"]), int(found["parts"])
        return (int(found["whole"]) + Fraction(part, parts), None) if part < parts else (None, None)
    if found["above"] or found["over"]:
        above, below = (_decimal(found[a] or found[b]) for a, b in (("above", "over"), ("below", "under")))
        return (above / below if below else None), None
    if found["period"]:
        places, period = len(found["fixed"].partition(".")[2]), found["period"]
        return _decimal(f"0{found['fixed']}") + Fraction(int(period), (10 ** len(period) - 1) * 10**places), None
    exponent = int(found["exponent"] or found["power"] or 0)
    if abs(exponent) > LARGEST_EXPONENT:
        return None, None
    digits = found["mantissa"] or found["number"] or "1"
    scale = Fraction(10) ** exponent
    _, point, decimals = digits.partition(".")
    return _decimal(digits) * scale, (scale / 10 ** len(decimals) if point else None)


def _decimal(digits: str) -> Fraction:
    return Fraction(re.sub(r"[,\s]|\.$", "", digits))


def _followed(rest: str, money: str) -> tuple[Fraction | int, bool, Unit | None] | None:
    """The factor, percent sign and unit that follow a number; None if the text is more than that."""
    rest = TEMPERATURE.sub(lambda found: "\\text{ celsius }" if found[1] == "C" else "\\text{ fahrenheit }", rest)
    rest = rest.replace("^\\circ", "\\text{ degree }")
    times: Fraction | int = 1
    if scale := SCALE.match(words := TEXT.sub(r" \1 ", rest)):
        times, rest = SIZES[(scale[1] or scale[2]).lower()], f"\\text{{{words[scale.end() :]}}}"
    percent = PERCENT.match(words := TEXT.sub(r" \1 ", rest))
    if percent:
        rest = f"\\text{{{words[percent.end() :]}}}"
    if not TEXT.sub(r" \1 ", rest).strip():
        return times, bool(percent), unit_of(money) if money else None
    return (times, bool(percent), unit_of(rest)) if is_unit(rest) else None


def equal_values(reference: Value, answer: Value) -> bool:
    """Whether two numbers are equal, in the reference's unit if both have known units; percent may count or not."""
    if reference.name and answer.name and reference.name != answer.name:
        return False
    a, b = reference.unit, answer.unit
    if a and b and unlike(a, b):
        return False
    if a and b and a.powers == b.powers:
        answer = _times(answer, b.size / a.size)
    if reference.percent == answer.percent:
        return _equal_numbers(reference, answer)
    return any(_equal_numbers(one, other) for one in _worth(reference) for other in _worth(answer))


def _times(value: Value, factor: Fraction) -> Value:
    return replace(value, number=value.number * factor, step=value.step and value.step * factor)


def _worth(value: Value) -> list[Value]:
    """The possible values of a number: 10 % is 10 for one author and a tenth for another."""
    return [value, _times(value, Fraction(1, 100))] if value.percent else [value]


def _equal_numbers(one: Value, other: Value) -> bool:
    steps = [each.step for each in (one, other) if each.step]
    return one.number == other.number or (bool(steps) and close(one.number, other.number, max(steps)))


def close(a: Fraction, b: Fraction, step: Fraction) -> bool:
    """Whether two numbers are equal if at least one is rounded to the decimal place ``step``.

    They may differ by at most half of that place and by a millionth of themselves: ``0.333333`` is 1/3, ``1234567.4``
    is not 1234567, and 2e-7 is not 1e-7.
    """
    return abs(a - b) <= min(step / 2, CLOSE * max(abs(a), abs(b)))
