rule report:
    input:
        leaves,
    output:
        TABLES,
        page=REPORT,
    log:
        f"{LOGS}/report.log",
    params:
        settings=PLAN.analysis_settings("report"),
        published=file_sha256(jobs.PUBLISHED),
    shell:
        'boundary-bench report "$STUDY" --results "$RESULTS" 2>&1 | record {log}'
