"""Which verdicts are others in B: of every difference from the base, of every course, and of the claims.

Claims are judged on what both sides have, so that runs of one side alone move no verdict through the false discovery
rate over all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from boundary_bench.claims.claim import load_claims
from boundary_bench.claims.verdicts import Ledger, judge
from boundary_bench.core.errors import DataError
from boundary_bench.operations.diff.numbers import Cell, Numbers, Place, State
from boundary_bench.operations.diff.sides import Side
from boundary_bench.statistics.courses import Course
from boundary_bench.statistics.paired import Change
from boundary_bench.tables.reading import KEYS, Tables
from boundary_bench.tables.table import ALL

#: What a verdict can be, by table and column.
CHANGES = frozenset(map(str, Change))
COURSES = frozenset([*map(str, Course), "unknown"])


@dataclass(frozen=True)
class ChangedVerdict:
    """A verdict that is another one in B.

    Attributes:
        kind: "change", "course", "claim" of the study, or "claim of a run".
        note: what became of the number behind it; empty where there is not one number.
    """

    kind: str
    where: str
    a: str
    b: str
    note: str = ""


@dataclass(frozen=True)
class Verdicts:
    """How many verdicts of each kind were compared, and those that moved.

    Attributes:
        left_out: courses of runs that were not evaluated at the same steps.
    """

    compared: dict[str, int]
    moved: list[ChangedVerdict]
    left_out: int


def verdicts(a: Side, b: Side, numbers: Numbers) -> Verdicts:
    """Compare the verdicts on everything that both sides have, all problems of a benchmark together."""
    of_a, of_b, left_out = _shared(a.tables, b.tables)
    claims = load_claims()
    kinds = {
        "change": list(_changes(of_a, of_b, numbers)),
        "course": [move for _, move in _of_table("course", "stages", of_a, of_b, COURSES)],
        **_of_claims(judge(claims, of_a), judge(claims, of_b)),
    }
    moved = [move for moves in kinds.values() for move in moves if move.a != move.b]
    return Verdicts({kind: len(moves) for kind, moves in kinds.items()}, moved, left_out)


def _shared(a: Tables, b: Tables) -> tuple[Tables, Tables, int]:
    """The rows that both have; of ``stages`` only those of runs that both evaluated at the same steps."""
    steps = [_steps(each) for each in (a, b)]
    keys = {name: rows.keys() & b.rows[name].keys() for name, rows in a.rows.items()}
    same = {key for key in keys["stages"] if steps[0].get(key[:4]) == steps[1].get(key[:4])}
    left_out = sum(key[4] == ALL for key in keys["stages"] - same)
    keys["stages"] = same
    return _chosen(a, keys), _chosen(b, keys), left_out


def _chosen(tables: Tables, keys: dict[str, set[tuple[str, ...]]]) -> Tables:
    """Some rows of every table, in its order."""
    chosen = {name: {key: row for key, row in rows.items() if key in keys[name]} for name, rows in tables.rows.items()}
    return replace(tables, rows=chosen)


def _changes(a: Tables, b: Tables, numbers: Numbers) -> Iterator[ChangedVerdict]:
    """The verdict on every change, with what became of its number."""
    cells = {(cell.place, cell.k): cell for cell in numbers.cells}  # of two, the later one is the change
    for key, move in _of_table("change", "differences", a, b, CHANGES):
        yield replace(move, note=_note(cells.get((_place(key), int(key[6])))))


def _steps(tables: Tables) -> dict[tuple[str, ...], set[str]]:
    """The evaluated steps of every run on every benchmark."""
    found: dict[tuple[str, ...], set[str]] = {}
    for model, algorithm, seed, step, benchmark, *_ in tables.rows["differences"]:
        found.setdefault((model, algorithm, seed, benchmark), set()).add(step)
    return found


def _of_table(
    column: str, table: str, a: Tables, b: Tables, known: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], ChangedVerdict]]:
    """The verdicts in a column of a table, by the keys of their rows."""
    stratum = KEYS[table].index("stratum")
    for key, row in a.rows[table].items():
        if key[stratum] != ALL:
            continue
        pair = [each.get(column) for each in (row, b.rows[table][key])]
        for tables, found in zip((a, b), pair, strict=True):
            if found not in known:
                raise DataError(
                    f"{tables.folder / table}.csv, row of {'/'.join(key)}: found {column} {found!r}, expected one of "
                    f"{', '.join(sorted(known))}; run the report stage again"
                )
        yield key, ChangedVerdict(column, _where(table, key), str(pair[0]), str(pair[1]))


def _where(table: str, key: tuple[str, ...]) -> str:
    if table == "differences":
        return f"{_place(key)}, k {key[6]}"
    model, algorithm, seed, benchmark, _, measure, k = key
    return f"{model} {algorithm} seed {seed} {benchmark}, {measure.replace('@k', f'@{k}')}"


def _place(key: tuple[str, ...]) -> Place:
    return Place(key[0], key[1], key[2], int(key[3]), key[4])


def _note(cell: Cell | None) -> str:
    """What became of the number behind a verdict on a change."""
    if cell is None:
        return "number not compared"
    if cell.state == State.IDENTICAL:
        return "number identical: level, margin or code are not"
    if cell.q is None:
        return f"number {cell.difference:+.3f}, not paired"
    return f"number {cell.difference:+.3f}, {'moved' if cell.moved else 'not beyond chance'}, q {cell.q:.2g}"


def _of_claims(a: Ledger, b: Ledger) -> dict[str, list[ChangedVerdict]]:
    """The verdicts of the study on every claim, and of every run and benchmark that both judge."""
    whole, single = [], []
    for of_a, of_b in zip(a.claims, b.claims, strict=True):
        whole.append(ChangedVerdict("claim", of_a.claim.id, str(of_a.verdict), str(of_b.verdict)))
        others = {finding.unit: finding for finding in of_b.findings}
        single += [
            ChangedVerdict(
                "claim of a run", f"{of_a.claim.id}: {finding.unit}", str(finding.verdict), str(other.verdict)
            )
            for finding in of_a.findings
            if (other := others.get(finding.unit))
        ]
    return {"claim": whole, "claim of a run": single}
