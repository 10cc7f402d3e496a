"""The reference trainer's rollouts and updates: they are the grader's and the algorithm's, exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training import END, grpo, job, problems

from boundary_bench.algorithms import ALGORITHMS
from boundary_bench.algorithms.part import LossInputs
from boundary_bench.models.tokenizer import load_tokenizer
from boundary_bench.training import reference
from boundary_bench.training.reference import response_logprobs
from boundary_bench.training.rollouts import prompts_of_step, roll_out


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
    found = roll_out(chosen, reference.decoder_of(model), tokenizer, (END,), 1)
    given = prompts_of_step(chosen, 1)
    right, rewards = [], []
    for i in range(6 * 8):
        start, length = int(found.start_N[i]), int(found.length_N[i])
        ids = found.ids[i].tolist()
        assert ids[:start] == tokenizer.encode(given[i // 8].prompt).ids
        assert found.mask_NT[i].sum() == length and found.mask_NT[i, :length].all()
        response = tokenizer.decode(ids[start : start + length], skip_special_tokens=True)
        ended = ids[start + length - 1] == END
        right.append(chosen.kind.grader.grade(given[i // 8].reference, response).verdict == "correct")
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
    found = roll_out(job(temperature=temperature), reference.decoder_of(model), tokenizer, (END,), 1)
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
    "grpo-n dropped": grpo(signs="negative", others="drop"),
    "constant length": grpo(aggregation="constant_length", constant_length=16, signs="positive"),
    "kl and entropy": grpo(kl="k3", kl_coefficient=0.1, entropy_coefficient=0.01),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_one_update_is_the_gradient_of_the_loss_over_all_samples(
    name: str, tiny_model: Path, loaded: tuple[nn.Module, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer's micro-batches and skipped samples, against one backward pass over everything."""
    from transformers import AutoModelForCausalLM

    model, tokenizer = loaded
    chosen = job(VARIANTS[name], updates_per_rollout=1, max_grad_norm=1e9)
    rollouts = roll_out(chosen, reference.decoder_of(model), tokenizer, (END,), 1)
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.mul_(0.9)
    algorithm = chosen.algorithm

    advantage_N = algorithm.advantages(rollouts.reward_N, 8)
    present = algorithm.signs.present(advantage_N).nonzero()[:, 0]
    mask_NT = rollouts.mask_NT[present]
    logprob_NT, full_NTV = response_logprobs(model, rollouts, present, 1.0)
    width = logprob_NT.shape[1]
    with torch.no_grad():
        reference_NT = response_logprobs(base, rollouts, present, 1.0)[0]
    given = LossInputs(
        logprob_NT,
        rollouts.old_logprob_NT[present, :width],
        advantage_N[present],
        mask_NT[:, :width],
        reference_NT,
        -(full_NTV.exp() * full_NTV).sum(-1),
    )
    loss = algorithm.loss(given, algorithm.aggregation.denominator(mask_NT))
    gradients = torch.autograd.grad(loss.value, list(model.parameters()))
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    assert norm > 1e-3

    before = [parameter.detach().clone() for parameter in model.parameters()]
    monkeypatch.setattr(reference, "MICRO_BATCH_TOKENS", {"cpu": 100})
    assert len(list(reference.micro_batches(present, rollouts))) > 3
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    facts = reference.update(chosen, model, base if algorithm.kl.active else None, optimizer, rollouts, 1)
    assert facts["updates"] == 1 and facts["clip_fraction"] == 0
    assert facts["gradient_norm"] == pytest.approx(float(norm), rel=1e-3)
    for parameter, old, gradient in zip(model.parameters(), before, gradients, strict=True):
        torch.testing.assert_close((old - parameter.detach()) / chosen.training.lr, gradient, rtol=2e-2, atol=2e-4)


def test_the_first_of_several_updates_is_on_policy_and_later_ones_are_clipped(loaded: tuple[nn.Module, Any]) -> None:
    model, tokenizer = loaded
    chosen = job(updates_per_rollout=4, lr=1e-2, epochs=2)
    rollouts = roll_out(chosen, reference.decoder_of(model), tokenizer, (END,), 1)
    facts = reference.update(chosen, model, None, torch.optim.AdamW(model.parameters()), rollouts, 1)
    assert facts["updates"] == 8 and facts["clip_fraction"] > 0
    assert facts["positive_mass"] == pytest.approx(facts["negative_mass"], rel=1e-4)


def test_a_step_without_any_difference_in_reward_changes_nothing(loaded: tuple[nn.Module, Any]) -> None:
    model, tokenizer = loaded
    chosen = job()
    rollouts = roll_out(chosen, reference.decoder_of(model), tokenizer, (END,), 1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0.5)
    facts = reference.update(chosen, model, None, optimizer, replace(rollouts, reward_N=torch.ones(48)), 1)
    assert facts["updates"] == 0 and facts["live_groups"] == 0 and facts["gradient_norm"] == 0
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("signs", ["all", "negative", "positive"])
def test_an_update_raises_good_responses_and_lowers_bad_ones(signs: str, loaded: tuple[nn.Module, Any]) -> None:
    """Weighted by their advantages, the log-probabilities of the responses rise: the sign of the loss is right."""
    model, tokenizer = loaded
    chosen = job(grpo(signs=signs), updates_per_rollout=1, lr=1e-4)
    rollouts = roll_out(chosen, reference.decoder_of(model), tokenizer, (END,), 1)
    advantage_N = chosen.algorithm.advantages(rollouts.reward_N, 8)

    def logprob_of_responses() -> torch.Tensor:
        with torch.no_grad():
            found = response_logprobs(model, rollouts, torch.arange(48), 1.0)[0]
        return (found * rollouts.mask_NT).sum(1)

    before = logprob_of_responses()
    reference.update(chosen, model, None, torch.optim.AdamW(model.parameters()), rollouts, 1)
    assert (advantage_N * (logprob_of_responses() - before)).sum() > 0.1
