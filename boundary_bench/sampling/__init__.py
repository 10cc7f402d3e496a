"""Drawing responses: engines, and the campaign that asks them for what is missing."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from boundary_bench.study.engines import ENGINES
from boundary_bench.study.sampling import Sampling

if TYPE_CHECKING:
    from boundary_bench.sampling.engine import Engine


def load_engine(folder: Path, sampling: Sampling, log: Callable[[str], None]) -> Engine:
    """The policy in a model folder, in the engine that the study names; what takes long is said in ``log``.

    Raises:
        ModelError: see ``boundary_bench.models``.
        EngineError: the engine is not installed in this Python.
    """
    module, _, function = ENGINES[sampling.engine].load.partition(":")
    return getattr(import_module(module), function)(folder, sampling, log)
