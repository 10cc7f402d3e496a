"""boundary-bench: an index. The stages are in workflows/rules/, the study in workflows/studies/.

snakemake --cores all                         the quickstart
snakemake --cores all --config study=NAME     another shipped study, or a .yaml file
"""

from snakemake.utils import min_version

min_version("9.27")


include: "workflows/rules/common.smk"


wildcard_constraints:
    model=one_of(PLAN.study.models),
    run=PLAN.run_pattern,
    policy=PLAN.policy_pattern,
    benchmark=one_of([*PLAN.study.benchmarks, TRAINING_SET]),
    step=one_of({*PLAN.segments, *PLAN.steps}),
    shard=one_of(PLAN.shards),


include: "workflows/rules/prepare.smk"
include: "workflows/rules/pretrain.smk"
include: "workflows/rules/train.smk"
include: "workflows/rules/adopt.smk"
include: "workflows/rules/sample.smk"
include: "workflows/rules/import.smk"
include: "workflows/rules/measure.smk"
include: "workflows/rules/probe.smk"
include: "workflows/rules/compare.smk"
include: "workflows/rules/report.smk"


# the files of every stage as well as the tables: Snakemake is silent about a leaf that cannot be made
# where a file that needs it exists
rule all:
    default_target: True
    input:
        NAMED,
        everything,


for extension in sorted(Path(workflow.basedir, "workflows/rules/local").glob("*.smk")):

    include: extension
