"""The vLLM engine against the torch engine, on tiny models: the real vLLM, in the sampling environment.

``PYTHON_OF_THE_SAMPLING_ENVIRONMENT -m pytest -m vllm``. The last test runs in the core environment, with the variable
``BOUNDARY_BENCH_VLLM_PYTHON`` at that Python.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tiny_vllm import END, GREEDY, PLAIN, SETTINGS, TEXTS, drawn, make_model, needs_vllm, same_share, tokens_of, work_of
from torch import Tensor

from boundary_bench.core.errors import EngineError, ModelError
from boundary_bench.core.parquet import read_table
from boundary_bench.samples.store import SampleStore
from boundary_bench.sampling.drawing import distribution
from boundary_bench.sampling.engine import Decoding, Work
from boundary_bench.sampling.torch import engine as torch_engine
from boundary_bench.sampling.vllm import engine as vllm_engine
from boundary_bench.sampling.vllm.engine import VllmEngine
from boundary_bench.study.sampling import Sampling

PYTHON = os.environ.get("BOUNDARY_BENCH_VLLM_PYTHON")
pytestmark = pytest.mark.vllm


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("vllm-models")
    return {name: make_model(name, root / name) for name in ("qwen2", "llama")}


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def engine(request: pytest.FixtureRequest, folders: dict[str, Path]) -> VllmEngine:
    found = vllm_engine.load_engine(folders[request.param], SETTINGS)
    found.start()
    return found


@cache
def plain_model(folder: Path) -> Any:
    """The model of a folder in transformers."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def forward(folder: Path, prompt: Sequence[int], response: Sequence[int]) -> Tensor:
    """Logits (T, V) at the positions of the response, by the plain forward pass of transformers."""
    with torch.no_grad():
        logits = plain_model(folder)(input_ids=torch.tensor([[*prompt, *response]])).logits[0].float()
    return logits[len(prompt) - 1 : len(prompt) + len(response) - 1]


@needs_vllm
def test_greedy_responses_are_those_of_the_torch_engine(engine: VllmEngine) -> None:
    work = work_of(engine, 1, GREEDY, [f"{i}{i + 1}{i + 2}={7 * i}:" for i in range(1, 8)])
    ours, theirs = drawn(engine, work), drawn(torch_engine.load_engine(engine.folder, "cpu"), work)
    found, expected = tokens_of(ours), tokens_of(theirs)
    assert found == expected and len({tuple(row) for row in found}) > 3
    assert same_share(ours, theirs) == 1


DECODINGS = [PLAIN, Decoding(0.6, 1.0, 20, (END,)), Decoding(1.4, 0.8, 20, (END,))]


@needs_vllm
@pytest.mark.parametrize("decoding", DECODINGS, ids=["plain", "temperature", "top_p"])
def test_log_probabilities_and_entropies_are_of_the_distribution_that_is_sampled_from(
    engine: VllmEngine, decoding: Decoding
) -> None:
    work = work_of(engine, 4, decoding)
    for prompt, part in zip(work.prompts, drawn(engine, work), strict=True):
        rows = zip(part.token_ST, part.logprob_ST, part.entropy_ST, part.length_S, strict=True)
        for row, logprob_T, entropy_T, length in rows:
            logprob_TV, expected_T = distribution(forward(engine.folder, prompt, row[:length].tolist()), decoding)
            np.testing.assert_allclose(entropy_T[:length], expected_T, atol=1e-3)
            expected_T = logprob_TV[torch.arange(length), torch.from_numpy(row[:length]).long()]
            np.testing.assert_allclose(logprob_T[:length], expected_T, atol=1e-3)
            assert (logprob_T[length:] == 0).all() and (entropy_T[length:] == 0).all()


def goodness(count_V: np.ndarray, probability_V: np.ndarray) -> float:
    """The p-value of Pearson's test; tokens with an expectation below 5 are counted together."""
    expected_V = probability_V / probability_V.sum() * count_V.sum()
    common = expected_V >= 5
    observed, expected = ([*x[common], x[~common].sum()] for x in (count_V, expected_V))
    if expected[-1] < 1e-9:
        assert observed[-1] == 0
        observed, expected = observed[:-1], expected[:-1]
    return float(chisquare(observed, expected).pvalue)


@needs_vllm
@pytest.mark.parametrize("decoding", DECODINGS, ids=["plain", "temperature", "top_p"])
def test_tokens_have_the_frequencies_of_the_models_probabilities(engine: VllmEngine, decoding: Decoding) -> None:
    """First and second token of 8,000 samples against the torch engine's distribution; seeds are fixed."""
    decoding = Decoding(decoding.temperature, decoding.top_p, 2, (END,))
    work = work_of(engine, 8000, decoding, TEXTS[1:2])
    (part,) = drawn(engine, work)
    first_V = np.bincount(part.token_ST[:, 0], minlength=32)
    prompt = work.prompts[0]
    assert goodness(first_V, probability(forward(engine.folder, prompt, [0])[0], decoding)) > 1e-4
    common = int(np.where(np.arange(32) == END, -1, first_V).argmax())
    second_V = np.bincount(part.token_ST[part.token_ST[:, 0] == common, 1], minlength=32)
    assert second_V.sum() > 500
    assert goodness(second_V, probability(forward(engine.folder, prompt, [common, 0])[1], decoding)) > 1e-4


def probability(logit_V: Tensor, decoding: Decoding) -> np.ndarray:
    return distribution(logit_V[None], decoding)[0][0].exp().double().numpy()


@needs_vllm
def test_a_seed_gives_its_sample_again_and_another_seed_another(engine: VllmEngine) -> None:
    work = work_of(engine, 30)
    once, again = (tokens_of(drawn(engine, work)) for _ in range(2))
    assert once == again
    assert len({tuple(row) for row in once}) > 100, "30 samples of 5 prompts, few of them alike"
    moved = Work(work.prompts, work.seed_GB + np.uint64(1), PLAIN)
    assert np.mean([a != b for a, b in zip(once, tokens_of(drawn(engine, moved)), strict=True)]) > 0.8


@needs_vllm
def test_a_sample_depends_on_its_companions_by_rounding_alone(engine: VllmEngine) -> None:
    """Alone, in another order, and beside others: a draw differs where rounding moves it across a boundary."""
    work = work_of(engine, 30)
    rows = tokens_of(drawn(engine, work))
    sample = {(g, b): rows[30 * g + b] for g in range(5) for b in range(30)}
    alone = []
    for g in range(5):
        for b in (0, 11, 29):
            single = Work(work.prompts[g : g + 1], work.seed_GB[g : g + 1, b : b + 1], PLAIN)
            alone.append(tokens_of(drawn(engine, single)) == [sample[g, b]])
    order, indices = [3, 0, 4, 2, 1], list(range(29, 9, -1))
    among = Work([work.prompts[g] for g in order], work.seed_GB[order][:, indices], PLAIN)
    keys = [(g, b) for g in order for b in indices]
    moved = [row == sample[key] for key, row in zip(keys, tokens_of(drawn(engine, among)), strict=True)]
    assert np.mean(alone) >= 0.9 and np.mean(moved) >= 0.98


@needs_vllm
def test_a_response_ends_with_the_end_token_or_is_cut_off_at_the_limit(engine: VllmEngine) -> None:
    limit, ends_at_limit = 7, False
    found = drawn(engine, work_of(engine, 150, Decoding(1.0, 1.0, limit, (END,))))
    finished = np.concatenate([part.finished_S for part in found])
    assert 0 < finished.mean() < 1, "both outcomes must occur"
    for part in found:
        for token_T, length, ended in zip(part.token_ST, part.length_S, part.finished_S, strict=True):
            ends = np.flatnonzero(token_T == END)
            assert ended == (len(ends) > 0) and length == (ends[0] + 1 if ended else limit)
            assert (token_T[length:] == 0).all()
            ends_at_limit |= bool(ended and length == limit)
    assert ends_at_limit, "an end token at the limit itself is no truncation"


@needs_vllm
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_any_of_several_end_tokens_ends_a_response_as_in_the_torch_engine(
    engine: VllmEngine, tmp_path: Path, temperature: float
) -> None:
    folder = shutil.copytree(engine.folder, tmp_path / "several")
    (folder / "generation_config.json").write_text('{"eos_token_id": [12, 1, 6]}')
    ends = vllm_engine.load_engine(folder, SETTINGS).ends
    peer = torch_engine.load_engine(folder, "cpu")
    assert ends == peer.ends == (END, 6, 12)
    work = work_of(engine, 50, Decoding(temperature, 1.0, 7, ends))
    ours, theirs = drawn(engine, work), drawn(peer, work)
    assert same_share(ours, theirs) >= 0.99
    ended = np.concatenate([part.finished_S for part in ours])
    last = [row[-1] for row in tokens_of(ours)]
    assert ended.tolist() == [token in ends for token in last] and not any(
        set(row[:-1]) & set(ends) for row in tokens_of(ours)
    )
    if temperature:
        assert set(last) > set(ends), "each of them must end one, and the limit others"


@needs_vllm
def test_a_stream_that_is_closed_leaves_nothing_behind(engine: VllmEngine) -> None:
    stream = engine.stream(iter([work_of(engine, 100)]))
    next(stream)
    stream.close()
    assert not engine.llm.has_unfinished_requests()
    assert len(drawn(engine, work_of(engine, 2))) == 5


# the campaign through the store

CAMPAIGN = """
import sys
from dataclasses import replace
from pathlib import Path

from boundary_bench.benchmarks.base import Options, Problem
from boundary_bench.benchmarks.countdown import COUNTDOWN
from boundary_bench.grading import Grader, Ruling, Verdict
from boundary_bench.sampling.vllm import engine as vllm_engine
from boundary_bench.sampling.campaign import Campaign, Tell, run
from boundary_bench.statistics.design import Design
from boundary_bench.samples.store import SampleStore
from boundary_bench.study.sampling import Sampling

folder, store, settings = sys.argv[1:]
# whether a problem is solved depends on the problem alone: which samples there must be is known beforehand
problems = [Problem(f"{i}{i + 1}={3 * i}:", str(i % 2), "") for i in range(1, 9)]
judge = lambda reference, answer: Ruling(Verdict.CORRECT if reference == "1" else Verdict.WRONG, "by the problem")
kind = replace(COUNTDOWN, options=Options(), grader=Grader("reference", 1, str, judge))
campaign = Campaign(kind, problems, Sampling.model_validate_json(settings), Design((32, 128), 4), ("p", "b"))
say = lambda line: print(line, flush=True)
run(campaign, vllm_engine.load_engine(Path(folder), campaign.sampling, say), SampleStore(Path(store)), {}, Tell(say))
"""


def campaign_process(folder: Path, store: Path) -> subprocess.Popen[str]:
    chosen = SETTINGS.model_copy(update={"max_tokens": 20})
    command = [sys.executable, "-c", CAMPAIGN, str(folder), str(store), chosen.model_dump_json()]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def samples_of(store: Path) -> set[tuple[str, int]]:
    """The (problem, index) of every sample; none may be there twice."""
    rows = [row for file in SampleStore(store).blocks() for row in read_table(file)[0].to_pylist()]
    keys = [(row["problem_id"], row["sample"]) for row in rows]
    assert len(set(keys)) == len(keys)
    return set(keys)


@needs_vllm
def test_a_campaign_that_is_killed_and_resumed_has_the_samples_of_its_design(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    process = campaign_process(folders["qwen2"], store)
    assert process.stdout is not None
    written = 0
    for line in process.stdout:
        written += re.match(r"block-\S+: \d+/8 problems", line) is not None
        if written == 4:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    kept = {file.name: file.read_bytes() for file in SampleStore(store).blocks()}
    assert len(kept) >= 3 and len(samples_of(store)) < 4 * 32 + 4 * 128
    text = campaign_process(folders["qwen2"], store).communicate()[0]
    assert "Traceback" not in text and " WARNING " not in text, text
    assert all((store / name).read_bytes() == content for name, content in kept.items()), "what was drawn is kept"
    by_problem: dict[str, list[int]] = {}
    for problem, index in samples_of(store):
        by_problem.setdefault(problem, []).append(index)
    assert sorted(len(indices) for indices in by_problem.values()) == [32] * 4 + [128] * 4
    assert all(sorted(indices) == list(range(len(indices))) for indices in by_problem.values())
    assert len(read_table(store / "greedy.parquet")[0]) == 8
    sizes = [len(read_table(file)[0]) for file in SampleStore(store).blocks()]
    assert max(sizes) <= max(SETTINGS.batch, 128 - 32), "a file holds a batch, or one problem"


# what is refused


@needs_vllm
def test_weights_that_are_not_numbers_are_refused_before_vllm_starts(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(folders["llama"], tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"tensor model\.norm\.weight holds NaN or infinity"):
        vllm_engine.load_engine(folder, SETTINGS)


@needs_vllm
def test_weights_that_overflow_are_no_samples(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(folders["llama"], tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] *= 1e38
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    engine = vllm_engine.load_engine(folder, SETTINGS)
    engine.start()
    with pytest.raises(ModelError, match="logits are not numbers: its weights are too large"):
        drawn(engine, work_of(engine, 1))


@needs_vllm
def test_a_missing_folder_is_refused_before_vllm_starts(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model folder at .*nowhere; expected config\.json"):
        vllm_engine.load_engine(tmp_path / "nowhere", SETTINGS)


@needs_vllm
def test_vllm_that_does_not_start_is_an_error_with_its_cause(folders: dict[str, Path]) -> None:
    chosen = Sampling.model_validate({"engine": "vllm", "vllm": {"kv_cache_gib": 1e-6}})
    engine = vllm_engine.load_engine(folders["llama"], chosen)
    with pytest.raises(EngineError, match=r"vLLM does not start on .*llama: ValueError: .*[Cc]ache.*max_model_len"):
        engine.start()


@needs_vllm
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_study_that_wants_a_gpu_is_not_sampled_by_vllm_for_cpus(folders: dict[str, Path]) -> None:
    wanted = SETTINGS.model_copy(update={"device": "cuda"})
    message = r"sampling.device: cuda, but this vLLM computes on: cpu .*write sampling.device: cpu, or .* --device cuda"
    with pytest.raises(EngineError, match=message):
        vllm_engine.load_engine(folders["llama"], wanted).start()


@needs_vllm
def test_a_prompt_that_max_model_len_cannot_hold_is_named_before_vllm_starts(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    from boundary_bench.benchmarks.base import Problem
    from boundary_bench.benchmarks.countdown import COUNTDOWN
    from boundary_bench.sampling.campaign import Campaign, Tell, run
    from boundary_bench.statistics.design import Design

    chosen = Sampling.model_validate({"engine": "vllm", "max_tokens": 20, "vllm": {"max_model_len": 30}})
    problems = [Problem("1=1:", "", ""), Problem("123456789=1:", "", "")]
    engine = vllm_engine.load_engine(folders["llama"], chosen)
    with pytest.raises(
        ModelError, match=rf"context of 30 .*problem {problems[1].id}, 12 tokens.*lower .* to 18 or less"
    ):
        run(
            Campaign(COUNTDOWN, problems, chosen, Design((2,)), ("p", "b")),
            engine,
            SampleStore(tmp_path),
            {},
            Tell(print),
        )
    assert engine.llm is None


# the workflow

STUDY: dict[str, Any] = {
    "study": "with-vllm",
    "algorithms": ["grpo"],
    "seeds": [0],
    "training": {
        "benchmark": "countdown",
        "options": {"problems": {3: 20}},
        "segments": [2],
        "prompts": 2,
        "rollouts": 4,
        "max_tokens": 16,
    },
    "evaluate": {"steps": [0, 2]},
    "benchmarks": {"countdown": {"options": {"problems": {3: 6}}}},
    "analysis": {"resamples": 200},
}


@pytest.mark.skipif(PYTHON is None, reason="BOUNDARY_BENCH_VLLM_PYTHON is not set to the sampling environment's Python")
@pytest.mark.skipif(find_spec("snakemake") is None, reason="no Snakemake in this Python: it runs in the core's")
def test_a_study_is_sampled_by_vllm_from_end_to_end(tmp_path: Path) -> None:
    from workflow import planned, snakemake, write_study

    pretrain = {"benchmark": "countdown", "steps": 60, "batch": 64, "hidden": 64, "layers": 2, "heads": 2}
    sampling = {
        "engine": "vllm",
        "python": PYTHON,
        "n_max": 32,
        "stop_after": 4,
        "max_tokens": 16,
        "vllm": {"kv_cache_gib": 0.1},
    }
    study = {**STUDY, "models": {"base": {"pretrain": {**pretrain, "numbers": {3: 1}}}}, "sampling": sampling}
    write_study(tmp_path / "study.yaml", study)
    done = snakemake(tmp_path, "--config", "study=study.yaml")
    assert done.returncode == 0, done.stdout
    root = tmp_path / "results/with-vllm"
    manifest = json.loads((root / "samples/base/countdown/1-of-1.json").read_text())
    assert "vllm" in str(manifest["provenance"]["packages"])
    assert (root / "report.html").stat().st_size > 10_000
    assert planned(tmp_path, "--config", "study=study.yaml") == {}
    sampling["vllm"]["max_num_seqs"], sampling["python"] = 128, sys.executable
    write_study(tmp_path / "study.yaml", study)
    assert planned(tmp_path, "--config", "study=study.yaml") == {}, "how vLLM is run is no setting of a result"
