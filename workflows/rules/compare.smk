rule compare:
    input:
        evaluated,
    output:
        outputs("compare"),
    log:
        log_of("compare"),
    params:
        settings=settings_of("compare"),
    shell:
        'boundary-bench compare "$STUDY" --results "$RESULTS" --run {wildcards.run:q} --benchmark {wildcards.benchmark:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"
