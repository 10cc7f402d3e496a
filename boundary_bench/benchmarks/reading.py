"""Rows become problems: those that cannot be used are said in one message, those left out are counted and said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from boundary_bench.benchmarks.answers import Row
from boundary_bench.benchmarks.base import Kind, NoReference, Problem
from boundary_bench.benchmarks.columns import LOOKED_AT, Columns, likely, named, nested, overlooked
from boundary_bench.core.errors import DataError
from boundary_bench.records import Record
from boundary_bench.records.paths import flow

MOST_ROWS = 1_000_000
MOST_TEXT = 2**29  # characters of all problems; those of MATH have 7 million
SHOWN = 20  # faults that a message says in full
SHOWN_ROWS = 3  # rows that it shows where all are alike
MOST_SKIPPED = 1_000  # rows that it proposes to skip
EMPTY = (None, "", [], {})

Said = tuple[Record, str]  #: a row, and what is to be said of it


@dataclass
class Rows:
    """What was found in the rows of a set.

    Attributes:
        what: the file, or the name of the set.
        count, size: how many there are, and how many characters the problems have.
        usable: problems, with the rows that they stand in.
        faults, without, skipped: rows that are no problem, that have no reference, that the study skips.
        lacking: of each uniform column, the rows that have it not.
        seen: the columns of the kind that any row has.
        first: some of the rows as they are.
    """

    what: Path | str
    count: int = 0
    size: int = 0
    usable: list[tuple[Record, Problem]] = field(default_factory=list)
    faults: list[Said] = field(default_factory=list)
    without: list[Said] = field(default_factory=list)
    skipped: list[Record] = field(default_factory=list)
    lacking: dict[str, list[Record]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    first: list[Row] = field(default_factory=list)


def parsed(kind: Kind, records: Iterable[Record], skip: list[int], columns: Columns, what: Path | str) -> Rows:
    """The problems in some rows, and the rows that hold none.

    Args:
        skip: numbers of rows that are not looked at.
        what: the file that the rows are of, or the name of the set.
    """
    rows, skipped = Rows(what, lacking={name: [] for name in kind.uniform}), frozenset(skip)
    for record in records:
        rows.count += 1
        if rows.count > MOST_ROWS or rows.size > MOST_TEXT:
            raise DataError(
                f"{what}: found more than {MOST_ROWS:,} rows or {MOST_TEXT:,} characters, expected a set of problems; "
                "take a part of it"
            )
        if record.number in skipped:
            rows.skipped.append(record)
        else:
            _enter(kind, columns, record, rows)
    for name, lacking in rows.lacking.items():
        if len(lacking) < len(rows.usable):
            rows.faults += [(record, f"no {name}, which other rows have") for record in lacking]
    if skip and skip[-1] > rows.count:
        raise DataError(
            f"options.skip: found {skip[-1]}, which is no row of {what}; expected numbers from 1 to {rows.count:,}, as "
            "messages give them; take it out"
        )
    if rows.faults or not rows.usable or columns.lost(rows.seen) or overlooked(kind, columns, rows.first):
        raise DataError(_refusal(kind, columns, skip, rows))
    return rows


def _enter(kind: Kind, columns: Columns, record: Record, rows: Rows) -> None:
    """Enter a row among the problems, or where it belongs."""
    assert kind.parse is not None
    raw, record = record.row, replace(record, row=None)  # what is kept of a row is its problem
    try:
        if raw is None:
            raise ValueError(record.fault)
        row = columns.of(raw)
        rows.seen |= row.keys() & kind.columns.keys()
        if len(rows.first) < LOOKED_AT:
            rows.first.append(raw)
        problem = kind.parse(row)
        if not isinstance(kind.grader.extract(problem.solution), str):
            raise ValueError(
                f"the grader {kind.grader.name!r} finds no answer in its own solution, which ends in "
                f"{problem.solution[-80:]!r}, so that no response could be correct"
            )
    except NoReference as reason:
        rows.without.append((record, str(reason)))
    except KeyError as fault:
        rows.faults.append((record, f"no column {columns.called(fault.args[0])}"))
    except RecursionError:
        rows.faults.append((record, "nested too deep"))
    except (ValueError, TypeError) as fault:
        rows.faults.append((record, str(fault)))
    else:
        rows.usable.append((record, problem))
        rows.size += len(problem.prompt) + len(problem.solution)
        for name, lacking in rows.lacking.items():
            if row.get(name) in EMPTY:
                lacking.append(record)


def expected(kind: Kind) -> str:
    """What the rows of a kind hold."""
    return "rows with " + ", ".join(f"{name} ({meaning})" for name, meaning in kind.columns.items())


def _refusal(kind: Kind, columns: Columns, skip: list[int], rows: Rows) -> str:
    """Why rows cannot be used, and a line to write."""
    rows.faults.sort(key=lambda fault: fault[0].number)
    absent = _absent(kind, columns, rows)
    if rows.usable and not absent:
        return _some(kind, skip, rows)
    if not (rows.faults or rows.without or rows.usable):
        return f"{rows.what} holds no row{' that is not skipped' if skip else ''}; expected {expected(kind)}"
    return _none(kind, columns, absent, rows)


def _some(kind: Kind, skip: list[int], rows: Rows) -> str:
    """The rows that cannot be used, and the line that leaves them out, besides those that are left out already."""
    numbers = sorted({*skip, *(record.number for record, _ in rows.faults)})
    leave = f", or leave them out: options: {flow({'skip': numbers})}" if len(numbers) <= MOST_SKIPPED else ""
    head = f"{rows.what}: {len(rows.faults):,} of {rows.count:,} rows cannot be used"
    return "\n".join([head, *_listed(rows.faults), f"expected {expected(kind)}; mend them{leave}"])


def _none(kind: Kind, columns: Columns, absent: list[str], rows: Rows) -> str:
    """No row can be used, or a column is in none: what there is, and the line or command that likely helps."""
    if absent:
        why = f"no row has {' and '.join(map(columns.called, absent))}; the columns are: {named(rows.first)}"
    else:
        why = f"none of its {rows.count:,} rows {'can be used' if rows.faults else 'has a reference'}"
    shown = [f"  row: {row!r:.200}" for row in rows.first[:SHOWN_ROWS]]
    said = _listed(rows.faults) if rows.faults and not absent else shown
    lines = [f"{rows.what}: {why}", *said, f"expected {expected(kind)}"]
    if isinstance(rows.what, Path) and (inside := nested(rows.what, rows.first)):
        return "\n".join([*lines, inside])
    faulty = [name for name in kind.columns if any(said.startswith(f"{name}:") for _, said in rows.faults)]
    wanted = [*absent, *faulty] or ([] if rows.faults else [kind.reference[0]])
    line = likely(kind, columns, rows.first, wanted, guess=wanted != faulty) if rows.first else ""
    return "\n".join([*lines, f"write into the study: {line}"] if line else lines)


def _absent(kind: Kind, columns: Columns, rows: Rows) -> list[str]:
    """The columns that rows must have, and none has, where there are rows at all."""
    if not rows.first:
        return []
    absent = [name for name in kind.columns if name not in {*kind.uniform, *kind.reference, *rows.seen}]
    absent = list(dict.fromkeys([*absent, *columns.lost(rows.seen)]))
    if overlooked(kind, columns, rows.first):
        absent += [name for name in kind.uniform if name not in rows.seen][-1:]
    if not rows.seen.intersection(kind.reference):
        absent = list(dict.fromkeys([*absent, *kind.reference[:1]]))
    return absent


def _listed(said: list[Said]) -> list[str]:
    """A line for each row, up to so many."""
    lines = [f"  row {record}: {reason}" for record, reason in said[:SHOWN]]
    return lines if len(said) <= SHOWN else [*lines, f"  and {len(said) - SHOWN:,} more"]
