"""Two studies, or the results of two commits, against each other: what differs in settings, numbers and verdicts.

Everything is read from finished results; nothing is measured anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boundary_bench.operations.diff.numbers import Cell, Numbers, State, numbers
from boundary_bench.operations.diff.settings import SettingsDiff, settings
from boundary_bench.operations.diff.sides import Side, locate, read_side
from boundary_bench.operations.diff.verdicts import Verdicts, verdicts

__all__ = ["Cell", "Contrast", "State", "contrast", "locate"]


@dataclass(frozen=True)
class Contrast:
    """What two folders of results differ in, B against A."""

    a: Side
    b: Side
    settings: SettingsDiff
    numbers: Numbers
    verdicts: Verdicts

    def moved(self, what: str = "any") -> bool:
        """Whether one of the ``numbers`` moved beyond chance, one of the ``verdicts`` is another one, or ``any``."""
        found = {"numbers": bool(self.numbers.moved), "verdicts": bool(self.verdicts.moved)}
        return any(found.values()) if what == "any" else found[what]


def contrast(a: Path, b: Path) -> Contrast:
    """Compare two folders of results.

    Raises:
        DataError: a table is missing, damaged or not of the measures beside it, or the two have no cell in common.
    """
    sides = read_side(a), read_side(b)
    found = numbers(*sides)
    return Contrast(*sides, settings(*(side.provenance for side in sides)), found, verdicts(*sides, found))
