"""Model folders in Hugging Face format: checked reading, fingerprints and manifests.

safetensors only: a pickle is never opened. transformers is imported only to load a model or to check ``auto_map``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from boundary_bench.core import provenance
from boundary_bench.core.errors import ModelError
from boundary_bench.core.files import read_json, write_json

#: The file in a checkpoint's folder with the provenance of its training (code, packages, machine).
RECORD = "boundary_bench.json"
#: Files that determine a model's token ids and outputs beside its weights; of a tokenizer only tokenizer.json is read.
SMALL = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
#: Keys of a config that depend on its writer, not on the model.
UNSAID = ("transformers_version", "_name_or_path")
#: An attention kernel from a hub repository, in the text of a config.
KERNEL = re.compile(r'"_?attn_implementation": (?:\{[^}]*)?"[^"]*/')


def check_device(device: str) -> None:
    """Raise ModelError if a torch device is not available."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            "the study asks for device: cuda, and torch finds no GPU here (boundary-bench doctor shows what it finds); "
            "write device: cpu, or install a CUDA build of torch on a machine with a GPU"
        )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder.

    Raises:
        ModelError: the folder or its config.json is missing, there are no safetensors, or the model needs code.
    """
    if not folder.is_dir():
        raise ModelError(f"no model folder at {folder}; expected config.json, tokenizer.json and *.safetensors there")
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json; expected a folder in Hugging Face format")
    _check_code(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = [p.name for p in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"))]
        found = f"found only {', '.join(sorted(pickles))}, which can run code when opened" if pickles else "found none"
        raise ModelError(
            f"{folder}: expected *.safetensors, {found}; convert with "
            "AutoModelForCausalLM.from_pretrained(...).save_pretrained(..., safe_serialization=True)"
        )
    return files


def _check_code(folder: Path) -> None:
    """Refuse a model that needs code from its folder or from a repository: such code is never run.

    ``auto_map`` is ignored if transformers has a class of its own for the model_type.
    """
    config = read_json(folder / "config.json")
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


def load_weights(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The config and the state dict of a model folder, with every tensor complete and finite.

    Raises:
        ModelError: a file is missing or torn, or a tensor holds NaN or infinity.
    """
    weights = dict(_sound_tensors(folder))
    return read_json(folder / "config.json"), weights


def check_weights(folder: Path) -> dict[str, Any]:
    """The config of a model folder, its tensors checked as in ``load_weights``, but one at a time in memory."""
    for _ in _sound_tensors(folder):
        pass
    return read_json(folder / "config.json")


def _sound_tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for file in weight_files(folder):
        try:
            with safe_open(file, "pt") as opened:
                for name in opened.keys():  # noqa: SIM118, an opened file is no mapping
                    tensor = opened.get_tensor(name)
                    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                        raise ModelError(f"{folder}: tensor {name} holds NaN or infinity; this checkpoint is no model")
                    yield name, tensor
        except (SafetensorError, OSError) as fault:
            size = file.stat().st_size
            raise ModelError(
                f"{file} is damaged ({fault}; {size} bytes); copy or train this checkpoint again"
            ) from None


def parameters(folder: Path) -> int:
    """The number of parameters of a model folder; only the headers of its files are read.

    Raises:
        ModelError: a file is missing or torn.
    """
    total = 0
    for file in weight_files(folder):
        try:
            with safe_open(file, "pt") as opened:
                total += sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118
        except (SafetensorError, OSError) as fault:
            raise ModelError(f"{file} is damaged ({fault}); copy or make this model again") from None
    return total


def load_model(folder: Path, device: str, dtype: torch.dtype | Literal["auto"] = torch.float32) -> Any:
    """The Hugging Face model of a folder, for inference.

    Args:
        dtype: type of the weights; "auto" is the type in the files.

    Raises:
        ModelError: as ``load_weights``; or the device is missing, transformers does not know the config, or it would
            fill a missing tensor with random numbers.
    """
    check_device(device)
    check_weights(folder)
    from transformers import AutoModelForCausalLM

    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, trust_remote_code=False, output_loading_info=True
        )
    except (ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError, OSError) as fault:
        raise ModelError(f"{folder} cannot be loaded as a causal language model: {fault}") from None
    if found["missing_keys"]:
        raise ModelError(
            f"{folder} lacks the weights {', '.join(sorted(found['missing_keys'])[:3])}; this checkpoint is "
            "incomplete: save or copy it again"
        )
    return model.to(device).eval()


def load_tokenizer(folder: Path) -> Tokenizer:
    """The fast tokenizer of a model folder.

    Raises:
        ModelError: tokenizer.json is missing or unreadable.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelError(f"{folder} has no tokenizer.json; save the tokenizer beside the model (save_pretrained)")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as fault:  # the tokenizers library raises bare Exception
        raise ModelError(f"{file} is not a tokenizer: {fault}") from None


def end_tokens(folder: Path) -> tuple[int, ...]:
    """The ids of the EOS tokens, ascending: from generation_config.json if it names any, else from config.json.

    Raises:
        ModelError: neither file names one, or an id is outside the vocabulary.
    """
    config, file = read_json(folder / "config.json"), folder / "generation_config.json"
    found = read_json(file).get("eos_token_id") if file.is_file() else None
    found = config.get("eos_token_id") if found is None else found
    named = found if isinstance(found, list) else [found]
    if found is None or not named:
        raise ModelError(f"{folder}: config.json names no eos_token_id, so no response could end; add it")
    size = config.get("vocab_size") or math.inf
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


def weights_sha256(folder: Path) -> str:
    """One hash over the names and contents of all weight files."""
    total = hashlib.sha256()
    for file in weight_files(folder):
        total.update(f"{file.name}:{provenance.file_sha256(file)}\n".encode())
    return total.hexdigest()


def content(folder: Path) -> dict[str, str]:
    """Two hashes of a model folder: ``weights_sha256``, and ``content`` of weights, config, generation config,
    tokenizer and chat template together, wherever the folder is and whichever transformers wrote it."""
    weights, parts = weights_sha256(folder), {}
    for name in sorted(SMALL):
        if (file := folder / name).is_file():
            said = read_json(file) if file.suffix == ".json" else file.read_text(encoding="utf-8")
            parts[name] = {k: v for k, v in said.items() if k not in UNSAID} if isinstance(said, dict) else said
    return {"weights_sha256": weights, "content": provenance.fingerprint({"weights": weights, **parts})}


def write_manifest(manifest: Path, folder: Path, step: int, settings: dict[str, Any], **facts: Any) -> None:
    """Write the manifest of a model folder: path, hashes, settings and provenance (``RECORD`` in the folder, if any).

    The path is relative to the manifest, so that a results folder can be moved.
    """
    record = folder / RECORD
    write_json(
        manifest,
        {
            "step": step,
            "path": os.path.relpath(folder, manifest.parent),
            **content(folder),
            **facts,
            "settings": settings,
            "provenance": read_json(record) if record.is_file() else provenance.record(),
        },
    )


def read_manifest(manifest: Path) -> tuple[Path, dict[str, Any]]:
    """The folder that a manifest declares, and the manifest itself.

    Raises:
        ModelError: the file is no manifest, or a hash of the folder differs from the declared one.
    """
    found = read_json(manifest)
    if not {"path", "weights_sha256", "content"} <= found.keys():
        raise ModelError(f"{manifest} is no model manifest; delete it and run the same command again")
    folder = (manifest.parent / found["path"]).resolve()
    actual = content(folder)
    if odd := next((name for name in actual if actual[name] != found[name]), None):
        what = "weights" if odd == "weights_sha256" else "config, tokenizer or generation config"
        raise ModelError(
            f"the {what} in {folder} have hash {actual[odd][:12]}, {manifest} declares {found[odd][:12]}: they were "
            "altered or torn. Where this workflow made them, delete that folder and the manifest and run the same "
            "command again; your own model needs only the manifest deleted"
        )
    return folder, found
