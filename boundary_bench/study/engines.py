"""The sampling engines, each declared once: its settings, its environment, its entry point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from boundary_bench.study.blocks import Block, Execution


class Vllm(Block):
    """Settings of the vLLM engine."""

    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="type of weights and activations; float32 is what the torch engine computes in"
    )
    max_model_len: int | None = Field(
        None, ge=1, description="most tokens of a prompt and its response together; by default the model's context"
    )
    tensor_parallel: Execution[int] = Field(1, ge=1, description="GPUs that share one model")
    gpu_memory_utilization: Execution[float] = Field(
        0.9, gt=0, le=1, description="share of a GPU's memory that vLLM takes"
    )
    kv_cache_gib: Execution[float | None] = Field(
        None, gt=0, description="memory of the KV cache in GiB; by default what is left on a GPU, 1 on a CPU"
    )
    max_num_seqs: Execution[int] = Field(256, ge=1, description="responses that are decoded together")
    enforce_eager: Execution[bool | None] = Field(
        None, description="true: no compilation and no CUDA graphs; by default true on a CPU alone"
    )


@dataclass(frozen=True)
class Engine:
    """A sampling engine.

    Attributes:
        load: its entry point, "module:function"; see ``boundary_bench.sampling.load_engine``.
        version: raised when a change of its code changes the draws: samples of two versions are never mixed.
        tries: Python statements that fail, with the reason, if it cannot run.
        execution: settings of ``sampling`` that change no draw with this engine.
        settings: its block in ``sampling``, under its name.
        environment: name of its environment in ``boundary-bench env create``; None: the core's.
    """

    load: str
    version: int
    tries: str
    execution: tuple[str, ...] = ()
    settings: type[Block] | None = None
    environment: Literal["sample"] | None = None


ENGINES = {
    "torch": Engine(
        load="boundary_bench.sampling.torch.engine:load",
        version=1,
        tries="import boundary_bench.sampling.torch.engine",
    ),
    "vllm": Engine(
        load="boundary_bench.sampling.vllm.engine:load_engine",
        version=2,  # 1: by vLLM's generators and without entropies
        tries="import torch, vllm, boundary_bench.sampling.vllm.engine",
        execution=("batch",),  # only splits the samples into files
        settings=Vllm,
        environment="sample",
    ),
}
