"""Stop strings: responses are cut after they were drawn, so that stop strings mean the same in every engine.

A policy's text up to a string does not depend on the text after it, so cutting is exact.

Axes: S samples, T tokens (padded).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tokenizers import Tokenizer

from boundary_bench.models.tokenizer import shown
from boundary_bench.sampling.engine import Responses


def cut(
    responses: Responses, texts: Sequence[str], stop: Sequence[str], tokenizer: Tokenizer
) -> tuple[Responses, list[str]]:
    """Responses and their texts, cut at the first stop string; a response that contains one counts as finished.

    A response keeps the tokens up to the one that completes the string, and their log-probabilities and entropies; its
    text ends before the string.

    Args:
        texts: the responses as ``shown``; a stop string may also be a special token.
    """

    def holds(tokens: list[int]) -> bool:
        said = tokenizer.decode(tokens, skip_special_tokens=False)
        return any(string in said for string in stop)

    def before(tokens: list[int]) -> str:
        """The text before the first string."""
        (said,) = shown(tokenizer, [tokens], [False])
        if ends := [place for string in stop if (place := said.find(string)) >= 0]:
            return said[: min(ends)]
        # the string has a special token, which is no part of the text
        whole = tokenizer.decode(tokens, skip_special_tokens=False)
        place = min(place for string in stop if (place := whole.find(string)) >= 0)
        kept = len(tokens) - 1
        while len(tokenizer.decode(tokens[:kept], skip_special_tokens=False)) > place:
            kept -= 1
        return shown(tokenizer, [tokens[:kept]], [False])[0]

    length_S, finished_S, found = responses.length_S.copy(), responses.finished_S.copy(), list(texts)
    for row, length in enumerate(responses.length_S.tolist()):
        tokens, low, high = responses.token_ST[row, :length].tolist(), 1, length
        if not holds(tokens):
            continue
        while low < high:  # the fewest tokens with one of the strings in their text
            middle = (low + high) // 2
            low, high = (low, middle) if holds(tokens[:middle]) else (middle + 1, high)
        length_S[row], finished_S[row], found[row] = low, True, before(tokens[:low])
    kept_ST = np.arange(responses.token_ST.shape[1])[None] < length_S[:, None]
    zeroed = {
        name: np.where(kept_ST, getattr(responses, name), 0).astype(getattr(responses, name).dtype)
        for name in ("token_ST", "logprob_ST", "entropy_ST")
    }
    return replace(responses, **zeroed, length_S=length_S, finished_S=finished_S), found
