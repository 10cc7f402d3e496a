"""The in-process engine: exact i.i.d. sampling that computes every distinct prefix once.

Samples of one prompt share prefixes: at the first token a thousand samples share one, and many still do at the last.
The engine keeps one row for every distinct prefix (a prefix tree), draws each sample from its row's distribution with
the sample's own uniform number, and branches. The samples are exactly those of a plain loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from boundary_bench.core.errors import ModelError
from boundary_bench.core.randomness import uniforms
from boundary_bench.models.config import context_of, end_tokens
from boundary_bench.models.folder import check_device, load_model, load_weights
from boundary_bench.models.tokenizer import load_tokenizer
from boundary_bench.sampling.drawing import distribution, draw
from boundary_bench.sampling.engine import NO_NUMBERS, Decoding, Responses, Work
from boundary_bench.sampling.torch.decoder import Decoder, LlamaDecoder, supports
from boundary_bench.sampling.torch.hub import hub_decoder
from boundary_bench.study.sampling import Sampling


@dataclass(frozen=True)
class TorchEngine:
    """A policy in this process: see ``engine.Engine``."""

    decoder: Decoder
    tokenizer: Any
    ends: tuple[int, ...]
    context: int | None
    file_samples: int | None = None

    def start(self) -> None:
        """See ``engine.Engine.start``: the weights are in memory already."""

    def stream(self, work: Iterator[Work | None]) -> Iterator[tuple[Work, Responses] | None]:
        """See ``engine.Engine.stream``: one piece of work after another, a group of prompts at a time."""
        for item in work:
            assert item is not None, "all that was pulled is finished, so that the next work is decided"
            for responses in sample(self.decoder, item.prompts, item.seed_GB, item.decoding):
                yield item, responses


def load(folder: Path, sampling: Sampling, _log: Callable[[str], None]) -> TorchEngine:
    """The policy in a model folder, on the study's device."""
    return load_engine(folder, sampling.device)


def load_engine(folder: Path, device: str) -> TorchEngine:
    """The policy in a model folder, on ``device``."""
    check_device(device)
    config, weights = load_weights(folder)
    tokenizer, ends = load_tokenizer(folder), end_tokens(folder)
    decoder: Decoder
    if supports(config):
        try:
            decoder = LlamaDecoder(config, {name: tensor.float().to(device) for name, tensor in weights.items()})
        except ModelError as fault:
            raise ModelError(f"{folder}: {fault}") from None
    else:
        decoder = hub_decoder(load_model(folder, device))
    return TorchEngine(decoder, tokenizer, ends, context_of(config))


def sample(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    seed_PN: np.ndarray,
    decoding: Decoding,
    share_prefixes: bool = True,
) -> Iterator[Responses]:
    """Draw N responses to each prompt, a group of whole prompts at a time.

    Args:
        prompts: token ids of P prompts, none empty.
        seed_PN: the seed of every sample. Seed, prompt and weights determine the responses up to the rounding of a
            batched matrix product: a draw can change where its uniform number is within that rounding (about 1e-7) of
            the boundary between two tokens.
        share_prefixes: False computes a row for every sample (the plain loop), for comparison.
    """
    each = max(1, decoding.batch // max(1, seed_PN.shape[1])) if decoder.pads else 1
    for first in range(0, len(prompts), each):
        chosen = slice(first, first + each)
        yield _sample_group(decoder, prompts[chosen], seed_PN[chosen], decoding, share_prefixes, first)


def _sample_group(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    seed_PN: np.ndarray,
    decoding: Decoding,
    share_prefixes: bool,
    first: int,
) -> Responses:
    device = decoder.device
    seed_S = seed_PN.reshape(-1)
    count, limit = len(seed_S), decoding.max_tokens
    token_ST = torch.zeros(count, limit, dtype=torch.int32, device=device)
    logprob_ST = torch.zeros(count, limit, device=device)
    entropy_ST = torch.zeros(count, limit, device=device)
    prompt_S = torch.arange(len(prompts), device=device).repeat_interleave(seed_PN.shape[1])
    live_S = torch.arange(count, device=device)
    row_S, end_E = prompt_S, torch.tensor(decoding.ends, dtype=torch.long, device=device)
    cache, logits_RV = decoder.prefill(*_left_pad(prompts, device), limit, count)
    for t in range(limit):
        if torch.isnan(logits_RV).any():
            raise ModelError(NO_NUMBERS)
        logprob_RV, entropy_R = distribution(logits_RV, decoding)
        drawn_S = draw(logprob_RV, row_S, uniforms(seed_S[live_S.numpy(force=True)], t), decoding)
        token_ST[live_S, t] = drawn_S.int()
        logprob_ST[live_S, t] = logprob_RV[row_S, drawn_S]
        entropy_ST[live_S, t] = entropy_R[row_S]
        going_S = ~torch.isin(drawn_S, end_E)
        live_S, row_S, drawn_S = live_S[going_S], row_S[going_S], drawn_S[going_S]
        if not len(live_S) or t == limit - 1:
            break
        branch_S = drawn_S if share_prefixes else torch.arange(len(row_S), device=device)
        parent_R, row_S = place(row_S, branch_S)
        token_R = torch.empty_like(parent_R)
        token_R[row_S] = drawn_S
        logits_RV = decoder.extend(cache, parent_R, token_R)
    tokens = token_ST.numpy(force=True)
    finished_S = np.ones(count, dtype=bool)
    finished_S[live_S.numpy(force=True)] = False
    length_S = np.where(finished_S, np.isin(tokens, decoding.ends).argmax(1) + 1, limit)
    return Responses(
        prompt_S.numpy(force=True) + first,
        tokens,
        logprob_ST.numpy(force=True),
        entropy_ST.numpy(force=True),
        length_S,
        finished_S,
    )


def _left_pad(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    longest = max(map(len, prompts))
    ids_PT = torch.zeros(len(prompts), longest, dtype=torch.long)
    keep_PT = torch.zeros(len(prompts), longest, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        ids_PT[row, longest - len(prompt) :] = torch.tensor(prompt)
        keep_PT[row, longest - len(prompt) :] = True
    return ids_PT.to(device), keep_PT.to(device)


def place(row_S: Tensor, branch_S: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the next step: samples with the same row and branch share a row, and as few rows as possible move.

    The first branch of a row stays in the row's place; its other branches, and rows beyond the new number of rows,
    fill the places of rows that have ended. So the cache copies only rows that branch or move.

    Returns:
        The parent of each new row, and the new row of each sample.

    >>> place(torch.tensor([0, 0, 2, 2]), torch.tensor([5, 5, 1, 7]))
    (tensor([0, 2, 2]), tensor([0, 0, 2, 1]))
    """
    width = int(branch_S.max()) + 1
    code_C, child_S = torch.unique(row_S * width + branch_S, return_inverse=True)
    parent_C = code_C // width
    rows = len(parent_C)
    first_C = torch.ones_like(parent_C, dtype=torch.bool)
    first_C[1:] = parent_C[1:] != parent_C[:-1]
    staying_C = first_C & (parent_C < rows)
    free_R = torch.ones(rows, dtype=torch.bool, device=row_S.device)
    free_R[parent_C[staying_C]] = False
    place_C = parent_C.clone()
    place_C[~staying_C] = free_R.nonzero()[:, 0]
    parent_R = torch.empty_like(parent_C)
    parent_R[place_C] = parent_C
    return parent_R, place_C[child_S]
