"""The compare stage: every checkpoint of a run against its base model, problem by problem."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from boundary_bench.errors import StatisticsError
from boundary_bench.measure import identify, strata, write_csv
from boundary_bench.plan import Plan, Policy, Run
from boundary_bench.statistics.coverage import coverage, detection_limit, solved
from boundary_bench.statistics.intervals import INTERVAL, bootstrap_weights, mean_interval
from boundary_bench.statistics.passk import pass_at_k
from boundary_bench.store import read_table

#: Correct samples that make a problem solved: one is the usual rule, three is the one that luck moves less.
HITS = (1, 3)
COUNTS = ["problem_id", "stratum", "chance", "n", "correct"]


def compare(plan: Plan, run: Run, benchmark: str) -> None:
    """Write ``differences.csv`` and ``coverage.csv``: the base against each evaluated checkpoint of a run.

    The interval of a difference is paired: base and checkpoint are resampled with the same problems.

    Raises:
        DataError: a measure is missing or torn.
        StatisticsError: the two policies were not measured on the same problems.
    """
    base, *checkpoints = plan.policies_of(run)
    base_counts = problem_counts(plan, base, benchmark)
    differences, sets = [], []
    for policy in checkpoints:
        counts = problem_counts(plan, policy, benchmark)
        check_paired(base_counts, counts, policy, benchmark)
        identity = {key: value for key, value in identify(policy, benchmark).items() if key != "policy"}
        for stratum, part_P in strata(counts["stratum"]).items():
            where = {**identity, "stratum": stratum}
            differences += _difference_rows(plan, base_counts, counts, part_P, where)
            sets += coverage_rows(base_counts, counts, part_P, where)
    folder = plan.comparison(run, benchmark)
    write_csv(folder / "differences.csv", differences)
    write_csv(folder / "coverage.csv", sets)


def problem_counts(plan: Plan, policy: Policy, benchmark: str) -> dict[str, np.ndarray]:
    """The counts of a measured policy, one entry a problem, under the names of ``COUNTS``.

    Raises:
        DataError: the measure is missing or torn.
    """
    table, _ = read_table(plan.measures(policy, benchmark) / "problems.parquet", COUNTS)
    return {name: table.column(name).to_numpy(zero_copy_only=False) for name in COUNTS}


def check_paired(base: dict[str, np.ndarray], other: dict[str, np.ndarray], policy: Policy, benchmark: str) -> None:
    """Make sure that two measures are of the same problems in the same order.

    Raises:
        StatisticsError: they are not; the message names one problem.
    """
    base_ids, other_ids = base["problem_id"].tolist(), other["problem_id"].tolist()
    if base_ids != other_ids:
        odd = sorted(set(base_ids) ^ set(other_ids)) or [a for a, b in zip(base_ids, other_ids, strict=True) if a != b]
        raise StatisticsError(
            f"{policy.name} and its base were measured on other problems of {benchmark} ({len(odd)} differ, "
            f"e.g. {odd[0]}), and a paired comparison needs the same in the same order; run the measure "
            "stage again for both"
        )


def _difference_rows(
    plan: Plan,
    base: dict[str, np.ndarray],
    checkpoint: dict[str, np.ndarray],
    part_P: np.ndarray,
    where: dict[str, Any],
) -> list[dict[str, Any]]:
    analysis, ks = plan.study.analysis, plan.study.ks
    base_PK, checkpoint_PK = (
        pass_at_k(counts["n"][part_P], counts["correct"][part_P], ks) for counts in (base, checkpoint)
    )
    weight_BP = bootstrap_weights(len(part_P), analysis.resamples, analysis.seed)
    base_K, checkpoint_K = base_PK.mean(0), checkpoint_PK.mean(0)
    difference_K, low_K, high_K = mean_interval(checkpoint_PK - base_PK, weight_BP, analysis.level)
    return [
        {
            **where,
            "k": k,
            "base": base_K[i],
            "checkpoint": checkpoint_K[i],
            "difference": difference_K[i],
            "low": low_K[i],
            "high": high_K[i],
            "level": analysis.level,
            "interval": INTERVAL,
            "problems": len(part_P),
            "n": int(checkpoint["n"][part_P].max()),
        }
        for i, k in enumerate(ks)
    ]


def coverage_rows(
    base: dict[str, np.ndarray], checkpoint: dict[str, np.ndarray], part_P: np.ndarray, where: dict[str, Any]
) -> list[dict[str, Any]]:
    """The four sets under every rule of ``HITS`` that n samples can meet."""
    n = int(min(base["n"][part_P].min(), checkpoint["n"][part_P].min()))
    return [
        {
            **where,
            "hits": hits,
            "problems": len(part_P),
            "n": n,
            "detection_limit": detection_limit(n, hits),
            **asdict(coverage(solved(base["correct"][part_P], hits), solved(checkpoint["correct"][part_P], hits))),
        }
        for hits in HITS
        if hits <= n
    ]
