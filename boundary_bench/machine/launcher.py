"""The command line that starts a stage in the environment for training or sampling."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Literal

from boundary_bench.core.errors import StudyError
from boundary_bench.study.sampling import Sampling
from boundary_bench.study.training import Training

Part = Literal["training", "sampling"]
#: Names of the environments in ``boundary-bench env create``.
ENVIRONMENTS: dict[Part, str] = {"training": "train", "sampling": "sample"}
REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = ["-m", "boundary_bench"]


def command(part: Part, chosen: Training | Sampling) -> list[str]:
    """The command line of a part of the study, by default in ``env create``'s environment here, if one is needed.

    Raises:
        StudyError: the chosen Python does not exist.
    """
    python, kind = chosen.python, ENVIRONMENTS[part]
    usual = Path(f".venv-{kind}/bin/python")
    if python is None and chosen.needs_environment and usual.is_file():
        python = str(usual.absolute())
    if python is None:
        return ["boundary-bench"]
    if shutil.which(python) is None:
        raise StudyError(
            f"{part}.python: found no Python at {python}; make the environment with: boundary-bench env create "
            f"{kind}, and drop the line or write the one that it prints"
        )
    return [python, *MODULE]


def interpreter(words: list[str]) -> list[str]:
    """The Python of a command line, to run something else in the same environment."""
    return words[: -len(MODULE)] if words[-len(MODULE) :] == MODULE else [sys.executable]


def existing(path: Path) -> Path:
    """The path if it exists, otherwise its nearest existing parent."""
    path = Path(os.path.abspath(path))
    return next(place for place in (path, *path.parents) if place.exists())
