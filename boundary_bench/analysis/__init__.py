"""From counts to tables: estimates with intervals, comparisons with the base, means over the training seeds.

Nothing here knows a study: functions take a ``Setup`` (values of k, settings of the intervals) and counts. In a
notebook, with the counts of two models on the same problems: ``up_to``, ``counts``, ``curve``, ``against_base``.

Axes: P problems.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from boundary_bench.analysis.compare import checkpoint_rows
from boundary_bench.analysis.measure import pass_rows
from boundary_bench.analysis.rows import Tally
from boundary_bench.core.errors import DataError
from boundary_bench.grading import VERDICTS
from boundary_bench.statistics.design import Design
from boundary_bench.study.analysis import Setup

__all__ = ["Design", "Setup", "against_base", "counts", "curve", "up_to"]


def up_to(n: int) -> Setup:
    """The usual setup with k at the powers of two up to n, the smaller number of samples of two models."""
    return Setup([2**i for i in range(n.bit_length())])


def counts(correct_P: Any, n_P: Any, design: Design | None = None) -> Tally:
    """The counts of one model: correct samples and all samples of every problem.

    Args:
        n_P: one number for all problems, or one for each.
        design: the rule by which n was settled; may be left out where every problem has the same n.

    Raises:
        DataError: the counts are not whole numbers with 0 <= correct <= n, 1 <= n; or n differs and no design is given.
    """
    correct_P = np.asarray(correct_P)
    n_P = np.broadcast_to(np.asarray(n_P), correct_P.shape)
    whole = all(np.issubdtype(each.dtype, np.integer) for each in (correct_P, n_P))
    if correct_P.ndim != 1 or not whole or not ((correct_P >= 0) & (correct_P <= n_P) & (n_P >= 1)).all():
        raise DataError(
            f"found counts {correct_P!r:.200} of {n_P!r:.200}, expected whole numbers, one a problem, 0 <= correct <= n"
        )
    if design is None and len(np.unique(n_P)) != 1:
        raise DataError(
            f"found {n_P.min()} to {n_P.max()} samples of a problem, expected the same of all, or the design that "
            "stopped some early: Design((256, 1024), stop_after=32). Stopping by another rule biases every estimate"
        )
    unknown_P, none_P = np.full(len(n_P), np.nan), np.zeros(len(n_P), int)
    rows = {
        **dict.fromkeys(VERDICTS, none_P),
        "problem_id": np.arange(len(n_P)).astype(str),
        "stratum": np.full(len(n_P), ""),
        "n": n_P,
        "correct": correct_P,
        **dict.fromkeys(("chance", "tokens", "entropy", "answer_entropy_chao_shen"), unknown_P),
        "majority": np.zeros((len(n_P), 0)),
    }
    return Tally(design or Design((int(n_P[0]),)), rows)


def curve(setup: Setup, model: Tally) -> list[dict[str, Any]]:
    """pass@k of a model at every k with its interval, band and sample-only interval: columns of ``pass_at_k``."""
    return pass_rows(setup, model, {}, setup.resampled(len(model)))


def against_base(setup: Setup, base: Tally, trained: Tally) -> dict[str, list[dict[str, Any]]]:
    """A trained model against its base on the same problems: rows of ``differences``, ``boundary`` and ``coverage``.

    The two may have different numbers of samples.

    Raises:
        DataError: the models have different numbers of problems.
    """
    if len(base) != len(trained):
        raise DataError(f"found {len(base)} and {len(trained)} problems, expected the same in the same order")
    return checkpoint_rows(setup, base, trained, {})
