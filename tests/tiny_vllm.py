"""The real vLLM on tiny models: what its tests share. See ``test_vllm.py`` for how to run them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from boundary_bench.core import randomness
from boundary_bench.sampling.engine import Decoding, Responses, Work
from boundary_bench.sampling.vllm.engine import VllmEngine
from boundary_bench.study.sampling import Sampling

needs_vllm = pytest.mark.skipif(find_spec("vllm") is None, reason="no vLLM: boundary-bench env create sample")

TEXTS = ["34=12:", "345=27:", "12345=100:", "9=9:", "3852=27:"]
END = 1
PLAIN = Decoding(1.0, 1.0, 20, (END,))
GREEDY = Decoding(0.0, 1.0, 20, (END,))
SETTINGS = Sampling.model_validate({"engine": "vllm", "batch": 64, "vllm": {"kv_cache_gib": 0.1, "max_num_seqs": 64}})


def make_model(architecture: str, folder: Path) -> Path:
    """A model with random weights and heads of 32 dimensions, the fewest that vLLM's attention computes."""
    from boundary_bench.study.training import Pretrain
    from boundary_bench.training.pretrain import build, character_tokenizer, save

    shape = {"benchmark": "countdown", "hidden": 64, "layers": 2, "heads": 2, "architecture": architecture}
    model = build(Pretrain.model_validate(shape))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 or name.endswith(".bias"):
                parameter.normal_(0.0, 0.25, generator=generator)
    save(model, character_tokenizer(), folder)
    return folder


def work_of(engine: VllmEngine, count: int, decoding: Decoding = PLAIN, texts: Sequence[str] = TEXTS) -> Work:
    """``count`` samples of every text, with seeds of their own."""
    prompts = [engine.tokenizer.encode(text).ids for text in texts]
    seed_GB = np.stack([randomness.sample_seeds(randomness.key("test", text), np.arange(count)) for text in texts])
    return Work(prompts, seed_GB, decoding)


def drawn(engine: Any, work: Work) -> list[Responses]:
    """The responses to every prompt, in the order of the prompts."""
    found = [finished[1] for finished in engine.stream(iter([work])) if finished is not None]
    return sorted(found, key=lambda responses: responses.prompt_S[0])


def tokens_of(responses: Sequence[Responses]) -> list[list[int]]:
    """The token sequences of all samples, in order."""
    return [row.tolist() for row in rows_of(responses, "token_ST")]


def rows_of(responses: Sequence[Responses], name: str) -> list[np.ndarray]:
    """What a field says of every sample, in order, without padding."""
    return [row[:length] for part in responses for row, length in zip(getattr(part, name), part.length_S, strict=True)]


def same_share(ours: Sequence[Responses], theirs: Sequence[Responses]) -> float:
    """The share of equal token sequences; what is said of their tokens is equal within 1e-3."""
    same = [a == b for a, b in zip(tokens_of(ours), tokens_of(theirs), strict=True)]
    for name in ("logprob_ST", "entropy_ST"):
        for equal, one, other in zip(same, rows_of(ours, name), rows_of(theirs, name), strict=True):
            if equal:
                np.testing.assert_allclose(one, other, atol=1e-3)
    return float(np.mean(same))
