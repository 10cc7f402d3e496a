"""A small training job and what it leaves behind, for the tests of the reference trainer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from boundary_bench.algorithms import ALGORITHMS, resolve
from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.benchmarks import KINDS
from boundary_bench.benchmarks.base import Problem
from boundary_bench.study.training import Training
from boundary_bench.training.rollouts import TrainingJob

END = 1
SETTINGS = {"benchmark": "countdown", "segments": [6], "prompts": 6, "rollouts": 8, "updates_per_rollout": 2}
SETTINGS |= {"lr": 1e-3, "warmup": 0, "max_tokens": 16, "state_every": 2}
TIMES = ("seconds_rollout", "seconds_update")


def quiet(line: str) -> None:
    """A log that keeps nothing."""


def problems() -> list[Problem]:
    """Two numbers each, which the tiny model gets right now and then, and two prompt lengths."""
    kind = KINDS["countdown"]
    return kind.generate("train", 0, kind.options.model_copy(update={"problems": {2: 14, 3: 4}}))


def grpo(**changes: Any) -> Algorithm:
    """GRPO with a study's changes."""
    return resolve("mine", {"like": "grpo", **changes})


def job(algorithm: Algorithm = ALGORITHMS["grpo"], seed: int = 0, **changes: Any) -> TrainingJob:
    training = Training.model_validate({**SETTINGS, **changes})
    return TrainingJob(algorithm, training, KINDS["countdown"], problems(), seed)


def steps(store: Path) -> list[dict[str, Any]]:
    """The step log without what no two runs share: the seconds."""
    rows = [json.loads(line) for line in (store / "steps.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def same_weights(one: Path, other: Path) -> bool:
    return (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
