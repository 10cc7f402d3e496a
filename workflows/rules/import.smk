rule import:
    input:
        problems=PLAN.problems(),
        files=lambda wildcards: PLAN.files(PLAN.stored(PLAN.policy(wildcards.policy))[wildcards.benchmark]),
    output:
        outputs("import"),
    log:
        log_of("import"),
    wildcard_constraints:
        policy=PLAN.stored_pattern,
    params:
        settings=settings_of("import"),
    shell:
        'boundary-bench import "$STUDY" --results "$RESULTS" --policy {wildcards.policy:q} --benchmark {wildcards.benchmark:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"
