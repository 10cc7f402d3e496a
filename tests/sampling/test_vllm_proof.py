"""The proof of the vLLM engine, with the real vLLM in the sampling environment; see ``test_vllm.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_vllm import END, SETTINGS, make_model, needs_vllm

from boundary_bench.core.errors import ModelError
from boundary_bench.sampling.proof import prove
from boundary_bench.sampling.vllm import engine as vllm_engine

pytestmark = [pytest.mark.vllm, needs_vllm]


def longrope(folder: Path) -> Path:
    """A model with other rotary factors beyond 64 tokens, as Phi-4-mini has beyond 4,096."""
    from transformers import Phi3Config, Phi3ForCausalLM

    from boundary_bench.training.pretrain import PAD, character_tokenizer, save

    torch.manual_seed(3)
    config = Phi3Config(
        vocab_size=32,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        original_max_position_embeddings=64,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 1e4,
            "short_factor": [1.0] * 16,
            "long_factor": [8.0] * 16,
        },
        initializer_range=0.25,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    save(Phi3ForCausalLM(config).eval(), character_tokenizer(), folder)
    return folder


def test_a_model_is_proven_by_its_own_tokens(tmp_path: Path) -> None:
    folder = make_model("qwen2", tmp_path / "model")
    proof = prove(vllm_engine.load_engine(folder, SETTINGS), folder, SETTINGS)
    assert (proof.engine, proof.decoder, proof.tokens, proof.longest) == ("vllm", "VllmEngine", 64, 12)
    assert proof.largest < 1e-3 and proof.limit == 0.01


def test_longrope_has_its_short_factors_within_the_context_and_others_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vLLM takes the factors by the longest context that it is told, for every prompt."""
    folder = longrope(tmp_path / "model")
    engine = vllm_engine.load_engine(folder, SETTINGS)
    assert engine.context == 64
    assert prove(engine, folder, SETTINGS).largest < 1e-3
    from vllm.model_executor.layers import rotary_embedding

    rotary_embedding._ROPE_DICT.clear()  # a second engine in one process, which no job has
    monkeypatch.setattr(vllm_engine, "context_of", lambda config: config["max_position_embeddings"])
    with pytest.raises(ModelError, match=r"engine vllm .* differ by \d.*, expected 0\.01 at most"):
        prove(vllm_engine.load_engine(folder, SETTINGS), folder, SETTINGS)
