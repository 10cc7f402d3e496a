"""The proof at adoption: an engine draws from the distribution that transformers computes, or the model is refused.

A few tokens are drawn by the engine that will be used, and their log-probabilities compared with a plain forward pass
of transformers over each whole sequence, without a cache and without padding. The token ids of the prompt templates are
compared with those of ``AutoTokenizer``.

Axes: G prompts, N responses of a prompt, T tokens of a response, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boundary_bench.benchmarks.templates import TEMPLATES, Prompting, apply
from boundary_bench.core import randomness
from boundary_bench.core.errors import BoundaryBenchError, ModelError
from boundary_bench.models.config import read_config, windows_of
from boundary_bench.models.folder import load_model, parameters
from boundary_bench.models.forward import plain_logprobs
from boundary_bench.sampling.engine import Decoding, Engine, Work
from boundary_bench.study.sampling import Sampling

#: Largest difference of a token's log-probability (nats) by the type of the engine's weights. Rounding alone gives
#: 3e-5, 0.05 and 0.15 with SmolLM2-135M in vLLM; a wrong model gives 0.2 and more.
LIMITS = {"float32": 0.01, "float16": 0.2, "bfloat16": 0.5}
#: Tokens of a response.
DRAWN = 8
#: Tokens of two prompts that are read together, and the responses to each.
SHORT, RESPONSES = (5, 12), 4
#: Tokens before and beyond the longest window that fits, in prompts of their own.
AROUND = (-3, 4)
#: Parameters times tokens of the longest prompt: some seconds on two cores.
EFFORT = 1e11
#: Questions whose token ids are compared: lines, spaces, numbers, markup, other scripts, and more than 100 tokens.
QUESTIONS = (
    "3852=27:",
    "  What is $\\frac{1}{2} + 0.25$?\n\n\tAnswer with 1,000 digits.  ",
    "Ünïcödé, 数学, a\u00a0b, e\u0301, 🙂 <s> </s> <|endoftext|> [INST]",
    "If a train leaves at 12:30 and another one at 13:45, which of them is late? " * 12,
)


@dataclass(frozen=True)
class Proof:
    """What was compared.

    Attributes:
        largest: largest difference of a token's log-probability (nats).
        limit: what it may be.
        tokens: tokens compared.
        longest: tokens of the longest prompt.
        windows: windows and chunks of the attention by name, None where no prompt that fits reaches beyond.
        transformers: its version.
    """

    engine: str
    decoder: str
    largest: float
    limit: float
    tokens: int
    longest: int
    windows: dict[str, int | None]
    transformers: str

    def record(self) -> dict[str, Any]:
        """The proof as JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.tokens} tokens of {self.decoder} within {self.largest:.1g} nats of a plain forward pass"


@dataclass(frozen=True)
class Drawn:
    """Responses to one prompt: ``ids_NT`` with the prompt in front, the log-probabilities of the response's tokens."""

    start: int
    ids_NT: np.ndarray
    logprob_NT: np.ndarray


def prove(engine: Engine, folder: Path, sampling: Sampling) -> Proof:
    """The proof of an engine on the model in a folder.

    Raises:
        ModelError: a log-probability differs, or the engine cannot decode the model.
    """
    import transformers

    config = read_config(folder)
    lengths, windows = prompt_lengths(config, engine.context, EFFORT / parameters(folder))
    decoder = type(getattr(engine, "decoder", engine)).__name__
    drawn = list(_draw(engine, folder, lengths))
    # its memory is free for the model of transformers, where the caller keeps no reference
    del engine
    dtype = sampling.vllm.dtype if sampling.engine == "vllm" else "float32"
    limit = LIMITS[dtype]
    # vLLM changes classes of transformers where it runs
    compared = _compared_elsewhere if sampling.engine == "vllm" else _compared
    largest, ahead = compared(folder, dtype, drawn)
    if not largest <= limit:
        if not ahead <= limit:
            raise ModelError(
                f"{folder}: in a plain forward pass of transformers the log-probability of a token differs by "
                f"{ahead:.3g} nats with the tokens that follow it, expected {limit:g} at most: this model does not "
                "read from left to right, so that it has no samples. Choose another model; one that was trained as a "
                "decoder and can be an encoder too needs is_decoder: true in config.json"
            )
        raise ModelError(
            f"{folder}: the engine {sampling.engine} ({decoder}) and a plain forward pass of transformers differ by "
            f"{largest:.3g} nats in the log-probability of a token, expected {limit:g} at most: it would sample "
            f"another policy than the trainer trains. Choose the other engine (sampling.engine), or another model; a "
            "copy of the folder saved by save_pretrained of transformers may be read alike"
        )
    return Proof(
        sampling.engine,
        decoder,
        float(f"{largest:.2g}"),
        limit,
        sum(each.logprob_NT.size for each in drawn),
        max(each.start for each in drawn),
        windows,
        transformers.__version__,
    )


def prompt_lengths(
    config: dict[str, Any], context: int | None, longest: float
) -> tuple[list[tuple[int, ...]], dict[str, int | None]]:
    """The lengths of the prompts to be read together, and the windows that one of them reaches beyond.

    Args:
        context: most tokens of a prompt and its response together; None: no limit.
        longest: most tokens of a prompt by its cost.
    """
    room = (context or 10**9) - DRAWN
    if room < 2:
        raise ModelError(f"found a context of {context} tokens, expected {DRAWN + 2} at least")
    windows = windows_of(config)
    fits = min(room, int(longest)) - AROUND[1]
    reached = {name: size if size <= fits else None for name, size in windows.items()}
    beyond = max((size for size in windows.values() if size <= fits), default=0)
    groups = [tuple(min(length, room) for length in SHORT)]
    if beyond > 1:
        groups.append(tuple(max(1, beyond + more) for more in AROUND))
    return groups, reached


def _draw(engine: Engine, folder: Path, groups: Sequence[Sequence[int]]) -> Iterator[Drawn]:
    """Responses of ``DRAWN`` tokens to prompts of random ordinary tokens."""
    special = engine.tokenizer.get_added_tokens_decoder()
    ordinary = np.array([token for token in range(engine.tokenizer.get_vocab_size(False)) if token not in special])
    random = np.random.default_rng(0)
    engine.start()
    for count, lengths in zip((RESPONSES, 1), groups, strict=False):
        prompts = [random.choice(ordinary, length).tolist() for length in lengths]
        keys = [randomness.key("proof", length) for length in lengths]
        seed_GN = np.stack([randomness.sample_seeds(key, np.arange(count)) for key in keys])
        work = Work(prompts, seed_GN, Decoding(1.0, 1.0, DRAWN, ends=()))
        try:
            finished = [found[1] for found in engine.stream(iter([work])) if found]
        except BoundaryBenchError:
            raise
        except Exception as fault:  # the code of a model can fail in any way
            raise ModelError(
                f"{folder} cannot be decoded by this engine ({type(fault).__name__}: {fault}); choose the other one "
                "(sampling.engine), or another model"
            ) from fault
        for responses in finished:
            for place in np.unique(responses.prompt_S):
                mine = responses.prompt_S == place
                prompt_NT = np.tile(prompts[place], (count, 1))
                ids_NT = np.concatenate([prompt_NT, responses.token_ST[mine]], 1)
                yield Drawn(len(prompts[place]), ids_NT, responses.logprob_ST[mine])


def _compared(folder: Path, dtype: str, drawn: Sequence[Drawn]) -> tuple[float, float]:
    """The largest difference of a token's log-probability from a plain forward pass of transformers.

    And, where it exceeds the limit, how much the log-probability of a response's first token depends on those after it.
    On the CPU, since the engine has taken the memory of a GPU.
    """
    model = load_model(folder, "cpu", getattr(torch, dtype))
    ids = [torch.from_numpy(each.ids_NT) for each in drawn]
    whole = [plain_logprobs(model, ids_NT, each.start).numpy() for ids_NT, each in zip(ids, drawn, strict=True)]
    # of numpy, since Python's max loses NaN
    largest = np.max([np.abs(each.logprob_NT - own_NT).max() for each, own_NT in zip(drawn, whole, strict=True)])
    if largest <= LIMITS[dtype]:
        return float(largest), 0.0
    first = [
        plain_logprobs(model, ids_NT[:, : each.start + 1], each.start).numpy()
        for ids_NT, each in zip(ids, drawn, strict=True)
    ]
    ahead = [np.abs(own_NT[:, :1] - first_N1).max() for own_NT, first_N1 in zip(whole, first, strict=True)]
    return float(largest), float(np.max(ahead))


def _compared_elsewhere(folder: Path, dtype: str, drawn: Sequence[Drawn]) -> tuple[float, float]:
    """``_compared`` in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        try:
            return pool.submit(_compared, folder, dtype, drawn).result()
        except BrokenProcessPool:
            raise ModelError(
                f"{folder}: the process that compares the engine with transformers was killed; on a CPU it needs the "
                "memory of the model once more beside the engine's"
            ) from None


def equal_templates(folder: Path, tokenizer: Any) -> list[str] | None:
    """The prompt templates that the model can be asked with, all with the token ids of ``AutoTokenizer``.

    Returns:
        None if transformers cannot load the tokenizer, so that nothing was compared.

    Raises:
        ModelError: a template has other token ids.
    """
    from transformers import AutoTokenizer

    try:
        theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception:  # whatever a file of the folder makes it raise; the template chat says which
        return None
    compared = [name for name, each in TEMPLATES.items() if not each.chat or theirs.chat_template]
    for name in compared:
        template = TEMPLATES[name]
        put = Prompting(template, theirs if template.chat else None)
        for question in QUESTIONS:
            found = put.ids(tokenizer, question)
            text = apply(template, question, theirs)
            expected = theirs(text, add_special_tokens=not template.chat)["input_ids"]
            if found != expected:
                place = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), len(found))
                raise ModelError(
                    f"{folder}: tokenizer.json and AutoTokenizer of transformers read {question[:40]!r} (template "
                    f"{name}) as different tokens, from token {place} on: {found[place : place + 4]} and "
                    f"{expected[place : place + 4]}; save a copy in which both agree: "
                    "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(COPY), beside the same weights"
                )
    return compared
