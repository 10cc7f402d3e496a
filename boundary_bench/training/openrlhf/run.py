"""Starting OpenRLHF, following its steps and ending it; a failure soon becomes an error with its last output."""

from __future__ import annotations

import ast
import getpass
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TextIO

from boundary_bench.core.errors import Interrupted, StoreError, TrainingError
from boundary_bench.core.files import write_text
from boundary_bench.study.training import Training
from boundary_bench.training import cpu_shim
from boundary_bench.training.openrlhf import guard, hook
from boundary_bench.training.segment import GENTLER

#: OpenRLHF's metrics of a step, by its own names.
Metrics = dict[str, float]

#: Remedies by pattern of an output line that tells more than the last line.
CAUSES = {
    r"out of memory|OutOfMemoryError": "a GPU ran out of memory: lower training.openrlhf.micro_batch or "
    "gpu_memory_utilization, or write adam_offload: true",
    r"No space left on device": "a disk is full: free some, and run the same command again",
    r"EngineDeadError|Engine core initialization failed": "a vLLM engine died: its own error is further up in the log",
    r"(GradingError|StoreError|DataError|StudyError|TrainingError): ": "see there",
    r"ConnectionError: .*[Rr]ay": "Ray cannot be reached: RAY_ADDRESS names a cluster that is not there",
}
#: A disk with fewer bytes is full: a step writes more.
FULL = 8 << 20
#: Fatal: the remaining processes may wait for the dead one forever.
FATAL = re.compile(r"EngineDeadError|Engine core initialization failed|ActorDiedError|RayActorError")
SECONDS_AFTER_FATAL = 60.0
#: Where PyTorch keeps code that it has compiled, unless TMPDIR is another one.
COMPILED = str(Path(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}"))
#: Marks a line with text of the model, which may contain anything.
SAMPLE = "Sample: ["


@dataclass(frozen=True)
class Launch:
    """One start of OpenRLHF.

    Attributes:
        folder: for the temporary files of Ray; removed in the end. Short, since Unix sockets go below it.
        output: file of all output.
        steps: file of the step lines.
    """

    words: list[str]
    folder: Path
    output: Path
    steps: Path

    @classmethod
    def of(cls, words: list[str], store: Path) -> Launch:
        """The launch of a run: the run's next log files, and always the same temporary folder."""
        logs = store / "openrlhf"
        number = 1 + max((int(path.stem) for path in logs.glob("*.steps")), default=0)
        short = sha256(str(store.absolute()).encode()).hexdigest()[:8]
        folder = Path(os.environ.get("RAY_TMPDIR", "/tmp"), f"bb-{short}")
        return cls(words, folder, logs / f"{number}.log", logs / f"{number}.steps")


def environment(training: Training, launch: Launch) -> dict[str, str]:
    """The environment variables of OpenRLHF and of all processes that it starts, on every machine."""
    own = {
        "RAY_TMPDIR": str(launch.folder),
        "TMPDIR": str(launch.folder),
        # compiled code, in its usual place: in the temporary folder every start would compile it for minutes
        "TORCHINDUCTOR_CACHE_DIR": os.environ.get("TORCHINDUCTOR_CACHE_DIR", COMPILED),
        "VLLM_RPC_BASE_PATH": str(launch.folder),
        "RAY_RUNTIME_ENV_HOOK": f"{hook.__name__}.runtime_env",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_COLOR_PREFIX": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(launch.folder / "datasets"),
        "TOKENIZERS_PARALLELISM": "false",
        hook.STEPS: str(launch.steps),
        hook.DEVICE: training.device,
    }
    path = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    if training.device == "cpu":
        gpus = training.openrlhf.gpus_each
        own |= {
            "RAY_OVERRIDE_RESOURCES": f'{{"CPU": {8 * gpus}, "GPU": {gpus}}}',
            "DS_ACCELERATOR": "cpu",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": "1",
        }
        path.append(str(Path(cpu_shim.__file__).parent))
    own["PYTHONPATH"] = os.pathsep.join(path)
    if training.openrlhf.nodes == 1:
        own["RAY_ADDRESS"] = "local"
    passed = ",".join(name for name in own if not name.startswith("RAY_"))
    return {**os.environ, **own, "BOUNDARY_BENCH_PASS": passed}


def supervise(
    launch: Launch,
    training: Training,
    on_step: Callable[[int, Metrics], None],
    stopped: Callable[[], bool],
) -> None:
    """Run OpenRLHF to its end and pass its steps to ``on_step``; no process of it is left running afterwards.

    Raises:
        TrainingError: OpenRLHF failed or stalled, or ``on_step`` raised.
        StoreError: the temporary folder cannot be made.
        Interrupted: ``stopped`` returned True.
    """
    _wait_for_the_last(launch.folder)
    shutil.rmtree(launch.folder, ignore_errors=True)
    try:
        launch.folder.mkdir(parents=True)
    except OSError as fault:
        raise StoreError(f"cannot make {launch.folder}: {fault.strerror}; name another one by RAY_TMPDIR") from None
    write_text(launch.steps, "")
    write_text(launch.steps.with_suffix(".sh"), shlex.join(launch.words) + "\n")
    guarded = [sys.executable, "-P", guard.__file__, str(os.getpid()), str(launch.folder), *launch.words]
    with open(launch.output, "wb") as output, open(launch.steps, encoding="utf-8") as steps:
        process = subprocess.Popen(
            guarded, stdout=output, stderr=subprocess.STDOUT, env=environment(training, launch), cwd=launch.folder
        )
        try:
            code = _follow(process, launch, training, steps, on_step, stopped)
        finally:
            process.terminate()
            process.wait()
    if code and stopped():  # the signal went to the whole group, and the guard reacted first
        raise Interrupted("stopped by a signal")
    if code:
        raise TrainingError(f"OpenRLHF ended with exit code {code}. {said(launch.output)}")


def _follow(
    process: subprocess.Popen[bytes],
    launch: Launch,
    training: Training,
    steps: TextIO,
    on_step: Callable[[int, Metrics], None],
    stopped: Callable[[], bool],
) -> int:
    """Pass steps to ``on_step`` until the process ends; returns its exit code."""
    limit, last, fatal = training.openrlhf.stall_minutes, time.monotonic(), None
    with open(launch.output, encoding="utf-8", errors="replace") as output:
        while True:
            code = _wait(process)
            for step, metrics in _told(steps):
                on_step(step, metrics)
                last = time.monotonic()
            if code is not None:
                return code
            if stopped():
                raise Interrupted("stopped by a signal")
            if fatal is None and any(FATAL.search(line) and SAMPLE not in line for line in output):
                fatal = time.monotonic()
            if fatal is not None and time.monotonic() - fatal > SECONDS_AFTER_FATAL:
                raise TrainingError(f"a part of OpenRLHF died, and the rest waits for it. {said(launch.output)}")
            if time.monotonic() - last > limit * 60:
                raise TrainingError(
                    f"no step for {limit:g} minutes (training.openrlhf.stall_minutes), so that something of OpenRLHF "
                    f"hangs. {said(launch.output)}"
                )


def _wait_for_the_last(folder: Path) -> None:
    """Wait until the guard of an earlier start with a killed supervisor has ended it."""
    due = time.monotonic() + 6 * guard.SECONDS_TO_END
    while others := guard.guards(str(folder)):
        if time.monotonic() > due:
            raise TrainingError(
                f"an earlier start of this run does not end: found its processes below {others}, expected none; end "
                "them, and run the same command again"
            )
        time.sleep(0.2)


def history(store: Path) -> list[tuple[int, Metrics]]:
    """The steps of all launches of a run, each from the last launch that made it.

    The step log does not suffice: a killed supervisor has not read the last lines, but OpenRLHF may have saved those
    steps.
    """
    found: dict[int, Metrics] = {}
    for path in sorted((store / "openrlhf").glob("*.steps"), key=lambda path: int(path.stem)):
        with open(path, encoding="utf-8") as steps:
            for step, metrics in _told(steps):
                found = {known: value for known, value in found.items() if known < step} | {step: metrics}
    return sorted(found.items())


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return None


def _told(steps: TextIO) -> Iterator[tuple[int, Metrics]]:
    """The new steps in the file; an incomplete last line is left for the next call."""
    begun = steps.tell()
    while (line := steps.readline()).endswith("\n"):
        if (found := read_step(line)) is not None:
            yield found
        begun = steps.tell()
    steps.seek(begun)


def read_step(line: str) -> tuple[int, Metrics] | None:
    """A step and its numbers; None for another line.

    >>> read_step("✨ Global step 3: {'reward': 0.5, 'kl': nan}")
    (3, {'reward': 0.5, 'kl': nan})
    """
    found = re.fullmatch(re.escape(hook.SIGN) + r"(\d+): (\{.*\})\s*", line)
    if not found:
        return None
    # nan and inf are no Python literals
    text = re.sub(r"(?<=: )(-?)(nan|inf)\b", r"'\1\2'", found[2])
    return int(found[1]), {name: float(value) for name, value in ast.literal_eval(text).items()}


def check_step(step: int, metrics: Metrics, limit: float) -> None:
    """Refuse to continue after a faulty step.

    Raises:
        TrainingError: a metric is not finite, the prompts belong to another step, the advantages differ from the
            agent's, or vLLM's weights differ from the trainer's.
    """
    for name in ("policy_loss", "actor_grad_norm", "return"):
        if not math.isfinite(metrics[name]):
            raise TrainingError(f"step {step}: {name} is {metrics[name]}, expected a finite number; {GENTLER}")
    if metrics["step"] != step:
        raise TrainingError(
            f"step {step}: found prompts of step {metrics['step']:g}, expected those of the step in their order; a "
            "flag under training.openrlhf.flags changes it, or OpenRLHF is not the pinned one"
        )
    # OpenRLHF may keep advantages in bfloat16
    if abs(metrics["return"] - metrics["advantage"]) > 0.01 * (metrics["positive_mass"] + metrics["negative_mass"]):
        raise TrainingError(
            f"step {step}: found a mean advantage of {metrics['return']:.6f}, expected {metrics['advantage']:.6f}, the "
            "algorithm's; a flag under training.openrlhf.flags changes it, or OpenRLHF is not the pinned one"
        )
    mismatch = abs(metrics.get("vllm_kl", 0.0))
    if not mismatch <= limit:
        raise TrainingError(
            f"step {step}: log-probabilities of vLLM and of the trainer differ by {mismatch:.4f} in the mean, expected "
            f"{limit:g} at most (training.openrlhf.mismatch): the weights do not reach vLLM, or it computes other "
            "numbers. Are these the pinned versions? With ZeRO stage 3, try 2"
        )


def said(output: Path) -> str:
    """The end of OpenRLHF's output, or its telling line with the remedy, if one is known."""
    with open(output, "rb") as file:
        file.seek(max(0, output.stat().st_size - 200_000))
        lines = file.read().decode(errors="replace").splitlines()
    # then the output may be cut, and PyTorch says nothing clear of it
    if (free := shutil.disk_usage(output).free) < FULL:
        return f"a disk is full: {free:,} bytes are left for {output}; free some, and run the same command again"
    for line in reversed([line for line in lines if SAMPLE not in line]):
        for pattern, meaning in CAUSES.items():
            if re.search(pattern, line):
                return f"It says: {line.strip()[-400:]}\n{meaning} ({output})"
    last = "\n  ".join(line[-200:] for line in lines if line.strip()) if lines else "nothing"
    return "The end of " + f"{output}:\n  " + "\n  ".join(last.splitlines()[-15:])
