"""The tables as files: all rows as CSV, compact tables as Markdown, tables for papers as LaTeX."""

from __future__ import annotations

from boundary_bench import __version__
from boundary_bench.claims.published import load_published
from boundary_bench.core.files import write_json, write_text
from boundary_bench.core.provenance import code_version
from boundary_bench.plan import Plan
from boundary_bench.report import beside
from boundary_bench.report.paper import paper_tables
from boundary_bench.report.pivots import make_pivots
from boundary_bench.report.tables import Tables, record
from boundary_bench.tables.formats import Pivot, latex, markdown
from boundary_bench.tables.writing import write_rows


def write(plan: Plan, tables: Tables) -> dict[str, list[Pivot]]:
    """Write ``tables/``: same results, same bytes. Returns the compact versions, by the name of the table."""
    folder, study, code = plan.root / "tables", plan.study.study, code_version()
    literature = beside.pairs(plan, tables.boundaries, load_published())
    compared = beside.pivots(plan, literature)
    compact = make_pivots(plan, tables) | {"ours_vs_published": compared}
    rows = tables.rows | {"ours_vs_published": beside.rows(plan, literature)}
    for name, parts in compact.items():
        write_rows(folder, name, rows[name])
        write_text(folder / f"{name}.md", "\n".join(markdown(part) for part in parts))
    commit = f"commit {code['commit'] or 'not known'}{' and changes' if code['dirty'] else ''}"
    head = f"% boundary-bench {__version__}, {commit}; study {study}. Needs \\usepackage{{booktabs}}\n"
    papers = paper_tables(plan, tables)
    papers["ours_vs_published"] = {str(place): part for place, part in enumerate(compared, 1)}
    for name, named in papers.items():
        texts = [latex(part, f"tab:{study}-{name}-{end}") for end, part in named.items()]
        write_text(folder / f"{name}.tex", "\n".join([head, *texts]))
    write_json(folder / "provenance.json", record(plan, tables))
    return compact
