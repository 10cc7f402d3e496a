"""B minus A of every pass@k that both have, and of its change from the base; paired where the problems are the same.

Axes: P problems, K values of k.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np
from scipy.stats import false_discovery_control

from boundary_bench.claims.spread import Mean
from boundary_bench.core.errors import DataError
from boundary_bench.operations.diff.sides import Measured, Side
from boundary_bench.statistics.intervals import mean_change, resample
from boundary_bench.statistics.paired import equivalence
from boundary_bench.study.analysis import Analysis
from boundary_bench.tables.reading import Subject, base_of

#: Both sides are resampled in the same way, whatever their studies say of intervals: the usual one.
ANALYSIS = Analysis()
#: Of the numbers said to have moved, the share that have not, on average.
RATE = round(1 - ANALYSIS.level, 12)
#: Table and column of each number.
COLUMNS = {"pass@k": ("pass_at_k", "estimate"), "change": ("differences", "difference")}
_resamples = lru_cache(maxsize=1)(resample)


class State(StrEnum):
    """What two sides allow to say of a policy on a benchmark.

    Identical: by the measures, the same design, counts, tokens and sums of log-probabilities of every problem; where a
    side has no measures, the same estimates and numbers of samples at every k.
    """

    IDENTICAL = "identical"
    PAIRED = "paired"
    UNPAIRED = "not paired"
    OTHER = "other problems"


@dataclass(frozen=True)
class Cell:
    """One number on both sides.

    Attributes:
        what: "pass@k", or "change": pass@k minus that of the base. Where the base is identical on both sides the two
            differ by the same, and there is no "change".
        difference: b - a.
        low, high: its paired interval over problems, at the usual level; None where it is not paired.
        p, q: probability of so large a difference where there is none, and the smallest false discovery rate at which
            it counts as moved; None where nothing is tested.
        equal: whether the difference is shown to be smaller than the usual margin, at this k; None likewise.
        outside: whether b lies outside of A's own interval, which is no test; None where there is a better answer.
    """

    what: str
    place: Subject
    k: int
    state: State
    a: float
    b: float
    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None
    equal: bool | None = None
    outside: bool | None = None

    @property
    def moved(self) -> bool:
        """Whether the difference is beyond chance, the number of cells considered."""
        return self.q is not None and self.q <= RATE


@dataclass(frozen=True)
class PolicyPair:
    """A policy on a benchmark that both sides have.

    Attributes:
        reason: why it is not paired.
        weights: whether both have the same.
    """

    place: Subject
    state: State
    reason: str
    weights: bool
    problems: int


@dataclass(frozen=True)
class Only:
    """The cells of one side alone, and the values that the other side has not, by column."""

    cells: int
    values: dict[str, list[str]]


@dataclass(frozen=True)
class Numbers:
    """Every number that both sides have."""

    pairs: list[PolicyPair]
    cells: list[Cell]
    only_a: Only
    only_b: Only

    @property
    def compared(self) -> list[Cell]:
        """The cells that are identical, or have a paired interval."""
        return [cell for cell in self.cells if cell.state != State.UNPAIRED]

    @property
    def equal(self) -> list[Cell]:
        """Those that are identical, or shown to be the same but for the margin."""
        return [cell for cell in self.cells if cell.state == State.IDENTICAL or cell.equal]

    @property
    def moved(self) -> list[Cell]:
        """Those whose difference is beyond chance."""
        return [cell for cell in self.cells if cell.moved]


def numbers(a: Side, b: Side) -> Numbers:
    """Compare all problems of every benchmark; strata are left to the tables."""
    of_a, of_b = (side.tables.by_k("pass_at_k") for side in (a, b))
    shared: dict[Subject, list[int]] = {}
    for place, k in of_a:
        if (place, k) in of_b:
            shared[place] = sorted([*shared.get(place, []), k])
    if not shared:
        raise DataError(
            f"{a.folder} and {b.folder} have no policy, benchmark and k in common: nothing can be compared; see their "
            "tables/pass_at_k.csv"
        )
    both: dict[Subject, _Both] = {}
    cells: list[Cell] = []
    # base models first: the change of every checkpoint needs them
    for place in sorted(shared, key=lambda place: (place.benchmark, place != base_of(place))):
        each = both[place] = _read([a, b], place, shared[place])
        cells += each.cells()
        base = both.get(base_of(place), each)
        if base is not each and base.pair.state != State.IDENTICAL:
            cells += each.changes(base)
    return Numbers([each.pair for each in both.values()], with_rates(cells), _only(of_a, of_b), _only(of_b, of_a))


@dataclass(frozen=True)
class _Both:
    """A policy on a benchmark, with the counts of both sides where they are of the same problems."""

    sides: list[Side]
    pair: PolicyPair
    ks: list[int]
    counts: tuple[Measured, Measured] | None

    def cells(self) -> Iterable[Cell]:
        """pass@k at every k."""
        place, state, ks = self.pair.place, self.pair.state, self.ks
        if state == State.IDENTICAL:
            values = [self.sides[0].number(*COLUMNS["pass@k"], place, k) for k in ks]
            return [Cell("pass@k", place, k, state, x, x, 0.0) for k, x in zip(ks, values, strict=True)]
        if self.counts:
            return paired_cells("pass@k", place, ks, *(each.pass_PK for each in self.counts), largest=1.0)
        return () if state == State.OTHER else self._plain("pass@k", ks)

    def changes(self, base: _Both) -> Iterable[Cell]:
        """What a checkpoint gained over its base, B minus A: a difference of differences on the same problems."""
        ks = [k for k in self.ks if k in base.ks]
        if ks and self.counts and base.counts and self.counts[0].ids == base.counts[0].ids:
            value_22PK = ([each.pass_PK.compress(np.isin(of.ks, ks), 1) for each in of.counts] for of in (self, base))
            change_2PK = (policy_PK - base_PK for policy_PK, base_PK in zip(*value_22PK, strict=True))
            return paired_cells("change", self.pair.place, ks, *change_2PK, largest=2.0)
        return () if State.OTHER in (self.pair.state, base.pair.state) else self._plain("change", ks)

    def _plain(self, what: str, ks: list[int]) -> Iterator[Cell]:
        """Differences of two tables, of which no interval can be known."""
        (a, b), place, (table, column) = self.sides, self.pair.place, COLUMNS[what]
        for k in ks:
            of_a, low, high = (a.number(table, name, place, k) for name in (column, "low", "high"))
            of_b = b.number(table, column, place, k)
            yield Cell(what, place, k, State.UNPAIRED, of_a, of_b, of_b - of_a, outside=not low <= of_b <= high)


def _read(sides: list[Side], place: Subject, ks: list[int]) -> _Both:
    """What there is of a policy on a benchmark."""
    a, b = counts = [side.measured(place, ks) for side in sides]
    weights = [side.provenance.weights_sha256.get(place.policy) for side in sides]
    same = weights[0] == weights[1] and weights[0] is not None
    problems = int(sides[0].number("pass_at_k", "problems", place, ks[0]))
    pair = PolicyPair(place, *_state(sides, place, ks, counts), same, problems)
    return _Both(sides, pair, ks, (a, b) if a and b and a.ids == b.ids else None)


def _state(sides: list[Side], place: Subject, ks: list[int], counts: list[Measured | None]) -> tuple[State, str]:
    """What can be said of a policy on a benchmark, and why no more."""
    a, b = counts
    if a and b and a.ids == b.ids:
        return State.IDENTICAL if a.same_samples(b) else State.PAIRED, ""
    if a and b:
        shared = len(set(a.ids) & set(b.ids))
        return State.OTHER, f"other problems: A has {len(a.ids)}, B {len(b.ids)}, {shared} are the same"
    columns = ("problems", "estimate", "samples")
    of_a, of_b = ([side.number("pass_at_k", name, place, k) for k in ks for name in columns] for side in sides)
    if of_a == of_b:
        return State.IDENTICAL, ""
    if of_a[0] != of_b[0]:
        return State.OTHER, f"other problems: A has {of_a[0]:.0f}, B {of_b[0]:.0f}"
    lacking = " and ".join(name for name, each in (("A", a), ("B", b)) if each is None)
    kind = [side.provenance.problems.get(place.benchmark) for side in sides]
    doubt = "" if kind[0] == kind[1] else ", and the settings of the problems differ"
    return State.UNPAIRED, f"a paired interval needs measures/, which {lacking} lacks{doubt}"


def paired_cells(
    what: str, place: Subject, ks: list[int], a_PK: np.ndarray, b_PK: np.ndarray, largest: float
) -> Iterator[Cell]:
    """The paired difference at every k, its interval, and how likely it is where there is none."""
    problems = len(a_PK)
    resamples = _resamples(problems, ANALYSIS.resamples, ANALYSIS.seed)
    *found_3K, draw_BK = mean_change(b_PK - a_PK, resamples, ANALYSIS.level, largest)
    equal_K = np.abs(equivalence(draw_BK, ANALYSIS.level)).max(0) < ANALYSIS.margin
    number_K5 = np.stack([a_PK.mean(0), b_PK.mean(0), *found_3K], 1)
    for k, equal, (a, b, *found) in zip(ks, equal_K.tolist(), number_K5.tolist(), strict=True):
        spread = Mean(*found, ANALYSIS.level, problems)
        p = min(1.0, 2 * min(spread.chance_not(True, 0), spread.chance_not(False, 0)))
        yield Cell(what, place, k, State.PAIRED, a, b, *found, p, equal=equal)


def with_rates(cells: list[Cell]) -> list[Cell]:
    """The cells with their false discovery rates over all that are tested."""
    waiting = iter(false_discovery_control([cell.p for cell in cells if cell.p is not None]).tolist())
    return [cell if cell.p is None else replace(cell, q=next(waiting)) for cell in cells]


def _only(of: Iterable[tuple[Subject, int]], other: Collection[tuple[Subject, int]]) -> Only:
    """The cells that one side has alone."""
    rows = [{**vars(place), "k": k} for place, k in of if (place, k) not in other]
    there = [{**vars(place), "k": k} for place, k in other]
    values = {}
    for name in rows[0] if rows else ():
        if words := {str(row[name]) for row in rows} - {str(row[name]) for row in there}:
            values[name] = sorted(words, key=lambda word: (int(word) if word.isdecimal() else -1, word))
    return Only(len(rows), values)
