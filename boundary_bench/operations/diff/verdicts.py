"""Which verdicts are others in B: of every difference from the base, of every course, and of the claims.

Claims are judged on what both sides have, so that runs of one side alone move no verdict through the false discovery
rate over all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from boundary_bench.claims.claim import load_claims
from boundary_bench.claims.verdicts import judge
from boundary_bench.operations.diff.numbers import Cell, Numbers, State
from boundary_bench.tables.reading import Tables
from boundary_bench.tables.table import ALL


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


def verdicts(a: Tables, b: Tables, numbers: Numbers) -> Verdicts:
    """Compare the verdicts on everything that both sides have, all problems of a benchmark together."""
    *both, left_out = _shared(a, b)
    kinds = {"change": list(_changes(*both, numbers)), "course": list(_courses(*both)), **_claims(*both)}
    moved = [move for moves in kinds.values() for move in moves if move.a != move.b]
    return Verdicts({kind: len(moves) for kind, moves in kinds.items()}, moved, left_out)


def _shared(a: Tables, b: Tables) -> tuple[Tables, Tables, int]:
    """The rows that both have; of ``stages`` only those of runs that both evaluated at the same steps."""
    keys = {name: rows.keys() & b.rows[name].keys() for name, rows in a.rows.items()}
    steps_of_a, steps_of_b = ({(*key[:3], key[4], key[3]) for key in each.rows["differences"]} for each in (a, b))
    other_steps = {step[:4] for step in steps_of_a ^ steps_of_b}
    left_out = {key for key in keys["stages"] if key[:4] in other_steps}
    keys["stages"] -= left_out
    of_a, of_b = (
        {name: {key: row for key, row in rows.items() if key in keys[name]} for name, rows in each.rows.items()}
        for each in (a, b)
    )
    return replace(a, rows=of_a), replace(b, rows=of_b), sum(key[4] == ALL for key in left_out)


def _changes(a: Tables, b: Tables, numbers: Numbers) -> Iterator[ChangedVerdict]:
    """The verdict on every change, with what became of its number."""
    cells = {(cell.place, cell.k): cell for cell in numbers.cells}  # of two, the later one is the change
    others = b.by_k("differences")
    for (place, k), row in a.by_k("differences").items():
        pair = (each.verdict("differences", of, "change") for each, of in ((a, row), (b, others[place, k])))
        yield ChangedVerdict("change", f"{place}, k {k}", *pair, _note(cells.get((place, k))))


def _courses(a: Tables, b: Tables) -> Iterator[ChangedVerdict]:
    """The verdict on every course."""
    for key, row in a.rows["stages"].items():
        model, algorithm, seed, benchmark, stratum, measure, k = key
        if stratum == ALL:
            pair = (each.verdict("stages", of, "course") for each, of in ((a, row), (b, b.rows["stages"][key])))
            where = f"{model} {algorithm} seed {seed} {benchmark}, {measure.replace('@k', f'@{k}')}"
            yield ChangedVerdict("course", where, *pair)


def _claims(a: Tables, b: Tables) -> dict[str, list[ChangedVerdict]]:
    """The verdicts of the study on every claim, and of every run and benchmark that both judge."""
    claims, whole, single = load_claims(), [], []
    for of_a, of_b in zip(judge(claims, a).claims, judge(claims, b).claims, strict=True):
        name, others = of_a.claim.id, {finding.unit: finding.verdict for finding in of_b.findings}
        whole.append(ChangedVerdict("claim", name, of_a.verdict, of_b.verdict))
        both = [finding for finding in of_a.findings if finding.unit in others]
        single += [ChangedVerdict("claim of a run", f"{name}: {f.unit}", f.verdict, others[f.unit]) for f in both]
    return {"claim": whole, "claim of a run": single}


def _note(cell: Cell | None) -> str:
    """What became of the number behind a verdict on a change."""
    if cell is None:
        return "number not compared"
    if cell.state == State.IDENTICAL:
        return "number identical: level, margin or code are not"
    if cell.q is None:
        return f"number {cell.difference:+.3f}, not paired"
    return f"number {cell.difference:+.3f}, {'moved' if cell.moved else 'not beyond chance'}, q {cell.q:.2g}"
