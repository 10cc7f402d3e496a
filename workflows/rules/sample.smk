rule sample:
    input:
        weights=lambda wildcards: PLAN.weights(PLAN.policy(wildcards.policy)),
        problems=PLAN.problems("{benchmark}"),
    output:
        PLAN.shard("{policy}", "{benchmark}", "{shard}"),
    log:
        PLAN.sample_log("{policy}", "{benchmark}", "{shard}"),
    threads: 4 * PLAN.study.sampling.gpus or 1
    resources:
        gpu=PLAN.study.sampling.gpus,
        nodes=1,
    params:
        settings=lambda wildcards: settings_of(
            PLAN.sample_settings, wildcards.benchmark, PLAN.policy(wildcards.policy).model
        ),
        design=PLAN.design_settings,
    shell:
        '"${{SAMPLE[@]}}" sample "$STUDY" --results "$RESULTS" --policy {wildcards.policy:q}'
        " --benchmark {wildcards.benchmark:q} --shard {wildcards.shard:q} --settings {params.settings:q} 2>&1 | record {log:q}"
