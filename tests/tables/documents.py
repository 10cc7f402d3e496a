"""Write what is made of the registry of tables: docs/tables.md, and the captions of Snakemake's report."""

from __future__ import annotations

from pathlib import Path

from boundary_bench.tables.registry import TABLES

REPOSITORY = Path(__file__).parents[2]


def tables_page() -> str:
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


def documents() -> dict[Path, str]:
    """Every file that is made, with its text."""
    captions = REPOSITORY / "workflows/captions/tables"
    return {
        REPOSITORY / "docs/tables.md": tables_page(),
        **{captions / f"{table.name}.rst": table.caption.replace("@", r"\@") + "\n" for table in TABLES.values()},
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
