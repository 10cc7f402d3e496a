"""Trainers and the making of base models."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from boundary_bench.core.errors import TrainingError
from boundary_bench.study.backends import BACKENDS
from boundary_bench.study.training import Training


def one_thread() -> None:
    """Give this process one compute thread: several processes share a machine better than several threads."""
    import torch

    torch.set_num_threads(1)


def load_trainer(training: Training) -> Callable[..., Path]:
    """The trainer of a study: ``(job, base, store, stop, log, stopped) -> folder of the checkpoint``.

    Every trainer resumes from the store, writes the step log, and saves and raises ``Interrupted`` when ``stopped``
    returns True. The caller holds the store's lease.

    Raises:
        TrainingError: the backend is not installed in this Python.
    """
    backend = BACKENDS[training.backend]
    module, _, function = backend.train.partition(":")
    try:
        train = getattr(import_module(module), function)
    except ModuleNotFoundError as fault:
        start = f"start this command with {training.python} -m boundary_bench, as the workflow does"
        make = f"make one with: boundary-bench env create {backend.environment}"
        raise TrainingError(
            f"the study trains with {training.backend}, and this Python ({sys.executable}) lacks {fault.name}; "
            + (start if training.python else make)
        ) from None
    if backend.environment is None:
        one_thread()
    return train
