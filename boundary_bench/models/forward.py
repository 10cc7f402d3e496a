"""The plain forward pass, which says what a model's distribution is: whole sequences, no cache, no padding mask."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor


def plain_logits(model: Any, ids_NT: Tensor, size: int) -> Tensor:
    """The logits (N, size, V) at the last ``size`` positions of whole sequences.

    Models differ in what they can be asked: some know no cache, and some compute the logits of all positions.
    """
    asked = {"use_cache": False, "logits_to_keep": size}
    taken = inspect.signature(model.forward).parameters
    return model(input_ids=ids_NT, **{name: value for name, value in asked.items() if name in taken}).logits[:, -size:]


@torch.no_grad()
def plain_logprobs(model: Any, ids_NT: Tensor, start: int, temperature: float = 1.0) -> Tensor:
    """Log-probabilities (N, T - start) of the tokens from ``start`` on, in one plain forward pass.

    Args:
        ids_NT: whole sequences of one length.
    """
    logits_NTV = plain_logits(model, ids_NT, ids_NT.shape[1] - start + 1)[:, :-1]
    full_NTV = torch.log_softmax(logits_NTV.float() / temperature, -1)
    return full_NTV.gather(2, ids_NT[:, start:, None])[..., 0]
