"""vLLM draws with our own numbers: the samples are the torch engine's, whatever vLLM does with a request on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_vllm import END, PLAIN, SETTINGS, drawn, make_model, needs_vllm, same_share, tokens_of, work_of

from boundary_bench.core import randomness
from boundary_bench.sampling.drawing import distribution, draw
from boundary_bench.sampling.engine import Decoding, Work
from boundary_bench.sampling.torch import engine as torch_engine
from boundary_bench.sampling.vllm import engine as vllm_engine
from boundary_bench.sampling.vllm.engine import VllmEngine
from boundary_bench.study.sampling import Sampling

pytestmark = [pytest.mark.vllm, needs_vllm]

DECODINGS = {
    "plain": PLAIN,
    "temperature": Decoding(0.6, 1.0, 20, (END,)),
    "top_p": Decoding(1.4, 0.8, 20, (END,)),
    "both": Decoding(0.3, 0.5, 20, (END,)),
}


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(request.param, tmp_path_factory.mktemp("drawing") / request.param)


@pytest.fixture(scope="module")
def engine(folder: Path) -> VllmEngine:
    found = vllm_engine.load_engine(folder, SETTINGS)
    found.start()
    return found


@pytest.fixture(scope="module")
def peer(folder: Path) -> torch_engine.TorchEngine:
    return torch_engine.load_engine(folder, "cpu")


@pytest.mark.parametrize("decoding", DECODINGS.values(), ids=DECODINGS)
def test_a_seed_gives_the_sample_that_the_torch_engine_gives(
    engine: VllmEngine, peer: torch_engine.TorchEngine, decoding: Decoding
) -> None:
    """But for rounding; five times as many as vLLM decodes at once, so that rows end and others take their place."""
    work = work_of(engine, SETTINGS.vllm.max_num_seqs, decoding)
    ours, theirs = drawn(engine, work), drawn(peer, work)
    assert same_share(ours, theirs) >= 0.99
    assert len({tuple(row) for row in tokens_of(ours)}) > 20


def test_every_bit_of_a_seed_counts(engine: VllmEngine) -> None:
    work = work_of(engine, 10)
    once = drawn(engine, work)
    for bit in (0, 31, 32, 62, 63):
        moved = Work(work.prompts, work.seed_GB ^ np.uint64(1 << bit), PLAIN)
        assert same_share(once, drawn(engine, moved)) < 0.2


def test_requests_of_different_decodings_share_a_batch(engine: VllmEngine, peer: torch_engine.TorchEngine) -> None:
    works = [work_of(engine, 6, decoding) for decoding in [*DECODINGS.values(), Decoding(0.0, 1.0, 20, (END,))]]
    found: dict[Work, list[Any]] = {work: [] for work in works}
    for finished in engine.stream(iter(works)):
        if finished is not None:
            found[finished[0]].append(finished[1])
    for work in works:
        ours = sorted(found[work], key=lambda part: part.prompt_S[0])
        assert same_share(ours, drawn(peer, work)) >= 0.9


def test_prompts_that_are_read_in_several_steps_draw_nothing_twice(
    engine: VllmEngine, peer: torch_engine.TorchEngine
) -> None:
    """vLLM draws a token from a prompt that it has read by half, and throws it away."""
    budget = engine.llm.vllm_config.scheduler_config.max_num_batched_tokens
    texts = ["1" * 95 + str(i) for i in range(3)]
    assert SETTINGS.vllm.max_num_seqs * 95 > budget, "one step cannot read as many prompts as are decoded at once"
    work = work_of(engine, 40, Decoding(1.0, 1.0, 6, (END,)), texts)
    assert same_share(drawn(engine, work), drawn(peer, work)) >= 0.99


PROCESSES = """
import json
import sys
from pathlib import Path
from boundary_bench.sampling.vllm import engine as vllm_engine
from tiny_vllm import PLAIN, SETTINGS, drawn, work_of

if __name__ == "__main__":
    engine = vllm_engine.load_engine(Path(sys.argv[1]), SETTINGS)
    engine.start()
    stream = engine.stream(iter([work_of(engine, 100)]))
    next(stream)
    stream.close()
    found = drawn(engine, work_of(engine, 20))
    Path(sys.argv[2]).write_text(json.dumps({
        "engine": type(engine.llm.engine_core).__name__,
        **{name: [getattr(part, name).tolist() for part in found] for name in ("token_ST", "logprob_ST", "entropy_ST")},
    }))
"""


def test_a_worker_in_another_process_draws_the_same(folder: Path, engine: VllmEngine, tmp_path: Path) -> None:
    """Where vLLM runs in processes of its own, as on GPUs, what was drawn comes back all the same."""
    (script := tmp_path / "script.py").write_text(PROCESSES)
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    variables = {**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "1", "PYTHONPATH": paths}
    command = [sys.executable, str(script), str(folder), str(tmp_path / "found.json")]
    done = subprocess.run(command, env=variables, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["engine"] == "SyncMPClient", "another process"
    for place, one in enumerate(drawn(engine, work_of(engine, 20))):
        assert found["token_ST"][place] == one.token_ST.tolist()
        np.testing.assert_allclose(found["logprob_ST"][place], one.logprob_ST, atol=1e-5)
        np.testing.assert_allclose(found["entropy_ST"][place], one.entropy_ST, atol=1e-5)


def test_requests_that_vllm_drops_and_computes_again_are_the_same_samples(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that holds fewer responses than are begun: vLLM takes the memory of some away and reads them again.

    The last test with an engine: the parts of vLLM that all engines of a process share end with this one.
    """
    longer = shutil.copytree(folder, tmp_path / "longer")
    config = json.loads((longer / "config.json").read_text())
    (longer / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 256}))
    settings = {"engine": "vllm", "vllm": {"kv_cache_gib": 0.002, "max_num_seqs": 64}}
    engine = vllm_engine.load_engine(longer, Sampling.model_validate(settings))
    engine.start()
    scheduler = engine.llm.engine_core.engine_core.scheduler
    dropped, drop = [], scheduler._preempt_request

    def counted(*args: Any, **options: Any) -> None:
        dropped.append(args[0])
        drop(*args, **options)

    monkeypatch.setattr(scheduler, "_preempt_request", counted)
    work = work_of(engine, 30, Decoding(1.0, 1.0, 60, (END,)), ["1" * 95 + str(i) for i in range(4)])
    ours, theirs = drawn(engine, work), drawn(torch_engine.load_engine(longer, "cpu"), work)
    assert len(dropped) > 10
    assert same_share(ours, theirs) >= 0.97


# the logits processor by itself


class Batch:
    """vLLM's batch as the processor sees it: requests that come, grow, move, are dropped and come again."""

    def __init__(self, rows: int) -> None:
        from boundary_bench.sampling.vllm.drawing import Drawing

        config = SimpleNamespace(
            model_config=SimpleNamespace(get_vocab_size=lambda: 12),
            scheduler_config=SimpleNamespace(max_num_seqs=rows),
        )
        self.drawing = Drawing(config, torch.device("cpu"), False)
        self.drawing.at_once = 3
        self.names: list[int] = []
        self.output: dict[int, list[int]] = {}

    def parameters(self, name: int) -> Any:
        temperature, top_p = [(1.0, 1.0), (0.5, 0.9), (0.0, 1.0)][name % 3]
        asked = {"name": name, "seed": randomness.key("row", name), "temperature": temperature, "top_p": top_p}
        return SimpleNamespace(extra_args=asked, max_tokens=30)

    def update(self, removed: list[int], added: list[int], moved: list[tuple[int, int, Any]]) -> None:
        from vllm.v1.sample.logits_processor import BatchUpdate

        first = len(self.names) - len(added)
        entries = [(first + place, self.parameters(name), None, self.output[name]) for place, name in enumerate(added)]
        self.drawing.update_state(BatchUpdate(len(self.names), removed, entries, moved))

    def step(self, partly: set[int]) -> None:
        """Draw a token of every row; those of some are thrown away."""
        logits = torch.stack([logits_at(name, len(self.output[name])) for name in self.names])
        for name, token in zip(self.names, self.drawing.apply(logits).argmax(-1).tolist(), strict=True):
            if name not in partly:
                self.output[name].append(token)


def logits_at(name: int, position: int) -> torch.Tensor:
    """Some logits that depend on request and position alone."""
    return torch.randn(12, generator=torch.Generator().manual_seed(1000 * name + position)) * 2


def test_a_request_is_followed_wherever_vllm_puts_it() -> None:
    from vllm.v1.sample.logits_processor import MoveDirectionality

    rng, batch, fresh, away = np.random.default_rng(0), Batch(8), iter(range(1000)), []
    done: list[int] = []
    for _ in range(300):
        removed, moved = [], []
        if len(batch.names) > 2 and rng.random() < 0.4:  # one leaves, and the last takes its place
            place, last = int(rng.integers(len(batch.names))), len(batch.names) - 1
            gone = batch.names[place]
            (done if len(batch.output[gone]) > 12 else away).append(gone)
            batch.names[place] = batch.names[last]
            batch.names.pop()
            if place == last:
                removed.append(last)
            else:
                moved.append((last, place, MoveDirectionality.UNIDIRECTIONAL))
            batch.update(removed, [], moved)
        added = []
        while len(batch.names) < 8 and rng.random() < 0.6:
            name = away.pop() if away and rng.random() < 0.5 else next(fresh)
            batch.output[name] = list(batch.output.get(name, []))  # a list of its own, as vLLM makes one
            batch.names.append(name)
            added.append(name)
        swapped = []
        if len(batch.names) > 1 and rng.random() < 0.3:
            one, other = rng.choice(len(batch.names), 2, replace=False).tolist()
            swapped = [(one, other, MoveDirectionality.SWAP)]
        batch.update([], added, swapped)
        for one, other, _ in swapped:
            batch.names[one], batch.names[other] = batch.names[other], batch.names[one]
        if batch.names and max(len(batch.output[name]) for name in batch.names) < 30:
            batch.step({name for name in batch.names if rng.random() < 0.1})
        else:
            done += batch.names
            batch.names = []
            batch.update(list(range(8)), [], [])
    assert len(done) > 30
    for name in done:
        check(batch, name)
    assert not set(done) & set(batch.drawing.slots), "what was taken is forgotten"


def check(batch: Batch, name: int) -> None:
    """A request drew what it draws alone, and says so once."""
    asked, output = batch.parameters(name).extra_args, batch.output[name]
    decoding = Decoding(asked["temperature"], asked["top_p"], 30, (END,))
    logprobs, entropies, tokens = [], [], []
    for position in range(len(output)):
        logprob_RV, entropy_R = distribution(logits_at(name, position)[None], decoding)
        uniform_S = randomness.uniforms(np.array([asked["seed"]], np.uint64), position)
        tokens.append(int(draw(logprob_RV, torch.zeros(1, dtype=torch.long), uniform_S, decoding)[0]))
        logprobs.append(float(logprob_RV[0, tokens[-1]]))
        entropies.append(float(entropy_R[0]))
    assert output == tokens
    if output:
        found = np.frombuffer(batch.drawing.take([name], [len(output)]), np.float32).reshape(2, -1)
        np.testing.assert_allclose(found, [logprobs, entropies], atol=1e-5)
    batch.drawing.forget([name])
