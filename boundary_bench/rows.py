"""Rows of tables: whose they are, what they were made from, and how they are written."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boundary_bench.errors import DataError
from boundary_bench.files import write_text
from boundary_bench.grading import Verdict
from boundary_bench.policies import Policy
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.intervals import Resamples, holding, mean_draws, percentiles, resample
from boundary_bench.statistics.posterior import Counts
from boundary_bench.study import Analysis

BASE = "base"
ALL = "all"

Rows = dict[str, np.ndarray]


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


def resampled(analysis: Analysis, problems: int) -> Resamples:
    """The resamples of a set of problems: the same for every policy, so that comparisons are paired."""
    return resample(problems, analysis.resamples, analysis.seed, analysis.interval)


def counts_of(rows: Rows) -> Counts:
    """The counts that every estimate is made from."""
    return Counts(rows["n"], rows["correct"])


def sampling_columns(design: Design, rows: Rows) -> dict[str, Any]:
    """How much was sampled for an estimate, and what of it was cut off or could not be scored."""
    return {
        "problems": len(rows["n"]),
        "n_max": design.n_max,
        "samples": int(rows["n"].sum()),
        "truncated": int(rows[Verdict.TRUNCATED].sum()),
        "unscored": int(sum(rows[verdict].sum() for verdict in design.unscored)),
    }


def interval_columns(analysis: Analysis, kinds: dict[str, str]) -> dict[str, Any]:
    """What kind the columns low and high are of: one of ``METHODS`` or ``VALUE_METHODS``."""
    return {"level": analysis.level, "interval": kinds[analysis.interval]}


def mean_interval(value_P: np.ndarray, resamples: Resamples, level: float) -> tuple[float, float, float]:
    """Mean over problems of values in [0, 1], with its interval."""
    draw_B1 = mean_draws(value_P[:, None], resamples, np.zeros(1), np.ones(1))
    mean_1 = value_P.mean(keepdims=True)
    return float(mean_1[0]), *(float(end_1[0]) for end_1 in holding(mean_1, *percentiles(draw_B1, level)))


def number(value: Any) -> str:
    """A table cell: floats with six significant digits, empty for NaN and None, and 0 for what is only rounding error.

    >>> [number(x) for x in (0.1 + 0.2, float("nan"), None, -1e-17, 3, "x")]
    ['0.3', '', '', '0', '3', 'x']
    """
    if value is None:
        return ""
    if not isinstance(value, float | np.floating):
        # a lone carriage return ends a row for readers, and is not quoted by writers
        return str(value).replace("\r\n", "\n").replace("\r", "\n")
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
