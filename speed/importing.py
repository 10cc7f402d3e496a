"""What importing stored samples costs: the time and memory of a million rows, and of grading them beside grading alone.

Rows are made here: 7,812 problems with 128 responses of about a kilobyte, sample by sample, as JSON lines. The bounds:
a million rows by their own scores in 60 CPU seconds and 1 GiB; graded, no longer than the grading alone, which is
``grade_many`` over the same responses in the same order, in a process of its own.

    python speed/importing.py
    python speed/importing.py --samples 16      # quicker
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from boundary_bench.benchmarks.base import Problem
from boundary_bench.grading import grade_many, judge_here
from boundary_bench.grading.graders import GRADERS
from boundary_bench.sampling.stored import importing
from boundary_bench.study.stored import StoredSamples

PROBLEMS, TEXT = 7812, 24  # words of 40 letters
NUMERIC = GRADERS["numeric"]


def problems() -> list[Problem]:
    return [
        Problem(f"What is {i} plus {3 * i}, if you add the number {i} to itself?", str(i % 5), "")
        for i in range(PROBLEMS)
    ]


def rows(samples: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghij klmnop", k=40)) for _ in range(997)]
    asked = problems()
    for sample in range(samples):
        for place, problem in enumerate(asked):
            text = f"{' '.join(rng.choices(words, k=TEXT))} #### {(place + sample) % 7}"
            yield {"question": problem.prompt, "gold": problem.reference, "response": text, "score": sample % 3 == 0}


def imported(file: Path, samples: int, graded: bool) -> None:
    """The whole stage, without its command."""
    said, grader = StoredSamples(files=str(file), n=samples), NUMERIC if graded else None
    job = importing.Import(said, [file], problems(), grader, judge_here, {}, print)
    importing.run(job, file.with_name(f"store-{graded}"))


def graded_alone(file: Path, samples: int) -> None:
    """The responses, read by the standard library, through the grader."""
    with file.open() as lines:
        while some := list(islice(lines, 1024)):
            found = [json.loads(line) for line in some]
            golds, texts = ([row[name] for row in found] for name in ("gold", "response"))
            grade_many(NUMERIC, golds, texts, [True] * len(found), judge_here)


def measured(work: Callable[..., None], *arguments: Any) -> tuple[float, float]:
    """CPU seconds and MiB of a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=_report, args=(queue, work, arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{work.__name__} failed")
    return queue.get()


def _report(queue: Any, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    begun = time.process_time()
    work(*arguments)
    queue.put((time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=128)
    samples = parser.parse_args().samples
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        with file.open("w") as text:
            text.writelines(json.dumps(row) + "\n" for row in rows(samples))
        count = samples * PROBLEMS
        print(f"{count:,} rows, {file.stat().st_size / 2**20:,.0f} MiB\n\n| what | CPU s | MiB |\n|---|---|---|")
        for what, work, arguments in (
            ("imported by their scores", imported, (file, samples, False)),
            ("imported and graded", imported, (file, samples, True)),
            ("graded alone", graded_alone, (file, samples)),
        ):
            seconds, memory = measured(work, *arguments)
            print(f"| {what} | {seconds:.1f} | {memory:,.0f} |")


if __name__ == "__main__":
    main()
