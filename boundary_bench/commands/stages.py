"""The stages as commands: one thin function each, between the workflow and the room that does the work.

Their parameters are the wildcards of ``boundary_bench.plan.stages``. Heavy imports happen inside the stage that needs
them.
"""

from __future__ import annotations

import json
import os
from typing import Annotated

from boundary_bench.benchmarks.problem_sets import TRAINING_SET
from boundary_bench.commands.workplace import logger, stop_signal, work_of, workplace
from boundary_bench.core.errors import StudyError, did_you_mean
from boundary_bench.core.files import append_line, write_json, write_text
from boundary_bench.core.locks import lease
from boundary_bench.plan import Plan
from boundary_bench.plan.stages import settings


def prepare(plan: Plan, benchmark: str) -> None:
    """Write the problems of a benchmark."""
    from boundary_bench.benchmarks import problems_of
    from boundary_bench.benchmarks.problem_file import write_problems

    chosen, log = plan.problem_sets[benchmark], logger(f"prepare {benchmark}")
    entry, target = chosen.entry, plan.problems(benchmark)
    prepared = problems_of(chosen.kind, entry.split, entry.seed, chosen.options, entry.data, chosen.columns)
    for line in prepared.notes:
        log(line)
    facts = {"settings": settings(plan, "prepare", benchmark), **prepared.record}
    write_problems(target, prepared.problems, entry.split, facts)
    log(f"{len(prepared.problems)} problems -> {target}")


def overlap(plan: Plan, benchmark: str) -> None:
    """Find what of a benchmark is also in the training set, or twice in itself."""
    from boundary_bench.benchmarks.overlap import overlap
    from boundary_bench.benchmarks.problem_file import read_problems

    found = overlap(read_problems(plan.problems(benchmark)), read_problems(plan.problems(TRAINING_SET)))
    write_json(plan.overlap(benchmark), found.record())
    logger(f"overlap {benchmark}")(f"{found} -> {plan.overlap(benchmark)}")


def pretrain(plan: Plan, model: str) -> None:
    """Make a base model, or adopt one that exists, and write its manifest."""
    from boundary_bench.models.folder import end_tokens, load_model, load_tokenizer, write_manifest
    from boundary_bench.training.base_models import obtain

    stopped, log = stop_signal(), logger(f"pretrain {model}")
    made_with = settings(plan, "pretrain", model)
    store = plan.store("pretrain", model, identity=made_with)
    with lease(store, log):
        folder = obtain(plan.study.models[model], store, log, stopped)
        load_model(folder, "cpu", "auto")
        end_tokens(folder)
        load_tokenizer(folder)
        write_manifest(plan.model(model), folder, 0, made_with, model=model)
    log(f"-> {folder}")


def train(plan: Plan, run: str, step: int) -> None:
    """Train one segment: from the checkpoint before ``--step`` to it."""
    from boundary_bench.models.folder import write_manifest
    from boundary_bench.training import load_trainer, rollouts, step_log

    chosen = plan.run(run)
    training = plan.trainings[chosen.algorithm]
    work = work_of(plan, "train", (run, step), plan.model(chosen.model), TRAINING_SET, run)
    if len(work.problems) < training.prompts:
        raise StudyError(f"training.prompts: {training.prompts} a step, but only {len(work.problems)} problems")
    if work.kind.stop():
        raise StudyError(
            f"training.benchmark: responses to {work.kind.name} end at {work.kind.stop()}, which the trainers do not "
            "know; train on a kind without stop strings"
        )
    # on several machines the scheduler gives them, or Ray does
    cards = training.gpus if training.openrlhf.nodes == 1 else 0
    with workplace(work, cards, chosen.model, TRAINING_SET) as at:
        # frameworks may look at the GPUs when they are imported
        trainer = load_trainer(training)
        algorithm = plan.algorithms[chosen.algorithm]
        job = rollouts.TrainingJob(algorithm, training, work.kind, work.problems, chosen.seed, at.put, at.judge)
        kept = trainer(job, work.folder, work.store, step, work.log, work.stopped)
        rows = [row for row in step_log.read(work.store, step) if row["step"] > plan.previous(step)]
        write_text(plan.steps(run, step), "".join(json.dumps(row) + "\n" for row in rows))
        facts = {"model": chosen.model, "run": run, **work.content, "metrics": rows[-1] if rows else None}
        facts |= {"seconds": round(sum(row["seconds_rollout"] + row["seconds_update"] for row in rows), 1)}
        write_manifest(plan.trained(run, step), kept, step, work.settings, **facts)
    work.log(f"checkpoint {step} -> {kept}")


def sample(
    plan: Plan, policy: str, benchmark: str, shard: Annotated[int, "which of sampling.shards jobs this is"] = 1
) -> None:
    """Draw and grade the samples of a policy on a benchmark that are not in the store yet."""
    from boundary_bench.samples.store import SampleStore
    from boundary_bench.sampling import campaign, load_engine
    from boundary_bench.training import one_thread

    chosen, sampling, shards = plan.policy(policy), plan.study.sampling, plan.shard_count
    work = work_of(plan, "sample", (policy, benchmark, shard), plan.weights(chosen), benchmark, f"{policy} {benchmark}")
    if not 1 <= shard <= shards <= len(work.problems):
        raise StudyError(
            f"found shard {shard} of {shards} (sampling.shards) and {len(work.problems)} problems in {benchmark}, "
            f"expected at least one problem for each; write shards: {len(work.problems)} or less"
        )
    store, target = SampleStore(work.store, shard, shards), plan.shard(policy, benchmark, shard)
    said = plan.log("sample", policy, benchmark, target.stem).with_suffix(".jsonl")
    one_thread()
    with workplace(work, sampling.gpus, chosen.model, benchmark, (shard, shards)) as at:
        store.claim(work.identity)
        whose = policy, benchmark
        drawn = campaign.Campaign(work.kind, work.problems, sampling, plan.design, whose, shard, at.put, at.judge)
        facts = work.facts(sampling.engine, at.put)
        tell = campaign.Tell(work.log, lambda record: append_line(said, json.dumps(record)))
        engine = load_engine(work.folder, sampling, work.log)
        files = campaign.run(drawn, engine, store, facts, tell, work.stopped)
        place = os.path.relpath(store.folder, target.parent)
        found = {"folder": place, "files": files, "design": plan.design_settings, **facts}
        write_json(target, {**found, "settings": work.settings})


def measure(plan: Plan, policy: str, benchmark: str) -> None:
    """Turn the samples of a policy on a benchmark into estimates with intervals."""
    from boundary_bench.analysis.measure import measure
    from boundary_bench.grading.judging import Judge

    with Judge(plan.judgements) as judge:
        rows = measure(plan, plan.policy(policy), benchmark, judge)
    for row in rows:
        if row["k"] == 1 and row["grader"] != row["stopped_by"]:
            logger(f"measure {policy} {benchmark}")(
                f"{row['grader']} disagrees with {row['stopped_by']} on {row['disagreements']} of {row['compared']} "
                f"responses -> {plan.measures(policy, benchmark) / 'disagreements.csv'}"
            )


def probe(plan: Plan, policy: str, benchmark: str) -> None:
    """Test whether a policy has read a benchmark: it continues statements of which it is given a part."""
    from boundary_bench.analysis.contamination import ProbeJob, probe
    from boundary_bench.samples.store import SampleStore
    from boundary_bench.sampling import load_engine
    from boundary_bench.training import one_thread

    chosen, sampling = plan.policy(policy), plan.study.sampling
    if plan.study.probe is None:
        raise StudyError("the study asks for no probe; write probe: {} into it, or probe: {fractions: [0.6]}")
    work = work_of(plan, "probe", (policy, benchmark), plan.weights(chosen), benchmark, f"{policy} {benchmark}")
    store = SampleStore(work.store)
    one_thread()
    with workplace(work, sampling.gpus, chosen.model, benchmark) as at:
        store.claim(work.identity)
        facts = work.facts(sampling.engine, at.put)
        job = ProbeJob(work.problems, work.kind.grader, sampling, store.folder, at.judge, facts, work.kind.stop())
        for row in probe(plan, chosen, benchmark, job, load_engine(work.folder, sampling, work.log), work.stopped):
            numbers = ", ".join(f"{name} {row[name]:.3f}" for name in ("exact", "rouge_l", "accuracy"))
            work.log(f"first {row['fraction']:.0%} of {row['problems']} statements: {numbers}")


def compare(plan: Plan, run: str, benchmark: str) -> None:
    """Compare every checkpoint of a run with its base model, problem by problem."""
    from boundary_bench.analysis.compare import compare

    compare(plan, plan.run(run), benchmark)


def report(plan: Plan) -> None:
    """Collect the tables, draw the figures and write the page."""
    from boundary_bench.report import report

    report(plan)
    logger("report")(f"-> {plan.root / 'report.html'}")


def check_names(plan: Plan, stage: str, names: dict[str, object]) -> None:
    """Refuse names that are not in the study: of models, runs, policies, benchmarks and steps.

    Raises:
        StudyError: one is not.
    """
    benchmarks = plan.problem_sets if stage == "prepare" else plan.study.benchmarks
    known = {"model": plan.study.models, "benchmark": benchmarks}
    for what, name in names.items():
        if what == "run":
            plan.run(str(name))
        elif what == "policy":
            plan.policy(str(name))
        elif what == "step" and name not in plan.study.training.segments:
            raise StudyError(f"step {name} is no checkpoint; training.segments keeps {plan.study.training.segments}")
        elif what in known and name not in known[what]:
            raise StudyError(f"no {what} {name!r} in this study; {did_you_mean(str(name), known[what])}")
