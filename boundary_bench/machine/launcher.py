"""The command line that starts the stage of a part of the study in its environment: a Python, or a container image."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from boundary_bench.core.errors import StudyError
from boundary_bench.study.sampling import Sampling
from boundary_bench.study.training import Training

Part = Literal["training", "sampling"]
#: What ``boundary-bench env create`` calls a part's environment.
ENVIRONMENTS: dict[Part, str] = {"training": "train", "sampling": "sample"}
RUNTIMES = ("apptainer", "singularity")
#: Variables that name folders which a stage reads.
FOLDERS = ("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE")
REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = ["-m", "boundary_bench"]


def command(part: Part, chosen: Training | Sampling, files: Iterable[str | Path]) -> list[str]:
    """The command line; by default it is in the environment that ``env create`` makes here, where one is needed.

    Args:
        files: files and folders that a container has to see.

    Raises:
        StudyError: there is no such Python or image, or nothing that runs images.
    """
    if chosen.container:
        return [*_container(f"{part}.container", chosen.container, chosen.gpus > 0, files), *MODULE]
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
    """What of a command line is the Python, to run something else in the same environment."""
    return words[: -len(MODULE)] if words[-len(MODULE) :] == MODULE else [sys.executable]


def _container(where: str, image: str, gpu: bool, files: Iterable[str | Path]) -> list[str]:
    """The Python of an image, which sees this code: the image holds the packages alone."""
    if not Path(image).exists():
        raise StudyError(f"{where}: found no image at {image}; expected a .sif file or a sandbox folder of apptainer")
    runtime = next(filter(shutil.which, RUNTIMES), None)
    if runtime is None:
        raise StudyError(
            f"{where}: found neither {' nor '.join(RUNTIMES)} on the PATH; load its module, or name a Python instead "
            f"({where.replace('container', 'python')})"
        )
    named = [Path.cwd(), REPOSITORY, *files, *(os.environ[name] for name in FOLDERS if name in os.environ)]
    seen = {str(existing(Path(path))) for path in named}
    if odd := [path for path in seen if "," in path or ":" in path]:
        raise StudyError(
            f"{where}: found {odd[0]}, expected no comma or colon, at which {runtime} splits a path; move it, or name "
            f"a Python instead ({where.replace('container', 'python')})"
        )
    binds = [word for path in sorted(seen - {"/"}) for word in ("--bind", path)]
    return [
        runtime,
        "exec",
        *(["--nv"] if gpu else []),
        *binds,
        "--env",
        f"PYTHONPATH={REPOSITORY}",
        os.path.abspath(image),
        "python3",
    ]


def existing(path: Path) -> Path:
    """The path, or where it is not there yet, the nearest folder above that is: it comes to be in there."""
    path = Path(os.path.abspath(path))
    return next(place for place in (path, *path.parents) if place.exists())
