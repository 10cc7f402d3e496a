"""The environments for sampling and training, separate from the core since their pins conflict."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

from boundary_bench.core.errors import EngineError
from boundary_bench.study.backends import BACKENDS
from boundary_bench.study.engines import ENGINES

REPOSITORY = Path(__file__).resolve().parents[2]
LOCKS = REPOSITORY / "envs"
#: PyPI's torch for Linux is a CUDA build of several gigabytes; this index has the others.
CPU_TORCH = "https://download.pytorch.org/whl/cpu"


def create(kind: str, path: Path, device: str | None, log: Callable[[str], None]) -> Path:
    """Make the environment, or complete one that was begun; returns its Python.

    Args:
        kind: "sample" or "train".
        device: "cpu" or "cuda"; by default what this machine has.

    Raises:
        EngineError: the folder holds something else, or a package cannot be installed or imported.
    """
    path, device = path.absolute(), device or ("cuda" if has_gpu() else "cpu")
    if path.exists() and not (path / "pyvenv.cfg").is_file():
        raise EngineError(f"{path} is there and no Python environment; choose another folder with --path")
    python = path / "bin" / "python"
    if not python.exists():
        log(f"an empty environment in {path}")
        venv.create(path, with_pip=True)
    lock = LOCKS / f"{kind}-{device}.txt"
    log(f"installing {lock}; this takes minutes")
    install = ("-m", "pip", "install", "-q")
    if device == "cpu":
        pins = {line.split("==")[0]: line for line in lock.read_text().splitlines() if line[:1] != "#"}
        if _run(python, *install, "--no-deps", pins["torch"], fails=True):
            _run(python, *install, "--no-deps", "--index-url", CPU_TORCH, pins["torch"])
        own_build = []
        if "wheel" in pins:  # a package that is built here, as DeepSpeed, must see the installed torch
            _run(python, *install, "--no-deps", pins["setuptools"], pins["wheel"])
            own_build = ["--no-build-isolation"]
        _run(python, *install, "--no-deps", *own_build, "-r", lock)
    else:
        _run(python, *install, "-r", lock)
    # without this package's own pins, which are for the core's environment
    _run(python, *install, "--no-deps", "--no-build-isolation", "-e", REPOSITORY)
    log("trying what it is for")
    for each in (*BACKENDS.values(), *ENGINES.values()):
        if each.environment == kind:
            _run(python, "-c", each.tries.format(device=device))
    return python


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA driver."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _run(python: Path, *arguments: str | Path, fails: bool = False) -> int:
    """Run the environment's Python."""
    # the environment must not import from this process's paths
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    environment["DS_BUILD_OPS"] = "0"  # DeepSpeed compiles what it needs when it needs it
    command = [str(part) for part in (python, *arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and not fails:
        last = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise EngineError(
            f"{' '.join(command)} failed:\n  {last}\nIs the network there? Run the same command again: it goes on "
            f"where this one stopped. This is Python {sys.version.split()[0]}, the lock was made with 3.11"
        )
    return done.returncode
