"""The same numbers through our algorithm and through the training code of OpenRLHF and TRL, with a table as policy.

The table's log-probabilities are what a network would compute, so that gradients with respect to them can be compared.
Axes: N samples, n samples of a micro-batch, T response tokens (padded). Updates and micro-batches are consecutive
samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from openrlhf.models.loss import PolicyLoss
from openrlhf.trainer.ppo_utils import experience_maker
from openrlhf.trainer.ppo_utils.experience import Experience
from openrlhf.trainer.ray.ppo_actor import ActorPPOTrainer
from openrlhf.utils.loss_utils import iter_grad_accum_global_norm
from torch import Tensor, nn

from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.part import LossInputs
from boundary_bench.training.openrlhf import hook
from boundary_bench.training.trl import Sums, Trainer

#: OpenRLHF's own advantages; the hook that runs in its processes puts ours in their place.
OWN_ADVANTAGES = experience_maker.RemoteExperienceMaker.compute_advantages_and_returns
hook.as_given(experience_maker)


@dataclass(frozen=True)
class Batch:
    """The responses of one rollout step, and how many of them make a group and an optimizer update."""

    reward_N: Tensor
    mask_NT: Tensor
    logprob_NT: Tensor
    old_NT: Tensor
    base_NT: Tensor
    entropy_NT: Tensor
    group: int
    update: int


@dataclass(frozen=True)
class Outcome:
    """What an implementation makes of a batch: the gradients of a sample are those of the update that it is in.

    ``clipped`` is in the implementation's own unit, see ``clip_fraction``.
    """

    advantage_N: Tensor
    losses: list[float]
    gradient_NT: Tensor
    entropy_gradient_NT: Tensor
    clipped: float


def draw(algorithm: Algorithm, seed: int, groups: int = 8, group: int = 8, updates: int = 2, tokens: int = 9) -> Batch:
    """Random responses of 1 to T tokens, those of the first update shorter; ratios are well beyond the clip.

    The first two groups have equal rewards.
    """
    generator = torch.Generator().manual_seed(seed)
    count, spread = groups * group, 0.6 if algorithm.surrogate.ratio == "token" else 2e-3

    def normal() -> Tensor:
        return torch.randn(count, tokens, generator=generator, dtype=torch.float64)

    reward_N = torch.randint(0, 2, (count,), generator=generator).double()
    reward_N[:group], reward_N[group : 2 * group] = 0.0, 1.0
    reward_N[-group:] = torch.arange(group) == 0  # one right response: the largest advantage there is
    length_N = torch.randint(1, tokens + 1, (count,), generator=generator)
    length_N[: count // updates].clamp_(max=tokens // 2)
    mask_NT = (torch.arange(tokens)[None] < length_N[:, None]).long()
    # OpenRLHF and TRL fill padding with 0; ours ignores it
    old_NT = -normal().abs() * mask_NT
    logprob_NT = (old_NT + spread * normal()) * mask_NT
    # OpenRLHF cuts the KL estimate of a token at 10, which k3 reaches at a difference of 2.6
    base_NT = (logprob_NT + 0.5 * normal().clamp(-4, 4)) * mask_NT
    return Batch(reward_N, mask_NT, logprob_NT, old_NT, base_NT, normal().abs(), group, count // updates)


def clip_fraction(algorithm: Algorithm, batch: Batch, active: bool = False, by_length: bool = False) -> float:
    """Share of tokens (sequence ratio: of sequences) where the clip is active.

    Args:
        active: of the samples alone whose advantage is not 0, as in the step log.
        by_length: sequences count by their length, as in OpenRLHF's log.
    """
    advantage_N = algorithm.advantages(batch.reward_N, batch.group)
    clipped = counted = 0.0
    for i, advantage in enumerate(advantage_N):
        row = slice(i, i + 1)
        given = LossInputs(batch.logprob_NT[row], batch.old_NT[row], advantage_N[row], batch.mask_NT[row])
        _, clipped_NU, counted_NU = algorithm.surrogate(given)
        weight = float(batch.mask_NT[row].sum()) if by_length and algorithm.surrogate.ratio == "sequence" else 1.0
        if advantage or not active:
            clipped, counted = clipped + weight * float(clipped_NU.sum()), counted + weight * float(counted_NU.sum())
    return clipped / counted


def ours(algorithm: Algorithm, batch: Batch) -> Outcome:
    """The definition."""
    advantage_N = algorithm.advantages(batch.reward_N, batch.group)
    logprob_NT, entropy_NT = (x.clone().requires_grad_() for x in (batch.logprob_NT, batch.entropy_NT))
    losses = []
    for rows in torch.arange(len(advantage_N)).split(batch.update):
        mask_nT = batch.mask_NT[rows]
        given = LossInputs(
            logprob_NT[rows], batch.old_NT[rows], advantage_N[rows], mask_nT, batch.base_NT[rows], entropy_NT[rows]
        )
        loss = algorithm.loss(given, algorithm.aggregation.denominator(mask_nT))
        loss.value.backward()
        losses.append(loss.value.item())
    return Outcome(advantage_N, losses, logprob_NT.grad, _gradient(entropy_NT), clip_fraction(algorithm, batch))


def _gradient(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def openrlhf(args: Any, algorithm: Algorithm, batch: Batch) -> Outcome:
    """OpenRLHF's own making of experiences, window over micro-batches, and training step, with its settings ``args``.

    The rewards that it gets are advantages, as from the agent. Left out are Ray and DeepSpeed. DeepSpeed divides every
    loss by the micro-batches of an update before it adds up their gradients, as ``backward`` does here.
    """
    passes = args.train.batch_size // args.train.micro_batch_size
    assert args.train.batch_size == batch.update
    experiences = made(args, algorithm.advantages(batch.reward_N, batch.group), batch)
    logprob_NT, entropy_NT = (x.clone().requires_grad_() for x in (batch.logprob_NT, batch.entropy_NT))
    losses: list[float] = []

    def policy(sequences: Tensor, action_mask: Tensor, return_entropy: bool, **_: Any) -> Any:
        rows = sequences[:, 0]
        return logprob_NT[rows] * action_mask, SimpleNamespace(entropy=entropy_NT[rows] if return_entropy else None)

    def backward(loss: Tensor, *_: Any) -> None:
        (loss / passes).backward()
        losses.append(loss.item() / passes)

    trainer = ActorPPOTrainer.__new__(ActorPPOTrainer)
    trainer.args, trainer.actor = args, _Module(policy)
    trainer.aux_loss, trainer.ema_model, trainer.actor_optim, trainer.replay_buffer = False, None, None, None
    trainer.actor_scheduler = SimpleNamespace(get_last_lr=lambda: [0.0])
    trainer.strategy = SimpleNamespace(
        ring_attn_group=None,
        backward=backward,
        optimizer_step=lambda *_, **__: None,
        get_grad_norm=lambda _: 0.0,
    )
    actor, correction = args.actor, args.algo.advantage
    trainer.actor_loss_fn = PolicyLoss(
        clip_eps_low=actor.eps_clip_low_high[0],
        clip_eps_high=actor.eps_clip_low_high[1],
        dual_clip=actor.dual_clip,
        token_level_loss=actor.loss_agg_mode == "token-mean",
        policy_loss_type=actor.policy_loss_type,
        is_correction_level=correction.is_correction_level,
        is_correction_mode=correction.is_correction_mode,
        is_correction_gating=correction.is_correction_gating,
        is_correction_threshold=correction.is_correction_threshold,
    )
    clipped = tokens = 0.0
    window = iter_grad_accum_global_norm(experiences, trainer.strategy, passes, lambda each: each.action_mask)
    for step, (experience, info) in enumerate(window):
        status = trainer.training_step(experience, args.algo.kl.init_coef, step, info)
        clipped += float(status["metrics"]["ppo_clip_ratio"]) * status["num_action_tokens"]
        tokens += status["num_action_tokens"]
    advantage_N = torch.cat([experience.advantages[:, 0] for experience in experiences])
    of_updates = [sum(losses[i : i + passes]) for i in range(0, len(losses), passes)]
    return Outcome(advantage_N, of_updates, logprob_NT.grad, _gradient(entropy_NT), clipped / tokens)


def made(args: Any, reward_N: Tensor, batch: Batch, own: bool = False) -> list[Experience]:
    """OpenRLHF's micro-batches; the first token of a sequence is the number of its sample.

    Args:
        own: its advantages are of its own making, without our hook.
    """
    maker = experience_maker.RemoteExperienceMaker.__new__(experience_maker.RemoteExperienceMaker)
    maker.strategy, maker.args = SimpleNamespace(args=args), args
    maker.advantage_estimator = args.algo.advantage.estimator
    maker.kl_ctl = SimpleNamespace(value=args.algo.kl.init_coef)
    micro, experiences = args.train.micro_batch_size, []
    for start in range(0, len(batch.reward_N), micro):
        rows = torch.arange(start, start + micro)
        mask_nT = batch.mask_NT[rows]
        experience = Experience(
            sequences=rows[:, None].expand(-1, mask_nT.shape[1] + 1),
            attention_mask=torch.ones(micro, mask_nT.shape[1] + 1),
            action_mask=mask_nT,
            action_log_probs=batch.old_NT[rows],
            base_action_log_probs=batch.base_NT[rows],
            # vLLM's own are never the trainer's; nothing but the log may depend on them
            rollout_log_probs=batch.old_NT[rows] + 0.3,
            rewards=reward_N[rows].clone(),
            kl=torch.zeros_like(batch.old_NT[rows]),
        )
        experience.index = rows.tolist()
        experience.info["surprisal"] = -(batch.old_NT[rows] * mask_nT).sum(1)
        experiences.append(experience)
    return OWN_ADVANTAGES(maker, experiences) if own else maker.compute_advantages_and_returns(experiences)


def trl(trainer: Trainer, batch: Batch) -> Outcome:
    """TRL's own loss of every micro-batch, as our trainer over TRL feeds and counts them."""
    settings = trainer.args
    micro, passes, everything = (
        settings.per_device_train_batch_size,
        settings.gradient_accumulation_steps,
        settings.steps_per_generation,
    )
    assert micro * passes == batch.update and micro * everything == len(batch.reward_N)
    advantage_N = trainer.job.algorithm.advantages(batch.reward_N, batch.group)
    trainer._buffered_inputs = [
        {
            "prompt_ids": rows[:, None],
            "prompt_mask": torch.ones_like(rows[:, None]),
            "completion_ids": torch.zeros_like(batch.mask_NT[rows]),
            "completion_mask": batch.mask_NT[rows],
            "advantages": advantage_N[rows],
            "old_per_token_logps": batch.old_NT[rows],
            "ref_per_token_logps": batch.base_NT[rows],
            "num_items_in_batch": batch.mask_NT.sum(),
        }
        for rows in torch.arange(len(batch.reward_N)).split(micro)
    ]
    table, losses = _Table(batch), []
    trainer.model.train()
    trainer.sums, trainer.current_gradient_accumulation_steps = Sums(), passes
    # the second epoch, since TRL samples before the first
    for trainer._step in range(everything, 2 * everything):
        loss = trainer._compute_loss(table, trainer._prepare_inputs({}))
        loss.backward()
        losses.append(loss.item())
    of_updates = [sum(losses[i : i + passes]) for i in range(0, everything, passes)]
    clipped = trainer.sums.clipped / trainer.sums.counted
    return Outcome(advantage_N, of_updates, table.logprob_NT.grad, torch.zeros_like(batch.entropy_NT), clipped)


class _Module(nn.Module):
    """A function as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *arguments: Any, **named: Any) -> Any:
        named.pop("attention_mask")
        return self.function(*arguments, **named)


class _Table(nn.Module):
    """A causal language model as TRL calls it, whose log-probabilities are parameters."""

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.logprob_NT, self.entropy_NT = nn.Parameter(batch.logprob_NT.clone()), batch.entropy_NT

    def forward(self, input_ids: Tensor, **_: Any) -> Any:
        rows = input_ids[:, 0]
        return SimpleNamespace(log_probs=self.logprob_NT[rows], entropy=self.entropy_NT[rows])
