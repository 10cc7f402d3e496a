"""Base models: from pre-training, a folder, or the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from boundary_bench.benchmarks import KINDS
from boundary_bench.core import provenance
from boundary_bench.core.files import atomic, write_json
from boundary_bench.models.folder import RECORD
from boundary_bench.models.hub import download
from boundary_bench.study.study import Model


def obtain(model: Model, store: Path, log: Callable[[str], None], stopped: Callable[[], bool]) -> Path:
    """The folder of a base model; a pre-trained one is made once and kept in ``store``.

    Raises:
        Interrupted: ``stopped`` returned True during pre-training; the state is saved.
        ModelError: the hub cannot be reached and there is no local copy.
    """
    if model.path is not None:
        return Path(model.path)
    if model.hub is not None:
        return download(model.hub, str(model.revision))
    folder = store / "model"
    if not folder.exists():
        from boundary_bench.training.pretrain import pretrain, save

        assert model.pretrain is not None, "Model holds exactly one source"
        trained, tokenizer = pretrain(KINDS[model.pretrain.benchmark], model.pretrain, store, log, stopped)
        with atomic(folder) as temporary:
            save(trained, tokenizer, temporary)
            write_json(temporary / RECORD, provenance.record())
    return folder
