"""Where in a response its answer is: text in, text out, in time linear in its length."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial

from boundary_bench.grading import limits

BOX = re.compile(r"\\(?:boxed|fbox)\s?\{|\\.|[{}]", re.DOTALL)
#: A box without braces, as in ``\boxed 2``: a number, a command with its arguments, or a letter.
BARE_BOX = re.compile(
    r"\\(?:boxed|fbox)\s{0,4}(?P<token>[-+]?(?:\d[\d,.]*(?:/\d+)?|\\[a-zA-Z]+(?:\{[^{}]*\}){0,2}|[a-zA-Z](?![a-zA-Z])))"
)
#: ``Final Answer: The final answer is X. I hope it is correct.`` (Minerva) and what looks like it.
FINAL = re.compile(r"\banswer(?: is|[ *]{0,3}:)", re.IGNORECASE)
FINAL_END = re.compile(r"\n|\.?\s?I hope it is correct|\.\s|$")
NUMBER = re.compile(r"-?(?:\\?\$\s?)?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+)?")
CHOICE = re.compile(
    r"\W{0,4}(?:(?:text(?:bf)?|math(?:rm|bf))\{)?\W{0,3}(?:(?i:option|choice)\W{0,3})?([A-J])(?![A-Za-z0-9])"
)
LONGEST_LINE = 4 * limits.LONGEST


def boxed(response: str) -> str | None:
    r"""The content of the last ``\boxed{...}`` that is closed, the inner one of two; None where there is none.

    An escaped brace opens and closes nothing, as in LaTeX.

    >>> boxed(r"\boxed{1}, no: \boxed{\frac{1}{2}}")
    '\\frac{1}{2}'
    """
    last = max(response.rfind("\\boxed"), response.rfind("\\fbox"))
    if last < 0:
        return None
    # nearly always the last box is closed; where it is not, one pass over everything finds the last that is
    return _bare_box(response, last) or _last_box(response, last) or _last_box(response, 0)


def _bare_box(response: str, place: int) -> str | None:
    match = BARE_BOX.match(response, place)
    return match["token"].rstrip(".,") or None if match else None


def _last_box(response: str, first: int) -> str | None:
    opened: list[int | None] = []
    found = None
    for match in BOX.finditer(response, first):
        token = match[0]
        if token == "{":
            opened.append(None)
        elif token == "}":
            start = opened.pop() if opened else None
            if start is not None and (found is None or start > found[0]):
                found = start, match.start()
        elif token.endswith("{") and len(token) > 2:
            opened.append(match.end())
    return None if found is None else response[found[0] : found[1]].strip() or None


def final(response: str) -> str | None:
    """What follows the last "final answer is", "answer is" or "answer:", up to the end of the sentence."""
    found = None
    for match in FINAL.finditer(response):
        found = match.end()
    if found is None:
        return None
    line = response[found : found + LONGEST_LINE]
    end = FINAL_END.search(line.lstrip(":* \n"))
    text = line.lstrip(":* \n")[: end.start() if end else None].strip().rstrip(".*").strip()
    return _without_dollars(text) or None


def _without_dollars(text: str) -> str:
    for opening, closing in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if len(text) >= len(opening + closing) and text.startswith(opening) and text.endswith(closing):
            inside = text[len(opening) : -len(closing)]
            return inside.strip() if opening not in inside else text
    return text


def hashes(response: str) -> str | None:
    """What follows the last ``####`` in its line, the answer form of GSM8K."""
    place = response.rfind("####")
    return response[place + 4 : place + LONGEST_LINE].split("\n")[0].strip() or None if place >= 0 else None


def number(text: str) -> str | None:
    """The last number in a text, as it is written."""
    found = None
    for match in NUMBER.finditer(text):
        found = match[0]
    return found


def letter(response: str) -> str | None:
    """The letter A-J of a choice: in the last box, after the last "answer is", or alone in the last line."""
    for place in (boxed(response), final(response)):
        if place is not None and (match := CHOICE.match(place)):
            return match[1]
    last = response.rstrip().rsplit("\n", 1)[-1]
    match = CHOICE.match(last)
    return match[1] if match and not last[match.end() :].strip(")].*}$ ") else None


def _first(ways: tuple[Callable[[str], str | None], ...], usable: Callable[[str], bool], response: str) -> str | None:
    """What the first way that finds something finds, where it is usable."""
    for way in ways:
        answer = way(response)
        if answer is not None:
            return answer if usable(answer) else None
    return None


@lru_cache(maxsize=10_000)
def _computable(answer: str) -> bool:
    return limits.plain(answer) and limits.computable(answer)


def _numeric(response: str) -> str | None:
    for way in (hashes, boxed):
        place = way(response)
        if place is not None:
            return number(place[:LONGEST_LINE])
    return number(response)


mathematics = partial(_first, (boxed, final), _computable)
exact = partial(_first, (str.strip,), limits.plain)
numeric = partial(_first, (_numeric,), _computable)
choice = partial(_first, (letter,), limits.plain)
