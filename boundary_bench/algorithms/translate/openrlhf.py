"""OpenRLHF 0.11.2: the flags of its command line for each part. Prompts, rewards and advantages are ours."""

from __future__ import annotations

from boundary_bench.algorithms.advantage import Advantage, Signs
from boundary_bench.algorithms.aggregation import SequenceMean, TokenMean
from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.data import Data
from boundary_bench.algorithms.penalties import KL, EntropyBonus, Penalty
from boundary_bench.algorithms.surrogate import Clipped
from boundary_bench.algorithms.translate.dictionary import Inexpressible, Table, Words, masked, ours


def _advantage(part: Advantage, algorithm: Algorithm) -> Words:
    # dr_grpo keeps our advantages unchanged once the hook (training/openrlhf) has removed its subtraction of a mean
    return {"algo.advantage.estimator": "dr_grpo", "reward.clip_range": [-1e6, 1e6]}


def _clipped(part: Clipped, algorithm: Algorithm) -> Words:
    found: Words = {"actor.eps_clip_low_high": [part.clip_low, part.clip_high]}
    if part.dual_clip is not None:
        found["actor.dual_clip"] = part.dual_clip
    if part.ratio == "sequence":
        if not isinstance(algorithm.aggregation, SequenceMean):
            kind = algorithm.aggregation.kind
            raise Inexpressible(f"ratio: sequence with aggregation: {kind}; its GSPO is a mean over sequences")
        return {**found, "actor.policy_loss_type": "gspo"}
    # a weight clipped to 1 changes no loss, but makes OpenRLHF log the difference between vLLM and the trainer
    return {
        **found,
        "actor.policy_loss_type": "ppo",
        "algo.advantage.is_correction_level": "token",
        "algo.advantage.is_correction_mode": "clip",
        "algo.advantage.is_correction_threshold": [1.0, 1.0],
    }


def _kl(part: KL, algorithm: Algorithm) -> Words:
    _by_token(part, f"kl: {part.kind}", algorithm)
    used = {"algo.kl.use_loss": True, "algo.kl.estimator": part.kind} if part.active else {}
    return {"algo.kl.init_coef": part.kl_coefficient, **used}


def _bonus(part: EntropyBonus, algorithm: Algorithm) -> Words:
    _by_token(part, "entropy_coefficient", algorithm)
    return {"actor.entropy_coef": part.entropy_coefficient}


def _by_token(part: Penalty, name: str, algorithm: Algorithm) -> None:
    if part.active and not isinstance(algorithm.aggregation, TokenMean):
        kind = algorithm.aggregation.kind
        raise Inexpressible(f"aggregation: {kind} with {name}; it takes the mean of that term over tokens")


TABLE: Table = {
    Advantage: _advantage,
    Signs: masked,
    Clipped: _clipped,
    TokenMean: lambda part, algorithm: {"actor.loss_agg_mode": "token-mean"},
    SequenceMean: lambda part, algorithm: {"actor.loss_agg_mode": "seq-mean-token-mean"},
    KL: _kl,
    EntropyBonus: _bonus,
    Data: ours,
}
