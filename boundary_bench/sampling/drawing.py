"""How a token is drawn: the distribution after temperature and top-p, and its inversion at a uniform number.

One definition for every engine. A token depends on its logits and its uniform number alone, so two engines that
compute the same logits draw the same samples.

Axes: R rows of logits, V tokens of the vocabulary, S samples.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from boundary_bench.sampling.engine import Decoding


def distribution(logits_RV: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """Log-probabilities (R, V) of the sampling distribution, and its entropy (R,) in nats.

    Temperature divides the logits; top-p (Holtzman et al. 2020) keeps the smallest set of most likely tokens with mass
    at least top_p and renormalises. Greedy decoding keeps the policy's own distribution, which is then recorded. NaN
    logits give NaN.
    """
    scaled_RV = logits_RV / decoding.temperature if decoding.temperature > 0 else logits_RV
    logprob_RV = torch.log_softmax(scaled_RV, -1)
    if decoding.top_p < 1 and decoding.temperature > 0:
        sorted_RV, order_RV = torch.sort(logprob_RV, dim=-1, descending=True, stable=True)
        before_RV = sorted_RV.exp().cumsum(-1) - sorted_RV.exp()
        outside_RV = torch.zeros_like(logprob_RV, dtype=torch.bool)
        outside_RV.scatter_(1, order_RV, before_RV >= decoding.top_p)
        logprob_RV = torch.log_softmax(logprob_RV.masked_fill(outside_RV, float("-inf")), -1)
    probability_RV = logprob_RV.exp()
    entropy_R = -torch.where(probability_RV > 0, probability_RV * logprob_RV, 0.0).sum(-1)
    return logprob_RV, entropy_R


def draw(logprob_RV: Tensor, row_S: Tensor, uniform_S: np.ndarray, decoding: Decoding) -> Tensor:
    """The token of each sample by inversion of its row's cumulative distribution.

    The cumulative sums of all rows lie end to end on one axis (row r covers [r, r + 1)), so that one binary search
    serves every sample; float64 with uniforms on a 2**-32 grid keeps it exact for up to 2**20 rows.
    """
    if decoding.temperature == 0:
        return logprob_RV.argmax(-1)[row_S]
    cumulative_RV = logprob_RV.double().exp().cumsum(-1)
    cumulative_RV /= cumulative_RV[:, -1:].clone()
    cumulative_RV += torch.arange(len(cumulative_RV), device=row_S.device)[:, None]
    target_S = torch.from_numpy(uniform_S).to(row_S.device) + row_S
    place_S = torch.searchsorted(cumulative_RV.view(-1), target_S, right=True)
    return place_S - row_S * logprob_RV.shape[1]
