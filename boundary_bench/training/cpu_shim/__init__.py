"""Patches with which the real OpenRLHF, vLLM and DeepSpeed train on a machine without a GPU, for tests and trials.

OpenRLHF 0.11.2 asks for CUDA by name in a dozen places. Each patch belongs to one module and is applied when that
module is imported (``openrlhf.hook``). This folder goes on the module path, for its stub of flash_attn.
ZeRO stage 2 at most: with stage 3 on several processes weights came out damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any


class Cpu(str):
    """The answer to "which CUDA device": a device for ``.to()``, and 0 in ``f"cuda:{...}"``, which has to parse."""

    def __format__(self, specification: str) -> str:
        return "0"


def _cuda(torch: ModuleType) -> None:
    torch.cuda.current_device = lambda: Cpu("cpu")
    for name in ("set_device", "synchronize", "empty_cache", "current_stream"):
        # one object each: torch's compiler refuses two rules for the same function
        setattr(torch.cuda, name, _nothing())


def _nothing() -> Callable[..., None]:
    return lambda *arguments, **named: None


def _mesh(module: ModuleType) -> None:
    original = module.init_device_mesh
    module.init_device_mesh = lambda device, *arguments, **named: original("cpu", *arguments, **named)


class Gloo:
    """A process group that sends weights from the trainer to vLLM, in place of NCCL's."""

    def __init__(self, host: str, port: int, rank: int, world: int) -> None:
        from vllm.distributed.utils import stateless_init_torch_distributed_process_group

        self.group = stateless_init_torch_distributed_process_group(host, port, rank, world, backend="gloo")

    def broadcast(self, tensor: Any, src: int = 0, stream: Any = None) -> None:
        """Send or fill a tensor."""
        import torch

        options = torch.distributed.BroadcastOptions()
        options.rootRank, options.rootTensor = src, 0
        whole = tensor.detach().contiguous()
        self.group.broadcast([whole], options).wait()
        if whole.data_ptr() != tensor.data_ptr():
            tensor.copy_(whole)


def _sync(module: ModuleType) -> None:
    module.stateless_init_process_group = lambda host, port, rank, world, device: Gloo(host, port, rank, world)


def _worker(vllm: ModuleType) -> None:
    original = vllm.AsyncEngineArgs.__init__

    def init(self: Any, *arguments: Any, **named: Any) -> None:
        if named.get("worker_extension_cls", "").startswith("openrlhf."):
            named["worker_extension_cls"] = f"{__name__}.worker.CpuWorker"
        original(self, *arguments, **named)

    vllm.AsyncEngineArgs.__init__ = init


PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "torch": _cuda,
    "torch.distributed.device_mesh": _mesh,
    "openrlhf.utils.distributed_util": _sync,
    "vllm": _worker,
}
