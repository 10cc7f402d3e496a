"""Every figure of a study, drawn into ``figures/``."""

from __future__ import annotations

from boundary_bench.plan import Plan
from boundary_bench.report.boundary import Curve
from boundary_bench.report.boundary_map import boundary_map
from boundary_bench.report.curves import pass_curves
from boundary_bench.report.dynamics import dynamics
from boundary_bench.report.style import STYLE, Figure
from boundary_bench.report.tables import Tables


def draw_all(plan: Plan, tables: Tables, curve: Curve) -> list[Figure]:
    """Draw every figure of a study into ``figures/``: boundary maps first, then curves, then dynamics."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    study, maps, curves, courses = plan.study, [], [], []
    with matplotlib.rc_context(STYLE):
        for model in study.models:
            suffix = f"-{model}" if len(study.models) > 1 else ""
            for benchmark in study.benchmarks:
                found = {a: curve(model, a, benchmark) for a in study.algorithms}
                maps.append(boundary_map(plan, found, model, benchmark, f"boundary_map{suffix}-{benchmark}"))
                curves.append(pass_curves(plan, found, model, benchmark, f"pass_at_k{suffix}-{benchmark}"))
            courses.append(dynamics(plan, tables, model, f"dynamics{suffix}"))
    return [*maps, *curves, *courses]
