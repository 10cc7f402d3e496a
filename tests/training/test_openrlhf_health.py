"""What OpenRLHF says and leaves, without OpenRLHF: steps, faults, ends, checkpoints, refusals, several machines."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from openrlhf_runs import state, trained_with
from safetensors.torch import load_file, save_file
from training import quiet

from boundary_bench.algorithms import ALGORITHMS
from boundary_bench.core.errors import Interrupted, ModelError, TrainingError
from boundary_bench.training import checkpoint, step_log
from boundary_bench.training.openrlhf import cluster, guard, run, trainer

# what OpenRLHF says

METRICS = {
    "step": 3.0,
    "policy_loss": 0.1,
    "actor_grad_norm": 0.5,
    "ppo_clip_ratio": 0.25,
    "vllm_kl": 0.001,
    "surprisal": 3.0,
    "live_groups": 0.5,
    "positive_mass": 0.2,
    "negative_mass": 0.2,
    "paid": 0.25,
    "advantage": 0.0,
    "return": 0.0,
    "rollout/response_length_mean": 12.0,
    "rollout/truncated_rate": 0.125,
    "timing/generation": 1.0,
    "timing/make_experience": 0.5,
    "timing/ppo_train": 2.0,
    "timing/broadcast": 0.25,
}


def line(step: int, **changes: float) -> str:
    return f"✨ Global step {step}: {METRICS | {'step': float(step)} | changes}\n"


def test_a_step_is_read_as_it_is_printed() -> None:
    assert run.read_step(line(3)) == (3, METRICS)
    number, found = run.read_step(line(4, policy_loss=math.nan, vllm_kl=-math.inf)) or (0, {})
    assert number == 4
    assert math.isnan(found["policy_loss"])
    assert found["vllm_kl"] == -math.inf


@pytest.mark.parametrize("text", ["", "Sample: ✨ Global step 3: {'a': 1}", "✨ Global step 3: {'a': 1} and more"])
def test_other_lines_are_none(text: str) -> None:
    assert run.read_step(text) is None


@pytest.mark.parametrize("text", ["{'a': __import__('os')}", "{'a': 'word'}"])
def test_nothing_but_numbers_is_taken(text: str) -> None:
    with pytest.raises(ValueError, match=r"malformed|could not convert"):
        run.read_step(f"✨ Global step 3: {text}")


@pytest.mark.parametrize("name", ["policy_loss", "actor_grad_norm", "return"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_ends_the_run(name: str, value: float) -> None:
    run.check_step(3, METRICS, 0.01)
    with pytest.raises(TrainingError, match=f"step 3: {name} is {value}, expected a finite number; the checkpoints"):
        run.check_step(3, METRICS | {name: value}, 0.01)


@pytest.mark.parametrize("value", [0.011, -0.011, math.nan])
def test_weights_that_do_not_reach_vllm_end_the_run(value: float) -> None:
    with pytest.raises(TrainingError, match="the weights do not reach vLLM"):
        run.check_step(3, METRICS | {"vllm_kl": value}, 0.01)
    run.check_step(3, {name: number for name, number in METRICS.items() if name != "vllm_kl"}, 0.01)


@pytest.mark.parametrize(("told", "found"), [(0.0, 0.005), (-0.2, 0.0), (0.1, 0.0)])
def test_other_advantages_than_the_agents_end_the_run(told: float, found: float) -> None:
    run.check_step(3, METRICS | {"advantage": told, "return": told + 0.003}, 0.01)
    with pytest.raises(TrainingError, match=f"found a mean advantage of {found:.6f}, expected {told:.6f}, the algo"):
        run.check_step(3, METRICS | {"advantage": told, "return": found}, 0.01)


def test_prompts_of_another_step_end_the_run() -> None:
    with pytest.raises(TrainingError, match=r"step 4: found prompts of step 3, expected those of the step"):
        run.check_step(4, METRICS, 0.01)


def test_the_step_log_has_the_keys_of_every_backend() -> None:
    training = trained_with(epochs=2).training
    row = trainer.row_of(3, METRICS, training, ALGORITHMS["grpo"])
    assert (row.step, row.reward, row.truncated, row.clip_fraction, row.updates) == (3, 0.25, 0.125, 0.25, 4)
    assert (row.entropy, row.seconds_rollout, row.seconds_update) == (0.25, 1.5, 2.25)


def test_an_entropy_that_is_not_known_is_missing() -> None:
    warm = trained_with(temperature=0.8).training
    assert trainer.row_of(1, METRICS, warm, ALGORITHMS["gspo"]).entropy is None
    assert trainer.row_of(1, METRICS, warm, ALGORITHMS["grpo"]).entropy == 0.25


def test_a_run_has_the_steps_of_all_its_launches_each_once(tmp_path: Path) -> None:
    logs = tmp_path / "openrlhf"
    logs.mkdir()
    (logs / "1.steps").write_text(line(1, surprisal=1.0) + line(2, surprisal=1.0) + line(3, surprisal=1.0))
    (logs / "2.steps").write_text(line(3, surprisal=2.0))
    (logs / "10.steps").write_text(line(4, surprisal=10.0) + line(5).removesuffix("}\n"))
    found = [(step, metrics["surprisal"]) for step, metrics in run.history(tmp_path)]
    assert found == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 10.0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory", "micro_batch"),
        ("OSError: [Errno 28] No space left on device", "a disk is full"),
        (
            "boundary_bench.core.errors.GradingError: the grader 'math' may hang\nRayTaskError",
            "the grader 'math' may hang",
        ),
        ("something\nlast words", "last words"),
        ("Sample: ['CUDA out of memory', 0.0]\nlast words", "last words"),
        ("CUDA out of memory\nNo space left on device", "a disk is full"),
    ],
)
def test_what_openrlhf_says_last_is_explained(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "1.log").write_text(text)
    assert message in run.said(tmp_path / "1.log")


# running it: the supervisor with a command that stands where OpenRLHF would


def launch(folder: Path, code: str) -> run.Launch:
    return run.Launch([sys.executable, "-c", code], folder / "short", folder / "1.log", folder / "1.steps")


def test_steps_are_handed_over_while_it_runs(tmp_path: Path) -> None:
    code = f"import os; open(os.environ['BOUNDARY_BENCH_STEPS'], 'a').write({line(1) + line(2)!r})"
    seen: list[int] = []
    run.supervise(
        launch(tmp_path, code), trained_with().training, lambda step, metrics: seen.append(step), lambda: False
    )
    assert seen == [1, 2]
    assert shlex.split((tmp_path / "1.sh").read_text())[:2] == [sys.executable, "-c"]
    assert not (tmp_path / "short").exists()


def test_its_failure_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"(?s)OpenRLHF ended with exit code 1\..*ValueError: no such thing"):
        run.supervise(
            launch(tmp_path, "raise ValueError('no such thing')"),
            trained_with().training,
            lambda s, m: None,
            lambda: False,
        )


def test_standing_still_is_an_error(tmp_path: Path) -> None:
    training = trained_with(openrlhf={"stall_minutes": 0.1}).training
    with pytest.raises(TrainingError, match=r"(?s)no step for 0\.1 minutes .*hangs\. .*I wait"):
        run.supervise(
            launch(tmp_path, "import time; print('I wait', flush=True); time.sleep(600)"),
            training,
            lambda s, m: None,
            lambda: False,
        )


def test_a_dead_engine_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SECONDS_AFTER_FATAL", 0.1)
    code = "import time; print('EngineDeadError: see above', flush=True); time.sleep(600)"
    with pytest.raises(TrainingError, match=r"a part of OpenRLHF died.* It says: EngineDeadError: see above"):
        run.supervise(launch(tmp_path, code), trained_with().training, lambda s, m: None, lambda: False)


def test_a_signal_ends_it(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run.supervise(
            launch(tmp_path, "import time; time.sleep(600)"), trained_with().training, lambda s, m: None, lambda: True
        )
    assert not (tmp_path / "short").exists()


def test_a_start_waits_for_the_end_of_one_whose_supervisor_was_killed(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('up', 'w'); time.sleep(600)"
    first = launch(tmp_path, stubborn)
    first.folder.mkdir()
    own = [str(first.folder), *first.words]
    words = f"[{sys.executable!r}, '-P', {guard.__file__!r}, str(os.getpid()), *{own!r}]"
    supervisor = subprocess.Popen(
        [sys.executable, "-c", f"import os, subprocess; subprocess.run({words}, cwd={str(first.folder)!r})"]
    )
    while not (first.folder / "up").exists():
        assert supervisor.poll() is None
        time.sleep(0.02)
    [old] = guard.guards(str(first.folder))
    supervisor.kill()
    supervisor.wait()
    assert not guard.guards(str(tmp_path / "other"))
    # whoever comes second finds its folder there, and nobody else in it
    code = "import os; from boundary_bench.training.openrlhf import guard; "
    code += f"found = guard.guards({str(first.folder)!r}); assert found == [os.getppid()] and {old} not in found, found"
    run.supervise(launch(tmp_path, code), trained_with().training, lambda s, m: None, lambda: False)


def test_processes_on_one_machine_join_no_cluster_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:1234")
    found = run.environment(trained_with().training, launch(tmp_path, ""))
    assert found["RAY_ADDRESS"] == "local"
    assert found["RAY_TMPDIR"] == str(tmp_path / "short")
    assert "DS_ACCELERATOR" in found["BOUNDARY_BENCH_PASS"]
    assert len(str(run.Launch.of([], tmp_path).folder)) < 30, "a Unix socket's path has at most 107 bytes"


# the checkpoint


@pytest.fixture
def written(tiny_model: Path, tmp_path: Path) -> Path:
    """What OpenRLHF would leave: the base in bf16, a little different."""
    shutil.copytree(tiny_model, tmp_path / "final")
    change(tmp_path / "final", lambda name, tensor: (tensor * 1.1).bfloat16())
    config = json.loads((tmp_path / "final/config.json").read_text())
    (tmp_path / "final/config.json").write_text(json.dumps({**config, "use_cache": False, "dtype": "bfloat16"}))
    return tmp_path / "final"


def change(folder: Path, edit: Callable[[str, torch.Tensor], torch.Tensor | None]) -> None:
    tensors = {name: edit(name, tensor) for name, tensor in load_file(folder / "model.safetensors").items()}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def test_a_sound_checkpoint_is_put_right_and_kept(written: Path, tiny_model: Path, tmp_path: Path) -> None:
    checkpoint.accept(written, tiny_model, tmp_path / "step", True, {"backend": "openrlhf"})
    assert not written.exists()
    assert json.loads((tmp_path / "step/config.json").read_text())["use_cache"] is True
    told = json.loads((tmp_path / "step/boundary_bench.json").read_text())["training"]
    assert told["backend"] == "openrlhf"
    assert told["tensors"] == told["tensors_changed"] == len(load_file(tmp_path / "step/model.safetensors"))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda name, tensor: None if "layers.0.mlp.up" in name else tensor, r"lacks 1 of the base's \d+ tensors"),
        (lambda name, tensor: tensor * math.nan if "norm" in name else tensor, "holds NaN or infinity"),
        (
            lambda name, tensor: tensor[:-1] if name == "lm_head.weight" else tensor,
            r"lm_head.weight has shape \(\d+, 32\)",
        ),
    ],
)
def test_an_unsound_checkpoint_is_refused_and_left(
    written: Path, tiny_model: Path, tmp_path: Path, edit: Callable[[str, torch.Tensor], Any], message: str
) -> None:
    change(written, edit)
    with pytest.raises(ModelError, match=message):
        checkpoint.accept(written, tiny_model, tmp_path / "step", True, {})
    assert written.exists()
    assert not (tmp_path / "step").exists()


def test_a_checkpoint_that_is_the_base_was_not_trained(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "final")
    change(tmp_path / "final", lambda name, tensor: tensor.bfloat16())
    with pytest.raises(ModelError, match="every matrix is that of the base model, though updates had a gradient"):
        checkpoint.accept(tmp_path / "final", tiny_model, tmp_path / "step", True, {})
    checkpoint.accept(tmp_path / "final", tiny_model, tmp_path / "step", False, {})


# before it starts


@pytest.fixture
def no_openrlhf() -> None:
    if "openrlhf" in sys.modules or __import__("importlib.util").util.find_spec("openrlhf"):
        pytest.skip("OpenRLHF is in this Python")


@pytest.mark.usefixtures("no_openrlhf")
def test_a_python_with_other_versions_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"has openrlhf none \(expected 0\.11\.2\), vllm none .*env create train"):
        trainer.train(trained_with(), tiny_model, tmp_path, 2, quiet)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_base_with_code_of_its_own_is_refused(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(trainer, "PINS", {})
    shutil.copytree(tiny_model, tmp_path / "base")
    config = json.loads((tmp_path / "base" / name).read_text())
    text = json.dumps({**config, "auto_map": {"AutoModelForCausalLM": "evil.Model"}})
    for written in (text, text.replace("auto_map", "auto\\u005fmap")):
        (tmp_path / "base" / name).write_text(written)
        with pytest.raises(ModelError, match=rf"{name} names code .*auto_map.*which OpenRLHF would run"):
            trainer.train(trained_with(), tmp_path / "base", tmp_path / "store", 2, quiet)
    (tmp_path / "base" / name).write_text(json.dumps(config))
    (tmp_path / "base/custom_generate").mkdir()
    with pytest.raises(ModelError, match=r"custom_generate is code .*which OpenRLHF would run"):
        trainer.train(trained_with(), tmp_path / "base", tmp_path / "store", 2, quiet)


def test_a_path_that_openrlhf_would_split_is_refused(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "PINS", {})
    with pytest.raises(TrainingError, match="takes '@' in a path for a list or a pattern"):
        trainer.train(trained_with(), tiny_model, tmp_path / "user@host", 2, quiet)


def test_a_fault_that_ended_a_run_is_not_passed_by_on_a_second_try(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "PINS", {})
    state(tmp_path / "state", 1, ranks=2)
    (tmp_path / "openrlhf").mkdir()
    (tmp_path / "openrlhf" / "1.steps").write_text(line(1, actor_grad_norm=math.nan))
    with pytest.raises(TrainingError, match="step 1: actor_grad_norm is nan"):
        trainer.train(trained_with(), tiny_model, tmp_path, 2, quiet)
    (tmp_path / "openrlhf" / "1.steps").unlink()
    with pytest.raises(TrainingError, match=r"found the numbers of steps \[\], expected 1 to 1"):
        trainer.train(trained_with(), tiny_model, tmp_path, 2, quiet)


def test_prompts_longer_than_the_context_are_refused(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "PINS", {})
    with pytest.raises(ModelError, match=r"context of \d+ tokens .* training.max_tokens: 5000"):
        trainer.train(trained_with(max_tokens=5000), tiny_model, tmp_path, 2, quiet)


def test_a_store_that_is_past_a_step_does_not_fake_it(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "PINS", {})
    state(tmp_path / "state", 4, ranks=2)
    with pytest.raises(TrainingError, match="has been trained to step 4 and step 2 was not kept"):
        trainer.train(trained_with(), tiny_model, tmp_path, 2, quiet)


def test_a_finished_step_is_not_trained_again(tmp_path: Path) -> None:
    (tmp_path / "step-000002").mkdir()
    said: list[str] = []
    assert trainer.train(trained_with(), tmp_path, tmp_path, 2, said.append) == tmp_path / "step-000002"
    assert said == ["step 2 is already in the store"]


# several machines


def test_several_nodes_need_a_job_or_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    several = trained_with(openrlhf={"nodes": 2, "gpus": 4}).training
    assert cluster.words(trained_with().training, ["x"]) == ["x"]
    with pytest.raises(TrainingError, match=r"nodes: 2, found neither a SLURM job .* nor a Ray cluster"):
        cluster.words(several, ["x"])
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert cluster.words(several, ["x"])[-5:] == ["boundary_bench.training.openrlhf.cluster", "2", "4", "8", "x"]


def test_an_address_at_which_nothing_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    several = trained_with(openrlhf={"nodes": 2, "gpus": 4}).training
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(TrainingError, match=f"RAY_ADDRESS={address}: nothing answers there"):
            cluster.words(several, ["x"])
        listening.listen()
        assert cluster.words(several, ["x"]) == ["x"]


def test_the_step_log_is_written_whole(tmp_path: Path) -> None:
    row = trainer.row_of(1, METRICS, trained_with().training, ALGORITHMS["grpo"])
    step_log.write(tmp_path, [row])
    assert [found["step"] for found in step_log.read(tmp_path, 5)] == [1]
