"""Evidence in the tables on one part of a claim, for one unit: numbers, and p-values for and against the part."""

from __future__ import annotations

from dataclasses import dataclass, replace

from boundary_bench.claims.claim import CoursePart, SharePart, ValuePart
from boundary_bench.claims.spread import Mean, Proportion
from boundary_bench.core.errors import DataError
from boundary_bench.core.text import WRITTEN, cell
from boundary_bench.tables.reading import Subject, Tables, Untestable, base_of
from boundary_bench.tables.table import BASE

#: Shapes of a course that its two ends decide.
ENDINGS = ("ends above", "ends below")
#: Prefixes of the columns of an interval that are not named after the estimate.
ENDS = {"difference": "", "estimate": "", "share": ""}


@dataclass(frozen=True)
class Evidence:
    """The evidence on one part of a claim, for one unit.

    Attributes:
        what, expected: the number and the claimed condition, in words.
        table, row: the table and the row's keys in words, for readers.
        estimate, low, high: as in the tables; None for a course that is more than its ends: it has p-values only.
        p_for, p_against: one-sided p-values of the part not holding, and of its contrary not holding.
        spread: source of intervals at other levels; None without an estimate.
        problems, n: problems and most samples a problem behind the number; n is None if the table has none.
        samples: share of the interval's squared width that is sampling noise; None if unknown.
    """

    what: str
    expected: str
    table: str
    row: str
    estimate: float | None
    low: float | None
    high: float | None
    p_for: float
    p_against: float
    spread: Mean | Proportion | None
    problems: int
    n: int | None
    samples: float | None


def gather(tables: Tables, part: ValuePart | SharePart | CoursePart, unit: Subject) -> Evidence:
    """The evidence on a part of a claim.

    Raises:
        Untestable: the tables lack a row or value that the part needs.
        DataError: a number in the tables is damaged.
    """
    if isinstance(part, CoursePart):
        return (_ends if part.shape in ENDINGS else _course)(tables, part, unit)
    return _share(tables, part, unit) if isinstance(part, SharePart) else _value(tables, part, unit)


@dataclass(frozen=True)
class _Number:
    """A number of one row with its interval."""

    spread: Mean
    row: str
    n: int
    samples: float | None


def _value(tables: Tables, part: ValuePart, unit: Subject) -> Evidence:
    what = part.statistic
    if part.base_at_most is not None:
        _need_weak_base(tables, part, unit)
    if part.across_strata:
        strong, weak = _strongest_and_weakest(tables, part, unit)
        found = _less(_number(tables, part, unit, strong), _number(tables, part, unit, weak))
        what += f" ({strong} less {weak})"
    elif part.minus:
        found = _less(_number(tables, part, unit), _number(tables, part, _other(part.minus, unit)))
        what += f" (less {part.minus})"
    else:
        found = _number(tables, part, unit)
    spread, at = found.spread, part.threshold
    if part.side == "within":
        p_for = max(spread.chance_not(True, -at), spread.chance_not(False, at))
        p_against = min(spread.chance_not(True, at), spread.chance_not(False, -at))
        expected = f"within -+{cell(at)}"
    else:
        p_for, p_against = _sides(spread, part.side == "above", at)
        expected = f"{part.side} {cell(at)}"
    ends = (spread.estimate, spread.low, spread.high)
    return Evidence(
        what, expected, part.table, found.row, *ends, p_for, p_against, spread, spread.problems, found.n, found.samples
    )


def _sides(spread: Mean, above: bool, at: float) -> tuple[float, float]:
    """One-sided p-values for and against a mean being above (below) a threshold."""
    return spread.chance_not(above, at), spread.chance_not(not above, at)


def _number(tables: Tables, part: ValuePart, unit: Subject, stratum: str = "all") -> _Number:
    """A number of a table with its interval."""
    row = tables.find(part.table, unit, stratum, **part.where)
    shown = ", ".join([str(unit), stratum, *(f"{name} {cell(value)}" for name, value in part.where.items())])
    spread, n, samples = (
        _mean(tables, part.table, row, part.column, shown),
        _count(tables, part.table, row, "n_max"),
        None,
    )
    if part.column in ENDS and "samples_only_low" in row:
        low, high = (tables.number(part.table, row, f"samples_only_{end}") for end in ("low", "high"))
        samples = min(((high - low) / (spread.high - spread.low)) ** 2, 1.0)
    return _Number(spread, shown, n, samples)


def _mean(tables: Tables, table: str, row: dict[str, str], column: str, shown: str) -> Mean:
    """A number of a row, and its interval in the columns beside it."""
    stem = ENDS.get(column, f"{column}_")
    names = (column, f"{stem}low", f"{stem}high", "level")
    estimate, low, high, level = (tables.number(table, row, name) for name in names)
    problems = _count(tables, table, row, "problems")
    slack = WRITTEN * max(abs(estimate), abs(low), abs(high))
    if not (low - slack <= estimate <= high + slack and 0 < level < 1 and problems >= 1):
        raise DataError(
            f"{tables.folder / table}.csv, row of {shown}: found {column} {estimate} from {low} to {high} at level "
            f"{level} of {problems} problems, expected an interval around it; run the report stage again"
        )
    if high <= low:
        raise Untestable(f"an interval with a width in {table}.csv (analysis.interval: jeffreys has one)")
    return Mean(estimate, low, high, level, problems)


def _less(first: _Number, second: _Number) -> _Number:
    """The difference of two numbers; the half-widths are added, which is valid for any dependence of the two."""
    a, b = first.spread, second.spread
    if a.level != b.level:
        raise Untestable(f"one level for both (found {a.level} and {b.level})")
    estimate = a.estimate - b.estimate
    low = estimate - (a.estimate - a.low) - (b.high - b.estimate)
    high = estimate + (a.high - a.estimate) + (b.estimate - b.low)
    spread = Mean(estimate, low, high, a.level, min(a.problems, b.problems))
    return _Number(spread, f"{first.row}; {second.row}", min(first.n, second.n), None)


def _other(algorithm: str, unit: Subject) -> Subject:
    if algorithm == unit.algorithm:
        raise Untestable(f"another algorithm than {algorithm}, which it is compared with")
    return base_of(unit) if algorithm == BASE else replace(unit, algorithm=algorithm)


def _need_weak_base(tables: Tables, part: ValuePart, unit: Subject) -> None:
    base = tables.number("differences", tables.find("differences", unit, **part.where), "base")
    assert part.base_at_most is not None
    if base > part.base_at_most:
        raise Untestable(f"a weak base: at most {part.base_at_most}, found {base}")


def _strongest_and_weakest(tables: Tables, part: ValuePart, unit: Subject) -> tuple[str, str]:
    base = {
        name: tables.number("differences", tables.find("differences", unit, name, **part.where), "base")
        for name in tables.strata(unit)
    }
    if len(base) < 2:
        raise Untestable("a benchmark with strata")
    return max(base, key=base.__getitem__), min(base, key=base.__getitem__)


def _count(tables: Tables, table: str, row: dict[str, str], column: str) -> int:
    value = tables.number(table, row, column)
    if value < 0 or value != int(value):
        raise DataError(f"{tables.folder / table}.csv: {column}: found {row[column]}, expected a count")
    return int(value)


def _share(tables: Tables, part: SharePart, unit: Subject) -> Evidence:
    row = tables.find("coverage", unit, hits=part.hits)
    if any(tables.number("coverage", row, name) % 1 for name in part.among):
        raise Untestable("as many samples of the base as of the checkpoint: of others the sets are expected numbers")
    count = {name: _count(tables, "coverage", row, name) for name in part.among}
    inside, total = count[part.of], sum(count.values())
    if not total:
        raise Untestable(f"a problem that is in {' or '.join(part.among)}")
    found, at, above = Proportion(inside, total - inside), part.threshold, part.side == "above"
    # luck moves a share away from the claimed side: only a share beyond that contradicts
    allowance = tables.number("coverage", row, "null_at_half") / total if part.luck else 0.0
    p_for = found.chance_not(above, at)
    p_against = found.chance_not(not above, at - allowance if above else at + allowance)
    expected = f"{part.side} {cell(at)}" + (f" (luck: {allowance:.3g})" if part.luck else "")
    what = f"{part.of} ({inside}) of {' + '.join(part.among)} ({total}), hits {part.hits}"
    n, ends = _count(tables, "coverage", row, "n_max"), found.interval(tables.level)
    shown = f"{unit}, all, hits {part.hits}"
    return Evidence(what, expected, "coverage", shown, found.estimate, *ends, p_for, p_against, found, total, n, None)


def _course_row(tables: Tables, part: CoursePart, unit: Subject) -> tuple[dict[str, str], str, str]:
    """The row of a course, the measure with its ends in words, and the row's keys in words."""
    row = tables.find("stages", unit, measure=part.measure, k="" if part.k is None else part.k)
    first, last = (tables.number("stages", row, name) for name in ("first", "last"))
    what = part.measure + (f", k = {part.k}" if part.k else "") + f": {cell(first)} to {cell(last)}"
    return row, what, f"{unit}, all, {part.measure}" + (f" {part.k}" if part.k else "")


def _ends(tables: Tables, part: CoursePart, unit: Subject) -> Evidence:
    """The last checkpoint minus the base, by its interval."""
    row, what, shown = _course_row(tables, part, unit)
    spread = _mean(tables, "stages", row, "change", shown)
    p_for, p_against = _sides(spread, part.shape == "ends above", 0)
    ends, counted = (spread.estimate, spread.low, spread.high), (spread.problems, None, None)
    return Evidence(f"{what}, change", part.shape, "stages", shown, *ends, p_for, p_against, spread, *counted)


def _course(tables: Tables, part: CoursePart, unit: Subject) -> Evidence:
    row, what, shown = _course_row(tables, part, unit)
    moves = [
        tuple(tables.number("stages", row, f"{name}_{end}") for end in ("from", "to", "p")) for name in ("fall", "rise")
    ]
    if any(not 0 <= p <= 1 for _, _, p in moves):
        raise DataError(
            f"{tables.folder / 'stages.csv'}, row of {unit}, {part.measure}: found fall_p {row['fall_p']} and rise_p "
            f"{row['rise_p']}, expected chances from 0 to 1; run the report stage again"
        )
    # p = 0 means only that no resample was as extreme: 1 / (resamples + 1) is the least that can be said
    fall, rise = (_Move(start, stop, max(p, 1 / (tables.resamples + 1))) for start, stop, p in moves)
    p_for, p_against = _course_chances(part.shape, fall, rise, unit.step, 1 - tables.level)
    what += "; clearest " + "; ".join(f"{name} {move}" for name, move in (("fall", fall), ("rise", rise)))
    problems = _count(tables, "stages", row, "problems")
    nothing = (None, None, None)
    return Evidence(what, part.shape, "stages", shown, *nothing, p_for, p_against, None, problems, None, None)


@dataclass(frozen=True)
class _Move:
    """The clearest fall or rise of a course; p is two-sided, over every pair of checkpoints."""

    start: float
    stop: float
    p: float

    def __str__(self) -> str:
        return f"{self.start:g} to {self.stop:g}, p {self.p:.2g}"


def _course_chances(shape: str, fall: _Move, rise: _Move, last: int, seen: float) -> tuple[float, float]:
    """One-sided p-values for and against a shape: half of the two-sided ones, as the direction is given."""

    def alone(move: _Move, contrary: _Move) -> float:
        # if both moves are seen, neither alone is the course
        return move.p / 2 if contrary.p > seen else 1.0

    def then(early: _Move, late: _Move) -> float:
        return max(early.p, late.p) / 2 if early.stop <= late.start else 1.0

    def instead(early: _Move, late: _Move) -> float:
        # a contrary turn that does not span the training leaves room for the claimed one before or after it
        return then(early, late) if (early.start, late.stop) == (0, last) else 1.0

    return {
        "falls": (alone(fall, rise), alone(rise, fall)),
        "rises": (alone(rise, fall), alone(fall, rise)),
        "falls, then rises": (then(fall, rise), instead(rise, fall)),
        "rises, then falls": (then(rise, fall), instead(fall, rise)),
    }[shape]
