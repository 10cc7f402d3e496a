"""What the benchmarks of sampling share: a small policy, its problems, and contenders that take turns on the clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow.compute as pc

from boundary_bench.benchmarks.base import Problem
from boundary_bench.benchmarks.countdown import COUNTDOWN
from boundary_bench.core.parquet import read_table
from boundary_bench.samples.store import SampleStore
from boundary_bench.sampling.campaign import Campaign, Tell, run
from boundary_bench.sampling.engine import Engine
from boundary_bench.sampling.vllm import engine as vllm_engine
from boundary_bench.statistics.design import Design
from boundary_bench.study.sampling import Sampling
from boundary_bench.study.study import Pretrain

#: What ``vllm_engine.start`` asks of vLLM on a CPU, but for the tokenizer and the drawing: this is vLLM by itself.
PLAIN_VLLM = {
    "dtype": "float32",
    "max_num_seqs": 256,
    "kv_cache_memory_bytes": 2**30,
    "enforce_eager": True,
    "enable_prefix_caching": True,
    "logprobs_mode": "processed_logprobs",
}


@dataclass(frozen=True)
class Drawn:
    """What a contender made of the problems.

    Attributes:
        lengths: counts the tokens of every response, the end token included; called when the clock stands.
        pass_K: its pass@k curve, where it makes one.
    """

    lengths: Callable[[], np.ndarray]
    pass_K: np.ndarray | None = None


@dataclass(frozen=True)
class Spent:
    """What a contender drew and took in all its turns, and the curve of the last."""

    samples: int = 0
    tokens: int = 0
    cpu: float = 0.0
    seconds: float = 0.0
    pass_K: np.ndarray | None = None

    @property
    def speed(self) -> float:
        """Tokens per CPU second."""
        return self.tokens / self.cpu


def small_model(folder: Path) -> Path:
    """A Qwen2 of 0.7 million parameters that solves one problem in six; it takes minutes to make."""
    from boundary_bench.training.pretrain import pretrain, save

    shape = {"benchmark": "countdown", "steps": 600, "architecture": "qwen2", "hidden": 128, "layers": 4, "heads": 4}
    model, tokenizer = pretrain(COUNTDOWN, Pretrain.model_validate(shape), folder / "store", lambda line: None)
    save(model, tokenizer, folder / "model")
    return folder / "model"


def prepare_vllm() -> None:
    """What vLLM must be told before it is imported, for it to run quietly and in this process."""
    for name, value in {**vllm_engine.ENVIRONMENT, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TQDM_DISABLE": "1"}.items():
        os.environ.setdefault(name, value)


def some_problems(count: int) -> list[Problem]:
    """Countdown dev problems, evenly spread over the sizes."""
    problems = COUNTDOWN.generate("dev", 0, COUNTDOWN.options)
    return problems[:: max(1, len(problems) // count)][:count]


def campaign(engine: Engine, sampling: Sampling, problems: list[Problem], design: Design, folder: Path) -> SampleStore:
    """Draw the samples of a design, and a greedy response to each problem, into an empty store."""
    store = SampleStore(folder)
    asked = Campaign(COUNTDOWN, problems, sampling, design, ("policy", "benchmark"))
    run(asked, engine, store, {}, Tell(lambda line: None))
    return store


def stored_lengths(store: SampleStore) -> np.ndarray:
    """Tokens of every stored response."""
    tables = [read_table(file, ["tokens"])[0] for file in [*store.greedy(), *store.blocks()]]
    return np.concatenate([pc.list_value_length(table["tokens"]).to_numpy() for table in tables])


def take_turns(contenders: dict[str, Callable[[], Drawn]], turns: int) -> dict[str, Spent]:
    """What every contender takes, turn by turn, so that whatever else the machine does falls on all of them alike."""
    spent = dict.fromkeys(contenders, Spent())
    for _ in range(turns):
        for name, contender in contenders.items():
            cpu, clock = time.process_time(), time.perf_counter()
            drawn = contender()
            cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
            length_S, so_far = drawn.lengths(), spent[name]
            samples, tokens = so_far.samples + len(length_S), so_far.tokens + int(length_S.sum())
            spent[name] = Spent(samples, tokens, so_far.cpu + cpu, so_far.seconds + clock, drawn.pass_K)
    return spent


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    for row in [head, ["---"] * len(head), *rows]:
        print("| " + " | ".join(row) + " |")
