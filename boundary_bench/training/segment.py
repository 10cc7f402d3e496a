"""One segment of a run, shared by the trainers: resume, keep the log and the state, deliver the checkpoint."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from boundary_bench.core import provenance
from boundary_bench.core.errors import Interrupted, TrainingError
from boundary_bench.core.files import atomic, write_json
from boundary_bench.models.config import check_context, context_of
from boundary_bench.models.folder import RECORD
from boundary_bench.training import state, step_log
from boundary_bench.training.rollouts import TrainingJob

GENTLER = (
    "the checkpoints before this step are kept. Lower training.lr or training.updates_per_rollout, or raise "
    "training.warmup"
)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


@dataclass(frozen=True)
class Segment:
    """A run up to step ``stop``, resumed from its store; the caller holds the store's lease."""

    job: TrainingJob
    base: Path
    store: Path
    stop: int
    log: Callable[[str], None]
    stopped: Callable[[], bool]

    @property
    def folder(self) -> Path:
        """The folder of the checkpoint."""
        return state.step_folder(self.store, self.stop)

    def delivered(self) -> bool:
        """Whether the checkpoint exists already."""
        if self.folder.exists():
            self.log(f"step {self.stop} is already in the store")
            return True
        return False

    def prompts(self, tokenizer: Any, config: dict[str, Any]) -> dict[str, list[int]]:
        """The token ids of every problem's prompt, by problem id; refuses prompts that do not fit the context."""
        prompts = {problem.id: self.job.prompting.ids(tokenizer, problem.prompt) for problem in self.job.problems}
        check_context(context_of(config), prompts, self.job.training.max_tokens, "training.max_tokens")
        return prompts

    def check_reached(self, step: int) -> None:
        """Refuse a store with its newest state, at ``step``, past the segment's end."""
        if step > self.stop:
            raise TrainingError(
                f"{self.store} has been trained to step {step} and step {self.stop} was not kept on the way, so it "
                f"cannot be had from there: choose a kept step, or delete {self.store} to train this run again"
            )

    def resume(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Load the newest saved state and return its step; 0 if there is none."""
        saved = state.saved_steps(self.store)
        self.check_reached(saved[-1] if saved else 0)
        if not saved:
            step_log.rewind(self.store, 0)
            return 0
        state.load(self.store, saved[-1], model, optimizer)
        step_log.rewind(self.store, saved[-1])
        self.log(f"resuming after step {saved[-1]}")
        return saved[-1]

    def end_step(self, row: step_log.StepRow, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Log a step, and save the state if it is due.

        Raises:
            Interrupted: ``stopped`` returned True and steps are left; the state is saved.
        """
        step = row.step
        step_log.append(self.store, row)
        interrupted = self.stopped()
        if step % self.job.training.state_every == 0 or step == self.stop or interrupted:
            state.save(self.store, step, model, optimizer)
        if step % 10 == 0 or step == self.stop:
            self.log(f"step {step}/{self.stop}  {row}")
        if interrupted and step < self.stop:
            raise Interrupted(
                f"stopped by a signal at step {step} of {self.stop}; saved, run the same command again to go on"
            )

    def deliver(self, model: Any) -> Path:
        """Write the checkpoint, a model folder with the base's tokenizer, and return its path."""
        with atomic(self.folder) as temporary:
            model.save_pretrained(temporary)
            copy_from(self.base, temporary, *TOKENIZER_FILES)
            write_json(temporary / RECORD, provenance.record())
        return self.folder


def check_difference(step: int, largest: float, limit: float, other: str) -> None:
    """Refuse to update by samples of another policy than the trainer's.

    Before the first update of a step the importance ratio of every token is 1, up to rounding: what was sampled and
    what is trained are one policy.

    Args:
        largest: largest difference (nats) of a token's log-probability.
        other: what it differs from.

    Raises:
        TrainingError: it exceeds ``limit``, or is no number.
    """
    if math.isnan(largest):
        raise TrainingError(f"step {step}: found a log-probability that is no number, expected finite ones; {GENTLER}")
    if largest > limit:
        raise TrainingError(
            f"step {step}: before its first update, the log-probability of a token differs by {largest:.3g} nats from "
            f"{other}, expected {limit:g} at most: sampler and trainer compute different policies. The checkpoints "
            "before this step are kept; train this model with another backend (training.backend), or choose another "
            "model"
        )


def copy_from(base: Path, folder: Path, *names: str) -> None:
    """Copy the named files from a base into another model folder, as far as they exist."""
    for name in names:
        if (base / name).exists():
            shutil.copy(base / name, folder / name)
