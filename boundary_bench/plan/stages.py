"""The stages of a study, each declared once: rules, jobs, commands, status, forecast and provenance read it here.

A result is named by what it depends on. Its *settings* are the version of its stage and the study's settings, without
defaults and ``Execution`` settings (``Block.identity``). The problems and weights that it is made from are named by
their content: the facts of ``Stage.made_from``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from boundary_bench.benchmarks.problem_sets import TRAINING_SET
from boundary_bench.claims.literature import LITERATURE
from boundary_bench.core.provenance import file_sha256, fingerprint
from boundary_bench.plan import Plan, identities
from boundary_bench.plan.outputs import COMPARISON_FILES, MEASURE_FILES, PROBE_FILES, report_files

#: A job: its stage and wildcard values.
Key = tuple[Any, ...]
#: By fact of a job's first output: the job that it must agree with, and the name of the fact in that job's output.
Facts = dict[str, tuple[Key, str]]


@dataclass(frozen=True)
class Stage:
    """A stage: its jobs with their outputs, dependencies and identity.

    The functions get the plan and a job's wildcard values; ``outputs`` may get the wildcards themselves.

    Attributes:
        name: names its rule, its command with the function behind it, its log folder and its store folder.
        version: raised when its code changes a result: the stage and everything after it run again.
        names: templates of a job's name, one wildcard each.
        each: the wildcard values of every job.
        outputs: the files that a job declares.
        needs: the jobs that a job waits for.
        about: the names that settle the identity, taken from the wildcard values.
        identity: the settings that a job's results depend on; gets what ``about`` returns.
        says: facts of the first output that tell status whether it is up to date.
        made_from: facts of the first output that name the content it was made from.
        stores: number of wildcard values in the name of its store folder (unfinished or shared work); 0: no store.
        like: label of a job; jobs with the same label take about as long.
    """

    name: str
    version: int
    names: tuple[str, ...]
    each: Callable[[Plan], Iterable[tuple[Any, ...]]]
    outputs: Callable[..., Iterable[Path]]
    needs: Callable[..., Iterable[Key]]
    about: Callable[..., tuple[str, ...]]
    identity: Callable[..., dict[str, Any]]
    says: tuple[Literal["settings", "design"], ...] = ()
    made_from: Callable[..., Facts] = lambda plan, *values: {}
    stores: int = 0
    like: Callable[..., str] = lambda plan, *values: ""

    def title(self, plan: Plan, *values: Any) -> tuple[str, ...]:
        """A job's ``names`` with its wildcard values filled in, as in the path of its log."""
        named = dict(zip(self.wildcards, values, strict=True))
        return tuple(name.format(**named, shards=plan.shard_count) for name in self.names)

    @property
    def wildcards(self) -> tuple[str, ...]:
        """The wildcards of ``names``."""
        return tuple(name[name.index("{") + 1 : name.index("}")] for name in self.names)


def outputs(plan: Plan, job: Key) -> Iterable[Path]:
    """The files that a job declares."""
    return STAGES[job[0]].outputs(plan, *job[1:])


def settings(plan: Plan, stage: str, *values: Any) -> dict[str, Any]:
    """The settings that a job's results depend on; ``values`` are its wildcard values."""
    return _settings(plan, stage, *STAGES[stage].about(plan, *values))


def identity(plan: Plan, stage: str, *values: Any) -> str:
    """The fingerprint of ``settings``; cached, since thousands of jobs share one."""
    return _identity(plan, stage, *STAGES[stage].about(plan, *values))


@cache
def _identity(plan: Plan, stage: str, *about: str) -> str:
    return fingerprint(_settings(plan, stage, *about))


@cache
def _settings(plan: Plan, stage: str, *about: str) -> dict[str, Any]:
    found = {"version": STAGES[stage].version, **STAGES[stage].identity(plan, *about)}
    return json.loads(json.dumps(found))  # as read back from a file


def fingerprints(plan: Plan) -> dict[str, dict[str, str]]:
    """Fingerprints of all that a study's results depend on: the settings of every stage, and the literature's files."""
    found: dict[str, dict[str, str]] = {}
    for stage in STAGES.values():
        abouts = dict.fromkeys(stage.about(plan, *values) for values in stage.each(plan))
        if abouts:
            found[stage.name] = {"--".join(about) or "all": _identity(plan, stage.name, *about) for about in abouts}
    return found | {"literature": {name: file_sha256(path) for name, path in LITERATURE.items()}}


# jobs


def _pairs(plan: Plan, *stored: bool) -> Iterable[tuple[str, str]]:
    """Every policy with every benchmark, or those with stored samples, or those that are sampled here."""
    policies = [policy for policy in plan.policies if bool(plan.stored(policy)) in (stored or (False, True))]
    return ((policy.name, benchmark) for policy in policies for benchmark in plan.study.benchmarks)


def samples_made_by(plan: Plan, policy: str, benchmark: str) -> list[Key]:
    """The jobs that make a policy's samples on a benchmark, one for each of its manifests."""
    if plan.stored(plan.policy(policy)):
        return [("import", policy, benchmark)]
    return [("sample", policy, benchmark, shard) for shard in plan.shards]


def _any_stored(plan: Plan, run: str) -> bool:
    return any(map(plan.stored, plan.policies_of(plan.run(run))))


def weights_made_by(plan: Plan, policy: str) -> Key:
    """The job that makes a policy's weights."""
    chosen = plan.policy(policy)
    if chosen.run is None:
        return ("pretrain", chosen.model)
    return ("adopt" if chosen.run in plan.given else "train", chosen.run.name, chosen.step)


def _before(plan: Plan, run: str, step: int) -> Iterable[Key]:
    previous = plan.previous(step)
    return [("train", run, previous)] if previous else _trained_from(plan, run)


def _trained_from(plan: Plan, run: str) -> list[Key]:
    return [("pretrain", plan.run(run).model), ("prepare", TRAINING_SET)]


def _training_set(plan: Plan) -> list[Key]:
    return [("prepare", TRAINING_SET)] if plan.study.training else []


def _sampled_from(plan: Plan, policy: str, benchmark: str, *_shard: int) -> list[Key]:
    return [weights_made_by(plan, policy), ("prepare", benchmark)]


def _content(fact: str, made_by: Iterable[Key]) -> Facts:
    return dict(zip((fact, "problems"), ((key, "content") for key in made_by), strict=True))


def _adopted(plan: Plan) -> Iterable[tuple[str, int]]:
    every = [policy for run in plan.given for policy in plan.policies_of(run)[1:]]
    return ((policy.run.name, policy.step) for policy in every if policy.run and not plan.stored(policy))


def _leaves(plan: Plan) -> Iterable[Key]:
    stages = ("prepare", "train", "adopt", "sample", "import", "probe", "measure", "compare")
    return ((name, *values) for name in stages for values in STAGES[name].each(plan))


STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            name="prepare",
            version=1,
            names=("{benchmark}",),
            each=lambda plan: ((name,) for name in plan.problem_sets),
            outputs=lambda plan, benchmark: [plan.problems(benchmark)],
            needs=lambda plan, benchmark: [],
            about=lambda plan, benchmark: (benchmark,),
            identity=identities.problems,
            says=("settings",),
        ),
        Stage(
            name="overlap",
            version=1,
            names=("{benchmark}",),
            each=lambda plan: ((name,) for name in plan.study.benchmarks),
            outputs=lambda plan, benchmark: [plan.overlap(benchmark)],
            needs=lambda plan, benchmark: [("prepare", benchmark), *_training_set(plan)],
            about=lambda plan, benchmark: (),
            identity=lambda plan: {},
        ),
        Stage(
            name="pretrain",
            version=1,
            names=("{model}",),
            each=lambda plan: ((name,) for name in plan.weighed),
            outputs=lambda plan, model: [plan.model(model)],
            needs=lambda plan, model: [],
            about=lambda plan, model: (model,),
            identity=identities.model,
            says=("settings",),
            stores=1,
            like=lambda plan, model: model,
        ),
        Stage(
            name="train",
            version=1,
            names=("{run}", "step{step}"),
            each=lambda plan: ((run.name, step) for run in plan.trained for step in plan.segments),
            outputs=lambda plan, run, step: [plan.manifest(run, step), plan.step_log(run, step)],
            needs=_before,
            about=lambda plan, run, step: (run,),
            identity=identities.training,
            says=("settings",),
            made_from=lambda plan, run, step: _content("base", _trained_from(plan, run)),
            stores=1,
            like=lambda plan, run, step: "{0.model} {0.algorithm}".format(plan.run(run)),
        ),
        Stage(
            name="adopt",
            version=1,
            names=("{run}", "step{step}"),
            each=_adopted,
            outputs=lambda plan, run, step: [plan.manifest(run, step)],
            needs=lambda plan, run, step: [("pretrain", plan.run(run).model)],
            about=lambda plan, run, step: (run, str(step)),
            identity=identities.given,
            says=("settings",),
            made_from=lambda plan, run, step: {"base": (("pretrain", plan.run(run).model), "content")},
            stores=2,
            like=lambda plan, run, step: plan.run(run).model,
        ),
        Stage(
            name="sample",
            version=4,
            names=("{policy}", "{benchmark}", "{shard}-of-{shards}"),
            each=lambda plan: ((*pair, shard) for pair in _pairs(plan, False) for shard in plan.shards),
            outputs=lambda plan, policy, benchmark, shard: [plan.shard(policy, benchmark, shard)],
            needs=_sampled_from,
            about=lambda plan, policy, benchmark, shard: (plan.policy(policy).model, benchmark),
            identity=identities.samples,
            says=("settings", "design"),
            made_from=lambda plan, *values: _content("model", _sampled_from(plan, *values)),
            stores=2,
            like=lambda plan, policy, benchmark, shard: f"{plan.policy(policy).model} {benchmark}",
        ),
        Stage(
            name="import",
            version=1,
            names=("{policy}", "{benchmark}"),
            each=lambda plan: _pairs(plan, True),
            outputs=lambda plan, policy, benchmark: [plan.imported(policy, benchmark)],
            needs=lambda plan, policy, benchmark: [("prepare", benchmark)],
            about=lambda plan, policy, benchmark: (policy, benchmark),
            identity=identities.imported,
            says=("settings",),
            made_from=lambda plan, policy, benchmark: {"problems": (("prepare", benchmark), "content")},
            stores=2,
            like=lambda plan, policy, benchmark: benchmark,
        ),
        Stage(
            name="probe",
            version=1,
            names=("{policy}", "{benchmark}"),
            each=lambda plan: ((policy.name, benchmark) for policy, benchmark in plan.probes),
            outputs=lambda plan, policy, benchmark: [plan.probe(policy, benchmark) / name for name in PROBE_FILES],
            needs=_sampled_from,
            about=lambda plan, policy, benchmark: (benchmark,),
            identity=identities.continuations,
            made_from=lambda plan, *values: _content("model", _sampled_from(plan, *values)),
            stores=2,
        ),
        Stage(
            name="measure",
            version=3,
            names=("{policy}", "{benchmark}"),
            each=_pairs,
            outputs=lambda plan, policy, benchmark: [plan.measures(policy, benchmark) / name for name in MEASURE_FILES],
            needs=lambda plan, policy, benchmark: [
                *samples_made_by(plan, policy, benchmark),
                ("prepare", benchmark),
            ],
            # of stored samples the design is their own
            about=lambda plan, policy, benchmark: (benchmark, policy)[: 1 + bool(plan.stored(plan.policy(policy)))],
            identity=identities.measures,
        ),
        Stage(
            name="compare",
            version=3,
            names=("{run}", "{benchmark}"),
            each=lambda plan: ((run.name, benchmark) for run in plan.runs for benchmark in plan.study.benchmarks),
            outputs=lambda plan, run, benchmark: [plan.comparison(run, benchmark) / name for name in COMPARISON_FILES],
            needs=lambda plan, run, benchmark: [
                ("measure", policy.name, benchmark) for policy in plan.policies_of(plan.run(run))
            ],
            about=lambda plan, run, benchmark: (run, benchmark) if _any_stored(plan, run) else (),
            identity=identities.compared,
        ),
        Stage(
            name="report",
            version=6,
            names=(),
            each=lambda plan: [()],
            outputs=report_files,
            needs=_leaves,
            about=lambda plan: (),
            identity=lambda plan: identities.analysis(plan, *plan.designs),
        ),
    )
}
