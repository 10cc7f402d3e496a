"""The command line of a stage in a container image. Nothing here runs an image: that needs apptainer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from workflow import REPOSITORY, shipped, write_study

from boundary_bench.core.errors import StudyError
from boundary_bench.plan import Plan, make_plan
from boundary_bench.study.policies import Run


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an image, and a PATH with an apptainer alone."""
    (tmp_path / "bin").mkdir()
    runtime = tmp_path / "bin/apptainer"
    runtime.write_text("#!/bin/sh\nexit 3\n")
    runtime.chmod(0o755)
    (tmp_path / "work").mkdir()
    (tmp_path / "work/image.sif").touch()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path / "work")
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def plan(folder: Path, results: str = "results", **changes: dict[str, Any]) -> Plan:
    study = shipped("smoke")
    for block, change in changes.items():
        study[block] |= change
    return make_plan(str(write_study(folder / "study.yaml", study)), Path(results))


def test_an_image_sees_what_the_study_needs(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "problems").mkdir()
    data = elsewhere / "problems/mine.jsonl"
    data.touch()
    monkeypatch.setenv("HF_HOME", str(elsewhere / "bin"))
    chosen = plan(elsewhere, str(elsewhere / "far/results"), training={"container": "image.sif", "data": str(data)})
    program, verb, *words, environment, path, image, python, dash, module = chosen.command("training")
    assert (program, verb) == ("apptainer", "exec")
    # what is not there yet is seen through the folder that it will be in
    bound = [elsewhere / "work", REPOSITORY, elsewhere / "study.yaml", elsewhere, data, elsewhere / "bin"]
    assert words[::2] == ["--bind"] * len(bound) and set(words[1::2]) == set(map(str, bound))
    assert (environment, path) == ("--env", f"PYTHONPATH={REPOSITORY}"), "the code is this one"
    assert (image, python, dash, module) == (str(elsewhere / "work/image.sif"), "python3", "-m", "boundary_bench")
    assert chosen.command("sampling") == ["boundary-bench"]


@pytest.mark.parametrize(
    ("block", "change", "gpu"),
    [
        ("training", {}, False),
        ("training", {"device": "cuda"}, True),
        ("sampling", {"device": "cuda"}, True),
        ("sampling", {"engine": "vllm"}, False),
    ],
)
def test_an_image_sees_the_gpus_where_they_are_asked_for(
    block: Any, change: dict[str, str], gpu: bool, elsewhere: Path
) -> None:
    words = plan(elsewhere, **{block: {"container": "image.sif", **change}}).command(block)
    assert ("--nv" in words) is gpu


def test_what_is_not_there_is_said(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudyError, match=r"sampling\.container: found no image at none\.sif; expected a \.sif file"):
        plan(elsewhere, sampling={"container": "none.sif"}).command("sampling")
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(StudyError, match=r"neither apptainer nor singularity on the PATH; .* \(training\.python\)"):
        plan(elsewhere, training={"container": "image.sif"}).command("training")
    monkeypatch.setenv("PATH", str(elsewhere / "bin"))
    (elsewhere / "a,b").mkdir()
    with pytest.raises(StudyError, match=r"training\.container: found .*/a,b, expected no comma or colon"):
        plan(elsewhere, "../a,b", training={"container": "image.sif"}).command("training")


def test_an_image_is_instead_of_a_python_and_on_one_machine(elsewhere: Path) -> None:
    with pytest.raises(StudyError, match=r"found python: a and container: image\.sif; drop one of them"):
        plan(elsewhere, sampling={"container": "image.sif", "python": "a"})
    many = {"backend": "openrlhf", "openrlhf": {"nodes": 2, "gpus": 1}, "prompts": 4, "rollouts": 8}
    with pytest.raises(StudyError, match=r"a container with openrlhf\.nodes: 2, expected 1"):
        plan(elsewhere, training={"container": "image.sif", **many})


def test_where_a_stage_runs_changes_no_result(elsewhere: Path) -> None:
    usual = plan(elsewhere)
    found = plan(elsewhere, training={"container": "image.sif"}, sampling={"container": "image.sif"})
    run = Run("countdown-base", "grpo", 0)
    assert found.train_settings(run) == usual.train_settings(run)
    assert found.sample_settings("countdown", run.model) == usual.sample_settings("countdown", run.model)
