"""Every checkpoint of a run against its base model, problem by problem, and the run as a whole: rows of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from boundary_bench.analysis.rows import Rows, Tally, estimate_ends, strata
from boundary_bench.core.errors import DataError, StatisticsError
from boundary_bench.core.parquet import columns_of, read_table
from boundary_bench.statistics.courses import trajectory
from boundary_bench.statistics.coverage import (
    at_half,
    consolidation,
    coverage,
    detection_limit,
    halves,
    rates,
    solved,
    thinned,
)
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.estimate import Estimate, estimate
from boundary_bench.statistics.gains import gained_and_lost
from boundary_bench.statistics.intervals import Resamples, mean_change
from boundary_bench.statistics.paired import Crossover, changes, crossover, detectable, equivalence
from boundary_bench.study.analysis import Setup

#: Correct samples that make a problem solved: one is the usual rule, three is less affected by luck.
HITS = (1, 3)
#: Columns of ``problems.parquet`` that a comparison reads.
COLUMNS = [
    "problem_id",
    "stratum",
    "chance",
    "n",
    "correct",
    "truncated",
    "timeout",
    "tokens",
    "entropy",
    "answer_entropy_chao_shen",
]

ENTROPIES = ("token entropy", "answer entropy")
#: The numbers of ``stages.csv``: the turn, the ends of the course, and its clearest fall and rise.
COURSE_NUMBERS = ("turn", "turn_low", "turn_high", "first", "lowest", "lowest_step", "highest", "highest_step", "last")
COURSE_NUMBERS += ("change", "change_low", "change_high")
COURSE_NUMBERS += tuple(f"{move}_{name}" for move in ("fall", "rise") for name in ("from", "to", "change", "p"))


def comparison(
    setup: Setup, steps: Sequence[int], policies: Sequence[Tally], run: dict[str, Any], benchmark: str
) -> dict[str, list[dict[str, Any]]]:
    """The rows of ``differences``, ``boundary``, ``coverage`` and ``stages`` of a run on a benchmark.

    Every interval of a difference is paired: base and checkpoint are resampled with the same problems.

    Args:
        steps: the step of each policy, the base's 0 first.
        policies: each with the ``COLUMNS``, for the same problems in the same order.
        run: the columns that name the run.
    """
    tables: dict[str, list[dict[str, Any]]] = {"differences": [], "boundary": [], "coverage": [], "stages": []}
    parts = strata(policies[0].rows["stratum"])
    for step, checkpoint in list(zip(steps, policies, strict=True))[1:]:
        for stratum, part_P in parts.items():
            place = {**run, "step": step, "benchmark": benchmark, "stratum": stratum}
            for name, rows in checkpoint_rows(setup, policies[0][part_P], checkpoint[part_P], place).items():
                tables[name] += rows
    for stratum, part_P in parts.items():
        course = [policy[part_P] for policy in policies]
        tables["stages"] += _stage_rows(setup, steps, course, {**run, "benchmark": benchmark, "stratum": stratum})
    return tables


def read_tally(path: Path) -> Tally:
    """The ``COLUMNS`` of a measured policy, and its design.

    Raises:
        DataError: the file is missing or torn, or says no design.
    """
    table, facts = read_table(path, COLUMNS)
    try:
        said = facts["settings"]["design"]
        design = Design(tuple(said["rounds"]), said["stop_after"], tuple(said["unscored"]))
    except (KeyError, TypeError, StatisticsError) as fault:
        raise DataError(f"{path}: found no sampling design in it ({fault}); run the measure stage again") from None
    return Tally(design, columns_of(table))


def check_paired(base: Rows, other: Rows, policy: str, benchmark: str) -> None:
    """Refuse two measures of different problems, or in a different order.

    Raises:
        StatisticsError: the problems differ; the message names one.
    """
    base_ids, other_ids = base["problem_id"].tolist(), other["problem_id"].tolist()
    if base_ids != other_ids:
        odd = sorted(set(base_ids) ^ set(other_ids)) or [a for a, b in zip(base_ids, other_ids, strict=True) if a != b]
        raise StatisticsError(
            f"{policy} and its base were measured on other problems of {benchmark} ({len(odd)} differ, "
            f"e.g. {odd[0]}), and a paired comparison needs the same in the same order; run the measure "
            "stage again for both"
        )


def checkpoint_rows(
    setup: Setup, base: Tally, checkpoint: Tally, where: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """The rows of ``differences``, ``boundary`` and ``coverage`` of one checkpoint on one stratum."""
    ks, resamples = setup.ks, setup.resampled(len(base))
    found = estimate(ks, [(1, checkpoint.counts), (-1, base.counts)], resamples, setup.level)
    alone = [policy.pass_at(ks).mean(0) for policy in (base, checkpoint)]
    counted = {**checkpoint.sampled, "samples_base": int(base.rows["n"].sum())}
    return {
        "differences": difference_rows(setup, alone, found, where, counted),
        "boundary": [{**where, **_boundary_cells(setup, base, checkpoint, found, resamples), **counted}],
        "coverage": coverage_rows(base, checkpoint, where),
    }


def difference_rows(
    setup: Setup, alone: list[np.ndarray], found: Estimate, where: dict[str, Any], counted: dict[str, Any]
) -> list[dict[str, Any]]:
    """One row a k: base and checkpoint alone, their difference with its intervals, and the change."""
    near_low_K, near_high_K = equivalence(found.draw_BK, setup.level)
    least_K, verdicts = detectable(found.draw_BK, setup.level), changes(found, setup.analysis.margin, setup.level)
    base_K, checkpoint_K = alone
    return [
        {
            **where,
            "k": k,
            "base": base_K[i],
            "checkpoint": checkpoint_K[i],
            "difference": found.estimate_K[i],
            **estimate_ends(found, i),
            **setup.intervals,
            "margin": setup.analysis.margin,
            "equivalence_low": near_low_K[i],
            "equivalence_high": near_high_K[i],
            "detectable": least_K[i],
            "change": str(verdicts[i]),
            **counted,
        }
        for i, k in enumerate(setup.ks)
    ]


def _boundary_cells(
    setup: Setup, base: Tally, checkpoint: Tally, found: Estimate, resamples: Resamples
) -> dict[str, Any]:
    """Crossover, sampling-efficiency gap, and the numbers of problems gained and lost."""
    ks = setup.ks
    crossing = crossover(ks, found.estimate_K, found.draw_BK, setup.level)
    many_P1, once_P1 = base.pass_at([ks[-1]]), checkpoint.pass_at([1])
    gap_1, low_1, high_1, _ = mean_change(many_P1 - once_P1, resamples, setup.level)
    moved = gained_and_lost(base.counts, checkpoint.counts, 1 - setup.level)
    return {
        **crossover_cells(crossing),
        "efficiency_gap": gap_1[0],
        "efficiency_gap_low": low_1[0],
        "efficiency_gap_high": high_1[0],
        **setup.intervals,
        "gained": int(moved.gained_P.sum()),
        "lost": int(moved.lost_P.sum()),
        "false_discovery_rate": 1 - setup.level,
    }


def crossover_cells(found: Crossover) -> dict[str, Any]:
    """The columns of a crossover: the leader at small k, and the k at which it is overtaken."""
    ends = {"crossover_low": found.low, "crossover_high": found.high}
    return {"leader": found.leader, "crossover": found.k, **ends}


def countable(*designs: Design) -> list[int]:
    """The rules of ``HITS`` that a problem can meet under every design before it stops."""
    most = min(min(design.n_max, design.stop_after or design.n_max) for design in designs)
    return [hits for hits in HITS if hits <= most]


def coverage_rows(base: Tally, checkpoint: Tally, where: dict[str, Any]) -> list[dict[str, Any]]:
    """The four sets and their rates under every rule of ``HITS``, with the null of two halves of the base.

    Solved problems depend on n. Where base and checkpoint have different designs, the sets are expected numbers at the
    smaller n of each problem, and so are their halves.
    """
    designs = base.design, checkpoint.design
    counts = [(policy.rows["n"], policy.rows["correct"]) for policy in (base, checkpoint)]
    least_P = None if designs[0] == designs[1] else np.minimum(counts[0][0], counts[1][0])
    once_2P = [policy.pass_at([1])[:, 0] for policy in (base, checkpoint)]
    cells = []
    for hits in countable(*designs):
        solved_2P = [solved(correct_P, hits) for _, correct_P in counts]
        found = coverage(*solved_2P) if least_P is None else thinned(*counts, least_P, hits)
        half, null = at_half(*counts, hits, least_P), halves(*counts[0], hits, least_P)
        cells.append(
            {
                **where,
                "hits": hits,
                "detection_limit": detection_limit(min(design.n_max for design in designs), hits),
                **asdict(found),
                **asdict(rates(found)),
                "consolidation": consolidation(*solved_2P, *once_2P),
                "base_only_at_half": half.base_only,
                "checkpoint_only_at_half": half.checkpoint_only,
                "null_at_half": null.base_only,
                **checkpoint.sampled,
            }
        )
    return cells


def _stage_rows(
    setup: Setup, steps: Sequence[int], policies: Sequence[Tally], where: dict[str, Any]
) -> list[dict[str, Any]]:
    """The course of pass@k at every k, and of both entropies, over the checkpoints of a run."""
    ks = setup.ks
    value_SPK = np.stack([policy.pass_at(ks) for policy in policies])
    measures: list[tuple[str, Any, np.ndarray, float]] = [
        ("pass@k", k, value_SPK[:, :, i], 1.0) for i, k in enumerate(ks)
    ]
    with np.errstate(invalid="ignore"):  # a problem without tokens has no entropy
        token_SP = np.stack([policy.rows["entropy"] / policy.rows["tokens"] for policy in policies])
    answer_SP = np.stack([policy.rows["answer_entropy_chao_shen"] for policy in policies])
    for name, value_SP in zip(ENTROPIES, (token_SP, answer_SP), strict=True):
        # an entropy has no largest possible change, so the largest of any problem in this run is taken
        furthest = float(np.nanmax(np.ptp(value_SP, 0), initial=0.0))
        measures.append((name, "", value_SP, furthest))
    return [
        {**where, "measure": name, "k": k, **_stage_cells(setup, steps, value_SP, largest)}
        for name, k, value_SP, largest in measures
    ]


def _stage_cells(setup: Setup, steps: Sequence[int], value_SP: np.ndarray, largest: float) -> dict[str, Any]:
    """The course of one measure, over the problems for which every checkpoint has a value."""
    value_SP = value_SP[:, ~np.isnan(value_SP).any(0)]
    problems = value_SP.shape[1]
    made = {**setup.intervals, "problems": problems}
    if not problems:
        return {"course": "unknown", **dict.fromkeys(COURSE_NUMBERS, float("nan")), **made}
    found = trajectory(steps, value_SP, setup.resampled(problems), setup.level, largest)
    lowest, highest = int(found.mean_S.argmin()), int(found.mean_S.argmax())
    numbers = [found.turn, found.turn_low, found.turn_high]
    numbers += [found.mean_S[0], found.mean_S[lowest], steps[lowest], found.mean_S[highest], steps[highest]]
    numbers += [found.mean_S[-1], found.change, found.change_low, found.change_high]
    for move in (found.fall, found.rise):
        numbers += [move.start, move.stop, move.change, move.probability]
    cells = ("" if value is None else value for value in numbers)
    return {"course": str(found.course), **dict(zip(COURSE_NUMBERS, cells, strict=True)), **made}
