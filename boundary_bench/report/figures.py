"""Every figure of a study, drawn into ``figures/``."""

from __future__ import annotations

from boundary_bench.jobs import figures
from boundary_bench.plan import Plan
from boundary_bench.report.boundary import boundary
from boundary_bench.report.boundary_map import boundary_map
from boundary_bench.report.curves import pass_curves
from boundary_bench.report.dynamics import dynamics
from boundary_bench.report.style import STYLE, Figure
from boundary_bench.report.tables import Tables


def draw_all(plan: Plan, tables: Tables) -> list[Figure]:
    """Draw every figure of a study into ``figures/``, in their order."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    study, drawn = plan.study, []
    boundaries = {
        (model, benchmark): {a: boundary(plan, tables, model, a, benchmark) for a in study.algorithms}
        for model in study.models
        for benchmark in study.benchmarks
    }
    with matplotlib.rc_context(STYLE):
        for each in figures(plan):
            if each.benchmark is None:
                drawn.append(dynamics(plan, tables, each.model, each.stem))
            else:
                draw = {"boundary_map": boundary_map, "pass_at_k": pass_curves}[each.kind]
                found = boundaries[each.model, each.benchmark]
                drawn.append(draw(plan, found, each.model, each.benchmark, each.stem))
    return drawn
