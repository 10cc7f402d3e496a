"""The base class of an algorithm's parts, and the inputs of a loss. No part loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boundary_bench.study.blocks import Block

if TYPE_CHECKING:
    from torch import Tensor


class Part(Block):
    """A function with its settings; a part of an algorithm has one of several kinds."""

    kind: str

    def identity(self, usual: bool = False) -> dict[str, Any]:
        """The identity of the block with its kind, which distinguishes parts without settings."""
        return {"kind": self.kind, **super().identity(usual)}


@dataclass(frozen=True)
class LossInputs:
    """The responses of a minibatch, or of a part of it. Axes: N responses, T response tokens (padded).

    Attributes:
        logprob_NT: log-probabilities under the trained policy, with gradient.
        old_logprob_NT: log-probabilities under the sampling policy.
        advantage_N: from ``Algorithm.advantages``.
        mask_NT: 1 on response tokens, 0 on padding; padded entries of the other tensors are ignored if finite.
        reference_NT: log-probabilities under the base model; required by a KL term.
        entropy_NT: exact token entropies with gradient; required by an entropy bonus.
    """

    logprob_NT: Tensor
    old_logprob_NT: Tensor
    advantage_N: Tensor
    mask_NT: Tensor
    reference_NT: Tensor | None = None
    entropy_NT: Tensor | None = None
