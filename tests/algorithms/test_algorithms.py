"""Algorithms: hand-worked numbers for every setting, gradients against autograd, and the identities of theory."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from training import grpo

from boundary_bench.algorithms import ALGORITHMS
from boundary_bench.algorithms.algorithm import Algorithm, Loss, kinds
from boundary_bench.algorithms.part import LossInputs
from boundary_bench.algorithms.penalties import KL

#: Two groups of four. Means 0.25 and 4; squared deviations sum to 0.75 and 8.
REWARDS = [1.0, 0.0, 0.0, 0.0, 2.0, 4.0, 4.0, 6.0]
CENTERED = [0.75, -0.25, -0.25, -0.25, -2.0, 0.0, 0.0, 2.0]
UNBIASED = [1.5, -0.5, -0.5, -0.5, -1.224744871391589, 0.0, 0.0, 1.224744871391589]
POPULATION = [1.7320508075688772, -0.5773502691896258, -0.5773502691896258, -0.5773502691896258]
POPULATION += [-1.4142135623730951, 0.0, 0.0, 1.4142135623730951]

#: Two responses of three and two tokens, by their importance ratios, with advantages 1.5 and -0.5.
RATIO = [[1.0, 1.1, 1.5], [0.5, 1.3, 1.0]]
MASK = [[1, 1, 1], [1, 1, 0]]
ADVANTAGE = [1.5, -0.5]


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def loss_of(
    algorithm: Algorithm,
    ratio: object = RATIO,
    advantage: object = ADVANTAGE,
    mask: object = MASK,
    denominator: float | None = None,
    **others: Tensor,
) -> tuple[Loss, Tensor]:
    """The loss of responses given by their ratios, and its gradient with respect to the log-probabilities."""
    ratio_NT, mask_NT = double(ratio), torch.tensor(mask)
    old_NT = torch.full_like(ratio_NT, -2.0)
    logprob_NT = (old_NT + ratio_NT.log()).requires_grad_()
    denominator = algorithm.aggregation.denominator(mask_NT) if denominator is None else denominator
    loss = algorithm.loss(LossInputs(logprob_NT, old_NT, double(advantage), mask_NT, **others), denominator)
    loss.value.backward()
    assert logprob_NT.grad is not None
    return loss, logprob_NT.grad


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"epsilon": 0.0}, UNBIASED),
        ({"epsilon": 0.0, "std": "population"}, POPULATION),
        ({"advantage": "centered"}, CENTERED),
        ({"epsilon": 0.5}, [0.75, -0.25, -0.25, -0.25, -0.9376495, 0.0, 0.0, 0.9376495]),
        ({"epsilon": 0.0, "signs": "negative"}, [min(a, 0.0) for a in UNBIASED]),
        ({"epsilon": 0.0, "signs": "positive"}, [max(a, 0.0) for a in UNBIASED]),
    ],
)
def test_advantages_equal_the_hand_worked_table(settings: dict[str, object], expected: list[float]) -> None:
    found = grpo(**settings).advantages(double(REWARDS), 4)
    torch.testing.assert_close(found, double(expected), rtol=0, atol=1e-7)


@pytest.mark.parametrize("equal", [0.0, 1.0, 0.1, 1 / 3, 1e30])
@pytest.mark.parametrize(
    "settings", [{}, {"epsilon": 0.0}, {"advantage": "centered"}, {"std": "population", "epsilon": 0.0}]
)
def test_a_group_with_equal_rewards_gets_exactly_zero(settings: dict[str, object], equal: float) -> None:
    """Also where their mean is rounded, as that of six tenths is."""
    found = grpo(**settings).advantages(double([equal] * 6 + [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]), 6)
    assert (found[:6] == 0).all()
    assert torch.isfinite(found).all() and (found[6:] != 0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_rewards_that_are_not_finite_raise(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        grpo().advantages(torch.tensor([1.0, 0.0, bad, 0.0]), 2)


@pytest.mark.parametrize(("count", "group"), [(4, 1), (4, 0), (5, 2), (3, 4)])
def test_groups_that_are_no_groups_raise(count: int, group: int) -> None:
    with pytest.raises(ValueError, match=f"{count} rewards"):
        grpo().advantages(torch.zeros(count), group)


@pytest.mark.parametrize(
    ("settings", "value", "gradient", "clipped", "counted"),
    [
        # terms 1.5, 1.65, clip 1.2*1.5=1.8; clip 0.8*-0.5=-0.4, -0.65: their sum is 3.9
        ({}, -3.9 / 5, [[-0.3, -0.33, 0.0], [0.0, 0.13, 0.0]], 2, 5),
        (
            {"aggregation": "sequence_mean"},
            -(4.95 / 3 - 1.05 / 2) / 2,
            [[-0.25, -0.275, 0.0], [0.0, 0.1625, 0.0]],
            2,
            5,
        ),
        (
            {"aggregation": "constant_length", "constant_length": 4},
            -3.9 / 8,
            [[-1.5 / 8, -1.65 / 8, 0.0], [0.0, 0.65 / 8, 0.0]],
            2,
            5,
        ),
        # sequence ratios 1.65^(1/3) = 1.18167 and 0.65^(1/2) = 0.80623, neither outside 0.8..1.2
        (
            {"ratio": "sequence", "aggregation": "sequence_mean"},
            -(1.5 * 1.65 ** (1 / 3) - 0.5 * math.sqrt(0.65)) / 2,
            [[-1.5 * 1.65 ** (1 / 3) / 6] * 3, [0.5 * math.sqrt(0.65) / 4] * 2 + [0.0]],
            0,
            2,
        ),
        (
            {"ratio": "sequence", "aggregation": "sequence_mean", "clip_high": 0.1},
            -(1.5 * 1.1 - 0.5 * math.sqrt(0.65)) / 2,
            [[0.0] * 3, [0.5 * math.sqrt(0.65) / 4] * 2 + [0.0]],
            1,
            2,
        ),
        (
            {"ratio": "sequence"},
            -(3 * 1.5 * 1.65 ** (1 / 3) - 2 * 0.5 * math.sqrt(0.65)) / 5,
            [[-1.5 * 1.65 ** (1 / 3) / 5] * 3, [0.5 * math.sqrt(0.65) / 5] * 2 + [0.0]],
            0,
            2,
        ),
    ],
)
def test_loss_gradient_and_clip_count_equal_the_hand_worked_numbers(
    settings: dict[str, object], value: float, gradient: list[list[float]], clipped: int, counted: int
) -> None:
    loss, found = loss_of(grpo(**settings))
    assert float(loss.value.detach()) == pytest.approx(value, abs=1e-12)
    torch.testing.assert_close(found, double(gradient), rtol=0, atol=1e-12)
    assert (int(loss.clipped), int(loss.counted)) == (clipped, counted)


@pytest.mark.parametrize("part", ["advantage", "signs", "surrogate", "aggregation"])
def test_every_kind_of_a_part_is_worked_by_hand(part: str) -> None:
    tables: tuple[Any, ...] = (
        test_advantages_equal_the_hand_worked_table,
        test_loss_gradient_and_clip_count_equal_the_hand_worked_numbers,
    )
    worked = [grpo(**settings) for table in tables for settings, *_ in table.pytestmark[0].args[1]]
    assert {algorithm.parts[part].kind for algorithm in worked} == set(kinds(part))


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean", "constant_length"])
@pytest.mark.parametrize("ratio", ["token", "sequence"])
@pytest.mark.parametrize("extra", [{}, {"kl": "k3", "kl_coefficient": 0.1}, {"dual_clip": 2.0}])
def test_gradient_equals_finite_differences(aggregation: str, ratio: str, extra: dict[str, object]) -> None:
    constant = {"constant_length": 7} if aggregation == "constant_length" else {}
    algorithm = grpo(aggregation=aggregation, ratio=ratio, **constant, **extra)
    generator = torch.Generator().manual_seed(3)
    old_NT = -torch.rand(6, 5, generator=generator, dtype=torch.float64)
    reference_NT = old_NT - 0.3 * torch.rand(6, 5, generator=generator, dtype=torch.float64)
    logprob_NT = old_NT + 0.8 * torch.randn(6, 5, generator=generator, dtype=torch.float64)
    mask_NT = torch.arange(5)[None] < torch.tensor([5, 1, 3, 4, 2, 5])[:, None]
    advantage_N = double([1.0, -2.0, 0.5, -0.5, 0.0, -1.0])

    def value(logprob_NT: Tensor) -> Tensor:
        return algorithm.loss(LossInputs(logprob_NT, old_NT, advantage_N, mask_NT, reference_NT), 3.0).value

    assert torch.autograd.gradcheck(value, (logprob_NT.requires_grad_(),), eps=1e-6, atol=1e-7)
    gradient = torch.autograd.grad(value(logprob_NT), logprob_NT)[0]
    assert (gradient[~mask_NT] == 0).all(), "padding must not move anything"
    assert (gradient != 0).any()


@pytest.mark.parametrize(
    ("advantage", "ratio", "term", "active"),
    [
        (1.0, 1.3, 1.2, True),
        (1.0, 1.19, 1.19, False),
        (1.0, 0.5, 0.5, False),
        (-1.0, 0.5, -0.8, True),
        (-1.0, 0.81, -0.81, False),
        (-1.0, 1.5, -1.5, False),
        (-1.0, 5.0, -5.0, False),
        (0.0, 5.0, 0.0, False),
    ],
)
@pytest.mark.parametrize("kind", ["token", "sequence"])
def test_the_clip_is_active_only_where_it_lowers_the_surrogate(
    kind: str, advantage: float, ratio: float, term: float, active: bool
) -> None:
    loss, gradient = loss_of(grpo(ratio=kind), [[ratio]], [advantage], [[1]])
    assert float(loss.value.detach()) == pytest.approx(-term)
    assert (int(loss.clipped), int(loss.counted)) == (int(active), 1)
    assert float(gradient) == pytest.approx(0.0 if active else -term)


@pytest.mark.parametrize(
    ("advantage", "ratio", "term", "slope"),
    [
        (-1.0, 5.0, -3.0, 0.0),
        (-2.0, 3.1, -6.0, 0.0),
        (-1.0, 2.9, -2.9, -2.9),
        (-1.0, 0.5, -0.8, 0.0),
        (1.0, 5.0, 1.2, 0.0),
    ],
)
def test_dual_clip_bounds_negative_terms_only(advantage: float, ratio: float, term: float, slope: float) -> None:
    loss, gradient = loss_of(grpo(dual_clip=3.0), [[ratio]], [advantage], [[1]])
    assert float(loss.value.detach()) == pytest.approx(-term)
    assert float(gradient) == pytest.approx(-slope)


def test_clip_bounds_are_those_of_the_algorithm_on_either_side() -> None:
    chosen = grpo(clip_low=0.1, clip_high=0.4)
    assert float(loss_of(chosen, [[2.0]], [1.0], [[1]])[0].value.detach()) == pytest.approx(-1.4)
    assert float(loss_of(chosen, [[0.2]], [-1.0], [[1]])[0].value.detach()) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("kind", "value"), [("k1", 0.6931471805599453), ("k2", 0.2402265069591007), ("k3", 0.1931471805599453)]
)
def test_kl_estimates_equal_the_hand_worked_numbers(kind: str, value: float) -> None:
    twice, same = double([[-1.0 + math.log(2), -1.0]]), double([[-1.0, -1.0]])
    torch.testing.assert_close(KL(kind=kind, kl_coefficient=1).estimate(twice, same), double([[value, 0.0]]))


@pytest.mark.parametrize("kind", ["k1", "k3"])
def test_kl_estimates_average_to_the_exact_divergence(kind: str) -> None:
    policy, reference = double([0.5, 0.3, 0.2]), double([0.2, 0.2, 0.6])
    exact = (policy * (policy / reference).log()).sum()
    found = KL(kind=kind, kl_coefficient=1).estimate(policy.log(), reference.log())
    torch.testing.assert_close((policy * found).sum(), exact)


@pytest.mark.parametrize(("aggregation", "share"), [("token_mean", [0.2, 0.2]), ("sequence_mean", [1 / 6, 1 / 4])])
def test_kl_and_entropy_terms_are_aggregated_like_the_surrogate(aggregation: str, share: list[float]) -> None:
    """Of the sequence means, a token of the first response weighs 1/3 of 1/2, one of the second 1/2 of 1/2."""
    plain = {"aggregation": aggregation}
    old_NT = torch.full((2, 3), -2.0, dtype=torch.float64)
    reference_NT = old_NT + double(RATIO).log() - double([[0.1, 0.2, 0.3], [0.4, 0.5, 99.0]])
    entropy_NT = double([[1.0, 2.0, 3.0], [4.0, 5.0, 99.0]])
    without = float(loss_of(grpo(**plain))[0].value.detach())
    kl = grpo(**plain, kl="k1", kl_coefficient=0.5)
    found = float(loss_of(kl, reference_NT=reference_NT)[0].value.detach())
    assert found - without == pytest.approx(0.5 * (0.6 * share[0] + 0.9 * share[1]))
    bonus = grpo(**plain, entropy_coefficient=0.5)
    found = float(loss_of(bonus, entropy_NT=entropy_NT)[0].value.detach())
    assert found - without == pytest.approx(-0.5 * (6.0 * share[0] + 9.0 * share[1]))


def test_entropy_bonus_has_the_gradient_of_the_entropy() -> None:
    logit_V = double([[[0.3, -1.0, 0.7]]]).requires_grad_()
    full = torch.log_softmax(logit_V, -1)
    entropy_NT = -(full.exp() * full).sum(-1)
    logprob_NT = full[..., 0]
    given = LossInputs(logprob_NT, logprob_NT.detach(), double([0.0]), torch.ones(1, 1), entropy_NT=entropy_NT)
    loss = grpo(entropy_coefficient=0.1).loss(given, 1.0)
    found = torch.autograd.grad(loss.value, logit_V, retain_graph=True)[0]
    torch.testing.assert_close(found, -0.1 * torch.autograd.grad(entropy_NT.sum(), logit_V)[0])


@pytest.mark.parametrize(
    ("settings", "denominator"),
    [
        ({"others": "mask"}, 8.0),
        ({"others": "drop"}, 5.0),
        ({"others": "mask", "aggregation": "sequence_mean"}, 4.0),
        ({"others": "drop", "aggregation": "sequence_mean"}, 3.0),
        ({"others": "drop", "aggregation": "constant_length", "constant_length": 10}, 30.0),
    ],
)
def test_mask_keeps_the_other_samples_in_the_denominator_and_drop_removes_them(
    settings: dict[str, object], denominator: float
) -> None:
    """One right answer of three tokens, three wrong ones of 1 + 2 + 2."""
    algorithm = grpo(signs="negative", epsilon=0.0, **settings)
    mask_NT = torch.arange(3)[None] < torch.tensor([3, 1, 2, 2])[:, None]
    advantage_N = algorithm.advantages(double([1.0, 0.0, 0.0, 0.0]), 4)
    present_N = algorithm.signs.present(advantage_N)
    assert algorithm.aggregation.denominator(mask_NT[present_N]) == denominator


def test_drop_also_removes_groups_without_a_difference_and_all_signs_keeps_them() -> None:
    reward_N = double([0.0, 0.0, 1.0, 0.0])
    drop = grpo(signs="negative", others="drop")
    assert drop.signs.present(drop.advantages(reward_N, 2)).tolist() == [False, False, False, True]
    everything = grpo(signs="all", others="drop")
    assert everything.signs.present(everything.advantages(reward_N, 2)).all()


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_micro_batches_add_up_to_the_whole_minibatch(name: str) -> None:
    algorithm = ALGORITHMS[name]
    generator = torch.Generator().manual_seed(5)
    old_NT = -torch.rand(8, 6, generator=generator, dtype=torch.float64)
    logprob_NT = (old_NT + 0.3 * torch.randn(8, 6, generator=generator, dtype=torch.float64)).requires_grad_()
    mask_NT = torch.arange(6)[None] < torch.tensor([6, 1, 3, 2, 5, 4, 6, 2])[:, None]
    advantage_N = algorithm.advantages(double([1, 0, 0, 0, 1, 1, 0, 1]), 4)
    denominator = algorithm.aggregation.denominator(mask_NT)

    def part(chosen: list[int]) -> Loss:
        given = LossInputs(logprob_NT[chosen], old_NT[chosen], advantage_N[chosen], mask_NT[chosen])
        return algorithm.loss(given, denominator)

    whole = part(list(range(8)))
    pieces = [part(chosen) for chosen in ([3, 1], [0, 7, 2], [4], [6, 5])]
    live = part(advantage_N.nonzero()[:, 0].tolist())
    torch.testing.assert_close(sum(piece.value for piece in pieces), whole.value)
    assert sum(int(piece.clipped) for piece in pieces) == int(whole.clipped) == int(live.clipped) > 0
    assert sum(int(piece.counted) for piece in pieces) == int(whole.counted)
    gradient = torch.autograd.grad(whole.value, logprob_NT, retain_graph=True)[0]
    skipped = torch.autograd.grad(live.value, logprob_NT)[0]
    assert torch.equal(gradient, skipped), "samples with advantage 0 must not matter for the gradient"


def test_the_sequence_ratio_is_the_geometric_mean_at_every_token_of_the_response() -> None:
    given = LossInputs(double(RATIO).log(), torch.zeros(2, 3, dtype=torch.float64), double(ADVANTAGE), double(MASK))
    found = grpo(ratio="sequence").surrogate.log_ratio(given).exp()
    torch.testing.assert_close(found, double([[1.65 ** (1 / 3)] * 3, [math.sqrt(0.65)] * 2 + [1.0]]))


def expected_gradient(algorithm: Algorithm, logit_V: Tensor, reward_V: Tensor, group: int) -> Tensor:
    """Exact expected gradient of one on-policy update of a softmax bandit, over all groups of samples."""
    total = torch.zeros_like(logit_V)
    for arms in itertools.combinations_with_replacement(range(len(logit_V)), group):
        counts = [arms.count(arm) for arm in set(arms)]
        ways = math.factorial(group) / math.prod(math.factorial(count) for count in counts)
        logprob_V = torch.log_softmax(logit_V, -1)
        chosen = torch.tensor(arms)
        probability = ways * float(logprob_V.detach()[chosen].sum().exp())
        logprob_NT = logprob_V[chosen][:, None]
        advantage_N = algorithm.advantages(reward_V[chosen], group)
        loss = algorithm.loss(LossInputs(logprob_NT, logprob_NT.detach(), advantage_N, torch.ones(group, 1)), 1.0)
        total += probability * torch.autograd.grad(loss.value, logit_V)[0]
    return total


@pytest.mark.parametrize("group", [2, 4])
@pytest.mark.parametrize(
    "settings", [{"epsilon": 0.0}, {"epsilon": 0.0, "std": "population"}, {"advantage": "centered"}]
)
def test_on_policy_negative_only_is_p_times_full_and_positive_only_the_rest(
    settings: dict[str, object], group: int
) -> None:
    """Binary rewards, one prompt, no length averaging: the three choices of signs have one expected direction."""
    logit_V, reward_V = double([0.5, -0.7, 0.1, -1.2]).requires_grad_(), double([1.0, 0.0, 0.0, 1.0])
    p = float(torch.softmax(logit_V.detach(), -1) @ reward_V)
    full, negative, positive = (
        expected_gradient(grpo(signs=signs, **settings), logit_V, reward_V, group)
        for signs in ("all", "negative", "positive")
    )
    assert full.abs().max() > 1e-2
    torch.testing.assert_close(negative, p * full, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(positive, (1 - p) * full, rtol=1e-9, atol=1e-12)


def test_graded_rewards_break_the_identity() -> None:
    """The identity above is no artefact of the code: with rewards .8/1/0 the directions differ."""
    logit_V, reward_V = double([0.45, 0.01, 0.54]).log().requires_grad_(), double([0.8, 1.0, 0.0])
    full = expected_gradient(grpo(), logit_V, reward_V, 4)
    negative = expected_gradient(grpo(signs="negative"), logit_V, reward_V, 4)
    assert (negative / full).max() - (negative / full).min() > 0.1


def test_algorithms_do_not_write_to_their_inputs() -> None:
    tensors = [double(REWARDS), double(RATIO).log(), double(ADVANTAGE), torch.tensor(MASK)]
    before = [tensor.clone() for tensor in tensors]
    grpo(signs="negative").advantages(tensors[0], 4)
    grpo(dual_clip=2.0).loss(LossInputs(tensors[1], torch.zeros(2, 3), tensors[2], tensors[3]), 1.0)
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
