r"""Other notations of a right answer, which a grader must accept.

A notation is a function from the reference to a response; None if the reference has no such form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from boundary_bench.grading.typography import dress
from boundary_bench.grading.values import Value, value_of

Notation = Callable[[str], str | None]

FRACTION = re.compile(r"(-?)\\[dt]?frac\{(\d+)\}\{(\d+)\}")
SENTENCE = "We add both sides, so that $2x = 8$.\n\nTherefore, the answer is $\\boxed{{{}}}$. I hope this helps!"
NO_BOX = "Final Answer: The final answer is ${}$. I hope it is correct."
UNICODE = {
    "\\pi": "π",
    "\\infty": "∞",
    "\\cup": "∪",
    "\\cdot": "·",
    "^\\circ": "°",
    "^{\\circ}": "°",
    "^2": "²",
    "-": "−",
}


def boxed(change: Callable[[str], str | None]) -> Notation:
    """A notation that writes the changed answer in a box."""

    def response(reference: str) -> str | None:
        answer = change(reference)
        return None if answer is None else f"\\boxed{{{answer}}}"

    return response


def without_braces(reference: str) -> str:
    """The reference without braces of one character: ``x^2`` for ``x^{2}``, ``\\frac12`` for ``\\frac{1}{2}``."""
    text = re.sub(r"\\frac\{(\w)\}\{(\w)\}", r"\\frac\1\2", reference)
    return re.sub(r"([\^_])\{(\w)\}", r"\1\2", re.sub(r"\\sqrt\{(\d)\}", r"\\sqrt\1", text))


def without_spaces(reference: str) -> str | None:
    """The reference without spaces, except those that end a command; None if it contains words or adjacent numbers."""
    words = re.search(r"\\(?:text|mbox)|[A-Za-z]{2} |\d\s+\d", reference)
    return None if words else re.sub(r"(?<![A-Za-z\\])\s+|\s+(?![A-Za-z\\])", "", reference)


def as_unicode(reference: str) -> str:
    """The reference with Unicode signs instead of LaTeX commands."""
    for latex, sign in UNICODE.items():
        reference = re.sub(rf"{re.escape(latex)}(?![a-zA-Z\d])\s?", sign, reference)
    return reference


def as_slash(reference: str) -> str | None:
    """A fraction of two whole numbers with a slash; None for others."""
    match = FRACTION.fullmatch(reference)
    return match and f"{match[1]}{match[2]}/{match[3]}"


def as_decimal(reference: str) -> str | None:
    """A number as an exact decimal, if it has few places."""
    value = _number(reference)
    if value is None or value.number.denominator > 10**6 or abs(value.number) > 10**9:
        return None
    decimal = Decimal(value.number.numerator) / value.number.denominator
    return f"{decimal:f}" if Fraction(decimal) == value.number else None


def as_scientific(reference: str) -> str | None:
    """A number with a power of ten, if it has few digits."""
    value = _number(reference)
    if value is None or not value.number or (value.number.denominator != 1 and value.step is None):
        return None
    digits = f"{Decimal(value.number.numerator) / value.number.denominator:.12e}"
    mantissa, _, exponent = digits.partition("e")
    if Fraction(digits) != value.number:
        return None
    return f"{mantissa.rstrip('0').rstrip('.')} \\times 10^{{{int(exponent)}}}"


def with_separators(separator: str) -> Callable[[str], str | None]:
    """A function that writes a whole number of more than three digits in groups."""

    def change(reference: str) -> str | None:
        whole = re.fullmatch(r"-?[1-9]\d{3,}", reference)
        return f"{int(reference):,}".replace(",", separator) if whole else None

    return change


def _number(reference: str) -> Value | None:
    """A bare number; None if it has a unit, a percent sign or a name."""
    value = value_of(dress(reference))
    return value if value and not (value.unit or value.percent or value.name) else None


def _sentence(reference: str) -> str:
    return SENTENCE.format(reference)


NUMBERS: dict[str, Notation] = {
    "decimal": boxed(as_decimal),
    "scientific": boxed(as_scientific),
    "1,000": boxed(with_separators(",")),
    "1{,}000": boxed(with_separators("{,}")),
    "thin spaces": boxed(with_separators("\\,")),
    "a/b": boxed(as_slash),
    "dot in the box": boxed(lambda reference: f"{reference}."),
    "in a sentence": _sentence,
    "no box": lambda reference: None if "$" in reference.replace("\\$", "") else NO_BOX.format(reference),
}
MATHEMATICS: dict[str, Notation] = {
    **NUMBERS,
    "no braces": boxed(without_braces),
    "no spaces": boxed(without_spaces),
    "\\dfrac": boxed(lambda reference: reference.replace("\\frac", "\\dfrac")),
    "unicode": boxed(as_unicode),
    "dollars": boxed(lambda reference: None if "$" in reference else f"${reference}$"),
}
CHOICES: dict[str, Notation] = {
    "(B)": lambda reference: f"The answer is ({reference}).",
    "B. text": lambda reference: f"{reference}. the text of the option",
    "Answer: b": lambda reference: f"**Answer:** {reference.lower()}",
    "\\text": boxed(lambda reference: f"\\text{{{reference}}}"),
    "in a sentence": _sentence,
}
#: By the grader that must accept them.
NOTATIONS: dict[str, dict[str, Notation]] = {"math": MATHEMATICS, "numeric": NUMBERS, "choice": CHOICES}


def responses(grader: str, reference: str) -> dict[str, str]:
    """Responses with a reference in other notations, by name of the notation."""
    made = {name: notation(reference) for name, notation in NOTATIONS.get(grader, {}).items()}
    return {name: text for name, text in made.items() if text is not None}
