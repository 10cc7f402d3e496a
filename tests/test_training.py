"""The reference trainer: its updates are the objective's, and stopping, resuming or crashing changes no result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from boundary_bench.algorithms import ALGORITHMS
from boundary_bench.algorithms.loss import advantages, contributing, normalizer, policy_loss
from boundary_bench.algorithms.objective import Objective
from boundary_bench.benchmarks import KINDS
from boundary_bench.benchmarks.base import Problem
from boundary_bench.errors import Interrupted, ModelError, TrainingError
from boundary_bench.files import lease
from boundary_bench.models import load_tokenizer, load_weights
from boundary_bench.study import Training
from boundary_bench.training import reference, state
from boundary_bench.training.reference import Job, prompts_of_step, response_logprobs, roll_out, train

END = 1
SETTINGS = {"benchmark": "countdown", "segments": [6], "prompts": 6, "rollouts": 8, "updates_per_rollout": 2}
SETTINGS |= {"lr": 1e-3, "warmup": 0, "max_tokens": 16, "state_every": 2}
TIMES = ("seconds_rollout", "seconds_update")


def quiet(line: str) -> None:
    """A log that keeps nothing."""


def problems() -> list[Problem]:
    """Two numbers each, which the tiny model gets right now and then, and two prompt lengths."""
    kind = KINDS["countdown"]
    return kind.generate("train", 0, kind.options.model_copy(update={"problems": {2: 14, 3: 4}}))


def job(objective: Objective = ALGORITHMS["grpo"], seed: int = 0, **changes: Any) -> Job:
    training = Training.model_validate({**SETTINGS, **changes})
    return Job(objective, training, KINDS["countdown"], problems(), seed)


def steps(store: Path) -> list[dict[str, Any]]:
    """The step log without what no two runs share: the seconds."""
    rows = [json.loads(line) for line in (store / "steps.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def same_weights(one: Path, other: Path) -> bool:
    return (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Six steps in one call: the store and the folder of step 6."""
    store = tmp_path_factory.mktemp("undisturbed")
    return store, train(job(), tiny_model, store, 6, quiet)


@pytest.fixture
def loaded(tiny_model: Path) -> tuple[nn.Module, Any]:
    """The tiny model as the trainer loads it, and its tokenizer."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    return model, load_tokenizer(tiny_model)


# what is trained on


@pytest.mark.parametrize(("count", "prompts"), [(10, 5), (10, 4), (7, 7), (9, 2)])
def test_every_problem_is_seen_once_an_epoch(count: int, prompts: int) -> None:
    chosen = replace(job(prompts=prompts, rollouts=2), problems=problems()[:count])
    seen = [problem.id for step in range(1, 3 * count + 1) for problem in prompts_of_step(chosen, step)]
    epochs = [seen[first : first + count] for first in range(0, len(seen), count)]
    assert len(epochs) == 3 * prompts and len(seen) == 3 * prompts * count
    for epoch in epochs:
        assert Counter(epoch) == {problem.id: 1 for problem in chosen.problems}
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs), "the order differs between epochs"


def test_the_order_of_problems_depends_on_the_seed() -> None:
    one, same, other = (prompts_of_step(job(seed=seed), 1) for seed in (0, 0, 1))
    assert one == same != other


@pytest.mark.parametrize("limit", [16, 6])
def test_rollouts_are_rewarded_by_the_grader_and_packed_without_loss(limit: int, loaded: tuple[nn.Module, Any]) -> None:
    """Within 6 tokens a right answer can be written but not ended: it is cut off and earns nothing."""
    model, tokenizer = loaded
    chosen = job(max_tokens=limit)
    found = roll_out(chosen, reference.decoder_of(model), tokenizer, END, 1)
    given = prompts_of_step(chosen, 1)
    right, rewards = [], []
    for i in range(6 * 8):
        start, length = int(found.start_N[i]), int(found.length_N[i])
        ids = found.ids[i].tolist()
        assert ids[:start] == tokenizer.encode(given[i // 8].prompt).ids
        assert found.mask_NT[i].sum() == length and found.mask_NT[i, :length].all()
        response = tokenizer.decode(ids[start : start + length], skip_special_tokens=True)
        ended = ids[start + length - 1] == END
        right.append(chosen.kind.grade(given[i // 8], response).verdict == "correct")
        rewards.append(float(ended and right[-1]))
        assert ended or length == limit
    assert found.reward_N.tolist() == rewards
    assert 0 < sum(right) < 48 and sum(rewards) == (sum(right) if limit == 16 else 0)
    assert found.facts["reward"] == pytest.approx(sum(rewards) / 48)
    assert found.facts["response_length"] == pytest.approx(float(found.length_N.double().mean()))


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probabilities_of_the_trainer_are_those_of_the_sampler(
    loaded: tuple[nn.Module, Any], temperature: float
) -> None:
    model, tokenizer = loaded
    found = roll_out(job(temperature=temperature), reference.decoder_of(model), tokenizer, END, 1)
    everyone = torch.arange(48)
    for chosen in (everyone, everyone.flip(0)[5:20], torch.tensor([3])):
        with torch.no_grad():
            logprob_nT, full_nTV = response_logprobs(model, found, chosen, temperature)
        width = logprob_nT.shape[1]
        mask = found.mask_NT[chosen, :width]
        assert width == found.length_N[chosen].max()
        torch.testing.assert_close(logprob_nT[mask], found.old_logprob_NT[chosen, :width][mask], rtol=0, atol=1e-4)
        assert torch.isfinite(logprob_nT).all()
        torch.testing.assert_close(full_nTV.exp().sum(-1), torch.ones(full_nTV.shape[:2]))


# one update


VARIANTS = {
    **ALGORITHMS,
    "grpo-n dropped": ALGORITHMS["grpo-n"].model_copy(update={"others": "drop"}),
    "constant length": Objective(aggregation="constant_length", constant_length=16, signs="positive"),
    "kl and entropy": Objective(kl="k3", kl_coefficient=0.1, entropy_coefficient=0.01),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_one_update_is_the_gradient_of_the_objective_over_all_samples(
    name: str, tiny_model: Path, loaded: tuple[nn.Module, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer's micro-batches and skipped samples, against one backward pass over everything."""
    from transformers import AutoModelForCausalLM

    model, tokenizer = loaded
    chosen = job(VARIANTS[name], updates_per_rollout=1, max_grad_norm=1e9)
    rollouts = roll_out(chosen, reference.decoder_of(model), tokenizer, END, 1)
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.mul_(0.9)
    needs_base = chosen.objective.kl != "none"

    advantage_N = advantages(rollouts.reward_N, 8, chosen.objective)
    present = contributing(advantage_N, chosen.objective).nonzero()[:, 0]
    mask_NT = rollouts.mask_NT[present]
    logprob_NT, full_NTV = response_logprobs(model, rollouts, present, 1.0)
    width = logprob_NT.shape[1]
    with torch.no_grad():
        reference_NT = response_logprobs(base, rollouts, present, 1.0)[0]
    loss = policy_loss(
        logprob_NT,
        rollouts.old_logprob_NT[present, :width],
        advantage_N[present],
        mask_NT[:, :width],
        chosen.objective,
        normalizer(mask_NT, chosen.objective),
        reference_NT,
        -(full_NTV.exp() * full_NTV).sum(-1),
    )
    gradients = torch.autograd.grad(loss.value, list(model.parameters()))
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    assert norm > 1e-3

    before = [parameter.detach().clone() for parameter in model.parameters()]
    monkeypatch.setattr(reference, "MICRO_BATCH_TOKENS", {"cpu": 100})
    assert len(list(reference.micro_batches(present, rollouts))) > 3
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    facts = reference.update(chosen, model, base if needs_base else None, optimizer, rollouts, 1)
    assert facts["updates"] == 1 and facts["clip_fraction"] == 0
    assert facts["gradient_norm"] == pytest.approx(float(norm), rel=1e-3)
    for parameter, old, gradient in zip(model.parameters(), before, gradients, strict=True):
        torch.testing.assert_close((old - parameter.detach()) / chosen.training.lr, gradient, rtol=2e-2, atol=2e-4)


def test_the_first_of_several_updates_is_on_policy_and_later_ones_are_clipped(loaded: tuple[nn.Module, Any]) -> None:
    model, tokenizer = loaded
    chosen = job(updates_per_rollout=4, lr=1e-2, epochs=2)
    rollouts = roll_out(chosen, reference.decoder_of(model), tokenizer, END, 1)
    facts = reference.update(chosen, model, None, torch.optim.AdamW(model.parameters()), rollouts, 1)
    assert facts["updates"] == 8 and facts["clip_fraction"] > 0
    assert facts["positive_mass"] == pytest.approx(facts["negative_mass"], rel=1e-4)


def test_a_step_without_any_difference_in_reward_changes_nothing(loaded: tuple[nn.Module, Any]) -> None:
    model, tokenizer = loaded
    chosen = job()
    rollouts = roll_out(chosen, reference.decoder_of(model), tokenizer, END, 1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0.5)
    facts = reference.update(chosen, model, None, optimizer, replace(rollouts, reward_N=torch.ones(48)), 1)
    assert facts["updates"] == 0 and facts["live_groups"] == 0 and facts["gradient_norm"] == 0
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("signs", ["all", "negative", "positive"])
def test_an_update_raises_good_responses_and_lowers_bad_ones(signs: str, loaded: tuple[nn.Module, Any]) -> None:
    """Weighted by their advantages, the log-probabilities of the responses rise: the sign of the loss is right."""
    model, tokenizer = loaded
    chosen = job(Objective(signs=signs), updates_per_rollout=1, lr=1e-4)
    rollouts = roll_out(chosen, reference.decoder_of(model), tokenizer, END, 1)
    advantage_N = advantages(rollouts.reward_N, 8, chosen.objective)

    def logprob_of_responses() -> torch.Tensor:
        with torch.no_grad():
            found = response_logprobs(model, rollouts, torch.arange(48), 1.0)[0]
        return (found * rollouts.mask_NT).sum(1)

    before = logprob_of_responses()
    reference.update(chosen, model, None, torch.optim.AdamW(model.parameters()), rollouts, 1)
    assert (advantage_N * (logprob_of_responses() - before)).sum() > 0.1


# steps, checkpoints and resuming


def test_training_changes_the_weights_and_writes_a_log_and_a_model_folder(
    undisturbed: tuple[Path, Path], tiny_model: Path
) -> None:
    store, folder = undisturbed
    before, after = load_weights(tiny_model)[1], load_weights(folder)[1]
    assert before.keys() == after.keys() and any(not torch.equal(before[name], after[name]) for name in before)
    rows = steps(store)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert sum(row["updates"] for row in rows) >= 6 and any(row["clip_fraction"] > 0 for row in rows)
    assert any(0 < row["live_groups"] < 1 for row in rows)
    assert load_tokenizer(folder).to_str() == load_tokenizer(tiny_model).to_str()
    assert state.saved_steps(store) == [4, 6], "the two newest states are kept"


def test_the_same_run_twice_is_the_same_bit_for_bit_and_another_seed_is_not(
    undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    assert same_weights(train(job(), tiny_model, tmp_path / "again", 6, quiet), undisturbed[1])
    assert not same_weights(train(job(seed=1), tiny_model, tmp_path / "other", 6, quiet), undisturbed[1])


@pytest.mark.parametrize("first", [2, 3, 5])
def test_segments_give_the_weights_and_log_of_one_go(
    first: int, undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    earlier = train(job(), tiny_model, tmp_path, first, quiet)
    folder = train(job(), tiny_model, tmp_path, 6, quiet)
    assert earlier != folder and earlier.is_dir() and not same_weights(earlier, folder)
    assert same_weights(folder, undisturbed[1])
    assert steps(tmp_path) == steps(undisturbed[0])


def stop_after(count: int) -> Callable[[], bool]:
    """A signal that arrives during the given step of a call."""
    asked = iter(range(1, 100))
    return lambda: next(asked) == count


def test_a_run_that_is_interrupted_again_and_again_ends_the_same(
    undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    for count, reached in ((1, 1), (2, 3), (1, 4)):
        with pytest.raises(Interrupted, match=f"step {reached} of 6"):
            train(job(), tiny_model, tmp_path, 6, quiet, stop_after(count))
        assert state.saved_steps(tmp_path)[-1] == reached and not state.step_folder(tmp_path, 6).exists()
    folder = train(job(), tiny_model, tmp_path, 6, quiet, lambda: False)
    assert same_weights(folder, undisturbed[1]) and steps(tmp_path) == steps(undisturbed[0])


def test_a_signal_in_the_last_step_still_delivers_the_checkpoint(tiny_model: Path, tmp_path: Path) -> None:
    assert train(job(), tiny_model, tmp_path, 1, quiet, lambda: True).is_dir()


def test_a_killed_run_repeats_the_steps_since_its_last_saved_state(
    undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    """The fault arrives between the log line of step 5 and the state of step 6, as a SIGKILL would."""

    class Killed(Exception):
        pass

    def kill() -> bool:
        if len(steps(tmp_path)) == 5:
            raise Killed
        return False

    with pytest.raises(Killed):
        train(job(), tiny_model, tmp_path, 6, quiet, kill)
    assert state.saved_steps(tmp_path)[-1] == 4 and len(steps(tmp_path)) == 5
    with open(tmp_path / "steps.jsonl", "a") as lines:
        lines.write('{"step": 6, "rew')
    folder = train(job(), tiny_model, tmp_path, 6, quiet)
    assert same_weights(folder, undisturbed[1]) and steps(tmp_path) == steps(undisturbed[0])


def test_a_crash_after_the_state_and_before_the_checkpoint_costs_nothing(
    undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(undisturbed[0] / "state", tmp_path / "state")
    shutil.copy(undisturbed[0] / "steps.jsonl", tmp_path)
    assert same_weights(train(job(), tiny_model, tmp_path, 6, quiet), undisturbed[1])
    assert steps(tmp_path) == steps(undisturbed[0])


def test_a_kept_step_is_returned_without_training(undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    """The base folder does not even exist."""
    store, folder = undisturbed
    lines: list[str] = []
    assert train(job(), tmp_path / "no base", store, 6, lines.append) == folder
    assert lines == ["step 6 is already in the store"]


def test_an_earlier_step_that_was_not_kept_is_refused(undisturbed: tuple[Path, Path], tiny_model: Path) -> None:
    store, folder = undisturbed
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(TrainingError) as caught:
        train(job(), tiny_model, store, 3, quiet)
    assert all(part in str(caught.value) for part in ("step 3 was not kept", "step 6", str(store)))
    assert not state.step_folder(store, 3).exists() and (folder / "model.safetensors").read_bytes() == before


def test_hub_models_train_and_resume_the_same(tiny_gpt2: Path, tmp_path: Path) -> None:
    """A model type that the fast decoder does not know; any text of even length is right, so that rewards differ."""

    def even(problem: Problem, response: str) -> Any:
        return KINDS["countdown"].grade(problem, "" if len(response) % 2 else problem.solution)

    settings: dict[str, Any] = {"prompts": 2, "rollouts": 4, "max_tokens": 8, "state_every": 1}
    chosen = replace(job(**settings), kind=replace(KINDS["countdown"], grade=even))
    whole = train(chosen, tiny_gpt2, tmp_path / "whole", 2, quiet)
    train(chosen, tiny_gpt2, tmp_path / "parts", 1, quiet)
    assert same_weights(train(chosen, tiny_gpt2, tmp_path / "parts", 2, quiet), whole)
    assert not same_weights(whole, tiny_gpt2)


# faults


@pytest.mark.parametrize("updates", [1, 2])
def test_a_gradient_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(
    updates: int, tiny_model: Path, tmp_path: Path
) -> None:
    """The first update blows the weights up; the second update, or the next step's rollouts, meet what is left."""
    sound = job(updates_per_rollout=updates, state_every=1)
    kept = train(sound, tiny_model, tmp_path, 1, quiet)
    with pytest.raises(TrainingError, match=r"step \d+: ") as caught:
        train(job(updates_per_rollout=updates, state_every=1, lr=1e30), tiny_model, tmp_path, 6, quiet)
    assert "training.lr" in str(caught.value) and "kept" in str(caught.value)
    assert load_weights(kept)[1] and not state.step_folder(tmp_path, 6).exists()
    for step in state.saved_steps(tmp_path):
        saved = load_file(state.step_folder(tmp_path / "state", step) / "weights.safetensors")
        assert all(torch.isfinite(tensor).all() for tensor in saved.values()), "a saved state must be usable"


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("fault", ["cut", "missing", "empty"])
def test_a_damaged_state_is_a_model_error_and_its_remedy_works(
    file: str, fault: str, undisturbed: tuple[Path, Path], tiny_model: Path, tmp_path: Path
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
        train(job(), tiny_model, store, 6, quiet)
    assert str(folder) in str(caught.value) and "delete that folder" in str(caught.value)
    shutil.rmtree(folder)
    assert same_weights(train(job(), tiny_model, store, 6, quiet), undisturbed[1])
    assert steps(store) == steps(undisturbed[0])


def test_a_state_of_another_model_is_refused(
    undisturbed: tuple[Path, Path], tiny_qwen2: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Of one with other tensors, and of one with the same tensors in another shape."""
    from transformers import LlamaForCausalLM

    narrow = shutil.copytree(tiny_model, tmp_path / "narrow")
    config = LlamaForCausalLM.from_pretrained(tiny_model).config
    config.intermediate_size //= 2
    LlamaForCausalLM(config).save_pretrained(narrow)
    for name, base in (("qwen2", tiny_qwen2), ("narrow", narrow)):
        store = tmp_path / f"store-{name}"
        shutil.copytree(undisturbed[0] / "state", store / "state")
        with pytest.raises(ModelError, match="trainer state"):
            train(job(), base, store, 8, quiet)


def test_a_base_with_a_tensor_missing_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    """Hugging Face would draw random numbers for it and train on."""
    from safetensors.torch import save_file

    base = shutil.copytree(tiny_model, tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.down_proj\.weight"):
        train(job(), base, tmp_path / "store", 1, quiet)


# the lease

HOLD = """
import sys
from pathlib import Path
from boundary_bench.files import lease

store, released = map(Path, sys.argv[1:])
say = lambda line: print(line, flush=True)
with lease(store, say):
    say(f"in {released.exists()}")
    sys.stdin.readline()
say("out")
"""


@contextmanager
def another_process(store: Path, released: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that takes the lease and holds it until it is sent a line; ended here if all else fails."""
    command = [sys.executable, "-c", HOLD, str(store), str(released)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    guard = threading.Timer(60, process.kill)
    guard.start()
    try:
        yield process
    finally:
        guard.cancel()
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_second_process_waits_says_for_whom_and_goes_on(tmp_path: Path) -> None:
    store, released = tmp_path / "store", tmp_path / "released"
    mine = ExitStack()
    mine.enter_context(lease(store, quiet))
    with mine, another_process(store, released) as other:
        waiting = line_of(other)
        assert waiting.startswith("waiting: ") and str(store) in waiting and f"process {os.getpid()} on" in waiting
        released.touch()
        mine.close()
        assert line_of(other) == "in True", "it must not have gone in before"
        end(other)
        assert line_of(other) == "out"
    assert not (store / ".holder").exists()


def test_the_lease_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with another_process(tmp_path, tmp_path / "released") as first:
        assert line_of(first) == "in False"
        first.kill()
        first.wait()
    with another_process(tmp_path, tmp_path / "released") as second:
        assert line_of(second) == "in False"


def test_a_lease_is_free_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(TrainingError), lease(tmp_path, quiet):
        raise TrainingError("stop")
    with another_process(tmp_path, tmp_path / "released") as other:
        assert line_of(other) == "in False"
