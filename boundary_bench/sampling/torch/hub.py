"""The decoder of a Hugging Face model: with its cache where that gives the plain forward pass, without it where not.

Axes: R rows (distinct prefixes), T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from boundary_bench.models.forward import plain_logits
from boundary_bench.sampling.torch.decoder import Decoder, HubDecoder

#: Largest mean difference of a token's log-probability (nats) between a decoder and the plain forward pass. Rounding
#: alone gives 5e-5 (SmolLM2-135M); states that are kept wrongly, or padding that is read, 4e-4 and more.
AGREES = 2e-4
#: Tokens of the two prompts that are tried.
TRIED = (3, 9)
#: Tokens in one forward pass of whole sequences.
PASS_TOKENS = 16384


class WholeDecoder:
    """Any causal language model of transformers, by its plain forward pass over the whole prefix for every token.

    The cost of a response grows with the square of its length: for models without a cache that branches.
    """

    pads = False

    def __init__(self, model: Any) -> None:
        self.model, self.device = model, model.device

    @torch.inference_mode()
    def prefill(self, ids_RT: Tensor, keep_RT: Tensor, room: int, rows: int) -> tuple[dict[str, Tensor], Tensor]:
        """See ``Decoder.prefill``; nothing is padded."""
        return {"ids": ids_RT}, self._logits(ids_RT)

    @torch.inference_mode()
    def extend(self, cache: dict[str, Tensor], parent_R: Tensor, token_R: Tensor) -> Tensor:
        """See ``Decoder.extend``."""
        cache["ids"] = torch.cat([cache["ids"][parent_R], token_R[:, None]], 1)
        return self._logits(cache["ids"])

    def _logits(self, ids_RT: Tensor) -> Tensor:
        pieces = ids_RT.split(max(1, PASS_TOKENS // ids_RT.shape[1]))
        return torch.cat([plain_logits(self.model, piece, 1)[:, -1].float() for piece in pieces])


def hub_decoder(model: Any) -> Decoder:
    """The fastest decoder of a Hugging Face model that gives its plain forward pass, by trying it.

    Prompts of unequal length are read together, or each alone; without a cache where the model's own fails, which no
    fact of a config says: it is not shared between models, or a step of it computes something else than the whole.
    """
    whole = WholeDecoder(model)
    for pads in (True, False):
        try:
            decoder = HubDecoder(model, pads)
            if _agrees(decoder, whole):
                return decoder
        except torch.OutOfMemoryError:
            raise
        except Exception:  # the code of a model can fail in any way; the plain forward pass says which is a fault
            continue
    return whole


def _agrees(decoder: HubDecoder, whole: WholeDecoder) -> bool:
    """Whether prompts, branches and moved rows have the distributions of the plain forward pass."""
    size = whole.model.get_input_embeddings().weight.shape[0]
    # ordinary tokens are in the middle of a vocabulary, special ones at its ends
    token_T = size // 4 + torch.arange(max(TRIED), device=whole.device) * 7 % max(1, size // 2)
    for lengths in [TRIED, TRIED[1:]] if decoder.pads else [(length,) for length in TRIED]:
        for found_RV, expected_RV in _tried(decoder, whole, token_T, lengths):
            expected_RV = torch.log_softmax(expected_RV, -1)
            # as often as they are drawn, since the rounding of rare tokens grows with the vocabulary
            difference_RV = (torch.log_softmax(found_RV, -1) - expected_RV).abs() * expected_RV.exp()
            if not float(difference_RV.sum(-1).max()) <= AGREES:
                return False
    return True


def _tried(
    decoder: HubDecoder, whole: WholeDecoder, token_T: Tensor, lengths: tuple[int, ...]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits of a decoder and of the plain forward pass: of prompts, of branches, and of branches that moved."""
    longest, count = max(lengths), len(lengths)
    pad = getattr(whole.model.config.get_text_config(), "pad_token_id", None) or 0
    padding_R = longest - torch.tensor(lengths, device=whole.device)
    keep_RT = torch.arange(longest, device=whole.device) >= padding_R[:, None]
    ids_RT = torch.where(keep_RT, token_T[:longest], 0)
    cache, logits_RV = decoder.prefill(ids_RT, keep_RT, 2, count + 1)
    rows = [ids_T[keep_T] for ids_T, keep_T in zip(ids_RT, keep_RT, strict=True)]
    yield logits_RV, _plain(whole, rows)
    for parents in ([*range(count), 0], [count, *range(count)]):
        parent_R = torch.tensor(parents, device=whole.device)
        token_R = token_T[longest - count - 1 : longest].clone()
        # a model may draw it, and some leave its position out
        token_R[-1] = pad
        rows = [torch.cat([rows[parent], token[None]]) for parent, token in zip(parents, token_R, strict=True)]
        yield decoder.extend(cache, parent_R, token_R), _plain(whole, rows)


def _plain(whole: WholeDecoder, rows: list[Tensor]) -> Tensor:
    return torch.cat([whole.prefill(ids_T[None], ids_T[None] >= 0, 0, 1)[1] for ids_T in rows])
