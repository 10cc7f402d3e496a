"""How the terms of all tokens of a minibatch become one number. Axes: N responses, T response tokens (padded)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from boundary_bench.algorithms.part import Part

if TYPE_CHECKING:
    from torch import Tensor


class Aggregation(Part, ABC):
    """A weighted sum over the tokens of a minibatch, divided by one number."""

    @abstractmethod
    def denominator(self, mask_NT: Tensor) -> float:
        """The denominator Z of a whole minibatch.

        It counts every sample, also those with advantage 0, so that the loss can be summed over micro-batches and over
        the samples with non-zero advantage alone.
        """

    def __call__(self, loss_NT: Tensor, mask_NT: Tensor, denominator: float) -> Tensor:
        """The contribution of some responses to the loss of their minibatch."""
        return (loss_NT * mask_NT).sum() / denominator


class TokenMean(Aggregation):
    """The mean over all tokens of the minibatch (Yu et al. 2025, DAPO)."""

    kind: Literal["token_mean"] = "token_mean"

    def denominator(self, mask_NT: Tensor) -> float:
        """Number of tokens."""
        return float(mask_NT.sum())


class SequenceMean(Aggregation):
    """The mean over sequences of the means over their tokens (Shao et al. 2024, GRPO)."""

    kind: Literal["sequence_mean"] = "sequence_mean"

    def denominator(self, mask_NT: Tensor) -> float:
        """Number of sequences."""
        return float(mask_NT.shape[0])

    def __call__(self, loss_NT: Tensor, mask_NT: Tensor, denominator: float) -> Tensor:
        return (loss_NT * (mask_NT / mask_NT.sum(1, keepdim=True).clamp_min(1))).sum() / denominator


class ConstantLength(Aggregation):
    """The sum over tokens, divided by sequences times a constant (Liu et al. 2025, Dr. GRPO)."""

    kind: Literal["constant_length"] = "constant_length"
    constant_length: int = Field(ge=1, description="the constant")

    def denominator(self, mask_NT: Tensor) -> float:
        """Number of sequences times the constant."""
        return float(mask_NT.shape[0] * self.constant_length)


#: All kinds of aggregation.
Aggregations = Annotated[TokenMean | SequenceMean | ConstantLength, Field(discriminator="kind")]
