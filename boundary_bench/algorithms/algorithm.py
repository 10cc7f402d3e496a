"""An algorithm as its parts, which together give the advantages of whole groups and the loss of a minibatch.

Axes: P groups, G responses of a group, N responses, T response tokens (padded).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

from boundary_bench.algorithms.advantage import Advantages, Normalized, Signs
from boundary_bench.algorithms.aggregation import Aggregations, TokenMean
from boundary_bench.algorithms.data import EpochOrder
from boundary_bench.algorithms.part import LossInputs, Part
from boundary_bench.algorithms.penalties import KL, EntropyBonus, Penalty
from boundary_bench.algorithms.surrogate import Clipped
from boundary_bench.study.blocks import Block

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """A summed loss with the number of clipped and of counted units; only ``value`` has a gradient."""

    value: Tensor
    clipped: Tensor
    counted: Tensor


class Algorithm(Block):
    """Parts, each data with its function: the definition that every training backend is tested against."""

    advantage: Advantages = Normalized()
    signs: Signs = Signs()
    surrogate: Clipped = Clipped()
    aggregation: Aggregations = TokenMean()
    kl: KL = KL()
    entropy: EntropyBonus = EntropyBonus()
    data: EpochOrder = EpochOrder()

    @property
    def parts(self) -> dict[str, Part]:
        """The parts by name."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    @property
    def penalties(self) -> list[Penalty]:
        """The active penalties; with any, samples with advantage 0 have a gradient too."""
        return [penalty for penalty in (self.kl, self.entropy) if penalty.active]

    def advantages(self, reward_N: Tensor, group: int) -> Tensor:
        """The advantages (N,) of whole groups, set to 0 where the sign does not contribute.

        Args:
            reward_N: rewards, the samples of a group adjacent; must be finite.
            group: samples per group, at least 2.

        Raises:
            ValueError: a reward is not finite, the group size is below 2 or does not divide N.
        """
        if group < 2 or reward_N.numel() % group:
            raise ValueError(f"{reward_N.numel()} rewards do not make groups of {group} (at least 2 in a group)")
        if not reward_N.isfinite().all():
            raise ValueError("rewards must be finite: an unscored sample cannot be trained on; drop its group")
        advantage_PG = self.advantage(reward_N.view(-1, group).double())
        return self.signs(advantage_PG).view(-1).to(reward_N.dtype)

    def loss(self, given: LossInputs, denominator: float) -> Loss:
        """The loss of a minibatch (or the contribution of a part of it), to be minimised.

        L = -(1/Z) sum_i w_i sum_t (u_it - penalties_it), with u of the surrogate, and w and Z of the aggregation.

        Args:
            denominator: Z, of the whole minibatch.

        Returns:
            The loss, the number of tokens (token ratio) or sequences (sequence ratio) with an active clip, and the
            number of all counted ones.
        """
        given = replace(given, mask_NT=given.mask_NT.to(given.logprob_NT.dtype))
        term_NT, clipped_NU, counted_NU = self.surrogate(given)
        loss_NT = -term_NT
        for penalty in self.penalties:
            loss_NT = loss_NT + penalty(given)
        return Loss(self.aggregation(loss_NT, given.mask_NT, denominator), clipped_NU.sum(), counted_NU.sum())


def kinds(part: str) -> dict[str, type[Part]]:
    """The possible kinds of a part of an algorithm, as classes by kind."""
    annotation = Algorithm.model_fields[part].annotation
    classes: tuple[type[Part], ...] = get_args(annotation) or (annotation,)
    return {kind: each for each in classes for kind in get_args(each.model_fields["kind"].annotation)}
