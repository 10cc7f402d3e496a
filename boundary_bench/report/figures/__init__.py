"""Every figure of a study, drawn into ``figures/``, for papers and slides."""

from __future__ import annotations

from boundary_bench.plan import Plan
from boundary_bench.plan.outputs import figures
from boundary_bench.report.figures.boundary_map import boundary_map
from boundary_bench.report.figures.curves import pass_curves
from boundary_bench.report.figures.dynamics import dynamics
from boundary_bench.report.figures.style import STYLE
from boundary_bench.report.tables import Tables


def draw_all(plan: Plan, tables: Tables) -> None:
    """Draw every figure of a study into ``figures/``."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    with matplotlib.rc_context(STYLE):
        for each in figures(plan):
            if each.benchmark is None:
                dynamics(plan, tables, each.model, each.stem)
            else:
                draw = {"boundary_map": boundary_map, "pass_at_k": pass_curves}[each.kind]
                draw(plan, tables.boundaries[each.model, each.benchmark], each.model, each.benchmark, each.stem)
