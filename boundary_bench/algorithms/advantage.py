"""How much better a response is than the others of its group, and which of these advantages contribute.

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
    """Rewards of groups in, advantages out."""

    @abstractmethod
    def __call__(self, reward_PG: Tensor) -> Tensor:
        """The advantages of float64 rewards, in their shape and type."""


class Normalized(Advantage):
    """Rewards by the mean and the standard deviation of their group.

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
    """Rewards minus the mean of their group; exactly 0 where they are equal, also where their mean is rounded."""
    live_P1 = (reward_PG != reward_PG[:, :1]).any(1, keepdim=True)
    return (reward_PG - reward_PG.mean(1, keepdim=True)).where(live_P1, 0.0)


#: The advantages that there are.
Advantages = Annotated[Normalized | Centered, Field(discriminator="kind")]


class Signs(Part):
    """Advantages that contribute, and what becomes of the other samples: they have advantage 0, or are not there."""

    kind: Literal["all", "negative", "positive"] = Field("all", description="advantages that contribute")
    others: Literal["mask", "drop"] = Field(
        "mask",
        description="the other samples: kept in the denominators (mask) or removed from the batch (drop)",
    )

    def __call__(self, advantage_PG: Tensor) -> Tensor:
        """The advantages with 0 in place of those of another sign."""
        if self.kind == "negative":
            return advantage_PG.clamp(max=0)
        return advantage_PG.clamp(min=0) if self.kind == "positive" else advantage_PG

    def present(self, advantage_N: Tensor) -> Tensor:
        """Which samples are in the batch at all: those of the signs under "drop", else every one."""
        return (advantage_N != 0) | (self.others == "mask" or self.kind == "all")
