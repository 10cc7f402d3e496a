"""Selection of a set's problems, with the record of the others."""

from __future__ import annotations

import math

from boundary_bench.benchmarks.base import LEFT_OUT, Kind, Options, Prepared, Problem, RowOptions
from boundary_bench.benchmarks.columns import OPTIONS
from boundary_bench.benchmarks.overlap import normal
from boundary_bench.benchmarks.reading import Rows
from boundary_bench.core.errors import DataError
from boundary_bench.grading.normal import normal as normal_answer
from boundary_bench.records import Record

PLACES = 10  # rows that a line of the log names


def selected(kind: Kind, rows: Rows, options: Options) -> Prepared:
    """The problems of some rows, without repeated, too long and surplus ones."""
    first: dict[str, Record] = {}
    distinct: dict[str, Problem] = {}
    for record, problem in rows.usable:
        first.setdefault(problem.id, record)
        distinct.setdefault(problem.id, problem)
    repeated = [record for record, problem in rows.usable if first[problem.id] is not record]
    longest, most = (options.longest, options.problems) if isinstance(options, RowOptions) else (None, None)
    short = [problem for problem in distinct.values() if len(problem.prompt) <= (longest or math.inf)]
    if not short:
        least = min(len(problem.prompt) for problem in distinct.values())
        raise DataError(f"the shortest question has {least} characters, and options.longest is {longest}; raise it")
    kept = set(sorted(problem.id for problem in short)[:most])
    chosen = [problem for problem in short if problem.id in kept]
    without = [record for record, _ in rows.without]
    surplus = len(short) - len(chosen)
    counts = (len(without), len(rows.skipped), len(repeated), len(distinct) - len(short), rows.others + surplus)
    notes = [
        *_places("have no reference", without),
        *_places("are named by options.skip", rows.skipped),
        *_places("repeat another one word for word", repeated),
    ]
    if short != list(distinct.values()):
        notes.append(f"{counts[3]:,} question(s) have more than {longest} characters (longest) and are left out")
    if rows.others:
        notes.append(f"{rows.others:,} row(s) have other values than those of options.where and are left out")
    if chosen != short:
        notes.append(f"{surplus:,} problem(s) are beyond the {most:,} of options.problems and are left out")
    notes += [_lacked(name) for name, lacking in rows.lacking.items() if len(lacking) == len(rows.usable)]
    return compared(chosen, rows.count, dict(zip(LEFT_OUT, counts, strict=True)), notes)


def compared(problems: list[Problem], rows: int, left_out: dict[str, int], notes: list[str]) -> Prepared:
    """The problems with the number of repeated questions, and of repeated questions with another answer."""
    first: dict[str, Problem] = {}
    again = []
    for problem in problems:
        earlier = first.setdefault(normal(problem.prompt), problem)
        if earlier is not problem:
            again.append((earlier, problem))
    others = [pair for pair in again if len({normal_answer(problem.reference) for problem in pair}) > 1]
    if others:
        earlier, problem = others[0]
        said = (f"{each.reference[:40]!r} ({each.id})" for each in (earlier, problem))
        notes = [
            *notes,
            f"{len(others):,} problem(s) ask what an earlier one asks, for another answer; at most one is right, and "
            f"they stay: {problem.prompt[:60]!r}: {' and '.join(said)}",
        ]
    return Prepared(problems, rows, left_out, len(others), len(again), tuple(notes))


def _places(what: str, records: list[Record]) -> list[str]:
    """The log line about rows left out; empty if there are none."""
    if not records:
        return []
    more = f" and {len(records) - PLACES:,} more" if len(records) > PLACES else ""
    return [f"{len(records):,} row(s) {what} and are left out: {', '.join(map(str, records[:PLACES]))}{more}"]


def _lacked(name: str) -> str:
    """The log line about a uniform column that no row has."""
    if name in OPTIONS:
        return (
            f"no row has the column {name}: the questions must hold the options, and the chance of a guess is unknown"
        )
    return f"no row has the column {name}: there are no strata by it"
