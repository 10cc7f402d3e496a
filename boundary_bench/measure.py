"""The measure stage: what the samples of one policy on one benchmark say, as tables with intervals."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boundary_bench.errors import DataError
from boundary_bench.files import write_text
from boundary_bench.grading import VERDICTS, Verdict
from boundary_bench.plan import Plan, Policy
from boundary_bench.provenance import fingerprint
from boundary_bench.statistics.coverage import ROUNDING, cover_at
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.entropy import per_token, sequence_entropy
from boundary_bench.statistics.estimate import estimate
from boundary_bench.statistics.intervals import (
    METHODS,
    VALUE_METHODS,
    Resamples,
    holding,
    mean_draws,
    percentiles,
    resample,
)
from boundary_bench.statistics.passk import random_pass_at_k
from boundary_bench.statistics.posterior import Counts
from boundary_bench.statistics.sequential import sequential_pass_at_k
from boundary_bench.store import write_table
from boundary_bench.study import Analysis
from boundary_bench.tally import files_of, tally

BASE = "base"
ALL = "all"
#: Success rates at which Cover@tau is reported.
THRESHOLDS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)

Rows = dict[str, np.ndarray]


def measure(plan: Plan, policy: Policy, benchmark: str) -> None:
    """Write ``problems.parquet``, ``pass_at_k.csv``, ``cover.csv`` and ``summary.csv`` of a policy on a benchmark.

    Raises:
        DataError: a sample is missing, repeated or of another problem, or drawn by another design.
        StoreError: a file of the sample store is not the one that the manifest declares.
    """
    table = tally(plan, policy, benchmark)
    folder, identity = plan.measures(policy, benchmark), identify(policy, benchmark)
    samples = fingerprint(files_of(plan.samples(policy, benchmark)))
    facts = {"policy": policy.name, "benchmark": benchmark, "samples": samples}
    facts["settings"] = plan.analysis_settings("measure")
    write_table(folder / "problems.parquet", table, facts)
    rows = {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}
    tables: dict[str, list[dict[str, Any]]] = {"pass_at_k": [], "cover": [], "summary": []}
    for stratum, part_P in strata(rows["stratum"]).items():
        part = {name: values[part_P] for name, values in rows.items()}
        where = {**identity, "stratum": stratum}
        resamples = resampled(plan.study.analysis, len(part_P))
        tables["pass_at_k"] += _pass_rows(plan, part, where, resamples)
        tables["cover"] += _cover_rows(plan, part, where, resamples)
        tables["summary"].append(_summary_row(plan, part, where, resamples))
    made_with = fingerprint(facts["settings"])
    for name, found in tables.items():
        write_csv(folder / f"{name}.csv", ({**row, "settings": made_with} for row in found))


def resampled(analysis: Analysis, problems: int) -> Resamples:
    """The resamples of a set of problems: the same for every policy, so that comparisons are paired."""
    return resample(problems, analysis.resamples, analysis.seed, analysis.interval)


def counts_of(rows: Rows) -> Counts:
    """The counts that every estimate is made from."""
    return Counts(rows["n"], rows["correct"])


def identify(policy: Policy, benchmark: str) -> dict[str, Any]:
    """The columns that say whose row it is; a base model has algorithm "base", no seed, and step 0."""
    run = policy.run
    return {
        "model": policy.model,
        "algorithm": run.algorithm if run else BASE,
        "seed": run.seed if run else "",
        "step": policy.step,
        "policy": policy.name,
        "benchmark": benchmark,
    }


def strata(stratum_P: Sequence[str]) -> dict[str, np.ndarray]:
    """Positions of the problems of "all", and of each stratum in the order of their names.

    Unnamed strata are left out, and a single one, which would only repeat "all".

    Raises:
        DataError: a stratum has the name "all".
    """
    labels_P = np.asarray(stratum_P, str)
    names = sorted({str(name) for name in labels_P} - {""})
    if ALL in names:
        raise DataError(f"found a stratum {ALL!r}, which is the name of all problems together; give it another name")
    everyone = {ALL: np.arange(len(labels_P))}
    if len(names) < 2:
        return everyone
    return everyone | {name: np.flatnonzero(labels_P == name) for name in names}


def sampling_columns(design: Design, rows: Rows) -> dict[str, Any]:
    """How much was sampled for an estimate, and what of it was cut off or could not be scored."""
    return {
        "problems": len(rows["n"]),
        "n_max": design.n_max,
        "samples": int(rows["n"].sum()),
        "truncated": int(rows[Verdict.TRUNCATED].sum()),
        "unscored": int(rows[Verdict.TIMEOUT].sum()),
    }


def interval_columns(analysis: Analysis, kinds: dict[str, str]) -> dict[str, Any]:
    """What kind the columns low and high are of: one of ``METHODS`` or ``VALUE_METHODS``."""
    return {"level": analysis.level, "interval": kinds[analysis.interval]}


def null_line(chance_P: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """pass@k of uniformly random valid responses, mean over the problems; NaN where a chance is unknown."""
    if np.isnan(chance_P).any():
        return np.full(len(ks), np.nan)
    return random_pass_at_k(chance_P, ks).mean(0)


def mean_interval(value_P: np.ndarray, resamples: Resamples, level: float) -> tuple[float, float, float]:
    """Mean over problems of values in [0, 1], with its interval."""
    draw_B1 = mean_draws(value_P[:, None], resamples, np.zeros(1), np.ones(1))
    mean_1 = value_P.mean(keepdims=True)
    return float(mean_1[0]), *(float(end_1[0]) for end_1 in holding(mean_1, *percentiles(draw_B1, level)))


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


def number(value: Any) -> str:
    """A table cell: floats with six significant digits, empty for NaN, and 0 for what is only rounding error.

    >>> [number(x) for x in (0.1 + 0.2, float("nan"), -1e-17, 3, "x")]
    ['0.3', '', '0', '3', 'x']
    """
    if not isinstance(value, float | np.floating):
        return str(value)
    return "" if np.isnan(value) else f"{round(float(value), 12) + 0.0:.6g}"


def write_csv(path: Path, rows: Iterable[dict[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write rows as CSV, numbers as ``number`` writes them.

    Args:
        columns: by default the keys of the first row; where they are given there may be no row.

    Raises:
        DataError: there is no row, or a row has other keys.
    """
    rows = list(rows)
    if not rows and columns is None:
        raise DataError(f"{path}: found no row to write, expected at least one")
    columns = list(rows[0]) if columns is None else columns
    for place, row in enumerate(rows, 1):
        if odd := row.keys() ^ set(columns):
            raise DataError(f"{path}, row {place}: found other columns than in row 1 (differing: {sorted(odd)})")
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: number(value) for name, value in row.items()} for row in rows)
    write_text(path, text.getvalue())
