"""The drawing in vLLM's worker: every token by our own uniform numbers, and what it was drawn from.

vLLM decodes greedily. Before it takes the most likely token, ``Drawing`` draws one from the logits, the torch engine's
way, and leaves no other to take. So a seed counts with all its bits on every device, a token does not depend on how
often vLLM computed it, and the exact entropy is known; vLLM's own seeds and log-probabilities cost more and say less.

Only vLLM imports this page, in the process where the model is.

Axes: R rows of vLLM's batch, G of them that are decoded alike, V tokens of the vocabulary, S slots, T positions.
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

from boundary_bench.sampling.drawing import distribution, draw
from boundary_bench.sampling.engine import Decoding
from boundary_bench.seeds import uniforms

#: Logits that are turned into probabilities at once: 128 MiB in float64, whatever the batch and the vocabulary.
LOGITS_AT_ONCE = 2**24


@dataclass(frozen=True, eq=False)
class _Row:
    """A request in the batch.

    Attributes:
        slot: where what is known of its tokens is kept; the same when vLLM drops the request and takes it up again.
        decoding: temperature and top_p.
        output: its tokens so far, vLLM's own list: its length is the position that is drawn next, also where vLLM
            computes a token twice or throws one away.
    """

    slot: int
    seed: int
    decoding: tuple[float, float]
    output: Sequence[int]


@dataclass(frozen=True)
class _Group:
    """Rows that are decoded alike, so many as are computed at once."""

    decoding: Decoding
    index_G: np.ndarray
    row_G: Tensor
    slot_G: Tensor


class Drawing(LogitsProcessor):
    """Draws the tokens of all requests; each says how in ``extra_args``: name, seed, temperature, top_p.

    Log-probability and entropy of a token are written at its position, so that one drawn again replaces itself. They
    are kept until they are asked for.
    """

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self.device = device
        self.at_once = max(1, LOGITS_AT_ONCE // vllm_config.model_config.get_vocab_size())
        self.rows: list[_Row | None] = [None] * vllm_config.scheduler_config.max_num_seqs
        self.seed_R = np.zeros(0, np.uint64)
        self.groups: list[_Group] = []
        self.slots: dict[int, int] = {}
        self.free: list[int] = []
        self.found_2ST = torch.zeros(2, 0, 0, device=device)

    def is_argmax_invariant(self) -> bool:
        """False: what is left to take is the drawn token."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the requests of the batch; called before every step."""
        if batch_update is None:
            return
        rows = self.rows
        for index in batch_update.removed:
            rows[index] = None
        for index, parameters, _, output in batch_update.added:
            rows[index] = self._row(parameters, output)
        for one, other, direction in batch_update.moved:
            back = rows[other] if direction == MoveDirectionality.SWAP else None
            rows[one], rows[other] = back, rows[one]
        batch = rows[: batch_update.batch_size]
        self.seed_R = np.array([row.seed for row in batch], np.uint64)
        decodings = [row.decoding for row in batch]
        self.groups = []
        for decoding in dict.fromkeys(decodings):
            alike = [index for index, other in enumerate(decodings) if other == decoding]
            self.groups += [
                self._group(decoding, alike[first : first + self.at_once])
                for first in range(0, len(alike), self.at_once)
            ]

    def apply(self, logits: Tensor) -> Tensor:
        """Draw a token of every row (R, V), and leave it alone to take."""
        position_R = np.array([len(row.output) for row in self.rows[: len(logits)]])
        uniform_R = uniforms(self.seed_R, position_R)
        token_R = torch.empty(len(logits), dtype=torch.long, device=logits.device)
        for group in self.groups:
            here = group.index_G
            logprob_GV, entropy_G = distribution(logits[group.row_G], group.decoding)
            line_G = torch.arange(len(here), device=logits.device)
            # a row without numbers must not disturb the search of the others; that it has none is in what is kept
            without_G = logprob_GV[:, 0].isnan()
            token_G = draw(logprob_GV.masked_fill(without_G[:, None], 0), line_G, uniform_R[here], group.decoding)
            token_R[group.row_G] = token_G
            position_G = torch.from_numpy(position_R[here]).to(logits.device)
            self.found_2ST[:, group.slot_G, position_G] = torch.stack([logprob_GV[line_G, token_G], entropy_G])
        return logits.fill_(float("-inf")).scatter_(1, token_R[:, None], 0.0)

    def take(self, names: Sequence[int], lengths: Sequence[int]) -> bytes:
        """Log-probabilities (float32) of the tokens of some requests, one request after another, then entropies.

        What is taken is forgotten.
        """
        slot_S, length_S = torch.tensor([self.slots[name] for name in names]), torch.tensor(lengths)
        found_2ST = self.found_2ST[:, slot_S.to(self.device), : max(lengths)].cpu()
        self.forget(names)
        return found_2ST[:, torch.arange(max(lengths)) < length_S[:, None]].numpy().tobytes()

    def forget(self, names: Sequence[int]) -> None:
        """Drop what is kept of requests, as far as they were begun."""
        self.free += [self.slots.pop(name) for name in names if name in self.slots]

    def _row(self, parameters: Any, output: Sequence[int]) -> _Row:
        asked, limit = parameters.extra_args, parameters.max_tokens
        if asked["name"] not in self.slots:
            self.slots[asked["name"]] = self._free_slot(limit)
        return _Row(self.slots[asked["name"]], asked["seed"], (asked["temperature"], asked["top_p"]), output)

    def _free_slot(self, limit: int) -> int:
        """A slot of at least ``limit`` positions; there is room for as many as are running or not yet taken."""
        _, slots, positions = self.found_2ST.shape
        if not self.free:
            more = max(slots, len(self.rows))
            self.free = list(range(slots, slots + more))
            self.found_2ST = F.pad(self.found_2ST, (0, 0, 0, more))
        if limit > positions:
            self.found_2ST = F.pad(self.found_2ST, (0, limit - positions))
        return self.free.pop()

    def _group(self, decoding: tuple[float, float], found: list[int]) -> _Group:
        slots = torch.tensor([self.rows[index].slot for index in found])
        # where a response ends is vLLM's business
        whole = Decoding(*decoding, max_tokens=0, end=-1)
        return _Group(whole, np.array(found), torch.tensor(found).to(self.device), slots.to(self.device))


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
