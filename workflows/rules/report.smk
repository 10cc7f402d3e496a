report: "../captions/workflow.rst"


FIGURES = {figure.stem: figure for figure in jobs.figures(PLAN)}


def captioned(file):
    """An output with what `snakemake --report` says of it."""
    folder, name, labels = file.parent.name, file.stem, {"table": file.stem, "format": file.suffix[1:]}
    if folder == "figures":
        figure = FIGURES[file.stem]
        name = figure.kind
        labels = {"figure": figure.kind, "model": figure.model, "benchmark": figure.benchmark or "all"}
    elif file.parent == PLAN.root or file.name == "provenance.json":
        folder, labels = "study", {"file": file.name}
    return report(file, f"../captions/{folder}/{name}.rst", category=folder.capitalize(), labels=labels)


rule report:
    input:
        leaves,
    output:
        # the report of Snakemake holds all that it shows: not the samples, and of a figure what can be enlarged
        [file if file.suffix in (".png", ".zip") else captioned(file) for file in REPORT],
    log:
        f"{LOGS}/report.log",
    params:
        settings=PLAN.analysis_settings("report"),
        literature=[file_sha256(path) for path in jobs.LITERATURE.values()],
    shell:
        'boundary-bench report "$STUDY" --results "$RESULTS" 2>&1 | record {log}'
