r"""Reference answers in their usual forms: text, a number, a list of answers, or a worked solution.

The answer of a worked solution is the content of its last ``\boxed{...}``, else the text after its last ``####``.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from boundary_bench.benchmarks.base import NoReference
from boundary_bench.grading import Verdict
from boundary_bench.grading.boxes import boxed
from boundary_bench.grading.graders import GRADERS
from boundary_bench.grading.sieve import LONGEST
from boundary_bench.records.jsons import structured

Row = dict[str, Any]
#: The column of worked solutions; a text without a box and without #### contains no answer.
SOLUTION = "solution"
BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])")
#: A formula between one pair of dollars or of LaTeX's other marks; a dollar with a backslash is a currency.
DRESSED = re.compile(
    r"\$\$((?:[^$\\]|\\.)+)\$\$|\$((?:[^$\\]|\\.)+)\$|\\\(((?:(?!\\\)).)+)\\\)|\\\[((?:(?!\\\]).)+)\\\]", re.S
)


def text(row: Row, name: str) -> str:
    """The text of a column; numbers are written out, whole ones without a point.

    Raises:
        KeyError: there is no such column.
        ValueError: it is empty or no text.
    """
    try:
        if found := written(row[name]):
            return found
        raise ValueError(f"found {row[name]!r:.80}, expected text")
    except ValueError as fault:
        raise ValueError(f"{name}: {fault}") from None


def written(value: Any) -> str:
    """A text or number as text, empty for None.

    Raises:
        ValueError: the value has another type.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float | Decimal) and math.isfinite(value):
        # via the shortest text, since int(1e23) is another number
        found = f"{Decimal(str(value)) or Decimal(0):f}"
        return found.rstrip("0").rstrip(".") if "." in found else found
    if type(value) is int:
        return str(value)
    raise ValueError(f"found {value!r:.80}, expected text")


def undressed(answer: str) -> str:
    r"""An answer without the dollars around it.

    >>> [undressed(each) for each in (r"$\frac{1}{2}$", r"5\$", r"\$5", "$x$ or $y$")]
    ['\\frac{1}{2}', '5\\$', '\\$5', '$x$ or $y$']
    """
    match = DRESSED.fullmatch(answer)
    return next(part for part in match.groups() if part is not None).strip() if match else answer


def listed(value: Any) -> list[Any] | None:
    """A list, also from JSON text; None for other values."""
    found = structured(value)
    return found if isinstance(found, list) else None


def reference(names: tuple[str, ...], row: Row, *, several: bool = False, numeric: bool = False) -> tuple[str, str]:
    """The reference of a row, and a response that contains it.

    Args:
        names: columns; the first with an answer counts.
        several: whether a column may hold a list of answers that are all required.
        numeric: whether the answer is a number.

    Raises:
        NoReference: no column holds an answer.
        ValueError: a column holds something else.
    """
    for name in names:
        value = row.get(name)
        if name == SOLUTION and not isinstance(value, str):
            continue
        answers = _answers(value) if several and name != SOLUTION else None
        try:
            if answers is None:
                worked = written(value)
                found = _answer(worked, name)
            else:
                found = worked = _all_of(answers)
        except ValueError as fault:
            raise ValueError(f"{name}: {fault}{_places(name, value)}") from None
        if not found:
            continue
        if numeric:
            found = found.replace(",", "")
            if not _is_number(found):
                raise ValueError(f"{name}: found {found[-80:]!r}, expected a number, or a solution with #### and one")
        holds = boxed(worked) is not None or (numeric and "####" in worked)
        return found, worked if holds else f"\\boxed{{{found}}}"
    held = ", ".join(f"{name}: {row[name]!r:.80}" for name in names if name in row)
    raise NoReference(f"found {held}" if held else f"no column {' or '.join(names)}")


def _answers(value: Any) -> list[Any] | None:
    """A list of answers, also from a JSON list of texts (``[2,3]`` is an interval); None for other values."""
    found = listed(value)
    return found if isinstance(value, list) or (found and all(isinstance(each, str) for each in found)) else None


def _all_of(answers: list[Any]) -> str:
    """Several answers as one text, empty without any."""
    found = [undressed(written(each)) for each in answers]
    if any(found) and not all(found):
        raise ValueError(f"found {answers!r:.80}, expected an answer in each place")
    return ", ".join(found) if any(found) else ""


def _answer(worked: str, name: str) -> str:
    """The answer in a text, empty without any."""
    if (box := boxed(worked)) is not None:
        return box
    _, hashes, after = worked.rpartition("####")
    if hashes:
        return undressed(after.strip().partition("\n")[0])
    return "" if name == SOLUTION or BOX.search(worked) else undressed(worked)


def _is_number(answer: str) -> bool:
    """Whether the numeric grader finds an answer equal to itself."""
    if len(answer) > LONGEST:
        return False
    return GRADERS["numeric"].grade(answer, f"\\boxed{{{answer}}}").verdict is Verdict.CORRECT


def _places(name: str, value: Any) -> str:
    """The remedy if a list was found instead of one answer."""
    if not isinstance(value, list):
        return ""
    return f"; of several, name one: columns: {{{name}: {name}.0}}, or take a kind of several answers: olympiadbench"
