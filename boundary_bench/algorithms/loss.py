"""Objectives as pure torch functions: the definition that every training backend is tested against.

Axes: N samples, T response tokens (padded), and a group is the G samples of one prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from boundary_bench.algorithms.algorithm import Objective


def advantages(reward_N: Tensor, group_size: int, objective: Objective) -> Tensor:
    """Group-relative advantages, restricted to the objective's signs.

    A_i = (r_i - mean_g r) / (std_g r + epsilon) (Shao et al. 2024, eq. 21 of the outcome form), or without the
    division where ``advantage`` is "centered" (Liu et al. 2025, Dr. GRPO). Advantages of another sign than the
    objective's are 0. A group with equal rewards gets exactly 0.

    Args:
        reward_N: rewards, the samples of a group adjacent; must be finite.
        group_size: samples per group, at least 2.

    Returns:
        The advantages, shape N.

    Raises:
        ValueError: a reward is not finite, the group size is below 2 or does not divide N.
    """
    if group_size < 2 or reward_N.numel() % group_size:
        raise ValueError(f"{reward_N.numel()} rewards do not make groups of {group_size} (at least 2 in a group)")
    if not torch.isfinite(reward_N).all():
        raise ValueError("rewards must be finite: an unscored sample cannot be trained on; drop its group")
    reward_PG = reward_N.view(-1, group_size).double()
    centered_PG = reward_PG - reward_PG.mean(1, keepdim=True)
    live_P1 = (reward_PG != reward_PG[:, :1]).any(1, keepdim=True)
    if objective.advantage == "normalized":
        std_P1 = reward_PG.std(1, keepdim=True, correction=1 if objective.std == "unbiased" else 0)
        centered_PG = centered_PG / (std_P1 + objective.epsilon).clamp_min(torch.finfo(torch.float64).tiny)
    advantage_N = torch.where(live_P1, centered_PG, 0.0).view(-1).to(reward_N.dtype)
    if objective.signs == "negative":
        return advantage_N.clamp(max=0)
    if objective.signs == "positive":
        return advantage_N.clamp(min=0)
    return advantage_N


def contributing(advantage_N: Tensor, objective: Objective) -> Tensor:
    """Which samples are in the batch at all: those of the objective's signs under "drop", else every one."""
    if objective.others == "mask" or objective.signs == "all":
        return torch.ones_like(advantage_N, dtype=torch.bool)
    return advantage_N != 0


def normalizer(mask_NT: Tensor, objective: Objective) -> float:
    """The denominator of a minibatch's loss: tokens, sequences, or sequences times the constant length.

    It counts every sample of the minibatch, also those with advantage 0, so that the loss may be summed over
    micro-batches and over the samples with a non-zero advantage alone.
    """
    if objective.aggregation == "token_mean":
        return float(mask_NT.sum())
    if objective.aggregation == "sequence_mean":
        return float(mask_NT.shape[0])
    return float(mask_NT.shape[0] * objective.constant_length)


def log_ratio(logprob_NT: Tensor, old_logprob_NT: Tensor, mask_NT: Tensor, objective: Objective) -> Tensor:
    """Logarithm of the importance ratio, token by token.

    Token: log pi(y_t) - log pi_old(y_t). Sequence: its mean over the response, the same at every token (Zheng et
    al. 2025, eq. 7); value and gradient are those of the sequence ratio.
    """
    delta_NT = (logprob_NT - old_logprob_NT) * mask_NT
    if objective.ratio == "token":
        return delta_NT
    mean_N1 = delta_NT.sum(1, keepdim=True) / mask_NT.sum(1, keepdim=True).clamp_min(1)
    return mean_N1 * mask_NT


def kl_estimate(logprob_NT: Tensor, reference_NT: Tensor, kind: str) -> Tensor:
    """Per-token estimate of KL(pi || pi_ref) from samples of pi (Schulman 2020): k1, k2 or k3.

    With d = log pi - log pi_ref: k1 = d, k2 = d^2 / 2, k3 = exp(-d) - 1 + d.
    """
    delta_NT = logprob_NT - reference_NT
    if kind == "k1":
        return delta_NT
    if kind == "k2":
        return delta_NT.square() / 2
    return torch.exp(-delta_NT) - 1 + delta_NT


@dataclass(frozen=True)
class Loss:
    """A summed loss and what is counted beside it; tensors without gradient except ``value``."""

    value: Tensor
    clipped: Tensor
    counted: Tensor


def policy_loss(
    logprob_NT: Tensor,
    old_logprob_NT: Tensor,
    advantage_N: Tensor,
    mask_NT: Tensor,
    objective: Objective,
    denominator: float,
    reference_NT: Tensor | None = None,
    entropy_NT: Tensor | None = None,
) -> Loss:
    """The clipped surrogate of a (micro-)batch, to be minimised.

    L = -(1/Z) sum_i w_i sum_t min(rho_it A_i, clip(rho_it, 1 - clip_low, 1 + clip_high) A_i), with rho the token or
    sequence ratio, w_i = 1 (token mean, constant length) or 1/|o_i| (sequence mean), and Z from ``normalizer`` of
    the whole minibatch. Dual clip (Ye et al. 2020): for A < 0 the term is at least ``dual_clip`` * A. The KL
    estimate and the entropy bonus are aggregated in the same way.

    Args:
        logprob_NT: log-probabilities under the policy that is trained, with gradient.
        old_logprob_NT: log-probabilities under the policy that sampled.
        advantage_N: from ``advantages``.
        mask_NT: 1 on response tokens, 0 on padding; padded entries of the other tensors are ignored if finite.
        denominator: Z.
        reference_NT: log-probabilities under the base model; required where the objective has a KL term.
        entropy_NT: exact token entropies with gradient; required where the objective has an entropy bonus.

    Returns:
        The loss; the number of tokens (token ratio) or sequences (sequence ratio) where the clip is active, that
        is where the clipped term is the smaller one; and how many were counted.
    """
    mask_NT = mask_NT.to(logprob_NT.dtype)
    advantage_N1 = advantage_N.to(logprob_NT.dtype)[:, None]
    ratio_NT = log_ratio(logprob_NT, old_logprob_NT, mask_NT, objective).exp()
    plain_NT = ratio_NT * advantage_N1
    clipped_NT = ratio_NT.clamp(1 - objective.clip_low, 1 + objective.clip_high) * advantage_N1
    surrogate_NT = torch.minimum(plain_NT, clipped_NT)
    if objective.dual_clip is not None:
        floor_NT = objective.dual_clip * advantage_N1
        surrogate_NT = torch.where(advantage_N1 < 0, torch.maximum(surrogate_NT, floor_NT), surrogate_NT)
    loss_NT = -surrogate_NT
    if objective.kl != "none":
        assert reference_NT is not None, "an objective with a KL term needs reference log-probabilities"
        loss_NT = loss_NT + objective.kl_coefficient * kl_estimate(logprob_NT, reference_NT, objective.kl)
    if objective.entropy_coefficient:
        assert entropy_NT is not None, "an objective with an entropy bonus needs token entropies"
        loss_NT = loss_NT - objective.entropy_coefficient * entropy_NT
    weight_NT = mask_NT
    if objective.aggregation == "sequence_mean":
        weight_NT = mask_NT / mask_NT.sum(1, keepdim=True).clamp_min(1)
    with torch.no_grad():
        active_NT = (clipped_NT < plain_NT) & mask_NT.bool()
        if objective.ratio == "sequence":
            clipped, counted = active_NT.any(1).sum(), mask_NT.bool().any(1).sum()
        else:
            clipped, counted = active_NT.sum(), mask_NT.sum()
    return Loss((loss_NT * weight_NT).sum() / denominator, clipped, counted)
