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


def documentation() -> str:
    """docs/tables.md: every table with its columns."""
    lines = [
        "# The tables",
        "",
        "Made of `boundary_bench/tables/registry.py` by `python tests/tables/documents.py`. What each number",
        "estimates, how its interval is made, and what it does not say: [statistics](statistics.md).",
        "",
        "An empty cell is a value that does not exist (maj@k beyond the first round, an entropy without answers, a",
        "turn that was not seen) or is not known (tokens, log-probabilities and entropies that no sample or step log",
        "says). Numbers have six significant digits.",
    ]
    for table in TABLES.values():
        lines += ["", f"## {table.name}.csv", "", f"{table.caption}", "", f"One row for each {table.each}.", ""]
        lines += ["| Column | Meaning |", "|---|---|"]
        for names, meaning in table.described.items():
            lines.append(f"| {', '.join(f'`{name}`' for name in names.split())} | {meaning} |")
    return "\n".join(lines) + "\n"
