"""Stand-ins for ``boundary_bench.grading.graders``: strings and numbers, compared as they are written."""

from __future__ import annotations

import re
from fractions import Fraction

from boundary_bench.grading import Grader, Verdict

LONGEST = 100_000
NUMBER = re.compile(r"-?[0-9][0-9,]{0,200}(?:\.[0-9]{1,100})?(?:/[1-9][0-9]{0,100})?")


def boxed(response: str) -> str | None:
    """What the last box of a response holds, its braces balanced."""
    start = response.rfind("\\boxed{", 0, LONGEST)
    if start < 0 or len(response) > LONGEST:
        return None
    depth, begin = 1, start + len("\\boxed{")
    for place in range(begin, len(response)):
        depth += {"{": 1, "}": -1}.get(response[place], 0)
        if not depth:
            return response[begin:place].strip() or None
    return None


def number(response: str) -> str | None:
    """The number in the last box, or else the last number."""
    found = NUMBER.findall((boxed(response) or response)[-1_000:])
    return found[-1] if found else None


def letter(response: str) -> str | None:
    """The letter in the last box, or else the last capital that stands alone."""
    found = re.findall(r"(?<![A-Za-z\\])[A-Z](?![A-Za-z])", (boxed(response) or response)[-1_000:])
    return found[-1] if found else None


def same_text(reference: str, answer: str) -> Verdict:
    """Equal but for white space."""
    return Verdict.CORRECT if "".join(reference.split()) == "".join(answer.split()) else Verdict.WRONG


def same_number(reference: str, answer: str) -> Verdict:
    """Equal as rational numbers."""
    values = [Fraction(*map(Fraction, text.replace(",", "").split("/"))) for text in (reference, answer)]
    return Verdict.CORRECT if values[0] == values[1] else Verdict.WRONG


GRADERS = {
    grader.name: grader
    for grader in (
        Grader("math", 0, boxed, same_text),
        Grader("boxed", 0, boxed, same_text),
        Grader("exact", 0, lambda response: response.strip()[:LONGEST] or None, same_text),
        Grader("choice", 0, letter, same_text),
        Grader("numeric", 0, number, same_number),
    )
}
