"""The stored samples of a policy on a benchmark as counts and sums of every problem.

Nothing is padded or dropped: a missing, repeated or altered sample is an error. Blocks are read one after another, and
only a few numbers of a response are kept, so memory does not grow with the length of responses.

Axes: P problems, N sample indices, F samples of the first round, S rows of a block, A distinct answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core import randomness
from boundary_bench.core.errors import DataError
from boundary_bench.grading import VERDICTS, Verdict
from boundary_bench.samples.grades import (
    NOT_DRAWN,
    Graded,
    block_range,
    places,
    progress_of,
    sample_rows,
    verdict_codes,
)
from boundary_bench.statistics.design import Progress
from boundary_bench.statistics.entropy import answer_entropy, chao_shen, majority_at_k, miller_madow

COLUMNS = ["problem_id", "sample", "response", "tokens", "logprob", "entropy", "answer"]


@dataclass(frozen=True)
class FirstRound:
    """The scored samples of every problem's first round, in the order of their indices; texts as 64-bit keys.

    All problems have equally many, so early stopping cannot bias statistics of them. Tokens, log-probabilities and
    entropies are NaN if a block has none.

    Attributes:
        texts: whether every sample has its response.
        read: see ``Graded``.
    """

    texts: bool
    read: bool

    correct_PF: np.ndarray
    tokens_PF: np.ndarray
    logprob_PF: np.ndarray
    entropy_PF: np.ndarray
    response_PF: np.ndarray
    answered_PF: np.ndarray
    answer_PF: np.ndarray


def tally(graded: Graded, ks: Sequence[int]) -> pa.Table:
    """The samples of a policy on a benchmark as one row a problem, in the order of the problem file.

    ``n``, ``correct`` and the other verdicts count the samples up to a problem's stopping point, ``drawn`` the sample
    indices that they took: samples without a score (by default ``timeout``) are in ``drawn`` and not in ``n``. The
    columns from ``first`` on cover the first round alone. What stored samples do not tell is null: imported ones may
    have no tokens, responses, answers or greedy responses.

    Args:
        ks: sizes of the majority vote; those beyond the first round are left out.

    Raises:
        DataError: a sample is missing, or a problem has no greedy response, or two.
    """
    design, ids, verdict_PN = graded.design, graded.ids, graded.verdict_PN
    found, have_P = progress_of(design, verdict_PN)
    going = np.flatnonzero(found.going_P)
    if len(going):
        place = going[0]
        raise DataError(
            f"{graded.blocks[0].parent}: found {have_P[place]} samples of problem {ids[place]} without a gap, expected "
            f"at least {found.needed_P[place]} ({len(going)} problems lack some); run the sample stage again, which "
            "draws what is missing"
        )
    first = _first_round(graded)
    columns = {
        **_counts(graded.problems, verdict_PN, found),
        **{name: pa.nulls(len(ids), pa.int64()) for name in graded.untold},
        **_first_columns(first, [k for k in ks if k <= design.rounds[0]]),
        "greedy": pa.array(_greedy(graded.greedy, ids) if graded.greedy else [None] * len(ids), pa.string()),
    }
    return pa.table(columns)


def _counts(problems: Sequence[Problem], verdict_PN: np.ndarray, found: Progress) -> dict[str, Any]:
    used_PN = np.arange(verdict_PN.shape[1]) < found.used_P[:, None]
    counts = {name: ((verdict_PN == code) & used_PN).sum(1) for code, name in enumerate(VERDICTS)}
    return {
        "problem_id": [problem.id for problem in problems],
        "stratum": [problem.stratum for problem in problems],
        "chance": pa.array([problem.chance for problem in problems], pa.float64()),
        "n": found.samples_P,
        "correct": counts.pop(Verdict.CORRECT),
        "drawn": found.used_P,
        **counts,
    }


def _first_round(graded: Graded) -> FirstRound:
    scored_PN, size = graded.scored_PN, graded.design.rounds[0]
    blocks, ids, verdict_PN = graded.blocks, graded.ids, graded.verdict_PN
    slot_PN = np.where(scored_PN, scored_PN.cumsum(1) - 1, size)
    end = int(np.flatnonzero((slot_PN < size).any(0)).max()) + 1
    correct_PF = np.zeros((len(ids), size), bool)
    place_R, sample_R = np.nonzero(slot_PN < size)
    correct_PF[place_R, slot_PN[place_R, sample_R]] = (verdict_PN == VERDICTS.index(Verdict.CORRECT))[place_R, sample_R]
    kinds = (np.float64, np.float32, np.float32, np.uint64, bool, np.uint64)
    first = FirstRound(True, graded.read, correct_PF, *(np.zeros((len(ids), size), kind) for kind in kinds))
    texts = True
    for file in blocks:
        if block_range(file)[0] >= end:
            continue
        rows = sample_rows(file, COLUMNS)
        rows = rows.filter(pc.less(rows.column("sample"), end))
        place_S, sample_S = places(rows, ids, file), rows.column("sample").to_numpy()
        in_S = slot_PN[place_S, sample_S] < size
        rows, place_S, sample_S = rows.filter(pa.array(in_S)), place_S[in_S], sample_S[in_S]
        at_S = place_S, slot_PN[place_S, sample_S]
        first.tokens_PF[at_S] = pc.list_value_length(rows.column("tokens")).to_numpy()
        first.logprob_PF[at_S] = rows.column("logprob").to_numpy()
        first.entropy_PF[at_S] = rows.column("entropy").to_numpy()
        texts &= rows.column("response").null_count == 0
        first.response_PF[at_S] = _keys(pc.fill_null(rows.column("response"), ""))
        answer = rows.column("answer")
        first.answered_PF[at_S] = pc.is_valid(answer).to_numpy()
        first.answer_PF[at_S] = _keys(pc.fill_null(answer, ""))
    return replace(first, texts=texts)


def _keys(texts: pa.ChunkedArray) -> np.ndarray:
    """A 64-bit key of every text: among a million texts, two have the same key with probability 3e-8."""
    keys = [np.zeros(0, np.uint64)]
    for chunk in texts.chunks:
        coded = chunk.dictionary_encode()
        key_D = np.array([randomness.key(text) for text in coded.dictionary.to_pylist()], np.uint64)
        keys.append(key_D[coded.indices.to_numpy()])
    return np.concatenate(keys)


def _first_columns(first: FirstRound, ks: list[int]) -> dict[str, Any]:
    total, size = first.correct_PF.shape
    codes = [np.unique(answer_F, return_inverse=True)[1] for answer_F in first.answer_PF]
    answers = [np.where(answered_F, code_F, -1) for answered_F, code_F in zip(first.answered_PF, codes, strict=True)]
    # sorted, since the order of summation shows in the last digit
    counts = [np.sort(np.unique(answer_F[answer_F >= 0], return_counts=True)[1]) for answer_F in answers]
    majority = [
        majority_at_k(answer_F, correct_F, ks).tolist() if ks else []
        for answer_F, correct_F in zip(answers, first.correct_PF, strict=True)
    ]
    columns = {
        "first": np.full(total, size),
        "tokens": pa.array(first.tokens_PF.sum(1), pa.int64(), from_pandas=True),
        "entropy": first.entropy_PF.sum(1, dtype=np.float64),
        "logprob": first.logprob_PF.sum(1, dtype=np.float64),
        "distinct_responses": np.array([len(np.unique(response_F)) for response_F in first.response_PF]),
        "distinct_answers": np.array([len(count_A) for count_A in counts]),
        "answer_entropy": np.array([answer_entropy(count_A) for count_A in counts]),
        "answer_entropy_miller_madow": np.array([miller_madow(count_A) for count_A in counts]),
        "answer_entropy_chao_shen": np.array([chao_shen(count_A) for count_A in counts]),
        "majority": pa.array(majority, pa.list_(pa.float64())),
    }
    untold = [] if first.texts else ["distinct_responses"]
    if not first.read:
        untold += ["distinct_answers", *(name for name in columns if name.startswith("answer_")), "majority"]
    return columns | {name: pa.nulls(total, pa.array(columns[name]).type) for name in untold}


def _greedy(files: Sequence[Path], ids: Sequence[str]) -> list[str]:
    """The verdict on each problem's greedy response."""
    code_P = np.full(len(ids), NOT_DRAWN)
    for file in files:
        rows = sample_rows(file, ["problem_id", "verdict"])
        place_S = places(rows, ids, file)
        again = np.flatnonzero((np.bincount(place_S, minlength=len(ids)) + (code_P != NOT_DRAWN)) > 1)
        if len(again):
            raise DataError(
                f"{file}: found more than one greedy response to problem {ids[again[0]]}, expected one; delete the "
                "file and its manifest, and run the sample stage again"
            )
        code_P[place_S] = verdict_codes(rows, file)
    missing = np.flatnonzero(code_P == NOT_DRAWN)
    if len(missing):
        raise DataError(
            f"found no greedy response to problem {ids[missing[0]]} in {', '.join(map(str, files))}, expected one; run "
            "the sample stage again"
        )
    return [VERDICTS[code] for code in code_P]
