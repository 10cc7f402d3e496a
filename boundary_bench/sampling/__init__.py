"""Drawing responses: engines, and the campaign that draws missing samples with them."""

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
    """The policy in a model folder, in the study's engine; slow steps are reported to ``log``.

    Raises:
        ModelError: the folder holds no usable model.
        EngineError: the engine is not installed in this Python.
    """
    module, _, function = ENGINES[sampling.engine].load.partition(":")
    return getattr(import_module(module), function)(folder, sampling, log)
