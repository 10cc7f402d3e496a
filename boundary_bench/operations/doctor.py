"""The parts installed on this machine, and what each of them unlocks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec

from boundary_bench.core import provenance
from boundary_bench.study.backends import BACKENDS

PARTS = {
    "torch": ("reference trainer and torch engine", "pip install 'torch==2.13.*'"),
    "transformers": ("reference trainer, any Hugging Face causal LM", "pip install transformers"),
    "snakemake": ("the workflow", "pip install snakemake"),
    "matplotlib": ("figures", "pip install matplotlib"),
    "datasets": ("sets of the hub, folders of problems", "pip install -e '.[hub]'"),
    "lm_eval": ("benchmarks lm_eval:TASK", "pip install -e '.[eval]'"),
    "reasoning-gym": ("benchmarks reasoning_gym:NAME", "pip install -e '.[gym]'"),
    "pytest": ("the tests", "pip install -e '.[test]'"),
    **{
        backend.package: (
            f"backend {name}",
            f"an environment of its own: boundary-bench env create {backend.environment}",
        )
        for name, backend in BACKENDS.items()
        if backend.package
    },
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
    lines.append(_vllm())
    machine, disk = provenance.machine(), shutil.disk_usage(".")
    lines += [
        f"  machine  {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
        f"  gpu      {_gpus()}",
        f"  disk     {disk.free / 2**30:.0f} GiB free here",
    ]
    return "\n".join(lines)


def _vllm() -> str:
    """The line on vLLM; the import is tried, since an installed vLLM may be broken."""
    unlocks = "vLLM engine"
    if find_spec("vllm") is None:
        return f"  missing  {'vllm':<48}{unlocks}, in an environment of its own: boundary-bench env create sample"
    code = "import vllm; print(vllm.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        cause = done.stderr.strip().splitlines()[-1]
        return f"  broken   {'vllm':<48}{unlocks}: {cause}; make it anew: boundary-bench env create sample"
    return f"  ok       {'vllm':<34}{done.stdout.split()[-1]:<14}{unlocks}"


def _gpus() -> str:
    try:
        import torch
    except ImportError:
        return "unknown (torch is missing)"
    if not torch.cuda.is_available():
        return "none: studies run on the CPU (training.device: cpu, sampling.device: cpu)"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
