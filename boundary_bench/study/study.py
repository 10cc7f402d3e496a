"""A study: one YAML file that says which models, algorithms, benchmarks and seeds are compared, and how.

This module holds types, defaults and bounds only; ``boundary_bench.plan`` resolves the names. No heavy imports.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from boundary_bench.study.analysis import Analysis, Probe
from boundary_bench.study.blocks import Block, Columns, KindName, Name, Steps
from boundary_bench.study.sampling import Sampling
from boundary_bench.study.stored import StoredSamples
from boundary_bench.study.training import Pretrain, Training


class Origin(Block):
    """Where a policy comes from, exactly one of the sources: its weights, or its samples."""

    sources: ClassVar[tuple[str, ...]] = ("path", "hub", "samples")

    path: str | None = Field(
        None, description="folder in Hugging Face format (safetensors); in runs also a LoRA adapter's"
    )
    hub: str | None = Field(None, description="name on the Hugging Face hub, or in its local cache")
    revision: str | None = Field(None, description="commit of the hub model; required with hub")
    samples: dict[Name, StoredSamples] | None = Field(
        None, description="stored samples on every benchmark, which take the place of weights: {math-500: {files: ...}}"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in self.sources if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"found {given or 'no source'}, expected exactly one of: {', '.join(self.sources)}")
        if (self.hub is None) != (self.revision is None):
            raise ValueError("hub and revision go together: pin the commit, e.g. {hub: org/name, revision: abc123}")
        return self


class Model(Origin):
    """Where a base model comes from: exactly one of pretrain, path, hub or samples."""

    sources: ClassVar[tuple[str, ...]] = ("pretrain", "path", "hub", "samples")

    pretrain: Pretrain | None = Field(None, description="make a small base model from scratch")
    template: Name | None = Field(
        None, description="prompt template of this model and all trained from it, instead of the benchmarks'"
    )


class GivenRun(Block):
    """A run that was trained elsewhere: its checkpoints are given, and nothing is trained."""

    model: Name = Field(description="the base model that it began from, an entry of models")
    algorithm: Name | None = Field(None, description="its label in tables and figures; by default the run's name")
    seed: int = Field(0, ge=0, description="its training seed, where the same course was run with several")
    checkpoints: dict[Annotated[int, Field(ge=1)], Origin] = Field(
        min_length=1, description="weights or samples at each training step: {100: {path: FOLDER}, 200: {hub: ...}}"
    )

    @property
    def steps(self) -> list[int]:
        """The steps of its checkpoints, ascending."""
        return sorted(self.checkpoints)


class Evaluate(Block):
    """Which checkpoints are sampled; step 0 is the base model."""

    steps: Steps = Field(min_length=2, description="0 and steps of training.segments")


class Benchmark(Block):
    """A named set of problems."""

    kind: KindName | None = Field(None, description="entry of the benchmark registry; by default the name itself")
    split: Literal["train", "dev", "test"] = Field("test", description="tune on dev, report test")
    seed: int = Field(0, ge=0, description="seed of the generator")
    options: dict[str, Any] = Field({}, description="settings of the benchmark kind")
    data: str | None = Field(
        None,
        description="a local file (JSON lines or array, Parquet, CSV) or folder with the problems, not the kind's own",
    )
    columns: Columns | None = Field(
        None,
        description="where a row has the kind's columns: {question: problem, answer: reward_model.gt}, or verl",
    )
    template: Name | None = Field(None, description="prompt template; by default the kind's")
    stop: list[Annotated[str, Field(min_length=1)]] | Literal["template"] = Field(
        [], description="strings that end a response, beside the kind's own; template: those of the prompt template"
    )
    graders: list[Name] = Field([], description="further graders of the same responses, beside the kind's")


class Study(Block):
    """One study. See docs/study.md for a tour."""

    study: Name = Field(description="name; results go to results/<name>/")
    models: dict[Name, Model] = Field(min_length=1)
    algorithms: dict[Name, dict[str, Any]] = Field(
        {}, description="names of the algorithm table; a mapping overrides settings ({like: grpo, ...})"
    )
    seeds: list[Annotated[int, Field(ge=0)]] = Field([], description="training seeds: one run each")
    training: Training | None = Field(None, description="how every model is trained; without it nothing is")
    evaluate: Evaluate | None = Field(None, description="which of the trained checkpoints are sampled")
    runs: dict[Name, GivenRun] = Field({}, description="runs that were trained elsewhere, with their checkpoints")
    benchmarks: dict[Name, Benchmark] = Field(min_length=1)
    sampling: Sampling = Sampling()
    analysis: Analysis = Analysis()
    probe: Probe | None = Field(None, description="probe the base models for benchmarks that they have read")

    @field_validator("algorithms", mode="before", json_schema_input_type=list[Name] | dict[Name, dict[str, Any] | None])
    @classmethod
    def _algorithms_by_name(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return _filled(value)
        odd = [name for name in value if not isinstance(name, str)]
        if odd:
            raise ValueError(
                f"found {odd[0]!r} in the list, expected names; to change settings write a mapping instead"
            )
        repeated = sorted({name for name in value if value.count(name) > 1})
        if repeated:
            raise ValueError(f"listed twice: {', '.join(repeated)}")
        return {name: {} for name in value}

    @field_validator("probe", mode="before")
    @classmethod
    def _probe_defaults(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("benchmarks", mode="before", json_schema_input_type=dict[Name, Benchmark | None])
    @classmethod
    def _benchmark_defaults(cls, value: Any) -> Any:
        return _filled(value)

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"found {seeds}, expected each seed once")
        return seeds

    @model_validator(mode="after")
    def _trained(self) -> Study:
        parts = ("algorithms", "seeds", "training", "evaluate")
        lacking = [name for name in parts if not getattr(self, name)]
        if self.training is None or self.evaluate is None or lacking:
            if len(lacking) < len(parts):
                there = ", ".join(name for name in parts if name not in lacking)
                raise ValueError(
                    f"found {there} without {', '.join(lacking)}: to train, all of {', '.join(parts)} are required; "
                    "where nothing is trained, write none of them"
                )
            if not self.runs:
                raise ValueError(
                    f"found no run: write {', '.join(parts)} to train some, or runs: {{NAME: {{model: ..., "
                    "checkpoints: {100: {path: ...}}}} to judge checkpoints that exist"
                )
            return self
        kept = [0, *self.training.segments]
        unknown = [step for step in self.evaluate.steps if step not in kept]
        if unknown:
            raise ValueError(
                f"evaluate.steps: {unknown} are no checkpoints; training.segments keeps {kept[1:]} "
                f"(step 0 is the base): add them there, or choose among {kept}"
            )
        if self.evaluate.steps[0] != 0:
            raise ValueError("evaluate.steps: step 0, the base model, is what everything is compared with; add it")
        return self

    @model_validator(mode="after")
    def _stored(self) -> Study:
        if self.training and all(model.samples is not None for model in self.models.values()):
            raise ValueError("training: found models with samples alone, expected weights of one to train from")
        for where, origin in self.origins.items():
            if origin.samples is None:
                continue
            if odd := sorted(origin.samples.keys() - self.benchmarks.keys()):
                raise ValueError(f"{where}.samples: {odd[0]!r} is none of the benchmarks; add it there, or drop it")
            if lacking := [name for name in self.benchmarks if name not in origin.samples]:
                raise ValueError(f"{where}.samples: found none on {lacking[0]}, expected some on every benchmark")
        for name, run in self.runs.items():
            base = self.models.get(run.model)
            weights = [step for step, origin in run.checkpoints.items() if origin.samples is None]
            if base and base.samples is not None and weights:
                raise ValueError(
                    f"runs.{name}.checkpoints.{weights[0]}: found weights, and samples alone of its base {run.model}; "
                    "expected the base's weights, with which a checkpoint is compared, or samples of both"
                )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        beyond = [k for k in self.ks if k > self.n]
        if beyond or self.ks[0] < 1:
            raise ValueError(
                f"analysis.ks: {beyond or self.ks[0]} is outside 1..{self.n} (sampling.n_max, or the smallest n of "
                "stored samples): pass@k needs k samples a problem; raise n_max or drop these k"
            )
        return self

    @property
    def origins(self) -> dict[str, Origin]:
        """Where every base and given checkpoint comes from, by its place in the study."""
        found: dict[str, Origin] = {f"models.{name}": model for name, model in self.models.items()}
        for name, run in self.runs.items():
            found |= {f"runs.{name}.checkpoints.{step}": origin for step, origin in run.checkpoints.items()}
        return found

    @property
    def n(self) -> int:
        """The largest k that every policy has samples for."""
        stored = [each.n for origin in self.origins.values() for each in (origin.samples or {}).values()]
        sampled = any(origin.samples is None for origin in self.origins.values())
        return min([*stored, *([self.sampling.n_max] if sampled else [])])

    @property
    def ks(self) -> list[int]:
        """The values of k that are reported."""
        return self.analysis.ks or [2**i for i in range(self.n.bit_length())]


def _filled(value: Any) -> Any:
    """The mapping with an empty entry (``countdown:``) replaced by {}, its defaults."""
    return {name: {} if entry is None else entry for name, entry in value.items()} if isinstance(value, dict) else value
