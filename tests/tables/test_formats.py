"""Tables as Markdown and LaTeX: what a name holds stays in its cell, and LaTeX with booktabs alone compiles them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from expected import ONE_RUN
from hypothesis import given
from hypothesis import strategies as st

from boundary_bench.plan import Plan
from boundary_bench.report.paper import paper_tables
from boundary_bench.report.tables import collect
from boundary_bench.tables.formats import Pivot, latex, latex_text, markdown
from results import HOSTILE, analyse, make_tree, run_stages

NASTY = (
    "\\end{tabular}\\input{/etc/passwd} & % $x^2 # _ { } ~ ^ < > | \" ` '' -- \N{DOWNWARDS ARROW} é\n\r\t\0 \\\\[9cm] *"
)
TABLES = ("pass_at_k", "boundary", "ours_vs_published")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = make_tree(tmp_path_factory.mktemp("finished"))
    run_stages(plan)
    return plan


def test_hostile_text_stays_in_its_cell_of_a_readable_table() -> None:
    cell = f"{HOSTILE}\n# heading\\"
    text = markdown(Pivot(f"title\n{cell}", ["policy", cell], [[cell, "1"]], 1))
    heading, empty, header, rule, row = text.splitlines()
    assert heading.startswith("## title &lt;script>") and not empty and rule == "| --- | ---: |"
    assert header == "| policy | &lt;script>alert(1)&lt;/script>\\| # heading\\\\ |"
    assert row == "| &lt;script>alert(1)&lt;/script>\\| # heading\\\\ | 1 |"


def check(text: str) -> list[int]:
    """Make sure that tables are whole: ASCII, balanced, every row as wide as its header; the rows of each."""
    assert text.isascii() and "\t" not in text and "\0" not in text
    bare = re.sub(r"(?m)^%.*$", "", text).replace("\\\\", "\n").replace("\\tabularnewline", "\n")
    bare = re.sub(r"\\[&%$#_{}]", "", bare)
    assert "%" not in bare and "#" not in bare and bare.count("$") % 2 == 0
    depth = 0
    for sign in re.findall("[{}]", bare):
        depth += 1 if sign == "{" else -1
        assert depth >= 0
    assert depth == 0
    found = re.findall(r"\\(begin|end)\{(\w+)\}", bare)
    pairs = [("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table")]
    assert found == pairs * (len(found) // 4) and found
    rows = []
    for body in re.findall(r"\\toprule\n(.*?)\\bottomrule", bare, re.S):
        lines = [line for line in body.split("\n") if line.strip() and not re.match(r"\\(midrule|addlinespace)", line)]
        assert len({line.count("&") for line in lines}) == 1
        rows.append(len(lines) - 1)
    return rows


@given(st.lists(st.lists(st.text(max_size=40), min_size=3, max_size=3), min_size=1, max_size=4), st.text(), st.text())
def test_any_text_stays_in_its_cell_of_a_latex_table(rows: list[list[str]], title: str, label: str) -> None:
    assert check(latex(Pivot(title, ["a", *rows[0][1:]], rows, 2), label)) == [len(rows)]


def test_what_has_a_meaning_in_latex_is_written_out() -> None:
    assert latex_text("50 % of a_b & c#1 {x} $y") == "50 \\% of a\\_b \\& c\\#1 \\{x\\} \\$y"
    assert latex_text("\\input~^<>|") == (
        "\\textbackslash{}input\\textasciitilde{}\\textasciicircum{}\\textless{}\\textgreater{}\\textbar{}"
    )
    assert latex_text("a--b---c\n\N{EN DASH}é\0") == "a-{}-b-{}-{}-c \\textendash{}(U+00E9)(U+0000)"


def test_signs_and_intervals_of_a_latex_table() -> None:
    cells = ["1-2", "-1.5", "58.5\N{DOWNWARDS ARROW}", "[-0.1, 0.2]"]
    text = latex(Pivot("t", ["steps", "change", "k=1", "x"], [["[a", "", "", ""], cells], 1), "tab:a b}")
    assert "1-2 & $-$1.5 & 58.5\\rlap{$\\downarrow$} & {\\scriptsize [$-$0.1, 0.2]} \\\\" in text
    assert "\\midrule\n{}[a" in text, "a bracket after a rule would be its argument"
    assert "\\label{tab:a-b-}" in text


def test_latex_tables_of_a_study_are_whole_and_short(finished: Plan) -> None:
    found = {name: (finished.root / "tables" / f"{name}.tex").read_text() for name in TABLES}
    rows = {name: check(text) for name, text in found.items()}
    # for each benchmark: base and two algorithms in two lines each, and in one what random responses reach
    assert rows["pass_at_k"] == [2 * 3 + 1] * 2 and rows["boundary"] == [2 * 2] * 2
    assert "\\label{tab:toy-pass_at_k-countdown-hard}" in found["pass_at_k"]
    for part in ("study toy", "commit", "booktabs"):
        assert part in found["pass_at_k"].splitlines()[0]
    for part in ("after 4 steps", "mean over 2 training seeds", "n = 4, 8 samples", "95 \\% interval"):
        assert part in found["pass_at_k"] and part.split(",")[0] in found["boundary"]


def test_no_two_models_and_benchmarks_share_a_label(tmp_path: Path) -> None:
    models = {name: {"path": "nowhere"} for name in ("m", "m-c")}
    benchmarks = {name: {"kind": "countdown"} for name in ("c-one", "one")}
    plan = make_tree(tmp_path, **ONE_RUN | {"models": models, "benchmarks": benchmarks})
    analyse(plan)
    titles = {pivot.title for pivot in paper_tables(plan, collect(plan))["boundary"].values()}
    assert len(titles) == 4, "m on c-one is not m-c on one"


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex here (Debian: texlive-latex-recommended)")
def test_latex_compiles_the_tables_with_booktabs_alone(finished: Plan, tmp_path: Path) -> None:
    nasty = latex(Pivot(NASTY, ["a", NASTY], [[NASTY * 3, "[1, 2]"], [NASTY, NASTY], ["*", "[x"], ["[", ""]], 2), NASTY)
    (tmp_path / "nasty.tex").write_text(nasty)
    for name in TABLES:
        shutil.copy(finished.root / "tables" / f"{name}.tex", tmp_path)
    inputs = "\n".join(f"\\input{{{name}.tex}}" for name in ("nasty", *TABLES))
    document = (
        f"\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
    )
    (tmp_path / "paper.tex").write_text(document)
    command = ["pdflatex", "-no-shell-escape", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    own = done.stdout.partition("pass_at_k.tex")[2]
    assert own and "Overfull" not in own, "a table is wider than the line"
