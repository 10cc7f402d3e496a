"""An objective as data: every setting on which GRPO-like algorithms differ. No torch here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from boundary_bench.study.blocks import Block


class Objective(Block):
    """Advantage, signs, ratio, clip, aggregation and regularisers of a policy-gradient objective.

    The functions that use it are in ``boundary_bench.algorithms.loss``.
    """

    advantage: Literal["normalized", "centered"] = Field(
        "normalized", description="reward minus group mean, divided by the group's standard deviation or not"
    )
    std: Literal["unbiased", "population"] = Field("unbiased", description="divisor G - 1 or G")
    epsilon: float = Field(1e-6, ge=0, description="added to the standard deviation")
    signs: Literal["all", "negative", "positive"] = Field("all", description="advantages that contribute")
    others: Literal["mask", "drop"] = Field(
        "mask",
        description="the other samples: kept in the denominators (mask) or removed from the batch (drop)",
    )
    ratio: Literal["token", "sequence"] = Field("token", description="importance ratio")
    clip_low: float = Field(0.2, gt=0, description="the ratio is clipped below 1 - clip_low")
    clip_high: float = Field(0.2, gt=0, description="the ratio is clipped above 1 + clip_high")
    dual_clip: float | None = Field(None, gt=1, description="bound on the ratio where the advantage is negative")
    aggregation: Literal["token_mean", "sequence_mean", "constant_length"] = Field(
        "token_mean",
        description="mean over all tokens, mean over sequences of token means, or sum over a constant",
    )
    constant_length: int | None = Field(None, ge=1, description="the constant, with aggregation: constant_length")
    kl: Literal["none", "k1", "k2", "k3"] = Field("none", description="KL estimator against the base, in the loss")
    kl_coefficient: float = Field(0.0, ge=0)
    entropy_coefficient: float = Field(0.0, ge=0, description="bonus on the exact token entropy")

    @model_validator(mode="after")
    def _consistent(self) -> Objective:
        if (self.aggregation == "constant_length") != (self.constant_length is not None):
            raise ValueError("aggregation: constant_length and constant_length: NUMBER go together")
        if (self.kl == "none") != (self.kl_coefficient == 0):
            raise ValueError("kl and kl_coefficient go together: kl: none with 0, or k1, k2, k3 with a positive one")
        return self
