rule train:
    input:
        base=lambda wildcards: PLAN.model(PLAN.run(wildcards.run).model),
        problems=PLAN.problems(TRAINING_SET),
        before=before,
    output:
        outputs("train"),
    log:
        log_of("train"),
    wildcard_constraints:
        run=PLAN.trained_pattern,
    threads: TRAIN_THREADS
    resources:
        gpu=TRAINING.gpus if TRAINING else 0,
        nodes=TRAINING.openrlhf.nodes if TRAINING else 1,
    params:
        settings=settings_of("train"),
    shell:
        '"${{TRAIN[@]}}" train "$STUDY" --results "$RESULTS" --run {wildcards.run:q} --step {wildcards.step:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"
