"""What a model folder's config says: code that it needs, its kind, its context, its EOS tokens."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from boundary_bench.core.errors import ModelError
from boundary_bench.core.files import read_json

#: An attention kernel from a hub repository, in the text of a config.
KERNEL = re.compile(r'"_?attn_implementation": (?:\{[^}]*)?"[^"]*/')
#: Names of the longest context in configs; of several the least holds, as in vLLM.
CONTEXT = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "seq_length",
    "seq_len",
    "max_sequence_length",
    "max_seq_length",
    "model_max_length",
)
#: Names of the lengths at which attention or a recurrence changes: windows, chunks, positions selected by an indexer.
WINDOW = re.compile(r"window(_size)?$|chunk_size$|index_topk$")
#: Names of a rotary embedding whose factors depend on the length of the whole sequence (Phi-3).
BY_LENGTH = ("longrope", "su")


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model folder, of a kind that is computed without code from elsewhere and unchanged.

    Raises:
        ModelError: there is none, or it needs code, is quantised, an adapter, or no decoder alone.
    """
    if not folder.is_dir():
        raise ModelError(f"no model folder at {folder}; expected config.json, tokenizer.json and *.safetensors there")
    if (folder / "adapter_config.json").exists():
        raise ModelError(
            f"{folder} is an adapter (adapter_config.json), whose weights are a part of a model; merge it into its "
            "base with merge_and_unload() of peft, and save the result in a folder of its own"
        )
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json; expected a folder in Hugging Face format")
    config = read_json(folder / "config.json")
    _check_code(folder, config)
    _check_kind(folder, config)
    return config


def _check_code(folder: Path, config: dict[str, Any]) -> None:
    """Refuse a model that needs code from its folder or from a repository: such code is never run.

    ``auto_map`` is ignored if transformers has a class of its own for the model_type.
    """
    named, kind = config.get("auto_map"), str(config.get("model_type"))
    if named:
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KNOWN

        named = kind not in KNOWN and f"auto_map {json.dumps(named)}"
    if not named and KERNEL.search(json.dumps(config)):
        named = "attn_implementation, a kernel of the hub"
    if named:
        raise ModelError(
            f"{folder} needs code that it brings or names, which is never run: config.json has model_type {kind!r} and "
            f"{named}; expected a model that transformers knows by itself: take another one, or a version of "
            "transformers that knows this one; an entry that is not needed can be dropped from a copy of the folder"
        )


def _check_kind(folder: Path, config: dict[str, Any]) -> None:
    for part in (config, text_of(config)):
        for name in ("quantization_config", "compression_config"):
            if part.get(name):
                raise ModelError(
                    f"{folder} is quantised: config.json has {name} {json.dumps(part[name])[:120]}; expected weights "
                    "in bfloat16, float16 or float32, since every engine and trainer rounds quantised ones in a way of "
                    "its own: take the unquantised model, or save a dequantised copy (dequantize() of transformers)"
                )
        if part.get("is_encoder_decoder"):
            raise ModelError(
                f"{folder} is an encoder with a decoder (is_encoder_decoder in config.json); expected a causal "
                "language model, which continues its prompt"
            )
    if file := config.get("transformers_weights"):
        raise ModelError(
            f"{folder}: config.json names a weight file (transformers_weights: {str(file)!r}), which not every "
            "engine reads; expected model.safetensors, or shards with model.safetensors.index.json"
        )


def text_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a config that describes the language model; models of more than text nest it."""
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) else config


def _all_values(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        yield name, value
        if isinstance(value, Mapping):
            yield from _all_values(value)


def context_of(config: Mapping[str, Any]) -> int | None:
    """The most tokens of a prompt and its response together; None: no limit is known.

    Where a rotary embedding has other factors beyond an original length (longrope), that length is the limit: a
    response that crosses it would change the log-probabilities of the tokens before, so that sampling token by token
    and a forward pass over the whole are two policies.

    >>> context_of({"n_positions": 1024, "rope_scaling": None})
    1024
    >>> context_of({"max_position_embeddings": 131072, "original_max_position_embeddings": 4096,
    ...             "rope_scaling": {"type": "longrope"}})
    4096
    """
    text = text_of(config)
    said = [text.get(name) for name in CONTEXT]
    values = list(_all_values(text))
    if any(name in ("rope_type", "type") and value in BY_LENGTH for name, value in values):
        said += [value for name, value in values if name == "original_max_position_embeddings"]
    return min((value for value in said if _counts(value)), default=None)


def windows_of(config: Mapping[str, Any]) -> dict[str, int]:
    """The lengths at which attention changes, by their names in the config: sliding windows and chunks.

    >>> windows_of({"sliding_window": 4096, "use_sliding_window": True, "attention_chunk_size": None})
    {'sliding_window': 4096}
    """
    text = text_of(config)
    unused = () if text.get("use_sliding_window", True) else ("sliding_window",)
    found = {name: value for name, value in _all_values(text) if WINDOW.search(name) and _counts(value)}
    return {name: value for name, value in found.items() if name not in unused}


def _counts(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def end_tokens(folder: Path) -> tuple[int, ...]:
    """The ids of the EOS tokens, ascending: from generation_config.json if it names any, else from config.json.

    Raises:
        ModelError: neither file names one, or an id is outside the vocabulary.
    """
    config, file = read_json(folder / "config.json"), folder / "generation_config.json"
    generation = read_json(file) if file.is_file() else {}
    said = (part.get("eos_token_id") for part in (generation, config, text_of(config)))
    found = next((token for token in said if token is not None), None)
    named = found if isinstance(found, list) else [found]
    if found is None or not named:
        raise ModelError(f"{folder}: config.json names no eos_token_id, so no response could end; add it")
    size = text_of(config).get("vocab_size") or math.inf
    if outside := [token for token in named if not isinstance(token, int) or not 0 <= token < size]:
        raise ModelError(
            f"{folder} names the end tokens {named}, of which {outside} are not in the model's vocabulary (ids 0 to "
            f"{size - 1}, by vocab_size in config.json); correct eos_token_id in generation_config.json, or in "
            "config.json where that one names none"
        )
    return tuple(sorted(set(named)))


def check_context(context: int | None, prompts: dict[str, list[int]], max_tokens: int, setting: str) -> None:
    """Check that the longest prompt and its response fit the context.

    Args:
        context: most tokens of a prompt and its response together; None: no limit.
        prompts: token ids by problem id.

    Raises:
        ModelError: they do not fit; the message names the problem.
    """
    name = max(prompts, key=lambda name: len(prompts[name]))
    longest = len(prompts[name])
    if context and longest + max_tokens > context:
        lower = f"lower {setting} to {context - longest} or less, or " if longest < context else ""
        raise ModelError(
            f"the context of {context} tokens (the model's, or a smaller max_model_len) cannot hold the longest prompt "
            f"(problem {name}, {longest} tokens) and {setting}: {max_tokens}; {lower}leave long questions out: "
            "options: {longest: CHARACTERS}, for sets of the hub and their files"
        )
