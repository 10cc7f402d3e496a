"""The backend trl, with TRL itself: it keeps the trainers' contract."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import training

pytest.importorskip("trl")

import torch
from training import quiet, steps

from boundary_bench.algorithms.translate import refusal
from boundary_bench.core.errors import TrainingError
from boundary_bench.models.folder import load_weights
from boundary_bench.study.training import Training
from boundary_bench.training import load_trainer, reference, state, trl
from boundary_bench.training.step_log import StepRow
from boundary_bench.training.trl import train

pytestmark = pytest.mark.openrlhf

# the warm-up is under way wherever a run is cut in two
job = partial(training.job, backend="trl", warmup=5)


@pytest.fixture(scope="module")
def undisturbed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Six steps in one call: the store and the folder of step 6."""
    store = tmp_path_factory.mktemp("undisturbed")
    return store, train(job(), tiny_model, store, 6, quiet)


# steps, checkpoints and resuming


def test_the_study_names_this_trainer() -> None:
    assert load_trainer(job().training) is train


def test_checkpoints_and_log_are_those_of_the_reference_trainer(
    undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    """The same files with the same configuration and tokenizer, the same keys in the log; the weights have moved."""
    store, folder = undisturbed
    expected = reference.train(training.job(), tiny_model, tmp_path, 1, quiet)
    assert {path.name for path in folder.iterdir()} == {path.name for path in expected.iterdir()}
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (folder / name).read_text() == (expected / name).read_text(), name
    before, after = load_weights(tiny_model)[1], load_weights(folder)[1]
    assert before.keys() == after.keys() and any(not torch.equal(before[name], after[name]) for name in before)
    rows = steps(store)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(row.keys() == StepRow.__annotations__.keys() - set(training.TIMES) for row in rows)
    assert any(row["clip_fraction"] > 0 for row in rows) and any(0 < row["live_groups"] < 1 for row in rows)
    assert all(0 < row["entropy"] < math.log(32) for row in rows)
    assert state.saved_steps(store) == [4, 6], "the two newest states are kept"
    assert {path.suffix for path in store.rglob("*") if path.is_file()} <= {".safetensors", ".json", ".jsonl"}


def test_progress_goes_through_the_log_and_nothing_else_is_printed(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    train(job(), tiny_model, tmp_path, 2, lines.append)
    train(job(), tiny_model, tmp_path, 3, lines.append)
    assert [line.split("  ")[0] for line in lines] == ["step 2/2", "resuming after step 2", "step 3/3"]
    found = capfd.readouterr()
    assert found.out + found.err == ""


def test_absolute_positions_are_counted_from_the_first_token(tiny_gpt2: Path, tmp_path: Path) -> None:
    """TRL pads before prompts and says no positions: 4 nats off where every step did not prove itself."""
    train(job(reward={"random": 0.5}), tiny_gpt2, tmp_path, 2, quiet)
    assert [row["updates"] for row in steps(tmp_path)] == [2, 2]


# faults


def test_too_little_memory_is_an_error_with_a_remedy(tiny_model: Path, tmp_path: Path) -> None:
    """The fault is raised by hand: a machine without a GPU has no such limit."""

    def exhausted(*_: object) -> list:
        raise torch.OutOfMemoryError("CUDA out of memory")

    chosen = replace(job(), judge=exhausted)
    with pytest.raises(TrainingError, match=r"step 1: CUDA out of memory.*training\.trl\.micro_batch"):
        train(chosen, tiny_model, tmp_path, 1, quiet)


def test_another_version_of_trl_is_refused(monkeypatch: pytest.MonkeyPatch, tiny_model: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(trl, "version", lambda package: "1.17.0")
    with pytest.raises(TrainingError, match=r"found trl 1\.17\.0, expected 1\.16\.0"):
        train(job(), tiny_model, tmp_path, 1, quiet)


def test_what_cannot_be_had_is_refused_when_the_study_is_read() -> None:
    with pytest.raises(ValueError, match=r"trl\.vllm: true with device: cpu"):
        Training.model_validate({**training.SETTINGS, "backend": "trl", "trl": {"vllm": True}})
    assert refusal("trl", training.grpo(dual_clip=1.2)) is None
    assert "dual_clip: 1.1" in str(refusal("trl", training.grpo(dual_clip=1.1)))
