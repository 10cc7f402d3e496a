"""Write what is made of the registry of tables: docs/tables.md, and the captions of Snakemake's report."""

from __future__ import annotations

from pathlib import Path

from boundary_bench.tables.registry import TABLES, documentation

REPOSITORY = Path(__file__).parents[2]


def documents() -> dict[Path, str]:
    """Every file that is made, with its text."""
    captions = REPOSITORY / "workflows/captions/tables"
    return {
        REPOSITORY / "docs/tables.md": documentation(),
        **{captions / f"{table.name}.rst": table.caption.replace("@", r"\@") + "\n" for table in TABLES.values()},
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
