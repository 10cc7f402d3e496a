"""The drawing in vLLM's worker: every token by our own uniform numbers, and what it was drawn from.

vLLM decodes greedily. Before it takes the most likely token, ``Drawing`` draws one from the logits, the torch engine's
way, and leaves no other to take. So a seed counts with all its bits on every device, a token does not depend on how
often vLLM computed it, and the exact entropy is known; vLLM's own seeds and log-probabilities cost more and say less.

Only vLLM imports this page, in the process where the model is.

Axes: R rows of vLLM's batch, G of them that are decoded alike, V tokens of the vocabulary, S slots, T positions; 2 is
log-probability and entropy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality

from boundary_bench.core.randomness import uniforms
from boundary_bench.sampling.drawing import distribution, draw
from boundary_bench.sampling.engine import Decoding

#: Logits that are turned into probabilities at once: 128 MiB in float64, whatever the batch and the vocabulary.
LOGITS_AT_ONCE = 2**24


#: What is known of a row: where its tokens are kept (the same place when vLLM drops the request and takes it up again),
#: its seed, and how it is decoded, as a place among the decodings.
ROW = np.dtype([("slot", np.int64), ("seed", np.uint64), ("decoding", np.int64)])


@dataclass(frozen=True)
class _Group:
    """Rows that are decoded alike, so many as are computed at once.

    Attributes:
        row_G, index_G: their places in the batch, on the device and here.
    """

    decoding: Decoding
    index_G: np.ndarray
    row_G: Tensor


class Drawing(LogitsProcessor):
    """Draws the tokens of all requests; each says how in ``extra_args``: name, seed, temperature, top_p.

    Log-probability and entropy of a token are written at its position, so that one drawn again replaces itself. They
    are kept until they are asked for.
    """

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self.device = device
        self.at_once = max(1, LOGITS_AT_ONCE // vllm_config.model_config.get_vocab_size())
        most = vllm_config.scheduler_config.max_num_seqs
        self.row_R = np.zeros(most, ROW)
        # vLLM's own lists of tokens so far: a length is the position that is drawn next, also where vLLM computes a
        # token twice or throws one away
        self.output_R: list[Sequence[int]] = [()] * most
        self.decodings: list[Decoding] = []
        self.groups: list[_Group] = []
        self.slots: dict[int, int] = {}
        self.free: list[int] = []
        self.found_S2T = torch.zeros(0, 2, 0, device=device)

    def is_argmax_invariant(self) -> bool:
        """False: what is left to take is the drawn token."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the requests of the batch; called before every step."""
        if batch_update is None:
            return
        row_R, output_R = self.row_R, self.output_R
        for index, parameters, _, output in batch_update.added:
            row_R[index], output_R[index] = self._row(parameters), output
        for one, other, direction in batch_update.moved:
            if direction == MoveDirectionality.SWAP:
                row_R[[one, other]] = row_R[[other, one]]
                output_R[one], output_R[other] = output_R[other], output_R[one]
            else:
                row_R[other], output_R[other] = row_R[one], output_R[one]
        self.groups = []
        decoding_R = row_R["decoding"][: batch_update.batch_size]
        for place in np.unique(decoding_R).tolist():
            alike = np.flatnonzero(decoding_R == place)
            for first in range(0, len(alike), self.at_once):
                index_G = alike[first : first + self.at_once]
                row_G = torch.from_numpy(index_G).to(self.device)
                self.groups.append(_Group(self.decodings[place], index_G, row_G))

    def apply(self, logits: Tensor) -> Tensor:
        """Draw a token of every row (R, V), and leave it alone to take."""
        rows = len(logits)
        row_R = self.row_R[:rows]
        position_R = np.array([len(output) for output in self.output_R[:rows]])
        uniform_R = uniforms(row_R["seed"], position_R)
        token_R = torch.empty(rows, dtype=torch.long, device=logits.device)
        found_R2 = torch.empty(rows, 2, device=logits.device)
        for group in self.groups:
            logprob_GV, entropy_G = distribution(logits[group.row_G], group.decoding)
            # a row without numbers must not disturb the search of the others; that it has none is in what is kept
            clean_GV = logprob_GV.masked_fill(logprob_GV[:, :1].isnan(), 0.0)
            line_G = torch.arange(len(logprob_GV), device=logits.device)
            token_G = draw(clean_GV, line_G, uniform_R[group.index_G], group.decoding)
            token_R[group.row_G] = token_G
            found_R2[group.row_G] = torch.stack([logprob_GV.gather(1, token_G[:, None])[:, 0], entropy_G], 1)
        slot_R, position_R = (torch.from_numpy(x).to(logits.device) for x in (row_R["slot"].copy(), position_R))
        self.found_S2T[slot_R, :, position_R] = found_R2
        return logits.fill_(float("-inf")).scatter_(1, token_R[:, None], 0.0)

    def take(self, names: Sequence[int], lengths: Sequence[int]) -> bytes:
        """Log-probabilities (float32) of the tokens of some requests, one request after another, then entropies.

        What is taken is forgotten.
        """
        slot_S = torch.tensor([self.slots[name] for name in names], device=self.device)
        found_S2T = self.found_S2T[:, :, : max(lengths)].index_select(0, slot_S).numpy(force=True)
        self.forget(names)
        return found_S2T.transpose(1, 0, 2)[:, np.arange(max(lengths)) < np.array(lengths)[:, None]].tobytes()

    def forget(self, names: Sequence[int]) -> None:
        """Drop what is kept of requests, as far as they were begun."""
        self.free += [self.slots.pop(name) for name in names if name in self.slots]

    def _row(self, parameters: Any) -> tuple[int, int, int]:
        asked = parameters.extra_args
        if asked["name"] not in self.slots:
            self.slots[asked["name"]] = self._free_slot(parameters.max_tokens)
        # where a response ends is vLLM's business
        decoding = Decoding(asked["temperature"], asked["top_p"], max_tokens=0, ends=())
        if decoding not in self.decodings:
            self.decodings.append(decoding)
        return self.slots[asked["name"]], asked["seed"], self.decodings.index(decoding)

    def _free_slot(self, limit: int) -> int:
        """A slot of at least ``limit`` positions; there is room for as many as are running or not yet taken."""
        slots, _, positions = self.found_S2T.shape
        if not self.free:
            more = max(slots, len(self.row_R))
            self.free = list(range(slots, slots + more))
            self.found_S2T = F.pad(self.found_S2T, (0, 0, 0, 0, 0, more))
        if limit > positions:
            self.found_S2T = F.pad(self.found_S2T, (0, limit - positions))
        return self.free.pop()


class DrawingWorker:
    """What a worker of vLLM answers about its drawing; vLLM adds these methods to its own worker."""

    model_runner: Any

    def take_drawn(self, names: Sequence[int], lengths: Sequence[int]) -> bytes:
        """See ``Drawing.take``."""
        return self._drawing().take(names, lengths)

    def forget_drawn(self, names: Sequence[int]) -> None:
        """See ``Drawing.forget``."""
        self._drawing().forget(names)

    def _drawing(self) -> Drawing:
        found = self.model_runner.input_batch.logitsprocs.non_argmax_invariant
        return next(processor for processor in found if isinstance(processor, Drawing))
