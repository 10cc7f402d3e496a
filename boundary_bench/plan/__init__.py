"""A study with its names resolved: algorithms, sets of problems, graders, runs and policies.

The Snakefile and the command line both read this module, so that file names and the settings behind them are decided
in one place. Nothing heavy is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

from boundary_bench.algorithms import resolve, training_of
from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.benchmarks.problem_sets import TRAINING_SET, ProblemSet, problem_sets
from boundary_bench.benchmarks.stored import NAMES
from boundary_bench.benchmarks.templates import Template, template_of
from boundary_bench.core.errors import DataError, StatisticsError, StudyError, did_you_mean
from boundary_bench.grading import Grader
from boundary_bench.grading.graders import SCORES, grader_of
from boundary_bench.machine import launcher
from boundary_bench.plan.layout import Layout
from boundary_bench.plan.names import Names
from boundary_bench.records.harnesses import files_of
from boundary_bench.statistics.design import Design, plan_rounds
from boundary_bench.study.analysis import Setup
from boundary_bench.study.file import find_study, load_study
from boundary_bench.study.policies import Policy, Run
from boundary_bench.study.stored import StoredSamples
from boundary_bench.study.study import Study
from boundary_bench.study.training import Training


@dataclass(frozen=True, eq=False)
class Plan(Names, Layout):
    """A study and the folder its results go to."""

    study: Study
    path: Path
    results: Path

    def __post_init__(self) -> None:
        # misspelt names fail here, before any work
        _ = self.algorithms, self.trainings, self.problem_sets, self.design, self.courses
        for model in self.study.models:
            self.template(model, next(iter(self.problem_sets)))
        for benchmark in self.study.benchmarks:
            self.graders(benchmark)
        self._check_stored()

    def _check_stored(self) -> None:
        """Refuse columns that no row has, and samples to draw that nothing could grade."""
        for where, origin in self.study.origins.items():
            for benchmark, said in (origin.samples or {}).items():
                if odd := sorted(said.columns.keys() - NAMES.keys()):
                    place = f"{where}.samples.{benchmark}.columns"
                    raise StudyError(f"{place}: {odd[0]!r} is nothing that a row says; {did_you_mean(odd[0], NAMES)}")
        drawn = [policy for policy in self.policies if not self.stored(policy)]
        for name, chosen in self.problem_sets.items():
            if chosen.kind.grader is SCORES and (drawn or name == TRAINING_SET):
                where = name if name == TRAINING_SET else f"benchmarks.{name}"
                raise StudyError(
                    f"{where}: {chosen.kind.name} has the scores of stored samples and no grader, which what is drawn "
                    f"here needs ({drawn[0]}); write a kind with one, such as stored:math"
                )

    @cached_property
    def root(self) -> Path:
        """``results/<study>``."""
        return self.results / self.study.study

    @cached_property
    def algorithms(self) -> dict[str, Algorithm]:
        """The algorithms that train, by name."""
        training = self.study.training
        if training is None:
            return {}
        return {name: resolve(name, overrides, training.backend) for name, overrides in self.study.algorithms.items()}

    @cached_property
    def trainings(self) -> dict[str, Training]:
        """The training settings of every algorithm that trains, by name."""
        training = self.study.training
        if training is None:
            return {}
        return {name: training_of(name, overrides, training) for name, overrides in self.study.algorithms.items()}

    @cached_property
    def problem_sets(self) -> dict[str, ProblemSet]:
        """The benchmarks and, where something is trained, the training set, by name."""
        return problem_sets(self.study)

    def template(self, model: str, benchmark: str) -> Template:
        """The prompt template of a model, its base and all trained from it, on a benchmark or the training set.

        Raises:
            StudyError: the study names an unknown template.
        """
        chosen = self.study.models[model].template
        return template_of(chosen, f"models.{model}.template") if chosen else self.problem_sets[benchmark].template

    def stop(self, model: str, benchmark: str) -> tuple[str, ...]:
        """The strings that end a response to a benchmark, beside those of its kind."""
        said = self.study.benchmarks[benchmark].stop
        return self.template(model, benchmark).stop if said == "template" else tuple(said)

    def graders(self, benchmark: str) -> list[Grader]:
        """The graders of a benchmark's samples: first the kind's own, which grades while sampling, then further ones.

        Raises:
            StudyError: the study names an unknown grader.
        """
        chosen = self.problem_sets[benchmark]
        kind, found = chosen.kind, {chosen.kind.grader.name: chosen.kind.grader}
        if kind.second:
            found[kind.second.name] = kind.second
        for name in chosen.entry.graders:
            found.setdefault(name, grader_of(name, f"benchmarks.{benchmark}.graders"))
        return list(found.values())

    @cached_property
    def design(self) -> Design:
        """The design of all samples that are drawn here: when a problem has enough of them."""
        sampling = self.study.sampling
        try:
            rounds = sampling.rounds or plan_rounds(sampling.n_max, sampling.stop_after)
            return Design(tuple(rounds), sampling.stop_after, tuple(sampling.unscored))
        except StatisticsError as fault:
            raise StudyError(f"sampling: {fault}") from None

    def design_of(self, policy: Policy, benchmark: str) -> Design:
        """The design of a policy's samples: of stored ones the first n of every problem."""
        if said := self.stored(policy).get(benchmark):
            return Design((said.n,), None, ("timeout",))
        return self.design

    @cached_property
    def designs(self) -> list[Design]:
        """Every design of the study, each once."""
        pairs = product(self.policies, self.study.benchmarks)
        return list(dict.fromkeys(self.design_of(*pair) for pair in pairs))

    @cached_property
    def setup(self) -> Setup:
        """The settings that turn the study's counts into estimates: values of k, analysis."""
        return Setup(self.study.ks, self.study.analysis)

    @property
    def probes(self) -> list[tuple[Policy, str]]:
        """Every base model with weights and every benchmark, for the contamination probe; empty if there is none."""
        bases = [policy for policy in self.policies if policy.run is None and not self.stored(policy)]
        return [(policy, name) for policy in bases for name in self.study.benchmarks] if self.study.probe else []

    @property
    def named(self) -> dict[str, str]:
        """The files and folders that the study names, by the setting that names them."""
        found = {f"benchmarks.{name}.data": entry.data for name, entry in self.study.benchmarks.items()}
        for name, chosen in self.problem_sets.items():
            found[f"the task of {name}"] = str(chosen.kind.definition) if chosen.kind.definition else None
        found["training.data"] = self.study.training.data if self.study.training else None
        for where, origin in self.study.origins.items():
            found[f"{where}.path"] = origin.path
            for benchmark, said in (origin.samples or {}).items():
                files = self.files(said)
                found |= {f"{where}.samples.{benchmark} ({place})": str(file) for place, file in enumerate(files, 1)}
        return {where: path for where, path in found.items() if path}

    @staticmethod
    def files(said: StoredSamples) -> list[Path]:
        """The files of stored samples; what the study says itself where there are none."""
        try:
            return files_of(said.files)
        except DataError:
            return [Path(said.files)]

    def command(self, part: launcher.Part) -> list[str]:
        """The command line in the environment that trains or samples; see ``launcher.command``."""
        return launcher.command(part, getattr(self.study, part))

    @property
    def shard_count(self) -> int:
        """Jobs that share the problems of one policy on one benchmark."""
        return self.study.sampling.shards

    @property
    def shards(self) -> range:
        """The shards of every sample stage, from 1 on."""
        return range(1, self.shard_count + 1)

    def samples(self, policy: Policy, benchmark: str) -> list[Path]:
        """The manifests of a policy's samples: one a shard, or that of stored ones."""
        if self.stored(policy):
            return [self.imported(policy, benchmark)]
        return [self.shard(policy, benchmark, shard) for shard in self.shards]

    def checkpoint(self, run: Run, step: int) -> Path:
        """The manifest of a checkpoint; step 0 is the base model's."""
        return self.manifest(run, step) if step else self.model(run.model)

    def weights(self, policy: Policy) -> Path:
        """The manifest of a policy's weights."""
        return self.checkpoint(policy.run, policy.step) if policy.run else self.model(policy.model)


def make_plan(name: str, results: Path = Path("results")) -> Plan:
    """The plan of a study given by path or shipped name.

    Raises:
        StudyError: the study has a fault, ``results`` is a file, or Snakemake cannot handle a path in the study.
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
