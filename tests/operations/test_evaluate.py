"""``boundary-bench eval``: models that exist become a study, and the study runs to its page."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow import finish, stage

from boundary_bench.commands import main
from boundary_bench.core.errors import StudyError
from boundary_bench.operations.evaluate import Asked, study_of
from boundary_bench.operations.own_study import write
from boundary_bench.study.study import Study

COMMIT = "0123456789abcdef"


def asked(*models: object, **changes: Any) -> Asked:
    usual = {"benchmarks": ["gsm8k"], "n": 8, "limit": None, "data": None, "template": None, "temperature": 1.0}
    return Asked([*map(str, models)], **{**usual, "max_tokens": 64, "engine": "torch", "device": "cpu", **changes})


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    names = ("base", "trl/checkpoint-100", "trl/checkpoint-200", "verl/global_step_50", "own/step-000040", "My model!")
    for name in names:
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def test_checkpoints_of_one_folder_are_one_run_and_other_models_their_own(folders: Path) -> None:
    names = ("trl/checkpoint-200", "trl/checkpoint-100", "verl/global_step_50", "own/step-000040", "My model!")
    found = study_of("mine", asked(folders / "base", *(folders / name for name in names)))
    steps = {name: sorted(run["checkpoints"]) for name, run in found["runs"].items()}
    assert steps == {"trl": [100, 200], "verl": [50], "own": [40], "My-model": [1]}
    assert found["runs"]["trl"]["checkpoints"][100] == {"path": str(folders / "trl/checkpoint-100")}
    assert {run["model"] for run in found["runs"].values()} == set(found["models"]) == {"base"}
    Study.model_validate(found)


def test_models_of_the_hub_are_named_with_their_commits(folders: Path) -> None:
    found = study_of("mine", asked(f"Qwen/Qwen2.5-7B@{COMMIT}", f"org/Zoo-7B-step100@{COMMIT}"))
    assert found["models"] == {"Qwen2-5-7B": {"hub": "Qwen/Qwen2.5-7B", "revision": COMMIT}}
    weights = {"hub": "org/Zoo-7B-step100", "revision": COMMIT}
    assert found["runs"] == {"Zoo-7B-step100": {"model": "Qwen2-5-7B", "checkpoints": {100: weights}}}
    Study.model_validate(found)


def test_options_are_those_of_a_study(folders: Path) -> None:
    said = {"limit": 40, "data": "rows.jsonl", "template": "simple", "engine": "vllm", "device": "cuda"}
    found = study_of("mine", asked(folders / "base", folders / "My model!", **said))
    expected = {"data": "rows.jsonl", "template": "simple", "options": {"problems": 40}}
    assert found["benchmarks"] == {"gsm8k": expected}
    assert found["sampling"]["engine"] == "vllm" and found["sampling"]["device"] == "cuda"
    assert found["sampling"]["n_max"] == 8 and found["sampling"]["stop_after"] is None
    Study.model_validate(found)


def test_what_is_no_model_or_given_twice_is_refused(folders: Path) -> None:
    base = folders / "base"
    for models, part in (
        ([base], "one model"),
        ([base, "org/name"], "ORGANISATION/NAME@COMMIT"),
        ([base, folders / "nowhere"], "no folder"),
        ([base, folders / "My model!", folders / "My model!"], "another checkpoint of My-model"),
    ):
        with pytest.raises(StudyError, match=part):
            study_of("mine", asked(*models))


def test_a_study_that_says_something_else_is_kept(folders: Path) -> None:
    path, models = folders / "mine.yaml", (folders / "base", folders / "My model!")
    found = study_of("mine", asked(*models))
    write("eval", path, found)
    write("eval", path, found)
    assert yaml.safe_load(path.read_text()) == found
    with pytest.raises(StudyError, match="--name"):
        write("eval", path, study_of("mine", asked(*models, limit=3)))
    assert yaml.safe_load(path.read_text()) == found


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"benchmarks": ["gsm8"]}, "'gsm8'"), ({"n": 1}, "n_max"), ({"template": "nowhere"}, "nowhere")],
)
def test_what_is_no_study_is_not_written(folders: Path, changes: dict[str, Any], said: str) -> None:
    """Or the corrected command would be refused, as one that says something else."""
    with pytest.raises(StudyError, match=said):
        write(
            "eval", folders / "mine.yaml", study_of("mine", asked(folders / "base", folders / "My model!", **changes))
        )
    assert not (folders / "mine.yaml").exists()


@pytest.mark.slow
def test_two_folders_come_to_a_page_and_the_same_command_says_it_again(tiny_model: Path, tmp_path: Path) -> None:
    same = shutil.copytree(tiny_model, tmp_path / "same")
    words = ["eval", str(tiny_model), str(same), "--benchmark", "countdown", "--n", "16", "--max-tokens", "24"]
    said = finish(stage(tmp_path, *words))
    table = said[said.index("pass@k, mean over") :]
    assert "expanded" not in table and "shrunk" not in table, "a copy of the base does nothing"
    assert (tmp_path / "results/eval/report.html").is_file()
    again = finish(stage(tmp_path, *words))
    assert "Nothing to be done" in again and again.endswith(table)


def test_a_fault_is_said_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(tmp_path), "org/name", "--benchmark", "gsm8k"]) == 2
    assert "ORGANISATION/NAME@COMMIT" in capsys.readouterr().err
