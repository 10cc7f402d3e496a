"""The measure stage: what the samples of one policy on one benchmark say, as tables with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from boundary_bench.analysis.counts import tally
from boundary_bench.analysis.graders import compare_graders
from boundary_bench.analysis.rows import (
    Rows,
    counts_of,
    identify,
    interval_columns,
    mean_interval,
    resampled,
    sampling_columns,
    strata,
)
from boundary_bench.core.parquet import write_table
from boundary_bench.core.provenance import fingerprint
from boundary_bench.grading import VERDICTS, JudgeAll, Verdict, judge_here
from boundary_bench.plan import Plan
from boundary_bench.plan.stages import settings
from boundary_bench.samples.manifest import files_of
from boundary_bench.statistics.coverage import ROUNDING, cover_at
from boundary_bench.statistics.entropy import per_token, sequence_entropy
from boundary_bench.statistics.estimate import estimate
from boundary_bench.statistics.intervals import (
    METHODS,
    VALUE_METHODS,
    Resamples,
)
from boundary_bench.statistics.passk import random_pass_at_k
from boundary_bench.statistics.sequential import sequential_pass_at_k
from boundary_bench.study.policies import Policy
from boundary_bench.tables.writing import write_csv

#: Success rates at which Cover@tau is reported.
THRESHOLDS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)


def measure(plan: Plan, policy: Policy, benchmark: str, judge: JudgeAll = judge_here) -> list[dict[str, Any]]:
    """Write the measures of a policy on a benchmark; returns the comparison of its graders.

    Files: ``problems.parquet``, ``pass_at_k.csv``, ``cover.csv``, ``summary.csv``, ``graders.csv`` and
    ``disagreements.csv``.

    Raises:
        DataError: a sample is missing, repeated or of another problem, or drawn by another design.
        StoreError: a file of the sample store is not the one that the manifest declares.
    """
    table = tally(plan, policy, benchmark)
    folder, whose = plan.measures(policy, benchmark), identify(policy, benchmark)
    samples = fingerprint(files_of(plan.samples(policy, benchmark)))
    facts = {"policy": policy.name, "benchmark": benchmark, "samples": samples}
    facts["settings"] = settings(plan, "measure", policy.name, benchmark)
    write_table(folder / "problems.parquet", table, facts)
    rows = {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}
    tables: dict[str, list[dict[str, Any]]] = {"pass_at_k": [], "cover": [], "summary": []}
    for stratum, part_P in strata(rows["stratum"]).items():
        part = {name: values[part_P] for name, values in rows.items()}
        where = {**whose, "stratum": stratum}
        resamples = resampled(plan.study.analysis, len(part_P))
        tables["pass_at_k"] += _pass_rows(plan, part, where, resamples)
        tables["cover"] += _cover_rows(plan, part, where, resamples)
        tables["summary"].append(_summary_row(plan, part, where, resamples))
    made_with = fingerprint(facts["settings"])
    for name, found in tables.items():
        write_csv(folder / f"{name}.csv", ({**row, "settings": made_with} for row in found))
    return compare_graders(plan, policy, benchmark, judge)


def null_line(chance_P: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """pass@k of uniformly random valid responses, mean over the problems; NaN where a chance is unknown."""
    if np.isnan(chance_P).any():
        return np.full(len(ks), np.nan)
    return random_pass_at_k(chance_P, ks).mean(0)


def _pass_rows(plan: Plan, rows: Rows, where: dict[str, Any], resamples: Resamples) -> list[dict[str, Any]]:
    analysis, ks = plan.study.analysis, plan.study.ks
    found = estimate(plan.design, ks, [(1, counts_of(rows))], resamples, analysis.level)
    null_K = null_line(rows["chance"], ks)
    # maj@k needs equally many samples of every problem: k up to the first round
    majority_PK = np.stack(rows["majority"])
    majority = [mean_interval(value_P, resamples, analysis.level) for value_P in majority_PK.T]
    majority += [(float("nan"),) * 3] * (len(ks) - len(majority))
    return [
        {
            **where,
            "k": k,
            "estimate": found.estimate_K[i],
            "low": found.low_K[i],
            "high": found.high_K[i],
            "band_low": found.band_low_K[i],
            "band_high": found.band_high_K[i],
            "samples_only_low": found.samples_low_K[i],
            "samples_only_high": found.samples_high_K[i],
            **interval_columns(analysis, METHODS),
            **sampling_columns(plan.design, rows),
            "null": null_K[i],
            **dict(zip(("majority", "majority_low", "majority_high"), majority[i], strict=True)),
        }
        for i, k in enumerate(ks)
    ]


def _cover_rows(plan: Plan, rows: Rows, where: dict[str, Any], resamples: Resamples) -> list[dict[str, Any]]:
    analysis = plan.study.analysis
    rate_P = sequential_pass_at_k(plan.design, rows["n"], rows["correct"], [1])[:, 0]
    cells = []
    for tau, share in zip(THRESHOLDS, cover_at(rate_P, THRESHOLDS), strict=True):
        _, low, high = mean_interval((rate_P >= tau - ROUNDING).astype(np.float64), resamples, analysis.level)
        cell = {"threshold": tau, "share": share, "low": low, "high": high}
        cells.append(
            {**where, **cell, **interval_columns(analysis, VALUE_METHODS), **sampling_columns(plan.design, rows)}
        )
    return cells


def _summary_row(plan: Plan, rows: Rows, where: dict[str, Any], resamples: Resamples) -> dict[str, Any]:
    analysis = plan.study.analysis
    greedy = mean_interval((rows["greedy"] == str(Verdict.CORRECT)).astype(np.float64), resamples, analysis.level)
    answered, first = rows["distinct_answers"] > 0, int(rows["first"].sum())
    entropies = ("answer_entropy", "answer_entropy_miller_madow", "answer_entropy_chao_shen")
    drawn, counts = int(rows["drawn"].sum()), {name: int(rows[name].sum()) for name in VERDICTS}
    return {
        **where,
        **sampling_columns(plan.design, rows),
        "first_round": plan.design.rounds[0],
        **dict(zip(("greedy", "greedy_low", "greedy_high"), greedy, strict=True)),
        **interval_columns(analysis, VALUE_METHODS),
        **{f"greedy_{name}": int((rows["greedy"] == name).sum()) for name in VERDICTS},
        "token_entropy": per_token(rows["entropy"], rows["tokens"]),
        "nll": per_token(-rows["logprob"], rows["tokens"]),
        "sequence_entropy": _mean(sequence_entropy(rows["logprob"], rows["first"])),
        **{name: _mean(rows[name][answered]) for name in entropies},
        "problems_with_answers": int(answered.sum()),
        "distinct_answers": _mean(rows["distinct_answers"]),
        "distinct_responses_share": float(rows["distinct_responses"].sum()) / first,
        "mean_tokens": float(rows["tokens"].sum()) / first,
        "drawn": drawn,
        **counts,
        **{f"{name}_share": count / drawn for name, count in counts.items()},
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
