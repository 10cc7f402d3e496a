"""What an answer may look like before a computer algebra system sees it.

A sieve, not the guarantee: it costs microseconds and takes out what is sure to hang or to exhaust memory. What slips
through meets the deadline and the memory limit of its process. An answer beyond a limit is none: unparsable.
"""

from __future__ import annotations

import math
import re

LONGEST = 1_000  # characters; the longest of MATH's 12,500 answers has fewer than 200
DEEPEST = 12  # open brackets of any kind at one place
LONGEST_NUMBER = 100  # digits in a row
LARGEST_RESULT = 2_000  # digits of a power of two numbers
LARGEST_NESTED_RESULT = 5_000  # value of a power of two numbers that is itself an exponent
MOST_NESTED_POWERS = 2
LARGEST_FACTORIAL = 1_000
MOST_FACTORIALS = 6

#: Controls, surrogates, and marks that change the direction of text: what is read is not what is there.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
NUMBER = re.compile(rf"\d{{{LONGEST_NUMBER + 1}}}")
SCIENTIFIC = re.compile(r"\d\.?[eE][+-]?\d{4,}")
POWER_OF_NUMBERS = re.compile(r"(\d+)\s*[)}]*\s*(?:\^|\*\*)\s*(?=[({]*\s*(\d+))")
CHAIN = re.compile(r"(?:\^|\*\*)\s*[\w.]+\s*(?:\^|\*\*)")
FACTORIAL = re.compile(r"(\d+)\s*[)}]*\s*!")
REPEATED_FACTORIAL = re.compile(r"![\s)}\]]*!")
BRACKET = re.compile(r"\\.|[{}()\[\]]", re.DOTALL)


def plain(answer: str) -> bool:
    """Whether a text is short, printable and not empty: what any grader needs."""
    return 0 < len(answer) <= LONGEST and UNPRINTABLE.search(answer) is None


def computable(answer: str) -> bool:
    """Whether a plain answer may be given to a computer algebra system.

    Braces must be balanced; brackets of other kinds need not, since intervals are half open.
    """
    return _shallow(answer) and _small_numbers(answer) and _small_powers(answer) and _small_factorials(answer)


def _shallow(answer: str) -> bool:
    depth = braces = 0
    for match in BRACKET.finditer(answer):
        token = match[0]
        if token in "{([":
            depth += 1
            braces += token == "{"
        elif token in "})]":
            depth -= 1
            braces -= token == "}"
        if braces < 0 or depth > DEEPEST:
            return False
    return braces == 0


def _small_numbers(answer: str) -> bool:
    return NUMBER.search(answer) is None and SCIENTIFIC.search(answer) is None


def _small_powers(answer: str) -> bool:
    if CHAIN.search(answer):
        return False
    deepest, inside = _exponents(answer)
    if deepest > MOST_NESTED_POWERS:
        return False
    for match in POWER_OF_NUMBERS.finditer(answer):
        digits = math.log10(max(2, int(match[1]))) * int(match[2])
        nested = inside[match.start(1)]
        if digits > (math.log10(LARGEST_NESTED_RESULT) if nested else LARGEST_RESULT):
            return False
    return True


def _exponents(answer: str) -> tuple[int, list[int]]:
    """How many exponents lie within each other at most, and at every character."""
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


def _small_factorials(answer: str) -> bool:
    return (
        answer.count("!") - answer.count("\\!") <= MOST_FACTORIALS
        and REPEATED_FACTORIAL.search(answer.replace("\\!", "")) is None
        and all(int(match[1]) <= LARGEST_FACTORIAL for match in FACTORIAL.finditer(answer))
    )
