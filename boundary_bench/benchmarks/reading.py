"""Rows become problems: those that cannot be used are said in one message, those left out are counted and said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from boundary_bench.benchmarks.answers import Row
from boundary_bench.benchmarks.base import Kind, NoReference, Problem
from boundary_bench.benchmarks.columns import LOOKED_AT, Columns, likely, named, nested, overlooked
from boundary_bench.errors import DataError
from boundary_bench.records import Record
from boundary_bench.records.paths import flow

MOST_ROWS = 1_000_000
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
        usable: problems, with the rows that they stand in.
        faults, without, skipped: rows that are no problem, that have no reference, that the study skips.
        lacking: of each uniform column, the rows that have it not.
        seen: the columns that any row has.
        first: some of the rows as they are.
    """

    what: Path | str
    count: int = 0
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

    Raises:
        DataError: rows cannot be used, of which it names all; there is no problem at all; a number of ``skip`` is no
            row.
    """
    rows, skipped = Rows(what, lacking={name: [] for name in kind.uniform}), frozenset(skip)
    for record in records:
        rows.count += 1
        if rows.count > MOST_ROWS:
            raise DataError(
                f"{what}: found more than {MOST_ROWS:,} rows, expected a set of problems; take a part of it"
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
    try:
        if record.row is None:
            raise ValueError(record.fault)
        row = columns.of(record.row)
        rows.seen.update(row)
        if len(rows.first) < LOOKED_AT:
            rows.first.append(record.row)
        problem = kind.parse(row)
        if kind.grader.extract(problem.solution) is None:
            raise ValueError(
                f"the grader {kind.grader.name!r} finds no answer in its own solution, which ends in "
                f"{problem.solution[-80:]!r}, so that no response could be correct"
            )
    except NoReference as reason:
        rows.without.append((record, str(reason)))
    except KeyError as fault:
        rows.faults.append((record, f"no column {fault}"))
    except RecursionError:
        rows.faults.append((record, "nested too deep"))
    except (ValueError, TypeError) as fault:
        rows.faults.append((record, str(fault)))
    else:
        rows.usable.append((record, problem))
        for name, lacking in rows.lacking.items():
            if row.get(name) in EMPTY:
                lacking.append(record)


def expected(kind: Kind) -> str:
    """What the rows of a kind hold."""
    return "rows with " + ", ".join(f"{name} ({meaning})" for name, meaning in kind.columns.items())


def _refusal(kind: Kind, columns: Columns, skip: list[int], rows: Rows) -> str:
    """Why rows cannot be used: every one of them, and a line to write."""
    faults = sorted(rows.faults, key=lambda fault: fault[0].number)
    absent = _absent(kind, columns, rows)
    if rows.usable and faults and not absent:
        numbers = sorted({*skip, *(record.number for record, _ in faults)})
        lines = [f"{rows.what}: {len(faults):,} of {rows.count:,} rows cannot be used", *_listed(faults, SHOWN)]
        lines.append(f"expected {expected(kind)}; mend them")
        lines[-1] += f", or leave them out: options: {flow({'skip': numbers})}" if len(numbers) <= MOST_SKIPPED else ""
        return "\n".join(lines)
    if not (faults or rows.without or rows.usable):
        return f"{rows.what} holds no row{' that is not skipped' if skip else ''}; expected {expected(kind)}"
    why = f"none of its {rows.count:,} rows {'can be used' if faults else 'has a reference'}"
    if absent:
        why = f"no row has {' and '.join(map(columns.called, absent))}; the columns are: {named(rows.first)}"
    lines = [f"{rows.what}: {why}", *_listed(faults or rows.without, SHOWN)]
    if absent or not faults:
        lines[1:] = [f"  row: {row!r:.200}" for row in rows.first[:SHOWN_ROWS]]
    lines.append(f"expected {expected(kind)}")
    if inside := isinstance(rows.what, Path) and nested(rows.what, rows.first):
        return "\n".join([*lines, inside])
    named_in = [name for name in kind.columns if any(said.startswith(f"{name}:") for _, said in faults)]
    wanted = [*absent, *named_in] or ([] if faults else [kind.reference[0]])
    line = likely(kind, columns, rows.first, wanted, guess=wanted != named_in) if rows.first else ""
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


def _listed(said: list[Said], most: int) -> list[str]:
    """A line for each row, up to so many."""
    lines = [f"  row {record}: {reason}" for record, reason in said[:most]]
    return lines if len(said) <= most else [*lines, f"  and {len(said) - most:,} more"]
