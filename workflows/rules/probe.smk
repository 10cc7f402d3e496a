rule probe:
    input:
        weights=lambda wildcards: PLAN.weights(PLAN.policy(wildcards.policy)),
        problems=PLAN.problems("{benchmark}"),
    output:
        [PLAN.root / "probes/{policy}/{benchmark}" / name for name in jobs.PROBE_FILES],
    log:
        f"{LOGS}/probe/{{policy}}/{{benchmark}}.log",
    threads: 4 * PLAN.study.sampling.gpus or 1
    resources:
        gpu=PLAN.study.sampling.gpus,
        nodes=1,
    params:
        settings=lambda wildcards: settings_of(PLAN.probe_settings, wildcards.benchmark),
        fractions=PLAN.study.probe.fractions if PLAN.study.probe else [],
        analysis=PLAN.analysis_settings("probe"),
    shell:
        '"${{SAMPLE[@]}}" probe "$STUDY" --results "$RESULTS" --policy {wildcards.policy:q}'
        " --benchmark {wildcards.benchmark:q} --settings {params.settings:q} 2>&1 | record {log:q}"
