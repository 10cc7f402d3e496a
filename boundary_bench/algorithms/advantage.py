"""Advantages of responses within their group, and the signs of advantage that contribute.

Axes: P groups, G responses of a group, N = P x G.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from boundary_bench.algorithms.part import Part

if TYPE_CHECKING:
    from torch import Tensor


class Advantage(Part, ABC):
    """A function from the rewards of groups to advantages."""

    @abstractmethod
    def __call__(self, reward_PG: Tensor) -> Tensor:
        """The advantages (P, G) of float64 rewards, in float64."""


class Normalized(Advantage):
    """Rewards normalised by the mean and the standard deviation of their group.

    A_i = (r_i - mean_g r) / (std_g r + epsilon) (Shao et al. 2024, eq. 21 of the outcome form). Exactly 0 where the
    rewards of a group are equal.
    """

    kind: Literal["normalized"] = "normalized"
    std: Literal["unbiased", "population"] = Field("unbiased", description="divisor G - 1 or G")
    epsilon: float = Field(1e-6, ge=0, description="added to the standard deviation")

    def __call__(self, reward_PG: Tensor) -> Tensor:
        std_P1 = reward_PG.std(1, keepdim=True, correction=1 if self.std == "unbiased" else 0)
        return _centered(reward_PG) / (std_P1 + self.epsilon).clamp_min(sys.float_info.min)


class Centered(Advantage):
    """Rewards minus the mean of their group (Liu et al. 2025, Dr. GRPO)."""

    kind: Literal["centered"] = "centered"

    def __call__(self, reward_PG: Tensor) -> Tensor:
        return _centered(reward_PG)


def _centered(reward_PG: Tensor) -> Tensor:
    """Rewards minus the mean of their group; exactly 0 where they are all equal, even if the mean is rounded."""
    live_P1 = (reward_PG != reward_PG[:, :1]).any(1, keepdim=True)
    return (reward_PG - reward_PG.mean(1, keepdim=True)).where(live_P1, 0.0)


#: All kinds of advantage.
Advantages = Annotated[Normalized | Centered, Field(discriminator="kind")]


class Signs(Part):
    """The signs of advantage that contribute; the other samples get advantage 0 or leave the batch."""

    kind: Literal["all", "negative", "positive"] = Field("all", description="advantages that contribute")
    others: Literal["mask", "drop"] = Field(
        "mask",
        description="the other samples: kept in the denominators (mask) or removed from the batch (drop)",
    )

    def __call__(self, advantage_PG: Tensor) -> Tensor:
        """The advantages, set to 0 where the sign does not contribute."""
        if self.kind == "negative":
            return advantage_PG.clamp(max=0)
        return advantage_PG.clamp(min=0) if self.kind == "positive" else advantage_PG

    def present(self, advantage_N: Tensor) -> Tensor:
        """Which samples are in the batch: under "drop" those with a contributing sign, else all."""
        return (advantage_N != 0) | (self.others == "mask" or self.kind == "all")
