"""Model folders in Hugging Face format: checked reading, fingerprints and manifests.

safetensors only: a pickle is never opened. transformers is imported only to load a model or to check ``auto_map``.
"""

from __future__ import annotations

import hashlib
import math
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open

from boundary_bench.core import provenance
from boundary_bench.core.errors import ModelError
from boundary_bench.core.files import read_json, write_json
from boundary_bench.models.config import read_config

#: The file in a checkpoint's folder with the provenance of its training (code, packages, machine).
RECORD = "boundary_bench.json"
#: Files that determine a model's token ids and outputs beside its weights; of a tokenizer only tokenizer.json is read.
SMALL = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
#: Keys of a config that depend on its writer, not on the model.
UNSAID = ("transformers_version", "_name_or_path")
#: Types of weights that are computed with as they are; float64 is what some small models are saved in.
PLAIN = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
#: Types of tensors that are never weights: masks, and tables of indices such as the experts of a token.
TABLES = (torch.bool, torch.int64)
#: Of a state that a trainer saved in parts: a pattern of its files, what it is, and what merges it.
PARTS = {
    "model_world_size_*_rank_*.pt": (
        "shards of verl",
        "python -m verl.model_merger merge --backend fsdp --local_dir {folder} --target_dir MERGED",
    ),
    "global_step*/*model_states.pt": (
        "a state of DeepSpeed",
        "python {folder}/zero_to_fp32.py {folder} MERGED --safe_serialization, and copy config.json and the tokenizer",
    ),
    "pytorch_model_fsdp_*/*.distcp": (
        "a state of FSDP",
        "accelerate merge-weights {folder}/pytorch_model_fsdp_0 MERGED, and copy config.json and the tokenizer",
    ),
    "*.distcp": (
        "a state of FSDP",
        "accelerate merge-weights {folder} MERGED, and copy config.json and the tokenizer",
    ),
}
#: The file that says which shard holds which tensor.
INDEX = "model.safetensors.index.json"


def check_device(device: str) -> None:
    """Raise ModelError if a torch device is not available."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            "the study asks for device: cuda, and torch finds no GPU here (boundary-bench doctor shows what it finds); "
            "write device: cpu, or install a CUDA build of torch on a machine with a GPU"
        )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder that transformers reads: model.safetensors, or the shards of the index.

    Raises:
        ModelError: the folder or its config.json is missing, there are no safetensors or only parts of a state, the
            model is of a kind that is refused (``read_config``), or the index names what is not there.
    """
    present = {file.name: file for file in sorted(folder.glob("*.safetensors"))}
    for pattern, (what, command) in PARTS.items() if not present else ():
        if any(folder.glob(pattern)):
            merge = command.format(folder=shlex.quote(str(folder)))
            raise ModelError(f"{folder} holds {what}, expected one whole model; merge it with its own tool: {merge}")
    read_config(folder)
    if not present:
        pickles = [p.name for p in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"))]
        found = f"found only {', '.join(sorted(pickles))}, which can run code when opened" if pickles else "found none"
        raise ModelError(
            f"{folder}: expected *.safetensors, {found}; convert with "
            "AutoModelForCausalLM.from_pretrained(...).save_pretrained(..., safe_serialization=True)"
        )
    whole, index = present.get("model.safetensors"), folder / INDEX
    named = _named_by(index) if index.is_file() else []
    if whole and named not in ([], [whole.name]):
        raise ModelError(
            f"{folder} holds two models: model.safetensors, which transformers reads, and {INDEX}, which vLLM reads; "
            "delete the one that is not meant"
        )
    if whole:
        return [whole]
    if not named:
        raise ModelError(
            f"{folder}: found {', '.join(list(present)[:4])} and no {INDEX}, so that transformers reads none of it; "
            "expected model.safetensors, or shards with their index: copy the index too"
        )
    if lost := [name for name in named if name not in present]:
        raise ModelError(f"{folder} lacks {', '.join(lost[:3])}, which {INDEX} names; copy this model again")
    return [present[name] for name in named]


def _named_by(index: Path) -> list[str]:
    """The shards that an index names."""
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise ModelError(f"{index} has no weight_map from tensors to files; copy this model again")
    return sorted(set(places.values()))


def strays(folder: Path) -> list[str]:
    """The safetensors files of a folder that belong to no part of its model, such as shards of an earlier save."""
    return sorted({file.name for file in folder.glob("*.safetensors")} - {file.name for file in weight_files(folder)})


def load_weights(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The config and the state dict of a model folder, with every tensor complete and finite.

    Raises:
        ModelError: a file is missing or torn, or a tensor holds NaN or infinity, is quantised, or in two files.
    """
    weights = dict(_sound_tensors(folder))
    return read_config(folder), weights


def check_weights(folder: Path) -> dict[str, Any]:
    """The config of a model folder, its tensors checked as in ``load_weights``, but one at a time in memory."""
    for _ in _sound_tensors(folder):
        pass
    return read_config(folder)


def _sound_tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    seen: dict[str, str] = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, "pt") as opened:
                for name in opened.keys():  # noqa: SIM118, an opened file is no mapping
                    if name in seen:
                        raise ModelError(
                            f"{folder}: tensor {name} is in {seen[name]} and in {file.name}; expected it once: save or "
                            "copy this model again"
                        )
                    seen[name] = file.name
                    tensor = opened.get_tensor(name)
                    _check_tensor(folder, name, tensor)
                    yield name, tensor
        except (SafetensorError, OSError) as fault:
            size = file.stat().st_size
            raise ModelError(
                f"{file} is damaged ({fault}; {size} bytes); copy or train this checkpoint again"
            ) from None


def _check_tensor(folder: Path, name: str, tensor: torch.Tensor) -> None:
    if tensor.dtype in PLAIN:
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{folder}: tensor {name} holds NaN or infinity; this checkpoint is no model")
    elif tensor.is_floating_point() or (tensor.dtype not in TABLES and tensor.ndim in (2, 3)):
        # old files hold integers that are no weights: positions (one axis), attention masks (four)
        raise ModelError(
            f"{folder} is quantised: tensor {name} is {str(tensor.dtype).removeprefix('torch.')}; expected weights in "
            "bfloat16, float16 or float32: take the unquantised model, or save a dequantised copy"
        )


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
    except Exception as fault:  # a config can make the code of a model fail in any way
        raise ModelError(
            f"{folder} cannot be loaded as a causal language model: {type(fault).__name__}: {fault}"
        ) from None
    if found["missing_keys"]:
        raise ModelError(
            f"{folder} lacks the weights {', '.join(sorted(found['missing_keys'])[:3])}; this checkpoint is "
            "incomplete: save or copy it again"
        )
    if found["unexpected_keys"]:
        raise ModelError(
            f"{folder} holds {len(found['unexpected_keys'])} weights that its config.json has no place for, such as "
            f"{', '.join(sorted(found['unexpected_keys'])[:3])}; they would be left out: correct config.json (number "
            "of layers, model_type), or drop them from a copy of the folder"
        )
    return model.to(device).eval()


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
