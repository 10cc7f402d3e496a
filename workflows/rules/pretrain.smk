rule pretrain:
    input:
        lambda wildcards: PLAN.study.models[wildcards.model].path or [],
    output:
        PLAN.model("{model}"),
    log:
        f"{LOGS}/pretrain/{{model}}.log",
    params:
        study=STUDY,
        settings=lambda wildcards: fingerprint(PLAN.model_settings(wildcards.model)),
    threads: 2
    shell:
        "OMP_NUM_THREADS={threads} boundary-bench pretrain {params.study} --model {wildcards.model}"
        " --settings {params.settings} 2>&1 | tee -ia {log}"
