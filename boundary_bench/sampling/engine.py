"""What an engine is: prompts with per-sample seeds in, finished responses out, as long as there is work.

The campaign knows engines by this page alone. Nothing heavy is imported.

Axes: G problems of one piece of work, B sample indices, S samples, T tokens (padded).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

#: What a ModelError says of logits that are NaN.
NO_NUMBERS = "the model's logits are not numbers: its weights are too large to compute with"


@dataclass(frozen=True)
class Decoding:
    """How a response is drawn.

    Attributes:
        temperature: 0 is greedy.
        ends: the token ids any of which ends a response.
        batch: responses that the torch engine decodes together, at least one prompt's. A setting and no property of
            the machine, since the rounding of a batched matrix product depends on it.
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
        prompt_S: which prompt each answers.
        token_ST: token ids; the end token included where ``finished_S``, anything after it 0.
        logprob_ST: log-probability of each token under the distribution that was sampled from, 0 on padding.
        entropy_ST: entropy (nats) of that distribution at each token, 0 on padding.
        length_S: tokens, the end token included.
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
    """Samples that are asked for together: B of each of G problems. Two pieces of work are never the same.

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
        ends: the token ids any of which ends a response.
        context: most tokens of a prompt and its response together; None where the model knows no limit.
        file_samples: most samples that one piece of work should hold, as far as whole problems allow; None where any
            number is as good. An engine that works on several pieces at once wants them small: what comes after a
            piece of work is decided when all of it is finished.
    """

    tokenizer: Any
    ends: tuple[int, ...]
    context: int | None
    file_samples: int | None

    def start(self) -> None:
        """Make ready to draw, which can take minutes; comes before the first work, and never where there is none.

        Raises:
            EngineError: the engine does not start.
        """

    def stream(self, work: Iterator[Work | None]) -> Iterator[tuple[Work, Responses] | None]:
        """Draw what ``work`` asks for, which is pulled whenever the engine has room.

        ``work`` yields None while nothing can be decided before more of what was pulled is finished, and ends when
        nothing will follow. Closing the stream abandons what is in flight.

        Returns:
            Whole prompts of one piece of work, in any order, each once and in the order of their sample indices; None
            when a while has passed and nothing was finished, so that the caller can look up.
        """
