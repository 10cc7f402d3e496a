"""Every figure of a study, drawn into ``figures/``, for papers and slides."""

from __future__ import annotations

from importlib import import_module

from boundary_bench.plan import Plan
from boundary_bench.plan.figures import figures
from boundary_bench.report.figures.style import STYLE
from boundary_bench.report.tables import Tables


def draw_all(plan: Plan, tables: Tables) -> None:
    """Draw every figure of a study into ``figures/``."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    with matplotlib.rc_context(STYLE):
        for file in figures(plan):
            module, function = file.figure.draw.split(":")
            getattr(import_module(module), function)(plan, tables, file)
