"""The jobs of a study as the workflow makes them: what each writes, what it is made from, where it logs and stores.

Nothing is read but the study. The rules in workflows/rules/ say the same to Snakemake.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boundary_bench.core.provenance import fingerprint
from boundary_bench.plan import TRAINING_SET, Plan
from boundary_bench.study.policies import Policy

MEASURE_FILES = ("problems.parquet", "pass_at_k.csv", "cover.csv", "summary.csv", "graders.csv", "disagreements.csv")
PROBE_FILES = ("problems.parquet", "contamination.csv")
COMPARISON_FILES = ("differences.csv", "boundary.csv", "coverage.csv", "stages.csv")
TABLES = ("pass_at_k", "cover", "summary", "differences", "boundary", "mean_differences", "mean_boundary", "coverage")
TABLES += ("stages", "graders", "problems", "training", "ours_vs_published")
#: Those that are also there for a paper, in LaTeX.
PAPER = ("pass_at_k", "boundary", "ours_vs_published")


@dataclass(frozen=True)
class Job:
    """One job of the workflow.

    Attributes:
        names: what it works at, in the words of its log's path: ("base--grpo--seed0", "step40").
        outputs: the files that it declares.
        log: what it prints, where the workflow started it.
        needs: jobs that it waits for, by name.
        facts: what its first output says of itself where it is of the study as it is now; empty where that file says
            nothing, or is no one's to check here.
        weights: the fact of the first output that is the hash of the weights it was made from, and whose they are.
        store: the folder that it works in, without the settings at the end of its name.
        shard: which of how many writers of that store it is.
        steps: the steps (first, last] that it trains.
        like: jobs of its stage with the same word take about as long.
    """

    stage: str
    names: tuple[str, ...]
    outputs: tuple[Path, ...]
    log: Path
    needs: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    weights: tuple[str, str] | None = None
    store: Path | None = None
    shard: tuple[int, int] = (1, 1)
    steps: tuple[int, int] | None = None
    like: str = ""

    @property
    def name(self) -> str:
        """The stage and what it works at."""
        return _name(self.stage, *self.names)

    @property
    def records(self) -> Path:
        """What a sample job says for programs, beside its log."""
        return self.log.with_suffix(".jsonl")


@dataclass(frozen=True)
class Figure:
    """A figure of the report: what it shows, of which model, and on which benchmark; None is all of them.

    Attributes:
        stem: its file's name without the ending.
    """

    kind: str
    model: str
    benchmark: str | None
    stem: str


def jobs(plan: Plan) -> list[Job]:
    """Every job of a study, after those that it waits for."""
    found = [*_problems(plan), *_models(plan), *_samples(plan), *_measures(plan)]
    stages = ("prepare", "train", "sample", "probe", "measure", "compare")
    kept = tuple(job.name for job in found if job.stage in stages)
    return [*found, Job("report", (), tuple(report_files(plan)), plan.root / "logs" / "report.log", kept)]


def report_files(plan: Plan) -> list[Path]:
    """All that the report stage writes: the page, the tables with where they come from, the figures."""
    tables = [*TABLES, "contamination"] if plan.probes else TABLES
    files = ["report.html", "samples.zip", *(f"tables/{name}.{kind}" for name in tables for kind in ("csv", "md"))]
    files += [f"tables/{name}.tex" for name in PAPER]
    stems = [figure.stem for figure in figures(plan)]
    files += ["tables/provenance.json", *(f"figures/{stem}.{kind}" for stem in stems for kind in ("svg", "png"))]
    return [plan.root / file for file in files]


def figures(plan: Plan) -> list[Figure]:
    """The figures of a study: boundary maps first, then curves, then dynamics."""
    models = plan.study.models
    suffixes = {model: f"-{model}" if len(models) > 1 else "" for model in models}
    places = [(model, benchmark) for model in models for benchmark in plan.study.benchmarks]
    found = [
        Figure(kind, model, benchmark, f"{kind}{suffixes[model]}-{benchmark}")
        for kind in ("boundary_map", "pass_at_k")
        for model, benchmark in places
    ]
    return [*found, *(Figure("dynamics", model, None, f"dynamics{suffixes[model]}") for model in models)]


def _name(stage: str, *names: str) -> str:
    return " ".join((stage, *names))


def _log(plan: Plan, stage: str, *names: str) -> Path:
    return Path(plan.root, "logs", stage, *names[:-1], f"{names[-1]}.log")


def _as_written(settings: dict[str, Any]) -> Any:
    """Settings as they are read from a file again."""
    return json.loads(json.dumps(settings))


def _of(policy: Policy) -> str:
    """The job that makes a policy's weights."""
    return _name("train", policy.run.name, f"step{policy.step}") if policy.run else _name("pretrain", policy.model)


def _problems(plan: Plan) -> Iterator[Job]:
    for name in plan.problem_sets:
        facts = {"settings": _as_written(plan.problem_settings(name))}
        yield Job("prepare", (name,), (plan.problems(name),), _log(plan, "prepare", name), facts=facts)
    training = _name("prepare", TRAINING_SET)
    for name in plan.study.benchmarks:
        needs = _name("prepare", name), training
        yield Job("overlap", (name,), (plan.overlap(name),), _log(plan, "overlap", name), needs)


def _models(plan: Plan) -> Iterator[Job]:
    for name, model in plan.study.models.items():
        yield Job(
            stage="pretrain",
            names=(name,),
            outputs=(plan.model(name),),
            log=_log(plan, "pretrain", name),
            facts={"settings": _as_written(plan.model_settings(name))},
            store=plan.root / "store" / "models" / name,
            steps=(0, model.pretrain.steps) if model.pretrain else None,
            like=name,
        )
    for run in plan.runs:
        base, facts = _name("pretrain", run.model), {"settings": _as_written(plan.train_settings(run))}
        before = (base, _name("prepare", TRAINING_SET))
        for first, last in zip([0, *plan.study.training.segments], plan.study.training.segments, strict=False):
            manifest, names = plan.checkpoint(run, last), (run.name, f"step{last}")
            yield Job(
                stage="train",
                names=names,
                outputs=(manifest, manifest.with_name("log.jsonl")),
                log=_log(plan, "train", *names),
                needs=before,
                facts=facts,
                weights=("base", base),
                store=plan.root / "store" / "runs" / run.name,
                steps=(first, last),
                like=f"{run.model} {run.algorithm}",
            )
            before = (_name("train", *names),)


def _samples(plan: Plan) -> Iterator[Job]:
    shards = len(plan.shards)
    design = _as_written(plan.design_settings)
    settings = {
        (benchmark, model): fingerprint(plan.sample_settings(benchmark, model))
        for benchmark in plan.study.benchmarks
        for model in plan.study.models
    }
    for policy in plan.policies:
        weights, of = policy.name, _of(policy)
        for benchmark in plan.study.benchmarks:
            for shard, manifest in zip(plan.shards, plan.samples(policy, benchmark), strict=True):
                yield Job(
                    stage="sample",
                    names=(weights, benchmark, manifest.stem),
                    outputs=(manifest,),
                    log=plan.sample_log(weights, benchmark, shard),
                    needs=(of, _name("prepare", benchmark)),
                    facts={"settings": settings[benchmark, policy.model], "design": design},
                    weights=("weights", of),
                    store=plan.root / "store" / "samples" / f"{weights}--{benchmark}",
                    shard=(shard, shards),
                    like=f"{policy.model} {benchmark}",
                )
    for policy, benchmark in plan.probes:
        yield Job(
            stage="probe",
            names=(policy.name, benchmark),
            outputs=tuple(plan.probe(policy, benchmark) / name for name in PROBE_FILES),
            log=_log(plan, "probe", policy.name, benchmark),
            needs=(_of(policy), _name("prepare", benchmark)),
            store=plan.root / "store" / "probes" / f"{policy.name}--{benchmark}",
        )


def _measures(plan: Plan) -> Iterator[Job]:
    parts = [f"{shard}-of-{len(plan.shards)}" for shard in plan.shards]
    for policy in plan.policies:
        for benchmark in plan.study.benchmarks:
            names, folder = (policy.name, benchmark), plan.measures(policy, benchmark)
            outputs = tuple(folder / name for name in MEASURE_FILES)
            needs = tuple(_name("sample", *names, part) for part in parts)
            yield Job("measure", names, outputs, _log(plan, "measure", *names), (*needs, _name("prepare", benchmark)))
    for run in plan.runs:
        policies = plan.policies_of(run)
        for benchmark in plan.study.benchmarks:
            names, folder = (run.name, benchmark), plan.comparison(run, benchmark)
            outputs = tuple(folder / name for name in COMPARISON_FILES)
            needs = tuple(_name("measure", policy.name, benchmark) for policy in policies)
            yield Job("compare", names, outputs, _log(plan, "compare", *names), needs)
