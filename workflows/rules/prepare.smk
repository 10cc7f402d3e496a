# where Snakemake runs: the nodes of a cluster often have no network
localrules:
    prepare,


rule prepare:
    input:
        lambda wildcards: PLAN.problem_sets[wildcards.benchmark].entry.data or [],
    output:
        PLAN.problems("{benchmark}"),
    log:
        f"{LOGS}/prepare/{{benchmark}}.log",
    params:
        settings=lambda wildcards: settings_of(PLAN.problem_settings, wildcards.benchmark),
    shell:
        'boundary-bench prepare "$STUDY" --results "$RESULTS" --benchmark {wildcards.benchmark:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"


rule overlap:
    input:
        problems=PLAN.problems("{benchmark}"),
        training=PLAN.problems(TRAINING_SET),
    output:
        PLAN.overlap("{benchmark}"),
    log:
        f"{LOGS}/overlap/{{benchmark}}.log",
    params:
        settings=lambda wildcards: settings_of(PLAN.overlap_settings, wildcards.benchmark),
    shell:
        'boundary-bench overlap "$STUDY" --results "$RESULTS" --benchmark {wildcards.benchmark:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"
