rule measure:
    input:
        samples=[PLAN.shard("{policy}", "{benchmark}", shard) for shard in PLAN.shards],
        problems=PLAN.problems("{benchmark}"),
    output:
        [PLAN.root / "measures/{policy}/{benchmark}" / name for name in jobs.MEASURE_FILES],
    log:
        f"{LOGS}/measure/{{policy}}/{{benchmark}}.log",
    params:
        settings=lambda wildcards: PLAN.grader_settings(wildcards.benchmark),
    shell:
        'boundary-bench measure "$STUDY" --results "$RESULTS" --policy {wildcards.policy:q} --benchmark {wildcards.benchmark:q}'
        " 2>&1 | record {log:q}"
