"""``boundary-bench passk FILE [FILE2]``: pass@k of stored samples or counts, and the boundary between two policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from boundary_bench.analysis import against_base, counts, curve
from boundary_bench.analysis.rows import Tally, identify, strata
from boundary_bench.core.errors import DataError, StudyError
from boundary_bench.grading import VERDICTS, Verdict
from boundary_bench.plan import Plan
from boundary_bench.sampling.stored.policy import StoredPolicy, StoredProblem
from boundary_bench.study.analysis import Analysis, Setup
from boundary_bench.study.policies import Run
from boundary_bench.tables.reading import read_csv
from boundary_bench.tables.registry import TABLES
from boundary_bench.tables.table import ALL


@dataclass(frozen=True)
class Passk:
    """What stored samples say.

    Attributes:
        policies: name, problems, samples, verdicts and graders of each.
        curves: rows as in ``pass_at_k``, for each policy and group of problems.
        pairs: rows as in ``differences``, ``boundary`` and ``coverage``, for each group; empty for one policy.
    """

    policies: list[dict[str, Any]]
    curves: list[dict[str, Any]]
    pairs: dict[str, list[dict[str, Any]]]


def passk(
    policies: list[StoredPolicy],
    first: int | None,
    ks: list[int] | None,
    analysis: Analysis,
    log: Callable[[str], None],
) -> Passk:
    """The curves of one policy, or of a base and another one with their paired differences.

    Args:
        policies: with the same problems in the same order, the base first.
        first: how many samples of every problem count, the first ones; None: all, which must be equally many.
        ks: None: the powers of two up to the fewest samples.

    Raises:
        DataError: problems have different numbers of samples, fewer than ``first``, or fewer than 2
            where two policies are compared.
        StudyError: a k is beyond the samples.
    """
    least = len(policies)  # the sets of two policies are compared with those of two halves
    tallies = [_tally(policy, first, least, log) for policy in policies]
    most = min(tally.design.n_max for tally in tallies)
    setup = Setup(ks or [2**i for i in range(most.bit_length())], analysis)
    if beyond := [k for k in setup.ks if not 1 <= k <= most]:
        raise StudyError(f"--ks: {beyond[0]} is outside 1 to {most}, the fewest samples of a problem; drop it")
    groups = strata([problem.group for problem in policies[0].problems.values()])
    found = Passk([_said(*each) for each in zip(policies, tallies, strict=True)], [], {})
    for group, part_P in groups.items():
        parts = [tally[part_P] for tally in tallies]
        for policy, part in zip(policies, parts, strict=True):
            named = {"policy": policy.name, "group": group}
            found.curves.extend({**named, **_known(row, policy)} for row in curve(setup, part))
        if len(parts) == 2:
            for name, rows in against_base(setup, *parts).items():
                found.pairs.setdefault(name, []).extend({"group": group, **_known(row, policies[1])} for row in rows)
    return found


def of_run(plan: Plan, run: Run, benchmark: str) -> Passk:
    """The same of a run's last checkpoint and its base, from the tables of a finished study."""
    first, *_, last = plan.policies_of(run)
    keys = {"benchmark": benchmark, "stratum": ALL}
    found: dict[str, list[dict[str, Any]]] = {}
    for name in ("pass_at_k", "differences", "boundary", "coverage", "summary"):
        rows = read_csv(plan.root / "tables" / f"{name}.csv", TABLES[name].columns)
        for policy in (first, last):
            whose = {key: str(value) for key, value in (identify(policy, benchmark) | keys).items()}
            mine = [row for row in rows if all(row.get(key, value) == value for key, value in whose.items())]
            found.setdefault(name, []).extend({column: _value(cell) for column, cell in row.items()} for row in mine)
    grader = plan.graders(benchmark)[0].label
    said = []
    for row in found.pop("summary"):
        verdicts = {name: row[name] for name in VERDICTS}
        n = {"policy": row["policy"], "problems": row["problems"], "n": plan.design.n_max}
        said.append({**n, "verdicts": verdicts, "correct": row["correct"], "grader": grader, "compared": 0})
    grouped = {name: [{**row, "group": ALL} for row in rows] for name, rows in found.items()}
    return Passk(said, grouped.pop("pass_at_k"), grouped)


def _value(cell: str) -> Any:
    """A cell as a number, where it is one."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return int(number) if number.is_integer() else number


def steps_of(given: str | None) -> list[int] | None:
    """The values of k of a text like ``1,8,64`` or ``1-128``.

    Raises:
        StudyError: it has another form, or does not ascend.
    """
    if given is None:
        return None
    try:
        ends = [[int(end) for end in part.split("-")] for part in given.split(",")]
        found = [k for first, *last in ends for k in range(first, (last or [first])[0] + 1)]
    except ValueError:
        found = []
    if not found or found != sorted(set(found)):
        raise StudyError(f"--ks: found {given!r}, expected ascending numbers, as 1,8,64 or 1-128")
    return found


def _tally(policy: StoredPolicy, first: int | None, least: int, log: Callable[[str], None]) -> Tally:
    """The counts of a policy's first samples; a sample that timed out is missing, and the next takes its place."""
    problems, every = policy.problems, policy.problems.values()
    drawn = [each.counts[0] if each.counts else len(each.verdicts) for each in every]
    timeouts = [sum(verdict is Verdict.TIMEOUT for verdict in each.verdicts.values()) for each in every]
    if not first:
        _check_equal(policy, drawn)
    scored = [size - missing for size, missing in zip(drawn, timeouts, strict=True)]
    n = first or min(scored)
    if few := [(name, size) for name, size in zip(problems, scored, strict=True) if size < max(n, least)]:
        raise DataError(
            f"{policy.name}: {len(few)} problems have fewer than {max(n, least)} samples, such as {few[0][0][:60]!r} "
            f"with {few[0][1]}; expected as many of every problem"
        )
    if any(timeouts):
        log(
            f"{policy.name}: {sum(timeouts)} samples timed out and say nothing; the first {n} others of every problem "
            "count"
        )
    if any(each.counts and each.counts[0] > n for each in every):
        raise DataError(f"{policy.name}: --n {n}: found counts of more samples, expected single samples to choose from")
    used = [_used(each, n) for each in every]
    found = zip(every, used, strict=True)
    tally = counts(np.array([each.counts[1] if each.counts else said[Verdict.CORRECT] for each, said in found]), n)
    cells: dict[str, list[Any]] = {"problem_id": list(problems), "stratum": [each.group for each in every]}
    cells |= {name: [said[Verdict(name)] for said in used] for name in VERDICTS if name != Verdict.CORRECT}
    return Tally(tally.design, tally.rows | {name: np.array(values) for name, values in cells.items()})


def _check_equal(policy: StoredPolicy, drawn: list[int]) -> None:
    """Refuse problems with different numbers of samples."""
    names, (fewest, most) = list(policy.problems), (min(drawn), max(drawn))
    if fewest < most:
        one, other = names[drawn.index(fewest)], names[drawn.index(most)]
        raise DataError(
            f"{policy.name}: found {fewest} samples of problem {one[:60]!r} and {most} of {other[:60]!r}, expected "
            f"equally many: if sampling stopped at successes, pass@k is biased. If not, --n {fewest} takes the first "
            "ones of every problem"
        )


def _used(problem: StoredProblem, n: int) -> Counter[Verdict]:
    """The verdicts up to the n-th scored sample, in the order of the indices."""
    found: Counter[Verdict] = Counter()
    for _, verdict in sorted(problem.verdicts.items()):
        if found.total() - found[Verdict.TIMEOUT] == n:
            break
        found[verdict] += 1
    return found


def _known(row: dict[str, Any], policy: StoredPolicy) -> dict[str, Any]:
    """A row without what counts alone do not tell."""
    untold = ("truncated", "unscored") if any(each.counts for each in policy.problems.values()) else ()
    return {name: value for name, value in row.items() if name not in untold}


def _said(policy: StoredPolicy, tally: Tally) -> dict[str, Any]:
    every = policy.problems.values()
    return {
        "policy": policy.name,
        "problems": len(tally),
        "n": tally.design.n_max,
        "correct": int(tally.rows["correct"].sum()),
        "verdicts": {str(verdict): count for verdict, count in sorted(policy.verdicts.items())},
        "grader": policy.graded or "as stored",
        "compared": sum(problem.compared for problem in every),
        "disputed": sum(problem.disputed for problem in every),
    }


# text


def text(found: Passk) -> str:
    """The result for a reader."""
    lines = [_headline(each) for each in found.policies]
    for group in dict.fromkeys(row["group"] for row in found.curves):
        lines += ["", *_table(found, group)]
    return "\n".join(lines)


def _headline(said: dict[str, Any]) -> str:
    total = said["problems"] * said["n"]
    line = f"{said['policy']}: {said['problems']:,} problem(s) x {said['n']} samples, "
    line += f"{said['correct'] / total:.1%} correct"
    others = {name: n for name, n in said["verdicts"].items() if name not in ("correct", "wrong") and n}
    line += "".join(f", {count:,} {name}" for name, count in others.items()) + f" ({said['grader']})"
    if said["compared"]:
        line += f"; the file's own scores differ on {said['disputed']:,} of {said['compared']:,}"
    return line


def _table(found: Passk, group: str) -> list[str]:
    curves = [
        [row for row in found.curves if row["group"] == group and row["policy"] == each["policy"]]
        for each in found.policies
    ]
    level, problems = curves[0][0]["level"], curves[0][0]["problems"]
    title = "pass@k" if group == ALL else f"pass@k of {group}"
    lines = [f"{title}, mean over {problems:,} problem(s) [{level:.0%} band over all k, for problems like these]"]
    if len(curves) == 1:
        return [*lines, *(f"{row['k']:>6}  {_estimate(row)}" for row in curves[0])]
    pairs = {name: [row for row in rows if row["group"] == group] for name, rows in found.pairs.items()}
    lines.append(f"{'k':>6}  {'base':<22}{'other':<22}{'difference, paired':<26}{'change':<26}detectable at this k")
    for base, other, row in zip(*curves, pairs["differences"], strict=True):
        ends = f"[{row['band_low']:+.3f}, {row['band_high']:+.3f}]"
        lines.append(
            f"{row['k']:>6}  {_estimate(base):<22}{_estimate(other):<22}{row['difference']:+.3f} {ends:<19}"
            f"{_change(row):<26}{row['detectable']:.3f}"
        )
    return [*lines, *_sets(pairs, curves[0][-1]["k"], level)]


def _estimate(row: dict[str, Any]) -> str:
    return f"{row['estimate']:.3f} [{row['band_low']:.3f}, {row['band_high']:.3f}]"


def _change(row: dict[str, Any]) -> str:
    """The change by the band over all k, and whether its size is below the margin."""
    word = "shrunk" if row["band_high"] < 0 else "expanded" if row["band_low"] > 0 else "undecided"
    small = -row["margin"] < row["equivalence_low"] and row["equivalence_high"] < row["margin"]
    return f"{word}, within {row['margin']:g}" if small else word


def _sets(pairs: dict[str, list[dict[str, Any]]], last: int, level: float) -> list[str]:
    """The crossover, and the problems that one of the two solves."""
    (moved,), once = pairs["boundary"], pairs["coverage"][0]
    leader = {"checkpoint": "the other", "base": "the base", "": "neither"}[moved["leader"]]
    if np.isinf(moved["crossover"]):
        crossing = f"{leader} leads at small k, and no crossover up to k = {last}"
    else:
        crossing = f"{leader} leads at small k and is overtaken at k = {moved['crossover']:.1f}"
        crossing += f" [{moved['crossover_low']:.1f}, {moved['crossover_high']:.1f}]"
    luck, thinned = once["null_at_half"], moved["samples"] != moved["samples_base"]
    return [
        f"crossover: {crossing}",
        f"solved at least once{' with the smaller n' * thinned}: both {once['both']:.4g}, base alone "
        f"{once['base_only']:.4g}, other alone {once['checkpoint_only']:.4g}, neither {once['neither']:.4g}; with half "
        "of the samples alone "
        f"{once['base_only_at_half']:.1f} and {once['checkpoint_only_at_half']:.1f}, by luck {luck:.1f} each",
        f"problems whose success rate moved: {moved['gained']} up, {moved['lost']} down, at a false discovery rate of "
        f"{1 - level:.0%}",
    ]
