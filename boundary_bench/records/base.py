"""The records that readers yield: rows with the numbers that messages and ``skip`` use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Record:
    """A row of a file, or of several files that are read as one.

    Attributes:
        number: number of the row, from 1 on, over all files.
        row: values by column; None if the row is invalid.
        place: position in the file, "line 7", if it differs from the number.
        fault: why the row is invalid, and what to do.
    """

    number: int
    row: dict[str, Any] | None
    place: str = ""
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.number} ({self.place})" if self.place else str(self.number)


def joined(parts: Iterable[tuple[str, Iterable[Record]]]) -> Iterator[Record]:
    """The records of several parts, numbered as one; ``place`` names the part and the number in it."""
    number = 0
    for name, records in parts:
        for record in records:
            number += 1
            place = f"{name}, row {record.number}" + (f", {record.place}" if record.place else "")
            yield replace(record, number=number, place=place)
