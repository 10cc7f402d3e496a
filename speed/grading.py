"""Graded responses per second against a plain math-verify loop over the same responses, in one run.

The plain loop is what most evaluation scripts do: ``verify(parse(reference), parse(response))`` for every response, in
one process, with math-verify's own time-outs. It remembers its last 20 parses, so that its speed depends on the order:
problem by problem, or round by round over all problems, as when a sample index is one pass over the benchmark. The
responses are made here: 64 problems with references of MATH's forms
and 1,024 responses each, whose answers repeat as a policy's do (Zipf over right, near and far answers, in several ways
of writing them); and a set in which no two answers are alike.

    python speed/grading.py
    python speed/grading.py --problems 16 --responses 256      # quicker
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from boundary_bench.grading import Grade, Verdict, grade_many
from boundary_bench.grading.graders import MATH
from boundary_bench.grading.judging import Judge

Rows = list[tuple[str, str]]

THOUGHTS = "We set up the equation and simplify step by step, with $a = {a}$ and $b = {b}$. Hence the result follows. "
DISTINCT_ANSWERS = 40  # of a problem's responses at most, where they repeat


def references(rng: random.Random, count: int) -> list[str]:
    """References of the forms that MATH has: mostly integers and fractions, some roots, pairs, intervals and terms."""
    found = []
    for _ in range(count):
        a, b, c = rng.randint(2, 99), rng.randint(2, 19), rng.randint(2, 9)
        forms = [str(a), str(-a), str(a * 100), f"\\frac{{{a}}}{{{b}}}", f"{c}\\sqrt{{{b}}}", f"({a},{b})"]
        forms += [f"[{c}, {a + c})", f"x^2+{a}x-{b}", f"{a}\\pi", f"{a}^\\circ", f"\\text{{{'ABCDE'[c % 5]}}}"]
        found.append(rng.choices(forms, [30, 5, 8, 20, 8, 6, 4, 6, 4, 3, 3])[0])
    return found


def ways(rng: random.Random, answer: str) -> str:
    """Another way to write an answer."""
    written = [answer, answer, answer, answer.replace("\\frac", "\\dfrac"), answer.replace(",", ", "), f"x = {answer}"]
    return rng.choice(written)


def near(rng: random.Random, reference: str) -> str:
    """A wrong answer that looks like the reference."""
    digits = [place for place, character in enumerate(reference) if character.isdigit()]
    if not digits:
        return str(rng.randint(0, 999))
    place = rng.choice(digits)
    return reference[:place] + str(rng.randint(1, 9)) + reference[place + 1 :]


def response(rng: random.Random, answer: str) -> str:
    """A response with that answer in a box, and a text before it that is hardly ever the same."""
    thoughts = THOUGHTS.format(a=rng.randint(1, 10**6), b=rng.randint(1, 10**6)) * rng.randint(4, 24)
    return f"{thoughts}The answer is $\\boxed{{{answer}}}$."


def repeating(rng: random.Random, golds: list[str], each: int) -> Rows:
    """Responses whose answers repeat: a Zipf distribution over the ways to write right and wrong answers."""
    rows = []
    for gold in golds:
        answers = [ways(rng, gold if i % 3 == 0 else near(rng, gold)) for i in range(DISTINCT_ANSWERS)]
        rng.shuffle(answers)
        weights = [1 / (i + 1) for i in range(DISTINCT_ANSWERS)]
        rows += [(gold, response(rng, answer)) for answer in rng.choices(answers, weights, k=each)]
    return rows


def unlike(rng: random.Random, golds: list[str], count: int) -> Rows:
    """Responses of which no two have the same answer."""
    forms = ["{n}", "\\frac{{{n}}}{{{m}}}", "{n}.{m}", "{m}\\sqrt{{{n}}}", "({m},{n})", "x^2+{n}x-{m}"]
    numbers = iter(rng.sample(range(1000, 1_000_000), count))
    answers = [rng.choice(forms).format(n=number, m=rng.randint(2, 99)) for number in numbers]
    return [(golds[i % len(golds)], response(rng, answer)) for i, answer in enumerate(answers)]


def plain(rows: Rows) -> list[bool]:
    """Whether each response is correct, by the plain loop."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    targets = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    return [verify(parse(f"${gold}$", targets), parse(text, targets)) for gold, text in rows]


def graded(rows: Rows, folder: Path, workers: int) -> list[Grade]:
    """The grades of all responses, processes and cache included."""
    golds, texts = zip(*rows, strict=True)
    with Judge(folder, workers) as judge:
        return grade_many(MATH, golds, texts, [True] * len(rows), judge)


def timed(work: Callable[[], list]) -> tuple[list, float, float]:
    """What some work gives, its seconds, and its CPU seconds, those of processes that it started and ended too."""
    begun, cpu = time.perf_counter(), sum(os.times()[:4])
    found = work()
    return found, time.perf_counter() - begun, sum(os.times()[:4]) - cpu


def compare(name: str, rows: Rows, sample: Rows, workers: int, bound: float) -> None:
    """Print the lines of one set of responses; the plain loop runs over ``sample``, which is all of them or a part."""
    with tempfile.TemporaryDirectory() as folder:
        verdicts, plain_seconds, plain_cpu = timed(lambda: plain(sample))
        grades, seconds, cpu = timed(lambda: graded(rows, Path(folder), workers))
        again, cached_seconds, cached_cpu = timed(lambda: graded(rows, Path(folder), workers))
    assert again == grades
    rate, base = len(rows) / seconds, len(sample) / plain_seconds
    verdict_of = dict(zip(rows, grades, strict=True))
    differ = sorted(
        {
            (row[0], verdict_of[row].answer or "", str(verdict_of[row].verdict), ours)
            for row, ours in zip(sample, verdicts, strict=True)
            if (verdict_of[row].verdict is Verdict.CORRECT) != ours
        }
    )
    pairs = {(gold, grade.answer or "") for (gold, _), grade in zip(rows, grades, strict=True)}
    judged = sum(MATH.quick(*pair) is None for pair in pairs)
    print(
        f"| {name} | plain loop | {len(sample):,} | | {plain_seconds:.1f} | {plain_cpu:.1f} | {base:,.0f} | 1.0 | | |"
    )
    holds = "yes" if rate / base >= bound else "no"
    row = f"{len(rows):,} | {judged:,} | {seconds:.1f} | {cpu:.1f} | {rate:,.0f} | {rate / base:.1f}"
    print(f"| {name} | grade_many, {workers} processes | {row} | {bound:.0f} | {holds} |")
    kept = len(rows) / cached_seconds
    row = f"{len(rows):,} | 0 | {cached_seconds:.2f} | {cached_cpu:.2f} | {kept:,.0f} | {kept / base:.0f}"
    print(f"| {name} | the same, from the cache | {row} | | |")
    print(f"{name}: {len(differ)} answers with another verdict {differ}", flush=True)


def main() -> None:
    """Measure both sets and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--responses", type=int, default=1024, help="of each problem (1024)")
    parser.add_argument("--distinct", type=int, default=8192, help="responses without repeats (8192)")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    rng = random.Random(0)
    golds = references(rng, given.problems)
    plain([("1", "\\boxed{1}")])  # what it loads once is no part of its time
    print("| answers | grader | responses | judged | s | CPU s | responses/s | ratio | at least | holds |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rows = repeating(rng, golds, given.responses)
    compare("repeat, problem by problem", rows, rows, given.workers, 50)
    rounds = [row for i in range(given.responses) for row in rows[i :: given.responses]]
    compare("repeat, round by round", rounds, rounds[: len(rounds) // 4], given.workers, 50)
    rows = unlike(rng, golds, given.distinct)
    compare("all unlike", rows, rows, given.workers, 2)


if __name__ == "__main__":
    main()
