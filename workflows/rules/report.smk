rule report:
    input:
        CHECKPOINTS,
        SAMPLES,
        MEASURES,
        COMPARISONS,
    output:
        REPORT,
    log:
        f"{LOGS}/report.log",
    params:
        study=STUDY,
        settings=PLAN.analysis_settings("report"),
    shell:
        "boundary-bench report {params.study} 2>&1 | tee -ia {log}"
