"""The tables of a study, each declared once: the stage that makes it, its keys, and the meaning of every column.

Outputs of stages, checks of readers and writers, captions of Snakemake's report and docs/tables.md come from here.
"""

from __future__ import annotations

from boundary_bench.tables.compared import COMPARED, REPORTED
from boundary_bench.tables.measured import MEASURED, PROBED
from boundary_bench.tables.table import Table

TABLES = {table.name: table for table in (*MEASURED, *COMPARED, *PROBED, *REPORTED)}


def made_by(stage: str) -> list[Table]:
    """The tables made by a stage."""
    return [table for table in TABLES.values() if table.stage == stage]
