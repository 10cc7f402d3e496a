"""What a reader gives: rows with the numbers that messages and ``skip`` name them by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Record:
    """A row of a file, or of several that are read as one.

    Attributes:
        number: from 1 on, through all of them.
        row: its columns; None where it is none.
        place: where it stands, if the number alone does not say so: "line 7".
        fault: what is wrong where it is no row, and what to do.
    """

    number: int
    row: dict[str, Any] | None
    place: str = ""
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.number} ({self.place})" if self.place else str(self.number)


def joined(parts: Iterable[tuple[str, Iterable[Record]]]) -> Iterator[Record]:
    """The records of several parts with one numbering; each says its part and its number there."""
    number = 0
    for name, records in parts:
        for record in records:
            number += 1
            place = f"{name}, row {record.number}" + (f", {record.place}" if record.place else "")
            yield replace(record, number=number, place=place)
