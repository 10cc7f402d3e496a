"""Tiny random models of every causal language model architecture of transformers, and of variants of their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from boundary_bench.training.pretrain import END, PAD, character_tokenizer, save

#: Heads, and with ``kv_lora_rank`` latent attention, of sizes that vLLM computes on a CPU.
VOCABULARY, HIDDEN, LAYERS, HEADS, GROUPS, WIDTH = 32, 256, 4, 4, 2, 64
#: Standard deviation of random weights: of a matrix times a state as large as the state.
SPREAD = 1.7 / HIDDEN**0.5
#: Windows and chunks: less than the prompts of the proof.
WINDOW = 8

#: Shrunken values by the names of fields, which hold in whichever config has the field.
SHRUNK: dict[str, Any] = {
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input", "decoder_vocab_size", "unpadded_vocab_size"), 32),
    **dict.fromkeys(
        ("hidden_size", "n_embd", "d_model", "emb_dim", "embed_dim", "embedding_size", "word_embed_proj_dim"), HIDDEN
    ),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers", "n_layers", "decoder_layers"), LAYERS),
    **dict.fromkeys(("encoder_layers", "num_decoder_layers", "num_encoder_layers", "depth"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"), HEADS),
    **dict.fromkeys(("encoder_attention_heads", "attention_heads", "num_encoder_attention_heads"), HEADS),
    **dict.fromkeys(("num_decoder_attention_heads", "swa_num_attention_heads", "conf_num_attention_heads"), HEADS),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "swa_num_key_value_heads", "num_query_groups"), GROUPS),
    **dict.fromkeys(("head_dim", "kv_channels", "swa_head_dim", "d_head", "global_head_dim"), WIDTH),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "index_head_dim", "rotary_dim"), WIDTH),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "linear_head_dim"), WIDTH),
    **dict.fromkeys(("q_lora_rank", "laurel_rank", "o_lora_rank", "hc_lowrank"), 16),
    "kv_lora_rank": 512,
    **dict.fromkeys(("intermediate_size", "moe_intermediate_size", "ffn_dim", "ffn_hidden_size"), 48),
    **dict.fromkeys(("decoder_ffn_dim", "encoder_ffn_dim", "intermediate_size_mlp", "dff", "dim_ff"), 48),
    **dict.fromkeys(("shared_intermediate_size", "moe_shared_expert_intermediate_size", "mlp_dim"), 48),
    **dict.fromkeys(("shared_expert_intermediate_size", "expert_ffn_hidden_size", "dense_intermediate_size"), 48),
    **dict.fromkeys(("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_top_k", "moe_k", "num_experts_per_token"), 2),
    **dict.fromkeys(("n_group", "topk_group", "num_expert_group", "n_shared_experts", "first_k_dense_replace"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx", "model_max_length"), 128),
    **dict.fromkeys(("original_max_position_embeddings", "context_length"), 128),
    **dict.fromkeys(("sliding_window", "window_size", "attention_window_size", "attention_chunk_size"), WINDOW),
    **dict.fromkeys(("chunk_size", "mamba_chunk_size", "sliding_window_size", "local_attention"), WINDOW),
    **dict.fromkeys(("linear_num_key_heads", "linear_num_heads", "mamba_n_groups", "n_groups"), 2),
    **dict.fromkeys(("linear_num_value_heads", "mamba_n_heads", "mamba_num_heads"), 4),
    **dict.fromkeys(("index_topk", "state_size", "mamba_d_state", "ssm_state_size", "time_step_rank"), 6),
    **dict.fromkeys(("hidden_size_per_layer_input", "hidden_size_global", "lru_width"), HIDDEN),
    **dict.fromkeys(("sliding_window_pattern", "_sliding_window_pattern", "no_rope_layer_interval"), 2),
    **dict.fromkeys(("pad_token_id",), PAD),
    **dict.fromkeys(("eos_token_id", "bos_token_id", "decoder_start_token_id"), END),
    # few heads tie at 0, and which of equal positions is selected depends on the length
    "index_n_heads": 16,
    **dict.fromkeys(("ext_pw_out_channel", "nemo_conv_channels", "depthwise_separable_out_channel"), 32),
    **dict.fromkeys(("output_channels", "backbone_hidden_size", "encoder_hash_byte_group_vocab", "d_inner"), 32),
    **dict.fromkeys(("router_hidden_size", "gated_norm_rank", "loop_gate_rank"), 16),
    "is_decoder": True,
}
_SHORT = 24
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
_LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
_SHORT_FACTOR = [1 + place / 6 for place in range(WIDTH // 2)]
_LONGROPE = {"rope_type": "longrope", "short_factor": _SHORT_FACTOR, "long_factor": [2 * f for f in _SHORT_FACTOR]}
_THETA = {"rope_theta": 10000.0}
#: Variants of a folder: model type, fields of the config, and changes of the config.json that transformers wrote.
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "llama, attention_bias": ("llama", {"attention_bias": True}, {}),
    "llama, mlp_bias": ("llama", {"mlp_bias": True}, {}),
    "llama, tied": ("llama", {"tie_word_embeddings": True}, {}),
    "llama, wide heads": ("llama", {"head_dim": 2 * WIDTH}, {}),
    "llama, rope linear": ("llama", {"rope_parameters": _THETA | {"rope_type": "linear", "factor": 2.0}}, {}),
    "llama, rope dynamic": ("llama", {"rope_parameters": _THETA | {"rope_type": "dynamic", "factor": 2.0}}, {}),
    "llama, rope llama3": (
        "llama",
        {"rope_parameters": _THETA | _LLAMA3 | {"original_max_position_embeddings": 32}},
        {},
    ),
    "llama, rope yarn": ("llama", {"rope_parameters": _THETA | _YARN}, {}),
    "llama, rope_scaling beside rope_parameters": ("llama", {}, {"rope_scaling": _YARN}),
    "llama, rope_theta alone": ("llama", {}, {"rope_parameters": None, "rope_theta": 500.0}),
    "phi3, longrope": (
        "phi3",
        {"rope_parameters": _THETA | _LONGROPE, "original_max_position_embeddings": _SHORT},
        {},
    ),
    "qwen2, rope_scaling beside rope_parameters": ("qwen2", {}, {"rope_scaling": _YARN}),
    "qwen2, sliding window": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 2, "layer_types": None},
        {},
    ),
    "qwen2, tied": ("qwen2", {"tie_word_embeddings": True}, {}),
}
#: Fields that are given where their default is None, too.
GIVEN = ("head_dim", "num_key_value_heads", "num_experts_per_tok", "eos_token_id", "pad_token_id")
#: Lists of one entry a layer.
LISTS = ("layer_types", "mlp_layer_types", "indexer_types", "layers_block_type", "attention_layers")
_TWO_KINDS = ["sliding_attention", "full_attention"] * 2
_COMPASS = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [WIDTH // 4, WIDTH // 8, WIDTH // 8]}
#: What the general values cannot say, by model type.
OVERRIDES: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1, 3]},
    "cohere": {"logit_scale": 1.0},
    "cohere2": {"logit_scale": 1.0},
    "cohere2_moe": {"logit_scale": 1.0},
    "cohere_compass_text": {
        "layer_types": _TWO_KINDS,
        "sliding_window": WINDOW,
        "rope_parameters": dict.fromkeys(_TWO_KINDS, _COMPASS),
    },
    "cpmant": {"dim_head": WIDTH, "position_bias_num_buckets": 32, "eos_token_id": END},
    "dbrx": {
        "attn_config": {"rope_theta": 10000.0, "kv_n_heads": 2, "clip_qkv": 8},
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1},
    "dots3_note": {
        "text_config": {"head_dim": 2 * WIDTH},
        "vision_config": {"adapter_in_dim": HIDDEN, "adapter_out_dim": HIDDEN},
        "audio_config": {"adapter_input_size": HIDDEN, "adapter_out_dim": HIDDEN},
    },
    "dots3_note_text": {"head_dim": 2 * WIDTH},
    "falcon_h1": {"mamba_d_ssm": 64, "mamba_d_head": 16},
    "gemma3n_text": {
        "num_kv_shared_layers": 2,
        "layer_types": _TWO_KINDS,
        "activation_sparsity_pattern": [0.5, 0.5, 0.0, 0.0],
    },
    "gemma4_assistant": {"text_config": {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"] * 2},
    "hrm_text": {"L_cycles": 1},
    "inkling_text": {"logits_mup_width_multiplier": 1.0},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "longcat_flash": {"zero_expert_num": 2},
    "mamba2": {"num_heads": 8},
    "minicpm3": {"dim_model_base": HIDDEN},
    "minimax": {"block_size": WINDOW},
    "qwen4_exp": {
        "text_config": {
            "indexer_n_heads": 16,
            "indexer_kv_heads": 1,
            "indexer_head_dim": WIDTH,
            "indexer_budget": WINDOW,
            "indexer_compress_ratio": 2,
        }
    },
    "reformer": {
        "axial_pos_embds_dim": [HIDDEN // 2, HIDDEN // 2],
        "axial_pos_shape": [8, 16],
        "attention_head_size": WIDTH,
        "local_attn_chunk_length": WINDOW,
        "lsh_attn_chunk_length": WINDOW,
    },
    "roc_bert": {"shape_vocab_size": 8, "pronunciation_vocab_size": 8, "eos_token_id": END},
    "xlm": {"causal": True, "pad_index": PAD},
    "xlnet": {"d_inner": 48},
    "xmod": {"default_language": "en_XX"},
    "zaya": {"num_experts_per_tok": 1},
}
#: A large state that is its own token's embedding repeats the token.
_UNTIED = {"tie_word_embeddings": False}
for _name in ("gemma2", "gemma3_text", "gemma4_text", "gemma4_unified_text", "recurrent_gemma", "zamba"):
    OVERRIDES[_name] = _UNTIED
for _name in ("gemma3", "gemma4", "gemma4_unified"):
    OVERRIDES[_name] = _UNTIED | {"text_config": _UNTIED}
#: What cannot be made here, and why.
NOT_MADE = {
    "gemma3n": "its pictures need the package timm; its text model is `gemma3n_text`",
    "musicgen": "AutoModelForCausalLM of transformers cannot make it from its config; it writes music",
    "musicgen_melody": "as `musicgen`",
}
#: What a config cannot be made without.
_NO_LAYER_INPUT = {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}
FIRST = {"gemma4_assistant": {"text_config": {"model_type": "gemma4_text", **_NO_LAYER_INPUT}}}
OVERRIDES["qwen4_exp_text"] = OVERRIDES["qwen4_exp"]["text_config"]


def shrunk(default: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """The fields of a config to be changed; nested configs are shrunk alike."""
    found = {}
    for name, value in default.items():
        if name in more and not name.endswith("_config"):
            found[name] = more[name]
        elif isinstance(value, dict) and name.endswith("_config"):
            kind = {"model_type": value["model_type"]} if "model_type" in value else {}
            found[name] = kind | shrunk(value, more.get(name, {}))
        elif name in LISTS and isinstance(value, list):
            kinds = list(dict.fromkeys(value))
            found[name] = [kinds[place % len(kinds)] for place in range(LAYERS)]
        elif name in SHRUNK and (value is not None or name in GIVEN) and not isinstance(value, dict):
            found[name] = SHRUNK[name]
    # latent attention has as many key heads as queries
    if "qk_rope_head_dim" in found and "num_key_value_heads" in found:
        found["num_key_value_heads"] = HEADS
    return {**found, **{name: value for name, value in more.items() if name not in default}}


def make(name: str, folder: Path) -> None:
    """A tiny random model of an architecture or a variant, whose windows are shorter than the prompts of the proof."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoTokenizer

    model_type, more, file = VARIANTS.get(name, (name, OVERRIDES.get(name, {}), {}))
    kind = CONFIG_MAPPING[model_type]
    config = kind(**shrunk(kind(**FIRST.get(model_type, {})).to_dict(), more))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    spread(model)
    save(model.eval(), character_tokenizer(), folder)
    # transformers reads the tokenizer of some model types in a way of its own, and saves it so
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    if file:
        said = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(said | file))


def spread(model: Any) -> None:
    """Random weights under which the distributions are not flat, and every bias and gain counts."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim < 2:
                parameter.add_(torch.empty_like(parameter).normal_(0.0, 0.1, generator=generator))
            elif parameter.std() < 0.8 * SPREAD:
                parameter.normal_(0.0, SPREAD, generator=generator)
