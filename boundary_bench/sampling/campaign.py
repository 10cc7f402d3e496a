"""The sample stage: draw, grade and store the blocks that are missing, one after another.

A block is decoded on its own, so its content does not depend on what was drawn before it or in which process: a
campaign that was killed and resumed ends with the same blocks as an undisturbed one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boundary_bench import models, seeds
from boundary_bench.benchmarks.base import Kind, Problem
from boundary_bench.errors import Interrupted, ModelError
from boundary_bench.grading import Grade, Verdict, grade_all
from boundary_bench.provenance import file_sha256
from boundary_bench.sampling.decoder import Decoder, HubDecoder, LlamaDecoder, supports
from boundary_bench.sampling.torch_engine import Decoding, Responses, sample
from boundary_bench.store import SAMPLES, SampleStore, list_column, write_table
from boundary_bench.study import Sampling

SECONDS_BETWEEN_LINES = 5


@dataclass(frozen=True)
class Campaign:
    """What is sampled, and the name its seeds derive from: (policy, benchmark)."""

    kind: Kind
    problems: list[Problem]
    sampling: Sampling
    name: tuple[str, str]


@dataclass(frozen=True)
class Engine:
    """A loaded policy: decoder, tokenizer, the id that ends a response, and the contents of config.json."""

    decoder: Decoder
    tokenizer: Any
    end: int
    config: dict[str, Any]


def load_engine(folder: Path, device: str) -> Engine:
    """The policy in a model folder.

    Raises:
        ModelError: see ``boundary_bench.models``.
    """
    models.check_device(device)
    config, weights = models.load_weights(folder)
    tokenizer, end = models.load_tokenizer(folder), models.end_token(folder, config)
    decoder: Decoder
    if supports(config):
        try:
            decoder = LlamaDecoder(config, {name: tensor.float().to(device) for name, tensor in weights.items()})
        except ModelError as fault:
            raise ModelError(f"{folder}: {fault}") from None
    else:
        decoder = HubDecoder(models.load_model(folder, device))
    return Engine(decoder, tokenizer, end, config)


def run(
    campaign: Campaign,
    engine: Engine,
    store: SampleStore,
    facts: dict[str, Any],
    log: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, str]:
    """Fill the store up to ``n_max`` and return the hash of every file that belongs to the campaign.

    The caller holds the store's lease.

    Raises:
        ModelError: a prompt and ``max_tokens`` do not fit the model's context.
        Interrupted: ``stopped`` said so; whole blocks are kept, the one in flight is abandoned.
    """
    sampling = campaign.sampling
    prompts = [engine.tokenizer.encode(problem.prompt).ids for problem in campaign.problems]
    models.check_context(engine.config, prompts, sampling.max_tokens, "sampling.max_tokens")
    greedy = Decoding(0.0, 1.0, sampling.max_tokens, engine.end, sampling.batch)
    drawn = Decoding(sampling.temperature, sampling.top_p, sampling.max_tokens, engine.end, sampling.batch)
    files = [store.greedy]
    if not store.greedy.exists():
        _fill(store.greedy, campaign, engine, prompts, np.zeros(1, np.int64), greedy, facts, log, stopped)
    for block in range(sampling.n_max // sampling.block):
        files.append(store.block(block))
        if store.block(block).exists():
            continue
        index_B = np.arange(block * sampling.block, (block + 1) * sampling.block)
        _fill(store.block(block), campaign, engine, prompts, index_B, drawn, facts, log, stopped)
    return {file.name: file_sha256(file) for file in files}


def _fill(
    path: Path,
    campaign: Campaign,
    engine: Engine,
    prompts: list[list[int]],
    index_B: np.ndarray,
    decoding: Decoding,
    facts: dict[str, Any],
    log: Callable[[str], None],
    stopped: Callable[[], bool],
) -> None:
    """Draw, grade and write one file, with an honest line of progress."""
    begun = time.perf_counter()
    seed_PB = np.stack(
        [
            seeds.sample_seeds(seeds.key("sample", campaign.sampling.seed, *campaign.name, problem.id), index_B)
            for problem in campaign.problems
        ]
    )
    tables, counts, tokens, told = [], Counter[str](), 0, begun
    for responses in sample(engine.decoder, prompts, seed_PB, decoding):
        if stopped():
            raise Interrupted(f"stopped by a signal in {path.stem}; whole blocks are kept, run the same command again")
        table, verdicts = _rows(campaign, engine.tokenizer, responses, index_B)
        tables.append(table)
        counts.update(verdicts)
        tokens += int(responses.length_S.sum())
        now, done = time.perf_counter(), counts.total()
        if now - told > SECONDS_BETWEEN_LINES or done == seed_PB.size:
            told, rate = now, done / (now - begun)
            log(
                f"{path.stem}: {done // len(index_B)}/{len(prompts)} problems  {rate:.0f} responses/s  "
                f"{tokens / (now - begun):.0f} tokens/s  correct {counts[Verdict.CORRECT]}  "
                f"truncated {counts[Verdict.TRUNCATED]}  left {(seed_PB.size - done) / rate:.0f} s"
            )
    write_table(path, pa.concat_tables(tables).cast(SAMPLES), facts)


def _rows(campaign: Campaign, tokenizer: Any, responses: Responses, index_B: np.ndarray) -> tuple[pa.Table, list[str]]:
    """Graded responses as rows of the store; equal token sequences are decoded once."""
    keys = [row[:n].tobytes() for row, n in zip(responses.token_ST, responses.length_S, strict=True)]
    distinct = dict.fromkeys(keys)
    texts = tokenizer.decode_batch(
        [np.frombuffer(key, responses.token_ST.dtype).tolist() for key in distinct], skip_special_tokens=True
    )
    text_of = dict(zip(distinct, texts, strict=True))
    response = [text_of[key] for key in keys]
    grades: list[Grade] = []
    each = len(index_B)
    for first in range(0, len(keys), each):
        problem = campaign.problems[responses.prompt_S[first]]
        mine = slice(first, first + each)
        grades += grade_all(
            lambda text, p=problem: campaign.kind.grade(p, text), response[mine], responses.finished_S[mine]
        )
    verdicts = [str(grade.verdict) for grade in grades]
    ids = np.array([problem.id for problem in campaign.problems])
    table = pa.table(
        {
            "problem_id": pa.array(ids[responses.prompt_S]),
            "sample": pa.array(np.tile(index_B, len(keys) // each), pa.int32()),
            "response": response,
            "tokens": list_column(responses.token_ST, responses.length_S),
            "logprob": pa.array(responses.logprob_ST.sum(1), pa.float32()),
            "entropy": pa.array(responses.entropy_ST.sum(1), pa.float32()),
            "verdict": verdicts,
            "answer": pa.array([grade.answer for grade in grades], pa.string()),
        }
    )
    return table, verdicts
