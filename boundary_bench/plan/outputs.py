"""The files that stages write below their folders, and the files of a report."""

from __future__ import annotations

from pathlib import Path

from boundary_bench.plan import Plan
from boundary_bench.plan.figures import figures
from boundary_bench.tables.registry import TABLES, made_by

MEASURE_FILES = ("problems.parquet", *(f"{table.name}.csv" for table in made_by("measure")), "disagreements.csv")
PROBE_FILES = ("problems.parquet", *(f"{table.name}.csv" for table in made_by("probe")))
COMPARISON_FILES = tuple(f"{table.name}.csv" for table in made_by("compare"))


def report_files(plan: Plan) -> list[Path]:
    """The files of the report stage: page, samples, tables with their provenance, figures."""
    tables = [table for table in TABLES.values() if plan.probes or not table.optional]
    files = ["report.html", "samples.zip"]
    files += [f"tables/{table.name}.{kind}" for table in tables for kind in ("csv", "md", *(["tex"] * table.paper))]
    stems = [figure.stem for figure in figures(plan)]
    files += ["tables/provenance.json", *(f"figures/{stem}.{kind}" for stem in stems for kind in ("svg", "png"))]
    return [plan.root / file for file in files]
