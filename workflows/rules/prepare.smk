rule prepare:
    input:
        lambda wildcards: PLAN.problem_sets[wildcards.benchmark].entry.data or [],
    output:
        PLAN.problems("{benchmark}"),
    log:
        f"{LOGS}/prepare/{{benchmark}}.log",
    params:
        settings=lambda wildcards: fingerprint(PLAN.problem_settings(wildcards.benchmark)),
    shell:
        'boundary-bench prepare "$STUDY" --results "$RESULTS" --benchmark {wildcards.benchmark}'
        " --settings {params.settings} 2>&1 | tee -ia {log}"
