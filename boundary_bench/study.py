"""A study: one YAML file that says which models, algorithms, benchmarks and seeds are compared, and how.

This module is the shape only (types, defaults, bounds). What the names in it refer to is resolved by
``boundary_bench.plan``. Nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from boundary_bench.study_blocks import Block, Columns, KindName, Launched, Name, Steps, ascending
from boundary_bench.study_training import Pretrain, Training


class Model(Block):
    """Where a base model comes from: exactly one of pretrain, path or hub."""

    pretrain: Pretrain | None = Field(None, description="make a small base model from scratch")
    path: str | None = Field(None, description="folder in Hugging Face format (safetensors)")
    hub: str | None = Field(None, description="name on the Hugging Face hub, or in its local cache")
    revision: str | None = Field(None, description="commit of the hub model; required with hub")
    template: Name | None = Field(
        None, description="prompt template of this model and all trained from it, instead of the benchmarks'"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Model:
        given = [name for name in ("pretrain", "path", "hub") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"found {given or 'no source'}, expected exactly one of: pretrain, path, hub")
        if (self.hub is None) != (self.revision is None):
            raise ValueError("hub and revision go together: pin the commit, e.g. {hub: org/name, revision: abc123}")
        return self


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
    graders: list[Name] = Field([], description="further graders of the same responses, beside the kind's")


#: How a token is drawn in vLLM and what is known of it: 1 by vLLM's generators and without entropies, 2 by our own
#: uniform numbers. Samples of one are not mixed with the other's.
VLLM_DRAWING = 2


class Vllm(Block):
    """Settings of the vLLM engine."""

    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="type of weights and activations; float32 is what the torch engine computes in"
    )
    max_model_len: int | None = Field(
        None, ge=1, description="most tokens of a prompt and its response together; by default the model's context"
    )
    tensor_parallel: int = Field(1, ge=1, description="GPUs that share one model")
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1, description="share of a GPU's memory that vLLM takes")
    kv_cache_gib: float | None = Field(
        None, gt=0, description="memory of the KV cache in GiB; by default what is left on a GPU, 1 on a CPU"
    )
    max_num_seqs: int = Field(256, ge=1, description="responses that are decoded together")
    enforce_eager: bool | None = Field(
        None, description="true: no compilation and no CUDA graphs; by default true on a CPU alone"
    )


class Sampling(Launched):
    """How every policy is sampled."""

    engine: Literal["torch", "vllm"] = Field("torch", description="sampling engine")
    vllm: Vllm = Field(Vllm(), description="settings of the engine vllm")
    n_max: int = Field(1024, ge=1, description="most samples per problem: the largest k")
    stop_after: int | None = Field(
        32, ge=1, description="correct samples after which a problem stops; null: n_max samples of every problem"
    )
    rounds: Steps | None = Field(
        None, min_length=1, description="sizes at which a problem can stop, n_max the last; by default doubling"
    )
    unscored: list[Literal["timeout", "truncated", "unparsable"]] = Field(
        ["timeout"],
        description="verdicts that count as missing, so that further samples replace theirs; the others are not solved",
    )
    shards: int = Field(1, ge=1, description="jobs that share the problems of one policy on one benchmark")
    block: int = Field(1024, ge=1, description="most sample indices per stored block: the unit of resuming")
    batch: int = Field(
        1024,
        ge=1,
        description="engine torch: responses decoded together, memory against speed; vllm: most samples of a file",
    )
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(64, ge=1, description="longest response, in tokens")
    seed: int = Field(0, ge=0, description="every sample's own seed derives from this one and its name")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where the engine computes")

    @field_validator("unscored")
    @classmethod
    def _timeouts_are_missing(cls, verdicts: list[str]) -> list[str]:
        if "timeout" not in verdicts or len(set(verdicts)) != len(verdicts):
            raise ValueError(f"found {verdicts}, expected timeout, which says nothing of a response, and others once")
        return sorted(verdicts)

    @model_validator(mode="after")
    def _rounds_fit(self) -> Sampling:
        if self.rounds and self.stop_after is None:
            raise ValueError(
                f"found rounds: {self.rounds} with stop_after: null, which samples every problem n_max times; "
                "drop rounds, or say after how many correct samples a problem stops, e.g. stop_after: 32"
            )
        if self.rounds and self.rounds[-1] != self.n_max:
            raise ValueError(
                f"found rounds: {self.rounds}, expected n_max: {self.n_max} as the last; "
                f"write n_max: {self.rounds[-1]}, or other rounds"
            )
        return self

    @model_validator(mode="after")
    def _engine_fits(self) -> Sampling:
        if self.engine != "vllm" and self.vllm != Vllm():
            raise ValueError(f"found settings of vllm with engine: {self.engine}; drop them, or write engine: vllm")
        return self

    @property
    def needs_environment(self) -> bool:
        """Whether the engine lives in an environment of its own."""
        return self.engine == "vllm"

    @property
    def gpus(self) -> int:
        """GPUs of one job."""
        if self.device == "cpu":
            return 0
        return self.vllm.tensor_parallel if self.engine == "vllm" else 1

    def drawing(self, unused: Collection[str] = ()) -> dict[str, Any]:
        """The settings that a response depends on, but for unused ones; how many, where and in which files are none."""
        execution = {"n_max", "stop_after", "rounds", "unscored", "shards", "block", "device", "vllm"}
        execution |= set(Launched.model_fields)
        found = self.model_dump(mode="json", exclude=execution.union(unused))
        if self.engine == "vllm":
            # here a batch cuts files alone, and these two say what is computed
            del found["batch"]
            found["vllm"] = self.vllm.model_dump(mode="json", include={"dtype", "max_model_len"})
            found["drawing"] = VLLM_DRAWING
        return found


class Analysis(Block):
    """How the samples are turned into statements."""

    level: float = Field(0.95, gt=0, lt=1, description="confidence level of every interval")
    interval: Literal["jeffreys", "percentile", "bca"] = Field(
        "jeffreys", description="how intervals over problems are made; the others collapse where all problems agree"
    )
    resamples: int = Field(2000, ge=100, description="bootstrap resamples")
    ks: Steps | None = Field(None, min_length=1, description="values of k; by default the powers of two up to n_max")
    margin: float = Field(
        0.05, gt=0, lt=1, description="differences of pass@k that are smaller than this count as unchanged"
    )
    seed: int = Field(0, ge=0, description="seed of the bootstrap")


class Probe(Block):
    """The contamination probe: every base model continues statements of which it is given a part."""

    fractions: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], AfterValidator(ascending)] = Field(
        [0.4, 0.6, 0.8], min_length=1, description="how much of each statement the model is given"
    )


class Study(Block):
    """One study. See docs/study.md for a tour."""

    study: Name = Field(description="name; results go to results/<name>/")
    models: dict[Name, Model] = Field(min_length=1)
    algorithms: dict[Name, dict[str, Any]] = Field(
        min_length=1,
        description="names of the algorithm table; a mapping overrides settings ({like: grpo, ...})",
    )
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1, description="training seeds: one run each")
    training: Training
    evaluate: Evaluate
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
    def _consistent(self) -> Study:
        kept = [0, *self.training.segments]
        unknown = [step for step in self.evaluate.steps if step not in kept]
        if unknown:
            raise ValueError(
                f"evaluate.steps: {unknown} are no checkpoints; training.segments keeps {kept[1:]} "
                f"(step 0 is the base): add them there, or choose among {kept}"
            )
        if self.evaluate.steps[0] != 0:
            raise ValueError("evaluate.steps: step 0, the base model, is what everything is compared with; add it")
        beyond = [k for k in self.ks if k > self.sampling.n_max]
        if beyond or self.ks[0] < 1:
            raise ValueError(
                f"analysis.ks: {beyond or self.ks[0]} is outside 1..{self.sampling.n_max} (sampling.n_max): "
                "pass@k needs k samples a problem; raise n_max or drop these k"
            )
        return self

    @property
    def ks(self) -> list[int]:
        """The values of k that are reported."""
        return self.analysis.ks or [2**i for i in range(self.sampling.n_max.bit_length())]


def _filled(value: Any) -> Any:
    """A mapping whose empty entries (``countdown:``) stand for their defaults."""
    return {name: {} if entry is None else entry for name, entry in value.items()} if isinstance(value, dict) else value
