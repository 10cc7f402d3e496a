"""Two studies, or the results of two commits, against each other: what differs in settings, numbers and verdicts.

Everything is read from finished results; nothing is measured anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boundary_bench.operations.diff.numbers import Cell, Numbers, State, numbers
from boundary_bench.operations.diff.settings import SettingsDiff, settings
from boundary_bench.operations.diff.sides import Side, locate
from boundary_bench.operations.diff.verdicts import Verdicts, verdicts
from boundary_bench.tables.reading import read_tables
from boundary_bench.tables.record import read_record

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
        return any(getattr(self, kind).moved for kind in ("numbers", "verdicts") if what in (kind, "any"))


def contrast(a: Path, b: Path) -> Contrast:
    """Compare two folders of results.

    Raises:
        DataError: a table is missing, damaged or not of the measures beside it, or the two have no cell in common.
    """
    of_a, of_b = (Side(folder, read_tables(folder / "tables"), read_record(folder)) for folder in (a, b))
    found, made = numbers(of_a, of_b), settings(of_a.provenance, of_b.provenance)
    return Contrast(of_a, of_b, made, found, verdicts(of_a.tables, of_b.tables, found))
