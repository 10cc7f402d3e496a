"""Numbers, times and columns as text."""

from __future__ import annotations

import math

UNKNOWN = "unknown"
SCALES = {"T": 1e12, "G": 1e9, "M": 1e6}


def number(value: float | None, unit: str = "") -> str:
    """A number with three digits, in millions and so on where it is large.

    >>> number(12345), number(7.62e9), number(0.25), number(None)
    ('12,345', '7.62 G', '0.25', 'unknown')
    """
    if value is None:
        return UNKNOWN
    for prefix, scale in SCALES.items():
        if value >= 0.9995 * scale:  # which three digits write as 1
            return f"{value / scale:.3g} {prefix}{unit}"
    digits = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    return f"{digits} {unit}".rstrip()


def aligned(rows: list[list[str]]) -> list[str]:
    """Rows of equally many cells: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines


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
