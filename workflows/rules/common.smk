"""The plan of the study, and the lists of files that the rules make."""

import os
import sys
import time
from functools import cache
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError

from boundary_bench.machine import shared_folder
from boundary_bench.operations import status
from boundary_bench.operations import status_text
from boundary_bench.claims.literature import LITERATURE
from boundary_bench.core.errors import BoundaryBenchError, StudyError
from boundary_bench.benchmarks.problem_sets import TRAINING_SET
from boundary_bench.plan import make_plan
from boundary_bench.plan.figures import figures
from boundary_bench.plan.jobs import jobs
from boundary_bench.plan.identities import intervals
from boundary_bench.plan.stages import STAGES, identity
from boundary_bench.plan.stages import outputs as outputs_of
from boundary_bench.study.policies import one_of
from boundary_bench.core.provenance import file_sha256

STARTED = time.time()


def asked(key, default):
    """A name that the command line gives; Snakemake takes it for YAML."""
    if not isinstance(found := config.get(key, default), str):
        raise StudyError(
            f"{key}: Snakemake reads {found!r}, expected a name; write ./ before it, as in {key}=./NAME"
        )
    return found


def word(path):
    """A path as a word of a command line, which no program takes for an option."""
    return quote(f"./{path}" if str(path).startswith("-") else str(path))


# a study with a fault stops here, before any rule: Snakemake would answer an error in an input
# function with "Nothing to be done" where the tables exist
try:
    PLAN = make_plan(asked("study", "quickstart"), Path(asked("results", "results")))
    if not workflow.is_main_process:
        shared_folder.check(PLAN.results)
    TRAINING = PLAN.study.training
    most = max(TRAINING.gpus_each if TRAINING else 0, PLAN.study.sampling.gpus)
    # a profile may know how many there are at most: such a job would wait for ever
    if most > (there := int(os.environ.get("BOUNDARY_BENCH_GPUS_PER_NODE", most))):
        raise StudyError(
            f"the study asks for {most} GPU(s) on one machine, and the largest that jobs may go to has {there}; "
            "lower training.openrlhf.gpus or sampling.vllm.tensor_parallel, or choose another partition"
        )
    # Snakemake formats the text that they come to stand in
    TRAIN, SAMPLE, PROGRAMS = (
        " ".join(map(quote, words)).replace("{", "{{").replace("}", "}}")
        for words in (
            PLAN.command("training") if TRAINING else [],
            PLAN.command("sampling"),
            [os.path.dirname(sys.executable)],
        )
    )
except BoundaryBenchError as fault:
    raise WorkflowError(str(fault)) from None

# the command line of the environment that snakemake runs in, also where that is not activated; and
# the study as shell variables, since a parameter would make moving the file a reason to run again
#
# A scheduler asks every process of a job to stop: only the stage may, and the rest takes down what it says until it
# has saved. Snakemake deletes the log of an attempt before the next; all of them are in the file beside it
shell.prefix(
    "set -euo pipefail; trap : TERM; record() {{ trap '' INT TERM; local all=\"${{1%.log}}.history\";"
    ' echo "== $(date -u +%FT%TZ) on $HOSTNAME" >> "$all"; exec tee -a -- "$1" "$all"; }}; '
    f"export PATH={PROGRAMS}:$PATH OMP_NUM_THREADS=1"
    # freed memory is kept: returning it to the system and faulting it in again costs 6 % of sampling
    " MALLOC_TRIM_THRESHOLD_=1000000000 MALLOC_MMAP_THRESHOLD_=1000000000;"
    f" STUDY={word(PLAN.path)} RESULTS={word(PLAN.results)} TRAIN=({TRAIN}) SAMPLE=({SAMPLE}); "
)

# a framework takes eight cores a GPU, and without one the machine; the reference trainer one core
FRAMEWORK = TRAINING.needs_environment if TRAINING else False
TRAIN_THREADS = (8 * TRAINING.gpus_each if TRAINING else 0) or (
    (workflow.resource_settings.cores or 8) if FRAMEWORK else 1
)


def wildcards_of(stage):
    """The wildcards of a stage's jobs, as they stand in patterns."""
    return [f"{{{name}}}" for name in STAGES[stage].wildcards]


def outputs(stage):
    """The patterns of the files that a stage declares."""
    return list(outputs_of(PLAN, (stage, *wildcards_of(stage))))


def log_of(stage):
    """The pattern of what a job of a stage prints."""
    return PLAN.log(stage, *STAGES[stage].title(PLAN, *wildcards_of(stage)))


def settings_of(stage):
    """The fingerprint of what the results of a job depend on, as a function of its wildcards."""
    names = STAGES[stage].wildcards
    return lambda wildcards: identity(
        PLAN, stage, *(int(wildcards[n]) if n in ("step", "shard") else wildcards[n] for n in names)
    )


def files_in(folder):
    """The files of a model folder that the study names, or the folder where it is not there; of none nothing."""
    if not folder:
        return []
    return sorted(file for file in Path(folder).glob("*") if file.is_file()) or folder


def given(wildcards):
    """Where a given checkpoint is."""
    return PLAN.given[PLAN.run(wildcards.run)].checkpoints[int(wildcards.step)]


def before(wildcards):
    """The checkpoint a segment starts from.

    Not ancient(): Snakemake asks nothing else of a job whose ancient input is made anew, so that after a change of
    settings only the first segment would run. A segment that is trained already is found in the store in seconds.
    """
    run, step = PLAN.run(wildcards.run), PLAN.previous(int(wildcards.step))
    return PLAN.checkpoint(run, step) if step else []


def evaluated(wildcards):
    """The measures of a run's evaluated policies, its base among them."""
    policies = PLAN.policies_of(PLAN.run(wildcards.run))
    return [PLAN.measures(policy, wildcards.benchmark) / "problems.parquet" for policy in policies]


@cache
def made(report):
    found = STAGES["report"].needs(PLAN) if report else (job.key for job in jobs(PLAN))
    return [str(file) for key in found for file in outputs_of(PLAN, key)]


def leaves(wildcards):
    """All that the report is made of. A function, so that a job which needs none of these names makes none of them."""
    return made(report=True)


def everything(wildcards):
    """The files of every job."""
    return made(report=False)


def captioned(file):
    """An output with what `snakemake --report` says of it."""
    folder, name, labels = file.parent.name, file.stem, {"table": file.stem, "format": file.suffix[1:]}
    if folder == "figures":
        drawn = FIGURES[file.stem]
        name = drawn.figure.name
        labels = {"figure": name, "model": drawn.model, "benchmark": drawn.benchmark or "all"}
    elif file.parent == PLAN.root or file.name == "provenance.json":
        folder, labels = "study", {"file": file.name}
    return report(file, f"../captions/{folder}/{name}.rst", category=folder.capitalize(), labels=labels)


REPORT = outputs("report")
FIGURES = {figure.stem: figure for figure in figures(PLAN)}
# files that the study names: leaves too, so that a missing one is an error and not stale tables
NAMED = list(PLAN.named.values())


# not in a dry run, nor in a job
onstart:
    try:
        # to the jobs of an executor Snakemake hands the command line in the quotes of Python, not of a shell
        for key, given in config.items() if workflow.non_local_exec else ():
            if "'" in str(given) or "\\" in str(given):
                raise StudyError(
                    f"{key}: found a quote or backslash in {given!r}, which Snakemake does not carry to jobs on other "
                    "machines; rename it or name another"
                )
        shared_folder.announce(PLAN.results)
    except BoundaryBenchError as fault:
        raise WorkflowError(str(fault)) from None


onsuccess:
    print(f"{REPORT[0]} ({(time.time() - STARTED) / 60:.1f} minutes)")


onerror:
    print(f"\nboundary-bench status {word(PLAN.path)} --results {word(PLAN.results)}")
    print(status_text.text(status.status(PLAN)))
