rule measure:
    input:
        samples=lambda wildcards: PLAN.samples(PLAN.policy(wildcards.policy), wildcards.benchmark),
        problems=PLAN.problems(),
    output:
        outputs("measure"),
    log:
        log_of("measure"),
    params:
        settings=settings_of("measure"),
    shell:
        'boundary-bench measure "$STUDY" --results "$RESULTS" --policy {wildcards.policy:q} --benchmark {wildcards.benchmark:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"
