"""The part of the shim in vLLM's own process, where Ray's hooks do not reach."""

from __future__ import annotations

from typing import Any

import torch
import vllm.model_executor.layers.utils
from openrlhf.trainer.ray.vllm_worker_wrap import WorkerWrap

from boundary_bench.training.openrlhf import hook

hook.install()


def _plain(layer: Any, remove_weight: bool) -> None:
    """Keep the parameter: vLLM packs every weight for the CPU and drops it, but these weights will be updated."""
    layer.cpu_linear = torch.nn.functional.linear


vllm.model_executor.layers.utils.dispatch_cpu_unquantized_gemm = _plain


class CpuWorker(WorkerWrap):
    """Receives weights in host memory."""

    def update_weight(self, name: str, dtype: Any, shape: Any, empty_cache: bool = False) -> None:
        """Receive one weight and load it."""
        assert dtype == self.model_config.dtype, f"weights of type {dtype} for a model of {self.model_config.dtype}"
        weight = torch.empty(shape, dtype=dtype)
        self._model_update_group.broadcast(weight, src=0)
        self.model_runner.model.load_weights(weights=[(name, weight)])
