"""The report stage: all fragments of a study, checked, become tables, figures and one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boundary_bench.core.files import write_json
from boundary_bench.plan import Plan

if TYPE_CHECKING:
    from boundary_bench.report.tables import Tables
    from boundary_bench.tables.formats import Pivot


def report(plan: Plan) -> None:
    """Write ``tables/``, ``figures/``, ``samples.zip`` and ``report.html`` of a study.

    Raises:
        DataError: a fragment is missing, or does not fit the study.
    """
    from boundary_bench.claims.verdicts import ledger
    from boundary_bench.report import figures, page, tables
    from boundary_bench.report.page import samples

    collected = tables.collect(plan)
    compact = write_tables(plan, collected)
    figures.draw_all(plan, collected)
    shown = samples.write(plan, collected)
    page.write(plan, collected, compact, ledger(plan.root / "tables"), shown)


def write_tables(plan: Plan, collected: Tables) -> dict[str, list[Pivot]]:
    """Write ``tables/``; returns the compact versions by table name."""
    from boundary_bench.claims.published import load_published
    from boundary_bench.report import beside, output, paper, pivots, tables

    literature = beside.pairs(plan, collected.boundaries, load_published())
    compared = beside.pivots(plan, literature)
    compact = pivots.make_pivots(plan, collected) | {"ours_vs_published": compared}
    rows = collected.rows | {"ours_vs_published": beside.rows(plan, literature)}
    papers = paper.paper_tables(plan, collected)
    papers["ours_vs_published"] = {str(place): part for place, part in enumerate(compared, 1)}
    output.write(plan, rows, compact, papers)
    write_json(plan.root / "tables" / "provenance.json", tables.record(plan, collected))
    return compact
