"""Measures of one policy on one benchmark, as rows of tables with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from boundary_bench.analysis.rows import Tally, estimate_ends, mean_interval, strata, total
from boundary_bench.grading import VERDICTS, Verdict
from boundary_bench.statistics.coverage import ROUNDING, cover_at
from boundary_bench.statistics.entropy import per_token, sequence_entropy
from boundary_bench.statistics.estimate import estimate
from boundary_bench.statistics.intervals import Resamples
from boundary_bench.statistics.passk import random_pass_at_k
from boundary_bench.study.analysis import Setup

#: Success rates at which Cover@tau is reported.
THRESHOLDS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
UNKNOWN = float("nan")


def measures(setup: Setup, tally: Tally, whose: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows of ``pass_at_k``, ``cover`` and ``summary`` of a policy on a benchmark, stratum by stratum.

    Args:
        whose: the columns that name policy and benchmark.
    """
    tables: dict[str, list[dict[str, Any]]] = {"pass_at_k": [], "cover": [], "summary": []}
    for stratum, part_P in strata(tally.rows["stratum"]).items():
        part = tally[part_P]
        where = {**whose, "stratum": stratum}
        resamples = setup.resampled(len(part_P))
        tables["pass_at_k"] += pass_rows(setup, part, where, resamples)
        tables["cover"] += _cover_rows(setup, part, where, resamples)
        tables["summary"].append(_summary_row(setup, part, where, resamples))
    return tables


def null_line(chance_P: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """pass@k (K,) of uniformly random valid responses, mean over the problems; NaN if a chance is unknown."""
    if np.isnan(chance_P).any():
        return np.full(len(ks), np.nan)
    return random_pass_at_k(chance_P, ks).mean(0)


def pass_rows(setup: Setup, tally: Tally, where: dict[str, Any], resamples: Resamples) -> list[dict[str, Any]]:
    ks = setup.ks
    found = estimate(ks, [(1, tally.counts)], resamples, setup.level)
    null_K = null_line(tally.rows["chance"], ks)
    # maj@k needs equally many samples of every problem, k up to the first round, and their answers
    votes = tally.rows["majority"]
    majority_PK = np.zeros((len(votes), 0)) if any(vote is None for vote in votes) else np.stack(votes)
    majority = [mean_interval(value_P, resamples, setup.level) for value_P in majority_PK.T]
    majority += [(float("nan"),) * 3] * (len(ks) - len(majority))
    return [
        {
            **where,
            "k": k,
            "estimate": found.estimate_K[i],
            **estimate_ends(found, i),
            **setup.intervals,
            **tally.sampled,
            "null": null_K[i],
            **dict(zip(("majority", "majority_low", "majority_high"), majority[i], strict=True)),
        }
        for i, k in enumerate(ks)
    ]


def _cover_rows(setup: Setup, tally: Tally, where: dict[str, Any], resamples: Resamples) -> list[dict[str, Any]]:
    rate_P = tally.pass_at([1])[:, 0]
    cells = []
    for tau, share in zip(THRESHOLDS, cover_at(rate_P, THRESHOLDS), strict=True):
        _, low, high = mean_interval((rate_P >= tau - ROUNDING).astype(np.float64), resamples, setup.level)
        cell = {"threshold": tau, "share": share, "low": low, "high": high}
        cells.append({**where, **cell, **setup.intervals, **tally.sampled})
    return cells


def _summary_row(setup: Setup, tally: Tally, where: dict[str, Any], resamples: Resamples) -> dict[str, Any]:
    rows = tally.rows
    # of stored samples there may be no greedy responses and no answers
    silent, unread = None in rows["greedy"].tolist(), bool(np.isnan(rows["distinct_answers"].astype(float)).any())
    greedy = mean_interval((rows["greedy"] == str(Verdict.CORRECT)).astype(np.float64), resamples, setup.level)
    answered, first = rows["distinct_answers"] > 0, int(rows["first"].sum())
    entropies = ("answer_entropy", "answer_entropy_miller_madow", "answer_entropy_chao_shen")
    drawn, counts = int(rows["drawn"].sum()), {name: total(rows[name]) for name in VERDICTS}
    return {
        **where,
        **tally.sampled,
        "first_round": tally.design.rounds[0],
        **dict(zip(("greedy", "greedy_low", "greedy_high"), (UNKNOWN,) * 3 if silent else greedy, strict=True)),
        **setup.intervals,
        **{f"greedy_{name}": UNKNOWN if silent else int((rows["greedy"] == name).sum()) for name in VERDICTS},
        "token_entropy": per_token(rows["entropy"], rows["tokens"]),
        "nll": per_token(-rows["logprob"], rows["tokens"]),
        "sequence_entropy": _mean(sequence_entropy(rows["logprob"], rows["first"])),
        **{name: _mean(rows[name][answered]) for name in entropies},
        "problems_with_answers": UNKNOWN if unread else int(answered.sum()),
        "distinct_answers": _mean(rows["distinct_answers"]),
        "distinct_responses_share": float(rows["distinct_responses"].sum()) / first,
        "mean_tokens": float(rows["tokens"].sum()) / first,
        "drawn": drawn,
        **counts,
        **{f"{name}_share": count / drawn for name, count in counts.items()},
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
