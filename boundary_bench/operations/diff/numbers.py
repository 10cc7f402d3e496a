"""B minus A of every pass@k that both have, and of its change from the base; paired where the problems are the same.

Axes: P problems, K values of k.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np
from scipy.stats import false_discovery_control

from boundary_bench.claims.spread import Mean
from boundary_bench.core.errors import DataError
from boundary_bench.operations.diff.sides import Measured, Side
from boundary_bench.statistics.intervals import Resamples, holding, mean_draws, percentiles, resample, typical_change
from boundary_bench.statistics.paired import equivalence
from boundary_bench.study.analysis import Analysis
from boundary_bench.study.policies import Policy, Run
from boundary_bench.tables.reading import Untestable
from boundary_bench.tables.table import ALL, BASE

#: Both sides are resampled in the same way, whatever their studies say of intervals: the usual one.
ANALYSIS = Analysis()
#: Of the numbers said to have moved, the share that have not, on average.
RATE = round(1 - ANALYSIS.level, 12)
#: Six digits are written of every number.
WRITTEN = 1e-5


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
class Place:
    """Whose numbers they are, on which benchmark; a base model has algorithm "base", no seed and step 0."""

    model: str
    algorithm: str
    seed: str
    step: int
    benchmark: str

    @property
    def policy(self) -> str:
        """Name of the policy in files."""
        run = Run(self.model, self.algorithm, int(self.seed)) if self.seed else None
        return Policy(self.model, run, self.step).name

    @property
    def base(self) -> Place:
        """The base model on the same benchmark."""
        return Place(self.model, BASE, "", 0, self.benchmark)

    def __str__(self) -> str:
        seed = f" seed {self.seed} step {self.step}" if self.seed else ""
        return f"{self.model} {self.algorithm}{seed} {self.benchmark}"


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
    place: Place
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

    place: Place
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
    of_a, of_b = _places(a), _places(b)
    shared = {place: sorted(ks & of_b[place]) for place, ks in of_a.items() if place in of_b and ks & of_b[place]}
    if not shared:
        raise DataError(
            f"{a.folder} and {b.folder} have no policy, benchmark and k in common: nothing can be compared; see their "
            "tables/pass_at_k.csv"
        )
    pairs, cells = [], []
    bases: dict[Place, _Both] = {}
    # base models first: the change of every checkpoint needs them
    for place in sorted(shared, key=lambda place: (place.benchmark, place != place.base)):
        both = _read(a, b, place, shared[place])
        pairs.append(both.pair)
        cells += both.cells(a, b, shared[place])
        if place == place.base:
            bases[place] = both
        elif place.base in bases and bases[place.base].pair.state != State.IDENTICAL:
            ks = [k for k in shared[place] if k in shared[place.base]]
            cells += _changes(a, b, both, bases[place.base], ks)
    return Numbers(pairs, with_rates(cells), _only(of_a, of_b), _only(of_b, of_a))


def _places(side: Side) -> dict[Place, set[int]]:
    """The values of k of every policy and benchmark."""
    found: dict[Place, set[int]] = {}
    for model, algorithm, seed, step, benchmark, stratum, k in side.tables.rows["pass_at_k"]:
        if stratum == ALL:
            found.setdefault(Place(model, algorithm, seed, int(step), benchmark), set()).add(int(k))
    return found


@dataclass(frozen=True)
class _Both:
    """A pair with the counts of both sides, where they are there."""

    pair: PolicyPair
    a: Measured | None
    b: Measured | None

    def paired(self) -> tuple[Measured, Measured] | None:
        """The counts of both, if they are of the same problems."""
        if self.a is None or self.b is None or self.a.ids != self.b.ids:
            return None
        return self.a, self.b

    def cells(self, a: Side, b: Side, ks: list[int]) -> Iterator[Cell]:
        """pass@k at every k."""
        pair, counts = self.pair, self.paired()
        if pair.state == State.IDENTICAL:
            for k in ks:
                value = _number(a, "pass_at_k", "estimate", pair.place, k)
                yield Cell("pass@k", pair.place, k, pair.state, value, value, 0.0)
        elif counts is not None:
            value_2PK = [each.pass_at_k(ks) for each in counts]
            yield from paired_cells("pass@k", pair.place, ks, *value_2PK, largest=1.0)
        elif pair.state == State.UNPAIRED:
            yield from (_plain(a, b, "pass_at_k", "estimate", pair, k) for k in ks)


def _read(a: Side, b: Side, place: Place, ks: list[int]) -> _Both:
    """What there is of a policy on a benchmark."""
    counts = [side.measured(place.policy, place.benchmark) for side in (a, b)]
    for side, each in zip((a, b), counts, strict=True):
        if each is not None:
            _check_agreement(side, place, ks, each)
    state, reason = _state(a, b, place, ks, *counts)
    weights = [side.provenance.weights_sha256.get(place.policy) for side in (a, b)]
    same = weights[0] == weights[1] and weights[0] is not None
    problems = int(_number(a, "pass_at_k", "problems", place, ks[0]))
    return _Both(PolicyPair(place, state, reason, same, problems), *counts)


def _state(
    a: Side, b: Side, place: Place, ks: list[int], of_a: Measured | None, of_b: Measured | None
) -> tuple[State, str]:
    """What can be said of a policy on a benchmark, and why no more."""
    if of_a and of_b:
        if of_a.same_samples(of_b):
            return State.IDENTICAL, ""
        if of_a.ids == of_b.ids:
            return State.PAIRED, ""
        shared = len(set(of_a.ids) & set(of_b.ids))
        return State.OTHER, f"other problems: A has {len(of_a.ids)}, B {len(of_b.ids)}, {shared} are the same"
    sizes = [int(_number(side, "pass_at_k", "problems", place, ks[0])) for side in (a, b)]
    if sizes[0] != sizes[1]:
        return State.OTHER, f"other problems: A has {sizes[0]}, B {sizes[1]}"
    columns = ("estimate", "samples")
    found = [[_number(side, "pass_at_k", column, place, k) for k in ks for column in columns] for side in (a, b)]
    if found[0] == found[1]:
        return State.IDENTICAL, ""
    lacking = " and ".join(name for name, each in (("A", of_a), ("B", of_b)) if each is None)
    kind = [side.provenance.problems.get(place.benchmark) for side in (a, b)]
    doubt = "" if kind[0] == kind[1] else ", and the settings of the problems differ"
    return State.UNPAIRED, f"a paired interval needs measures/, which {lacking} lacks{doubt}"


def _changes(a: Side, b: Side, both: _Both, base: _Both, ks: list[int]) -> Iterator[Cell]:
    """What a checkpoint gained over its base, B minus A: a difference of differences on the same problems."""
    pair, of_policy, of_base = both.pair, both.paired(), base.paired()
    if of_policy and of_base and of_policy[0].ids == of_base[0].ids:
        change_2PK = [x.pass_at_k(ks) - y.pass_at_k(ks) for x, y in zip(of_policy, of_base, strict=True)]
        yield from paired_cells("change", pair.place, ks, *change_2PK, largest=2.0)
    elif State.OTHER not in (pair.state, base.pair.state):
        yield from (_plain(a, b, "differences", "difference", pair, k) for k in ks)


def paired_cells(
    what: str, place: Place, ks: list[int], a_PK: np.ndarray, b_PK: np.ndarray, largest: float
) -> Iterator[Cell]:
    """The paired difference at every k, its interval, and how likely it is where there is none."""
    difference_PK = b_PK - a_PK
    size_K, resamples = typical_change(difference_PK, largest), _resamples(len(difference_PK))
    draw_BK, estimate_K = mean_draws(difference_PK, resamples, -size_K, size_K), difference_PK.mean(0)
    low_K, high_K = holding(estimate_K, *percentiles(draw_BK, ANALYSIS.level))
    near_low_K, near_high_K = equivalence(draw_BK, ANALYSIS.level)
    equal_K = np.maximum(-near_low_K, near_high_K) < ANALYSIS.margin
    for i, k in enumerate(ks):
        found = float(estimate_K[i]), float(low_K[i]), float(high_K[i])
        spread = Mean(*found, ANALYSIS.level, len(difference_PK))
        p = min(1.0, 2 * min(spread.chance_not(True, 0), spread.chance_not(False, 0)))
        ends = float(a_PK[:, i].mean()), float(b_PK[:, i].mean())
        yield Cell(what, place, k, State.PAIRED, *ends, *found, p, equal=bool(equal_K[i]))


@lru_cache(maxsize=1)
def _resamples(problems: int) -> Resamples:
    return resample(problems, ANALYSIS.resamples, ANALYSIS.seed)


def _plain(a: Side, b: Side, table: str, column: str, pair: PolicyPair, k: int) -> Cell:
    """A difference of two tables, of which no interval can be known."""
    of_a, low, high = (_number(a, table, name, pair.place, k) for name in (column, "low", "high"))
    of_b = _number(b, table, column, pair.place, k)
    what = "pass@k" if table == "pass_at_k" else "change"
    outside = not low <= of_b <= high
    return Cell(what, pair.place, k, State.UNPAIRED, of_a, of_b, of_b - of_a, outside=outside)


def _number(side: Side, table: str, column: str, place: Place, k: int) -> float:
    """A cell of a table."""
    path = side.folder / "tables" / f"{table}.csv"
    key = (place.model, place.algorithm, place.seed, str(place.step), place.benchmark, ALL, str(k))
    row = side.tables.rows[table].get(key)
    if row is None:
        raise DataError(f"{path}: found no row of {place}, k {k}, expected one; run the report stage again")
    try:
        return side.tables.number(table, row, column)
    except Untestable:
        raise DataError(f"{path}, {place}, k {k}: found no {column}; run the report stage again") from None


def _check_agreement(side: Side, place: Place, ks: list[int], found: Measured) -> None:
    """Refuse tables that are older or newer than the measures beside them."""
    for k, value in zip(ks, found.pass_at_k(ks).mean(0), strict=True):
        written = _number(side, "pass_at_k", "estimate", place, k)
        if not math.isclose(written, value, rel_tol=WRITTEN, abs_tol=1e-9):
            raise DataError(
                f"{side.folder}: found pass@{k} {written:g} of {place} in tables/pass_at_k.csv and {value:g} by "
                "measures/, expected the same; run the report stage again"
            )


def with_rates(cells: list[Cell]) -> list[Cell]:
    """The cells with their false discovery rates over all that are tested."""
    waiting = iter(false_discovery_control([cell.p for cell in cells if cell.p is not None]).tolist())
    return [cell if cell.p is None else replace(cell, q=next(waiting)) for cell in cells]


def _only(of: dict[Place, set[int]], other: dict[Place, set[int]]) -> Only:
    """The cells that one side has alone."""
    cells = [(place, k) for place, ks in of.items() for k in sorted(ks - other.get(place, set()))]
    names = ("model", "algorithm", "seed", "step", "benchmark", "k")
    have, lack = (
        [{*map(str, column)} for column in zip(*((*vars(place).values(), k) for place, k in rows), strict=True)]
        for rows in (cells, [(place, k) for place, ks in other.items() for k in ks])
    )
    values = {name: sorted(x - y, key=_in_order) for name, x, y in zip(names, have, lack, strict=False) if x - y}
    return Only(len(cells), values)


def _in_order(word: str) -> tuple[int, str]:
    return (int(word) if word.isdecimal() else -1, word)
