"""The plain forward pass, which says what a model's distribution is: whole sequences, no cache, no padding mask."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor


def plain_logits(model: Any, ids_NT: Tensor, size: int) -> Tensor:
    """The logits (N, size, V) at the last ``size`` positions of whole sequences.

    Models differ in what they can be asked: some know no cache, and some compute the logits of all positions.
    """
    asked = {"use_cache": False, "logits_to_keep": size}
    taken = inspect.signature(model.forward).parameters
    return model(input_ids=ids_NT, **{name: value for name, value in asked.items() if name in taken}).logits[:, -size:]
