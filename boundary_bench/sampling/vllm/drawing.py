"""The drawing in vLLM's worker: every token by our own uniform numbers, with its log-probability and entropy.

vLLM decodes greedily. Before it takes the most likely token, ``Drawing`` draws one from the logits as the torch engine
does and masks all others. So all bits of a seed count on every device, a token does not depend on how often vLLM
computed it, and the exact entropy is known; vLLM's own seeds and log-probabilities cost more and provide less.

Only vLLM imports this module, in the process that holds the model.

Axes: R rows of vLLM's batch, G rows with the same decoding, V tokens of the vocabulary, S slots, T positions; 2 is
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


#: A row: the slot of its tokens (kept when vLLM preempts and resumes the request), its seed, and the index of its
#: decoding.
ROW = np.dtype([("slot", np.int64), ("seed", np.uint64), ("decoding", np.int64)])


@dataclass(frozen=True)
class _Group:
    """Rows with the same decoding that are computed at once.

    Attributes:
        row_G, index_G: the rows' places in the batch, on the device and on the host.
    """

    decoding: Decoding
    index_G: np.ndarray
    row_G: Tensor


class Drawing(LogitsProcessor):
    """Draws the tokens of all requests; ``extra_args`` of a request holds its name, seed, temperature and top_p.

    Log-probability and entropy of a token are written at its position, so a token drawn again replaces itself. They
    are kept until ``take``.
    """

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self.device = device
        self.at_once = max(1, LOGITS_AT_ONCE // vllm_config.model_config.get_vocab_size())
        most = vllm_config.scheduler_config.max_num_seqs
        self.row_R = np.zeros(most, ROW)
        # vLLM's own lists of tokens so far: a list's length is the next position to draw, also after vLLM computed a
        # token twice or threw one away
        self.output_R: list[Sequence[int]] = [()] * most
        self.decodings: list[Decoding] = []
        self.groups: list[_Group] = []
        self.slots: dict[int, int] = {}
        self.free: list[int] = []
        self.found_S2T = torch.zeros(0, 2, 0, device=device)

    def is_argmax_invariant(self) -> bool:
        """False, since the drawn token replaces the most likely one."""
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
        """Draw a token of every row (R, V) and mask all others."""
        rows = len(logits)
        row_R = self.row_R[:rows]
        position_R = np.array([len(output) for output in self.output_R[:rows]])
        uniform_R = uniforms(row_R["seed"], position_R)
        token_R = torch.empty(rows, dtype=torch.long, device=logits.device)
        found_R2 = torch.empty(rows, 2, device=logits.device)
        for group in self.groups:
            logprob_GV, entropy_G = distribution(logits[group.row_G], group.decoding)
            # a NaN row must not disturb the search of the others; its NaN log-probability is kept and reported later
            clean_GV = logprob_GV.masked_fill(logprob_GV[:, :1].isnan(), 0.0)
            line_G = torch.arange(len(logprob_GV), device=logits.device)
            token_G = draw(clean_GV, line_G, uniform_R[group.index_G], group.decoding)
            token_R[group.row_G] = token_G
            found_R2[group.row_G] = torch.stack([logprob_GV.gather(1, token_G[:, None])[:, 0], entropy_G], 1)
        slot_R, position_R = (torch.from_numpy(x).to(logits.device) for x in (row_R["slot"].copy(), position_R))
        self.found_S2T[slot_R, :, position_R] = found_R2
        return logits.fill_(float("-inf")).scatter_(1, token_R[:, None], 0.0)

    def take(self, names: Sequence[int], lengths: Sequence[int]) -> bytes:
        """Log-probabilities (float32) of the tokens of finished requests, one request after another, then entropies.

        The values are dropped here.
        """
        slot_S = torch.tensor([self.slots[name] for name in names], device=self.device)
        found_S2T = self.found_S2T[:, :, : max(lengths)].index_select(0, slot_S).numpy(force=True)
        self.forget(names)
        return found_S2T.transpose(1, 0, 2)[:, np.arange(max(lengths)) < np.array(lengths)[:, None]].tobytes()

    def forget(self, names: Sequence[int]) -> None:
        """Drop the values of requests, where any exist."""
        self.free += [self.slots.pop(name) for name in names if name in self.slots]

    def _row(self, parameters: Any) -> tuple[int, int, int]:
        asked = parameters.extra_args
        if asked["name"] not in self.slots:
            self.slots[asked["name"]] = self._free_slot(parameters.max_tokens)
        # vLLM itself ends responses
        decoding = Decoding(asked["temperature"], asked["top_p"], max_tokens=0, ends=())
        if decoding not in self.decodings:
            self.decodings.append(decoding)
        return self.slots[asked["name"]], asked["seed"], self.decodings.index(decoding)

    def _free_slot(self, limit: int) -> int:
        """A free slot of at least ``limit`` positions; the storage grows with the requests running or not yet taken."""
        slots, _, positions = self.found_S2T.shape
        if not self.free:
            more = max(slots, len(self.row_R))
            self.free = list(range(slots, slots + more))
            self.found_S2T = F.pad(self.found_S2T, (0, 0, 0, 0, 0, more))
        if limit > positions:
            self.found_S2T = F.pad(self.found_S2T, (0, limit - positions))
        return self.free.pop()


class DrawingWorker:
    """Access to a worker's ``Drawing``; vLLM adds these methods to its own worker."""

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
