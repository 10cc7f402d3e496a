rule compare:
    input:
        evaluated,
    output:
        [PLAN.root / "comparisons/{run}/{benchmark}" / name for name in jobs.COMPARISON_FILES],
    log:
        f"{LOGS}/compare/{{run}}/{{benchmark}}.log",
    params:
        settings=PLAN.analysis_settings("compare"),
    shell:
        'boundary-bench compare "$STUDY" --results "$RESULTS" --run {wildcards.run:q} --benchmark {wildcards.benchmark:q}'
        " 2>&1 | record {log:q}"
