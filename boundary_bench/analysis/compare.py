"""Every checkpoint of a run against its base model, problem by problem, and the run as a whole: rows of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from boundary_bench.analysis.rows import Rows, counts_of, estimate_ends, sampling_columns, strata
from boundary_bench.core.errors import StatisticsError
from boundary_bench.core.parquet import columns_of, read_table
from boundary_bench.statistics.courses import trajectory
from boundary_bench.statistics.coverage import at_half, consolidation, coverage, detection_limit, halves, rates, solved
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.estimate import Estimate, estimate
from boundary_bench.statistics.gains import gained_and_lost
from boundary_bench.statistics.intervals import Resamples, mean_change
from boundary_bench.statistics.paired import Crossover, changes, crossover, detectable, equivalence
from boundary_bench.statistics.sequential import sequential_pass_at_k
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
    setup: Setup, steps: Sequence[int], policies: Sequence[Rows], run: dict[str, Any], benchmark: str
) -> dict[str, list[dict[str, Any]]]:
    """The rows of ``differences``, ``boundary``, ``coverage`` and ``stages`` of a run on a benchmark.

    Every interval of a difference is paired: base and checkpoint are resampled with the same problems.

    Args:
        steps: the step of each policy, the base's 0 first.
        policies: the ``COLUMNS`` of each policy, for the same problems in the same order.
        run: the columns that name the run.
    """
    tables: dict[str, list[dict[str, Any]]] = {"differences": [], "boundary": [], "coverage": [], "stages": []}
    parts = strata(policies[0]["stratum"])
    for step, checkpoint in list(zip(steps, policies, strict=True))[1:]:
        for stratum, part_P in parts.items():
            pair = [{name: rows[name][part_P] for name in COLUMNS} for rows in (policies[0], checkpoint)]
            place = {**run, "step": step, "benchmark": benchmark, "stratum": stratum}
            for name, rows in checkpoint_rows(setup, *pair, place).items():
                tables[name] += rows
    for stratum, part_P in parts.items():
        run_rows = [{name: rows[name][part_P] for name in COLUMNS} for rows in policies]
        tables["stages"] += _stage_rows(setup, steps, run_rows, {**run, "benchmark": benchmark, "stratum": stratum})
    return tables


def problem_rows(path: Path) -> Rows:
    """The ``COLUMNS`` of a measured policy, one entry a problem.

    Raises:
        DataError: the file is missing or torn.
    """
    return columns_of(read_table(path, COLUMNS)[0])


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
    setup: Setup, base: Rows, checkpoint: Rows, where: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """The rows of ``differences``, ``boundary`` and ``coverage`` of one checkpoint on one stratum."""
    design, ks = setup.design, setup.ks
    resamples = setup.resampled(len(base["n"]))
    found = estimate(design, ks, [(1, counts_of(checkpoint)), (-1, counts_of(base))], resamples, setup.level)
    alone = [sequential_pass_at_k(design, rows["n"], rows["correct"], ks).mean(0) for rows in (base, checkpoint)]
    counted = {**sampling_columns(design, checkpoint), "samples_base": int(base["n"].sum())}
    return {
        "differences": difference_rows(setup, alone, found, where, counted),
        "boundary": [{**where, **_boundary_cells(setup, base, checkpoint, found, resamples), **counted}],
        "coverage": coverage_rows(design, base, checkpoint, where),
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
    setup: Setup, base: Rows, checkpoint: Rows, found: Estimate, resamples: Resamples
) -> dict[str, Any]:
    """Crossover, sampling-efficiency gap, and the numbers of problems gained and lost."""
    design, ks = setup.design, setup.ks
    crossing = crossover(ks, found.estimate_K, found.draw_BK, setup.level)
    many_P1, once_P1 = (
        sequential_pass_at_k(design, rows["n"], rows["correct"], [k]) for rows, k in ((base, ks[-1]), (checkpoint, 1))
    )
    gap_1, low_1, high_1, _ = mean_change(many_P1 - once_P1, resamples, setup.level)
    moved = gained_and_lost(design, *((rows["n"], rows["correct"]) for rows in (base, checkpoint)), 1 - setup.level)
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


def countable(design: Design) -> list[int]:
    """The rules of ``HITS`` that a problem can meet before it stops."""
    most = min(design.n_max, design.stop_after or design.n_max)
    return [hits for hits in HITS if hits <= most]


def coverage_rows(design: Design, base: Rows, checkpoint: Rows, where: dict[str, Any]) -> list[dict[str, Any]]:
    """The four sets and their rates under every rule of ``HITS``, with the null of two halves of the base."""
    cells = []
    for hits in countable(design):
        solved_2P = [solved(rows["correct"], hits) for rows in (base, checkpoint)]
        counts = [(rows["n"], rows["correct"]) for rows in (base, checkpoint)]
        once_2P = [sequential_pass_at_k(design, *each, [1])[:, 0] for each in counts]
        found, half, null = coverage(*solved_2P), at_half(*counts, hits), halves(*counts[0], hits)
        cells.append(
            {
                **where,
                "hits": hits,
                "detection_limit": detection_limit(design.n_max, hits),
                **asdict(found),
                **asdict(rates(found)),
                "consolidation": consolidation(*solved_2P, *once_2P),
                "base_only_at_half": half.base_only,
                "checkpoint_only_at_half": half.checkpoint_only,
                "null_at_half": null.base_only,
                **sampling_columns(design, checkpoint),
            }
        )
    return cells


def _stage_rows(
    setup: Setup, steps: Sequence[int], policies: Sequence[Rows], where: dict[str, Any]
) -> list[dict[str, Any]]:
    """The course of pass@k at every k, and of both entropies, over the checkpoints of a run."""
    ks = setup.ks
    value_SPK = np.stack([sequential_pass_at_k(setup.design, rows["n"], rows["correct"], ks) for rows in policies])
    measures: list[tuple[str, Any, np.ndarray, float]] = [
        ("pass@k", k, value_SPK[:, :, i], 1.0) for i, k in enumerate(ks)
    ]
    with np.errstate(invalid="ignore"):  # a problem without tokens has no entropy
        token_SP = np.stack([rows["entropy"] / rows["tokens"] for rows in policies])
    answer_SP = np.stack([rows["answer_entropy_chao_shen"] for rows in policies])
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
