"""The report stage: every fragment of a study, checked, as tables, figures and one page."""

from __future__ import annotations

from boundary_bench.plan import Plan


def report(plan: Plan) -> None:
    """Write ``tables/``, ``figures/``, ``samples.zip`` and ``report.html`` of a study.

    Raises:
        DataError: a fragment is missing, or does not fit the study.
    """
    from boundary_bench.claims import ledger
    from boundary_bench.report import figures, page, pivots, samples, tables
    from boundary_bench.report.boundary import boundaries

    collected = tables.collect(plan)
    compact = pivots.make_pivots(plan, collected)
    pivots.write(plan, collected, compact)
    found = boundaries(plan, collected)
    figures.draw_all(plan, collected, found)
    shown = samples.write(plan, collected)
    page.write(plan, collected, compact, found, ledger(plan.root / "tables"), shown)
