rule train:
    input:
        base=lambda wildcards: PLAN.model(PLAN.run(wildcards.run).model),
        problems=PLAN.problems(TRAINING_SET),
        before=before,
    output:
        PLAN.root / "checkpoints/{run}/step{step}/manifest.json",
        PLAN.root / "checkpoints/{run}/step{step}/log.jsonl",
    log:
        f"{LOGS}/train/{{run}}/step{{step}}.log",
    threads: TRAIN_THREADS
    resources:
        gpu=PLAN.study.training.gpus,
        nodes=PLAN.study.training.openrlhf.nodes,
    params:
        settings=lambda wildcards: settings_of(PLAN.train_settings, PLAN.run(wildcards.run)),
    shell:
        '"${{TRAIN[@]}}" train "$STUDY" --results "$RESULTS" --run {wildcards.run:q} --step {wildcards.step:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"
