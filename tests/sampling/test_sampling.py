"""The torch engine: exact samples of the model's distribution, whatever is batched, shared, padded or moved."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from boundary_bench.core import randomness
from boundary_bench.sampling.drawing import distribution, draw
from boundary_bench.sampling.engine import Decoding, Responses
from boundary_bench.sampling.torch.decoder import Decoder, HubDecoder, LlamaDecoder
from boundary_bench.sampling.torch.engine import TorchEngine, load_engine, place, sample
from boundary_bench.training.rollouts import join

TEXTS = ["34=12:", "345=27:", "12345=100:", "9=9:", "3852=27:"]
END = 1
ENDS = (END, 6, 12)
PLAIN = Decoding(1.0, 1.0, 20, (END,))
LARGEST_UNIFORM = 1 - 2.0**-32


@pytest.fixture(scope="module", params=["llama", "qwen2", "gpt2"])
def engine(request: pytest.FixtureRequest, tiny_folder: Callable[[str], Path]) -> TorchEngine:
    return load_engine(tiny_folder(request.param), "cpu")


@pytest.fixture(scope="module")
def llama(tiny_model: Path) -> TorchEngine:
    return load_engine(tiny_model, "cpu")


@pytest.fixture(scope="module")
def model_of(tiny_folder: Callable[[str], Path]) -> Callable[[TorchEngine], Any]:
    """The Hugging Face model behind an engine, loaded anew."""
    from transformers import AutoModelForCausalLM

    def load(engine: TorchEngine) -> Any:
        biased = isinstance(engine.decoder, LlamaDecoder) and engine.decoder.layers[0].qkv_bias is not None
        name = "gpt2" if isinstance(engine.decoder, HubDecoder) else "qwen2" if biased else "llama"
        return AutoModelForCausalLM.from_pretrained(tiny_folder(name), dtype=torch.float32).eval()

    return load


def prompts_of(engine: TorchEngine, texts: Sequence[str] = TEXTS) -> list[list[int]]:
    return [engine.tokenizer.encode(text).ids for text in texts]


def seeds_of(prompts: Sequence[Sequence[int]], count: int) -> np.ndarray:
    return np.stack(
        [randomness.sample_seeds(randomness.key("test", str(prompt)), np.arange(count)) for prompt in prompts]
    )


def drawn(
    decoder: Decoder, prompts: list[list[int]], seed_PN: np.ndarray, decoding: Decoding = PLAIN, share: bool = True
) -> Responses:
    return join(list(sample(decoder, prompts, seed_PN, decoding, share)))


def forward(model: Any, prompt: Sequence[int], response: Sequence[int]) -> Tensor:
    """Logits (T, V) at the positions of the response, by the model's plain forward pass over one sequence."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0].float()
    return logits[len(prompt) - 1 : len(prompt) + len(response) - 1]


def test_the_models_are_what_they_are_meant_to_test(tiny_folder: Callable[[str], Path]) -> None:
    engines = {name: load_engine(tiny_folder(name), "cpu") for name in ("llama", "qwen2", "gpt2")}
    assert isinstance(engines["llama"].decoder, LlamaDecoder) and isinstance(engines["qwen2"].decoder, LlamaDecoder)
    assert isinstance(engines["gpt2"].decoder, HubDecoder)
    bias = engines["qwen2"].decoder.layers[0].qkv_bias
    assert bias is not None and (bias.abs() > 0.01).float().mean() > 0.8
    for engine in engines.values():
        entropy_R = distribution(engine.decoder.prefill(*one_row([5, 6, 7]), 1, 1)[1], PLAIN)[1]
        assert 0.05 < float(entropy_R) < 0.95 * math.log(32)


def one_row(prompt: list[int]) -> tuple[Tensor, Tensor]:
    return torch.tensor([prompt]), torch.ones(1, len(prompt), dtype=torch.bool)


def test_shared_prefixes_give_the_samples_of_the_plain_loop(engine: TorchEngine) -> None:
    prompts = prompts_of(engine)
    seed_PN = seeds_of(prompts, 100)
    shared, plain = (drawn(engine.decoder, prompts, seed_PN, share=share) for share in (True, False))
    assert (shared.token_ST == plain.token_ST).mean() >= 0.999
    same_S = (shared.token_ST == plain.token_ST).all(1)
    np.testing.assert_allclose(shared.logprob_ST[same_S], plain.logprob_ST[same_S], atol=1e-4)
    np.testing.assert_allclose(shared.entropy_ST[same_S], plain.entropy_ST[same_S], atol=1e-4)
    assert (shared.length_S[same_S] == plain.length_S[same_S]).all()
    assert (shared.finished_S[same_S] == plain.finished_S[same_S]).all()


def test_a_sample_drawn_alone_is_the_sample_drawn_among_others(engine: TorchEngine) -> None:
    prompts = prompts_of(engine)
    seed_PN = seeds_of(prompts, 12)
    together = drawn(engine.decoder, prompts, seed_PN)
    token_PNT, logprob_PNT = (x.reshape(5, 12, -1) for x in (together.token_ST, together.logprob_ST))
    equal = []
    for p in range(5):
        for i in (0, 5, 11):
            alone = drawn(engine.decoder, [prompts[p]], seed_PN[p : p + 1, i : i + 1])
            equal.append((alone.token_ST[0] == token_PNT[p, i]).all())
            if equal[-1]:
                np.testing.assert_allclose(alone.logprob_ST[0], logprob_PNT[p, i], atol=1e-4)
    assert np.mean(equal) >= 0.999


def test_order_grouping_and_number_of_samples_change_no_sample(engine: TorchEngine) -> None:
    prompts = prompts_of(engine)
    seed_PN = seeds_of(prompts, 60)
    token_PNT = drawn(engine.decoder, prompts, seed_PN).token_ST.reshape(5, 60, -1)
    order = [3, 0, 4, 2, 1]
    moved = drawn(engine.decoder, [prompts[p] for p in order], seed_PN[order][:, ::-1][:, 7:50])
    expected = token_PNT[order][:, ::-1][:, 7:50].reshape(5 * 43, -1)
    assert (moved.token_ST == expected).mean() >= 0.999
    assert moved.prompt_S.tolist() == [p for p in range(5) for _ in range(43)]


def test_groups_of_prompts_come_in_the_order_of_the_requests(llama: TorchEngine) -> None:
    prompts = prompts_of(llama)
    seed_PN = seeds_of(prompts, 511)
    parts = list(sample(llama.decoder, prompts, seed_PN, Decoding(1.0, 1.0, 3, (END,))))
    assert [len(part.prompt_S) // seed_PN.shape[1] for part in parts] == [2, 2, 1]
    assert join(parts).prompt_S.tolist() == np.repeat(np.arange(5), seed_PN.shape[1]).tolist()
    again = drawn(llama.decoder, prompts[4:], seed_PN[4:], Decoding(1.0, 1.0, 3, (END,)))
    assert np.array_equal(parts[2].token_ST, again.token_ST)


def test_samples_do_not_repeat_each_other_and_depend_on_their_seed(llama: TorchEngine) -> None:
    prompts = prompts_of(llama)[:1]
    first, second = (
        drawn(llama.decoder, prompts, randomness.sample_seeds(root, np.arange(64))[None]) for root in (1, 2)
    )
    assert len({row.tobytes() for row in first.token_ST}) > 20
    assert (first.token_ST != second.token_ST).any(1).mean() > 0.5


def goodness(count_V: np.ndarray, probability_V: np.ndarray) -> float:
    """The p-value of Pearson's test; tokens with an expectation below 5 are counted together."""
    expected_V = probability_V / probability_V.sum() * count_V.sum()
    common = expected_V >= 5
    observed, expected = ([*x[common], x[~common].sum()] for x in (count_V, expected_V))
    if expected[-1] < 1e-9:
        observed, expected = observed[:-1], expected[:-1]
    return float(chisquare(observed, expected).pvalue)


@pytest.mark.parametrize("decoding", [PLAIN, Decoding(0.6, 1.0, 2, (END,)), Decoding(1.5, 0.8, 2, (END,))])
def test_tokens_have_the_frequencies_of_the_models_probabilities(
    engine: TorchEngine, model_of: Callable[[TorchEngine], Any], decoding: Decoding
) -> None:
    """First and second token of 20,000 samples against softmax of the Hugging Face model; seeds are fixed."""
    model, prompts = model_of(engine), prompts_of(engine)[:2]
    decoding = Decoding(decoding.temperature, decoding.top_p, 2, (END,))
    found = drawn(engine.decoder, prompts, seeds_of(prompts, 20_000), decoding)
    token_ST = found.token_ST[found.prompt_S == 1]
    first_V = np.bincount(token_ST[:, 0], minlength=32)
    assert goodness(first_V, reference(forward(model, prompts[1], [0])[0], decoding)) > 1e-4
    common = int(np.delete(first_V, END).argmax())
    common += common >= END
    second_V = np.bincount(token_ST[token_ST[:, 0] == common, 1], minlength=32)
    assert second_V.sum() > 500
    assert goodness(second_V, reference(forward(model, prompts[1], [common, 0])[1], decoding)) > 1e-4


def test_the_goodness_test_sees_a_small_difference() -> None:
    probability_V = np.full(32, 1 / 32)
    count_V = np.random.default_rng(0).multinomial(20_000, probability_V)
    assert goodness(count_V, probability_V) > 1e-4
    shifted_V = probability_V.copy()
    shifted_V[:2] = 1.2 / 32, 0.8 / 32
    assert goodness(np.random.default_rng(0).multinomial(20_000, shifted_V), probability_V) < 1e-4


def reference(logit_V: Tensor, decoding: Decoding) -> np.ndarray:
    """Temperature and top-p by hand: tokens by probability until their mass reaches top_p."""
    scaled = [float(x) / decoding.temperature for x in logit_V.double()]
    largest = max(scaled)
    weight = [math.exp(x - largest) for x in scaled]
    probability = [w / sum(weight) for w in weight]
    kept, mass = [], 0.0
    for token in sorted(range(len(weight)), key=lambda v: (-probability[v], v)):
        kept.append(token)
        mass += probability[token]
        if mass >= decoding.top_p:
            break
    return np.array([probability[v] / mass if v in kept else 0.0 for v in range(len(weight))])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.7, 0.95, 1.0])
def test_temperature_and_top_p_equal_a_brute_force_reference(temperature: float, top_p: float) -> None:
    decoding = Decoding(temperature, top_p, 1, (END,))
    logits_RV = 3 * torch.randn(40, 17, generator=torch.Generator().manual_seed(7))
    logprob_RV, entropy_R = distribution(logits_RV, decoding)
    expected_RV = np.stack([reference(row, decoding) for row in logits_RV])
    np.testing.assert_allclose(logprob_RV.exp(), expected_RV, atol=1e-5)
    assert ((logprob_RV.exp() > 0).numpy() == (expected_RV > 0)).all()
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(expected_RV > 0, expected_RV * np.log(expected_RV), 0).sum(1)
    np.testing.assert_allclose(entropy_R, entropy, atol=1e-4)
    if top_p == 1e-6:
        assert (expected_RV.max(1) == 1).all(), "the most likely token is always kept"


def test_top_p_keeps_as_few_of_equally_likely_tokens_as_reach_the_mass() -> None:
    logprob_RV, entropy_R = distribution(torch.zeros(1, 8), Decoding(1.0, 0.5, 1, (END,)))
    assert logprob_RV.exp().tolist() == [[0.25] * 4 + [0.0] * 4]
    assert float(entropy_R) == pytest.approx(math.log(4))


def test_greedy_records_the_plain_distribution_of_the_policy() -> None:
    logits_RV = torch.tensor([[0.0, 1.0, 2.0]])
    for found, expected in zip(
        distribution(logits_RV, Decoding(0.0, 0.5, 1, (END,))), distribution(logits_RV, PLAIN), strict=True
    ):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("decoding", [PLAIN, Decoding(0.7, 0.9, 20, (END,))])
def test_log_probabilities_and_entropies_equal_the_models_forward_pass(
    engine: TorchEngine, model_of: Callable[[TorchEngine], Any], decoding: Decoding
) -> None:
    """Prompts of 4 to 10 tokens are padded to one length; every token of every response is compared."""
    model, prompts = model_of(engine), prompts_of(engine)
    assert len({len(prompt) for prompt in prompts}) >= 4
    found = drawn(engine.decoder, prompts, seeds_of(prompts, 12), decoding)
    for s, p in enumerate(found.prompt_S):
        length = found.length_S[s]
        token_T = torch.from_numpy(found.token_ST[s, :length]).long()
        logprob_TV, entropy_T = distribution(forward(model, prompts[p], token_T.tolist()), decoding)
        np.testing.assert_allclose(
            found.logprob_ST[s, :length], logprob_TV.gather(1, token_T[:, None])[:, 0], atol=1e-4
        )
        np.testing.assert_allclose(found.entropy_ST[s, :length], entropy_T, atol=1e-4)
        assert (found.logprob_ST[s, length:] == 0).all() and (found.entropy_ST[s, length:] == 0).all()


def test_both_decoders_draw_the_same_samples_from_one_model(
    tiny_folder: Callable[[str], Path], model_of: Callable[[TorchEngine], Any]
) -> None:
    for name in ("llama", "qwen2"):
        engine = load_engine(tiny_folder(name), "cpu")
        prompts = prompts_of(engine)
        ours, theirs = (
            drawn(decoder, prompts, seeds_of(prompts, 40)) for decoder in (engine.decoder, HubDecoder(model_of(engine)))
        )
        assert (ours.token_ST == theirs.token_ST).mean() >= 0.999


@pytest.mark.parametrize("ends", [(END,), ENDS], ids=["one end token", "several"])
def test_greedy_equals_generate_of_hugging_face(
    engine: TorchEngine, model_of: Callable[[TorchEngine], Any], ends: tuple[int, ...]
) -> None:
    model, prompts = model_of(engine), prompts_of(engine)
    found = drawn(engine.decoder, prompts, np.zeros((5, 1), np.uint64), Decoding(0.0, 1.0, 20, ends))
    assert len({row.tobytes() for row in found.token_ST}) > 1
    for s, prompt in enumerate(prompts):
        ids = torch.tensor([prompt])
        expected = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=20,
            eos_token_id=list(ends),
            pad_token_id=0,
        )[0, len(prompt) :]
        assert found.token_ST[s, : found.length_S[s]].tolist() == expected.tolist()


def test_a_response_ends_with_the_end_token_or_is_cut_off_at_the_limit(engine: TorchEngine) -> None:
    prompts = prompts_of(engine)
    limit = 7
    found = drawn(engine.decoder, prompts, seeds_of(prompts, 200), Decoding(1.0, 1.0, limit, (END,)))
    assert 0 < found.finished_S.mean() < 1, "both outcomes must occur"
    for token_T, length, finished in zip(found.token_ST, found.length_S, found.finished_S, strict=True):
        ends = np.flatnonzero(token_T == END)
        assert finished == (len(ends) > 0)
        assert length == (ends[0] + 1 if finished else limit)
        assert (token_T[length:] == 0).all()
    at_limit = found.finished_S & (found.length_S == limit)
    assert at_limit.any(), "an end token at the limit itself is no truncation"


def test_any_of_several_end_tokens_ends_a_response(engine: TorchEngine) -> None:
    """The samples are those of one end token as far as the first of the others, with what is known of their tokens."""
    prompts = prompts_of(engine)
    seed_PN = seeds_of(prompts, 200)
    one, several = (drawn(engine.decoder, prompts, seed_PN, Decoding(1.0, 1.0, 7, ends)) for ends in ((END,), ENDS))
    end_ST = np.isin(one.token_ST, ENDS) & (np.arange(7) < one.length_S[:, None])
    finished_S, length_S = end_ST.any(1), np.where(end_ST.any(1), end_ST.argmax(1) + 1, 7)
    assert set(one.token_ST[finished_S, length_S[finished_S] - 1]) == set(ENDS), "each of them must end one"
    assert (finished_S & (length_S == 7)).any() and not finished_S.all()
    kept_ST = np.arange(7) < length_S[:, None]
    same_S = (several.token_ST == np.where(kept_ST, one.token_ST, 0)).all(1)
    assert same_S.mean() >= 0.999
    assert (several.finished_S == finished_S)[same_S].all() and (several.length_S == length_S)[same_S].all()
    for name in ("logprob_ST", "entropy_ST"):
        expected_ST = np.where(kept_ST, getattr(one, name), 0)
        np.testing.assert_allclose(getattr(several, name)[same_S], expected_ST[same_S], atol=1e-4)


def test_one_token_is_either_the_end_or_truncated(engine: TorchEngine) -> None:
    prompts = prompts_of(engine)
    found = drawn(engine.decoder, prompts, seeds_of(prompts, 50), Decoding(1.0, 1.0, 1, (END,)))
    assert (found.length_S == 1).all() and found.token_ST.shape == (250, 1)
    assert (found.finished_S == (found.token_ST[:, 0] == END)).all()


def test_a_longer_limit_only_adds_tokens(llama: TorchEngine) -> None:
    prompts = prompts_of(llama)
    short, long = (
        drawn(llama.decoder, prompts, seeds_of(prompts, 100), Decoding(1.0, 1.0, n, (END,))) for n in (6, 12)
    )
    assert (short.token_ST == long.token_ST[:, :6]).mean() >= 0.999


@pytest.mark.parametrize("uniform", [0.0, 0.3, LARGEST_UNIFORM])
def test_tokens_with_probability_zero_are_never_drawn(uniform: float) -> None:
    """Zeros at the front, in the middle and at the end, in rows that lie far along the axis of the search."""
    rows = 2**20
    logprob_V = torch.tensor([0.0, 0.2, 0.0, 0.0, 0.7, 0.1, 0.0]).log()
    row_S = torch.tensor([0, 1, 12_345, rows - 2, rows - 1])
    found = draw(logprob_V.expand(rows, -1), row_S, np.full(len(row_S), uniform), PLAIN)
    expected = {0.0: 1, 0.3: 4, LARGEST_UNIFORM: 5}[uniform]
    assert found.tolist() == [expected] * len(row_S)


@pytest.mark.parametrize("row", [0, 2**20 - 1])
def test_uniform_numbers_near_a_boundary_fall_on_their_side_of_it(row: int) -> None:
    logprob_RV = torch.tensor([[0.3, 0.3, 0.4]]).log().expand(2**20, -1)
    uniform_S = np.array([0.0, 0.3 - 2.0**-20, 0.3 + 2.0**-20, 0.6 - 2.0**-20, 0.6 + 2.0**-20, LARGEST_UNIFORM])
    assert draw(logprob_RV, torch.full((6,), row), uniform_S, PLAIN).tolist() == [0, 0, 1, 1, 2, 2]


def test_a_certain_token_is_always_drawn_and_rows_do_not_mix() -> None:
    logprob_RV = torch.eye(5).log()
    row_S = torch.arange(5).repeat(3)
    for uniform in (0.0, 0.5, LARGEST_UNIFORM):
        assert draw(logprob_RV, row_S, np.full(15, uniform), PLAIN).equal(row_S)


def test_greedy_ignores_the_uniform_numbers() -> None:
    logprob_RV = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]]).log()
    row_S = torch.tensor([1, 0, 1])
    for uniform in (0.0, LARGEST_UNIFORM):
        assert draw(logprob_RV, row_S, np.full(3, uniform), Decoding(0.0, 1.0, 1, (END,))).tolist() == [0, 1, 0]


pairs = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), min_size=1, max_size=40)


@settings(max_examples=60)
@given(pairs)
def test_place_gives_every_branch_a_row_under_its_parent_and_moves_as_few_as_possible(
    pairs: list[tuple[int, int]],
) -> None:
    row_S, branch_S = (torch.tensor(column) for column in zip(*pairs, strict=True))
    parent_R, new_S = place(row_S, branch_S)
    rows = len(set(pairs))
    assert len(parent_R) == rows and sorted(set(new_S.tolist())) == list(range(rows))
    assert parent_R[new_S].equal(row_S), "a sample's new row continues its old one"
    row_of: dict[tuple[int, int], int] = {}
    for pair, row in zip(pairs, new_S.tolist(), strict=True):
        assert row_of.setdefault(pair, row) == row, "samples share a row where row and branch are the same"
    assert len(set(row_of.values())) == rows, "and only there"
    old = {row for row, _ in pairs}
    staying = {row for row in old if row < rows}
    assert all(parent_R[row] == row for row in staying), "a row that can stay does"
    moved = int((parent_R != torch.arange(rows)).sum())
    extra_branches, beyond = rows - len(old), len([row for row in old if row >= rows])
    assert moved == extra_branches + beyond
