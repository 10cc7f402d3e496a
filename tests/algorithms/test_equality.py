"""OpenRLHF and TRL train what our algorithms define: advantages, loss, gradients and clip fractions are the same.

The real OpenRLHF and TRL of the training environment: ``PYTHON_OF_THE_TRAINING_ENVIRONMENT -m pytest -m openrlhf``.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("openrlhf", reason="needs the training environment")
pytest.importorskip("trl", reason="needs the training environment")

from openrlhf_parser import SHIM, parse

if str(SHIM) not in sys.path:
    sys.path.append(str(SHIM))  # last: a real flash-attn comes first where there is one

import rival_losses as rivals
from rival_losses import Outcome, clip_fraction, draw, ours
from training import grpo, job, quiet
from trl import GRPOTrainer

from boundary_bench.algorithms import ALGORITHMS, resolve
from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.translate import refusal
from boundary_bench.models.folder import load_model
from boundary_bench.study.training import Training
from boundary_bench.training.openrlhf import command
from boundary_bench.training.rollouts import prompts_of_step
from boundary_bench.training.segment import Segment
from boundary_bench.training.trl import Trainer

pytestmark = pytest.mark.openrlhf

GROUP, LARGE, MICRO = 8, 128, 4
#: Everything is in float64, but OpenRLHF computes its KL term in float32 and TRL its means for the log.
CLOSE = {"rtol": 0.0, "atol": 1e-9}
FLOAT32 = {"rtol": 1e-6, "atol": 1e-6}


def named(backend: str) -> dict[str, dict[str, Any]]:
    """The algorithms of the table that a backend can express."""
    return {name: {"like": name} for name, algorithm in ALGORITHMS.items() if refusal(backend, algorithm) is None}


VARIATIONS: dict[str, dict[str, Any]] = {
    "centered": {"like": "grpo", "advantage": "centered"},
    "centered gspo-n": {"like": "gspo-n", "advantage": "centered"},
    "positive": {"like": "grpo", "signs": "positive"},
    "positive gspo": {"like": "gspo", "signs": "positive"},
    "dual clip": {"like": "grpo-n", "dual_clip": 1.5},
    "asymmetric clip": {"like": "grpo", "clip_low": 0.1, "clip_high": 0.28},
    "mean over sequences": {"like": "grpo", "aggregation": "sequence_mean"},
    "mean over sequences, negative": {"like": "grpo-n", "aggregation": "sequence_mean"},
    "population": {"like": "grpo", "std": "population", "epsilon": 0.0},
}
KL: dict[str, dict[str, Any]] = {kl: {"like": "grpo", "kl": kl, "kl_coefficient": 0.3} for kl in ("k1", "k2", "k3")}
BONUS = {"like": "grpo", "entropy_coefficient": 0.1}
OF_OPENRLHF = named("openrlhf") | VARIATIONS | KL
OF_OPENRLHF |= {"entropy bonus": BONUS, "entropy bonus, negative": {**BONUS, "signs": "negative"}}
OF_TRL = (
    named("trl")
    | VARIATIONS
    | {"k3": KL["k3"], "k3 gspo": {**KL["k3"], "like": "gspo"}}
    | {"constant length": {"like": "grpo", "aggregation": "constant_length", "constant_length": 20}}
    | {"mean over tokens, gspo": {"like": "gspo", "aggregation": "token_mean"}}
)


def line(algorithm: Algorithm, group: int = GROUP) -> list[str]:
    """The command line of a small study that trains with OpenRLHF."""
    settings = {"benchmark": "countdown", "segments": [2], "prompts": 8, "rollouts": group}
    own = {"gpus": 1, "micro_batch": MICRO}
    training = Training.model_validate({**settings, "backend": "openrlhf", "openrlhf": own})
    segment = command.Start(Path("/base"), Path("/store"), seed=0, longest=10, done=0, stop=2)
    return command.arguments(command.flags(training, algorithm, segment))


def all_of_openrlhf() -> list[Algorithm]:
    """Every combination of settings that is not refused."""
    choices: dict[str, list[Any]] = {
        "advantage": ["normalized", "centered"],
        "signs": ["all", "negative", "positive"],
        "others": ["mask", "drop"],
        "ratio": ["token", "sequence"],
        "clip_low": [0.05],
        "clip_high": [0.1],
        "dual_clip": [None, 1.2],
        "aggregation": ["token_mean", "sequence_mean"],
        "entropy_coefficient": [0.0, 0.2],
    }
    terms = [("none", 0.0), ("k1", 0.3), ("k2", 0.3), ("k3", 0.3)]
    products = [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
    found = [grpo(kl=kl, kl_coefficient=much, **settings) for settings in products for kl, much in terms]
    return [algorithm for algorithm in found if refusal("openrlhf", algorithm) is None]


def same(found: Outcome, expected: Outcome, tolerance: dict[str, float]) -> None:
    torch.testing.assert_close(found.advantage_N, expected.advantage_N, rtol=0.0, atol=1e-7)
    torch.testing.assert_close(found.gradient_NT, expected.gradient_NT, **tolerance)
    torch.testing.assert_close(found.entropy_gradient_NT, expected.entropy_gradient_NT, **tolerance)
    assert found.losses == pytest.approx(expected.losses, abs=1e-6)


@pytest.fixture(scope="module")
def parsed() -> dict[str, Any]:
    """What the real parser of OpenRLHF makes of every command line, all in one process."""
    lines = {name: line(resolve(name, overrides, "openrlhf")) for name, overrides in OF_OPENRLHF.items()}
    lines |= {f"combination {i}": line(algorithm) for i, algorithm in enumerate(all_of_openrlhf())}
    lines["large groups"] = line(resolve("grpo", {}, "openrlhf"), LARGE)
    return dict(zip(lines, parse(lines.values()), strict=True))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", OF_OPENRLHF)
def test_openrlhf_with_our_command_line_is_our_algorithm(name: str, seed: int, parsed: dict[str, Any]) -> None:
    algorithm = resolve(name, OF_OPENRLHF[name], "openrlhf")
    batch = draw(algorithm, seed, group=GROUP)
    tokens_of_update = batch.mask_NT.sum(1).view(-1, batch.update).sum(1)
    tokens_of_micro = batch.mask_NT.sum(1).view(-1, MICRO).sum(1)
    assert tokens_of_update.unique().numel() == 2 and tokens_of_micro.unique().numel() > 3, "uneven numbers of tokens"
    found, expected = rivals.openrlhf(parsed[name], algorithm, batch), ours(algorithm, batch)
    same(found, expected, FLOAT32 if algorithm.kl.active else CLOSE)
    assert found.clipped == pytest.approx(clip_fraction(algorithm, batch, by_length=True), abs=1e-6)
    assert 0.01 < found.clipped < 0.9, "the clip must be put to the test"


def test_whatever_is_not_refused_is_the_same_in_openrlhf(parsed: dict[str, Any]) -> None:
    algorithms = all_of_openrlhf()
    assert len(algorithms) > 100
    for i, algorithm in enumerate(algorithms):
        batch = draw(algorithm, i, group=GROUP)
        found, expected = rivals.openrlhf(parsed[f"combination {i}"], algorithm, batch), ours(algorithm, batch)
        same(found, expected, FLOAT32 if algorithm.kl.active else CLOSE)


def test_openrlhf_does_not_cut_the_advantages_of_large_groups(parsed: dict[str, Any]) -> None:
    """One right response of 128 has advantage 11.2; OpenRLHF's own range ends at 10."""
    algorithm = resolve("grpo", {}, "openrlhf")
    batch = draw(algorithm, 0, group=LARGE)
    expected = ours(algorithm, batch)
    assert expected.advantage_N.max() > 10
    same(rivals.openrlhf(parsed["large groups"], algorithm, batch), expected, CLOSE)


def test_openrlhf_leaves_a_batch_without_any_difference_of_rewards_alone(parsed: dict[str, Any]) -> None:
    algorithm = resolve("grpo", {}, "openrlhf")
    batch = draw(algorithm, 0, group=GROUP)
    for reward in (0.0, 1.0):
        equal = dataclasses.replace(batch, reward_N=torch.full_like(batch.reward_N, reward))
        found = rivals.openrlhf(parsed["grpo"], algorithm, equal)
        assert not found.advantage_N.any() and not found.gradient_NT.any()


ESTIMATORS = ("reinforce", "rloo", "reinforce_baseline", "group_norm", "dr_grpo", "flash_reinforce")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_no_estimator_of_openrlhf_takes_advantages_as_they_are(estimator: str, parsed: dict[str, Any]) -> None:
    """Each subtracts a mean, which negative ones alone have: hence our hook."""
    batch = draw(ALGORITHMS["grpo-n"], 0, group=GROUP)
    given_N = ALGORITHMS["grpo-n"].advantages(batch.reward_N, GROUP)
    args = copy.deepcopy(parsed["grpo-n"])
    args.algo.advantage.estimator, args.algo.advantage.no_std_norm = estimator, True
    both = (rivals.made(args, given_N, batch, own=own) for own in (True, False))
    own_N, ours_N = (torch.cat([each.advantages[:, 0] for each in found]) for found in both)
    assert torch.equal(ours_N, given_N) and (own_N - given_N).abs().max() > 0.1


@pytest.mark.parametrize(("advantage", "estimator"), [("normalized", "group_norm"), ("centered", "dr_grpo")])
def test_advantages_of_openrlhf_are_ours_with_its_epsilon(
    advantage: str, estimator: str, parsed: dict[str, Any]
) -> None:
    algorithm = grpo(advantage=advantage, **({"epsilon": 1e-9} if advantage == "normalized" else {}))
    batch = draw(algorithm, 0, group=GROUP)
    args = copy.deepcopy(parsed["grpo"])
    args.algo.advantage.estimator = estimator
    found_N = torch.cat([each.advantages[:, 0] for each in rivals.made(args, batch.reward_N, batch, own=True)])
    torch.testing.assert_close(found_N, algorithm.advantages(batch.reward_N, GROUP), rtol=0.0, atol=1e-7)


@pytest.fixture
def trainer(tiny_model: Path, tmp_path: Path) -> Callable[[Algorithm], Trainer]:
    """Real trainers of TRL over a tiny model, with rewards by a coin."""

    def make(algorithm: Algorithm) -> Trainer:
        changes = {"prompts": 8, "rollouts": GROUP, "epochs": 2, "reward": {"random": 0.5}}
        chosen = job(algorithm, backend="trl", trl={"micro_batch": MICRO}, **changes)
        model = load_model(tiny_model, "cpu")
        segment = Segment(chosen, tiny_model, tmp_path / "store", 1, quiet, lambda: False)
        return Trainer(segment, 0, model, torch.optim.AdamW(model.parameters()), str(tmp_path / "scratch"))

    return make


@pytest.mark.parametrize("name", OF_TRL)
def test_trl_with_our_settings_is_our_algorithm(name: str, trainer: Callable[[Algorithm], Trainer]) -> None:
    algorithm = resolve(name, OF_TRL[name], "trl")
    real = trainer(algorithm)
    for seed in range(3):
        batch = draw(algorithm, seed, group=GROUP)
        found = rivals.trl(real, batch)
        same(found, ours(algorithm, batch), CLOSE)
        active = not algorithm.kl.active
        assert found.clipped == pytest.approx(clip_fraction(algorithm, batch, active=active), abs=1e-6)
        assert 0.01 < found.clipped < 0.9, "the clip must be put to the test"


@pytest.mark.parametrize("advantage", ["normalized", "centered"])
def test_advantages_of_trl_are_ours_with_its_epsilon(advantage: str, trainer: Callable[[Algorithm], Trainer]) -> None:
    """We put ours in their place, so that a study may have any; with its epsilon they are the same."""
    epsilon = {"epsilon": 1e-4} if advantage == "normalized" else {}
    algorithm = resolve("grpo", {"advantage": advantage, **epsilon}, "trl")
    real = trainer(algorithm)
    real.scale_rewards = {"normalized": "group", "centered": "none"}[advantage]
    real.model.train()
    inputs = [{"prompt": problem.id} for problem in prompts_of_step(real.job, 1) for _ in range(GROUP)]
    found = GRPOTrainer._generate_and_score_completions(real, inputs)["advantages"]
    expected = algorithm.advantages(real.reward_N.double(), GROUP)
    assert expected.unique().numel() > 4
    torch.testing.assert_close(found.double(), expected, rtol=0.0, atol=1e-6)  # it computes in float32
    torch.testing.assert_close(real._generate_and_score_completions(inputs)["advantages"].double(), expected)
