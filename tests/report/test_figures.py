"""The figures: what is declared of them is what Snakemake's report says."""

from __future__ import annotations

from workflow import REPOSITORY

from boundary_bench.plan.figures import FIGURES


def test_captions_of_the_report_of_snakemake_are_those_declared() -> None:
    files = (REPOSITORY / "workflows" / "captions" / "figures").iterdir()
    written = {file.stem: " ".join(file.read_text().replace("\\@", "@").split()) for file in files}
    assert written == {figure.name: figure.caption for figure in FIGURES}
