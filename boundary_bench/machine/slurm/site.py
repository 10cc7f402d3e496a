"""The site of a cluster: partitions and account from the environment, GPUs of a node from SLURM."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata

from boundary_bench.core.errors import EXIT_USER_ERROR, ClusterError
from boundary_bench.machine.slurm import polling

PLUGIN = "snakemake-executor-plugin-slurm"
#: Variable for the workflow, which refuses a study that needs more GPUs on one machine.
GPUS_PER_NODE = "BOUNDARY_BENCH_GPUS_PER_NODE"
SECONDS_TO_ANSWER = 60


@dataclass(frozen=True)
class Site:
    """Partitions and account of the jobs; None: the cluster's default."""

    partition: str | None
    gpu_partition: str | None
    account: str | None


def ready() -> Site:
    """The site, after checks that the plugin is installed, SLURM answers and the partitions exist; mends the plugin.

    The profile calls this before Snakemake starts. A failed check ends the process with a message, since Snakemake
    would show an exception as a fault of the profile's YAML.
    """
    try:
        return _ready()
    except ClusterError as fault:
        print(f"boundary-bench: {fault}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)


def _ready() -> Site:
    try:
        import snakemake_executor_plugin_slurm as plugin
    except ModuleNotFoundError:
        raise ClusterError(f"found no {PLUGIN} in {sys.prefix}; pip install -e '.[slurm]'") from None
    if shutil.which("sbatch") is None:
        raise ClusterError(
            "found no sbatch on the PATH; start this on a login node of a SLURM cluster (on some after: module load "
            "slurm), or without a cluster as: snakemake --cores all"
        )
    polling.mend(plugin, metadata.version(PLUGIN))
    site = Site(*(os.environ.get(f"BOUNDARY_BENCH_{name}") for name in ("PARTITION", "GPU_PARTITION", "ACCOUNT")))
    gpus = partitions()
    for name, wanted in (("PARTITION", site.partition), ("GPU_PARTITION", site.gpu_partition)):
        if wanted is not None and wanted not in gpus:
            raise ClusterError(
                f"BOUNDARY_BENCH_{name}={wanted}: this cluster has no such partition; it has {', '.join(sorted(gpus))}"
            )
    chosen = site.gpu_partition or site.partition
    os.environ.setdefault(GPUS_PER_NODE, str(gpus[chosen] if chosen else max(gpus.values(), default=0)))
    return site


def partitions() -> dict[str, int]:
    """The partitions of the cluster, each with the largest number of GPUs on one of its nodes."""
    command = ["sinfo", "--noheader", "--all", "--format=%R|%G"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS_TO_ANSWER)
    except (OSError, subprocess.SubprocessError) as fault:
        said = str(getattr(fault, "stderr", None) or fault).strip()
        raise ClusterError(f"SLURM does not answer: {' '.join(command)}: {said}; is its controller up?") from None
    found: dict[str, int] = {}
    for line in done.stdout.splitlines():
        name, generic = line.split("|", 1)
        counts = [int(count) for count in re.findall(r"\bgpu(?::[^:,()]+)?:(\d+)", generic)]
        found[name] = max([found.get(name, 0), *counts])
    return found
