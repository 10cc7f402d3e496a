"""The report stage: every fragment of a study, checked, as tables, figures and one page."""

from __future__ import annotations

from functools import cache, partial

from boundary_bench.files import write_json
from boundary_bench.plan import Plan


def report(plan: Plan) -> None:
    """Write ``tables/``, ``figures/`` and ``report.html`` of a study.

    Raises:
        DataError: a fragment is missing, or does not fit the study.
    """
    from boundary_bench.report import beside, figures, output, page, paper, pivots, tables
    from boundary_bench.report.boundary import boundary
    from boundary_bench.report.published import load_published

    collected = tables.collect(plan)
    curve = cache(partial(boundary, plan, collected))
    literature = beside.pairs(plan, curve, load_published())
    compared = beside.pivots(plan, literature)
    compact = pivots.make_pivots(plan, collected) | {"ours_vs_published": compared}
    rows = vars(collected) | {"ours_vs_published": beside.rows(plan, literature)}
    papers = paper.paper_tables(plan, collected, curve)
    papers["ours_vs_published"] = {str(place): part for place, part in enumerate(compared, 1)}
    output.write(plan, rows, compact, papers)
    write_json(plan.root / "tables" / "provenance.json", tables.record(plan, collected))
    page.write(plan, collected, compact, figures.draw_all(plan, collected, curve))
