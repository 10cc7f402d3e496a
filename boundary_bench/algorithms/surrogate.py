"""The surrogate objective, token by token: importance ratio times advantage, bounded by the clip.

Axes: N responses, T response tokens (padded), U units in which a clip is counted: T tokens, or 1 for the sequence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from boundary_bench.algorithms.part import LossInputs, Part

if TYPE_CHECKING:
    from torch import Tensor


class Surrogate(Part, ABC):
    """A term for every token, from log-probabilities and advantages."""

    @abstractmethod
    def __call__(self, given: LossInputs) -> tuple[Tensor, Tensor, Tensor]:
        """The terms, to be maximised, and the units with an active clip.

        Returns:
            term_NT (anything finite on padding); clipped_NU and counted_NU, 0 or 1: units where the clip cuts the
            gradient, and units where it could.
        """


class Clipped(Surrogate):
    """The clipped importance ratio times the advantage (Schulman et al. 2017, PPO).

    u_it = min(rho_it A_i, clip(rho_it, 1 - clip_low, 1 + clip_high) A_i), with rho the token or sequence ratio. Dual
    clip (Ye et al. 2020): for A < 0 the term is at least ``dual_clip`` * A.
    """

    kind: Literal["clipped"] = "clipped"
    ratio: Literal["token", "sequence"] = Field("token", description="importance ratio")
    clip_low: float = Field(0.2, gt=0, description="the ratio is clipped below 1 - clip_low")
    clip_high: float = Field(0.2, gt=0, description="the ratio is clipped above 1 + clip_high")
    dual_clip: float | None = Field(None, gt=1, description="bound on the ratio where the advantage is negative")

    def __call__(self, given: LossInputs) -> tuple[Tensor, Tensor, Tensor]:
        """The terms; the clip is active where the clipped term is the smaller one."""
        advantage_N1, live_NT = given.advantage_N.to(given.logprob_NT.dtype)[:, None], given.mask_NT.bool()
        ratio_NT = self.log_ratio(given).exp()
        plain_NT = ratio_NT * advantage_N1
        clipped_NT = ratio_NT.clamp(1 - self.clip_low, 1 + self.clip_high) * advantage_N1
        term_NT = plain_NT.minimum(clipped_NT)
        if self.dual_clip is not None:
            term_NT = term_NT.maximum(self.dual_clip * advantage_N1).where(advantage_N1 < 0, term_NT)
        active_NT = (clipped_NT < plain_NT) & live_NT
        if self.ratio == "sequence":
            return term_NT, active_NT.any(1, keepdim=True), live_NT.any(1, keepdim=True)
        return term_NT, active_NT, live_NT

    def log_ratio(self, given: LossInputs) -> Tensor:
        """Logarithm (N, T) of the importance ratio.

        Token: log pi(y_t) - log pi_old(y_t). Sequence: its mean over the response, the same at every token, with the
        value and gradient of the sequence ratio (Zheng et al. 2025, eq. 7).
        """
        delta_NT = (given.logprob_NT - given.old_logprob_NT) * given.mask_NT
        if self.ratio == "token":
            return delta_NT
        return delta_NT.sum(1, keepdim=True) / given.mask_NT.sum(1, keepdim=True).clamp_min(1) * given.mask_NT
