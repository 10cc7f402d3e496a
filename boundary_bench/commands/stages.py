"""The stages: one thin function each, between the command line and the room that does the work.

Heavy imports happen inside the stage that needs them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core.errors import StudyError, did_you_mean
from boundary_bench.core.files import append_line, write_json, write_text
from boundary_bench.core.locks import lease
from boundary_bench.core.provenance import fingerprint
from boundary_bench.machine import gpus
from boundary_bench.plan import TRAINING_SET, Plan


def logger(label: str) -> Callable[[str], None]:
    """A function that prints one labelled line of progress."""
    return lambda line: print(f"[{label}] {line}", flush=True)


def stop_signal() -> Callable[[], bool]:
    """Ask whether SIGTERM or SIGINT has arrived; the first is noted, a second SIGINT ends at once."""
    seen: list[int] = []

    def note(number: int, _frame: object) -> None:
        if seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        seen.append(number)

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, note)
    return lambda: bool(seen)


def expect(found: str, arguments: argparse.Namespace) -> None:
    """Refuse to work under other settings than the workflow planned with."""
    if arguments.settings not in (None, found):
        raise StudyError(
            f"the study has changed while the workflow runs: settings {found}, planned with {arguments.settings}; "
            "start snakemake again"
        )


def contents(folder: Path, manifest: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """What a store holds beside its settings: results of other weights, problems or end tokens go to another folder.

    Raises:
        ModelError: see ``models.end_tokens``.
    """
    from boundary_bench.models.folder import end_tokens

    ends = end_tokens(folder)
    # a single one is left out, as in the stores from before there could be several
    several = {"end_tokens": list(ends)} if len(ends) > 1 else {}
    problems_read = fingerprint([problem.id for problem in problems])
    return {"weights": manifest["weights_sha256"], "problems_read": problems_read, **several}


def prepare(plan: Plan, arguments: argparse.Namespace) -> None:
    """Write the problems of a benchmark."""
    from boundary_bench.benchmarks import problems_of
    from boundary_bench.benchmarks.problem_file import write_problems

    name = arguments.benchmark
    if name not in plan.problem_sets:
        raise StudyError(f"no benchmark {name!r} in this study; {did_you_mean(name, plan.problem_sets)}")
    chosen = plan.problem_sets[name]
    settings = plan.problem_settings(name)
    expect(fingerprint(settings), arguments)
    entry, log = chosen.entry, logger(f"prepare {name}")
    prepared = problems_of(chosen.kind, entry.split, entry.seed, chosen.options, entry.data, chosen.columns)
    for line in prepared.notes:
        log(line)
    write_problems(plan.problems(name), prepared.problems, entry.split, {"settings": settings, **prepared.record})
    log(f"{len(prepared.problems)} problems -> {plan.problems(name)}")


def overlap(plan: Plan, arguments: argparse.Namespace) -> None:
    """Find what of a benchmark is also in the training set, or twice in itself."""
    from boundary_bench.benchmarks.overlap import overlap
    from boundary_bench.benchmarks.problem_file import read_problems

    name = arguments.benchmark
    plan.check_benchmark(name)
    expect(fingerprint(plan.overlap_settings(name)), arguments)
    found = overlap(read_problems(plan.problems(name)), read_problems(plan.problems(TRAINING_SET)))
    write_json(plan.overlap(name), found.record())
    logger(f"overlap {name}")(f"{found} -> {plan.overlap(name)}")


def pretrain(plan: Plan, arguments: argparse.Namespace) -> None:
    """Make a base model, or adopt one that exists, and write its manifest."""
    from boundary_bench.models import folder as models
    from boundary_bench.training.base_models import obtain

    stopped = stop_signal()
    name, log = arguments.model, logger(f"pretrain {arguments.model}")
    if name not in plan.study.models:
        raise StudyError(f"no model {name!r} in this study; {did_you_mean(name, plan.study.models)}")
    settings = plan.model_settings(name)
    expect(fingerprint(settings), arguments)
    store = plan.store("models", name, settings)
    with lease(store, log):
        folder = obtain(plan.study.models[name], store, log, stopped)
        models.load_model(folder, "cpu", "auto")
        models.end_tokens(folder)
        models.load_tokenizer(folder)
        models.write_manifest(plan.model(name), folder, 0, settings, model=name)
    log(f"-> {folder}")


def train(plan: Plan, arguments: argparse.Namespace) -> None:
    """Train one segment: from the checkpoint before ``--step`` to it."""
    from boundary_bench.benchmarks.problem_file import read_problems
    from boundary_bench.benchmarks.templates import prompting
    from boundary_bench.grading.judging import Judge
    from boundary_bench.models import folder as models
    from boundary_bench.training import load_trainer, rollouts, step_log

    stopped = stop_signal()
    run, step = plan.run(arguments.run), arguments.step
    if step not in plan.study.training.segments:
        raise StudyError(f"step {step} is no checkpoint; training.segments keeps {plan.study.training.segments}")
    log = logger(f"train {run.name}")
    settings = plan.train_settings(run)
    expect(fingerprint(settings), arguments)
    folder, manifest = models.read_manifest(plan.model(run.model))
    problems, training = read_problems(plan.problems(TRAINING_SET)), plan.trainings[run.algorithm]
    if len(problems) < training.prompts:
        raise StudyError(f"training.prompts: {training.prompts} a step, but only {len(problems)} problems")
    kind = plan.problem_sets[TRAINING_SET].kind
    if kind.stop():
        raise StudyError(
            f"training.benchmark: responses to {kind.name} end at {kind.stop()}, which the trainers do not "
            "know; train on a kind without stop strings"
        )
    store = plan.store("runs", run.name, {**settings, **contents(folder, manifest, problems)})
    # on several machines the scheduler gives them, or Ray does
    count = training.gpus if training.openrlhf.nodes == 1 else 0
    with lease(store, log), gpus.hold(count, log, stopped), Judge(plan.judgements) as judge:
        # frameworks may look at the GPUs when they are imported
        train = load_trainer(training)
        put = prompting(plan.template(run.model, TRAINING_SET), folder)
        job = rollouts.Job(plan.objectives[run.algorithm], training, kind, problems, run.seed, put, judge)
        kept = train(job, folder, store, step, log, stopped)
        target = plan.checkpoint(run, step)
        rows = [row for row in step_log.read(store, step) if row["step"] > plan.previous(step)]
        write_text(target.parent / "log.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        facts = {"model": run.model, "run": run.name, "base": manifest["weights_sha256"]}
        facts |= {"metrics": rows[-1] if rows else None}
        facts |= {"seconds": round(sum(row["seconds_rollout"] + row["seconds_update"] for row in rows), 1)}
        models.write_manifest(target, kept, step, settings, **facts)
    log(f"checkpoint {step} -> {kept}")


def sample(plan: Plan, arguments: argparse.Namespace) -> None:
    """Draw and grade the samples of a policy on a benchmark that are not in the store yet."""
    from boundary_bench.benchmarks.problem_file import read_problems
    from boundary_bench.benchmarks.templates import prompting
    from boundary_bench.core import provenance
    from boundary_bench.grading.judging import Judge
    from boundary_bench.models import folder as models
    from boundary_bench.samples.store import SampleStore
    from boundary_bench.sampling import campaign, load_engine
    from boundary_bench.training import one_thread

    stopped = stop_signal()
    policy, benchmark = plan.policy(arguments.policy), arguments.benchmark
    plan.check_benchmark(benchmark)
    log = logger(f"sample {policy.name} {benchmark}")
    folder, manifest = models.read_manifest(plan.weights(policy))
    declared = fingerprint(plan.sample_settings(benchmark, policy.model))
    expect(declared, arguments)
    problems = read_problems(plan.problems(benchmark))
    shard, shards = arguments.shard, len(plan.shards)
    if not 1 <= shard <= shards <= len(problems):
        raise StudyError(
            f"found shard {shard} of {shards} (sampling.shards) and {len(problems)} problems in {benchmark}, expected "
            f"at least one problem for each; write shards: {len(problems)} or less"
        )
    settings = {**plan.sample_settings(benchmark, policy.model), **contents(folder, manifest, problems)}
    store = SampleStore(plan.store("samples", f"{policy.name}--{benchmark}", settings), shard, shards)
    progress = plan.sample_log(policy.name, benchmark, shard).with_suffix(".jsonl")
    one_thread()
    kind, sampling = plan.problem_sets[benchmark].kind, plan.study.sampling
    shares = lease(store.folder, log, shard, shards)
    with shares, gpus.hold(sampling.gpus, log, stopped), Judge(plan.judgements) as judge:
        put = prompting(plan.template(policy.model, benchmark), folder)
        store.claim(settings)
        name = policy.name, benchmark
        chosen = campaign.Campaign(kind, problems, sampling, plan.design, name, shard, put, judge)
        facts = {
            "settings": declared,
            "weights": manifest["weights_sha256"],
            "engine": sampling.engine,
            "tokenizer": put.identity(folder),
            "grader": kind.grader.identity,
            "provenance": provenance.record(),
        }
        tell = campaign.Tell(log, lambda record: append_line(progress, json.dumps(record)))
        files = campaign.run(chosen, load_engine(folder, sampling, log), store, facts, tell, stopped)
        target = plan.shard(policy.name, benchmark, shard)
        place = os.path.relpath(store.folder, target.parent)
        write_json(target, {"folder": place, "files": files, "design": plan.design_settings, **facts})


def measure(plan: Plan, arguments: argparse.Namespace) -> None:
    """Turn the samples of a policy on a benchmark into estimates with intervals."""
    from boundary_bench.analysis.measure import measure
    from boundary_bench.grading.judging import Judge

    policy, benchmark = plan.policy(arguments.policy), arguments.benchmark
    plan.check_benchmark(benchmark)
    with Judge(plan.judgements) as judge:
        rows = measure(plan, policy, benchmark, judge)
    for row in rows:
        if row["k"] == 1 and row["grader"] != row["stopped_by"]:
            logger(f"measure {policy.name} {benchmark}")(
                f"{row['grader']} disagrees with {row['stopped_by']} on {row['disagreements']} of {row['compared']} "
                f"responses -> {plan.measures(policy, benchmark) / 'disagreements.csv'}"
            )


def grade(plan: Plan, arguments: argparse.Namespace) -> None:
    """Grade stored samples by another grader, beside the verdicts that they have."""
    from boundary_bench.analysis.graders import regrade
    from boundary_bench.grading.graders import grader_of
    from boundary_bench.grading.judging import Judge

    grader = grader_of(arguments.grader, "grade --grader")
    policy, benchmark = plan.policy(arguments.policy), arguments.benchmark
    plan.check_benchmark(benchmark)
    with Judge(plan.judgements) as judge:
        file = regrade(plan, policy, benchmark, grader, judge)
    logger(f"grade {policy.name} {benchmark}")(
        f"-> {file}; for the tables write benchmarks.{benchmark}.graders: [{grader.name}] into the study"
    )


def probe(plan: Plan, arguments: argparse.Namespace) -> None:
    """Test whether a policy has read a benchmark: it continues statements of which it is given a part."""
    from boundary_bench.analysis.contamination import Job, probe
    from boundary_bench.benchmarks.problem_file import read_problems
    from boundary_bench.core import provenance
    from boundary_bench.grading.judging import Judge
    from boundary_bench.models import folder as models
    from boundary_bench.samples.store import SampleStore
    from boundary_bench.sampling import load_engine
    from boundary_bench.training import one_thread

    stopped = stop_signal()
    policy, benchmark, study = plan.policy(arguments.policy), arguments.benchmark, plan.study
    plan.check_benchmark(benchmark)
    if study.probe is None:
        raise StudyError("the study asks for no probe; write probe: {} into it, or probe: {fractions: [0.6]}")
    log = logger(f"probe {policy.name} {benchmark}")
    declared = fingerprint(plan.probe_settings(benchmark))
    expect(declared, arguments)
    folder, manifest = models.read_manifest(plan.weights(policy))
    problems, kind = read_problems(plan.problems(benchmark)), plan.problem_sets[benchmark].kind
    settings = {**plan.probe_settings(benchmark), **contents(folder, manifest, problems)}
    store = SampleStore(plan.store("probes", f"{policy.name}--{benchmark}", settings))
    facts = {
        "settings": declared,
        "weights": manifest["weights_sha256"],
        "engine": study.sampling.engine,
        "grader": kind.grader.identity,
        "provenance": provenance.record(),
    }
    one_thread()
    with lease(store.folder, log), gpus.hold(study.sampling.gpus, log, stopped), Judge(plan.judgements) as judge:
        store.claim(settings)
        job = Job(problems, kind.grader, study.sampling, store.folder, judge, facts, kind.stop())
        for row in probe(plan, policy, benchmark, job, load_engine(folder, study.sampling, log), stopped):
            numbers = ", ".join(f"{name} {row[name]:.3f}" for name in ("exact", "rouge_l", "accuracy"))
            log(f"first {row['fraction']:.0%} of {row['problems']} statements: {numbers}")


def compare(plan: Plan, arguments: argparse.Namespace) -> None:
    """Compare every checkpoint of a run with its base model, problem by problem."""
    from boundary_bench.analysis.compare import compare

    plan.check_benchmark(arguments.benchmark)
    compare(plan, plan.run(arguments.run), arguments.benchmark)


def report(plan: Plan, _arguments: argparse.Namespace) -> None:
    """Collect the tables, draw the figures and write the page."""
    from boundary_bench.report import report

    report(plan)
    logger("report")(f"-> {plan.root / 'report.html'}")


STAGES: dict[str, tuple[Callable[[Plan, argparse.Namespace], None], tuple[str, ...]]] = {
    "prepare": (prepare, ("benchmark",)),
    "overlap": (overlap, ("benchmark",)),
    "pretrain": (pretrain, ("model",)),
    "train": (train, ("run", "step")),
    "sample": (sample, ("policy", "benchmark")),
    "measure": (measure, ("policy", "benchmark")),
    "grade": (grade, ("policy", "benchmark", "grader")),
    "probe": (probe, ("policy", "benchmark")),
    "compare": (compare, ("run", "benchmark")),
    "report": (report, ()),
}
