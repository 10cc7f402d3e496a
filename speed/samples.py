"""Time and memory to show some samples out of a million stored ones, against reading the whole store.

One policy with 1000 samples of each of 1000 problems, made up as in storage.py: responses of 200 tokens, in files of
one problem, as a vLLM campaign leaves them, and of 50; "one group" are files as they were before row groups were
bounded. Of 40 problems the first three correct and the first three other samples are shown, as the sample browser of a
report does for a policy and benchmark. Reading the whole means every column, one file after another. Each side is
measured in a process of its own, and the turn with the fewest CPU seconds of three counts; peaks are those of
getrusage, less that of a process which imports the same and reads nothing.

    python speed/samples.py                       # 0.7 GB in a temporary folder, three times
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import contenders
import numpy as np
import pyarrow as pa
from storage import PROBLEMS, SAMPLES_EACH, made_up

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core import parquet
from boundary_bench.core.files import read_json, write_json
from boundary_bench.core.parquet import GROUP_ROWS, read_table, write_table
from boundary_bench.report.page.stored import SAMPLES_EACH as EACH_SIDE
from boundary_bench.report.page.stored import read_shown
from boundary_bench.samples.store import SAMPLES, SampleStore
from boundary_bench.statistics.design import Design

SHOWN, DISTINCT = 40, 50
IDS = [Problem(f"problem {i}", "", "").id for i in range(PROBLEMS)]


def fill(folder: Path, each: int, group_rows: int) -> None:
    """Write blocks of ``each`` problems, and beside them how many samples of each problem are correct.

    The texts are made for fifty problems and repeat after those; files are compressed one by one.
    """
    store, correct = SampleStore(folder), {}
    rows = made_up(np.random.default_rng(0), IDS[:DISTINCT], 0, SAMPLES_EACH)
    for place in range(0, len(IDS), each):
        part = rows.slice(place % DISTINCT * SAMPLES_EACH, each * SAMPLES_EACH)
        ids = pa.array(np.repeat(IDS[place : place + each], SAMPLES_EACH)).dictionary_encode()
        with patch.object(parquet, "GROUP_ROWS", group_rows):
            write_table(store.new_block(0, SAMPLES_EACH), part.set_column(0, SAMPLES.field(0), ids), {})
        right = np.array(part.column("verdict").to_pylist()) == "correct"
        correct |= zip(IDS[place : place + each], right.reshape(each, -1).sum(1).tolist(), strict=True)
    write_json(folder / "correct.json", correct)


def nothing(_folder: Path) -> int:
    """Only the imports."""
    return 0


def whole(folder: Path) -> int:
    """Every column of every file, one file after another."""
    return sum(len(read_table(file)[0]) for file in SampleStore(folder).blocks())


def shown(folder: Path) -> int:
    """The samples of some problems, as the report reads them."""
    correct = read_json(folder / "correct.json")
    chosen = np.random.default_rng(0).choice(IDS, SHOWN, replace=False).tolist()
    counts = {name: (SAMPLES_EACH, correct[name]) for name in chosen}
    found = list(read_shown(Design((SAMPLES_EACH,)), SampleStore(folder).blocks(), counts, {}))
    assert len(found) == 2 * EACH_SIDE * SHOWN
    return len(found)


def measured(read: Callable[[Path], int], folder: Path) -> tuple[float, int]:
    """CPU seconds, and the peak of this process in MiB."""
    clock = time.process_time()
    read(folder)
    return time.process_time() - clock, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def alone(call: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def best(read: Callable[[Path], int], folder: Path) -> tuple[float, int]:
    """The fastest of three turns and its peak."""
    return min(alone(measured, read, folder) for _ in range(3))


def main() -> None:
    """Measure and print the table."""
    rows = []
    kinds = [("files of 50 problems", 50, GROUP_ROWS), ("one group", 50, 1 << 20), ("files of one", 1, GROUP_ROWS)]
    for name, each, group_rows in kinds:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            # elsewhere: a process starts with the peak of the one that starts it
            alone(fill, folder, each, group_rows)
            files = SampleStore(folder).blocks()
            size = sum(file.stat().st_size for file in files) / 1e9
            idle = best(nothing, folder)[1]
            (all_s, all_mib), (shown_s, shown_mib) = best(whole, folder), best(shown, folder)
            share, memory = shown_s / all_s, (shown_mib - idle) / (all_mib - idle)
            cells = [f"{all_s:.2f}", f"{shown_s:.2f}", f"{share:.2f}", f"{all_mib - idle}", f"{shown_mib - idle}"]
            rows.append([name, f"{len(files):,}", f"{size:.2f}", *cells, f"{memory:.2f}"])
    head = ["store", "files", "GB", "whole, CPU s", "shown, CPU s", "ratio", "whole, MiB", "shown, MiB", "ratio"]
    contenders.print_table(head, rows)


if __name__ == "__main__":
    main()
