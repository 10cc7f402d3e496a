"""Numbers in running text, whole as they are written."""

from __future__ import annotations

import re
from collections import deque

from boundary_bench.grading.typography import dress
from boundary_bench.grading.values import value_of

#: Between groups of three digits: a comma, or a thin space of LaTeX or Unicode.
GROUP = r"(?:,|\{,\}|,\\!|\\[,! ]|[ \u00a0\u2007\u2009\u202f])"
PLAIN = rf"(?:\d{{1,3}}(?:{GROUP}\d{{3}}(?!\d))+|\d+)(?:\.\d+)?|\.\d+"
PART = r"\s?\\[dt]?frac\{\d{1,9}\}\{\d{1,9}\}|\s\d{1,9}/\d{1,9}(?!\d)|\s?/\s?\d+(?:\.\d+)?|\s?[½⅓⅔¼¾]"
POWER = r"\s?(?:\\times|\\cdot|[×·*x])\s?10\s?(?:\^\s?\{?[-−+]?\d{1,6}\}?|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]{1,6})|[eE][-+]?\d{1,6}(?!\w)"
NUMBER = re.compile(
    rf"(?<![\w.])\d{{1,2}}:\d\d(?!\d)"  # a time of day is one thing
    rf"|(?:(?<![\d)}}.])[-−–](?=[\d.$€£¥₹\\]))?(?:\\?[$€£¥₹]\s?-?)?(?:"
    rf"\\[dt]?frac\s?(?:\{{-?\d{{1,99}}\}}|\d)\s?(?:\{{\d{{1,99}}\}}|\d)"
    rf"|(?<![A-Za-z\d.])(?:{PLAIN})(?:{PART})?(?:{POWER})?"
    rf")(?:\s?(?:\\?%|(?:percent|hundred|thousand|million|billion|trillion)\b))?"
)
WORDS = re.compile(r"\s*(?:\\text\{|\\mathrm\{|[A-Za-z]{2})")


def first_number(text: str) -> str | None:
    """The first number in a text, or what it is said to be equal to, as it is written."""
    found = NUMBER.search(text.rpartition("=")[2]) or NUMBER.search(text)
    return found[0].strip() if found else None


def last_number(text: str) -> str | None:
    """The last number in a text, as it is written."""
    found = deque(NUMBER.finditer(text), 1)
    return found[0][0].strip() if found else None


def numeric_content(content: str) -> str:
    """The number that a box holds: all of it, what it is said to be equal to, or what its words are about.

    A box that holds anything else is an answer too, and no number.
    """
    for text in (content, content.rpartition("=")[2].strip()):
        if value_of(dress(text)) is not None:
            return text
    found = NUMBER.match(content)
    return found[0] if found and WORDS.match(content, found.end()) else content
