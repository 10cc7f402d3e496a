"""Decoders: prefixes with cached keys and values that can branch, end and grow by one token.

Two of them, one contract. ``LlamaDecoder`` reads the weights of a Llama or Qwen2 folder by name and does nothing
else: no module tree, no mask objects, no import of transformers. ``HubDecoder`` drives any Hugging Face causal LM
through its own cache. A test holds both against each other and against the model's plain forward pass.

Axes: R rows (distinct prefixes), T positions, V vocabulary, D head width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from boundary_bench.errors import ModelError


class Decoder(Protocol):
    """A causal language model that extends a set of prefixes."""

    device: torch.device

    def prefill(self, ids_RT: Tensor, keep_RT: Tensor, room: int) -> tuple[Any, Tensor]:
        """Read left-padded prompts; ``keep_RT`` is False on padding, ``room`` the tokens that may follow.

        Returns:
            A cache, and the logits after each prompt (R, V) in float32.
        """

    def extend(self, cache: Any, parent_R: Tensor, token_R: Tensor) -> Tensor:
        """Grow the cache by one token a row; row i continues what was row ``parent_R[i]``.

        Rows may branch, end and move; what stays in place (``parent_R[i] == i``) should cost nothing.

        Returns:
            The logits after the new tokens (R, V) in float32.
        """


@dataclass
class Cache:
    """Keys and values of every layer, of which ``rows`` rows and ``filled`` positions are used.

    The tensors are (capacity, heads, room, D); rows beyond ``rows`` are spare, so that branching rarely reallocates.
    """

    rows: int
    filled: int
    position_R: Tensor
    bias: Tensor | None = None
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def follow(self, parent_R: Tensor) -> None:
        """Let row i hold what row ``parent_R[i]`` held; only rows that change are copied."""
        rows = len(parent_R)
        moved = (parent_R != torch.arange(rows, device=parent_R.device)).nonzero()[:, 0]
        source = parent_R[moved]
        if rows > len(self.keys[0]):
            self.keys = [_grown(tensor, rows) for tensor in self.keys]
            self.values = [_grown(tensor, rows) for tensor in self.values]
        if len(moved):
            for tensor in (*self.keys, *self.values):
                tensor[moved, :, : self.filled] = tensor[source, :, : self.filled]
        self.position_R = self.position_R[parent_R]
        self.bias = None if self.bias is None else self.bias[parent_R]
        self.rows = rows


def _grown(tensor: Tensor, rows: int) -> Tensor:
    """The tensor with room for at least twice as many rows."""
    larger = tensor.new_empty(max(rows, 2 * len(tensor)), *tensor.shape[1:])
    larger[: len(tensor)] = tensor
    return larger


@dataclass(frozen=True)
class Layer:
    """Weights of one transformer block; query, key and value in one matrix, gate and up in another."""

    norm_attention: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    norm_mlp: Tensor
    gate_up: Tensor
    down: Tensor


def supports(config: Mapping[str, Any]) -> bool:
    """Whether ``LlamaDecoder`` computes exactly what this Hugging Face config describes."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return (
        config.get("model_type") in ("llama", "qwen2")
        and rope.get("rope_type", rope.get("type", "default")) == "default"
        and config.get("hidden_act", "silu") == "silu"
        and not config.get("use_sliding_window", False)
        and not config.get("mlp_bias", False)
        and not (config["model_type"] == "llama" and config.get("attention_bias", False))
    )


class LlamaDecoder:
    """Llama and Qwen2 from their named weights (Touvron et al. 2023; RoPE, RMSNorm, SwiGLU, grouped queries)."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """
        Args:
            config: the contents of config.json; ``supports`` must hold.
            weights: the state dict of the Hugging Face model (tensors are shared where they need no fusing).
        """
        self.heads = config["num_attention_heads"]
        self.groups = config.get("num_key_value_heads") or self.heads
        self.width = config.get("head_dim") or config["hidden_size"] // self.heads
        self.epsilon = config["rms_norm_eps"]
        self.embedding = _get(weights, "model.embed_tokens.weight")
        self.norm = _get(weights, "model.norm.weight")
        self.head = weights.get("lm_head.weight", self.embedding).detach()
        self.device = self.embedding.device
        self.layers = [_layer(weights, f"model.layers.{i}.") for i in range(config["num_hidden_layers"])]
        rope = config.get("rope_parameters") or {}
        theta = rope.get("rope_theta", config.get("rope_theta", 10000.0))
        powers = torch.arange(0, self.width, 2, device=self.device).float() / self.width
        self.frequency = 1.0 / theta**powers

    def _rotation(self, position: Tensor) -> tuple[Tensor, Tensor]:
        angle = position[..., None].float() * self.frequency
        angle = torch.cat([angle, angle], -1)
        return angle.cos().to(self.embedding.dtype), angle.sin().to(self.embedding.dtype)

    @torch.inference_mode()
    def prefill(self, ids_RT: Tensor, keep_RT: Tensor, room: int) -> tuple[Cache, Tensor]:
        """See ``Decoder.prefill``."""
        rows, length = ids_RT.shape
        position_RT = (keep_RT.cumsum(1) - 1).clamp_min(0)
        cos, sin = (x[:, None] for x in self._rotation(position_RT))
        causal = torch.ones(length, length, dtype=torch.bool, device=self.device).tril()
        # a padded row attends to itself, so that its softmax is defined; nothing reads it
        allowed = (causal & keep_RT[:, None]) | torch.eye(length, dtype=torch.bool, device=self.device)
        cache = Cache(rows, length, position_RT[:, -1] + 1)
        hidden = F.embedding(ids_RT, self.embedding)
        for layer in self.layers:
            qkv = self._qkv(layer, hidden).view(rows, length, -1, self.width).transpose(1, 2)
            query, key, value = qkv.split([self.heads, self.groups, self.groups], 1)
            query, key = _rotate(query, cos, sin), _rotate(key, cos, sin)
            for stored, fresh in ((cache.keys, key), (cache.values, value)):
                buffer = fresh.new_empty(rows, self.groups, length + room, self.width)
                buffer[:, :, :length] = fresh
                stored.append(buffer)
            mixed = F.scaled_dot_product_attention(
                query, key, value, attn_mask=allowed[:, None], enable_gqa=self.groups != self.heads
            )
            hidden = self._finish(layer, hidden, mixed.transpose(1, 2).reshape(rows, length, -1))
        if not keep_RT.all():
            cache.bias = hidden.new_zeros(rows, 1, 1, length + room)
            cache.bias[:, 0, 0, :length].masked_fill_(~keep_RT, float("-inf"))
        return cache, self._logits(hidden[:, -1])

    @torch.inference_mode()
    def extend(self, cache: Cache, parent_R: Tensor, token_R: Tensor) -> Tensor:
        """See ``Decoder.extend``."""
        cache.follow(parent_R)
        rows, now = cache.rows, cache.filled
        cos, sin = (x[:, None] for x in self._rotation(cache.position_R))
        bias = None if cache.bias is None else cache.bias[..., : now + 1]
        hidden = F.embedding(token_R, self.embedding)
        for index, layer in enumerate(self.layers):
            qkv = self._qkv(layer, hidden).view(rows, -1, self.width)
            rotated = _rotate(qkv[:, : self.heads + self.groups], cos, sin)
            keys, values = cache.keys[index][:rows, :, : now + 1], cache.values[index][:rows, :, : now + 1]
            keys[:, :, now] = rotated[:, self.heads :]
            values[:, :, now] = qkv[:, self.heads + self.groups :]
            # the queries that share a key head are treated as positions of one query: no copy of keys or values
            query = rotated[:, : self.heads].reshape(rows, self.groups, -1, self.width)
            mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=bias)
            hidden = self._finish(layer, hidden, mixed.reshape(rows, -1))
        cache.filled += 1
        cache.position_R = cache.position_R + 1
        return self._logits(hidden)

    def _norm(self, hidden: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(hidden, weight.shape, weight, self.epsilon)

    def _qkv(self, layer: Layer, hidden: Tensor) -> Tensor:
        return F.linear(self._norm(hidden, layer.norm_attention), layer.qkv, layer.qkv_bias)

    def _finish(self, layer: Layer, hidden: Tensor, mixed: Tensor) -> Tensor:
        """The rest of a block after attention: output projection and SwiGLU, each with its residual."""
        hidden = hidden + F.linear(mixed, layer.out)
        gate, up = F.linear(self._norm(hidden, layer.norm_mlp), layer.gate_up).chunk(2, -1)
        return hidden + F.linear(F.silu(gate) * up, layer.down)

    def _logits(self, hidden: Tensor) -> Tensor:
        return F.linear(self._norm(hidden, self.norm), self.head).float()


def _get(weights: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in weights:
        raise ModelError(f"the model lacks the weights {name}; this checkpoint is incomplete: save or copy it again")
    return weights[name].detach()


def _layer(weights: Mapping[str, Tensor], prefix: str) -> Layer:
    def get(name: str) -> Tensor:
        return _get(weights, prefix + name)

    parts = [f"self_attn.{part}_proj" for part in "qkv"]
    has_bias = prefix + "self_attn.q_proj.bias" in weights
    return Layer(
        norm_attention=get("input_layernorm.weight"),
        qkv=torch.cat([get(f"{part}.weight") for part in parts]),
        qkv_bias=torch.cat([get(f"{part}.bias") for part in parts]) if has_bias else None,
        out=get("self_attn.o_proj.weight"),
        norm_mlp=get("post_attention_layernorm.weight"),
        gate_up=torch.cat([get("mlp.gate_proj.weight"), get("mlp.up_proj.weight")]),
        down=get("mlp.down_proj.weight"),
    )


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


class HubDecoder:
    """Any Hugging Face causal LM, through its own forward pass and its own dynamic cache."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.device = model.device

    @torch.inference_mode()
    def prefill(self, ids_RT: Tensor, keep_RT: Tensor, room: int) -> tuple[dict[str, Any], Tensor]:
        """See ``Decoder.prefill``."""
        from transformers import DynamicCache

        cache = {"keep": keep_RT, "position": keep_RT.sum(1), "past": DynamicCache(config=self.model.config)}
        position_RT = (keep_RT.cumsum(1) - 1).clamp_min(0)
        return cache, self._forward(cache, ids_RT, position_RT)

    @torch.inference_mode()
    def extend(self, cache: dict[str, Any], parent_R: Tensor, token_R: Tensor) -> Tensor:
        """See ``Decoder.extend``."""
        cache["past"].batch_select_indices(parent_R)
        cache["keep"], cache["position"] = cache["keep"][parent_R], cache["position"][parent_R]
        cache["keep"] = F.pad(cache["keep"], (0, 1), value=True)
        logits = self._forward(cache, token_R[:, None], cache["position"][:, None])
        cache["position"] = cache["position"] + 1
        return logits

    def _forward(self, cache: dict[str, Any], ids_RT: Tensor, position_RT: Tensor) -> Tensor:
        done = self.model(
            input_ids=ids_RT,
            attention_mask=cache["keep"].long(),
            position_ids=position_RT,
            past_key_values=cache["past"],
            use_cache=True,
            logits_to_keep=1,
        )
        return done.logits[:, -1].float()
