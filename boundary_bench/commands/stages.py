"""The stages as commands: each reads a job's inputs, calls the room that does the work, and writes the outputs.

The parameters are the wildcards of ``boundary_bench.plan.stages``. Heavy imports are inside the stages.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from boundary_bench.benchmarks.problem_sets import TRAINING_SET
from boundary_bench.commands.workplace import Log, Task, logger, stop_signal, task_of, workplace
from boundary_bench.core.errors import DataError, StudyError, did_you_mean
from boundary_bench.core.files import append_line, read_json, write_json, write_text
from boundary_bench.core.locks import lease
from boundary_bench.core.provenance import file_sha256, fingerprint, record
from boundary_bench.grading.graders import SCORES
from boundary_bench.plan import Plan
from boundary_bench.plan.identities import intervals
from boundary_bench.plan.stages import identity, settings
from boundary_bench.tables.table import ALL
from boundary_bench.tables.writing import write_csv, write_rows

if TYPE_CHECKING:
    from boundary_bench.samples.store import SampleStore
    from boundary_bench.sampling.engine import Engine
    from boundary_bench.study.policies import Policy, Run
    from boundary_bench.study.sampling import Sampling


def function_of(stage: str) -> Callable[..., None]:
    """The function of a stage; a word of Python's own has an underscore behind it."""
    return globals()[f"{stage}_" if iskeyword(stage) else stage]


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

    training = read_problems(plan.problems(TRAINING_SET)) if plan.study.training else []
    found = overlap(read_problems(plan.problems(benchmark)), training)
    write_json(plan.overlap(benchmark), found.record())
    logger(f"overlap {benchmark}")(f"{found} -> {plan.overlap(benchmark)}")


def pretrain(plan: Plan, model: str) -> None:
    """Make a base model, or adopt one that exists, and write its manifest."""
    from boundary_bench.models.folder import write_manifest
    from boundary_bench.training.base_models import obtain

    stopped, log = stop_signal(), logger(f"pretrain {model}")
    made_with = settings(plan, "pretrain", model)
    store = plan.store("pretrain", model, identity=made_with)
    with lease(store, log):
        folder = obtain(plan.study.models[model], store, log, stopped)
        facts = _adopted(plan, folder, log, made_here=plan.study.models[model].pretrain is not None)
        write_manifest(plan.model(model), folder, 0, made_with, model=model, **facts)
    log(f"-> {folder}")


def adopt(plan: Plan, run: str, step: int) -> None:
    """Check a checkpoint that was trained elsewhere, and write its manifest."""
    from boundary_bench.models.folder import read_manifest, write_manifest
    from boundary_bench.training.given import differences, obtain

    chosen, log = plan.run(run), logger(f"adopt {run} step {step}")
    base, said = read_manifest(plan.model(chosen.model))
    made_with = settings(plan, "adopt", run, step)
    store = plan.store("adopt", run, str(step), identity={**made_with, "base": said["content"]})
    with lease(store, log):
        folder = obtain(plan.given[chosen].checkpoints[step], base, store, log)
        facts = {"model": chosen.model, "run": run, "base": said["content"], "differs": differences(folder, base)}
        for what in facts["differs"]:
            log(f"its {what} is another one than the base's")
        checked = _adopted(plan, folder, log)
        write_manifest(plan.manifest(run, step), folder, step, made_with, **facts, **checked)
    log(f"-> {folder}")


def _adopted(plan: Plan, folder: Path, log: Log, made_here: bool = False) -> dict[str, Any]:
    """The facts of a model that can be sampled and trained; a ModelError if it cannot."""
    from boundary_bench.models.config import end_tokens
    from boundary_bench.models.folder import load_model, strays
    from boundary_bench.models.tokenizer import load_tokenizer
    from boundary_bench.sampling import load_engine
    from boundary_bench.sampling.proof import equal_templates, prove

    sampling, facts = plan.study.sampling, dict[str, Any]()
    for name in strays(folder):
        log(f"{name} is no part of this model and left out")
    words = load_tokenizer(folder)
    if set(words.encode("1").ids[-1:]) & set(end_tokens(folder)):
        log("every prompt ends with an EOS token, as in transformers; add_eos_token: false in a copy drops it")
    if not made_here:
        facts["templates"] = equal_templates(folder, words)
        if facts["templates"] is None:
            log("AutoTokenizer cannot load this tokenizer, so that the token ids of prompts were not compared with its")
    if sampling.engine == "torch" and sampling.device == "cpu":
        proof = prove(load_engine(folder, sampling, log), folder, sampling)
        log(str(proof))
        facts["proof"] = proof.record()
    else:  # it samples elsewhere, and its first job proves it
        load_model(folder, "cpu", "auto")
    return facts


def train(plan: Plan, run: str, step: int) -> None:
    """Train one segment: from the checkpoint before ``--step`` to it."""
    from boundary_bench.models.folder import write_manifest
    from boundary_bench.training import load_trainer, rollouts, step_log

    chosen = plan.run(run)
    training = plan.trainings[chosen.algorithm]
    task = task_of(plan, "train", (run, step), plan.model(chosen.model), TRAINING_SET, run)
    if len(task.problems) < training.prompts:
        raise StudyError(f"training.prompts: {training.prompts} a step, but only {len(task.problems)} problems")
    if task.kind.stop():
        raise StudyError(
            f"training.benchmark: responses to {task.kind.name} end at {task.kind.stop()}, which the trainers do not "
            "know; train on a kind without stop strings"
        )
    # on several machines the scheduler or Ray assigns the GPUs
    gpus = training.gpus if training.openrlhf.nodes == 1 else 0
    with workplace(task, gpus, chosen.model, TRAINING_SET) as at:
        # only now, with its GPUs chosen: a framework may look at them on import
        trainer = load_trainer(training)
        algorithm = plan.algorithms[chosen.algorithm]
        job = rollouts.TrainingJob(algorithm, training, task.kind, task.problems, chosen.seed, at.put, at.judge)
        kept = trainer(job, task.folder, task.store, step, task.log, task.stopped)
        rows = [row for row in step_log.read(task.store, step) if row["step"] > plan.previous(step)]
        write_text(plan.step_log(run, step), "".join(json.dumps(row) + "\n" for row in rows))
        facts = {"model": chosen.model, "run": run, **task.content, "metrics": rows[-1] if rows else None}
        facts |= {"seconds": round(sum(row["seconds_rollout"] + row["seconds_update"] for row in rows), 1)}
        write_manifest(plan.manifest(run, step), kept, step, task.settings, **facts)
    task.log(f"checkpoint {step} -> {kept}")


def sample(
    plan: Plan, policy: str, benchmark: str, shard: Annotated[int, "which of sampling.shards jobs this is"] = 1
) -> None:
    """Draw and grade the samples of a policy on a benchmark that are not in the store yet."""
    from boundary_bench.samples.store import SampleStore
    from boundary_bench.sampling import campaign, load_engine
    from boundary_bench.training import one_thread

    chosen, sampling, shards = plan.policy(policy), plan.study.sampling, plan.shard_count
    task = task_of(plan, "sample", (policy, benchmark, shard), plan.weights(chosen), benchmark, f"{policy} {benchmark}")
    if not 1 <= shard <= shards <= len(task.problems):
        raise StudyError(
            f"found shard {shard} of {shards} (sampling.shards) and {len(task.problems)} problems in {benchmark}, "
            f"expected at least one problem for each; write shards: {len(task.problems)} or less"
        )
    store, target = SampleStore(task.store, shard, shards), plan.shard(policy, benchmark, shard)
    said = plan.log("sample", policy, benchmark, target.stem).with_suffix(".jsonl")
    one_thread()
    with workplace(task, sampling.gpus, chosen.model, benchmark, (shard, shards)) as at:
        store.claim(task.identity)
        whose = policy, benchmark
        stop = (*task.kind.stop(), *plan.stop(chosen.model, benchmark))
        drawn = campaign.Campaign(task.kind, task.problems, sampling, plan.design, whose, shard, at.put, at.judge, stop)
        facts = task.facts(sampling.engine, at.put)
        tell = campaign.Tell(task.log, lambda record: append_line(said, json.dumps(record)))
        engine = load_engine(task.folder, sampling, task.log)
        proof = {} if plan.trained_here(chosen) else _proof(task, sampling, engine, store)
        files = campaign.run(drawn, engine, store, facts, tell, task.stopped)
        place = os.path.relpath(store.folder, target.parent)
        found = {"folder": place, "files": files, "design": plan.design.record(), **facts, **proof}
        write_json(target, {**found, "settings": task.settings})


def _proof(task: Task, sampling: Sampling, engine: Engine, store: SampleStore) -> dict[str, Any]:
    """The proof of an engine on a model from elsewhere: from its adoption, or made before the first sample and kept."""
    from boundary_bench.sampling.proof import prove

    file, adopted = store.folder / "proof.json", task.manifest.get("proof")
    if adopted and adopted["engine"] == sampling.engine:
        return {"proof": adopted}
    if not file.exists() and not store.blocks():
        proof = prove(engine, task.folder, sampling)
        task.log(str(proof))
        write_json(file, proof.record())
    return {"proof": read_json(file)} if file.exists() else {}


def import_(plan: Plan, policy: str, benchmark: str) -> None:
    """Read and grade the samples of a policy on a benchmark that others stored."""
    from boundary_bench.benchmarks.problem_file import content_of, read_problems
    from boundary_bench.grading.judging import Judge
    from boundary_bench.samples.manifest import IMPORT
    from boundary_bench.sampling.stored import importing

    chosen, log = plan.policy(policy), logger(f"import {policy} {benchmark}")
    said, kind = plan.stored(chosen)[benchmark], plan.problem_sets[benchmark].kind
    files, problems = plan.files(said), read_problems(plan.problems(benchmark))
    made_with, content = settings(plan, "import", policy, benchmark), content_of(problems)
    for file in files:
        if not file.is_file():
            raise DataError(f"found no file {file}, expected stored samples; paths start where you are")
    told = {str(file): file_sha256(file) for file in files}
    store = plan.store(
        "import", policy, benchmark, identity={**made_with, "problems": content, "files": list(told.values())}
    )
    grader = None if said.grades == "scores" or kind.grader is SCORES else kind.grader
    facts = {"settings": fingerprint(made_with), "problems": content, "engine": IMPORT, "provenance": record()}
    facts["grader"] = (grader or SCORES).identity
    target = plan.imported(policy, benchmark)
    with lease(store, log), Judge(plan.judgements) as judge:
        job = importing.Import(said, files, problems, grader, judge, facts, log)
        found = importing.run(job, store / "samples")
    place = os.path.relpath(store / "samples", target.parent)
    design = plan.design_of(chosen, benchmark).record()
    write_json(target, {"folder": place, **found, "design": design, **facts, "from": told, "settings": made_with})
    log(f"-> {target}")


def measure(plan: Plan, policy: str, benchmark: str) -> None:
    """Turn the samples of a policy on a benchmark into estimates with intervals."""
    from boundary_bench.analysis.graders import CASES, compare_graders
    from boundary_bench.analysis.measure import measures
    from boundary_bench.analysis.rows import Tally, identify
    from boundary_bench.analysis.tallies import tally
    from boundary_bench.benchmarks.problem_file import read_problems
    from boundary_bench.core.parquet import columns_of, write_table
    from boundary_bench.grading.judging import Judge
    from boundary_bench.samples.grades import read_graded
    from boundary_bench.samples.manifest import graders_of

    chosen, setup, folder = plan.policy(policy), plan.setup, plan.measures(policy, benchmark)
    manifests, design = plan.samples(chosen, benchmark), plan.design_of(chosen, benchmark)
    graded = read_graded(manifests, read_problems(plan.problems(benchmark)), design)
    table, made_with = tally(graded, setup.ks), settings(plan, "measure", policy, benchmark)
    facts = {"policy": policy, "benchmark": benchmark, "samples": graded.samples}
    write_table(folder / "problems.parquet", table, {**facts, "settings": made_with})
    whose, last = identify(chosen, benchmark), {"settings": fingerprint(made_with)}
    for name, rows in measures(setup, Tally(graded.design, columns_of(table)), whose).items():
        write_rows(folder, name, ({**row, **last} for row in rows))
    target = partial(plan.grades, policy, benchmark)
    with Judge(plan.judgements) as judge:
        rows, cases = compare_graders(setup, graded, graders_of(manifests, plan.graders(benchmark)), judge, target)
    write_rows(folder, "graders", ({**whose, "stratum": ALL, **row, **last} for row in rows))
    write_csv(folder / "disagreements.csv", cases, CASES)
    for row in rows:
        if row["k"] == 1 and row["grader"] != row["stopped_by"]:
            logger(f"measure {policy} {benchmark}")(
                f"{row['grader']} disagrees with {row['stopped_by']} on {row['disagreements']} of {row['compared']} "
                f"responses -> {folder / 'disagreements.csv'}"
            )


def probe(plan: Plan, policy: str, benchmark: str) -> None:
    """Test whether a policy has read a benchmark: it continues statements of which it is given a part."""
    from boundary_bench.analysis.contamination import ProbeJob, origin, probe
    from boundary_bench.analysis.rows import identify
    from boundary_bench.core.parquet import write_table
    from boundary_bench.samples.store import SampleStore
    from boundary_bench.sampling import load_engine
    from boundary_bench.training import one_thread

    chosen, sampling = plan.policy(policy), plan.study.sampling
    if plan.study.probe is None:
        raise StudyError("the study asks for no probe; write probe: {} into it, or probe: {fractions: [0.6]}")
    task = task_of(plan, "probe", (policy, benchmark), plan.weights(chosen), benchmark, f"{policy} {benchmark}")
    store = SampleStore(task.store)
    one_thread()
    with workplace(task, sampling.gpus, chosen.model, benchmark) as at:
        store.claim(task.identity)
        facts, asked = task.facts(sampling.engine, at.put), plan.study.probe.fractions
        grader, stop = task.kind.grader, task.kind.stop()
        job = ProbeJob(task.problems, asked, grader, sampling, store.folder, at.judge, facts, stop)
        whose = {**identify(chosen, benchmark), "origin": origin(plan.problem_sets[benchmark])}
        engine = load_engine(task.folder, sampling, task.log)
        table, rows = probe(plan.setup, whose, job, engine, task.stopped)
        analysis = {**task.settings, **intervals(plan)}
        write_table(plan.probe(policy, benchmark) / "problems.parquet", table, {**facts, "analysis": analysis})
        last = {"settings": fingerprint(analysis)}
        write_rows(plan.probe(policy, benchmark), "contamination", ({**row, **last} for row in rows))
        for row in rows:
            numbers = ", ".join(f"{name} {row[name]:.3f}" for name in ("exact", "rouge_l", "accuracy"))
            task.log(f"first {row['fraction']:.0%} of {row['problems']} statements: {numbers}")


def compare(plan: Plan, run: str, benchmark: str) -> None:
    """Compare every checkpoint of a run with its base model, problem by problem."""
    from boundary_bench.analysis.compare import check_paired, comparison, read_tally
    from boundary_bench.samples.manifest import check_others

    chosen = plan.run(run)
    policies = plan.policies_of(chosen)
    measured = [read_tally(plan.measures(policy, benchmark) / "problems.parquet") for policy in policies]
    for policy, each in zip(policies, measured, strict=True):
        check_paired(measured[0].rows, each.rows, policy.name, benchmark)
    check_others({policy.name: plan.samples(policy, benchmark)[0] for policy in policies if plan.stored(policy)})
    whose = {"model": chosen.model, "algorithm": chosen.algorithm, "seed": chosen.seed}
    tables = comparison(plan.setup, [policy.step for policy in policies], measured, whose, benchmark)
    last = {"settings": identity(plan, "compare", run, benchmark)}
    for name, rows in tables.items():
        write_rows(plan.comparison(run, benchmark), name, ({**row, **last} for row in rows))


def report(plan: Plan) -> None:
    """Collect the tables, draw the figures and write the page."""
    from boundary_bench.report import report

    report(plan)
    logger("report")(f"-> {plan.root / 'report.html'}")


def check_names(plan: Plan, stage: str, names: dict[str, object]) -> None:
    """Refuse models, runs, policies, benchmarks and steps that are not in the study."""
    benchmarks = plan.problem_sets if stage == "prepare" else plan.study.benchmarks
    known = {"model": plan.weighed, "benchmark": benchmarks}
    for what, name in names.items():
        if what == "run":
            _check_run(plan, stage, plan.run(str(name)), names.get("step"))
        elif what == "policy":
            _check_policy(plan, stage, plan.policy(str(name)))
        elif what in known and name not in known[what]:
            raise StudyError(f"no {what} {name!r} in this study; {did_you_mean(str(name), known[what])}")


def _check_policy(plan: Plan, stage: str, policy: Policy) -> None:
    """Refuse to sample a policy whose samples are stored, and to import one that is sampled here."""
    makes = "import" if plan.stored(policy) else "sample"
    if stage in ("import", "sample", "probe") and (stage == "import") != (makes == "import"):
        raise StudyError(f"policy {policy} is not for this stage; its samples are made by: boundary-bench {makes}")


def _check_run(plan: Plan, stage: str, run: Run, step: object) -> None:
    """Refuse to train a run that is given or to adopt one that is not, and a step without a checkpoint."""
    if stage in ("train", "adopt") and (run in plan.given) != (stage == "adopt"):
        makes = "adopt" if run in plan.given else "train"
        raise StudyError(f"run {run} is not for this stage; its checkpoints are made by: boundary-bench {makes}")
    kept = plan.given[run].steps if run in plan.given else plan.segments
    if step is not None and step not in kept:
        raise StudyError(f"step {step} of run {run} is no checkpoint; expected one of {kept}")
