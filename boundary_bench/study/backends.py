"""The trainer backends, each declared once: its settings, its environment, what it keeps on disk, its entry point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from boundary_bench.study.blocks import Block, Execution

#: Trainer states of a run that are kept: the newest, and one to fall back on.
STATES_KEPT = 2
#: Values of a flag of a backend's own command line.
Flag = bool | int | float | str | list[int | float | str]


class OpenRLHF(Block):
    """Settings of the backend openrlhf: where and how it runs. Of these, only ``flags`` can change what is learned."""

    nodes: Execution[int] = Field(1, ge=1, description="machines")
    gpus: Execution[int] = Field(8, ge=1, description="GPUs of each that train")
    engines: Execution[int | None] = Field(
        None, ge=1, description="vLLM engines; by default as many as fill the GPUs that train, which they share"
    )
    tensor_parallel: Execution[int] = Field(1, ge=1, description="GPUs of one vLLM engine")
    colocate: Execution[bool] = Field(True, description="vLLM shares the GPUs that train; false: it has its own")
    gpu_memory_utilization: Execution[float] = Field(
        0.6, gt=0, le=1, description="share of a GPU's memory that vLLM takes"
    )
    zero_stage: Execution[Literal[1, 2, 3]] = Field(2, description="DeepSpeed ZeRO stage")
    micro_batch: Execution[int] = Field(4, ge=1, description="responses of one forward and backward pass on one GPU")
    gradient_checkpointing: Execution[bool] = Field(
        True, description="recompute activations: less memory, a third slower"
    )
    adam_offload: Execution[bool] = Field(False, description="optimizer in host memory")
    attention: Execution[str] = Field(
        "flash_attention_2", description="attention of transformers; on a CPU always eager"
    )
    stall_minutes: Execution[float] = Field(
        60, gt=0, description="a step, or the start, that takes longer ends the job"
    )
    mismatch: Execution[float] = Field(
        0.01, gt=0, description="largest |mean log-probability of vLLM - of the trainer| of a step, where it is known"
    )
    flags: dict[str, Flag] = Field({}, description="further flags of its command line, e.g. {actor.adam.eps: 1.0e-6}")

    @property
    def vllm_engines(self) -> int:
        """vLLM engines: as the study says, by default as many as fill the GPUs that train."""
        return self.engines or max(1, self.nodes * self.gpus // self.tensor_parallel)

    @property
    def gpus_needed(self) -> int:
        """GPUs of all machines together."""
        shared = self.nodes * self.gpus
        return shared if self.colocate else shared + self.vllm_engines * self.tensor_parallel

    @property
    def gpus_each(self) -> int:
        """GPUs of one machine: an equal share of all, rounded up."""
        return -(-self.gpus_needed // self.nodes)

    def micro_batch_of(self, per_update: int) -> int:
        """Responses of one pass on one GPU: the largest divisor of its share of an update up to ``micro_batch``."""
        each = per_update // (self.nodes * self.gpus)
        return max(size for size in range(1, self.micro_batch + 1) if each % size == 0)


class Trl(Block):
    """Settings of the backend trl: how it runs."""

    micro_batch: Execution[int] = Field(8, ge=1, description="responses of one forward and backward pass")
    vllm: Execution[bool] = Field(
        False, description="sample with vLLM on the GPU that trains; false: with transformers"
    )
    gpu_memory_utilization: Execution[float] = Field(
        0.3, gt=0, le=1, description="share of the GPU's memory that vLLM takes"
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="type of the passes; weights, gradients and optimizer are float32"
    )
    gradient_checkpointing: Execution[bool] = Field(
        True, description="recompute activations: less memory, a third slower"
    )


@dataclass(frozen=True)
class Backend:
    """A trainer.

    Attributes:
        train: its entry point, "module:function"; see ``boundary_bench.training.load_trainer``.
        version: raised when a change of its code changes the training: its runs are trained anew.
        tries: Python statements that fail, with the reason, if it cannot run; ``{device}`` is the study's.
        checkpoint_bytes, state_bytes: bytes per parameter of a checkpoint, and of a state (with Adam's two moments).
        settings: its block in ``training``, under its name.
        environment: name of its environment in ``boundary-bench env create``; None: the core's.
        package: its name in the package index, for the doctor.
    """

    train: str
    version: int
    tries: str
    checkpoint_bytes: int
    state_bytes: int
    settings: type[Block] | None = None
    environment: Literal["train"] | None = None
    package: str | None = None


BACKENDS = {
    "reference": Backend(
        train="boundary_bench.training.reference:train",
        version=2,
        tries="import boundary_bench.training.reference",
        checkpoint_bytes=4,
        state_bytes=12,
    ),
    "openrlhf": Backend(
        train="boundary_bench.training.openrlhf.trainer:train",
        version=3,
        tries="import torch, ray, vllm, deepspeed; "
        "from boundary_bench.training.openrlhf.trainer import check_versions; check_versions({device!r})",
        checkpoint_bytes=2,
        state_bytes=14,  # the weights in bfloat16 beside those of the optimizer
        settings=OpenRLHF,
        environment="train",
        package="openrlhf",
    ),
    "trl": Backend(
        train="boundary_bench.training.trl:train",
        version=4,
        tries="from boundary_bench.training.trl import check_version; check_version()",
        checkpoint_bytes=4,
        state_bytes=12,
        settings=Trl,
        environment="train",
        package="trl",
    ),
}
