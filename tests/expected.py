"""What the tables of a small results tree must hold, by direct computation from its counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from boundary_bench.plan import Plan
from boundary_bench.report.tables import Tables, collect
from boundary_bench.tables.table import Row
from results import FIRST, HOSTILE, RUN, STEP2, STOP_AFTER, N, analyse

#: Changes of the study that leave a single run.
ONE_RUN = {"algorithms": ["grpo"], "seeds": [0], "benchmarks": {"countdown": {}}}
KS = (1, 2, 4, 8)
CORRECT = {"base-model": [0, 2, 8, 1], STEP2: [0, 4, 8, 0], f"{RUN}--step4": [1, 4, 8, 2]}
STRATA = {"all": [0, 1, 2, 3], "three": [0, 1], HOSTILE: [2, 3]}


def analysed(plan: Plan) -> Tables:
    """The tables of a tree of one run, before they are written."""
    analyse(plan)
    return collect(plan)


def one(rows: list[Row], **key: object) -> Row:
    """The only row with these cells."""
    (found,) = [row for row in rows if all(row[name] == str(value) for name, value in key.items())]
    return found


def near(value: float) -> Any:
    """Six significant digits."""
    return pytest.approx(value, rel=1e-5, abs=1e-11)


@cache
def ended(count: int) -> tuple[int, int]:
    """Samples and correct ones of a problem in the tree, whose first so many samples are correct."""
    return (FIRST, FIRST) if count >= FIRST else (FIRST, count) if count >= STOP_AFTER else (N, count)


@cache
def exact(count: int, k: int) -> float:
    """The estimate of pass@k, by listing every sequence of verdicts that ends as this problem did."""
    n, c = ended(count)
    ends = [s for s in product((0, 1), repeat=n) if sum(s) == c and (n == FIRST or sum(s[:FIRST]) < STOP_AFTER)]
    return 1 - sum(not any(s[:k]) for s in ends) / len(ends)


def mean_of(policy: str, stratum: str, value: Callable[[int], float]) -> float:
    """Mean over the problems of a stratum of a function of the number of correct samples."""
    return float(np.mean([value(CORRECT[policy][i]) for i in STRATA[stratum]]))


def sampling(policy: str, stratum: str) -> dict[str, str]:
    """The sampling columns; the last of eight samples is truncated."""
    sizes = [ended(CORRECT[policy][i])[0] for i in STRATA[stratum]]
    found = {"problems": len(sizes), "n_max": N, "samples": sum(sizes), "truncated": sizes.count(N), "unscored": 0}
    return {name: str(value) for name, value in found.items()}


def has_sampling(row: Row, policy: str) -> bool:
    """Whether a row has the sampling columns of a policy."""
    return sampling(policy, row["stratum"]).items() <= row.items()
