"""Tokens per CPU second of the reference trainer against GRPOTrainer of TRL, on one thread, in one run.

Both train GRPO from the same weights on the same prompts in the same order: 16 prompts x 16 responses a step, two
updates per rollout, at most 48 tokens a response, float32, AdamW at the same rate, clip 0.2, token mean, no KL. A token
is a response token that was rolled out and trained on. TRL gets the best of several per-device batch sizes and no
gradient checkpointing. The contenders take turns, and each one's fastest turn counts.

    pip install -e '.[bench]'
    python speed/trainer.py                  # after: snakemake --cores all
    python speed/trainer.py --base FOLDER    # any model folder with a character tokenizer of countdown
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from transformers.utils import logging

from boundary_bench.algorithms import resolve
from boundary_bench.benchmarks.countdown import COUNTDOWN, CountdownOptions
from boundary_bench.grading import Verdict, grade_all
from boundary_bench.models.config import end_tokens
from boundary_bench.models.folder import read_manifest
from boundary_bench.models.tokenizer import load_tokenizer
from boundary_bench.study.study import Training
from boundary_bench.training import reference, rollouts

BASE = Path(__file__).resolve().parents[1] / "results/quickstart/models/countdown-base/manifest.json"
SETTINGS = Training(benchmark="countdown", segments=[1], updates_per_rollout=2, lr=1.5e-4, warmup=0, max_tokens=48)
RESPONSES = SETTINGS.prompts * SETTINGS.rollouts
WARM_UP = 1


@dataclass
class Spent:
    """Work of one contender after its warm-up step, in CPU seconds of this process."""

    tokens: int = 0
    rollout: float = 0.0
    update: float = 0.0
    reward: float = 0.0

    @property
    def rate(self) -> float:
        """Tokens per CPU second."""
        return self.tokens / (self.rollout + self.update)


def load(folder: Path) -> Any:
    """The policy, float32, with the generation config of its folder."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)


def ours(folder: Path, job: rollouts.TrainingJob, steps: int) -> Spent:
    """The reference trainer."""
    model, spent = load(folder).eval(), Spent()
    optimizer = torch.optim.AdamW(model.parameters(), lr=SETTINGS.lr, betas=(0.9, 0.95), weight_decay=0.0)
    tokenizer, ends = load_tokenizer(folder), end_tokens(folder)
    for step in range(1, WARM_UP + steps + 1):
        begun = time.process_time()
        drawn = rollouts.roll_out(job, rollouts.decoder_of(model), tokenizer, ends, step)
        rolled = time.process_time()
        facts = reference.update(job, model, None, optimizer, drawn, step)
        done = time.process_time()
        assert facts["updates"] == SETTINGS.updates_per_rollout, facts
        if step > WARM_UP:
            spent.tokens += int(drawn.length_N.sum())
            spent.rollout += rolled - begun
            spent.update += done - rolled
            spent.reward += float(drawn.reward_N.mean()) / steps
    return spent


class Watch(TrainerCallback):
    """Reward function and clock of TRL's trainer; a rollout lasts from the start of a step to the end of grading."""

    __name__ = "countdown"

    def __init__(self, job: rollouts.TrainingJob, steps: int, end: int) -> None:
        self.problem_of = {problem.prompt: problem for problem in job.problems}
        self.spent, self.rolled_out, self.steps, self.end, self.mark = Spent(), 0, steps, end, 0.0

    def __call__(
        self, prompts: list[str], completions: list[str], completion_ids: list[list[int]], **_: Any
    ) -> list[float]:
        """Rewards of one rollout, graded group by group as the reference trainer does."""
        self.rolled_out += 1
        rewards: list[float] = []
        for first in range(0, len(prompts), SETTINGS.rollouts):
            mine = slice(first, first + SETTINGS.rollouts)
            assert len(set(prompts[mine])) == 1, "a group holds the responses to one prompt"
            problem = self.problem_of[prompts[first]]
            ended = [ids[-1] == self.end for ids in completion_ids[mine]]
            grades = grade_all(COUNTDOWN.grader, problem.reference, completions[mine], ended)
            rewards += [float(grade.verdict is Verdict.CORRECT) for grade in grades]
        if self.rolled_out > WARM_UP:
            now = time.process_time()
            self.spent.tokens += sum(map(len, completion_ids))
            self.spent.reward += sum(rewards) / len(rewards) / self.steps
            self.spent.rollout += now - self.mark
            self.mark = now
        return rewards

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Everything since the last mark was updating."""
        now = time.process_time()
        if state.global_step > WARM_UP * SETTINGS.updates_per_rollout:
            self.spent.update += now - self.mark
        self.mark = now

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The last update."""
        self.spent.update += time.process_time() - self.mark


def trl(folder: Path, job: rollouts.TrainingJob, steps: int, batch: int) -> Spent:
    """GRPOTrainer with ``batch`` responses in a forward and backward pass."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    total, updates = WARM_UP + steps, SETTINGS.updates_per_rollout
    prompts = [problem.prompt for step in range(1, total + 1) for problem in rollouts.prompts_of_step(job, step)]
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    watch = Watch(job, steps, tokenizer.eos_token_id)
    with (
        tempfile.TemporaryDirectory() as scratch,
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        config = GRPOConfig(
            output_dir=scratch, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True, seed=0, shuffle_dataset=False,
            per_device_train_batch_size=batch, steps_per_generation=RESPONSES // batch,
            gradient_accumulation_steps=RESPONSES // batch // updates, max_steps=total * updates,
            num_iterations=1, num_generations=SETTINGS.rollouts, max_completion_length=SETTINGS.max_tokens,
            temperature=SETTINGS.temperature, beta=0.0, epsilon=0.2, loss_type="dapo", scale_rewards="group",
            learning_rate=SETTINGS.lr, lr_scheduler_type="constant", adam_beta2=0.95, weight_decay=0.0,
            max_grad_norm=SETTINGS.max_grad_norm,
        )  # fmt: skip
        trainer = GRPOTrainer(
            model=load(folder),
            reward_funcs=watch,
            args=config,
            train_dataset=Dataset.from_dict({"prompt": prompts}),
            processing_class=tokenizer,
            callbacks=[watch],
        )
        trainer.train()
    assert trainer.state.global_step == total * updates, trainer.state.global_step
    assert watch.rolled_out == total, watch.rolled_out
    return watch.spent


def main() -> None:
    """Let the contenders take turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="model folder (of the quickstart)")
    parser.add_argument("--steps", type=int, default=6, help="steps that are measured, after one warm-up step (6)")
    parser.add_argument("--turns", type=int, default=2, help="turns of every contender (2)")
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64, 128], help="batch sizes TRL may choose from")
    chosen = parser.parse_args()
    if chosen.base is None and not BASE.is_file():
        sys.exit(f"no {BASE}: run the quickstart first (snakemake --cores all), or give --base")
    folder = chosen.base or read_manifest(BASE)[0]
    warnings.filterwarnings("ignore")
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    problems = COUNTDOWN.generate("train", 0, CountdownOptions(problems={3: 100, 4: 300, 5: 200}))
    job = rollouts.TrainingJob(resolve("grpo", {}), SETTINGS, COUNTDOWN, problems, 0)
    best: dict[str, Spent] = {}
    for _ in range(chosen.turns):
        turns = {"reference": ours(folder, job, chosen.steps)}
        turns |= {f"TRL, batch {size}": trl(folder, job, chosen.steps, size) for size in chosen.batches}
        best = {name: max(best.get(name, one), one, key=lambda spent: spent.rate) for name, one in turns.items()}
    against = max(spent.rate for name, spent in best.items() if name != "reference")
    print("| trainer | tokens | rollout CPU s | update CPU s | mean reward | tokens/CPU s | ratio to TRL's best |")
    print("|---|---|---|---|---|---|---|")
    for name, one in best.items():
        print(
            f"| {name} | {one.tokens:,} | {one.rollout:.2f} | {one.update:.2f} | {one.reward:.3f} "
            f"| {one.rate:,.0f} | {one.rate / against:.2f} |"
        )


if __name__ == "__main__":
    main()
