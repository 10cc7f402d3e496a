"""Rows become problems: unusable rows are reported in one message, rows left out are counted and reported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from boundary_bench.benchmarks.answers import Row
from boundary_bench.benchmarks.base import Kind, NoReference, Options, Problem, RowOptions
from boundary_bench.benchmarks.columns import LOOKED_AT, Columns, likely, named, nested, overlooked
from boundary_bench.core.errors import DataError
from boundary_bench.records import Record
from boundary_bench.records.paths import find, flow

MOST_ROWS = 1_000_000
MOST_TEXT = 2**29  # characters of all problems; those of MATH have 7 million
SHOWN = 20  # faults that a message lists
SHOWN_ROWS = 3  # rows that a message shows if all have the same fault
MOST_SKIPPED = 1_000  # rows that a message proposes to skip
EMPTY = (None, "", [], {})

Said = tuple[Record, str]  #: a row, and its line in a message


@dataclass
class Rows:
    """The rows of a set, sorted by use.

    Attributes:
        what: the file, or the name of the set.
        count, size: number of rows, and of characters of the problems.
        usable: problems with their rows.
        faults, without, skipped: rows that are no problem, rows without reference, rows that the study skips.
        others: number of rows that have other values than the study wants.
        lacking: rows without a uniform column, by column.
        seen: columns of the kind that any row has.
        first: the first rows, unchanged.
        known: the problems.
    """

    what: Path | str
    count: int = 0
    size: int = 0
    usable: list[tuple[Record, Problem]] = field(default_factory=list)
    faults: list[Said] = field(default_factory=list)
    without: list[Said] = field(default_factory=list)
    skipped: list[Record] = field(default_factory=list)
    others: int = 0
    lacking: dict[str, list[Record]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    first: list[Row] = field(default_factory=list)
    known: set[Problem] = field(default_factory=set)


def parsed(kind: Kind, records: Iterable[Record], options: Options, columns: Columns, what: Path | str) -> Rows:
    """The problems in some rows, and the rows without one.

    Args:
        options: which rows are left unread.
        what: the file of the rows, or the name of the set.
    """
    skip, where = options.skip, options.where if isinstance(options, RowOptions) else {}
    rows, skipped = Rows(what, lacking={name: [] for name in kind.uniform}), frozenset(skip)
    for record in records:
        rows.count += 1
        if (len(rows.usable) if kind.read else rows.count) > MOST_ROWS or rows.size > MOST_TEXT:
            raise DataError(
                f"{what}: found more than {MOST_ROWS:,} rows or {MOST_TEXT:,} characters, expected a set of problems; "
                "take a part of it"
            )
        if record.number in skipped:
            rows.skipped.append(record)
        elif where and record.row is not None and not _has(record.row, where, what):
            rows.others += 1
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
    if where and rows.others == rows.count - len(rows.skipped):
        raise DataError(f"options.where: found no row of {what} with {flow(where)}; expected some, take it out")
    if rows.faults or not rows.usable or columns.lost(rows.seen) or overlooked(kind, columns, rows.first):
        raise DataError(_refusal(kind, columns, skip, rows))
    return rows


def _has(row: Row, where: dict[str, bool | int | str], what: Path | str) -> bool:
    """Whether a row has the wanted values; numbers and truth values may stand there as text, or as 0 and 1."""
    for place, value in where.items():
        try:
            found = find(row, place)
        except KeyError:
            raise DataError(
                f"options.where: no column {place!r} in {what}; the columns are: {named([row])}; name one of them"
            ) from None
        if found != value and str(found).strip().lower() != str(value).lower():
            return False
    return True


def _enter(kind: Kind, columns: Columns, record: Record, rows: Rows) -> None:
    """Enter a row among the problems, the faults or the rows without reference."""
    assert kind.parse is not None
    raw, record = record.row, replace(record, row=None)  # only the problem of a row is kept, to save memory
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
        if kind.read and problem in rows.known:  # samples repeat their problem
            return
        rows.known.add(problem)
        rows.usable.append((record, problem))
        rows.size += len(problem.prompt) + len(problem.solution)
        for name, lacking in rows.lacking.items():
            if row.get(name) in EMPTY:
                lacking.append(record)


def expected(kind: Kind) -> str:
    """The columns of a kind's rows, for a message."""
    return "rows with " + ", ".join(f"{name} ({meaning})" for name, meaning in kind.columns.items())


def _refusal(kind: Kind, columns: Columns, skip: list[int], rows: Rows) -> str:
    """The message that says why rows cannot be used, with a remedy."""
    rows.faults.sort(key=lambda fault: fault[0].number)
    absent = _absent(kind, columns, rows)
    if rows.usable and not absent:
        return _some(kind, skip, rows)
    if not (rows.faults or rows.without or rows.usable):
        return f"{rows.what} holds no row{' that is not skipped' if skip else ''}; expected {expected(kind)}"
    return _none(kind, columns, absent, rows)


def _some(kind: Kind, skip: list[int], rows: Rows) -> str:
    """The message for some unusable rows, with the study line that leaves them out besides rows already skipped."""
    numbers = sorted({*skip, *(record.number for record, _ in rows.faults)})
    leave = f", or leave them out: options: {flow({'skip': numbers})}" if len(numbers) <= MOST_SKIPPED else ""
    head = f"{rows.what}: {len(rows.faults):,} of {rows.count:,} rows cannot be used"
    return "\n".join([head, *_listed(rows.faults), f"expected {expected(kind)}; mend them{leave}"])


def _none(kind: Kind, columns: Columns, absent: list[str], rows: Rows) -> str:
    """The message for no usable row or a missing column: the places found, and the likely remedy."""
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
    """The required columns that no row has; empty without rows."""
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
    """A line for each row, up to ``SHOWN``."""
    lines = [f"  row {record}: {reason}" for record, reason in said[:SHOWN]]
    return lines if len(said) <= SHOWN else [*lines, f"  and {len(said) - SHOWN:,} more"]
