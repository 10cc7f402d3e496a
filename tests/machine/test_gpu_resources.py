"""GPUs as a resource: what a study asks for, what the rules ask Snakemake for, and the stages that take the cards."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from training import job
from workflow import ENVIRONMENT, REPOSITORY, finish, read_until, shipped, snakemake, stage, write_study

from boundary_bench.core.errors import EngineError
from boundary_bench.machine import gpus
from boundary_bench.sampling.vllm.engine import check_platform
from boundary_bench.study.sampling import Sampling

PROFILE = REPOSITORY / "workflows/profiles/workstation"


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"backend": "reference", "device": "cpu"}, 0),
        ({"backend": "reference", "device": "cuda"}, 1),
        ({"backend": "trl", "device": "cuda"}, 1),
        ({"backend": "openrlhf", "device": "cpu", "openrlhf": {"gpus": 4}}, 0),
        ({"backend": "openrlhf", "device": "cuda", "openrlhf": {"gpus": 4}}, 4),
        ({"backend": "openrlhf", "device": "cuda", "openrlhf": {"gpus": 2, "colocate": False, "engines": 3}}, 5),
        ({"backend": "openrlhf", "device": "cuda", "openrlhf": {"nodes": 2, "gpus": 4}}, 8),
    ],
)
def test_gpus_of_a_training_job(changes: dict[str, Any], count: int) -> None:
    assert job(**changes).training.gpus == count


@pytest.mark.parametrize(
    ("sampling", "count"),
    [
        ({}, 0),
        ({"device": "cuda"}, 1),
        ({"engine": "vllm", "vllm": {"tensor_parallel": 2}}, 0),
        ({"engine": "vllm", "vllm": {"tensor_parallel": 2}, "device": "cuda"}, 2),
    ],
)
def test_gpus_of_a_sampling_job(sampling: dict[str, Any], count: int) -> None:
    assert Sampling.model_validate(sampling).gpus == count


def test_vllm_computes_where_the_study_says_or_not_at_all() -> None:
    check_platform("cuda", "cuda")
    with pytest.raises(
        EngineError, match=r"device: cpu, but this vLLM computes on: cuda .*write sampling.device: cuda"
    ):
        check_platform("cuda", "cpu")
    with pytest.raises(EngineError, match=r"finds no device that it was built for \(\S+\); make .* --device cuda$"):
        check_platform("", "cuda")


def asked(folder: Path, study: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """The GPUs and nodes that each rule's jobs ask for, in a dry run; rules that ask for none are left out."""
    done = snakemake(
        folder, "-n", "--profile", str(PROFILE), "--config", f"study={write_study(folder / 'study.yaml', study)}"
    )
    assert done.returncode == 0, done.stdout
    found = re.findall(r"^rule (\w+):\n(?: .*\n)*?    resources: .*gpu=(\d+), nodes=(\d+)", done.stdout, re.MULTILINE)
    asks: dict[str, tuple[int, int]] = {}
    for rule, gpu, nodes in found:
        assert asks.setdefault(rule, (int(gpu), int(nodes))) == (int(gpu), int(nodes))
    return asks


def test_rules_ask_for_the_gpus_of_their_jobs(tmp_path: Path) -> None:
    study = {**shipped("smoke"), "probe": {}}
    none = (0, 1)
    assert asked(tmp_path, study) == {"train": none, "sample": none, "probe": none}
    study["training"] |= {"backend": "openrlhf", "device": "cuda", "openrlhf": {"nodes": 2, "gpus": 2}}
    study["sampling"] |= {"engine": "vllm", "device": "cuda", "vllm": {"tensor_parallel": 2}}
    assert asked(tmp_path, study) == {"train": (4, 2), "sample": (2, 1), "probe": (2, 1)}


@pytest.mark.parametrize(("gpus", "together"), [(3, 1), (4, 2)])
def test_the_workstation_runs_as_many_jobs_as_it_has_gpus(gpus: int, together: int, tmp_path: Path) -> None:
    text = 'rule all:\n    input: expand("{n}.done", n=range(4))\n\n\n'
    text += 'rule job:\n    output: "{n}.done"\n    resources: gpu=2\n    shell: "touch {output}"\n'
    (tmp_path / "Snakefile").write_text(text)
    arguments = ("--profile", str(PROFILE), "--resources", f"gpu={gpus}")
    done = snakemake(tmp_path, *arguments, snakefile=tmp_path / "Snakefile")
    assert done.returncode == 0, done.stdout
    assert max(map(int, re.findall(r"^Execute (\d+) jobs", done.stdout, re.MULTILINE))) == together


@pytest.fixture
def two_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A machine whose nvidia-smi lists two cards that no other machine has."""
    names = [f"GPU-{uuid.uuid4()}" for _ in range(2)]
    listing = "".join(f"{index}, {name}\\n" for index, name in enumerate(names))
    command = tmp_path / "bin" / "nvidia-smi"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\nprintf '{listing}'\n")
    command.chmod(0o755)
    monkeypatch.setitem(ENVIRONMENT, "PATH", f"{command.parent}:{ENVIRONMENT['PATH']}")
    monkeypatch.delitem(ENVIRONMENT, gpus.VISIBLE, raising=False)
    yield {name: str(index) for index, name in enumerate(names)}
    for name in names:
        (gpus.LOCKS / name).unlink(missing_ok=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a GPU, and would compute on it")
def test_stages_take_cards_before_they_compute_and_wait_for_them(tmp_path: Path, two_cards: dict[str, str]) -> None:
    study = {**shipped("smoke"), "probe": {}}
    study["models"]["countdown-base"]["pretrain"]["steps"] = 1
    path = str(write_study(tmp_path / "study.yaml", study))
    for arguments in (("--benchmark", "training"), ("--benchmark", "countdown")):
        finish(stage(tmp_path, "prepare", path, *arguments))
    finish(stage(tmp_path, "pretrain", path, "--model", "countdown-base"))
    study["training"]["device"] = study["sampling"]["device"] = "cuda"
    write_study(tmp_path / "study.yaml", study)
    policy = ("--policy", "countdown-base", "--benchmark", "countdown")
    of_stage = {"train": ("--run", "countdown-base--grpo--seed0", "--step", "2"), "sample": policy, "probe": policy}
    for name, arguments in of_stage.items():
        with gpus.claim(two_cards, 2, print, lambda: True):
            process = stage(tmp_path, name, path, *arguments)
            read_until(process, "waiting: other jobs have GPUs, and 1 of 0, 1 must be free at once")
        text = process.communicate()[0]
        assert process.returncode == 2 and "] on GPU 0\n" in text
        assert "torch finds no GPU here" in text.partition("on GPU 0")[2]
