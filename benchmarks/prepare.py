"""How long does it take to prepare a set of MATH's size, overlap checks included?

Self-made problems of MATH's length and form (12,500 rows of 20 to 110 words, LaTeX in them, a solution with a box):
7,500 to train on and 5,000 to test on, one in ten of which copies words or all of a training problem. Read from files,
then written, read back and compared.

    python benchmarks/prepare.py
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from pathlib import Path

from boundary_bench.benchmarks import KINDS, problems_of
from boundary_bench.benchmarks.overlap import overlap
from boundary_bench.benchmarks.problem_file import read_problems, write_problems

TRAINING, TEST = 7_500, 5_000
LIMIT_S = 30


def question(rng: random.Random) -> str:
    """A text of 20 to 110 words, a fifth of them formulas."""
    vocabulary = [f"word{number}" for number in range(3_000)]
    words = (
        f"${rng.randint(1, 99)}x^{{{rng.randint(2, 9)}}}$" if rng.random() < 0.2 else rng.choice(vocabulary)
        for _ in range(rng.randint(20, 110))
    )
    return " ".join(words)


def rows(rng: random.Random, count: int, others: list[dict[str, str]]) -> list[dict[str, str]]:
    """Rows in MATH's columns; one in twenty repeats one of the others, if there are any, and one holds its start."""
    made = []
    for number in range(count):
        text = question(rng)
        if others and number % 20 == 0:
            text = rng.choice(others)["problem"]
        elif others and number % 20 == 1:
            text = " ".join(rng.choice(others)["problem"].split()[:15]) + " " + text
        answer = f"\\frac{{{rng.randint(1, 999)}}}{{{rng.randint(2, 99)}}}"
        solution = f"{question(rng)} so the answer is $\\boxed{{{answer}}}$."
        made.append({"problem": text, "level": "Level 3", "type": "Algebra", "solution": solution})
    return made


def main() -> None:
    """Print a table of seconds."""
    rng, kind = random.Random(0), KINDS["math"]
    training = rows(rng, TRAINING, [])
    parts = {"training": training, "test": rows(rng, TEST, training)}
    with tempfile.TemporaryDirectory() as folder:
        for name, found in parts.items():
            (Path(folder) / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
        seconds: dict[str, float] = {}

        def lap(name: str, since: float) -> None:
            seconds[name] = time.perf_counter() - since

        for name in parts:
            begun = time.perf_counter()
            problems, _ = problems_of(kind, "test", 0, kind.options, str(Path(folder) / f"{name}.jsonl"))
            lap(f"read {len(problems)} rows ({name})", begun)
            begun = time.perf_counter()
            write_problems(Path(folder) / f"{name}.parquet", problems, name, {})
            lap(f"write them ({name})", begun)
        begun = time.perf_counter()
        both = [read_problems(Path(folder) / f"{name}.parquet") for name in ("test", "training")]
        lap("read both again", begun)
        begun = time.perf_counter()
        found = overlap(*both)
        lap("overlap", begun)
    total = sum(seconds.values())
    print("| step | s |\n|---|---|")
    print("".join(f"| {name} | {value:.2f} |\n" for name, value in seconds.items()), end="")
    print(f"| all | {total:.2f} |\n\n{found}\n\nbound: {LIMIT_S} s, {'holds' if total < LIMIT_S else 'does not hold'}")


if __name__ == "__main__":
    main()
