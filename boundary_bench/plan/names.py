"""The runs and policies of a study, and the regular expressions of their names."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from boundary_bench.core.errors import StudyError, did_you_mean
from boundary_bench.study.policies import Policy, Run, one_of
from boundary_bench.study.stored import StoredSamples
from boundary_bench.study.study import GivenRun, Origin, Study
from boundary_bench.tables.table import BASE


class Names:
    """What a study's files and tables are named by."""

    study: Study

    @cached_property
    def given(self) -> dict[Run, GivenRun]:
        """The runs that were trained elsewhere.

        Raises:
            StudyError: one is of no model of the study, or two are alike in all that tells them apart.
        """
        found: dict[Run, GivenRun] = {}
        for name, entry in self.study.runs.items():
            if entry.model not in self.study.models:
                raise StudyError(
                    f"runs.{name}.model: {entry.model!r} is none of the models; "
                    f"{did_you_mean(entry.model, self.study.models)}"
                )
            run = Run(entry.model, entry.algorithm or name, entry.seed)
            if run in found or (run.algorithm in self.study.algorithms and run.seed in self.study.seeds):
                raise StudyError(
                    f"runs.{name}: another run of model {run.model} has algorithm {run.algorithm} and seed {run.seed} "
                    "too; give it another seed, or another algorithm as its label"
                )
            found[run] = entry
        return found

    @cached_property
    def trained(self) -> list[Run]:
        """The runs that are trained here: every model x algorithm x seed, of the models with weights."""
        study = self.study
        return [Run(m, a, s) for m in self.weighed for a in study.algorithms for s in study.seeds]

    @property
    def weighed(self) -> list[str]:
        """The models with weights; of the others there are samples alone."""
        return [name for name, model in self.study.models.items() if model.samples is None]

    @cached_property
    def courses(self) -> dict[tuple[str, str], list[Run]]:
        """The runs of every (model, algorithm), which differ in their seeds: the tables hold means over them.

        Raises:
            StudyError: a run is called as the tables call the base, runs of one course have checkpoints at other steps,
                or no run is of a model.
        """
        found: dict[tuple[str, str], list[Run]] = {}
        for run in self.runs:
            found.setdefault((run.model, run.algorithm), []).append(run)
        for (model, algorithm), runs in found.items():
            if algorithm == BASE:
                raise StudyError(
                    f"a run of {model} is called {BASE!r}, as the tables call the base model; give it another name, or "
                    "another algorithm as its label"
                )
            for other in runs[1:]:
                if self.steps_of(other) != self.steps_of(runs[0]):
                    raise StudyError(
                        f"runs of {model} by {algorithm}: found the steps {self.steps_of(runs[0])[1:]} with seed "
                        f"{runs[0].seed} and {self.steps_of(other)[1:]} with seed {other.seed}, expected the same, "
                        "since means over seeds are taken at each step; give one of them another algorithm as its label"
                    )
        if without := [name for name in self.study.models if name not in {model for model, _ in found}]:
            raise StudyError(f"models.{without[0]}: no run is of it; drop it, or name it in a run")
        return found

    @cached_property
    def runs(self) -> list[Run]:
        """Every run, model by model: those that are trained here, then those that are given."""
        every = [*self.trained, *self.given]
        return [run for model in self.study.models for run in every if run.model == model]

    @cached_property
    def labels(self) -> list[str]:
        """The algorithms of all runs: those of the study, then the labels of given runs."""
        return list(dict.fromkeys([*self.study.algorithms, *(run.algorithm for run in self.given)]))

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds of all runs."""
        return list(dict.fromkeys([*self.study.seeds, *(run.seed for run in self.given)]))

    @cached_property
    def most_seeds(self) -> int:
        """The number of seeds of the (model, algorithm) with the most."""
        return max(map(len, self.courses.values()))

    @cached_property
    def steps(self) -> list[int]:
        """Every step at which a run has a checkpoint that is sampled, 0 for the base among them, ascending."""
        return sorted({step for run in self.runs for step in self.steps_of(run)})

    @property
    def segments(self) -> list[int]:
        """The steps at which a run that is trained here keeps a checkpoint."""
        return self.study.training.segments if self.study.training else []

    def steps_of(self, run: Run) -> list[int]:
        """The steps of a run's policies that are sampled, 0 for its base first."""
        if run in self.given:
            return [0, *self.given[run].steps]
        return self.study.evaluate.steps if self.study.evaluate else []

    def trained_here(self, policy: Policy) -> bool:
        """Whether the study's trainer makes a policy's weights; those of a base or a given checkpoint are adopted."""
        return self.origin(policy) is None

    def origin(self, policy: Policy) -> Origin | None:
        """Where a base or a given checkpoint comes from; None if it is trained here."""
        if policy.run is None:
            return self.study.models[policy.model]
        return self.given[policy.run].checkpoints[policy.step] if policy.run in self.given else None

    def stored(self, policy: Policy) -> dict[str, StoredSamples]:
        """The stored samples of a policy by benchmark; empty if it is sampled here."""
        origin = self.origin(policy)
        return (origin.samples if origin else None) or {}

    def policies_of(self, run: Run) -> list[Policy]:
        """The evaluated policies of a run in order of training, the base model first."""
        return [Policy(run.model, run if step else None, step) for step in self.steps_of(run)]

    @cached_property
    def policies(self) -> list[Policy]:
        """Every policy that is sampled, each once."""
        return list(dict.fromkeys(policy for run in self.runs for policy in self.policies_of(run)))

    @property
    def trained_pattern(self) -> str:
        """A regular expression that matches exactly the names of runs that are trained here.

        It grows with models + algorithms + seeds only.
        """
        study = self.study
        return f"(?:{one_of(self.weighed)})--(?:{one_of(study.algorithms)})--seed(?:{one_of(study.seeds)})"

    @property
    def given_pattern(self) -> str:
        """A regular expression that matches exactly the names of given runs."""
        return one_of(self.given)

    @property
    def run_pattern(self) -> str:
        """A regular expression that matches exactly the runs' names."""
        return f"{self.trained_pattern}|{self.given_pattern}"

    @property
    def sampled_pattern(self) -> str:
        """A regular expression that matches exactly the policies that are sampled here."""
        steps = one_of(self.study.evaluate.steps[1:] if self.study.evaluate else [])
        given = one_of(policy for policy in self._given_policies if not self.stored(policy))
        return f"{one_of(self.weighed)}|{self.trained_pattern}--step(?:{steps})|{given}"

    @property
    def stored_pattern(self) -> str:
        """A regular expression that matches exactly the policies with stored samples."""
        bases = [Policy(name, None, 0) for name in self.study.models]
        return one_of(policy for policy in [*bases, *self._given_policies] if self.stored(policy))

    @property
    def policy_pattern(self) -> str:
        """A regular expression that matches exactly the policies' names."""
        return f"{self.sampled_pattern}|{self.stored_pattern}"

    @property
    def _given_policies(self) -> list[Policy]:
        return [policy for run in self.given for policy in self.policies_of(run)[1:]]

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

    def previous(self, step: int) -> int:
        """The checkpoint that a segment starts from; 0 is the base model."""
        steps = [0, *self.segments]
        return steps[steps.index(step) - 1]


def _pick(name: str, known: dict[str, Any], what: str) -> Any:
    if name not in known:
        raise StudyError(f"no {what} {name!r} in this study; {did_you_mean(name, known)}")
    return known[name]
