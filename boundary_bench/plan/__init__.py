"""A study with its names resolved: runs, policies, the settings each result depends on, and where files go.

The Snakefile and the command line both read this page, so that a file's name and the settings behind it are decided
in one place. Nothing heavy is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from boundary_bench.algorithms import resolve, training_of
from boundary_bench.algorithms.algorithm import Objective
from boundary_bench.benchmarks.problem_sets import TRAINING_SET, ProblemSet, problem_sets
from boundary_bench.benchmarks.templates import Template, template_of
from boundary_bench.core.errors import StatisticsError, StudyError, did_you_mean
from boundary_bench.core.provenance import file_sha256, fingerprint
from boundary_bench.grading import Grader
from boundary_bench.grading.graders import grader_of
from boundary_bench.machine import launcher
from boundary_bench.statistics.design import Design, plan_rounds
from boundary_bench.study.blocks import Launched
from boundary_bench.study.file import find_study, load_study
from boundary_bench.study.policies import Policy, Run, one_of
from boundary_bench.study.study import Study
from boundary_bench.study.training import Training

#: Raise a stage's number when its code changes a result: it and everything below it runs again.
VERSIONS = {"prepare": 1, "overlap": 1, "pretrain": 1, "train": 1, "sample": 3, "measure": 3, "compare": 3, "report": 5}
VERSIONS |= {"probe": 1, "openrlhf": 1, "trl": 2}


@dataclass(frozen=True)
class Plan:
    """A study and the folder its results go to."""

    study: Study
    path: Path
    results: Path

    def __post_init__(self) -> None:
        # a misspelt name is an error now, before any work, not when a job first needs it
        _ = self.objectives, self.trainings, self.problem_sets, self.design
        for model in self.study.models:
            self.template(model, TRAINING_SET)
        for benchmark in self.study.benchmarks:
            self.graders(benchmark)

    @cached_property
    def root(self) -> Path:
        """``results/<study>``."""
        return self.results / self.study.study

    @cached_property
    def objectives(self) -> dict[str, Objective]:
        """The objective of every algorithm of the study."""
        backend = self.study.training.backend
        return {name: resolve(name, overrides, backend) for name, overrides in self.study.algorithms.items()}

    @cached_property
    def trainings(self) -> dict[str, Training]:
        """How every algorithm of the study is trained."""
        study = self.study
        return {name: training_of(name, overrides, study.training) for name, overrides in study.algorithms.items()}

    @cached_property
    def problem_sets(self) -> dict[str, ProblemSet]:
        """The benchmarks and the training set, by name."""
        return problem_sets(self.study)

    def template(self, model: str, benchmark: str) -> Template:
        """The prompt template of a model, its base and all trained from it, on a benchmark or the training set.

        Raises:
            StudyError: the study names none that there is.
        """
        chosen = self.study.models[model].template
        return template_of(chosen, f"models.{model}.template") if chosen else self.problem_sets[benchmark].template

    def graders(self, benchmark: str) -> list[Grader]:
        """The graders of a benchmark's samples: first the one they are drawn with, then those beside it.

        Raises:
            StudyError: the study names one that there is not.
        """
        chosen = self.problem_sets[benchmark]
        kind, found = chosen.kind, {chosen.kind.grader.name: chosen.kind.grader}
        if kind.second:
            found[kind.second.name] = kind.second
        for name in chosen.entry.graders:
            found.setdefault(name, grader_of(name, f"benchmarks.{benchmark}.graders"))
        return list(found.values())

    def grader_settings(self, benchmark: str) -> dict[str, Any]:
        """What the comparison of a benchmark's graders depends on."""
        identities = [grader.identity for grader in self.graders(benchmark)]
        return {"graders": identities, **self.analysis_settings("measure")}

    @cached_property
    def design(self) -> Design:
        """When a problem has been sampled enough."""
        sampling = self.study.sampling
        try:
            rounds = sampling.rounds or plan_rounds(sampling.n_max, sampling.stop_after)
            return Design(tuple(rounds), sampling.stop_after, tuple(sampling.unscored))
        except StatisticsError as fault:
            raise StudyError(f"sampling: {fault}") from None

    @cached_property
    def runs(self) -> list[Run]:
        """Every model x algorithm x seed."""
        study = self.study
        return [Run(m, a, s) for m in study.models for a in study.algorithms for s in study.seeds]

    def policies_of(self, run: Run) -> list[Policy]:
        """The evaluated policies of a run in order of training, the base model first."""
        return [Policy(run.model, run if step else None, step) for step in self.study.evaluate.steps]

    @cached_property
    def policies(self) -> list[Policy]:
        """Every policy that is sampled, each once."""
        return list(dict.fromkeys(policy for run in self.runs for policy in self.policies_of(run)))

    @property
    def probes(self) -> list[tuple[Policy, str]]:
        """What the contamination probe looks at: every base model on every benchmark, where the study asks for it."""
        bases = [policy for policy in self.policies if policy.run is None]
        return [(policy, name) for policy in bases for name in self.study.benchmarks] if self.study.probe else []

    @property
    def run_pattern(self) -> str:
        """A regular expression of exactly the runs' names; it grows with models + algorithms + seeds, not with runs."""
        study = self.study
        return f"(?:{one_of(study.models)})--(?:{one_of(study.algorithms)})--seed(?:{one_of(study.seeds)})"

    @property
    def policy_pattern(self) -> str:
        """A regular expression of exactly the policies' names, short as that of the runs."""
        return f"{one_of(self.study.models)}|{self.run_pattern}--step(?:{one_of(self.study.evaluate.steps[1:])})"

    @cached_property
    def _run_of(self) -> dict[str, Run]:
        return {run.name: run for run in self.runs}

    @cached_property
    def _policy_of(self) -> dict[str, Policy]:
        return {policy.name: policy for policy in self.policies}

    def run(self, name: str) -> Run:
        """The run of that name."""
        return _pick(name, self._run_of, "run")

    def policy(self, name: str) -> Policy:
        """The policy of that name."""
        return _pick(name, self._policy_of, "policy")

    def check_benchmark(self, name: str) -> None:
        """Refuse the name of a benchmark that is not in the study.

        Raises:
            StudyError: it is not.
        """
        _pick(name, dict(self.study.benchmarks), "benchmark")

    def previous(self, step: int) -> int:
        """The checkpoint that a segment starts from; 0 is the base model."""
        steps = [0, *self.study.training.segments]
        return steps[steps.index(step) - 1]

    @property
    def named(self) -> dict[str, str]:
        """The files and folders that the study names, by where it does."""
        found = {f"benchmarks.{name}.data": entry.data for name, entry in self.study.benchmarks.items()}
        for name, chosen in self.problem_sets.items():
            found[f"the task of {name}"] = str(chosen.kind.definition) if chosen.kind.definition else None
        found["training.data"] = self.study.training.data
        found |= {f"models.{name}.path": model.path for name, model in self.study.models.items()}
        return {where: path for where, path in found.items() if path}

    def command(self, part: launcher.Part) -> list[str]:
        """The command line in the environment that trains or samples; see ``launcher.command``."""
        return launcher.command(part, getattr(self.study, part), [self.path, self.results, *self.named.values()])

    # files

    def problems(self, benchmark: str) -> Path:
        """The problem file of a benchmark."""
        return self.root / "problems" / f"{benchmark}.parquet"

    def overlap(self, benchmark: str) -> Path:
        """What of a benchmark is also in the training set, or twice in itself."""
        return self.root / "problems" / f"{benchmark}.overlap.json"

    def model(self, model: str) -> Path:
        """The manifest of a base model."""
        return self.root / "models" / model / "manifest.json"

    def checkpoint(self, run: Run, step: int) -> Path:
        """The manifest of a checkpoint; step 0 is the base model's."""
        return self.root / "checkpoints" / run.name / f"step{step}" / "manifest.json" if step else self.model(run.model)

    def weights(self, policy: Policy) -> Path:
        """The manifest of what a policy's weights are."""
        return self.checkpoint(policy.run, policy.step) if policy.run else self.model(policy.model)

    def samples(self, policy: Policy, benchmark: str) -> list[Path]:
        """The manifests of a policy's samples, one a shard."""
        return [self.shard(policy.name, benchmark, shard) for shard in self.shards]

    @property
    def shards(self) -> range:
        """The shards of every sample stage, from 1 on."""
        return range(1, self.study.sampling.shards + 1)

    def shard(self, policy: str, benchmark: str, shard: int | str) -> Path:
        """The manifest of one shard; every part of its name may be a pattern."""
        return self.root / "samples" / policy / benchmark / f"{shard}-of-{self.study.sampling.shards}.json"

    def sample_log(self, policy: str, benchmark: str, shard: int | str) -> Path:
        """What the sample stage says of one shard; beside it, as .jsonl, the same for programs."""
        return self.root / "logs" / "sample" / policy / benchmark / f"{shard}-of-{self.study.sampling.shards}.log"

    def grades(self, policy: Policy, benchmark: str, grader: str) -> Path:
        """The verdicts of another grader on a policy's samples."""
        return self.root / "grades" / policy.name / benchmark / f"{grader}.parquet"

    def measures(self, policy: Policy, benchmark: str) -> Path:
        """The folder of a policy's measures."""
        return self.root / "measures" / policy.name / benchmark

    def probe(self, policy: Policy, benchmark: str) -> Path:
        """The folder of what the contamination probe of a policy found."""
        return self.root / "probes" / policy.name / benchmark

    def comparison(self, run: Run, benchmark: str) -> Path:
        """The folder of a run's comparison with its base."""
        return self.root / "comparisons" / run.name / benchmark

    @property
    def judgements(self) -> Path:
        """Where graders keep what they have judged."""
        return self.root / "store" / "judgements"

    def store(self, kind: str, name: str, settings: dict[str, Any]) -> Path:
        """A store folder: named by what it holds and the settings it was made with, never a declared output."""
        return self.root / "store" / kind / f"{name}--{fingerprint(settings)}"

    # settings: what a result depends on, and nothing else

    def problem_settings(self, benchmark: str) -> dict[str, Any]:
        """Settings of a problem file."""
        chosen = self.problem_sets[benchmark]
        path = chosen.kind.definition
        return {
            **({"definition": file_sha256(path)} if path else {}),
            "version": VERSIONS["prepare"],
            "kind": [chosen.kind.name, chosen.kind.version],
            "split": chosen.entry.split,
            "seed": chosen.entry.seed,
            "options": chosen.options.model_dump(mode="json"),
            "data": chosen.entry.data,
            **({"columns": chosen.entry.columns} if chosen.entry.columns else {}),
        }

    def overlap_settings(self, benchmark: str) -> dict[str, Any]:
        """Settings of the comparison of a benchmark with the training set."""
        return {
            "version": VERSIONS["overlap"],
            "problems": self.problem_settings(benchmark),
            "training": self.problem_settings(TRAINING_SET),
        }

    def model_settings(self, model: str) -> dict[str, Any]:
        """Settings of a base model."""
        return {
            "version": VERSIONS["pretrain"],
            **self.study.models[model].model_dump(mode="json", exclude_none=True, exclude={"template"}),
        }

    def template_settings(self, model: str, benchmark: str) -> dict[str, Any]:
        """The template, where it changes a question: as it was, a study of raw questions knew of none."""
        template = self.template(model, benchmark)
        return {} if template.name == "raw" else {"template": template.settings}

    def train_settings(self, run: Run) -> dict[str, Any]:
        """Settings of a training run. The list of segments is none: prolonging a run changes nothing before."""
        execution = {"segments", "state_every", "device", "benchmark", "options", "data", "columns", "template"}
        execution |= {"openrlhf", "trl", *Launched.model_fields}
        chosen = self.trainings[run.algorithm]
        # the usual reward is not said, so that runs from before there were others keep their names
        usual = {"reward"} if chosen.reward == "correct" else set()
        training = chosen.model_dump(mode="json", exclude=execution | usual)
        if chosen.backend != "reference":
            training["backend_version"] = VERSIONS[chosen.backend]
        if chosen.openrlhf.flags:
            training["flags"] = chosen.openrlhf.flags
        if chosen.backend == "trl":
            training["dtype"] = chosen.trl.dtype
        return {
            "version": VERSIONS["train"],
            "model": self.model_settings(run.model),
            "objective": self.objectives[run.algorithm].model_dump(mode="json"),
            "seed": run.seed,
            "training": training,
            "problems": self.problem_settings(TRAINING_SET),
            **self.template_settings(run.model, TRAINING_SET),
        }

    def sample_settings(self, benchmark: str, model: str) -> dict[str, Any]:
        """Settings of stored samples. How many, and in which files, is none: another design keeps what is there."""
        return {
            "version": VERSIONS["sample"],
            "sampling": self.study.sampling.drawing(),
            "problems": self.problem_settings(benchmark),
            **self.template_settings(model, benchmark),
        }

    def probe_settings(self, benchmark: str) -> dict[str, Any]:
        """Settings of the probe's continuations: greedy, and without a template. The fractions are none."""
        return {
            "version": VERSIONS["probe"],
            "sampling": self.study.sampling.drawing({"temperature", "top_p", "seed"}),
            "problems": self.problem_settings(benchmark),
        }

    @property
    def first_ks(self) -> list[int]:
        """The values of k that the first round of every problem suffices for."""
        return [k for k in self.study.ks if k <= self.design.rounds[0]]

    @property
    def grader_ks(self) -> list[int]:
        """The values of k at which graders are compared."""
        return sorted({1, *self.first_ks})

    @property
    def design_settings(self) -> dict[str, Any]:
        """The design, as it is written down."""
        found = {"rounds": list(self.design.rounds), "stop_after": self.design.stop_after}
        # the usual ones are not said, so that measures from before there were others keep their settings
        return found if self.design.unscored == Design.unscored else found | {"unscored": list(self.design.unscored)}

    def analysis_settings(self, stage: str) -> dict[str, Any]:
        """Settings of measure, compare and report; and of probe, which knows no design and no k."""
        of_samples = {} if stage == "probe" else {"design": self.design_settings, "ks": self.study.ks}
        return {
            "version": VERSIONS[stage],
            **of_samples,
            **self.study.analysis.model_dump(mode="json", exclude={"ks"}),
        }


def _pick(name: str, known: dict[str, Any], what: str) -> Any:
    if name not in known:
        raise StudyError(f"no {what} {name!r} in this study; {did_you_mean(name, known)}")
    return known[name]


def make_plan(name: str, results: Path = Path("results")) -> Plan:
    """The plan of a study given by path or shipped name.

    Raises:
        StudyError: the study has a fault, a file stands where results belong, or a path is none that Snakemake can
            carry; nothing has been done then.
    """
    path = find_study(name)
    if results.exists() and not results.is_dir():
        raise StudyError(f"results: found the file {results}, expected a folder, or nothing there yet; name another")
    plan = Plan(load_study(path), path, results)
    for what, given in {"the path of the study": path, "results": results, **plan.named}.items():
        if odd := [character for character in str(given) if character in "{}" or character < " "]:
            raise StudyError(
                f"{what}: found {odd[0]!r} in the path {str(given)!r}, expected neither braces nor line breaks, which "
                "Snakemake takes for something else; rename it or name another"
            )
    return plan
