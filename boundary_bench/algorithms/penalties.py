"""Terms added to the loss of every token, whatever its advantage. Axes: N responses, T response tokens (padded)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from boundary_bench.algorithms.part import LossInputs, Part

if TYPE_CHECKING:
    from torch import Tensor


class Penalty(Part, ABC):
    """A loss term that also gives samples with advantage 0 a gradient."""

    @property
    @abstractmethod
    def active(self) -> bool:
        """Whether the term is not identically 0."""

    @abstractmethod
    def __call__(self, given: LossInputs) -> Tensor:
        """The term of every token (N, T), to be minimised."""


class KL(Penalty):
    """The KL divergence from the base model, estimated from samples of the policy (Schulman 2020).

    With d = log pi - log pi_ref: k1 = d, k2 = d^2 / 2, k3 = exp(-d) - 1 + d.
    """

    kind: Literal["none", "k1", "k2", "k3"] = Field("none", description="KL estimator against the base, in the loss")
    kl_coefficient: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> KL:
        if (self.kind == "none") != (self.kl_coefficient == 0):
            raise ValueError("kl and kl_coefficient go together: kl: none with 0, or k1, k2, k3 with a positive one")
        return self

    @property
    def active(self) -> bool:
        return self.kind != "none"

    def __call__(self, given: LossInputs) -> Tensor:
        assert given.reference_NT is not None, "a KL term needs reference log-probabilities"
        return self.kl_coefficient * self.estimate(given.logprob_NT, given.reference_NT)

    def estimate(self, logprob_NT: Tensor, reference_NT: Tensor) -> Tensor:
        """The estimate of KL(pi || pi_ref) at every token."""
        delta_NT = logprob_NT - reference_NT
        if self.kind == "k1":
            return delta_NT
        return delta_NT.square() / 2 if self.kind == "k2" else (-delta_NT).exp() - 1 + delta_NT


class EntropyBonus(Penalty):
    """The exact entropy of a token's distribution, in nats; more is better."""

    kind: Literal["bonus"] = "bonus"
    entropy_coefficient: float = Field(0.0, ge=0, description="bonus on the exact token entropy")

    @property
    def active(self) -> bool:
        return self.entropy_coefficient > 0

    def __call__(self, given: LossInputs) -> Tensor:
        assert given.entropy_NT is not None, "an entropy bonus needs token entropies"
        return -self.entropy_coefficient * given.entropy_NT
