"""The tables as files: all rows as CSV, compact tables as Markdown, tables for papers as LaTeX."""

from __future__ import annotations

from boundary_bench import __version__
from boundary_bench.core.files import write_text
from boundary_bench.core.provenance import code_version
from boundary_bench.plan import Plan
from boundary_bench.report.tables import Row
from boundary_bench.tables.formats import Pivot, latex, markdown
from boundary_bench.tables.writing import write_rows


def write(
    plan: Plan, rows: dict[str, list[Row]], pivots: dict[str, list[Pivot]], papers: dict[str, dict[str, Pivot]]
) -> None:
    """Write the files of ``tables/``; the same results give the same bytes.

    Args:
        rows, pivots: by table name.
        papers: by table name, then by the end of the LaTeX label.
    """
    folder = plan.root / "tables"
    for name, parts in pivots.items():
        write_rows(folder, name, rows[name])
        write_text(folder / f"{name}.md", "\n".join(markdown(part) for part in parts))
    study, code = plan.study.study, code_version()
    commit = f"commit {code['commit'] or 'not known'}{' and changes' if code['dirty'] else ''}"
    head = f"% boundary-bench {__version__}, {commit}; study {study}. Needs \\usepackage{{booktabs}}\n"
    for name, named in papers.items():
        parts = [latex(part, f"tab:{study}-{name}-{end}") for end, part in named.items()]
        write_text(folder / f"{name}.tex", "\n".join([head, *parts]))
