rule train:
    input:
        base=lambda wildcards: PLAN.model(PLAN.run(wildcards.run).model),
        problems=PLAN.problems(TRAINING_SET),
        before=before,
    output:
        outputs("train"),
    log:
        log_of("train"),
    threads: TRAIN_THREADS
    resources:
        gpu=PLAN.study.training.gpus,
        nodes=PLAN.study.training.openrlhf.nodes,
    params:
        settings=settings_of("train"),
    shell:
        '"${{TRAIN[@]}}" train "$STUDY" --results "$RESULTS" --run {wildcards.run:q} --step {wildcards.step:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"
