"""The GPUs of one machine: a job takes free ones for itself, so that no two jobs compute on one.

How many a job needs is the study's to say, how many jobs run is Snakemake's or a scheduler's; which ones a job gets is
decided here. Nothing of CUDA is imported: it looks at its environment once, when it starts.
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

from boundary_bench.core.errors import CardsError, Interrupted

#: One folder for everybody on the machine, whatever TMPDIR says: a lock that others do not see is none.
LOCKS = Path("/tmp/boundary-bench-gpus")
SECONDS_BETWEEN_LOOKS = 1.0
#: nvidia-smi counts in the order of the bus; CUDA does only if it is told to, and else starts with the fastest.
ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
COMMAND = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
VISIBLE = "CUDA_VISIBLE_DEVICES"


@contextmanager
def hold(count: int, log: Callable[[str], None], stopped: Callable[[], bool]) -> Iterator[None]:
    """Hold ``count`` GPUs of those in sight alone, waiting until so many are free at once.

    This process and its children see these alone from then on, if nothing has started CUDA before; with a count of 0
    nothing is looked at and nothing is changed. Cards that a scheduler gave to this job are free, and taken at once.

    Raises:
        CardsError: fewer are in sight, or they cannot be listed or locked.
        Interrupted: ``stopped`` said so while it waited.
    """
    if not count:
        yield
        return
    with claim(visible(listing(), os.environ.get(VISIBLE)), count, log, stopped) as names:
        log(f"on GPU {', '.join(names)}")
        os.environ.update({VISIBLE: ",".join(names), **ORDER})
        yield


def listing() -> str:
    """What nvidia-smi says of the GPUs of this machine: a line ``index, uuid`` each."""
    try:
        return subprocess.run(COMMAND, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as fault:
        said = (getattr(fault, "stdout", None) or "").strip() or fault
        raise CardsError(
            f"the study asks for device: cuda, and nvidia-smi does not list the GPUs of this machine ({said}); write "
            "device: cpu, or make `nvidia-smi` work here (driver; in a container --nv or --gpus all)"
        ) from None


def visible(listing: str, chosen: str | None) -> dict[str, str]:
    """The GPUs in sight: what CUDA is to call them, by UUID.

    Args:
        listing: see ``listing``.
        chosen: ``CUDA_VISIBLE_DEVICES``: indices or beginnings of UUIDs, read as CUDA reads them, which takes no notice
            of the first that is none, and of all after it. Parts of a GPU (MIG) are in no listing, and believed.

    >>> visible("0, GPU-aa\\n1, GPU-bb\\n", None)
    {'GPU-aa': '0', 'GPU-bb': '1'}
    >>> visible("0, GPU-aa\\n1, GPU-bb\\n", "GPU-b,NoDevFiles,0")
    {'GPU-bb': 'GPU-b'}
    """
    index_of: dict[str, str] = {}
    for line in listing.splitlines():
        if (found := re.fullmatch(r"(\d+), (GPU-[0-9A-Fa-f-]+)", line.strip())) is None:
            raise CardsError(
                f"nvidia-smi says {line!r}, expected a line like '0, GPU-8a56...' for each GPU; look at `nvidia-smi`"
            )
        index_of[found[2]] = found[1]
    if chosen is None:
        return index_of
    cards: dict[str, str] = {}
    for name in map(str.strip, chosen.split(",")):
        begins = name.startswith("GPU-")
        same = [uuid for uuid, index in index_of.items() if (uuid.startswith(name) if begins else index == name)]
        if name.startswith("MIG-"):
            same = [name]
        if len(same) != 1:
            break
        cards.setdefault(same[0], name)
    return cards


@contextmanager
def claim(
    cards: Mapping[str, str], count: int, log: Callable[[str], None], stopped: Callable[[], bool], locks: Path = LOCKS
) -> Iterator[list[str]]:
    """Lock ``count`` of some GPUs, all at once; their names.

    Advisory locks on files named by UUID, which says the same in every job, while an index depends on what a scheduler
    lets it see. The kernel releases them when their holder dies, however it dies.

    Args:
        cards: see ``visible``.
        locks: folder of the locks.

    Raises:
        CardsError: there are fewer, or the folder cannot be used.
        Interrupted: ``stopped`` said so while it waited.
    """
    if len(cards) < count:
        raise CardsError(
            f"this job needs {count} GPU(s), found {len(cards)} in sight ({', '.join(cards) or 'none'}; "
            f"{VISIBLE}={os.environ.get(VISIBLE, 'unset')}); lower training.openrlhf.gpus or "
            "sampling.vllm.tensor_parallel, or ask the scheduler for more. Without any GPU: device: cpu"
        )
    with ExitStack() as held:
        waiting = False
        while not (taken := _take(cards, count, held, locks)):
            if not waiting:
                log(f"waiting: other jobs have GPUs, and {count} of {', '.join(cards.values())} must be free at once")
            waiting = True
            if stopped():
                raise Interrupted("stopped by a signal while it waited for GPUs; run the same command again")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        yield taken


def _take(cards: Mapping[str, str], count: int, held: ExitStack, locks: Path) -> list[str]:
    """Lock the first free ones, as many as are needed or none: two jobs that each keep some would wait for ever."""
    try:
        locks.mkdir(parents=True, exist_ok=True)
        if locks.stat().st_uid == os.geteuid():
            locks.chmod(0o1777)  # other users lock the same cards; nobody removes another's files
        with FileLock(locks / "turn", mode=0o666), ExitStack() as found:  # looking and taking are one step
            taken: list[str] = []
            for uuid, name in cards.items():
                try:
                    found.enter_context(FileLock(locks / quote(uuid, safe=""), timeout=0, mode=0o666))
                except Timeout:
                    continue
                taken.append(name)
                if len(taken) == count:
                    held.push(found.pop_all())
                    return taken
    except OSError as fault:
        raise CardsError(f"cannot lock GPUs in {locks}: {fault.strerror or fault}; is the folder writable?") from None
    return []
