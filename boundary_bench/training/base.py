"""Where a base model comes from: pre-training, a folder, or the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from boundary_bench import models, provenance
from boundary_bench.benchmarks import KINDS
from boundary_bench.errors import ModelError
from boundary_bench.files import atomic, write_json
from boundary_bench.study import Model

#: What of a repository of the hub makes a model.
FILES = ["*.json", "*.safetensors", "tokenizer.model"]


def obtain(model: Model, store: Path, log: Callable[[str], None], stopped: Callable[[], bool]) -> Path:
    """The folder of a base model; a pre-trained one is made once and kept in ``store``.

    Raises:
        Interrupted: ``stopped`` said so while pre-training; the state is saved.
        ModelError: the folder is missing, or the hub cannot be reached and holds no local copy.
    """
    if model.path is not None:
        return Path(model.path)
    if model.hub is not None:
        return _download(model.hub, str(model.revision))
    folder = store / "model"
    if not folder.exists():
        from boundary_bench.training.pretrain import pretrain, save

        assert model.pretrain is not None, "Model holds exactly one source"
        trained, tokenizer = pretrain(KINDS[model.pretrain.benchmark], model.pretrain, store, log, stopped)
        with atomic(folder) as temporary:
            save(trained, tokenizer, temporary)
            write_json(temporary / models.RECORD, provenance.record())
    return folder


def cached(name: str, revision: str) -> Path:
    """The folder of a hub model in the local cache.

    Raises:
        ModelError: it is not there.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=FILES, local_files_only=True))
    except LocalEntryNotFoundError:
        raise ModelError(f"{name} at {revision} is not in the cache of the hub") from None


def _download(name: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as fault:
        raise ModelError(
            f"cannot get {name} at {revision} from the hub ({type(fault).__name__}); offline, fetch it on a machine "
            "with network and write {path: FOLDER} in the study, or set HF_HOME to a cache that holds it"
        ) from None
