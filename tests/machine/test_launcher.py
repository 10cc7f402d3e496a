"""The command line of a stage in the environment that its part of the study names."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from workflow import shipped, write_study

from boundary_bench.core.errors import StudyError
from boundary_bench.machine.launcher import existing, interpreter
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.stages import settings


def plan(folder: Path, **changes: dict[str, Any]) -> Plan:
    study = shipped("smoke")
    for block, change in changes.items():
        study[block] |= change
    return make_plan(str(write_study(folder / "study.yaml", study)), folder / "results")


@pytest.mark.parametrize("part", ["training", "sampling"])
def test_a_named_python_runs_the_stages_of_its_part_alone(part: Any, tmp_path: Path) -> None:
    chosen = plan(tmp_path, **{part: {"python": sys.executable}})
    assert chosen.command(part) == [sys.executable, "-m", "boundary_bench"]
    assert interpreter(chosen.command(part)) == [sys.executable]
    (other,) = {"training", "sampling"} - {part}
    assert chosen.command(other) == ["boundary-bench"] and interpreter(chosen.command(other)) == [sys.executable]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    chosen = plan(tmp_path, training={"python": "no/such/python"})
    with pytest.raises(StudyError, match=r"training\.python: found no Python at no/such/python; .*env create train"):
        chosen.command("training")


def test_an_image_is_no_way_to_run_a_stage(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"training\.container: unknown key"):
        plan(tmp_path, training={"container": "image.sif"})


def test_where_a_stage_runs_changes_no_result(tmp_path: Path) -> None:
    usual = plan(tmp_path)
    there = {"python": sys.executable, "device": "cuda"}
    found = plan(tmp_path, training=there, sampling=there)
    for job in [("train", "countdown-base--grpo--seed0", 2), ("sample", "countdown-base", "countdown", 1)]:
        assert settings(found, *job) == settings(usual, *job)


def test_the_folder_that_a_path_will_be_in_is_the_nearest_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert existing(Path("far/results")) == existing(tmp_path) == Path(os.path.abspath(tmp_path))
    (tmp_path / "far").mkdir()
    assert existing(Path("far/results/deep")) == tmp_path / "far"
