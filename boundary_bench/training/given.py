"""Checkpoints that were trained elsewhere: folders, commits on the Hugging Face hub, LoRA adapters on the base."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from boundary_bench.core import provenance
from boundary_bench.core.errors import ModelError
from boundary_bench.core.files import atomic, read_json, write_json
from boundary_bench.models.config import end_tokens, read_config
from boundary_bench.models.folder import RECORD, content, load_model
from boundary_bench.models.hub import download
from boundary_bench.models.tokenizer import load_tokenizer
from boundary_bench.study.study import Origin
from boundary_bench.training.segment import TOKENIZER_FILES, copy_from

#: The file that tells a folder with a LoRA adapter from one with a whole model.
ADAPTER = "adapter_config.json"


def obtain(given: Origin, base: Path, store: Path, log: Callable[[str], None]) -> Path:
    """The folder of a given checkpoint; an adapter is merged with the base once and kept in ``store``.

    Raises:
        ModelError: the hub cannot be reached and there is no local copy, or an adapter does not fit the base.
    """
    folder = Path(given.path) if given.path is not None else download(str(given.hub), str(given.revision))
    if not (folder / ADAPTER).is_file() or (folder / "config.json").is_file():
        return folder
    said, weights = read_json(folder / ADAPTER), folder / "adapter_model.safetensors"
    if said.get("peft_type") != "LORA":
        raise ModelError(f"{folder}: found an adapter of type {said.get('peft_type')!r:.40}, expected LORA")
    if not weights.is_file():
        raise ModelError(f"{folder}: found no {weights.name}, expected the adapter's weights in that form")
    # named by content: another adapter in the same folder is another checkpoint
    adapter = {"config": said, "weights": provenance.file_sha256(weights), "base": content(base)["content"]}
    merged = store / f"merged-{provenance.fingerprint(adapter)}"
    if not merged.exists():
        log(f"merging the adapter {folder} with the base")
        _merge(folder, base, merged, {"folder": str(folder), **adapter})
    return merged


def _merge(adapter: Path, base: Path, target: Path, said: dict[str, Any]) -> None:
    """Write the base with an adapter's weights added, in the type of the base's; ``said`` goes to the record."""
    try:
        from peft import PeftModel
    except ModuleNotFoundError:
        raise ModelError(
            f"{adapter} is an adapter of PEFT, which is not installed here; run: pip install peft (the extra lora), or "
            "save a merged copy: PeftModel.from_pretrained(...).merge_and_unload().save_pretrained(COPY)"
        ) from None
    try:
        model = PeftModel.from_pretrained(load_model(base, "cpu", "auto"), adapter, local_files_only=True)
        merged = model.merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError, KeyError, TypeError) as fault:  # whatever an adapter's config makes PEFT raise
        raise ModelError(f"{adapter} does not fit the base {base}: {type(fault).__name__}: {fault}"[:500]) from None
    with atomic(target) as temporary:
        merged.save_pretrained(temporary)
        copy_from(base, temporary, *TOKENIZER_FILES, "generation_config.json")
        write_json(temporary / RECORD, provenance.record() | {"merged": said})


def differences(folder: Path, base: Path) -> list[str]:
    """What a checkpoint has otherwise than its base, beside the weights.

    With another tokenizer, chat template or EOS tokens the base and the checkpoint are not asked alike, and part of
    their difference is not one of the policies.
    """
    found = []
    if load_tokenizer(folder).to_str() != load_tokenizer(base).to_str():
        found.append("tokenizer")
    if _chat(folder) != _chat(base):
        found.append("chat template")
    if end_tokens(folder) != end_tokens(base):
        found.append("set of EOS tokens")
    if read_config(folder).get("model_type") != read_config(base).get("model_type"):
        found.append("architecture")
    return found


def _chat(folder: Path) -> str:
    """The chat template of a model folder, "" without one."""
    own, config = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    return str(read_json(config).get("chat_template") or "") if config.is_file() else ""
