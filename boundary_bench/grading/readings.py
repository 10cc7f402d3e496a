r"""Readings of an answer made of numbers: a number, a time of day, a ratio, a numeral, or a list of these.

Readings are compared exactly and without algebra.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from boundary_bench.grading.equations import sides
from boundary_bench.grading.units import TEXT
from boundary_bench.grading.values import Value, equal_values, named, value_of

LONGEST = 400  # characters
DEEPEST = 3  # lists within each other
CLOCK = re.compile(r"(\d{1,2})(?::(\d\d)(?::(\d\d))?)?\s?(?:([ap])\s?\.?\s?m\s?\.?)?", re.IGNORECASE)
NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
RATIO = re.compile(rf"{NUMBER}(?: ?(?::|to) ?{NUMBER})+")
BASED = re.compile(
    r"(-?) ?(\()? ?([0-9A-Za-z]*\.?[0-9A-Za-z]+) ?(?(2)\)) ?"
    r"(?:_ ?\{? ?|,? ?(?:in |\()? ?base[ -])\(? ?([a-z]+|\d{1,2}) ?\)? ?\}? ?\)?"
)
BASES = {
    **{str(base): base for base in range(2, 100)},
    **dict(zip(("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), range(2, 11), strict=True)),
    **{"eleven": 11, "twelve": 12, "sixteen": 16},
}
ZEROS = re.compile(r"0\d")  # a group of a longer number, and no item of a list
OPENING = {"(": ")]", "[": ")]", "\\{": ("\\}",)}
TOKEN = re.compile(r"\\[{}]|\\text\{\s*,?\s*(?:and|or)\s*\}|\\[a-zA-Z]+|\b(?:and|or)\b|[(){}\[\],;]")


@dataclass(frozen=True)
class Clock:
    """A time of day.

    Attributes:
        seconds: after midnight, or after noon if the half of the day is not stated.
        said: whether the half of the day is stated.
    """

    seconds: int
    said: bool

    def __str__(self) -> str:
        hours, seconds = divmod(self.seconds, 3600)
        return f"{hours}:{seconds // 60:02}:{seconds % 60:02}"


@dataclass(frozen=True)
class Ratio:
    """Numbers in proportion, as ``3:4`` or ``3 to 4``; only their quotients count."""

    terms: tuple[Fraction, ...]

    def __str__(self) -> str:
        return ":".join(map(str, self.terms))

    @property
    def simplest(self) -> tuple[Fraction, ...]:
        """The same ratio with a first term of one."""
        return tuple(term / self.terms[0] for term in self.terms) if self.terms[0] else self.terms


@dataclass(frozen=True)
class Numeral:
    """Digits in a base."""

    digits: str
    base: int

    def __str__(self) -> str:
        return f"{self.digits} in base {self.base}"


@dataclass(frozen=True)
class Listing:
    """Several answers, with or without brackets; in parentheses or square brackets the order counts."""

    brackets: str
    items: tuple[Reading, ...]

    def __str__(self) -> str:
        opening, closing = self.brackets[:1], self.brackets[1:]
        return f"{opening}{', '.join(map(str, self.items))}{closing}"


Reading = Value | Clock | Ratio | Numeral | Listing


@lru_cache(maxsize=20_000)
def readings(text: str, depth: int = 0) -> tuple[Reading, ...]:
    """All readings of a dressed answer: ``70,110`` is one number, or two; empty if it is not made of numbers."""
    if len(text) > LONGEST or depth > DEEPEST:
        return ()
    found = (value_of(text), _clock(text), _ratio(text), _numeral(text), *_listings(text, depth))
    return tuple(each for each in found if each is not None)


def equal(reference: Reading, answer: Reading) -> bool | None:
    """Whether two readings are equal; None if their kinds are not comparable here."""
    if isinstance(reference, Value) and isinstance(answer, Value):
        return equal_values(reference, answer)
    if isinstance(reference, Clock) and isinstance(answer, Clock):
        return _equal_clocks(reference, answer)
    if isinstance(reference, Ratio) and isinstance(answer, Ratio):
        return reference.simplest == answer.simplest
    if isinstance(reference, Ratio) or isinstance(answer, Ratio):
        return _equal_to_ratio(reference, answer)
    if isinstance(reference, Numeral) or isinstance(answer, Numeral):
        return _equal_numerals(reference, answer)
    if isinstance(reference, Listing) and isinstance(answer, Listing):
        return _equal_lists(reference, answer)
    if isinstance(reference, Listing) or isinstance(answer, Listing):
        return _equal_to_list(reference, answer)
    return None


# times of day


def _clock(text: str) -> Clock | None:
    match = CLOCK.fullmatch(_plain(text))
    if match is None or not (match[2] or match[4]):
        return None
    hours, minutes, seconds = (int(match[place] or 0) for place in (1, 2, 3))
    if hours > 24 or minutes > 59 or seconds > 59 or (match[4] and not 0 < hours < 13):
        return None
    if match[4]:
        hours = hours % 12 + 12 * (match[4] in "pP")
    return Clock(hours * 3600 + minutes * 60 + seconds, bool(match[4]))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", TEXT.sub(r" \1 ", text)).strip()


def _equal_clocks(reference: Clock, answer: Clock) -> bool:
    """Whether two times of day are equal; one without the half of the day matches either half."""
    either_half = not (reference.said and answer.said) and min(reference.seconds, answer.seconds) < 13 * 3600
    unsaid = answer if reference.said else reference
    day = 12 * 3600 if either_half and unsaid.seconds < 13 * 3600 else 24 * 3600
    return reference.seconds % day == answer.seconds % day


# ratios


def _ratio(text: str) -> Ratio | None:
    """A ratio of two or more numbers; None for a time of day such as ``6:20``, which as a ratio would be 3:10."""
    plain = _plain(text)
    if not RATIO.fullmatch(plain):
        return None
    terms = tuple(map(Fraction, re.findall(NUMBER, plain)))
    lowest = math.gcd(*(term.numerator for term in terms)) == 1
    return Ratio(terms) if lowest or _clock(text) is None else None


def _equal_to_ratio(reference: Reading, answer: Reading) -> bool | None:
    """Whether a ratio of two terms equals a number, its quotient; a time of day is unequal to any ratio."""
    ratio, other = (reference, answer) if isinstance(reference, Ratio) else (answer, reference)
    if isinstance(other, Clock):
        return False
    if not isinstance(ratio, Ratio) or not isinstance(other, Value) or len(ratio.terms) > 2 or not ratio.terms[1]:
        return None
    return other.number == ratio.terms[0] / ratio.terms[1]


# numerals


def _numeral(text: str) -> Numeral | None:
    """Digits with a stated base, as ``1010_2``, ``1010_{\\text{two}}`` or ``1010 (base 2)``."""
    match = BASED.fullmatch(_plain(named(text)[1]))
    if match is None or match[4] not in BASES or not any(map(str.isdigit, match[3])):
        return None
    return Numeral(match[1] + _digits(match[3]), BASES[match[4]])


def _digits(written: str) -> str:
    return written.upper().lstrip("0") or "0"


def _equal_numerals(reference: Reading, answer: Reading) -> bool | None:
    """Whether digits and base are equal; a number without a stated base may have any."""
    if isinstance(reference, Numeral) and isinstance(answer, Numeral):
        return reference == answer
    numeral, other = (reference, answer) if isinstance(reference, Numeral) else (answer, reference)
    if not isinstance(other, Value) or not isinstance(numeral, Numeral) or not other.digits:
        return None
    return _digits(other.digits) == numeral.digits


# lists


def is_list(text: str) -> bool:
    """Whether a dressed answer lists several, with or without brackets."""
    opening, closing = _brackets(text)
    return len(parts_of(text[len(opening) : len(text) - len(closing)])) > 1


def brackets_of(text: str) -> str:
    """The brackets around a dressed answer that contains a comma, as ``()``, ``[)`` or ``{}``; else empty."""
    opening, closing = _brackets(text)
    return opening[-1:] + closing[-1:] if closing and "," in text else ""


def _brackets(text: str) -> tuple[str, str]:
    opening = next((mark for mark in OPENING if text.startswith(mark)), "")
    closing = next((mark for mark in OPENING.get(opening, ()) if _closes(text, opening, mark)), "")
    return (opening, closing) if closing else ("", "")


def _listings(text: str, depth: int) -> Iterator[Listing]:
    """The list readings; named numbers, as ``y = 2, x = 1``, are also the tuple in the order of their names."""
    *names, _ = sides(text)
    name, text = named(text) if len(names) == 1 and "," not in names[0] else ("", text)
    opening, closing = _brackets(text)
    brackets = opening[-1:] + closing[-1:]
    parts = parts_of(text[len(opening) : len(text) - len(closing)])
    if name is None or len(parts) < (1 if brackets == "{}" else 2) or any(map(ZEROS.match, parts)):
        return
    items = tuple(each for part in parts for each in readings(part, depth + 1)[:1])
    if len(items) < len(parts):
        return
    yield Listing(brackets, items)
    values = {item.name: replace(item, name="") for item in items if isinstance(item, Value) and item.name}
    if not brackets and len(values) == len(items):
        yield Listing("()", tuple(values[each] for each in sorted(values)))


def _closes(text: str, opening: str, closing: str) -> bool:
    """Whether the first bracket of a text is closed at its end."""
    if not text.endswith(closing):
        return False
    depth = 0
    for match in TOKEN.finditer(text):
        depth += (match[0] in (*OPENING, "{")) - (match[0] in (")", "]", "}", "\\}"))
        if depth == 0:
            return match.end() == len(text)
    return False


def parts_of(text: str) -> list[str]:
    """A list's items: the texts between commas, semicolons, "and" and "or" outside of brackets.

    If commas with a space divide it, one without belongs to a number: ``1,000, 2,000``.
    """
    spaced = re.search(r",\s", text) is not None
    parts, depth, done = [], 0, 0
    for match in TOKEN.finditer(text):
        token = match[0]
        depth += (token in (*OPENING, "{")) - (token in (")", "]", "}", "\\}"))
        divides = token in (",", ";", "and", "or") or token.startswith("\\text")
        within = token == "," and spaced and re.match(r"\d{3}(?!\d)", text[match.end() :])
        if divides and not within and depth == 0:
            parts.append(text[done : match.start()].strip())
            done = match.end()
    parts.append(text[done:].strip())
    return [part for part in parts if part] if len(parts) > 1 else parts


def _equal_lists(reference: Listing, answer: Listing) -> bool | None:
    """Whether two lists are equal: as tuples if either is ordered, as sets in braces (repeated items count once).

    Lists with brackets of different meaning are unequal.
    """
    brackets = {reference.brackets, answer.brackets} - {""}
    if len(brackets) > 1 and not (brackets == {"()", "[]"} and len(reference.items) > 2):
        return False
    if brackets == {"{}"}:
        found = [_found(item, answer.items) for item in reference.items]
        found += [_found(item, reference.items) for item in answer.items]
        return None if None in found else all(found)
    if not brackets or (not reference.brackets and answer.brackets == "[]"):
        return _same_items(reference.items, answer.items)
    # without brackets it is no interval
    if not answer.brackets and reference.brackets != "()":
        return None
    return _all_equal(reference.items, answer.items)


def _same_items(one: Sequence[Reading], other: Sequence[Reading]) -> bool | None:
    """Whether two lists are equal as multisets."""
    left, unknown = list(other), False
    for item in one:
        found = [equal(item, each) for each in left]
        if True in found:
            del left[found.index(True)]
        elif None in found:
            unknown = True
        else:
            return False
    return None if unknown else not left


def _equal_to_list(reference: Reading, answer: Reading) -> bool | None:
    """Whether a set of one element, however often it is listed, equals that element."""
    listing, other = (reference, answer) if isinstance(reference, Listing) else (answer, reference)
    assert isinstance(listing, Listing)
    found = [equal(item, other) for item in listing.items]
    return False if listing.brackets not in ("", "{}") or False in found else None if None in found else True


def _all_equal(one: Sequence[Reading], other: Sequence[Reading]) -> bool | None:
    if len(one) != len(other):
        return False
    found = [equal(a, b) for a, b in zip(one, other, strict=True)]
    return None if None in found else all(found)


def _found(item: Reading, others: Sequence[Reading]) -> bool | None:
    found = [equal(item, other) for other in others]
    return True if True in found else None if None in found else False
