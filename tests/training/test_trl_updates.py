"""The backend trl, with TRL itself: what it trains on is what the study says, update by update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import training

pytest.importorskip("trl")

import torch
from safetensors.torch import load_file
from training import END, grpo, problems, quiet, same_weights, steps

from boundary_bench.algorithms import ALGORITHMS
from boundary_bench.algorithms.part import LossInputs
from boundary_bench.benchmarks import KINDS
from boundary_bench.core import randomness
from boundary_bench.grading import Grader, Ruling, Verdict
from boundary_bench.models.folder import load_model, load_weights
from boundary_bench.models.tokenizer import load_tokenizer
from boundary_bench.training import trl
from boundary_bench.training.rollouts import TrainingJob, prompts_of_step
from boundary_bench.training.trl import train

pytestmark = pytest.mark.openrlhf

job = partial(training.job, backend="trl", warmup=5)


def even(reference: str, response: str) -> Ruling:
    """Any text of even length is right, so that rewards of a model that knows nothing differ."""
    return Ruling(Verdict.WRONG if len(response) % 2 else Verdict.CORRECT, "by its length")


def on_even_texts(chosen: TrainingJob) -> TrainingJob:
    return replace(chosen, kind=replace(KINDS["countdown"], grader=Grader("even", 1, str, even)))


Spied = list[dict[str, Any]]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Spied:
    """What TRL trains on in every rollout step."""
    found: Spied = []
    original = trl.Trainer._generate_and_score_completions

    def spy(self: trl.Trainer, inputs: list) -> dict[str, Any]:
        found.append({"step": self.step, "reward_N": None} | original(self, inputs))
        found[-1]["reward_N"] = self.reward_N
        return {name: value for name, value in found[-1].items() if name not in ("step", "reward_N")}

    monkeypatch.setattr(trl.Trainer, "_generate_and_score_completions", spy)
    return found


def rows_of(batch: dict[str, Any], part: str) -> list[list[int]]:
    """Token ids without padding."""
    pairs = zip(batch[f"{part}_ids"], batch[f"{part}_mask"].bool(), strict=True)
    return [ids[mask].tolist() for ids, mask in pairs]


@pytest.mark.parametrize("limit", [16, 6])
def test_prompts_come_in_order_and_responses_are_rewarded_by_the_grader(
    limit: int, batches: Spied, tiny_model: Path, tmp_path: Path
) -> None:
    """Over a segment's border and an epoch's. Within 6 tokens a right answer can be written but not ended."""
    chosen, tokenizer = job(max_tokens=limit), load_tokenizer(tiny_model)
    for stop in (2, 4):
        train(chosen, tiny_model, tmp_path, stop, quiet)
    assert [batch["step"] for batch in batches] == [1, 2, 3, 4] and len(problems()) < 4 * 6
    right, paid = 0, 0.0
    for batch, row in zip(batches, steps(tmp_path), strict=True):
        given = [problem for problem in prompts_of_step(chosen, batch["step"]) for _ in range(8)]
        assert rows_of(batch, "prompt") == [tokenizer.encode(problem.prompt).ids for problem in given]
        responses = rows_of(batch, "completion")
        texts = tokenizer.decode_batch(responses, skip_special_tokens=True)
        grade, finished = chosen.kind.grader.grade, [ids[-1] == END for ids in responses]
        correct = [grade(one.reference, text).verdict == "correct" for one, text in zip(given, texts, strict=True)]
        assert batch["reward_N"].tolist() == [float(a and b) for a, b in zip(correct, finished, strict=True)]
        assert all(ids[:-1].count(END) == 0 and (ids[-1] == END or len(ids) == limit) for ids in responses)
        assert torch.equal(batch["advantages"], chosen.algorithm.advantages(batch["reward_N"], 8))
        assert row["reward"] == pytest.approx(float(batch["reward_N"].mean()), abs=1e-6)
        assert row["truncated"] == pytest.approx(1 - sum(finished) / 48, abs=1e-6)
        assert row["response_length"] == pytest.approx(sum(map(len, responses)) / 48, abs=1e-6)
        right, paid = right + sum(correct), paid + float(batch["reward_N"].sum())
    assert right > 0 and (paid > 0 if limit == 16 else paid == 0), "a response that was cut off earns nothing"


@pytest.mark.parametrize("name", ["grpo-n", "gspo-n"])
def test_a_negative_only_run_learns_from_wrong_responses_alone(name: str, tiny_model: Path, tmp_path: Path) -> None:
    train(job(ALGORITHMS[name]), tiny_model, tmp_path, 2, quiet)
    rows = steps(tmp_path)
    assert all(row["positive_mass"] == 0 for row in rows) and all(row["negative_mass"] > 0 for row in rows)
    assert sum(row["updates"] for row in rows) > 0


def test_a_control_reward_pays_whatever_is_said(batches: Spied, tiny_model: Path, tmp_path: Path) -> None:
    from boundary_bench.training.rewards import rewards

    chosen = job(reward={"random": 0.5}, max_tokens=2)
    train(chosen, tiny_model, tmp_path, 1, quiet)
    given, unread = prompts_of_step(chosen, 1), [""] * 48
    settings = chosen.training, chosen.seed, 1, given, chosen.kind.grader
    assert batches[0]["reward_N"].tolist() == rewards(*settings, unread, [False] * 48, chosen.judge)


def test_a_step_without_any_difference_in_reward_changes_nothing(tiny_model: Path, tmp_path: Path) -> None:
    """One token is no answer: neither the optimizer's momentum nor its weight decay moves a weight."""
    first = train(job(), tiny_model, tmp_path, 2, quiet)
    second = train(job(max_tokens=1, weight_decay=0.5), tiny_model, tmp_path, 4, quiet)
    assert same_weights(first, second)
    assert [(row["updates"], row["gradient_norm"]) for row in steps(tmp_path)[2:]] == [(0, 0.0)] * 2


@dataclass
class Update:
    """What one update had: the weights before it, its gradient, its micro-batches, and whether it was made."""

    weights: dict[str, torch.Tensor]
    gradients: dict[str, torch.Tensor]
    parts: list[dict[str, Any]]
    live: bool


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[Update]:
    """All updates of a run, before the gradient is clipped."""
    found: list[Update] = []
    parts: list[dict[str, Any]] = []
    prepare, before_update = trl.Trainer._prepare_inputs, trl.Steps.on_pre_optimizer_step

    def spy_on_inputs(self: trl.Trainer, given: Any) -> dict[str, Any]:
        parts.append(prepare(self, given))
        return parts[-1]

    def spy_on_updates(self: trl.Steps, *given: Any, **named: Any) -> None:
        of_model = dict(self.trainer.model.named_parameters())
        weights = {name: weight.detach().clone() for name, weight in of_model.items()}
        gradients = {name: weight.grad.clone() for name, weight in of_model.items()}
        found.append(Update(weights, gradients, parts.copy(), self.trainer.live))
        parts.clear()
        before_update(self, *given, **named)

    monkeypatch.setattr(trl.Trainer, "_prepare_inputs", spy_on_inputs)
    monkeypatch.setattr(trl.Steps, "on_pre_optimizer_step", spy_on_updates)
    return found


CASES = {
    "grpo": ("llama", ALGORITHMS["grpo"]),
    "constant": ("llama", grpo(aggregation="constant_length", constant_length=11, dual_clip=3.0)),
    "kl": ("llama", grpo(kl="k3", kl_coefficient=0.1, signs="negative")),
    "gspo-n": ("gpt2", ALGORITHMS["gspo-n"]),
}


@pytest.mark.parametrize("case", CASES)
def test_every_update_is_the_gradient_of_the_loss_over_its_minibatch(
    case: str, tiny_folder: Callable[[str], Path], tmp_path: Path, updates: list[Update]
) -> None:
    """Against one backward pass over all of it, without dropout; the numbers of the log follow from the same passes."""
    (name, algorithm), temperature = CASES[case], 0.9
    base, with_kl = tiny_folder(name), algorithm.kl.active
    settings: dict[str, Any] = {"trl": {"micro_batch": 5}, "epochs": 2, "lr": 3e-3, "temperature": temperature}
    if name == "gpt2":  # its random weights are large, so that its gradients are too
        settings |= {"lr": 3e-4, "max_tokens": 8}
    chosen = job(algorithm, warmup=0, **settings)
    train(on_even_texts(chosen) if name == "gpt2" else chosen, base, tmp_path, 1, quiet)

    model, original = load_model(base, "cpu"), load_model(base, "cpu")
    assert [len(update.parts) for update in updates] == [6] * 4, "24 responses in pieces of 4, the divisor below 5"
    clipped, counted, norms, entropies = 0.0, 0.0, [], []
    for update in updates:
        model.load_state_dict(update.weights, strict=False)
        model.zero_grad()
        batch = joined(update.parts)
        logprob_NT, full_NTV = response_logprobs(model, batch, temperature)
        with torch.no_grad():
            reference_NT = response_logprobs(original, batch, temperature)[0] if with_kl else None
        mask_NT, advantage_N = batch["completion_mask"], batch["advantages"]
        given = LossInputs(logprob_NT, batch["old_per_token_logps"], advantage_N, mask_NT, reference_NT)
        loss = algorithm.loss(given, algorithm.aggregation.denominator(mask_NT))
        loss.value.backward()
        size = max(float(gradient.abs().max()) for gradient in update.gradients.values())
        for key, gradient in update.gradients.items():
            torch.testing.assert_close(gradient, model.get_parameter(key).grad, rtol=0, atol=1e-3 * size + 1e-6)
        assert update.live == (with_kl or bool(advantage_N.any()))
        if update.live:
            norms.append(float(torch.stack([gradient.norm() for gradient in update.gradients.values()]).norm()))
        weight_N = mask_NT.sum(1) if algorithm.surrogate.ratio == "token" else torch.ones_like(advantage_N)
        clipped += float(loss.clipped)
        counted += float(weight_N.sum() if with_kl else weight_N[advantage_N != 0].sum())
        entropies.append(float((-(full_NTV.exp() * full_NTV).sum(-1) * mask_NT).sum() / mask_NT.sum()))
    (row,) = steps(tmp_path)
    assert clipped > 0 and row["clip_fraction"] == pytest.approx(clipped / counted, abs=2e-3)
    assert row["updates"] == len(norms) and row["gradient_norm"] == pytest.approx(sum(norms) / len(norms), rel=1e-3)
    assert row["entropy"] == pytest.approx(entropies[0], abs=1e-4)


def test_minibatches_and_optimizer_are_those_of_the_reference_trainer(
    tiny_model: Path, tmp_path: Path, batches: Spied, updates: list[Update]
) -> None:
    """Its order of the responses; its clip, learning rate, betas and weight decay on the gradients that were had."""
    chosen = job(warmup=3, weight_decay=0.1, updates_per_rollout=3, max_grad_norm=0.1)
    folder = train(chosen, tiny_model, tmp_path, 2, quiet)
    for step, batch in enumerate(batches, 1):
        generator = torch.Generator().manual_seed(randomness.key("minibatches", chosen.seed, step) >> 1)
        order = torch.randperm(48, generator=generator)
        made = joined([part for update in updates[3 * step - 3 : 3 * step] for part in update.parts])
        for name in ("prompt_ids", "completion_ids", "advantages"):
            assert torch.equal(made[name], batch[name][order])
    model = load_model(tiny_model, "cpu")
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1)
    for place, update in enumerate(updates):
        for name, parameter in model.named_parameters():
            parameter.grad = update.gradients[name].clone()
        assert torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1) > 0.1 or not update.live
        optimizer.param_groups[0]["lr"] = chosen.training.lr * (1 + place // 3) / 3
        if update.live:
            optimizer.step()
    for name, weight in load_file(folder / "model.safetensors").items():
        torch.testing.assert_close(model.get_parameter(name).detach(), weight, rtol=0, atol=1e-7)


def joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Micro-batches as one."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0] if parts[0][name].ndim}


def response_logprobs(model: Any, batch: dict[str, Any], temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Of TRL's batch: prompts padded on the left, responses on the right."""
    ids, mask = (torch.cat([batch[f"prompt_{name}"], batch[f"completion_{name}"]], 1) for name in ("ids", "mask"))
    width = batch["completion_ids"].shape[1]
    logits_NTV = model(input_ids=ids, attention_mask=mask).logits[:, -width - 1 : -1] / temperature
    full_NTV = torch.log_softmax(logits_NTV, -1)
    return full_NTV.gather(2, ids[:, -width:, None])[..., 0], full_NTV


def test_bfloat16_computes_in_it_and_keeps_weights_that_small_steps_move(
    tiny_model: Path, tmp_path: Path, updates: list[Update]
) -> None:
    """In weights of bfloat16 nearly every step of this learning rate would be rounded away."""
    chosen = job(trl={"dtype": "bfloat16"}, lr=1e-6, warmup=0)
    whole = train(chosen, tiny_model, tmp_path / "whole", 2, quiet)
    train(chosen, tiny_model, tmp_path / "parts", 1, quiet)
    assert same_weights(train(chosen, tiny_model, tmp_path / "parts", 2, quiet), whole)
    train(job(lr=1e-6, warmup=0), tiny_model, tmp_path / "float32", 2, quiet)
    half, full = updates[0].gradients["lm_head.weight"], updates[8].gradients["lm_head.weight"]
    before, after = load_weights(tiny_model)[1], load_weights(whole)[1]
    assert {tensor.dtype for tensor in after.values()} == {torch.float32}
    moved = [(before[name] != tensor).float().mean() for name, tensor in after.items() if "layers" in name]
    assert min(moved) > 0.5
    assert not torch.allclose(half, full, rtol=1e-4, atol=0) and same_direction(half, full) > 0.9


def same_direction(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0))
