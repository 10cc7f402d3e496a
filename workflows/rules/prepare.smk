# where Snakemake runs: the nodes of a cluster often have no network
localrules:
    prepare,


rule prepare:
    input:
        lambda wildcards: PLAN.problem_sets[wildcards.benchmark].entry.data or [],
    output:
        outputs("prepare"),
    log:
        log_of("prepare"),
    params:
        settings=settings_of("prepare"),
    shell:
        'boundary-bench prepare "$STUDY" --results "$RESULTS" --benchmark {wildcards.benchmark:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"


rule overlap:
    input:
        problems=PLAN.problems(),
        training=PLAN.problems(TRAINING_SET) if TRAINING else [],
    output:
        outputs("overlap"),
    log:
        log_of("overlap"),
    params:
        settings=settings_of("overlap"),
    shell:
        'boundary-bench overlap "$STUDY" --results "$RESULTS" --benchmark {wildcards.benchmark:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"
