"""A checkpoint that another program wrote: checked, completed, and moved to the other checkpoints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from boundary_bench.core import provenance
from boundary_bench.core.errors import ModelError
from boundary_bench.core.files import read_json, write_json
from boundary_bench.models.folder import RECORD, load_model, weight_files
from boundary_bench.training.segment import TOKENIZER_FILES, copy_from


def accept(written: Path, base: Path, folder: Path, trained: bool, facts: dict[str, Any]) -> None:
    """Check a model folder, complete it and move it to ``folder``.

    The folder must have the base's tensors with the same shapes and finite values, load in transformers, and differ
    from the base if ``trained``. ``use_cache`` is set to true: OpenRLHF leaves it off, which makes generation slow.

    Args:
        trained: whether any update had a gradient.
        facts: further provenance, such as the backend.

    Raises:
        ModelError: the folder fails one of these checks.
    """
    changed = _compare(written, base)
    if trained and not any(changed.values()):
        raise ModelError(
            f"{written}: every matrix is that of the base model, though updates had a gradient; the trainer changed "
            "nothing or saved other weights. Look into its log"
        )
    config = read_json(written / "config.json")
    write_json(written / "config.json", {**config, "use_cache": True})
    copy_from(base, written, *TOKENIZER_FILES, "generation_config.json")
    load_model(written, "cpu", "auto")
    told = {"tensors": len(changed), "tensors_changed": sum(changed.values()), **facts}
    write_json(written / RECORD, {**provenance.record(), "training": told})
    os.replace(written, folder)


def _compare(written: Path, base: Path) -> dict[str, bool]:
    """Whether each tensor differs from the base's, in the dtype of ``written``."""
    before, after = _places(base), _places(written)
    tied = read_json(base / "config.json").get("tie_word_embeddings", False)
    missing = [name for name in before if name not in after and not (tied and name == "lm_head.weight")]
    if missing:
        raise ModelError(
            f"{written} lacks {len(missing)} of the base's {len(before)} tensors, the first {missing[0]}; it was not "
            "saved whole"
        )
    changed = {}
    for name in before.keys() & after.keys():
        old, new = _tensor(before[name], name), _tensor(after[name], name)
        if old.shape != new.shape:
            raise ModelError(
                f"{written}: tensor {name} has shape {tuple(new.shape)}, expected {tuple(old.shape)} as in {base}"
            )
        changed[name] = not torch.equal(old.to(new.dtype), new)
    return changed


def _places(folder: Path) -> dict[str, Path]:
    found = {}
    for file in weight_files(folder):
        with safe_open(file, "pt") as opened:
            found |= dict.fromkeys(opened.keys(), file)
    return found


def _tensor(file: Path, name: str) -> torch.Tensor:
    with safe_open(file, "pt") as opened:
        return opened.get_tensor(name)
