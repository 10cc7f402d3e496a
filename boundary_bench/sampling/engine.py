"""The contract of an engine: prompts with per-sample seeds in, finished responses out, as long as there is work.

The campaign knows engines by this module alone. Nothing heavy is imported.

Axes: G problems of one piece of work, B sample indices, S samples, T tokens (padded).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

#: Message of the ModelError for NaN logits.
NO_NUMBERS = "the model's logits are not numbers: its weights are too large to compute with"


@dataclass(frozen=True)
class Decoding:
    """How a response is drawn.

    Attributes:
        temperature: 0 is greedy.
        ends: EOS token ids; any of them ends a response.
        batch: responses that the torch engine decodes together, at least those of one prompt. A setting, not a property
            of the machine, since the rounding of a batched matrix product depends on it.
    """

    temperature: float
    top_p: float
    max_tokens: int
    ends: tuple[int, ...]
    batch: int = 1024


@dataclass(frozen=True)
class Responses:
    """Finished responses, in the order of their requests.

    Attributes:
        prompt_S: index of each response's prompt.
        token_ST: token ids, with the EOS token where ``finished_S``, 0 on padding.
        logprob_ST: log-probability of each token under the sampling distribution, 0 on padding.
        entropy_ST: entropy (nats) of that distribution at each token, 0 on padding.
        length_S: tokens, the EOS token included.
        finished_S: False where ``max_tokens`` cut the response off.
    """

    prompt_S: np.ndarray
    token_ST: np.ndarray
    logprob_ST: np.ndarray
    entropy_ST: np.ndarray
    length_S: np.ndarray
    finished_S: np.ndarray


@dataclass(frozen=True, eq=False)
class Work:
    """One request for samples: B of each of G problems. Two pieces of work never compare equal.

    Attributes:
        prompts: token ids of the G prompts, none empty.
        seed_GB: the seed of every sample (uint64).
    """

    prompts: Sequence[list[int]]
    seed_GB: np.ndarray
    decoding: Decoding


class Engine(Protocol):
    """A loaded policy.

    Attributes:
        tokenizer: of the ``tokenizers`` package.
        ends: EOS token ids; any of them ends a response.
        context: most tokens of a prompt and its response together; None if the model has no limit.
        file_samples: most samples of one piece of work, as far as whole problems allow; None if any number is as good.
            An engine that works on several pieces at once wants them small, since the successor of a piece is decided
            only when the whole piece is finished.
    """

    tokenizer: Any
    ends: tuple[int, ...]
    context: int | None
    file_samples: int | None

    def start(self) -> None:
        """Prepare for drawing, which can take minutes; called before the first work, and not at all without work.

        Raises:
            EngineError: the engine does not start.
        """

    def stream(self, work: Iterator[Work | None]) -> Iterator[tuple[Work, Responses] | None]:
        """Draw the samples of ``work``, which is pulled whenever the engine has room.

        ``work`` yields None while the next piece depends on samples in flight, and ends when nothing will follow.
        Closing the stream abandons the samples in flight.

        Returns:
            Whole prompts of one piece of work, in any order, each once, samples in the order of their indices; None
            after a while without a finished prompt, so that the caller can react to a signal.
        """
