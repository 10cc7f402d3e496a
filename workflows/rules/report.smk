report: "../captions/workflow.rst"


rule report:
    input:
        leaves,
    output:
        # the report of Snakemake holds all that it shows: not the samples, and of a figure what can be enlarged
        [file if file.suffix in (".png", ".zip") else captioned(file) for file in REPORT],
    log:
        log_of("report"),
    params:
        settings=settings_of("report"),
        # for the captions of tables
        analysis=PLAN.study.analysis.model_dump(include={"level", "margin"}),
        literature=[file_sha256(path) for path in LITERATURE.values()],
    shell:
        'boundary-bench report "$STUDY" --results "$RESULTS" --settings {params.settings:q} 2>&1 | record {log:q}'
