rule probe:
    input:
        weights=lambda wildcards: PLAN.weights(PLAN.policy(wildcards.policy)),
        problems=PLAN.problems(),
    output:
        outputs("probe"),
    log:
        log_of("probe"),
    threads: 4 * PLAN.study.sampling.gpus or 1
    resources:
        gpu=PLAN.study.sampling.gpus,
        nodes=1,
    params:
        settings=settings_of("probe"),
        fractions=PLAN.study.probe.fractions if PLAN.study.probe else [],
        analysis=intervals(PLAN),
    shell:
        '"${{SAMPLE[@]}}" probe "$STUDY" --results "$RESULTS" --policy {wildcards.policy:q}'
        " --benchmark {wildcards.benchmark:q} --settings {params.settings:q} 2>&1 | record {log:q}"
