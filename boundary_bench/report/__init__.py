"""The report stage: all fragments of a study, checked, become tables, figures and one page."""

from __future__ import annotations

from boundary_bench.plan import Plan


def report(plan: Plan) -> None:
    """Write ``tables/``, ``figures/``, ``samples.zip`` and ``report.html`` of a study.

    Raises:
        DataError: a fragment is missing, or does not fit the study.
    """
    from boundary_bench.claims.verdicts import ledger
    from boundary_bench.report import figures, output, page, tables
    from boundary_bench.report.page import samples

    collected = tables.collect(plan)
    compact = output.write(plan, collected)
    figures.draw_all(plan, collected)
    shown = samples.write(plan, collected)
    page.write(plan, collected, compact, ledger(plan.root / "tables"), shown)
