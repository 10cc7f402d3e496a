"""Models of the Hugging Face hub and its local cache."""

from __future__ import annotations

from pathlib import Path

from boundary_bench.core.errors import ModelError

#: The files of a hub repository that make up a model.
FILES = ["*.json", "*.safetensors", "tokenizer.model", "chat_template.jinja"]


def cached(name: str, revision: str) -> Path:
    """The folder of a hub model in the local cache.

    Raises:
        ModelError: the model is not in the cache.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=FILES, local_files_only=True))
    except LocalEntryNotFoundError:
        raise ModelError(f"{name} at {revision} is not in the cache of the hub") from None


def download(name: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as fault:
        raise ModelError(
            f"cannot get {name} at {revision} from the hub ({type(fault).__name__}); offline, fetch it on a machine "
            "with network and write {path: FOLDER} in the study, or set HF_HOME to a cache that holds it"
        ) from None
