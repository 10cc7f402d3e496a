"""Every figure of a study, drawn into ``figures/``, for papers and slides."""

from __future__ import annotations

from boundary_bench.plan import Plan
from boundary_bench.report.boundary_map import boundary_map
from boundary_bench.report.curves import pass_curves
from boundary_bench.report.dynamics import dynamics
from boundary_bench.report.style import STYLE
from boundary_bench.report.tables import Tables


def draw_all(plan: Plan, tables: Tables) -> None:
    """Draw every figure of a study: boundary maps and curves of each benchmark, dynamics of each model."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    several = len(plan.study.models) > 1
    with matplotlib.rc_context(STYLE):
        for (model, benchmark), curves in tables.boundaries.items():
            stem = f"{model}-{benchmark}" if several else benchmark
            boundary_map(plan, curves, model, benchmark, f"boundary_map-{stem}")
            pass_curves(plan, curves, model, benchmark, f"pass_at_k-{stem}")
        for model in plan.study.models:
            dynamics(plan, tables, model, f"dynamics-{model}" if several else "dynamics")
