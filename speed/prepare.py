"""How long does it take to prepare a set of MATH's size, overlap checks included, and to judge its gold solutions?

Self-made problems of MATH's length and form (12,500 rows of 20 to 110 words, LaTeX in them, a solution with a box):
7,500 to train on and 5,000 to test on, one in ten of which copies words or all of a training problem. Read from files,
then written, read back and compared. The same with MATH itself where ``../shared/data`` lies beside the repository.

    python speed/prepare.py
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from pathlib import Path

from boundary_bench.benchmarks import KINDS, problems_of
from boundary_bench.benchmarks.base import Kind, Problem
from boundary_bench.benchmarks.overlap import overlap
from boundary_bench.benchmarks.problem_file import read_problems, write_problems
from boundary_bench.grading import Verdict, grade_many
from boundary_bench.grading.judging import Judge

TRAINING, TEST = 7_500, 5_000
LIMIT_S = 10
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "benchmarks"


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


def measure(name: str, files: dict[str, Path], folder: Path) -> None:
    """Print a table of the seconds that a training and a test set take."""
    kind, seconds = KINDS["math"], {}
    for part, file in files.items():
        begun = time.perf_counter()
        prepared = problems_of(kind, "test", 0, kind.options, str(file))
        seconds[f"read {prepared.rows} rows ({part})"] = time.perf_counter() - begun
        begun = time.perf_counter()
        write_problems(folder / f"{part}.parquet", prepared.problems, part, prepared.record)
        seconds[f"write them ({part})"] = time.perf_counter() - begun
    begun = time.perf_counter()
    both = [read_problems(folder / f"{part}.parquet") for part in files]
    seconds["read both again"] = time.perf_counter() - begun
    begun = time.perf_counter()
    found = overlap(*reversed(both))
    seconds["overlap"] = time.perf_counter() - begun
    total = sum(seconds.values())
    judged = {
        f"judge the gold solutions, 1 worker ({part})": judging(kind, each)
        for part, each in zip(files, both, strict=True)
    }
    print(f"\n| {name} | s |\n|---|---|")
    print("".join(f"| {step} | {value:.2f} |\n" for step, value in seconds.items()), end="")
    print(f"| all | {total:.2f} |")
    print("".join(f"| {step} | {value:.2f} |\n" for step, value in judged.items()), end="")
    print(f"\n{found}\n\nbound: {LIMIT_S} s, {'holds' if total < LIMIT_S else 'does not hold'}")


def judging(kind: Kind, problems: list[Problem]) -> float:
    """The seconds in which one worker grades every problem's own solution, its start included.

    Raises:
        AssertionError: one is not correct.
    """
    references, solutions = zip(*((each.reference, each.solution) for each in problems), strict=True)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Judge(Path(folder), workers=1) as judge:
        grades = grade_many(kind.grader, references, solutions, [True] * len(problems), judge)
    assert all(grade.verdict is Verdict.CORRECT for grade in grades)
    return time.perf_counter() - begun


def main() -> None:
    """Measure self-made rows, and real ones where they are."""
    rng = random.Random(0)
    training = rows(rng, TRAINING, [])
    parts = {"training": training, "test": rows(rng, TEST, training)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, found in parts.items():
            (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
        measure("self-made rows", {part: folder / f"{part}.jsonl" for part in parts}, folder)
        if REAL.is_dir():
            measure("MATH", {"training": REAL / "math-train.jsonl", "test": REAL / "math-test.jsonl"}, folder)


if __name__ == "__main__":
    main()
