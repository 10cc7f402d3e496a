"""The report stage: every fragment of a study, checked, as tables, figures and one page."""

from __future__ import annotations

from boundary_bench.files import write_json
from boundary_bench.plan import Plan


def report(plan: Plan) -> None:
    """Write ``tables/``, ``figures/``, ``samples.zip`` and ``report.html`` of a study.

    Raises:
        DataError: a fragment is missing, or does not fit the study.
    """
    from boundary_bench.claims import ledger
    from boundary_bench.report import beside, figures, output, page, paper, pivots, samples, tables
    from boundary_bench.report.published import load_published

    collected = tables.collect(plan)
    literature = beside.pairs(plan, collected.boundaries, load_published())
    compared = beside.pivots(plan, literature)
    compact = pivots.make_pivots(plan, collected) | {"ours_vs_published": compared}
    rows = vars(collected) | {"ours_vs_published": beside.rows(plan, literature)}
    papers = paper.paper_tables(plan, collected)
    papers["ours_vs_published"] = {str(place): part for place, part in enumerate(compared, 1)}
    output.write(plan, rows, compact, papers)
    write_json(plan.root / "tables" / "provenance.json", tables.record(plan, collected))
    figures.draw_all(plan, collected)
    shown = samples.write(plan, collected)
    page.write(plan, collected, compact, ledger(plan.root / "tables"), shown)
