rule sample:
    input:
        weights=lambda wildcards: PLAN.weights(PLAN.policy(wildcards.policy)),
        problems=PLAN.problems(),
    output:
        outputs("sample"),
    log:
        log_of("sample"),
    wildcard_constraints:
        policy=PLAN.sampled_pattern,
    threads: 4 * PLAN.study.sampling.gpus or 1
    resources:
        gpu=PLAN.study.sampling.gpus,
        nodes=1,
    params:
        settings=settings_of("sample"),
        design=PLAN.design.record(),
    shell:
        '"${{SAMPLE[@]}}" sample "$STUDY" --results "$RESULTS" --policy {wildcards.policy:q}'
        " --benchmark {wildcards.benchmark:q} --shard {wildcards.shard:q} --settings {params.settings:q} 2>&1 | record {log:q}"
