"""Shared by all tests: one compute thread, no network, repeatable hypothesis, and three tiny models on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# before torch, tokenizers or transformers is imported anywhere, and for every subprocess of a test
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


def _tiny(**changes: Any) -> Any:
    """Settings of a base model that is made in about a second."""
    from boundary_bench.study.training import Pretrain

    small = {
        "benchmark": "countdown",
        "steps": 60,
        "batch": 64,
        "numbers": {2: 4, 3: 1},
        "hidden": 32,
        "layers": 2,
        "heads": 2,
    }
    return Pretrain.model_validate({**small, **changes})


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama folder, pre-trained just enough that it ends its responses and is right now and then."""
    from boundary_bench.benchmarks import KINDS
    from boundary_bench.training.pretrain import pretrain, save

    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    model, tokenizer = pretrain(KINDS["countdown"], _tiny(), folder.with_suffix(".store"), lambda line: None)
    save(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="session")
def tiny_qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 folder with random weights; its query, key and value biases, which start at 0, are random too."""
    import torch

    from boundary_bench.training.pretrain import build, character_tokenizer, save

    folder = tmp_path_factory.mktemp("models") / "tiny-qwen2"
    model = build(_tiny(architecture="qwen2"))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 or name.endswith(".bias"):
                parameter.normal_(0.0, 0.4, generator=generator)
    save(model, character_tokenizer(), folder)
    return folder


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 folder with random weights: a model type that only ``HubDecoder`` reads."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from boundary_bench.training.pretrain import END, PAD, character_tokenizer, save

    folder = tmp_path_factory.mktemp("models") / "tiny-gpt2"
    torch.manual_seed(2)
    shape = {"vocab_size": 32, "n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.3}
    config = GPT2Config(**shape, bos_token_id=None, eos_token_id=END, pad_token_id=PAD)
    save(GPT2LMHeadModel(config).eval(), character_tokenizer(), folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """The folder of a tiny model by name: llama, qwen2 or gpt2."""
    return lambda name: request.getfixturevalue("tiny_model" if name == "llama" else f"tiny_{name}")


# campaigns


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Any:
    from boundary_bench.sampling.torch.engine import load_engine

    return load_engine(tiny_model, "cpu")


@pytest.fixture
def store(engine: Any, tmp_path: Path) -> Any:
    from campaigns import Store

    return Store(engine, tmp_path / "store")


@pytest.fixture
def other(engine: Any, tmp_path: Path) -> Any:
    from campaigns import Store

    return Store(engine, tmp_path / "other")


@pytest.fixture(scope="module")
def fixed(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The samples of the classical design: 64 of every problem."""
    from campaigns import PROBLEMS, Store

    from boundary_bench.statistics.design import Design

    store = Store(engine, tmp_path_factory.mktemp("fixed"))
    store.run(Design((64,)))
    assert store.sizes() == [64] * len(PROBLEMS)
    return store.samples()


@pytest.fixture(scope="module")  # its event loop must not outlive the tests that need it
def chromium() -> Iterator[Any]:
    """A headless browser: the one of this machine, or playwright's own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install -e '.[test]'")
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    with playwright.sync_playwright() as started:
        own = started.chromium.executable_path
        path = next(filter(None, found), own if Path(own).exists() else None)
        if path is None:
            pytest.skip("needs a browser: chromium, google-chrome, or `playwright install chromium`")
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=path, args=options, timeout=60_000)
        yield browser
        browser.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows into a file of JSON lines."""
    from stored_files import written

    return lambda rows, name="rows.jsonl": written(tmp_path / name, rows)
