"""Stop strings: responses are cut after they were drawn, so that stop strings mean the same in every engine.

A policy's text up to a string does not depend on the text after it, so cutting is exact.

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
    """Responses and their texts, cut at the first stop string; a response that contains one counts as finished.

    A response keeps the tokens up to the one that completes the string, and their log-probabilities and entropies; its
    text ends before the string.

    Args:
        texts: the responses without special tokens.
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
        while low < high:  # the fewest tokens with one of the strings in their text
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
