"""What this machine has, and what each part unlocks."""

from __future__ import annotations

import shutil
from importlib import metadata

from boundary_bench import provenance

PARTS = {
    "torch": ("reference trainer and torch engine", "pip install 'torch==2.13.*'"),
    "transformers": ("reference trainer, any Hugging Face causal LM", "pip install transformers"),
    "snakemake": ("the workflow", "pip install snakemake"),
    "matplotlib": ("figures", "pip install matplotlib"),
    "pytest": ("the tests", "pip install -e '.[test]'"),
    "trl": ("the trainer benchmark", "pip install -e '.[bench]'"),
    "snakemake-executor-plugin-slurm": ("SLURM clusters", "pip install snakemake-executor-plugin-slurm"),
}


def doctor() -> str:
    """A table of parts, their versions and what they unlock, then GPU and disk."""
    lines = []
    for name, (unlocks, remedy) in PARTS.items():
        try:
            lines.append(f"  ok       {name:<34}{metadata.version(name):<14}{unlocks}")
        except metadata.PackageNotFoundError:
            lines.append(f"  missing  {name:<34}{'':<14}{unlocks}: {remedy}")
    machine, disk = provenance.machine(), shutil.disk_usage(".")
    lines += [
        f"  machine  {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
        f"  gpu      {_gpus()}",
        f"  disk     {disk.free / 2**30:.0f} GiB free here",
    ]
    return "\n".join(lines)


def _gpus() -> str:
    try:
        import torch
    except ImportError:
        return "unknown (torch is missing)"
    if not torch.cuda.is_available():
        return "none: studies run on the CPU (training.device: cpu, sampling.device: cpu)"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
