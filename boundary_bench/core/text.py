"""Numbers, times and columns as text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
UNKNOWN = "unknown"
#: How far a number may be from the cell that holds its six digits, as a share of it.
WRITTEN = 1e-5
SCALES = {"T": 1e12, "G": 1e9, "M": 1e6}
#: Entries of a list that are written out.
LISTED = 20


def number(value: float | None, unit: str = "") -> str:
    """A number with three significant digits, or all before the point; from a million on with a prefix M, G or T.

    >>> number(12345), number(7.62e9), number(0.25), number(None)
    ('12,345', '7.62 G', '0.25', 'unknown')
    """
    if value is None:
        return UNKNOWN
    for prefix, scale in SCALES.items():
        if value >= 0.9995 * scale:  # three digits round this to 1
            return f"{value / scale:.3g} {prefix}{unit}"
    digits = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    return f"{digits} {unit}".rstrip()


def cell(value: Any) -> str:
    """A table cell: floats with six significant digits, rounding errors as 0, NaN and None as the empty text.

    >>> [cell(x) for x in (0.1 + 0.2, float("nan"), None, -1e-17, 3, "x")]
    ['0.3', '', '', '0', '3', 'x']
    """
    if value is None:
        return ""
    if not isinstance(value, float | np.floating):
        # readers end a row at a lone carriage return, which writers do not quote
        return str(value).replace("\r\n", "\n").replace("\r", "\n")
    return "" if np.isnan(value) else f"{round(float(value), 12) + 0.0:.6g}"


def rounded(value: float | str | None, digits: int) -> float | None:
    """A number with ``digits`` significant digits, for JSON; None if it is unknown or infinite.

    >>> [rounded(x, 5) for x in ("0.1234567", 2, float("inf"), "", None)]
    [0.12346, 2.0, None, None, None]
    """
    number = math.nan if value is None or value == "" else float(value)
    return float(f"{number:.{digits}g}") if math.isfinite(number) else None


def decimals(value: float | str, digits: int = 2, sign: str = "") -> str:
    """A number, or the text of a table cell, with ``digits`` decimals; a dash for an empty cell.

    >>> decimals(-0.001), decimals("0.125", 1), decimals(0.5, sign="+"), decimals("")
    ('0.00', '0.1', '+0.50', '–')
    """
    return DASH if value == "" else f"{float(value):{sign}z.{digits}f}"


def percent(share: float) -> str:
    """A share in percent, with one decimal."""
    return decimals(100 * share, 1)


def interval(value: str, low: str, high: str) -> str:
    """An estimate and its interval."""
    return f"{value} [{low}, {high}]"


def bare(number: str) -> str:
    """The shortest form of a number: no zero before the point, and 0 if it rounds to 0.

    >>> [bare(text) for text in ("0.12", "-0.50", "10.5", "-0.00")]
    ['.12', '−.50', '10.5', '0']
    """
    return "0" if float(number) == 0 else re.sub(r"^([+-]?)0\.", r"\1.", number).replace("-", MINUS)


def small(value: float) -> str:
    """A number with three decimals at most, as ``bare`` prints it.

    >>> [small(x) for x in (0.12345, -0.5, 10.5, 100.0, 0.0)]
    ['.123', '−.5', '10.5', '100', '0']
    """
    return bare(f"{value:.3f}".rstrip("0").rstrip("."))


def significant(value: float) -> str:
    """A number with three significant digits, and 0 below 0.00005.

    >>> [significant(x) for x in (0.12345, -1234.5, 4e-5)]
    ['0.123', '-1.23e+03', '0']
    """
    return "0" if abs(value) < 5e-5 else f"{value:.3g}"


def attempts(k: float) -> str:
    """A number of attempts with three significant digits, or all before the point.

    >>> [attempts(k) for k in (2.82843, 79.84, 769.6, 1234.5)]
    ['2.83', '79.8', '770', '1234']
    """
    return f"{k:.0f}" if k >= 100 else f"{k:.3g}"


def aligned(rows: list[list[str]]) -> list[str]:
    """Rows of equally many cells: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines


def listed(entries: Sequence[str], hint: str = "") -> list[str]:
    """The first entries of a list, a line each, and how many more there are.

    >>> listed(["a", "b"])
    ['  a', '  b']
    """
    more = [f"  and {len(entries) - LISTED:,} more{hint}"] if len(entries) > LISTED else []
    return [*(f"  {entry}" for entry in entries[:LISTED]), *more]


def plain(line: str) -> str:
    r"""A line with its control characters, but for tabs, written out: it steers no terminal.

    >>> print(plain("red \x1b[31m"))
    red \x1b[31m
    """
    return "".join(
        each if each.isprintable() or each == "\t" else each.encode("unicode_escape").decode() for each in line
    )


def duration(seconds: float | None) -> str:
    """A time in its two largest units, rounded up to whole seconds.

    >>> duration(7384), duration(59.2), duration(200_000), duration(None)
    ('2 h 3 min', '1 min', '2 d 7 h', '-')
    """
    if seconds is None:
        return "-"
    whole = math.ceil(seconds)
    for size, unit, smaller, word in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}{f' {rest} {word}' if rest else ''}"
    return f"{whole} s"
