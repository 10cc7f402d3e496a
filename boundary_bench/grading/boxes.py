r"""The boxes of a response: the last ``\boxed{...}`` with an answer, and adjacent boxes that form a list with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from boundary_bench.grading.sieve import LONGEST

LONGEST_LINE = 4 * LONGEST  # characters in which an answer is searched
BOX = re.compile(
    r"\\(?:boxed|fbox)(?:\s?\{|\s{0,4}(?P<bare>[-+]?(?:\d[\d,.]*(?:/\d+)?|\\[a-zA-Z]+(?:\{[^{}\n]{0,99}\}){0,2}))"
    r"|\s{1,4}(?P<letter>[a-zA-Z])(?![a-zA-Z]))|\\.|[{}]",
    re.DOTALL,
)
PLAIN_BOX = re.compile(r"\\(?:boxed|fbox)\{([^{}\\]*)\}")
#: Content of a box that only shows where an answer goes.
BLANK = re.compile(
    r"(?:\\text\{)?(?:[\s.…?_\-]|\\(?:[,;:!> _]|q?quad|[cl]?dots|square|Box)|(?:(?:the|your|my|final) )*answer)*\}?",
    re.IGNORECASE,
)
LONGEST_BLANK = 40  # characters
NAME = r"\$?[A-Za-z](?:_?\{?\w{1,3}\}?)?\s*=\s*"
#: Text between boxes of one answer: separators, "and", and at most a name as in ``y =``.
BESIDE = re.compile(
    r"(?:[\s$,;&()\\\[\]]|\\q?quad)*(?:(?:and|or)\b|\\text\{\s*(?:and|or)\s*\})?"
    rf"(?:[\s$(\\\[]|\\q?quad|\n\s*[-*•])*(?:{NAME})?[\s$]*"
)
MOST_BESIDE = 40  # characters
BOX_BEGINS = re.compile(r"\\(?:boxed|fbox)\s?(?=(\{[^{}\n]{0,40}\})?)")


@dataclass(frozen=True)
class Box:
    """A box of a response: its start and stop in the response, and its content."""

    first: int
    stop: int
    content: str


def first_box(response: str) -> int | None:
    """The place of the first box that may hold an answer; None without one."""
    found = (match for match in BOX_BEGINS.finditer(response) if match[1] is None or not _is_blank(match[1][1:-1]))
    return next((match.end() for match in found), None)


def _is_blank(content: str) -> bool:
    """Whether a box only shows where an answer goes."""
    return len(content) <= LONGEST_BLANK and BLANK.fullmatch(content) is not None


def boxed(response: str) -> str | None:
    r"""The content of the last ``\boxed{...}`` that is closed and not empty, the inner of two nested ones; else None.

    An escaped brace opens and closes nothing, as in LaTeX.

    >>> boxed(r"\boxed{1}, no: \boxed{\frac{1}{2}}. I put it in \boxed{}.")
    '\\frac{1}{2}'
    """
    found = boxes(response)
    return found[-1].content if found else None


def boxes(response: str) -> list[Box]:
    """The last box that is closed and not empty, preceded by adjacent boxes that form one answer with it."""
    last = max(response.rfind("\\boxed"), response.rfind("\\fbox"))
    if last < 0:
        return []
    # nearly always the last boxes are closed; if not, one pass over everything finds closed ones
    near = (response.find(name, max(0, last - LONGEST_LINE)) for name in ("\\boxed", "\\fbox"))
    first = min(place for place in near if place >= 0)
    plain = PLAIN_BOX.match(response, last) if first == last else None
    if plain and not _is_blank(plain[1]):
        return [Box(last, plain.end(), plain[1].strip())]
    found = _closed(response, first) or _closed(response, 0)
    chain = found[-1:]
    for box in reversed(found[:-1]):
        between = response[box.stop : chain[0].first]
        if box.stop > chain[0].first or len(between) > MOST_BESIDE or BESIDE.fullmatch(between) is None:
            break
        chain.insert(0, box)
    return chain


def _closed(response: str, start: int) -> list[Box]:
    """Boxes from ``start`` on that are closed and not empty, in the order of their first characters."""
    opened: list[re.Match[str] | None] = []
    found = []
    for match in BOX.finditer(response, start):
        token = match[0]
        if bare := match["bare"] or match["letter"]:
            found.append(Box(match.start(), match.end(), bare.rstrip(".,")))
        elif token == "}":
            opening = opened.pop() if opened else None
            if opening is not None:
                content = response[opening.end() : match.start()].strip()
                found.append(Box(opening.start(), match.end(), content))
        elif token.endswith("{") and token != "\\{":
            opened.append(match if len(token) > 1 else None)
    return sorted((box for box in found if not _is_blank(box.content)), key=lambda box: box.first)
