"""A training job of the OpenRLHF backend, and a state as it leaves one, for tests without OpenRLHF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from training import job

from boundary_bench.training.openrlhf import states
from boundary_bench.training.rollouts import TrainingJob


def trained_with(**changes: Any) -> TrainingJob:
    own = {"gpus": 2, **changes.pop("openrlhf", {})}
    return job(**{"backend": "openrlhf", "openrlhf": own, **changes})


def state(folder: Path, step: int, ranks: int = 1, whole: bool = True) -> Path:
    """A state as DeepSpeed names its files, written by torch; ``latest`` comes last."""
    place = states.folder_of(folder, step)
    place.mkdir(parents=True)
    torch.save({"module": torch.arange(1000.0), "step": step}, place / "mp_rank_00_model_states.pt")
    for rank in range(ranks):
        torch.save({"moments": torch.arange(3000.0)}, place / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    if whole:
        (folder / "_actor" / "latest").write_text(place.name)
    return place
