"""The backend trl: GRPOTrainer of TRL on one GPU, without Ray and without DeepSpeed.

TRL samples and computes the loss. Our code determines the prompts and their order, the rewards, the advantages, the
denominators of the loss, the minibatches, the gradient clip, the optimizer's settings, the state and the log. A step
draws its random numbers from (seed, step), so a resumed run repeats an undisturbed one if sampling is repeatable: it
is with transformers on one machine, but not with vLLM.

Differences from the reference trainer:
- importance ratios use old log-probabilities that TRL computes before the first update, not the sampler's;
- every epoch has the minibatches of the first one, while the reference trainer draws new ones;
- ``entropy`` is exact over the responses of a step's first update, a random ``1 / updates_per_rollout`` of them;
- ``seconds_rollout`` includes those log-probabilities and the base model's.
"""

# ruff: noqa: E402 (the variables have to be set first)
from __future__ import annotations

import copy
import inspect
import logging
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

#: No telemetry and no download. Read when the packages below are imported; a variable that is set stays.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})

import torch
import transformers
from datasets import Dataset
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from boundary_bench.algorithms.translate import words
from boundary_bench.core import randomness
from boundary_bench.core.errors import TrainingError
from boundary_bench.models.config import end_tokens
from boundary_bench.models.folder import load_model
from boundary_bench.models.forward import plain_logprobs
from boundary_bench.models.tokenizer import load_tokenizer, shown
from boundary_bench.sampling.proof import LIMITS
from boundary_bench.training import step_log
from boundary_bench.training.rewards import rewards
from boundary_bench.training.rollouts import TrainingJob, masses, prompts_of_step
from boundary_bench.training.segment import GENTLER, Segment, check_difference

#: The overridden methods are private, so another version may call them differently.
VERSION = "1.16.0"
SMALLER = (
    "the saved states are kept. Lower training.trl.micro_batch or training.trl.gpu_memory_utilization, or train on "
    "several GPUs with training.backend: openrlhf"
)


def train(
    job: TrainingJob,
    base: Path,
    store: Path,
    stop: int,
    log: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Train up to step ``stop`` and return the folder of that checkpoint; see ``reference.train``.

    Raises:
        Interrupted: ``stopped`` returned True; the state is saved.
        ModelError: the base or the saved state cannot be used.
        TrainingError: a gradient is not finite, the GPU's memory is too small, the store has gone past ``stop``
            without keeping it, or TRL has another version.
    """
    segment = Segment(job, base, store, stop, log, stopped)
    if segment.delivered():
        return segment.folder
    check_version()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("trl").setLevel(logging.ERROR)
    model = load_model(base, job.training.device)
    configs = copy.deepcopy((model.config, model.generation_config))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=job.training.lr, betas=(0.9, 0.95), weight_decay=job.training.weight_decay
    )
    done = segment.resume(model, optimizer)
    if done < stop:
        with tempfile.TemporaryDirectory() as scratch:
            trainer = Trainer(segment, done, model, optimizer, scratch)
            trainer.remove_callback(PrinterCallback)
            trainer.add_callback(Steps(trainer, segment, optimizer))
            try:
                trainer.train()
            except torch.OutOfMemoryError as fault:
                raise TrainingError(f"step {trainer.step}: {fault}; {SMALLER}") from None
    # TRL changes both for training
    model.config, model.generation_config = configs
    return segment.deliver(model)


def check_version() -> None:
    """Refuse a version of TRL other than ``VERSION``."""
    if (found := version("trl")) != VERSION:
        raise TrainingError(
            f"found trl {found}, expected {VERSION}: make the environment with boundary-bench env create train"
        )


def arguments(job: TrainingJob, steps: int, ends: tuple[int, ...], context: int, scratch: str) -> GRPOConfig:
    """TRL's settings for a number of rollout steps.

    TRL counts micro-batches: ``gradient_accumulation_steps`` of them make an optimizer update, and
    ``steps_per_generation`` of them all updates of an epoch. They have equal sizes, so the size is the largest divisor
    of an update's responses within ``training.trl.micro_batch``.
    """
    settings = job.training
    micro = max(n for n in range(1, settings.trl.micro_batch + 1) if settings.per_update % n == 0)
    # non-finite logits are replaced for sampling; the fault then shows in the gradient
    generation: dict[str, Any] = {"use_cache": True, "remove_invalid_values": True}
    if settings.trl.vllm:
        generation = {"ignore_eos": True, "stop_token_ids": list(ends)}
    return GRPOConfig(
        output_dir=scratch,
        trust_remote_code=False,
        max_steps=steps * settings.updates_per_rollout * settings.epochs,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=settings.per_update // micro,
        steps_per_generation=settings.prompts * settings.rollouts // micro,
        num_generations=settings.rollouts,
        num_iterations=settings.epochs,
        shuffle_dataset=False,
        **words("trl", job.algorithm),
        router_aux_loss_coef=0.0,
        disable_dropout=True,
        max_grad_norm=0.0,
        temperature=settings.temperature,
        max_completion_length=settings.max_tokens,
        generation_kwargs=generation,
        use_vllm=settings.trl.vllm,
        vllm_mode="colocate",
        vllm_gpu_memory_utilization=settings.trl.gpu_memory_utilization,
        vllm_max_model_length=context,
        vllm_importance_sampling_correction=False,
        gradient_checkpointing=settings.trl.gradient_checkpointing,
        # autocast: weights and optimizer stay float32, or updates below 1/500 of a weight would be rounded away
        bf16=settings.trl.dtype == "bfloat16",
        use_cpu=settings.device == "cpu",
        dataloader_pin_memory=settings.device == "cuda",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _placed(_model: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positions counted from the first token of a prompt; TRL leaves them out, so that padding before it counts."""
    if named.get("attention_mask") is not None and named.get("position_ids") is None:
        position_NT = (named["attention_mask"].cumsum(1) - 1).clamp_min(0)
        named = {**named, "position_ids": position_NT[:, -named["input_ids"].shape[1] :]}
    return given, named


@dataclass
class Sums:
    """Sums over one rollout step."""

    facts: dict[str, float] = field(default_factory=dict)
    entropy: float = 0.0
    tokens: float = 0.0
    clipped: float = 0.0
    counted: float = 0.0
    norms: float = 0.0
    updates: int = 0
    begun: float = 0.0
    rolled: float = 0.0
    tested: Tested | None = None


@dataclass(frozen=True)
class Tested:
    """The response of a step's first micro-batch with the most padding before it, and TRL's log-probabilities."""

    ids_T: Tensor
    start: int
    logprob_T: Tensor


class Trainer(GRPOTrainer):
    """GRPOTrainer from step ``done + 1`` on, with our prompts, rewards, advantages and denominators."""

    def __init__(self, segment: Segment, done: int, model: Any, optimizer: torch.optim.Optimizer, scratch: str) -> None:
        self.job, self.done = segment.job, done
        settings = self.job.training
        config, self.fast = model.config.to_dict(), load_tokenizer(segment.base)
        self.ends = end_tokens(segment.base)
        self.prompt_ids = segment.prompts(self.fast, config)
        self.per_step = settings.updates_per_rollout * settings.epochs
        self.live, self.sums, self.reward_N = False, Sums(), torch.empty(0)
        steps = range(done + 1, segment.stop + 1)
        order = [problem.id for step in steps for problem in prompts_of_step(self.job, step)]
        # TRL ends a response at every EOS token of tokenizer or model, so both get ours alone
        model.generation_config.eos_token_id = list(self.ends)
        word = self.fast.id_to_token(self.ends[0])
        # a separate tokenizer, so that TRL's settings change no prompt
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=self.fast, eos_token=word, pad_token=word)
        context = max(map(len, self.prompt_ids.values())) + settings.max_tokens
        super().__init__(
            model,
            self._reward,
            arguments(self.job, len(steps), self.ends, context, scratch),
            Dataset.from_dict({"prompt": order}),
            processing_class=tokenizer,
            optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)),
        )
        if "position_ids" in inspect.signature(model.forward).parameters:
            model.register_forward_pre_hook(_placed, with_kwargs=True)

    @property
    def step(self) -> int:
        """The current rollout step."""
        return self.done + 1 + self.state.global_step // self.per_step

    def _rate(self, update: int) -> float:
        return min(1.0, (self.done + 1 + update // self.per_step) / max(1, self.job.training.warmup))

    def _send_telemetry(self) -> None:
        """Send nothing."""

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [self.prompt_ids[name] for name in prompts], None, {}

    def _reward(self, completion_ids: list[list[int]], **_: Any) -> list[float]:
        finished = [ids[-1] in self.ends for ids in completion_ids]
        problems, job = prompts_of_step(self.job, self.step), self.job
        texts = shown(self.fast, completion_ids, finished)
        paid = rewards(job.training, job.seed, self.step, problems, job.kind.grader, texts, finished, job.judge)
        self.reward_N = torch.tensor(paid)
        self.sums.facts = {
            "reward": float(self.reward_N.mean()),
            "response_length": sum(map(len, completion_ids)) / len(completion_ids),
            "truncated": 1 - sum(finished) / len(finished),
        }
        return paid

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """One step's responses with our advantages; the responses of a prompt are adjacent, as in ``inputs``."""
        self.sums, seed = Sums(begun=time.perf_counter()), self.job.seed
        given = [problem.id for problem in prompts_of_step(self.job, self.step)]
        assert [row["prompt"] for row in inputs] == [name for name in given for _ in range(self.num_generations)]
        torch.manual_seed(randomness.key("rollout", seed, self.step) >> 1)
        scored = super()._generate_and_score_completions(inputs)
        advantage_N = self.job.algorithm.advantages(self.reward_N, self.num_generations)
        self.sums.facts |= masses(self.reward_N, advantage_N, self.num_generations)
        self.sums.rolled = time.perf_counter()
        # next TRL shuffles all responses, which determines the minibatches
        torch.manual_seed(randomness.key("minibatches", seed, self.step) >> 1)
        return {**scored, "advantages": advantage_N.to(scored["completion_ids"].device)}

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        """A micro-batch with the denominator of its own update instead of the mean over the step's updates."""
        inputs = super()._prepare_inputs(generation_batch)
        each, all_of_them = self.args.gradient_accumulation_steps, self.args.steps_per_generation
        first = self._step % all_of_them // each * each
        update = self._buffered_inputs[first : first + each]
        self.live = self.beta > 0 or any(part["advantages"].any() for part in update)
        whole_NT = torch.cat([part["completion_mask"] for part in update])
        denominator = self.job.algorithm.aggregation.denominator(whole_NT)
        total = torch.tensor(denominator * all_of_them / each, device=inputs["completion_ids"].device)
        return {**inputs, "num_items_in_batch": total}

    def _get_per_token_logps_and_entropies(self, *given: Any, **named: Any) -> Any:
        found = super()._get_per_token_logps_and_entropies(*given, **named)
        self.logprob_NT = found[0].detach()
        return found

    def _compute_loss(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        loss = super()._compute_loss(model, inputs)
        sums, mask_NT = self.sums, inputs["completion_mask"]
        if sums.tested is None:
            sums.tested = self._tested(inputs)
        entropy, clipped = (self._metrics["train"][name].pop() for name in ("entropy", "clip_ratio/region_mean"))
        weight_N = mask_NT.sum(1) if self.job.algorithm.surrogate.ratio == "token" else torch.ones_like(mask_NT[:, 0])
        counts_N = torch.ones_like(weight_N) if self.beta > 0 else inputs["advantages"] != 0
        sums.clipped += clipped * float(weight_N.sum())
        sums.counted += float((weight_N * counts_N).sum())
        if self._step % (self.per_step * self.args.gradient_accumulation_steps) < self.args.gradient_accumulation_steps:
            sums.entropy += entropy * float(mask_NT.sum())
            sums.tokens += float(mask_NT.sum())
        return loss

    def _tested(self, inputs: dict[str, Any]) -> Tested:
        given_NT, mask_NT = inputs["prompt_mask"].bool(), inputs["completion_mask"].bool()
        row = int(given_NT.sum(1).argmin())
        prompt_T, response_T = inputs["prompt_ids"][row][given_NT[row]], inputs["completion_ids"][row][mask_NT[row]]
        return Tested(torch.cat([prompt_T, response_T]), len(prompt_T), self.logprob_NT[row][mask_NT[row]])

    def check(self) -> None:
        """Compare TRL's log-probabilities before a step's first update with a forward pass without padding."""
        tested, settings = self.sums.tested, self.job.training
        assert tested is not None, "a loss was computed"
        own_NT = plain_logprobs(self.model, tested.ids_T[None], tested.start, settings.temperature)
        limit = LIMITS[settings.trl.dtype] / min(settings.temperature, 1.0)
        largest = float((own_NT[0] - tested.logprob_T).abs().max())
        check_difference(self.step, largest, limit, "a forward pass without padding")


class Steps(TrainerCallback):
    """Hooks between TRL's updates: clip gradients, skip updates without a gradient, and end rollout steps."""

    def __init__(self, trainer: Trainer, segment: Segment, optimizer: torch.optim.Optimizer) -> None:
        self.trainer, self.segment, self.optimizer = trainer, segment, optimizer

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        """Clip the gradient; if all advantages are 0, remove it, so that AdamW does nothing."""
        trainer, sums = self.trainer, self.trainer.sums
        if not trainer.state.global_step % trainer.per_step:
            trainer.check()
        norm = float(nn.utils.clip_grad_norm_(trainer.model.parameters(), self.segment.job.training.max_grad_norm))
        if not math.isfinite(norm):
            raise TrainingError(
                f"step {trainer.step}: the gradient norm is {norm}, expected a finite number; {GENTLER}"
            )
        if trainer.live:
            sums.norms, sums.updates = sums.norms + norm, sums.updates + 1
        else:
            self.optimizer.zero_grad(set_to_none=True)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """End a rollout step after its last update."""
        trainer, sums = self.trainer, self.trainer.sums
        if trainer.state.global_step % trainer.per_step:
            return
        row = step_log.rounded(
            step=trainer.step - 1,
            entropy=sums.entropy / sums.tokens,
            clip_fraction=sums.clipped / max(sums.counted, 1.0),
            gradient_norm=sums.norms / max(sums.updates, 1),
            updates=sums.updates,
            seconds_rollout=sums.rolled - sums.begun,
            seconds_update=time.perf_counter() - sums.rolled,
            **sums.facts,
        )
        trainer._metrics["train"].clear()
        self.segment.end_step(row, trainer.model, self.optimizer)
