"""The contamination probe: a model gets the first part of a problem's statement and writes on, greedily.

After "Reasoning or Memorization?" (Wu et al., arXiv 2507.10532): a model that has read the statement writes the rest of
it, and the answer to a question that it was not asked. Where the paper leaves it open: a statement is divided between
words, those of fewer than ten words between characters; the continuation is cut to as many tokens as the rest has, a
token being a word, a number or a sign; white space never counts. What follows the rest is graded as the answer: a
grader may expect nothing else. A response that does not repeat the rest is graded whole.

Axes: P problems of one fraction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boundary_bench.analysis.rows import mean_interval
from boundary_bench.benchmarks.base import Problem
from boundary_bench.benchmarks.problem_sets import ProblemSet
from boundary_bench.core.errors import DataError
from boundary_bench.core.parquet import read_verified, write_table
from boundary_bench.grading import VERDICTS, Grader, JudgeAll, Verdict, grade_many
from boundary_bench.sampling.continuations import Part, Probed, ask, probed
from boundary_bench.sampling.engine import Engine
from boundary_bench.study.analysis import Setup
from boundary_bench.study.sampling import Sampling

TOKEN = re.compile(r"\w+|[^\w\s]")
CHARACTER = re.compile(r"\S")


@dataclass(frozen=True)
class Score:
    """How a continuation agrees with the rest of a statement.

    Attributes:
        exact: every token of the rest is there, in its place.
        rouge_l: F1 of the longest common subsequence of tokens (Lin 2004); 1 where exact.
        reply: what the response says after the rest of the statement; all of it where it does not repeat that.
    """

    exact: bool
    rouge_l: float
    reply: str


def score(part: Part, response: str) -> Score:
    """Compare a response, cut to as many tokens as the rest of the statement has, with that rest."""
    pattern = CHARACTER if part.by_characters else TOKEN
    expected = pattern.findall(part.rest)
    matches = list(islice(pattern.finditer(response), len(expected)))
    found = [match.group() for match in matches]
    common, exact = longest_common_subsequence(expected, found), expected == found
    reply = response[matches[-1].end() :] if exact else response
    return Score(exact, 2 * common / (len(expected) + len(found)), reply)


def longest_common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence.

    Bit-parallel (Crochemore et al., Information Processing Letters 2001; this form is Hyyro's): a row of the table is
    one integer, so that its quadratic cost is that of additions.

    >>> longest_common_subsequence("nematode", "empty")
    3
    """
    places: dict[str, int] = {}
    for place, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << place
    everywhere = (1 << len(one)) - 1
    row = everywhere
    for token in other:
        hits = row & places.get(token, 0)
        row = ((row + hits) | (row - hits)) & everywhere
    return len(one) - row.bit_count()


@dataclass(frozen=True)
class ProbeJob:
    """What is probed.

    Attributes:
        fractions: how much of each statement the model is given.
        folder: where the continuations are kept, one file a fraction.
        judge: who judges the answers.
        facts: written into every file.
        stop: strings at which an answer ends.
    """

    problems: Sequence[Problem]
    fractions: Sequence[float]
    grader: Grader
    sampling: Sampling
    folder: Path
    judge: JudgeAll
    facts: dict[str, Any]
    stop: Sequence[str] = ()


def table(job: ProbeJob, engine: Engine, fraction: float, stopped: Callable[[], bool]) -> tuple[pa.Table, int]:
    """One row a problem: its continuation, scores and verdict, drawn where it is not kept; and how many are too short.

    Raises:
        DataError: the file is damaged, or of other problems.
        ModelError, EngineError, GradingError, Interrupted: see ``ask`` and ``grading.grade_many``.
    """
    chosen = probed(job.problems, fraction, lambda text: engine.tokenizer.encode(text).ids)
    path = job.folder / f"{fraction}.parquet"
    if not path.exists():
        drawn = _draw(job, engine, chosen, stopped)
        write_table(path, drawn, {**job.facts, "fraction": fraction})
    kept = read_verified(path)[0]
    if kept.column("problem_id").to_pylist() != [problem.id for problem in chosen.problems]:
        raise DataError(f"{path} is of other problems; delete it and run the same command again")
    parts, responses = chosen.parts, kept.column("response").to_pylist()
    scores = [score(part, text) for part, text in zip(parts, responses, strict=True)]
    columns = {
        "fraction": pa.array([fraction] * len(parts), pa.float64()),
        "given": pa.array([part.given for part in parts], pa.string()),
        "rest": pa.array([part.rest for part in parts], pa.string()),
        "by_characters": pa.array([part.by_characters for part in parts], pa.bool_()),
        "exact": pa.array([each.exact for each in scores], pa.bool_()),
        "rouge_l": pa.array([each.rouge_l for each in scores], pa.float64()),
    }
    for name, values in columns.items():
        kept = kept.append_column(name, values)
    return kept, chosen.too_short


def _draw(job: ProbeJob, engine: Engine, chosen: Probed, stopped: Callable[[], bool]) -> pa.Table:
    ids = [problem.id for problem in chosen.problems]
    texts, finished = ask(engine, chosen.parts, ids, job.sampling, stopped, job.stop)
    references = [problem.reference for problem in chosen.problems]
    replies = [score(part, text).reply for part, text in zip(chosen.parts, texts, strict=True)]
    for place, reply in enumerate(replies):
        if ends := [end for string in job.stop if (end := reply.find(string)) >= 0]:
            replies[place], finished[place] = reply[: min(ends)], True
    grades = grade_many(job.grader, references, replies, finished, job.judge)
    columns = {
        "problem_id": ids,
        "response": texts,
        "verdict": [str(grade.verdict) for grade in grades],
        "answer": [grade.answer for grade in grades],
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def probe(
    setup: Setup, whose: dict[str, Any], job: ProbeJob, engine: Engine, stopped: Callable[[], bool]
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """What a policy makes of a benchmark at every fraction: a row a problem and fraction, and the rows of
    ``contamination``.

    Args:
        whose: the columns that name policy and benchmark.

    Raises:
        DataError, ModelError, EngineError, GradingError, Interrupted: see ``table``.
    """
    tables, rows = [], []
    for fraction in job.fractions:
        found, too_short = table(job, engine, fraction, stopped)
        tables.append(found)
        rows.append({**whose, "fraction": fraction, **_row(setup, found, too_short)})
    return pa.concat_tables(tables), rows


def origin(chosen: ProblemSet) -> str:
    """Where problems come from: "file", "set" (published), or "generated", which no model has read: the control."""
    if chosen.entry.data:
        return "file"
    return "set" if chosen.kind.source or chosen.kind.name.startswith("lm_eval:") else "generated"


def _row(setup: Setup, found: pa.Table, too_short: int) -> dict[str, Any]:
    verdict_P = np.array(found.column("verdict").to_pylist(), str)
    scored_P = verdict_P != str(Verdict.TIMEOUT)
    values = {
        "exact": found.column("exact").to_numpy().astype(np.float64),
        "rouge_l": found.column("rouge_l").to_numpy(),
        "accuracy": (verdict_P == str(Verdict.CORRECT))[scored_P].astype(np.float64),
    }
    cells: dict[str, Any] = {"problems": len(verdict_P), "too_short": too_short}
    cells["by_characters"] = int(found.column("by_characters").to_numpy().sum())
    for name, value_P in values.items():
        estimate = (float("nan"),) * 3
        if len(value_P):
            estimate = mean_interval(value_P, setup.resampled(len(value_P)), setup.level)
        cells |= dict(zip((name, f"{name}_low", f"{name}_high"), estimate, strict=True))
    counts = {name: int((verdict_P == name).sum()) for name in VERDICTS}
    return {**cells, **setup.intervals, **counts}
