"""What OpenRLHF is given, without OpenRLHF: flags, prompts, states, room on the disk."""

from __future__ import annotations

import json
import math
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from openrlhf_runs import state, trained_with
from safetensors.torch import load_file
from training import quiet

from boundary_bench.algorithms import ALGORITHMS, resolve
from boundary_bench.core.errors import StoreError, StudyError, TrainingError
from boundary_bench.models.folder import parameters
from boundary_bench.training.openrlhf import cluster, command, inputs, states
from boundary_bench.training.rollouts import prompts_of_step

START = command.Start(Path("/base"), Path("/store"), 7, 20, 0, 6)


def flags(name: str, overrides: dict[str, Any] | None = None, **changes: Any) -> command.Flags:
    found = trained_with(**changes)
    return command.flags(found.training, resolve(name, overrides or {}, "openrlhf"), START)


def test_the_algorithms_are_told_apart_by_few_flags() -> None:
    of = {name: flags(name) for name in ("grpo", "grpo-n", "gspo", "gspo-n")}
    names = ["actor.policy_loss_type", "actor.eps_clip_low_high", "actor.loss_agg_mode"]
    assert {name: [found[flag] for flag in names] for name, found in of.items()} == {
        "grpo": ["ppo", [0.2, 0.2], "token-mean"],
        "grpo-n": ["ppo", [0.2, 0.2], "token-mean"],
        "gspo": ["gspo", [3e-4, 4e-4], "seq-mean-token-mean"],
        "gspo-n": ["gspo", [3e-4, 4e-4], "seq-mean-token-mean"],
    }
    # advantages are ours, and neither changes them
    assert all(found["algo.advantage.estimator"] == "dr_grpo" for found in of.values())
    assert all(found["reward.clip_range"] == [-1e6, 1e6] for found in of.values())
    assert all(found["algo.kl.init_coef"] == 0 and found["actor.entropy_coef"] == 0 for found in of.values())
    # with a sequence ratio the correction would change the loss, so that nothing can be logged there
    assert ["algo.advantage.is_correction_level" in found for found in of.values()] == [True, True, False, False]


def test_an_algorithm_is_said_whole() -> None:
    found = flags("grpo", {"dual_clip": 3.0, "kl": "k2", "kl_coefficient": 0.1, "entropy_coefficient": 0.01})
    assert found["actor.dual_clip"] == 3.0
    assert (found["algo.kl.use_loss"], found["algo.kl.estimator"], found["algo.kl.init_coef"]) == (True, "k2", 0.1)
    assert found["actor.entropy_coef"] == 0.01


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 5), st.integers(1, 40))
def test_updates_and_warm_up_come_out_as_the_study_says(updates: int, epochs: int, warmup: int, stop: int) -> None:
    training = trained_with(
        updates_per_rollout=updates * 2, epochs=epochs, warmup=warmup, openrlhf={"gpus": 1}
    ).training
    start = command.Start(Path("/b"), Path("/s"), 0, 20, 0, stop)
    found = command.flags(training, ALGORITHMS["grpo"], start)
    responses = found["rollout.batch_size"] * found["rollout.n_samples_per_prompt"]
    assert responses / found["train.batch_size"] == 2 * updates
    assert found["train.batch_size"] % found["train.micro_batch_size"] == 0
    # as OpenRLHF computes both, from the number of lines of the prompt file
    all_updates = stop * found["rollout.batch_size"] * found["rollout.n_samples_per_prompt"]
    all_updates = all_updates // found["train.batch_size"] * found["train.max_epochs"]
    assert all_updates == stop * 2 * updates * epochs
    assert math.ceil(all_updates * found["actor.lr_warmup_ratio"]) == warmup * 2 * updates * epochs


@pytest.mark.parametrize(("wanted", "stop", "every"), [(10, 50, 10), (10, 25, 5), (10, 7, 7), (1, 53, 1), (10, 53, 53)])
def test_states_are_saved_at_a_divisor_of_the_last_step(wanted: int, stop: int, every: int) -> None:
    assert command.state_every(trained_with(state_every=wanted).training, stop) == every


def test_words_of_the_command_line() -> None:
    assert command.arguments({"a.b": True, "c": False, "d": [1.0, -2], "e": "x"}) == [
        "--a.b",
        "--d",
        "1.0",
        "-2",
        "--e",
        "x",
    ]


def test_a_flag_that_the_study_sets_elsewhere_is_refused() -> None:
    with pytest.raises(StudyError, match=r"flags: actor.adam.lr is set by other settings .*0\.001"):
        flags("grpo", openrlhf={"flags": {"actor.adam.lr": 1.0}})
    with pytest.raises(StudyError, match=r"flags: actor.max is set by other settings .*\(actor.max_norm 1"):
        flags("grpo", openrlhf={"flags": {"actor.max": 5.0}})
    with pytest.raises(StudyError, match=r"flags: 'actor.max_norm=5' is no name of a flag"):
        flags("grpo", openrlhf={"flags": {"actor.max_norm=5": True}})
    with pytest.raises(StudyError, match=r"flags: 'ckpt.disable_ds' would leave no state to go on from"):
        flags("grpo", openrlhf={"flags": {"ckpt.disable_ds": True}})
    for name in ("reward.overlong_buffer_len", "reward.stop_properly_penalty_coef"):
        with pytest.raises(StudyError, match=f"flags: '{name}' would change advantages"):
            flags("grpo", openrlhf={"flags": {name: 1.0}})
    assert flags("grpo", openrlhf={"flags": {"actor.adam.eps": 1e-6}})["actor.adam.eps"] == 1e-6


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"gpus": 5}, "nodes x gpus: 1 x 5 do not share the 24 responses of an update"),
        ({"gpus": 4, "engines": 3}, "engines x tensor_parallel: 3 x 1, expected 4 .* colocate: false"),
    ],
)
def test_gpus_that_do_not_fit_are_refused(own: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trained_with(openrlhf=own)


@pytest.mark.parametrize(
    ("own", "need"),
    [
        ({"gpus": 4}, 4),
        ({"gpus": 2, "colocate": False, "engines": 3}, 5),
        ({"nodes": 2, "gpus": 4, "tensor_parallel": 2}, 8),
    ],
)
def test_gpus_are_counted(own: dict[str, Any], need: int) -> None:
    assert trained_with(openrlhf=own).training.openrlhf.gpus_needed == need


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_too_few_gpus_are_seen_before_ray_waits_for_them() -> None:
    with pytest.raises(TrainingError, match=r"trains on 2 GPU\(s\) .* found 0 here; .* device: cpu"):
        cluster.check_gpus(trained_with(device="cuda").training)
    cluster.check_gpus(trained_with(device="cpu").training)


def test_prompts_are_those_of_the_reference_trainer_in_their_order(tmp_path: Path) -> None:
    found = trained_with()
    start = command.Start(tmp_path, tmp_path, 0, 20, 0, 3)
    inputs.write(found, start, {problem.id: [1, 2] for problem in found.problems}, (1,), tmp_path / "judgements")
    rows = [json.loads(line) for line in start.prompts.read_text().splitlines()]
    labels = [json.loads(row["label"]) for row in rows]
    expected = [problem for step in (1, 2, 3) for problem in prompts_of_step(found, step)]
    assert [label["problem"] for label in labels] == [problem.id for problem in expected]
    assert [(label["step"], label["slot"]) for label in labels] == [(s, p) for s in (1, 2, 3) for p in range(6)]
    assert [row["prompt"] for row in rows] == [problem.prompt for problem in expected]
    short = start.prompts.read_text()
    inputs.write(found, command.Start(tmp_path, tmp_path, 0, 20, 3, 5), {}, (1,), tmp_path)
    assert start.prompts.read_text().startswith(short), "a longer run begins as a shorter one"


# states


def cut(place: Path) -> None:
    file = next(place.glob("*optim*"))
    os.truncate(file, file.stat().st_size // 2)


def flip(place: Path) -> None:
    file = next(place.glob("*model_states*"))
    with zipfile.ZipFile(file) as archive:
        entry = max(archive.infolist(), key=lambda entry: entry.file_size)
    with open(file, "r+b") as opened:
        opened.seek(entry.header_offset + 200)
        byte = opened.read(1)
        opened.seek(-1, 1)
        opened.write(bytes([byte[0] ^ 1]))


def lose(place: Path) -> None:
    next(place.glob("*optim*")).unlink()


def test_the_newest_state_is_the_one_to_load(tmp_path: Path) -> None:
    assert states.newest(tmp_path, 1, quiet) == 0
    for step in (2, 10):
        state(tmp_path, step)
    assert states.newest(tmp_path, 1, quiet) == states.newest(tmp_path, 1, quiet) == 10
    assert states.latest(tmp_path) == 10


@pytest.mark.parametrize("harm", [cut, flip, lose])
def test_a_damaged_state_steps_aside_for_the_one_before(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    state(tmp_path, 2)
    harm(state(tmp_path, 4))
    said: list[str] = []
    assert states.newest(tmp_path, 1, said.append) == 2
    assert states.newest(tmp_path, 1, said.append) == states.latest(tmp_path) == 2
    assert len(said) == 1
    assert "the state of step 4 is damaged" in said[0]
    assert (tmp_path / "torn" / "global_step4").is_dir(), "nothing is thrown away"
    # OpenRLHF counts every folder there among its states, and removes the oldest
    assert sorted(path.name for path in (tmp_path / "_actor").iterdir()) == ["global_step2", "latest"]


def test_a_state_that_was_being_saved_is_none(tmp_path: Path) -> None:
    cut(state(tmp_path, 2, whole=False))
    assert states.newest(tmp_path, 1, quiet) == states.newest(tmp_path, 1, quiet) == 0
    assert not (tmp_path / "_actor").exists(), "OpenRLHF takes a folder without a state for one with"
    state(tmp_path, 4)
    cut(state(tmp_path, 6, whole=False))
    assert states.newest(tmp_path, 1, quiet) == states.newest(tmp_path, 1, quiet) == 4
    assert states.steps_of(tmp_path) == [4]


def test_a_state_without_the_parts_of_all_processes_is_damaged(tmp_path: Path) -> None:
    state(tmp_path, 2, ranks=4)
    lose(state(tmp_path, 4, ranks=4))
    assert states.newest(tmp_path, 4, quiet) == 2
    with pytest.raises(TrainingError, match=r"step 2: 4 parts of the optimizer, and 8 process\(es\) train"):
        states.newest(tmp_path, 8, quiet)
    assert states.steps_of(tmp_path) == [2]


def test_without_a_sound_state_nothing_is_trained_anew(tmp_path: Path) -> None:
    cut(state(tmp_path, 4))
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"no state in .* is sound: found step 4: .*; expected that of step 4"):
            states.newest(tmp_path, 1, quiet)
    assert states.steps_of(tmp_path) == [4]


def test_a_disk_that_is_too_small_is_refused_before_the_start(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = sum(tensor.numel() for tensor in load_file(tiny_model / "model.safetensors").values())
    assert parameters(tiny_model) == count
    free = shutil.disk_usage(tmp_path)
    need = count * (2 * 14 + 4)
    for room, fits in ((need, True), (need - 1, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, room=room: free._replace(free=room))
        if fits:
            states.check_disk(tmp_path, tiny_model)
        else:
            with pytest.raises(StoreError, match=r"training needs .* GiB there \(2 more state"):
                states.check_disk(tmp_path, tiny_model)
    state(tmp_path / "state", 2)
    states.check_disk(tmp_path, tiny_model)
