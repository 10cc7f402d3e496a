"""Model folders that bring code, or name it: it is never run, and nobody is asked whether it may be."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow import ENVIRONMENT, shipped

from boundary_bench.benchmarks.templates import load_chat_tokenizer
from boundary_bench.core.errors import EXIT_USER_ERROR, ModelError
from boundary_bench.models.folder import check_weights, load_model, write_manifest

CODE = """
from pathlib import Path
Path({mark!r}).touch()
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

class EvilConfig(LlamaConfig):
    model_type = "evil"

class EvilModel(LlamaForCausalLM):
    config_class = EvilConfig

class EvilTokenizer(PreTrainedTokenizerFast):
    pass

def generate(*_, **__):
    pass
"""
MAP = {"AutoConfig": "evil.EvilConfig", "AutoModelForCausalLM": "evil.EvilModel"}
#: What a config says, and of what the message speaks.
NEEDS = {
    "code in the folder": ({"model_type": "evil", "auto_map": MAP}, ["'evil'", "auto_map", "evil.EvilModel"]),
    "code of a repository": ({"model_type": "evil", "auto_map": {"AutoConfig": "a/b--evil.E"}}, ["a/b--evil.E"]),
    "a map that is none": ({"model_type": ["evil"], "auto_map": ["evil"]}, ["auto_map"]),
    "a kernel": ({"attn_implementation": "evil/kernel"}, ["attn_implementation"]),
    "a kernel, below": ({"_attn_implementation": {"": "sdpa", "text": "evil/kernel"}}, ["attn_implementation"]),
}


def change(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A sound model, with code beside it that leaves a mark."""
    made = shutil.copytree(tiny_model, tmp_path / "model")
    code = CODE.format(mark=str(tmp_path / "mark"))
    (made / "evil.py").write_text(code)
    (made / "custom_generate").mkdir()
    (made / "custom_generate/generate.py").write_text(code)
    return made


def unmarked(folder: Path) -> bool:
    return not (folder.parent / "mark").exists()


def test_the_code_would_leave_its_mark(folder: Path) -> None:
    """What transformers does where it is told to: the tests below can fail."""
    change(folder / "config.json", model_type="evil", auto_map=MAP)
    load = f"from transformers import AutoConfig; AutoConfig.from_pretrained({str(folder)!r}, trust_remote_code=True)"
    cache = {"HF_MODULES_CACHE": str(folder.parent / "modules")}
    subprocess.run([sys.executable, "-c", load], env={**ENVIRONMENT, **cache}, check=True)
    assert not unmarked(folder)


@pytest.mark.parametrize("name", NEEDS)
def test_every_loader_refuses_a_model_that_needs_code(name: str, folder: Path) -> None:
    from boundary_bench.sampling.torch.engine import load_engine

    config, parts = NEEDS[name]
    change(folder / "config.json", **config)
    loaders = {
        "transformers": lambda: load_model(folder, "cpu"),
        "torch engine": lambda: load_engine(folder, "cpu"),
        "vLLM engine": lambda: check_weights(folder),
        "manifest": lambda: write_manifest(folder.parent / "manifest.json", folder, 0, {}),
    }
    for loader, load in loaders.items():
        with pytest.raises(ModelError) as caught:
            load()
        said = str(caught.value)
        assert all(part in said for part in [str(folder), "never run", "expected", "take another", *parts]), loader
    assert unmarked(folder)


def adopt(folder: Path, stdin: Any) -> subprocess.CompletedProcess[str]:
    """The ``pretrain`` stage on the folder."""
    file = folder.parent / "study.yaml"
    file.write_text(yaml.safe_dump({**shipped("smoke"), "models": {"given": {"path": str(folder)}}}))
    command = [sys.executable, "-m", "boundary_bench", "pretrain", str(file), "--model", "given"]
    command += ["--results", str(folder.parent / "results")]
    environment = {**ENVIRONMENT, "HF_MODULES_CACHE": str(folder.parent / "modules")}
    # transformers would wait 15 seconds for an answer
    return subprocess.run(command, env=environment, stdin=stdin, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("stdin", ["yes", "nothing", "a terminal"])
def test_nobody_is_asked(stdin: str, folder: Path) -> None:
    change(folder / "config.json", model_type="evil", auto_map=MAP)
    (folder.parent / "yes").write_text("y\n" * 99)
    ours, theirs = pty.openpty()
    try:
        if stdin == "a terminal":
            os.write(ours, b"y\n" * 9)
            done = adopt(folder, theirs)
        else:
            with open(folder.parent / "yes" if stdin == "yes" else os.devnull) as text:
                done = adopt(folder, text)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == EXIT_USER_ERROR and "never run" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "[y/N]" not in done.stdout + done.stderr
    assert unmarked(folder) and not list(folder.parent.glob("results/**/manifest.json"))


def test_a_class_of_transformers_wins_over_the_code_beside_it(folder: Path, tiny_model: Path) -> None:
    """Released models name code beside a model_type that transformers has come to know."""
    import torch

    change(folder / "config.json", auto_map=MAP)
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.EvilTokenizer", None]})
    with open(os.devnull) as nothing:
        done = adopt(folder, nothing)
    assert done.returncode == 0, done.stderr
    found, plain = load_model(folder, "cpu"), load_model(tiny_model, "cpu")
    assert type(found) is type(plain)
    assert all(torch.equal(weight, plain.state_dict()[name]) for name, weight in found.state_dict().items())
    assert unmarked(folder)


CHAT = {"chat_template": "{{ messages[0].content }}", "auto_map": {"AutoTokenizer": ["evil.EvilTokenizer", None]}}


def test_a_tokenizer_that_needs_code_is_refused_and_a_known_one_is_not(folder: Path) -> None:
    change(folder / "tokenizer_config.json", **CHAT)
    assert type(load_chat_tokenizer(folder)).__module__.startswith("transformers.")
    change(folder / "tokenizer_config.json", tokenizer_class="EvilTokenizer")
    change(folder / "config.json", model_type="evil")
    with pytest.raises(ModelError, match=r"tokenizer needs code .*\(auto_map\), which is never run; expected .* save"):
        load_chat_tokenizer(folder)
    assert unmarked(folder)


@pytest.mark.parametrize("named", [["evil"], "evil", 5, {"AutoTokenizer": []}])
def test_a_map_of_another_shape_is_a_message(named: Any, folder: Path) -> None:
    change(folder / "tokenizer_config.json", **CHAT | {"auto_map": named, "tokenizer_class": "EvilTokenizer"})
    change(folder / "config.json", model_type="evil")
    with pytest.raises(ModelError, match=r"the tokenizer (cannot be loaded|needs code)"):
        load_chat_tokenizer(folder)
    change(folder / "config.json", model_type="llama", auto_map=5)
    with pytest.raises(ModelError, match="cannot be loaded as a causal language model"):
        load_model(folder, "cpu")
    assert unmarked(folder)
