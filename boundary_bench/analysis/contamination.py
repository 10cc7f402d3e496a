"""The contamination probe: a model gets the first part of a problem's statement and continues it greedily.

After "Reasoning or Memorization?" (Wu et al., arXiv 2507.10532): a model that has read the statement writes its rest,
and the answer to a question that it was not asked. Our choices where the paper is silent: a statement is divided
between words, one of fewer than ten words between characters; the continuation is cut to the number of tokens of the
rest, with a word, a number or a sign as a token; white space never counts. The text after the rest is graded as the
answer, since a grader may expect nothing else. A response that does not repeat the rest is graded whole.

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
    """The agreement of a continuation with the rest of a statement.

    Attributes:
        exact: whether the continuation repeats every token of the rest, in order.
        rouge_l: F1 of the longest common subsequence of tokens (Lin 2004); 1 if exact.
        reply: the response after the rest of the statement; the whole response if it does not repeat the rest.
    """

    exact: bool
    rouge_l: float
    reply: str


def score(part: Part, response: str) -> Score:
    """The agreement of a response, cut to the number of tokens of the statement's rest, with that rest."""
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
    one integer, so that the quadratic cost is spent in integer additions.

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
    """One probe of a policy on a benchmark.

    Attributes:
        fractions: parts of each statement that the model is given.
        folder: for the continuations, one file a fraction.
        judge: runs the grader.
        facts: written into every file.
        stop: stop strings of an answer.
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
    """One row a problem with continuation, scores and verdict, and the number of statements that are too short.

    Stored continuations are read; others are drawn and stored.
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
    """The probe of a policy on a benchmark: a table of one row a problem and fraction, and rows of ``contamination``.

    Args:
        whose: the columns that name policy and benchmark.

    Raises:
        DataError: a stored file is damaged, or belongs to other problems.
        ModelError, EngineError, Interrupted: see ``sampling.continuations.ask``.
        GradingError: a process of the grader does not start.
    """
    tables, rows = [], []
    for fraction in job.fractions:
        found, too_short = table(job, engine, fraction, stopped)
        tables.append(found)
        rows.append({**whose, "fraction": fraction, **_row(setup, found, too_short)})
    return pa.concat_tables(tables), rows


def origin(chosen: ProblemSet) -> str:
    """The origin of problems: "file", "set" (published), or "generated", the control, which no model has read."""
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
