"""How policies are sampled."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from boundary_bench.study.blocks import Block, Launched, Steps

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
