"""A block under construction: grades responses and collects them until the file is complete.

Axes: G problems of the file, B sample indices, S responses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from boundary_bench.benchmarks.base import Problem
from boundary_bench.grading import Grader, JudgeAll, grade_many
from boundary_bench.models.tokenizer import shown
from boundary_bench.sampling.engine import Responses
from boundary_bench.sampling.stops import cut


@dataclass(frozen=True)
class BlockGrading:
    """How responses become verdicts: the grader, the judge that runs it, and the stop strings of a response."""

    grader: Grader
    judge: JudgeAll
    stop: Sequence[str]


@dataclass
class SampleBlock:
    """The samples ``index_B`` of the problems at ``place_G``.

    Attributes:
        tables: graded rows by their first prompt, since engines finish prompts in any order and a file has one order.
    """

    path: Path
    place_G: np.ndarray
    index_B: np.ndarray
    problems: Sequence[Problem]
    tables: dict[int, pa.Table] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)

    @property
    def size(self) -> int:
        """Number of samples of the complete block."""
        return len(self.problems) * len(self.index_B)

    @property
    def whole(self) -> bool:
        """Whether every sample is graded."""
        return self.verdicts.total() == self.size

    def take(self, grading: BlockGrading, tokenizer: Tokenizer, responses: Responses) -> None:
        """Grade responses and keep them."""
        table, verdicts = graded(grading, self.problems, tokenizer, responses, self.index_B)
        self.tables[int(responses.prompt_S[0])] = table
        self.verdicts.update(verdicts)

    def rows(self) -> pa.Table:
        """The rows of the whole file, in the order of its problems."""
        return pa.concat_tables([table for _, table in sorted(self.tables.items())])


def graded(
    grading: BlockGrading, problems: Sequence[Problem], tokenizer: Tokenizer, responses: Responses, index_B: np.ndarray
) -> tuple[pa.Table, list[str]]:
    """Graded responses as rows of the store; equal token sequences are decoded once."""
    response = texts(tokenizer, responses)
    if grading.stop:
        responses, response = cut(responses, response, grading.stop, tokenizer)
    references = [problems[place].reference for place in responses.prompt_S]
    grades = grade_many(grading.grader, references, response, responses.finished_S.tolist(), grading.judge)
    verdicts = [str(grade.verdict) for grade in grades]
    ids = np.array([problem.id for problem in problems])
    table = pa.table(
        {
            "problem_id": pa.array(ids[responses.prompt_S]),
            "sample": pa.array(np.tile(index_B, len(response) // len(index_B)), pa.int32()),
            "response": response,
            "tokens": list_column(responses.token_ST, responses.length_S),
            "logprob": pa.array(responses.logprob_ST.sum(1), pa.float32()),
            "entropy": pa.array(responses.entropy_ST.sum(1), pa.float32()),
            "verdict": verdicts,
            "answer": pa.array([grade.answer for grade in grades], pa.string()),
            "reason": pa.array([grade.reason for grade in grades], pa.string()),
        }
    )
    return table, verdicts


def texts(tokenizer: Tokenizer, responses: Responses) -> list[str]:
    """The responses as text; see ``shown``."""
    keys = [row[:n].tobytes() for row, n in zip(responses.token_ST, responses.length_S, strict=True)]
    ended = dict(zip(keys, responses.finished_S.tolist(), strict=True))
    rows = [np.frombuffer(key, responses.token_ST.dtype).tolist() for key in ended]
    text_of = dict(zip(ended, shown(tokenizer, rows, list(ended.values())), strict=True))
    return [text_of[key] for key in keys]


def list_column(rows: np.ndarray, length_S: np.ndarray) -> pa.Array:
    """A ragged column from padded rows."""
    offsets = np.concatenate([[0], np.cumsum(length_S)]).astype(np.int32)
    values = rows[np.arange(rows.shape[1])[None] < length_S[:, None]]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, pa.int32()))
