"""The reference trainer's own state on disk: weights and optimizer moments as safetensors.

Rollouts, prompt order and minibatches are functions of (seed, step), so no generator state is saved, and a resumed run
repeats an undisturbed one bit for bit.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from boundary_bench.core.errors import ModelError
from boundary_bench.core.files import atomic
from boundary_bench.study.backends import STATES_KEPT


def step_folder(parent: Path, step: int) -> Path:
    """The folder of a step, as ``parent/step-000050``, so that names sort by step."""
    return parent / f"step-{step:06d}"


def saved_steps(store: Path) -> list[int]:
    """The steps with a trainer state in the store, ascending."""
    names = (re.fullmatch(r"step-(\d{6,})", path.name) for path in (store / "state").glob("step-*"))
    return sorted(int(name[1]) for name in names if name)


def save(store: Path, step: int, model: nn.Module, *optimizers: torch.optim.Optimizer) -> None:
    """Write the state of a step atomically, then remove all but the two newest."""
    moments: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        for optimizer in optimizers:
            for key, value in optimizer.state.get(parameter, {}).items():
                moments[f"{key}:{name}"] = value.detach().contiguous()
    with atomic(step_folder(store / "state", step)) as folder:
        folder.mkdir()
        save_file(
            {name: p.detach().contiguous() for name, p in model.named_parameters()},
            folder / "weights.safetensors",
        )
        save_file(moments, folder / "optimizer.safetensors")
    for old in saved_steps(store)[:-STATES_KEPT]:
        shutil.rmtree(step_folder(store / "state", old))


def load(store: Path, step: int, model: nn.Module, *optimizers: torch.optim.Optimizer) -> None:
    """Load the state of a step into model and optimizers.

    Raises:
        ModelError: a file of the state is missing or damaged.
    """
    folder = step_folder(store / "state", step)
    try:
        weights = load_file(folder / "weights.safetensors")
        moments = load_file(folder / "optimizer.safetensors")
        parameters = dict(model.named_parameters())
        owner = {p: optimizer for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(weights[name])
        for key, value in moments.items():
            kind, name = key.split(":", 1)
            device = "cpu" if kind == "step" else parameters[name].device
            owner[parameters[name]].state[parameters[name]][kind] = value.to(device)
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as fault:
        raise ModelError(
            f"the trainer state in {folder} is damaged ({fault}); delete that folder and run the same command again "
            "to resume from the one before it"
        ) from None
