"""Limits of an answer before a computer algebra system sees it.

A sieve, not the guarantee: in microseconds it removes answers that are sure to hang or to exhaust memory. The others
are subject to the deadline and the memory limit of their process. An answer beyond a limit is compared as text alone.
"""

from __future__ import annotations

import math
import re

LONGEST = 1_000  # characters; the longest of MATH's 12,500 answers has fewer than 200
DEEPEST = 12  # open brackets of any kind at one place
LONGEST_NUMBER = 100  # digits in a row
LARGEST_RESULT = 10_000  # digits of a power of two numbers
LARGEST_NESTED_RESULT = 5_000  # value of a power of two numbers that is itself an exponent
MOST_NESTED_POWERS = 2
LARGEST_FACTORIAL = 3_000
MOST_FACTORIALS = 6

#: Control characters, surrogates, and marks that change the direction of text, which make it look different.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
NUMBER = re.compile(rf"\d{{{LONGEST_NUMBER + 1}}}")
SCIENTIFIC = re.compile(r"\d\.?[eE][+-]?\d{4,}")
POWER_OF_NUMBERS = re.compile(r"(\d+)\s*[)}]*\s*(?:\^|\*\*)\s*(?=[({]*\s*(\d+))")
#: The limits of a sum, such as 1 to 1,000,000, are no power.
LOWER_LIMIT = re.compile(r"\\(?:sum|prod|int)\s*_\s*(?:\{[^{}]*\}|\w)")
#: ``x^2y^2`` is no tower: the exponent ends after a number or one letter.
TOWER = re.compile(r"(?:\^|\*\*)\s*(?:[\d.]+|[A-Za-z]|\{[^{}]*\})\s*(?:\^|\*\*)")
FACTORIAL = re.compile(r"(\d+)\s*[)}]*\s*!|\\binom\s*\{\s*(\d+)")
REPEATED_FACTORIAL = re.compile(r"![\s)}\]]*!")
BRACKET = re.compile(r"\\.|[{}()\[\]]", re.DOTALL)


def unreadable(answer: str) -> str | None:
    """The reason why a text is no answer for any grader; None if it is short and printable."""
    if len(answer) > LONGEST:
        return f"more than {LONGEST:,} characters"
    return "a character that is not printed" if UNPRINTABLE.search(answer) else None


def incomputable(answer: str) -> str | None:
    """The reason why a readable answer is kept from a computer algebra system; None if it is allowed.

    Braces must be balanced; other brackets need not be, since intervals can be half open.
    """
    return _too_deep(answer) or _too_long(answer) or _too_powerful(answer) or _too_factorial(answer)


def _too_deep(answer: str) -> str | None:
    depth = braces = 0
    for match in BRACKET.finditer(answer):
        token = match[0]
        if token in "{([":
            depth += 1
            braces += token == "{"
        elif token in "})]":
            depth -= 1
            braces -= token == "}"
        if depth > DEEPEST:
            return f"brackets more than {DEEPEST} deep"
        if braces < 0:
            break
    return "braces that do not pair" if braces else None


def _too_long(answer: str) -> str | None:
    return (
        f"a number of more than {LONGEST_NUMBER} digits" if NUMBER.search(answer) or SCIENTIFIC.search(answer) else None
    )


def _too_powerful(answer: str) -> str | None:
    if TOWER.search(answer):
        return "a tower of powers"
    deepest, inside = _exponents(answer)
    if deepest > MOST_NESTED_POWERS:
        return f"powers more than {MOST_NESTED_POWERS} deep"
    for match in POWER_OF_NUMBERS.finditer(LOWER_LIMIT.sub(lambda found: " " * len(found[0]), answer)):
        digits = math.log10(max(2, int(match[1]))) * int(match[2])
        if inside[match.start(1)] and digits > math.log10(LARGEST_NESTED_RESULT):
            return f"an exponent of more than {LARGEST_NESTED_RESULT:,}"
        if digits > LARGEST_RESULT:
            return f"a power of more than {LARGEST_RESULT:,} digits"
    return None


def _exponents(answer: str) -> tuple[int, list[int]]:
    """The greatest nesting depth of exponents, and the depth at every character."""
    closes_power: list[bool] = []
    depth, deepest, inside, after_power = 0, 0, [], False
    for place, character in enumerate(answer):
        if character in "{(":
            closes_power.append(after_power)
            depth += after_power
        elif character in "})" and closes_power:
            depth -= closes_power.pop()
        deepest = max(deepest, depth + (character == "^"))
        inside.append(depth)
        if not character.isspace():
            after_power = character == "^" or (character == "*" and answer[place - 1 : place] == "*")
    return deepest, inside


def _too_factorial(answer: str) -> str | None:
    if answer.count("!") - answer.count("\\!") > MOST_FACTORIALS:
        return f"more than {MOST_FACTORIALS} factorials"
    if REPEATED_FACTORIAL.search(answer.replace("\\!", "")):
        return "a factorial of a factorial"
    large = any(int(match[1] or match[2]) > LARGEST_FACTORIAL for match in FACTORIAL.finditer(answer))
    return f"a factorial of more than {LARGEST_FACTORIAL:,}" if large else None
