rule adopt:
    input:
        base=lambda wildcards: PLAN.model(PLAN.run(wildcards.run).model),
        weights=lambda wildcards: files_in(given(wildcards).path),
    output:
        outputs("adopt"),
    log:
        log_of("adopt"),
    wildcard_constraints:
        run=PLAN.given_pattern,
    params:
        settings=settings_of("adopt"),
    shell:
        'boundary-bench adopt "$STUDY" --results "$RESULTS" --run {wildcards.run:q} --step {wildcards.step:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"
