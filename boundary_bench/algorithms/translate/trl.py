"""TRL 1.16.0: the arguments of GRPOConfig for each part. Prompts, rewards, advantages and denominators are ours."""

from __future__ import annotations

from boundary_bench.algorithms.advantage import Advantage, Signs
from boundary_bench.algorithms.aggregation import ConstantLength, SequenceMean, TokenMean
from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.data import Data
from boundary_bench.algorithms.part import Part
from boundary_bench.algorithms.penalties import KL, EntropyBonus
from boundary_bench.algorithms.surrogate import Clipped
from boundary_bench.algorithms.translate.dictionary import Inexpressible, Table, Words, masked, ours


def _clipped(part: Clipped, algorithm: Algorithm) -> Words:
    if part.dual_clip is not None and part.dual_clip < 1 + part.clip_high:
        raise Inexpressible(
            f"dual_clip: {part.dual_clip:g} below 1 + clip_high = {1 + part.clip_high:g}; it bounds the ratio where "
            "the advantage is positive as well"
        )
    return {
        "importance_sampling_level": part.ratio,
        "epsilon": part.clip_low,
        "epsilon_high": part.clip_high,
        "delta": part.dual_clip,
    }


def _summed(part: Part, algorithm: Algorithm) -> Words:
    # this loss divides a sum over tokens by one number, which we set
    return {"loss_type": "dapo"}


def _kl(part: KL, algorithm: Algorithm) -> Words:
    if part.kind not in ("none", "k3"):
        raise Inexpressible(f"kl: {part.kind}; its KL term is k3")
    return {"beta": part.kl_coefficient, "use_bias_correction_kl": False}


def _bonus(part: EntropyBonus, algorithm: Algorithm) -> Words:
    if part.active:
        raise Inexpressible("entropy_coefficient; it takes the mean of the bonus over the tokens of each micro-batch")
    return {}


TABLE: Table = {
    Advantage: ours,
    Signs: masked,
    Clipped: _clipped,
    TokenMean: _summed,
    SequenceMean: lambda part, algorithm: {"loss_type": "grpo"},
    ConstantLength: _summed,
    KL: _kl,
    EntropyBonus: _bonus,
    Data: ours,
}
