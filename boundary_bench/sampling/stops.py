"""Responses that end at a string: cut after they were drawn, so that every engine means the same by it.

What a policy writes up to a string does not depend on what it would write after it, so cutting is exact.

Axes: S samples, T tokens (padded).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from boundary_bench.sampling.engine import Responses


def cut(
    responses: Responses, texts: Sequence[str], stop: Sequence[str], decode: Callable[[list[int], bool], str]
) -> tuple[Responses, list[str]]:
    """Responses and their texts as far as the first of the strings; one that holds a string has ended by itself.

    A response keeps its tokens up to the one that completes the string, and their probabilities; its text ends before
    the string.

    Args:
        texts: what the responses say, without special tokens.
        decode: (token ids, whether special tokens are left out) -> text; a stop string may be a special token.
    """

    def holds(tokens: list[int]) -> bool:
        said = decode(tokens, False)
        return any(string in said for string in stop)

    length_S, finished_S, found = responses.length_S.copy(), responses.finished_S.copy(), list(texts)
    for row, length in enumerate(responses.length_S.tolist()):
        tokens, low, high = responses.token_ST[row, :length].tolist(), 1, length
        if not holds(tokens):
            continue
        while low < high:  # the fewest tokens whose text holds one of the strings
            middle = (low + high) // 2
            low, high = (low, middle) if holds(tokens[:middle]) else (middle + 1, high)
        said = decode(tokens[:low], True)
        ends = [place for string in stop if (place := said.find(string)) >= 0]
        length_S[row], finished_S[row], found[row] = low, True, said[: min(ends, default=len(said))]
    kept_ST = np.arange(responses.token_ST.shape[1])[None] < length_S[:, None]
    zeroed = {
        name: np.where(kept_ST, getattr(responses, name), 0).astype(getattr(responses, name).dtype)
        for name in ("token_ST", "logprob_ST", "entropy_ST")
    }
    return replace(responses, **zeroed, length_S=length_S, finished_S=finished_S), found
