"""Numbers in running text, complete and as written."""

from __future__ import annotations

import re
from collections import deque

from boundary_bench.grading.equations import COMMAND, VARIABLE, is_quantity, sides
from boundary_bench.grading.typography import dress
from boundary_bench.grading.units import known
from boundary_bench.grading.values import SIZES, equal_values, value_of

#: Between groups of three digits: a comma, or a thin space of LaTeX or Unicode.
GROUP = r"(?:,|\{,\}|,\\!|\\[,! ]|[ \u00a0\u2007\u2009\u202f])"
PLAIN = rf"(?:\d{{1,3}}(?:{GROUP}\d{{3}}(?!\d))+|\d+)(?:\.\d+)?|\.\d+"
PART = r"\s?\\[dt]?frac\{\d{1,9}\}\{\d{1,9}\}|\s\d{1,9}/\d{1,9}(?!\d)|\s?/\s?\d+(?:\.\d+)?|\s?[½⅓⅔¼¾]"
POWER = r"\s?(?:\\times|\\cdot|[×·*x])\s?10\s?(?:\^\s?\{?[-−+]?\d{1,6}\}?|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]{1,6})|[eE][-+]?\d{1,6}(?!\w)"
NUMBER = re.compile(
    rf"(?<![\w.])\d{{1,9}}:\d{{1,9}}(?!\d)"  # a time of day or a ratio is one thing
    rf"|(?<!\d)[¼-¾⅐-⅞]"
    rf"|(?:(?<![\d)}}.])[-−–](?=[\d.$€£¥₹\\]))?(?:\\?[$€£¥₹]\s?-?)?(?:"
    rf"\\[dt]?frac\s?(?:\{{-?\d{{1,99}}\}}|\d)\s?(?:\{{\d{{1,99}}\}}|\d)"
    rf"|(?<![A-Za-z\d.^_])(?<!\^\{{)(?<!_\{{)(?:{PLAIN})(?:{PART})?(?:{POWER})?"
    rf")(?:\s?(?:\\?%|(?:percent|{'|'.join(SIZES)})\b))?"
)
NEAR = 40  # characters before a number that are searched
WORDS = re.compile(r"\s*(?:\\text\{|\\mathrm\{|[A-Za-z]{2})")
#: Words and signs before a number that make it a different answer.
BEFORE = re.compile(
    r"(?:\b(?:not|at (?:least|most)|(?:less|more|fewer|greater) than|between|from|twice|half|double|triple|third)"
    r"\s(?:of\s)?|[a-zA-Z)}]\s*/\s*|\}\{|sqrt\s?[({]?)[\s$]*$",
    re.IGNORECASE,
)
NEGATIVE = re.compile(r"\b(?:negative|minus)\s[\s$]*$|[-−]\s[\s$]*$", re.IGNORECASE)
AFTER = re.compile(
    r"[\s$]*(?:[-+*/×·^−–x]\s?[\d(\\${]|\^|\\(?:times|cdot|sqrt|pi|div|pm)(?![a-z])|[√π!]"
    r"|(?:\\[a-z]+\{[\s~]*)?(?:times|plus|minus|divided|multiplied|over|squared|cubed|factorial|groups? of"
    r"|(?:more|less) than|and an? )\b"
    r"|(?:[a-z]+\s+|\\[a-z]+\{[\s~]*)?(?:and|or|to)\b[\s~}$]*\d|,\s[\s$]*\d)",
    re.IGNORECASE,
)
ATTACHED = re.compile(r"[A-Za-z]+")
ORDINALS = {"st", "nd", "rd", "th"}
END = re.compile(r"\n|[.!](?:\s|$)|,?\s(?:because|since|as|so|which)\b")
#: Words before the result of an expression.
COMES_TO = re.compile(r"(?:\bwhich (?:is|equals)|\bso|\bthus|\btherefore|\bor|:)\s+(?=[-$\d])")
UNSOLVED = re.compile(r"\\(?:not|ne|neq|le|leq|ge|geq|lt|gt)(?![a-z])|[!<>≠≤≥]")


def first_number(text: str) -> str | None:
    """The first number in a text, or the one after its last equals sign, as written.

    Following text that makes it a different answer is included: ``18*2``, ``10^6`` and ``18 or 20`` are not 18.
    """
    tail = text.rpartition("=")[2]
    whole, found = (tail, NUMBER.search(tail)) if NUMBER.search(tail) else (text, NUMBER.search(text))
    return found and _whole(whole, found)


def last_number(text: str) -> str | None:
    """The last number in a text, as written, with neighbouring text that makes it a different answer."""
    found = deque(NUMBER.finditer(text), 1)
    start = max(0, found[0].start() - NEAR) if found else 0
    return _whole(text[start:], NUMBER.search(text[start:], found[0].start() - start)) if found else None


def _whole(text: str, found: re.Match[str] | None) -> str | None:
    """A number of a text as an answer; if it is part of an expression, the expression's result or the expression."""
    if found is None:
        return None
    start = found
    while not _is_alone(text, found):
        result = COMES_TO.search(text, found.end())
        other = NUMBER.search(text, result.end()) if result else None
        chosen = result and other and (text[found.end() : result.start()].strip() or _same(found[0], other[0]))
        if other is None or not chosen:
            return _expression(text, start)
        found = other
    return ("-" if _follows(NEGATIVE, text, found) else "") + found[0].strip()


def _is_alone(text: str, found: re.Match[str]) -> bool:
    """Whether no neighbouring text makes a number a different answer."""
    attached = ATTACHED.match(text, found.end())
    if attached and attached[0].lower() not in ORDINALS and known(attached[0]) is None:
        return False
    return not AFTER.match(text, found.end()) and not _follows(BEFORE, text, found)


def _follows(words: re.Pattern[str], text: str, found: re.Match[str]) -> bool:
    return words.search(text, max(0, found.start() - NEAR), found.start()) is not None


def _expression(text: str, found: re.Match[str]) -> str:
    end = END.search(text, found.end())
    start = max(0, found.start() - NEAR) if _follows(BEFORE, text, found) else found.start()
    return text[start : end.start() if end else None].replace("$", "").strip()


def _same(one: str, other: str) -> bool:
    """Whether two numbers are equal, as in "1/2 or 0.5", and so no choice."""
    values = [value_of(dress(text)) for text in (one, other)]
    return values[0] is not None and values[1] is not None and equal_values(values[0], values[1])


def numeric_content(content: str) -> str:
    """The number in a box: the whole content, the last side of an equation, or the only number among words.

    Any other content is returned whole: an answer, but no number.
    """
    *others, last = sides(dress(content))
    if value_of(dress(content)) is not None:
        return content
    if others:
        names = VARIABLE.search(COMMAND.sub(" ", others[0]))
        solved = not UNSOLVED.search(content) and (is_quantity(others[0]) or not names)
        return content.rpartition("=")[2].strip() if solved and value_of(last) is not None else content
    first, *more = list(NUMBER.finditer(content)) or [None]
    begins = first is not None and first.start() == 0 and WORDS.match(content, first.end())
    if first and (begins or (not more and WORDS.search(content))) and not UNSOLVED.search(content):
        return first_number(content) or content
    return content
