"""Where OpenRLHF runs: this machine, or several nodes of a SLURM job, on which Ray is started first.

Run as a program in a job of several nodes:  python -m ...cluster NODES GPUS_EACH GPUS_NEEDED COMMAND...
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from boundary_bench.core.errors import EXIT_USER_ERROR, BoundaryBenchError, TrainingError
from boundary_bench.study.training import Training
from boundary_bench.training.openrlhf import guard

#: Time for Ray to start on all nodes.
SECONDS_TO_START = 300
#: Time for the guards to end Ray.
SECONDS_TO_STOP = 90
STEP = "boundary-bench-ray"


def check_gpus(training: Training) -> None:
    """Refuse to train on a single machine with too few GPUs, since Ray would wait for missing ones forever."""
    if training.device != "cuda" or training.openrlhf.nodes > 1:
        return
    import torch

    need, found = training.openrlhf.gpus_needed, torch.cuda.device_count()
    if found < need:
        raise TrainingError(
            f"the study trains on {need} GPU(s) (training.openrlhf: gpus, and engines x tensor_parallel unless they "
            f"colocate), found {found} here; lower them, or ask the scheduler for more. Without any GPU: device: cpu"
        )


def words(training: Training, inner: list[str]) -> list[str]:
    """The command line that starts Ray if needed and runs ``inner``.

    Raises:
        TrainingError: the study asks for several nodes, but this is no SLURM job and RAY_ADDRESS is not set, or nothing
            answers there.
    """
    own = training.openrlhf
    if own.nodes == 1:
        return inner
    if (address := os.environ.get("RAY_ADDRESS")) is not None:
        check_address(address)
        return inner
    if "SLURM_JOB_ID" not in os.environ:
        raise TrainingError(
            f"training.openrlhf.nodes: {own.nodes}, found neither a SLURM job (SLURM_JOB_ID) nor a Ray cluster "
            "(RAY_ADDRESS); start one of them, or write nodes: 1"
        )
    counts = (own.nodes, own.gpus_each, own.gpus_needed)
    return [sys.executable, "-m", __name__, *map(str, counts), *inner]


def check_address(address: str) -> None:
    """Refuse a Ray address at which nothing answers."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as fault:
        raise TrainingError(
            f"RAY_ADDRESS={address}: nothing answers there ({fault}), expected host:port of a running Ray; start it "
            "(ray start --head), or unset RAY_ADDRESS"
        ) from None


def hosts() -> list[str]:
    """The nodes of this SLURM job."""
    # from the controller, since not every launcher passes the variable with the list on
    nodes = _asked(["squeue", "-h", "-j", os.environ["SLURM_JOB_ID"], "-o", "%N"]).strip()
    return _asked(["scontrol", "show", "hostnames", nodes]).split()


def _asked(words: list[str]) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=SECONDS_TO_START)
    except (OSError, subprocess.SubprocessError) as fault:
        said = getattr(fault, "stderr", None) or fault
        raise TrainingError(f"{' '.join(words)} failed: {said}; is SLURM there, and does this job still run?") from None
    return done.stdout


def start_ray(nodes: int, gpus: int, seconds: float, started: list[subprocess.Popen[bytes]]) -> str:
    """Start Ray on every node of the job, its head on the first; returns its address.

    The processes are appended to ``started``, also on failure, for ``stop_ray``. The guards have the same temporary
    folder on every node, since Ray uses the path of its head everywhere.
    """
    names = hosts()
    if len(names) < nodes:
        raise TrainingError(f"this SLURM job has {len(names)} node(s), expected training.openrlhf.nodes: {nodes}")
    folder, port = os.environ["RAY_TMPDIR"], 20000 + int(os.environ["SLURM_JOB_ID"]) % 20000
    srun = ["srun", "--overlap", "--cpu-bind=none", "-N1", "-n1", f"--job-name={STEP}", "-w"]
    # by address, since the network may not resolve a node's name
    ask = "import ray; print(ray.util.get_node_ip_address())"
    host = _asked([*srun, names[0], sys.executable, "-c", ask]).split()[-1]
    address = f"{host}:{port}"
    first = ["--head", f"--port={port}", f"--node-ip-address={host}", "--include-dashboard=false"]
    for rank, name in enumerate(names[:nodes]):
        ray = [str(Path(sys.executable).with_name("ray")), "start", "--block", f"--num-gpus={gpus}"]
        ray += [*first, f"--temp-dir={folder}"] if rank == 0 else [f"--address={address}"]
        # on another node the guard's parent is a SLURM process, which ends with the job
        guarded = ["bash", "-c", 'exec "$0" -P "$1" $PPID "${@:2}"', sys.executable, guard.__file__, folder, *ray]
        started.append(subprocess.Popen([*srun, name, *guarded]))
        if rank == 0:
            _until(lambda: _answers(address), started, seconds, f"the head of Ray on {name}")
    _until(lambda: alive(address)[0] >= nodes, started, seconds, f"Ray on all of {', '.join(names[:nodes])}")
    return address


def stop_ray(started: list[subprocess.Popen[bytes]]) -> None:
    """Have the guards end Ray on all nodes before SLURM kills them uncleaned at the end of srun or of the job.

    Failures here are left to SLURM: the command has ended, and only its exit code counts.
    """
    ask = ["squeue", "-h", "-s", "-j", os.environ["SLURM_JOB_ID"], "-o", "%i|%j"]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False).stdout
    steps = [step for step, _, name in (line.partition("|") for line in answer.splitlines()) if name == STEP]
    for step in steps:  # one at a time: scancel skips the rest of several steps if one has ended
        subprocess.run(["scancel", "--signal=TERM", step], capture_output=True, check=False)
    due = time.monotonic() + SECONDS_TO_STOP
    for process in started:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, due - time.monotonic()))


def _until(ready: Callable[[], object], started: list[subprocess.Popen[bytes]], seconds: float, what: str) -> None:
    due = time.monotonic() + seconds
    while not ready():
        dead = [process.returncode for process in started if process.poll() is not None]
        if dead or time.monotonic() > due:
            found = f"it ended with exit code {dead[0]}" if dead else f"it was not there after {seconds:g} s"
            raise TrainingError(f"waited for {what}: {found}; what it said is above")
        time.sleep(1.0)


def _answers(address: str) -> bool:
    try:
        check_address(address)
    except TrainingError:
        return False
    return True


def alive(address: str) -> tuple[int, int]:
    """Number of live nodes of a Ray cluster, and of its GPUs."""
    code = (
        "import ray, sys; ray.init(sys.argv[1], log_to_driver=False); "
        "print(sum(n['Alive'] for n in ray.nodes()), int(ray.cluster_resources().get('GPU', 0)))"
    )
    done = subprocess.run([sys.executable, "-c", code, address], capture_output=True, text=True, check=False)
    if done.returncode:
        return 0, 0
    nodes, gpus = done.stdout.split()[-2:]
    return int(nodes), int(gpus)


def main(nodes: str, gpus: str, needed: str, *inner: str) -> int:
    """Start Ray, count its GPUs and run the command in it; returns the command's exit code."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        address = start_ray(int(nodes), int(gpus), SECONDS_TO_START, started)
        if (found := alive(address)[1]) < int(needed):
            raise TrainingError(f"the study trains on {needed} GPU(s), and Ray has {found} on its {nodes} nodes")
        return subprocess.call(inner, env={**os.environ, "RAY_ADDRESS": address})
    except BoundaryBenchError as fault:
        print(f"TrainingError: {fault}", file=sys.stderr, flush=True)
        return EXIT_USER_ERROR
    finally:
        stop_ray(started)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
