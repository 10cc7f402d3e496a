"""What the proof of an engine compares; what it sees: ``tests/models/test_kinds.py``, ``test_vllm_proof.py``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from boundary_bench.core.errors import ModelError
from boundary_bench.models.tokenizer import load_tokenizer
from boundary_bench.sampling.proof import equal_templates, prompt_lengths, prove
from boundary_bench.sampling.torch.engine import TorchEngine
from boundary_bench.study.sampling import Sampling


def test_prompts_lie_around_the_longest_window_that_fits() -> None:
    windows = {"sliding_window": 8, "attention_chunk_size": 20}
    assert prompt_lengths(windows, None, 1000) == ([(5, 12), (17, 24)], windows)
    reached = {"sliding_window": 8, "attention_chunk_size": None}
    assert prompt_lengths(windows, None, 23) == ([(5, 12), (5, 12)], reached)
    assert prompt_lengths(windows, 31, 1000) == ([(5, 12), (5, 12)], reached), "24 + 8 tokens are beyond the context"
    assert prompt_lengths({"use_sliding_window": False, **windows}, 12, 1000)[0] == [(4, 4)]
    with pytest.raises(ModelError, match="found a context of 9 tokens, expected 10 at least"):
        prompt_lengths({}, 9, 1000)


def test_an_engine_of_another_model_is_refused_with_the_difference(engine: TorchEngine, tiny_model: Path) -> None:
    assert prove(engine, tiny_model, Sampling()).largest < 1e-4
    sharper = replace(engine)
    decoder = object.__new__(type(engine.decoder))
    decoder.__dict__ |= {**engine.decoder.__dict__, "head": engine.decoder.head * 1.1}
    with pytest.raises(ModelError, match=r"engine torch \(LlamaDecoder\) .* differ by 0\.\d+ nats .* expected 0\.01"):
        prove(replace(sharper, decoder=decoder), tiny_model, Sampling())


def test_a_tokenizer_that_transformers_cannot_load_is_not_compared(tiny_model: Path, tmp_path: Path) -> None:
    words = load_tokenizer(tiny_model)
    assert equal_templates(tiny_model, words) == ["raw", "simple", "qwen-boxed"]
    (tmp_path / "tokenizer.json").write_text("{}")
    assert equal_templates(tmp_path, words) is None
