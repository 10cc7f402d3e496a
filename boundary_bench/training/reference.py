"""The reference trainer: a plain loop of rollouts, rewards and clipped updates over any Hugging Face causal LM.

The other backends are compared with it, so it is written to be read from top to bottom. Rollouts come from the
sampling engine, rewards from the benchmark's grader, the algorithm from ``boundary_bench.algorithms``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from boundary_bench.algorithms.part import LossInputs
from boundary_bench.core import randomness
from boundary_bench.core.errors import ModelError, TrainingError
from boundary_bench.models.config import end_tokens
from boundary_bench.models.folder import load_model
from boundary_bench.models.forward import plain_logits
from boundary_bench.models.tokenizer import load_tokenizer
from boundary_bench.sampling.proof import LIMITS
from boundary_bench.training import step_log
from boundary_bench.training.rollouts import Rollouts, TrainingJob, decoder_of, masses, roll_out
from boundary_bench.training.segment import GENTLER, Segment, check_difference

#: Tokens in one forward and backward pass, padding included: they fit a CPU core's cache, and fill a GPU.
MICRO_BATCH_TOKENS = {"cpu": 1024, "cuda": 16384}


def response_logprobs(
    model: nn.Module, rollouts: Rollouts, chosen: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the response tokens of the chosen samples, and the full distributions.

    Sequences are right-padded, so the causal mask alone keeps padding out of the predictions in use.

    Returns:
        Log-probabilities of the drawn tokens (n, T), finite garbage where the mask is False, and of all tokens
        (n, T, V).
    """
    start_n, length_n = rollouts.start_N[chosen], rollouts.length_N[chosen]
    first, last = int(start_n.min()) - 1, int((start_n + length_n).max()) - 1
    ids = rollouts.ids[chosen, : last + 1]
    logits = plain_logits(model, ids[:, :-1], last - first)
    place = (start_n[:, None] - 1 - first + torch.arange(int(length_n.max()), device=ids.device)).clamp_max(
        last - first - 1
    )
    logits_nTV = logits.gather(1, place[..., None].expand(-1, -1, logits.shape[2])).float() / temperature
    full_nTV = torch.log_softmax(logits_nTV, -1)
    token_nT = ids.gather(1, place + first + 1)
    return full_nTV.gather(2, token_nT[..., None])[..., 0], full_nTV


def micro_batches(chosen: Tensor, rollouts: Rollouts) -> Iterator[Tensor]:
    """The samples in pieces of similar length, each of at most ``MICRO_BATCH_TOKENS`` tokens."""
    total_N = rollouts.start_N + rollouts.length_N
    ordered = chosen[total_N[chosen].argsort(stable=True)]
    rows = max(1, MICRO_BATCH_TOKENS[rollouts.ids.device.type] // int(total_N.max()))
    yield from ordered.split(rows)


@dataclass
class Updates:
    """Sums over a step's optimizer updates; ``largest`` difference of a log-probability before the first of them."""

    clipped: float = 0.0
    counted: float = 0.0
    norms: float = 0.0
    made: int = 0
    largest: float = 0.0


def update(
    job: TrainingJob,
    model: nn.Module,
    reference: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    rollouts: Rollouts,
    step: int,
) -> dict[str, float]:
    """All optimizer updates of one step; returns the diagnostics of the log.

    Samples with advantage 0 have an exactly zero gradient: they are counted in the denominators and skip the forward
    pass, unless a KL term or an entropy bonus gives them one.
    """
    settings, algorithm = job.training, job.algorithm
    advantage_N = algorithm.advantages(rollouts.reward_N, settings.rollouts)
    present = algorithm.signs.present(advantage_N).nonzero()[:, 0]
    generator = torch.Generator().manual_seed(randomness.key("minibatches", job.seed, step) >> 1)
    sums = Updates()
    for _ in range(settings.epochs):
        order = present[torch.randperm(len(present), generator=generator).to(present.device)]
        for minibatch in order.tensor_split(settings.updates_per_rollout):
            active = minibatch if algorithm.penalties else minibatch[advantage_N[minibatch] != 0]
            if len(active):
                _one_update(job, model, reference, optimizer, rollouts, advantage_N, minibatch, active, step, sums)
    return {
        "clip_fraction": sums.clipped / max(sums.counted, 1.0),
        "gradient_norm": sums.norms / max(sums.made, 1),
        "updates": sums.made,
        **masses(rollouts.reward_N, advantage_N, settings.rollouts),
    }


def _one_update(
    job: TrainingJob,
    model: nn.Module,
    reference: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    rollouts: Rollouts,
    advantage_N: Tensor,
    minibatch: Tensor,
    active: Tensor,
    step: int,
    sums: Updates,
) -> None:
    settings, algorithm = job.training, job.algorithm
    denominator = algorithm.aggregation.denominator(rollouts.mask_NT[minibatch])
    for chosen in micro_batches(active, rollouts):
        logprob_nT, full_nTV = response_logprobs(model, rollouts, chosen, settings.temperature)
        width = logprob_nT.shape[1]
        reference_nT = None
        if reference is not None:
            with torch.no_grad():
                reference_nT = response_logprobs(reference, rollouts, chosen, settings.temperature)[0]
        entropy_nT = -(full_nTV.exp() * full_nTV).sum(-1) if algorithm.entropy.active else None
        old_nT, mask_nT = rollouts.old_logprob_NT[chosen, :width], rollouts.mask_NT[chosen, :width]
        if not sums.made:
            sums.largest = max(sums.largest, float((logprob_nT.detach() - old_nT).abs()[mask_nT].max()))
        given = LossInputs(logprob_nT, old_nT, advantage_N[chosen], mask_nT, reference_nT, entropy_nT)
        loss = algorithm.loss(given, denominator)
        loss.value.backward()
        sums.clipped += float(loss.clipped)
        sums.counted += float(loss.counted)
    if not sums.made:
        # at a temperature below 1 the rounding of logits counts for more
        limit = LIMITS["float32"] / min(settings.temperature, 1.0)
        check_difference(step, sums.largest, limit, "when it was sampled")
    norm = float(nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm))
    if not math.isfinite(norm):
        optimizer.zero_grad(set_to_none=True)
        raise TrainingError(f"step {step}: the gradient norm is {norm}, expected a finite number; {GENTLER}")
    for group in optimizer.param_groups:
        group["lr"] = settings.lr * min(1.0, step / max(1, settings.warmup))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    sums.norms += norm
    sums.made += 1


def train(
    job: TrainingJob,
    base: Path,
    store: Path,
    stop: int,
    log: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Train up to step ``stop`` and return the folder of that checkpoint; resumes from the newest state in the store.

    The caller holds the store's lease.

    Args:
        base: the model folder of step 0.
        stopped: called after every step; True saves the state and raises.

    Raises:
        Interrupted: ``stopped`` returned True; the state is saved.
        ModelError: the base or the saved state cannot be used, or a prompt does not fit the context.
        TrainingError: a gradient is not finite, or the store has gone past ``stop`` without keeping it.
    """
    segment = Segment(job, base, store, stop, log, stopped)
    if segment.delivered():
        return segment.folder
    model = load_model(base, job.training.device)
    reference = None
    if job.algorithm.kl.active:
        reference = load_model(base, job.training.device).requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=job.training.lr, betas=(0.9, 0.95), weight_decay=job.training.weight_decay
    )
    done = segment.resume(model, optimizer)
    tokenizer, ends = load_tokenizer(base), end_tokens(base)
    segment.prompts(tokenizer, model.config.to_dict())
    for step in range(done + 1, stop + 1):
        row = _step(job, model, reference, optimizer, tokenizer, ends, step)
        segment.end_step(row, model, optimizer)
    return segment.deliver(model)


def _step(
    job: TrainingJob,
    model: nn.Module,
    reference: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    tokenizer: Tokenizer,
    ends: tuple[int, ...],
    step: int,
) -> step_log.StepRow:
    begun = time.perf_counter()
    try:
        rollouts = roll_out(job, decoder_of(model), tokenizer, ends, step)
    except ModelError as fault:
        raise TrainingError(f"step {step}: {fault}; {GENTLER}") from None
    rolled = time.perf_counter()
    facts: dict[str, Any] = {**rollouts.facts, **update(job, model, reference, optimizer, rollouts, step)}
    facts |= {"seconds_rollout": rolled - begun, "seconds_update": time.perf_counter() - rolled}
    return step_log.rounded(step=step, **facts)
