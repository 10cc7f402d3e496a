"""``boundary-bench doctor --study``: what a study needs, on this machine."""

from __future__ import annotations

import os
import re
import shutil
import sys
import venv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from workflow import REPOSITORY, shipped, write_study

from boundary_bench.commands import main
from boundary_bench.core.errors import EXIT_USER_ERROR
from boundary_bench.machine.environment import has_gpu
from boundary_bench.operations import doctor_study
from boundary_bench.operations.doctor_study import Check
from boundary_bench.plan import Plan, make_plan

Look = Callable[[Plan], Iterable[Check]]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def study(folder: Path, **changes: Any) -> Path:
    content = shipped("smoke")
    for block, change in changes.items():
        content[block] = change if block in ("models", "benchmarks") else {**content[block], **change}
    return write_study(folder / "study.yaml", content)


def findings(look: Look, folder: Path, results: Path | None = None, **changes: Any) -> dict[str, Check]:
    """What one part of the doctor finds, by name."""
    plan = make_plan(str(study(folder, **changes)), results or folder / "results")
    return {each.what.strip(): each for each in look(plan)}


def test_a_study_that_can_run_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--study", "smoke", "--results", str(tmp_path / "results")]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{REPOSITORY}/workflows/studies/smoke.yaml on {os.uname().nodename}\n")
    for what in ("all other stages", "train", "sample"):
        said = rf"ok       {what} +Python {re.escape(sys.version.split()[0])} \({re.escape(sys.executable)}.*"
        assert re.search(said + re.escape(str(REPOSITORY)), out)
    for what in ("workflow", "backend reference", "engine torch", "model countdown-base", "problems of training"):
        assert re.search(rf"ok +{what}", out)
    assert "missing" not in out
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_faulty_study_is_said_as_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--study", "smok"]) == EXIT_USER_ERROR
    assert "no shipped study 'smok'; did you mean 'smoke'?" in capsys.readouterr().err


def test_what_is_missing_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = study(tmp_path, training={"data": "none.jsonl", "python": "none/python"})
    assert main(["doctor", "--study", str(path), "--results", str(tmp_path)]) == EXIT_USER_ERROR
    said = capsys.readouterr()
    assert re.search(r"missing  train +training\.python: found no Python at none/python; .*env create train", said.out)
    assert re.search(r"missing  problems of training +none\.jsonl: there is no such file", said.out)
    assert "doctor: 2 line(s) say missing" in said.err


# the Pythons


@pytest.fixture
def other_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python of its own, empty; this process has no PYTHONPATH that it would inherit."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    venv.create(tmp_path / "env", with_pip=False)
    return tmp_path / "env/bin/python"


def install(python: Path, repository: Path) -> None:
    """Let a Python find the package in a repository, as an editable installation does."""
    packages = next((python.parent.parent / "lib").glob("python*/site-packages"))
    (packages / "boundary_bench.pth").write_text(f"{repository}\n")


def test_a_python_without_us_is_said(other_python: Path, tmp_path: Path) -> None:
    found = findings(doctor_study.sampling, tmp_path, sampling={"python": str(other_python)})["sample"]
    assert found.state == "missing"
    assert re.search(r"fails: ModuleNotFoundError: No module named 'boundary_bench'; .*env create sample", found.found)


def test_a_python_lacks_what_its_stage_imports(other_python: Path, tmp_path: Path) -> None:
    install(other_python, REPOSITORY)
    found = findings(doctor_study.training, tmp_path, training={"python": str(other_python), "backend": "trl"})
    assert found["train"].state == "ok"
    assert found["backend trl"].state == "missing"
    assert re.match(r"ModuleNotFoundError: .*; boundary-bench env create train", found["backend trl"].found)


def test_a_python_with_other_code_of_ours_is_said(other_python: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(REPOSITORY / "boundary_bench", copy / "boundary_bench", ignore=shutil.ignore_patterns("*.pyc"))
    install(other_python, copy)
    found = findings(doctor_study.training, tmp_path, training={"python": str(other_python)})["train"]
    assert found.state == "remark" and f"in {copy}: the same code as in {REPOSITORY}" in found.found
    with open(copy / "boundary_bench/core/randomness.py", "a") as file:
        file.write("# changed\n")
    found = findings(doctor_study.training, tmp_path, training={"python": str(other_python)})["train"]
    assert found.state == "missing" and f"in {copy}: other code than here" in found.found
    assert f"{other_python} -m pip install --no-deps --no-build-isolation -e {REPOSITORY}" in found.found


def test_a_program_that_is_no_python_is_said(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'found by boundary-bench doctor?' >&2; exit 3\n")
    program.chmod(0o755)
    found = findings(doctor_study.sampling, tmp_path, sampling={"python": str(program)})["sample"]
    assert found.state == "missing" and "fails: found by boundary-bench doctor?" in found.found
    program.write_text("#!/no/such/interpreter\n")
    found = findings(doctor_study.sampling, tmp_path, sampling={"python": str(program)})["sample"]
    assert found.state == "missing" and "does not run" in found.found


def test_gpus_that_are_asked_for_are_counted(tmp_path: Path) -> None:
    assert doctor_study.gpus("train", 2, 2).state == "ok"
    few = doctor_study.gpus("train", 2, 1)
    assert few.state == "missing" and "1 visible here, 2 needed on a machine" in few.found
    none = doctor_study.gpus("train", 2, 0)
    assert none.state == ("missing" if has_gpu() else "remark")
    assert "GPUs to sample" not in findings(doctor_study.sampling, tmp_path)
    asked = findings(doctor_study.sampling, tmp_path, sampling={"device": "cuda"})
    assert "1 needed" in asked["GPUs to sample"].found


# models, problems, disk


def model(folder: Path, **source: str) -> Check:
    return findings(doctor_study.models, folder, models={"mine": source})["model mine"]


def test_models_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    folder = tmp_path / "model"
    assert model(tmp_path, path=str(folder)).state == "missing"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert "expected *.safetensors, found none" in model(tmp_path, path=str(folder)).found
    (folder / "model.safetensors").touch()
    assert model(tmp_path, path=str(folder)) == Check("ok", "model mine", str(folder))

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    offline = model(tmp_path, hub="someone/thing", revision=COMMIT)
    assert offline.state == "missing" and "HF_HUB_OFFLINE is set" in offline.found
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    online = model(tmp_path, hub="someone/thing", revision=COMMIT)
    assert online.state == "remark" and "its stage needs network" in online.found and "HF_HOME" in online.found
    shutil.copytree(folder, tmp_path / f"hub/models--someone--thing/snapshots/{COMMIT}")
    cached = model(tmp_path, hub="someone/thing", revision=COMMIT)
    assert cached.state == "ok" and str(tmp_path / "hub") in cached.found
    for text, said in (('{"model_type": "x", "auto_map": {"AutoConfig": "a.B"}}', "never run"), ("{", "is torn")):
        (tmp_path / f"hub/models--someone--thing/snapshots/{COMMIT}/config.json").write_text(text)
        unusable = model(tmp_path, hub="someone/thing", revision=COMMIT)
        assert unusable.state == "missing" and said in unusable.found


def test_problems_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets.config
    from huggingface_hub import constants

    sets = {"aime-2024": {}, "mine": {"kind": "countdown", "data": str(tmp_path / "mine.jsonl")}}
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    found = findings(doctor_study.problems, tmp_path, benchmarks=sets)
    assert found["problems of aime-2024"].state == found["problems of mine"].state == "missing"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    (tmp_path / "mine.jsonl").touch()
    (tmp_path / "cache/HuggingFaceH4___aime_2024/default/0.0.0/abc").mkdir(parents=True)
    found = findings(doctor_study.problems, tmp_path, benchmarks=sets)
    assert found["problems of aime-2024"].state == found["problems of mine"].state == "ok"
    shutil.rmtree(tmp_path / "cache")
    assert findings(doctor_study.problems, tmp_path, benchmarks=sets)["problems of aime-2024"].state == "remark"


def test_the_results_folder_and_its_disk_are_looked_at(tmp_path: Path) -> None:
    found = findings(doctor_study.results, tmp_path, tmp_path / "a/b")
    assert found["disk"].state == "ok" and f"{tmp_path} can be written to" in found[f"results in {tmp_path}/a/b"].found
    (tmp_path / "file").touch()
    found = findings(doctor_study.results, tmp_path, tmp_path / "file/results")
    assert found[f"results in {tmp_path}/file/results"].state == "missing" and "disk" not in found
    pretrain = {"benchmark": "countdown", "hidden": 6_000_000}  # weights of petabytes
    large = {"models": {"countdown-base": {"pretrain": pretrain}}}
    assert findings(doctor_study.results, tmp_path, **large)["disk"].state == "missing"
    (tmp_path / "results/smoke").mkdir(parents=True)
    begun = findings(doctor_study.results, tmp_path, **large)["disk"]
    assert begun.state == "remark" and "already" in begun.found
