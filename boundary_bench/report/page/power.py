"""The power of a study: the smallest changes that it could have shown."""

from __future__ import annotations

import statistics

from boundary_bench.plan import Plan
from boundary_bench.report.tables import Tables


def power(plan: Plan, tables: Tables) -> list[str]:
    """For every benchmark, the smallest difference that its problems and samples could have shown."""
    ks = sorted({1, plan.study.ks[len(plan.study.ks) // 2], plan.study.ks[-1]} & set(plan.study.ks))
    notes = []
    for benchmark in plan.study.benchmarks:
        rows = tables.whole("differences", benchmark)
        least = [
            f"{statistics.median(float(row['detectable']) for row in rows if row['k'] == str(k)):.2f} at k = {k}"
            for k in ks
        ]
        notes.append(
            f"Power. With the {rows[0]['problems']} problems of {benchmark} a change of pass@k is found four times in "
            f"five if it is at least {', '.join(least)} (median over single runs and their checkpoints, one k at "
            "a time); of smaller ones more are missed."
        )
    return notes
