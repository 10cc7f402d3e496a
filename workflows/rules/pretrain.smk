rule pretrain:
    input:
        lambda wildcards: files_in(PLAN.study.models[wildcards.model].path),
    output:
        outputs("pretrain"),
    log:
        log_of("pretrain"),
    # always two, since another number of threads rounds differently and makes another model; a thread that waits
    # spins for a quarter of a millisecond: not at all doubles the time on idle cores, for ever is tenfold on busy ones
    threads: 2
    params:
        settings=settings_of("pretrain"),
    shell:
        'OMP_NUM_THREADS=2 GOMP_SPINCOUNT=5000 boundary-bench pretrain "$STUDY" --results "$RESULTS" --model {wildcards.model:q}'
        " --settings {params.settings:q} 2>&1 | record {log:q}"
