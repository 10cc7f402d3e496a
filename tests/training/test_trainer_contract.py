"""What every trainer that works in this process keeps: stopping, resuming or crashing changes no result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import torch
import training
from safetensors.torch import load_file
from training import quiet, same_weights, steps

from boundary_bench.core.errors import Interrupted, ModelError, TrainingError
from boundary_bench.models.config import end_tokens
from boundary_bench.models.folder import load_weights
from boundary_bench.training import load_trainer, state
from boundary_bench.training.rollouts import TrainingJob


@dataclass(frozen=True)
class Trainer:
    """A backend's train function, and jobs for it."""

    train: Callable[..., Path]
    job: Callable[..., TrainingJob]


@pytest.fixture(scope="module", params=["reference", pytest.param("trl", marks=pytest.mark.openrlhf)])
def trainer(request: pytest.FixtureRequest) -> Trainer:
    if request.param != "reference":
        pytest.importorskip(request.param, reason="needs the training environment")
    # the warm-up is under way wherever a run is cut in two
    job = partial(training.job, backend=request.param, warmup=5)
    train = load_trainer(job().training)
    assert train is import_module(f"boundary_bench.training.{request.param}").train
    return Trainer(train, job)


@pytest.fixture(scope="module")
def undisturbed(trainer: Trainer, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Six steps in one call: the store and the folder of step 6."""
    store = tmp_path_factory.mktemp("undisturbed")
    return store, trainer.train(trainer.job(), tiny_model, store, 6, quiet)


def test_the_same_run_twice_is_the_same_bit_for_bit_and_another_seed_is_not(
    trainer: Trainer, undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    assert same_weights(trainer.train(trainer.job(), tiny_model, tmp_path / "again", 6, quiet), undisturbed[1])
    assert not same_weights(
        trainer.train(trainer.job(seed=1), tiny_model, tmp_path / "other", 6, quiet), undisturbed[1]
    )


@pytest.mark.parametrize("first", [2, 3, 5])
def test_segments_give_the_weights_and_log_of_one_go(
    trainer: Trainer, first: int, undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    earlier = trainer.train(trainer.job(), tiny_model, tmp_path, first, quiet)
    folder = trainer.train(trainer.job(), tiny_model, tmp_path, 6, quiet)
    assert earlier != folder and earlier.is_dir() and not same_weights(earlier, folder)
    assert same_weights(folder, undisturbed[1])
    assert steps(tmp_path) == steps(undisturbed[0])


def stop_after(count: int) -> Callable[[], bool]:
    """A signal that arrives during the given step of a call."""
    asked = iter(range(1, 100))
    return lambda: next(asked) == count


def test_a_run_that_is_interrupted_again_and_again_ends_the_same(
    trainer: Trainer, undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    for count, reached in ((1, 1), (2, 3), (1, 4)):
        with pytest.raises(Interrupted, match=f"step {reached} of 6"):
            trainer.train(trainer.job(), tiny_model, tmp_path, 6, quiet, stop_after(count))
        assert state.saved_steps(tmp_path)[-1] == reached and not state.step_folder(tmp_path, 6).exists()
    folder = trainer.train(trainer.job(), tiny_model, tmp_path, 6, quiet)
    assert same_weights(folder, undisturbed[1]) and steps(tmp_path) == steps(undisturbed[0])


def test_a_signal_in_the_last_step_still_delivers_the_checkpoint(
    trainer: Trainer, tiny_model: Path, tmp_path: Path
) -> None:
    assert trainer.train(trainer.job(), tiny_model, tmp_path, 1, quiet, lambda: True).is_dir()


def test_a_killed_run_repeats_the_steps_since_its_last_saved_state(
    trainer: Trainer, undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    """The fault arrives between the log line of step 5 and the state of step 6, as a SIGKILL would."""

    class Killed(Exception):
        pass

    def kill() -> bool:
        if len(steps(tmp_path)) == 5:
            raise Killed
        return False

    with pytest.raises(Killed):
        trainer.train(trainer.job(), tiny_model, tmp_path, 6, quiet, kill)
    assert state.saved_steps(tmp_path)[-1] == 4 and len(steps(tmp_path)) == 5
    with open(tmp_path / "steps.jsonl", "a") as lines:
        lines.write('{"step": 6, "rew')
    folder = trainer.train(trainer.job(), tiny_model, tmp_path, 6, quiet)
    assert same_weights(folder, undisturbed[1]) and steps(tmp_path) == steps(undisturbed[0])


def test_a_crash_after_the_state_and_before_the_checkpoint_costs_nothing(
    trainer: Trainer, undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(undisturbed[0] / "state", tmp_path / "state")
    shutil.copy(undisturbed[0] / "steps.jsonl", tmp_path)
    assert same_weights(trainer.train(trainer.job(), tiny_model, tmp_path, 6, quiet), undisturbed[1])
    assert steps(tmp_path) == steps(undisturbed[0])


def test_a_kept_step_is_returned_without_training(
    trainer: Trainer, undisturbed: tuple[Path, Path], tmp_path: Path
) -> None:
    """The base folder does not even exist."""
    store, folder = undisturbed
    lines: list[str] = []
    assert trainer.train(trainer.job(), tmp_path / "no base", store, 6, lines.append) == folder
    assert lines == ["step 6 is already in the store"]


def test_an_earlier_step_that_was_not_kept_is_refused(
    trainer: Trainer, undisturbed: tuple[Path, Path], tiny_model: Path
) -> None:
    store, folder = undisturbed
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(TrainingError) as caught:
        trainer.train(trainer.job(), tiny_model, store, 3, quiet)
    assert all(part in str(caught.value) for part in ("step 3 was not kept", "step 6", str(store)))
    assert not state.step_folder(store, 3).exists() and (folder / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("updates", [1, 2])
def test_a_gradient_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(
    trainer: Trainer, updates: int, tiny_model: Path, tmp_path: Path
) -> None:
    """The first update blows the weights up; the second update, or the next step's rollouts, meet what is left."""
    sound = trainer.job(updates_per_rollout=updates, state_every=1)
    kept = trainer.train(sound, tiny_model, tmp_path, 1, quiet)
    with pytest.raises(TrainingError, match=r"step \d+: ") as caught:
        trainer.train(trainer.job(updates_per_rollout=updates, state_every=1, lr=1e30), tiny_model, tmp_path, 6, quiet)
    assert "training.lr" in str(caught.value) and "kept" in str(caught.value)
    assert load_weights(kept)[1] and not state.step_folder(tmp_path, 6).exists()
    for step in state.saved_steps(tmp_path):
        saved = load_file(state.step_folder(tmp_path / "state", step) / "weights.safetensors")
        assert all(torch.isfinite(tensor).all() for tensor in saved.values()), "a saved state must be usable"


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("fault", ["cut", "missing", "empty"])
def test_a_damaged_state_is_a_model_error_and_its_remedy_works(
    trainer: Trainer, file: str, fault: str, undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(undisturbed[0], store)
    shutil.rmtree(state.step_folder(store, 6))
    folder = state.step_folder(store / "state", 6)
    if fault == "missing":
        (folder / file).unlink()
    else:
        os.truncate(folder / file, 0 if fault == "empty" else (folder / file).stat().st_size // 2)
    with pytest.raises(ModelError) as caught:
        trainer.train(trainer.job(), tiny_model, store, 6, quiet)
    assert str(folder) in str(caught.value) and "delete that folder" in str(caught.value)
    shutil.rmtree(folder)
    assert same_weights(trainer.train(trainer.job(), tiny_model, store, 6, quiet), undisturbed[1])
    assert steps(store) == steps(undisturbed[0])


def test_a_checkpoint_names_every_end_token_of_its_base(trainer: Trainer, tiny_model: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny_model, tmp_path / "base")
    (base / "generation_config.json").write_text('{"eos_token_id": [12, 1]}')
    folder = trainer.train(trainer.job(), base, tmp_path / "store", 1, quiet)
    assert end_tokens(folder) == (1, 12)
    trainer.train(trainer.job(), tiny_model, tmp_path / "other", 1, quiet)
    assert steps(tmp_path / "store")[0]["response_length"] < steps(tmp_path / "other")[0]["response_length"]


def test_prompts_that_do_not_fit_the_context_are_refused(trainer: Trainer, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"training\.max_tokens"):
        trainer.train(trainer.job(max_tokens=128), tiny_model, tmp_path, 1, quiet)
