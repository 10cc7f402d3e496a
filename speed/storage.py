"""Memory of the sampling process as n grows, and the time to read two columns of a million stored samples.

Memory: a campaign of fixed n on a few countdown problems in a process of its own, for growing n; the peak is that of
getrusage. Written blocks leave memory, so that it depends on ``block`` and not on n.

Reading: problem ids and verdicts from the blocks of one policy, by ``sample_rows``; what the measure stage needs, which
reads the sample indices too and checks that every sample is there once, by ``read_verdicts``; and
``pyarrow.parquet.read_table`` of the two columns, which is the bound. The fastest of three turns counts. The responses
are made up: 200 tokens each, some words often and most hardly ever.

    python speed/storage.py --part memory         # with the Python of the sampling environment also vLLM
    python speed/storage.py --part reading        # 0.7 GB in a temporary folder
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import contenders
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core.parquet import write_table
from boundary_bench.grading import VERDICTS
from boundary_bench.samples.grades import read_verdicts, sample_rows
from boundary_bench.samples.store import SAMPLES, SampleStore
from boundary_bench.sampling import load_engine
from boundary_bench.sampling.block import list_column
from boundary_bench.statistics.design import Design
from boundary_bench.study.sampling import Sampling

SIZES = (1024, 4096, 16384)
BLOCK = 1024
PROBLEMS, SAMPLES_EACH, TOKENS, WORDS = 1000, 1000, 200, 32000
COLUMNS = ["problem_id", "verdict"]
MOST_SECONDS = 2


def peak_of(folder: Path, engine: str, n: int, problems: int) -> tuple[int, float]:
    """Peak MiB of this process, and MiB of the store, after a campaign of n samples of some problems."""
    sampling = Sampling.model_validate(
        {"engine": engine, "n_max": n, "stop_after": None, "max_tokens": 48, "block": BLOCK}
    )
    loaded = load_engine(folder, sampling, lambda line: None)
    with tempfile.TemporaryDirectory() as place:
        chosen = contenders.some_problems(problems)
        store = contenders.campaign(loaded, sampling, chosen, Design((n,)), Path(place))
        written = sum(file.stat().st_size for file in store.blocks()) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, written


def memory(model: Path | None, problems: int) -> list[list[str]]:
    """Peaks for every engine and n."""
    folder = model or contenders.small_model(Path(tempfile.mkdtemp()))
    rows = []
    for engine in ("torch", "vllm") if find_spec("vllm") else ("torch",):
        first = 0
        for n in SIZES:
            # a fresh process: a peak is that of a process since its start
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                peak, written = pool.submit(peak_of, folder, engine, n, problems).result()
            first = first or peak
            rows.append([engine, f"{n:,}", f"{problems * n:,}", f"{written:.1f}", f"{peak}", f"{peak / first:.2f}"])
    return rows


def made_up(rng: np.random.Generator, problems: list[str], first: int, stop: int) -> pa.Table:
    """Samples [first, stop) of some problems."""
    count = len(problems) * (stop - first)
    token_ST = (rng.zipf(1.2, (count, TOKENS)) % WORDS).astype(np.int32)
    words = np.array([f"w{word:x}" for word in range(WORDS)])
    return pa.table(
        {
            "problem_id": np.repeat(problems, stop - first),
            "sample": np.tile(np.arange(first, stop, dtype=np.int32), len(problems)),
            "response": [" ".join(row) for row in words[token_ST].tolist()],
            "tokens": list_column(token_ST, np.full(count, TOKENS)),
            "logprob": rng.normal(-300, 50, count).astype(np.float32),
            "entropy": rng.normal(300, 50, count).astype(np.float32),
            "verdict": rng.choice(VERDICTS, count, p=[0.3, 0.5, 0.1, 0.1, 0.0]),
            "answer": [words[token] for token in token_ST[:, -1]],
            "reason": np.repeat("equal text", count),
        }
    ).cast(SAMPLES)


def fill(store: SampleStore, ids: list[str], each: int) -> None:
    """Write blocks of ``each`` problems, as a campaign in vLLM leaves them."""
    rng = np.random.default_rng(0)
    for place in range(0, len(ids), each):
        rows = made_up(rng, ids[place : place + each], 0, SAMPLES_EACH)
        write_table(store.new_block(0, SAMPLES_EACH), rows, {})


def best(read: Callable[[Path], object], files: list[Path]) -> float:
    """Seconds to read all files, the fastest of three turns."""
    seconds = []
    for _ in range(3):
        clock = time.perf_counter()
        for file in files:
            read(file)
        seconds.append(time.perf_counter() - clock)
    return min(seconds)


def reading() -> list[list[str]]:
    """Seconds to read two columns, from few large files and from many small ones."""
    ids = [Problem(f"problem {i}", "", "").id for i in range(PROBLEMS)]
    rows = []
    for each in (10, 1):
        with tempfile.TemporaryDirectory() as folder:
            store = SampleStore(Path(folder))
            fill(store, ids, each)
            files = store.blocks()
            size = sum(file.stat().st_size for file in files) / 1e9
            raw = best(lambda file: pq.read_table(file, columns=COLUMNS), files)
            ours = best(lambda file: sample_rows(file, COLUMNS), files)
            clock = time.perf_counter()
            read_verdicts(files, ids, SAMPLES_EACH)
            checked = time.perf_counter() - clock
            holds = "yes" if max(ours, checked) < MOST_SECONDS else "no"
            times = [f"{raw:.2f}", f"{ours:.2f}", f"{ours / raw:.1f}", f"{checked:.2f}"]
            rows.append([f"{len(files):,}", f"{size:.2f}", *times, f"{MOST_SECONDS}", holds])
    return rows


def main() -> None:
    """Measure one part and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["memory", "reading"], required=True)
    parser.add_argument("--model", type=Path, help="model folder (a small Qwen2 that is made)")
    parser.add_argument("--problems", type=int, default=4, help="problems of a campaign (4)")
    given = parser.parse_args()
    if given.part == "memory":
        head = ["engine", "n", "samples", "MiB written", "peak MiB", "ratio"]
        contenders.print_table(head, memory(given.model, given.problems))
    else:
        head = ["files", "GB", "pyarrow, s", "sample_rows, s", "ratio", "read_verdicts, s", "at most", "holds"]
        contenders.print_table(head, reading())


if __name__ == "__main__":
    main()
