"""Decoders: prefixes with cached keys and values that can branch, end and grow by one token.

``LlamaDecoder`` reads the weights of a Llama or Qwen2 folder by name and does nothing else: no module tree, no mask
objects, no import of transformers. ``HubDecoder`` drives any Hugging Face causal LM through its own cache. A test
compares both with each other and with the model's plain forward pass.

Axes: R rows (distinct prefixes), T positions, V vocabulary, D head width.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from boundary_bench.core.errors import ModelError


class Decoder(Protocol):
    """A causal language model that extends a set of prefixes.

    Attributes:
        pads: whether prompts of unequal length can be read together, with padding.
    """

    device: torch.device
    pads: bool

    def prefill(self, ids_RT: Tensor, keep_RT: Tensor, room: int, rows: int) -> tuple[Any, Tensor]:
        """Read left-padded prompts; ``keep_RT`` is False on padding.

        At most ``room`` tokens will follow in each row, and at most ``rows`` rows will branch from the prompts.

        Returns:
            A cache, and the logits after each prompt (R, V) in float32.
        """

    def extend(self, cache: Any, parent_R: Tensor, token_R: Tensor) -> Tensor:
        """Grow the cache by one token a row; new row i continues the former row ``parent_R[i]``.

        Rows may branch, end and move; a row that stays in place (``parent_R[i] == i``) should cost nothing.

        Returns:
            The logits after the new tokens (R, V) in float32.
        """


@dataclass
class KeyValueCache:
    """Keys and values of every layer; ``rows`` rows and ``filled`` positions are in use.

    ``kept`` is (layers, 2, capacity, heads, room, D); memory is touched only where it is used. A single prompt is
    not repeated in the rows: its keys and values (layers, 2, heads, T, D) are in ``prompt``.
    """

    rows: int
    filled: int
    position_R: Tensor
    turn: Tensor
    kept: Tensor
    prompt: Tensor | None
    bias: Tensor | None = None

    def follow(self, parent_R: Tensor) -> None:
        """Give row i the content of row ``parent_R[i]``; only rows that change are copied."""
        self.rows = len(parent_R)
        moved = (parent_R != torch.arange(self.rows, device=parent_R.device)).nonzero()[:, 0]
        if len(moved):
            used = self.kept[:, :, :, :, : self.filled]
            used[:, :, moved] = used[:, :, parent_R[moved]]
        self.position_R = self.position_R[parent_R]
        self.bias = None if self.bias is None else self.bias[parent_R]


@dataclass(frozen=True)
class Layer:
    """Weights of one transformer block; query, key and value in one matrix, gate and up in another.

    Gains and scales are folded into the matrices once instead of applied to every row: see ``LlamaDecoder._layer``.
    """

    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    gate_up: Tensor
    down: Tensor


#: Values of a config without which ``LlamaDecoder`` would have to know the defaults of transformers.
NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "rms_norm_eps")


def supports(config: Mapping[str, Any]) -> bool:
    """Whether ``LlamaDecoder`` computes exactly the model of this Hugging Face config.

    Whatever is said twice, left out, or unusual is for transformers to read: the answer is no.
    """
    return (
        config.get("model_type") in ("llama", "qwen2")
        and all(config.get(name) is not None for name in NEEDED)
        and theta_of(config) is not None
        and config.get("hidden_act", "silu") == "silu"
        and not config.get("use_sliding_window", False)
        and set(config.get("layer_types") or ()) <= {"full_attention"}
        and not config.get("mlp_bias", False)
        and not (config["model_type"] == "llama" and config.get("attention_bias", False))
    )


def theta_of(config: Mapping[str, Any]) -> float | None:
    """The base of plain rotary embeddings (Su et al. 2021); None where the config says more, or says it twice.

    >>> theta_of({"rope_theta": 10000.0}), theta_of({"rope_theta": 10000.0, "rope_scaling": {"type": "yarn"}})
    (10000.0, None)
    """
    rope = config.get("rope_parameters")
    nested = isinstance(rope, Mapping)
    said = [config.get("rope_theta"), rope.get("rope_theta") if nested else None]
    bases = {theta for theta in said if theta is not None}
    plain = not nested or (set(rope) <= {"rope_theta", "rope_type"} and rope.get("rope_type", "default") == "default")
    more = config.get("rope_scaling") or config.get("partial_rotary_factor", 1.0) != 1.0
    return bases.pop() if plain and not more and len(bases) == 1 and (nested or rope is None) else None


class LlamaDecoder:
    """Llama and Qwen2 in float32 from their named weights (Touvron et al. 2023)."""

    pads = True

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """
        Args:
            config: the contents of config.json; ``supports`` must hold.
            weights: the state dict of the Hugging Face model, in float32.
        """
        self.heads = config["num_attention_heads"]
        self.groups = config.get("num_key_value_heads") or self.heads
        self.width = config.get("head_dim") or config["hidden_size"] // self.heads
        self.epsilon = config["rms_norm_eps"]
        self.biased = config["model_type"] == "qwen2"
        self.embedding = _get(weights, "model.embed_tokens.weight")
        self.head = weights.get("lm_head.weight", self.embedding).detach() * _get(weights, "model.norm.weight")
        self.device = self.embedding.device
        self.layers = [self._layer(weights, f"model.layers.{i}.") for i in range(config["num_hidden_layers"])]
        powers = torch.arange(0, self.width, 2, device=self.device).float() / self.width
        self.frequency = 1.0 / theta_of(config) ** powers

    @torch.inference_mode()
    def prefill(self, ids_RT: Tensor, keep_RT: Tensor, room: int, rows: int) -> tuple[KeyValueCache, Tensor]:
        """See ``Decoder.prefill``."""
        prompts, length = ids_RT.shape
        position_RT = (keep_RT.cumsum(1) - 1).clamp_min(0)
        angle = torch.outer(torch.arange(length + room, device=self.device), self.frequency)
        turn = torch.polar(torch.ones_like(angle), angle)
        causal = torch.ones(length, length, dtype=torch.bool, device=self.device).tril()
        # a padded row attends to itself, so that its softmax is defined; nothing reads it
        allowed = (causal & keep_RT[:, None]) | torch.eye(length, dtype=torch.bool, device=self.device)
        read = self.embedding.new_empty(len(self.layers), 2, prompts, self.groups, length, self.width)
        hidden = F.embedding(ids_RT, self.embedding)
        for layer, (keys, values) in zip(self.layers, read, strict=True):
            qkv = self._qkv(layer, hidden, turn[position_RT]).transpose(1, 2)
            query, keys[:], values[:] = qkv.split([self.heads, self.groups, self.groups], 1)
            mixed = F.scaled_dot_product_attention(
                query, keys, values, allowed[:, None], scale=1.0, enable_gqa=self.groups != self.heads
            )
            hidden = self._finish(layer, hidden, mixed.transpose(1, 2).reshape(prompts, length, -1))
        shared = prompts == 1
        kept = read.new_empty(len(self.layers), 2, rows, self.groups, room if shared else length + room, self.width)
        cache = KeyValueCache(prompts, 0, position_RT[:, -1] + 1, turn, kept, read[:, :, 0] if shared else None)
        if not shared:
            kept[:, :, :prompts, :, :length], cache.filled = read, length
            if not keep_RT.all():
                cache.bias = hidden.new_zeros(prompts, 1, 1, length + room)
                cache.bias[:, 0, 0, :length].masked_fill_(~keep_RT, float("-inf"))
        return cache, self._logits(hidden[:, -1])

    @torch.inference_mode()
    def extend(self, cache: KeyValueCache, parent_R: Tensor, token_R: Tensor) -> Tensor:
        """See ``Decoder.extend``."""
        cache.follow(parent_R)
        rows, now = cache.rows, cache.filled
        turn = cache.turn[cache.position_R]
        hidden = F.embedding(token_R, self.embedding)
        for index, layer in enumerate(self.layers):
            qkv = self._qkv(layer, hidden, turn)
            keys, values = cache.kept[index, :, :rows, :, : now + 1]
            query, keys[:, :, now], values[:, :, now] = qkv.split([self.heads, self.groups, self.groups], 1)
            # the queries that share a key head are treated as positions of one query: no copy of keys or values
            query = query.unflatten(1, (self.groups, -1))
            if cache.prompt is None:
                bias = None if cache.bias is None else cache.bias[..., : now + 1]
                mixed = F.scaled_dot_product_attention(query, keys, values, bias, scale=1.0)
            else:
                mixed = _attend(query, keys, values, *cache.prompt[index])
            hidden = self._finish(layer, hidden, mixed.reshape(rows, -1))
        cache.filled += 1
        cache.position_R = cache.position_R + 1
        return self._logits(hidden)

    def _norm(self, hidden: Tensor) -> Tensor:
        """RMSNorm; its gain is part of the matrix that follows."""
        length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)
        return hidden * (length.square() / hidden.shape[-1] + self.epsilon).rsqrt()

    def _qkv(self, layer: Layer, hidden: Tensor, turn: Tensor) -> Tensor:
        """Heads of query, key and value (..., heads + 2 groups, D), with the rotary embedding of query and key."""
        qkv = F.linear(self._norm(hidden), layer.qkv, layer.qkv_bias).unflatten(-1, (-1, self.width))
        pairs = qkv[..., : self.heads + self.groups, :].unflatten(-1, (-1, 2))
        torch.view_as_complex(pairs).mul_(turn[..., None, :])
        return qkv

    def _finish(self, layer: Layer, hidden: Tensor, mixed: Tensor) -> Tensor:
        """The rest of a block after attention: output projection and SwiGLU, each with its residual."""
        hidden = hidden + F.linear(mixed, layer.out)
        gate, up = F.linear(self._norm(hidden), layer.gate_up).chunk(2, -1)
        return hidden + F.linear(F.silu(gate, inplace=True).mul_(up), layer.down)

    def _logits(self, hidden: Tensor) -> Tensor:
        return F.linear(self._norm(hidden), self.head).float()

    def _layer(self, weights: Mapping[str, Tensor], prefix: str) -> Layer:
        """One block's weights: gains folded in, pairs of rotated dimensions side by side, queries scaled."""

        def get(name: str) -> Tensor:
            return _get(weights, prefix + name)

        def fused(kind: str) -> Tensor:
            query, key, value = (get(f"self_attn.{part}_proj.{kind}") for part in "qkv")
            query, key = (
                x.view(-1, 2, self.width // 2, *x.shape[1:]).transpose(1, 2).reshape_as(x) for x in (query, key)
            )
            return torch.cat([query * self.width**-0.5, key, value])

        return Layer(
            qkv=fused("weight") * get("input_layernorm.weight"),
            qkv_bias=fused("bias") if self.biased else None,
            out=get("self_attn.o_proj.weight"),
            gate_up=torch.cat([get("mlp.gate_proj.weight"), get("mlp.up_proj.weight")])
            * get("post_attention_layernorm.weight"),
            down=get("mlp.down_proj.weight"),
        )


def _get(weights: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in weights:
        raise ModelError(f"the model lacks the weights {name}; this checkpoint is incomplete: save or copy it again")
    return weights[name].detach()


def _attend(query: Tensor, keys: Tensor, values: Tensor, prompt_keys: Tensor, prompt_values: Tensor) -> Tensor:
    """Attention of one query a row over the prompt of all rows, as one matrix product, and over each row's own tokens.

    Args:
        query: (R, groups, heads a group, D), scaled.
        keys, values: (R, groups, t, D).
        prompt_keys, prompt_values: (groups, T, D).
    """
    rows, groups, heads, width = query.shape
    split = prompt_keys.shape[1]
    together = query.transpose(0, 1).reshape(groups, rows * heads, width)
    score = torch.bmm(together, prompt_keys.transpose(1, 2)).view(groups, rows, heads, split).transpose(0, 1)
    own = torch.bmm(query.reshape(-1, heads, width), keys.flatten(0, 1).transpose(1, 2))
    weight = torch.softmax(torch.cat([score, own.view(rows, groups, heads, -1)], -1), -1)
    before = weight[..., :split].transpose(0, 1).reshape(groups, rows * heads, split)
    mixed = torch.bmm(before, prompt_values).view(groups, rows, heads, width).transpose(0, 1)
    return torch.baddbmm(mixed.reshape(-1, heads, width), weight[..., split:].flatten(0, 1), values.flatten(0, 1))


#: Names of the cache in forward passes: of transformers 5.24, and of earlier ones.
CACHES = ("cache", "past_key_values", "cache_params")


class HubDecoder:
    """Any Hugging Face causal LM, through its own forward pass and its own dynamic cache.

    Raises:
        ModelError: the forward pass takes no cache of transformers.
    """

    def __init__(self, model: Any, pads: bool = True) -> None:
        """
        Args:
            pads: whether prompts of unequal length are read together; a recurrence may read padding too.
        """
        self.model, self.device, self.pads = model, model.device, pads
        taken = inspect.signature(model.forward).parameters
        self.cache = next((name for name in CACHES if name in taken), None)
        if self.cache is None:
            raise ModelError(
                f"a model of type {model.config.model_type} keeps its state in no cache that transformers shares "
                "between models; expected one with a DynamicCache"
            )
        self.more = {"logits_to_keep": 1} if "logits_to_keep" in taken else {}
        self.placed = "position_ids" in taken

    @torch.inference_mode()
    def prefill(self, ids_RT: Tensor, keep_RT: Tensor, room: int, rows: int) -> tuple[dict[str, Any], Tensor]:
        """See ``Decoder.prefill``."""
        from transformers import DynamicCache

        cache = {"past": DynamicCache(config=self.model.config), "keep": keep_RT, "position": keep_RT.sum(1)}
        if keep_RT.all():  # a recurrence applies a mask to the new token alone, and takes no longer one
            cache["keep"] = None
        return cache, self._forward(cache, ids_RT, (keep_RT.cumsum(1) - 1).clamp_min(0))

    @torch.inference_mode()
    def extend(self, cache: dict[str, Any], parent_R: Tensor, token_R: Tensor) -> Tensor:
        """See ``Decoder.extend``."""
        cache["past"].reorder_cache(parent_R)
        position_R, keep_RT = cache["position"][parent_R], cache["keep"]
        cache["keep"] = None if keep_RT is None else F.pad(keep_RT[parent_R], (0, 1), value=True)
        cache["position"] = position_R + 1
        return self._forward(cache, token_R[:, None], position_R[:, None])

    def _forward(self, cache: dict[str, Any], ids_RT: Tensor, position_RT: Tensor) -> Tensor:
        padded = {} if cache["keep"] is None else {"attention_mask": cache["keep"].long()}
        placed = {"position_ids": position_RT} if self.placed else {}
        done = self.model(
            input_ids=ids_RT, use_cache=True, **{self.cache: cache["past"]}, **padded, **placed, **self.more
        )
        return done.logits[:, -1].float()
