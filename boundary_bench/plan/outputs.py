"""The files that stages write below their folders, and all that a report is."""

from __future__ import annotations

from pathlib import Path

from boundary_bench.plan import Plan
from boundary_bench.plan.figures import figures

MEASURE_FILES = ("problems.parquet", "pass_at_k.csv", "cover.csv", "summary.csv", "graders.csv", "disagreements.csv")
PROBE_FILES = ("problems.parquet", "contamination.csv")
COMPARISON_FILES = ("differences.csv", "boundary.csv", "coverage.csv", "stages.csv")
TABLES = ("pass_at_k", "cover", "summary", "differences", "boundary", "mean_differences", "mean_boundary", "coverage")
TABLES += ("stages", "graders", "problems", "training", "ours_vs_published")
#: Those that are also there for a paper, in LaTeX.
PAPER = ("pass_at_k", "boundary", "ours_vs_published")


def report_files(plan: Plan) -> list[Path]:
    """All that the report stage writes: the page, the tables with where they come from, the figures."""
    tables = [*TABLES, "contamination"] if plan.probes else TABLES
    files = ["report.html", "samples.zip", *(f"tables/{name}.{kind}" for name in tables for kind in ("csv", "md"))]
    files += [f"tables/{name}.tex" for name in PAPER]
    stems = [figure.stem for figure in figures(plan)]
    files += ["tables/provenance.json", *(f"figures/{stem}.{kind}" for stem in stems for kind in ("svg", "png"))]
    return [plan.root / file for file in files]
