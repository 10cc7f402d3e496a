rule report:
    input:
        leaves,
    output:
        TABLES,
        page=REPORT,
        samples=SHOWN,
    log:
        f"{LOGS}/report.log",
    params:
        settings=PLAN.analysis_settings("report"),
    shell:
        'boundary-bench report "$STUDY" --results "$RESULTS" 2>&1 | record {log}'
