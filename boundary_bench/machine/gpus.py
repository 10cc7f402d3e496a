"""The GPUs of one machine: a job locks free ones, so that no two jobs compute on the same GPU.

The study says how many GPUs a job needs, Snakemake or a scheduler how many jobs run; this module chooses the GPUs.
Nothing here imports CUDA, which reads its environment variables once, when it starts.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from boundary_bench.core.errors import GpuError, Interrupted

#: One folder for all users of the machine, independent of TMPDIR: a lock must be visible to all.
LOCKS = Path("/tmp/boundary-bench-gpus")
SECONDS_BETWEEN_LOOKS = 1.0
#: nvidia-smi numbers GPUs in bus order; CUDA does so only with this setting, by default the fastest comes first.
ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
COMMAND = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
VISIBLE = "CUDA_VISIBLE_DEVICES"


@contextmanager
def hold(count: int, log: Callable[[str], None], stopped: Callable[[], bool]) -> Iterator[None]:
    """Hold ``count`` of the visible GPUs exclusively, waiting until that many are free at once.

    From then on this process and its children see only these, unless CUDA was started before. With a count of 0
    nothing is checked or changed. GPUs that a scheduler gave to this job are free, and taken at once.

    Raises:
        GpuError: fewer are visible, or they cannot be listed or locked.
        Interrupted: ``stopped`` returned true during the wait.
    """
    if not count:
        yield
        return
    with claim(visible(listing(), os.environ.get(VISIBLE)), count, log, stopped) as names:
        log(f"on GPU {', '.join(names)}")
        os.environ.update({VISIBLE: ",".join(names), **ORDER})
        yield


def listing() -> str:
    """The GPUs of this machine as nvidia-smi lists them: a line ``index, uuid`` each."""
    try:
        return subprocess.run(COMMAND, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as fault:
        said = (getattr(fault, "stdout", None) or "").strip() or fault
        raise GpuError(
            f"the study asks for device: cuda, and nvidia-smi does not list the GPUs of this machine ({said}); write "
            "device: cpu, or make `nvidia-smi` work here (driver; in a container --nv or --gpus all)"
        ) from None


def visible(listing: str, chosen: str | None) -> dict[str, str]:
    """The visible GPUs: by UUID, the name to give to CUDA.

    Args:
        listing: see ``listing``.
        chosen: ``CUDA_VISIBLE_DEVICES``: indices or UUID prefixes. Like CUDA, everything from the first invalid entry
            on is ignored. MIG devices are not listed by nvidia-smi and are accepted unchecked.

    >>> visible("0, GPU-aa\\n1, GPU-bb\\n", None)
    {'GPU-aa': '0', 'GPU-bb': '1'}
    >>> visible("0, GPU-aa\\n1, GPU-bb\\n", "GPU-b,NoDevFiles,0")
    {'GPU-bb': 'GPU-b'}
    """
    index_of: dict[str, str] = {}
    for line in listing.splitlines():
        if (found := re.fullmatch(r"(\d+), (GPU-[0-9A-Fa-f-]+)", line.strip())) is None:
            raise GpuError(
                f"nvidia-smi says {line!r}, expected a line like '0, GPU-8a56...' for each GPU; look at `nvidia-smi`"
            )
        index_of[found[2]] = found[1]
    if chosen is None:
        return index_of
    gpus: dict[str, str] = {}
    for name in map(str.strip, chosen.split(",")):
        begins = name.startswith("GPU-")
        same = [uuid for uuid, index in index_of.items() if (uuid.startswith(name) if begins else index == name)]
        if name.startswith("MIG-"):
            same = [name]
        if len(same) != 1:
            break
        gpus.setdefault(same[0], name)
    return gpus


@contextmanager
def claim(
    gpus: Mapping[str, str], count: int, log: Callable[[str], None], stopped: Callable[[], bool], locks: Path = LOCKS
) -> Iterator[list[str]]:
    """Lock ``count`` of the given GPUs, all at once; yields their names for CUDA.

    The locks are advisory, on files named by UUID: an index depends on the GPUs that a scheduler shows to a job. The
    kernel releases the locks when the holder dies.

    Args:
        gpus: see ``visible``.
        locks: folder of the locks.
    """
    if len(gpus) < count:
        raise GpuError(
            f"this job needs {count} GPU(s), found {len(gpus)} in sight ({', '.join(gpus) or 'none'}; "
            f"{VISIBLE}={os.environ.get(VISIBLE, 'unset')}); lower training.openrlhf.gpus or "
            "sampling.vllm.tensor_parallel, or ask the scheduler for more. Without any GPU: device: cpu"
        )
    with ExitStack() as held:
        waiting = False
        while not (taken := _take(gpus, count, held, locks)):
            if not waiting:
                log(f"waiting: other jobs have GPUs, and {count} of {', '.join(gpus.values())} must be free at once")
            waiting = True
            if stopped():
                raise Interrupted("stopped by a signal while it waited for GPUs; run the same command again")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        yield taken


def _take(gpus: Mapping[str, str], count: int, held: ExitStack, locks: Path) -> list[str]:
    """Lock the first ``count`` free GPUs, or none: two jobs that each keep some would deadlock."""
    try:
        locks.mkdir(parents=True, exist_ok=True)
        if locks.stat().st_uid == os.geteuid():
            locks.chmod(0o1777)  # other users lock the same GPUs; nobody removes another's files
        with FileLock(locks / "turn", mode=0o666), ExitStack() as found:  # makes check and acquisition one step
            taken: list[str] = []
            for uuid, name in gpus.items():
                try:
                    found.enter_context(FileLock(locks / quote(uuid, safe=""), timeout=0, mode=0o666))
                except Timeout:
                    continue
                taken.append(name)
                if len(taken) == count:
                    held.push(found.pop_all())
                    return taken
    except OSError as fault:
        raise GpuError(f"cannot lock GPUs in {locks}: {fault.strerror or fault}; is the folder writable?") from None
    return []
