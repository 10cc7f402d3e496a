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
    params:
        settings=lambda wildcards: fingerprint(PLAN.train_settings(PLAN.run(wildcards.run))),
    shell:
        'boundary-bench train "$STUDY" --results "$RESULTS" --run {wildcards.run} --step {wildcards.step}'
        " --settings {params.settings} 2>&1 | tee -ia {log}"
