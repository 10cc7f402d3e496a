"""Other graders' verdicts on stored samples, compared with the grader that the samples were drawn with.

Graders are compared on the first round of every problem: these samples were drawn before any verdict was used, so
neither grader influenced their number.

Axes: P problems, N sample indices, K values of k.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boundary_bench.analysis.rows import mean_interval
from boundary_bench.core.errors import DataError
from boundary_bench.core.parquet import read_table, write_table
from boundary_bench.grading import VERDICTS, Grader, JudgeAll, Verdict, counted, grade_many
from boundary_bench.grading.graders import NOT_SCORED, SCORES, THEIRS
from boundary_bench.samples.grades import NOT_DRAWN, Graded, places, sample_rows, scored, verdict_codes
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.passk import pass_at_k
from boundary_bench.study.analysis import Setup

MOST_CASES = 200
CASES = ["problem_id", "sample", "samples", "answer", "verdict", "reason"]
CASES += ["grader", "answer_of_grader", "verdict_of_grader", "reason_of_grader", "end"]
LONGEST_END = 200
#: Verdicts without a decision about an answer.
UNDECIDED = [VERDICTS.index(verdict) for verdict in (Verdict.TRUNCATED, Verdict.TIMEOUT)]
CORRECT = VERDICTS.index(Verdict.CORRECT)


def regrade(graded: Graded, grader: Grader, judge: JudgeAll, target: Path) -> Path:
    """Write another grader's verdicts on all samples of a policy, unless the file has them already.

    Truncated responses stay truncated. The verdicts of ``SCORES`` are in the blocks of imported samples. Rows are in
    the order of the blocks and of the samples in them.
    """
    facts = {"grader": grader.identity, "samples": graded.samples}
    if target.is_file() and facts.items() <= read_table(target, ["sample"])[1].items():
        return target
    reference_of = {problem.id: problem.reference for problem in graded.problems}
    tables = []
    for block in graded.blocks:
        if grader is SCORES:
            tables.append(_stored(block))
            continue
        rows = sample_rows(block, ["problem_id", "sample", "response", "verdict"])
        if silent := rows.column("response").null_count:
            raise DataError(
                f"{block}: {silent} samples have no response, expected one to grade; only their scores are stored"
            )
        references = [reference_of[name] for name in rows.column("problem_id").to_pylist()]
        finished = [verdict != Verdict.TRUNCATED for verdict in rows.column("verdict").to_pylist()]
        grades = grade_many(grader, references, rows.column("response").to_pylist(), finished, judge)
        found = {
            "verdict": [str(grade.verdict) for grade in grades],
            "answer": pa.array([grade.answer for grade in grades], pa.string()),
            "reason": pa.array([grade.reason for grade in grades], pa.string()),
        }
        tables.append(pa.table({"problem_id": rows.column("problem_id"), "sample": rows.column("sample"), **found}))
    write_table(target, pa.concat_tables(tables), facts)
    return target


def _stored(block: Path) -> pa.Table:
    """The verdicts by the scores that stand beside imported samples."""
    rows = sample_rows(block, ["problem_id", "sample", "score"])
    verdict = rows.column("score").cast(pa.string())
    told = {"verdict": verdict, "answer": pa.nulls(len(rows), pa.string()), "reason": pa.array([THEIRS] * len(rows))}
    return pa.table({"problem_id": rows.column("problem_id"), "sample": rows.column("sample"), **told})


def compare_graders(
    setup: Setup, graded: Graded, graders: Sequence[Grader], judge: JudgeAll, target: Callable[[str], Path]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of ``graders`` of a policy on a benchmark, and those of its ``disagreements``.

    A grader's row at a k: pass@k by its verdicts on the first round (Chen et al. 2021), mean over the problems, with
    its interval, empty if a problem has fewer than k scored samples; counts of the five verdicts, and their reasons,
    the most frequent first; and how often it disagrees with the first grader where both have decided, mean over the
    problems, with its interval.

    Args:
        graders: first the grader that the samples were drawn with, then the others.
        target: name of another grader -> file of its verdicts.

    Raises:
        GradingError: a process of a grader does not start.
    """
    blocks, ids, (own, *others) = graded.blocks, graded.ids, graders
    own_PN, first_PN = graded.verdict_PN, graded.first_PN
    rows = _grader_rows(
        setup, graded.design, own, own_PN, own_PN, first_PN, _reasons(blocks, ids, first_PN), graded.untold
    )
    cases: list[dict[str, Any]] = []
    for grader in others:
        file = regrade(graded, grader, judge, target(grader.name))
        verdict_PN, reasons = _verdicts(file, ids, own_PN), _reasons([file], ids, first_PN)
        untold = [name for name in graded.untold if name == Verdict.TRUNCATED]
        untold += NOT_SCORED if grader is SCORES else ()
        rows += _grader_rows(setup, graded.design, grader, own_PN, verdict_PN, first_PN, reasons, untold)
        cases += _cases(blocks, file, grader)
    return [{**row, "stopped_by": own.label} for row in rows], cases


def grader_ks(setup: Setup, design: Design) -> list[int]:
    """The values of k at which graders are compared: 1, and the setup's up to the size of the first round."""
    return sorted({1, *(k for k in setup.ks if k <= design.rounds[0])})


def _verdicts(file: Path, ids: Sequence[str], own_PN: np.ndarray) -> np.ndarray:
    """Another grader's verdicts (P, N), at the places of the samples' own."""
    verdict_PN = np.full_like(own_PN, NOT_DRAWN)
    rows = sample_rows(file, ["problem_id", "sample", "verdict"])
    place_S, code_S, sample_S = places(rows, ids, file), verdict_codes(rows, file), rows.column("sample").to_numpy()
    read_S = sample_S < own_PN.shape[1]
    verdict_PN[place_S[read_S], sample_S[read_S]] = code_S[read_S]
    return verdict_PN


def _reasons(files: Sequence[Path], ids: Sequence[str], first_PN: np.ndarray) -> str:
    """The reasons of the first round's verdicts with their counts, as "12 no answer found; 3 ..."."""
    found: Counter[str] = Counter()
    for file in files:
        rows = sample_rows(file, ["problem_id", "sample", "reason"])
        place_S, sample_S = places(rows, ids, file), rows.column("sample").to_numpy()
        in_S = sample_S < first_PN.shape[1]
        in_S[in_S] = first_PN[place_S[in_S], sample_S[in_S]]
        for each in rows.column("reason").filter(pa.array(in_S)).value_counts().to_pylist():
            found[counted(each["values"])] += each["counts"]
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(f"{count} {reason}" for reason, count in ordered)


def _grader_rows(
    setup: Setup,
    design: Design,
    grader: Grader,
    own_PN: np.ndarray,
    verdict_PN: np.ndarray,
    first_PN: np.ndarray,
    reasons: str,
    untold: Sequence[str],
) -> list[dict[str, Any]]:
    """The rows of one grader, one a k; ``untold`` are verdicts that nobody tells from wrong."""
    scored_PN, ks = first_PN & scored(design, verdict_PN), grader_ks(setup, design)
    n_P, correct_P = scored_PN.sum(1), (scored_PN & (verdict_PN == CORRECT)).sum(1)
    both_PN = first_PN & ~np.isin(own_PN, UNDECIDED) & ~np.isin(verdict_PN, UNDECIDED)
    differ_PN = both_PN & ((own_PN == CORRECT) != (verdict_PN == CORRECT))
    compared_P = both_PN.sum(1)
    share_C = differ_PN.sum(1)[compared_P > 0] / compared_P[compared_P > 0]
    disagreement = (float("nan"),) * 3
    if len(share_C) and verdict_PN is not own_PN:
        disagreement = mean_interval(share_C, setup.resampled(len(share_C)), setup.level)
    had = [k for k in ks if k <= n_P.min()]
    pass_PK = pass_at_k(n_P, correct_P, had) if had else np.zeros((len(n_P), 0))
    resamples = setup.resampled(len(n_P))
    shared = {
        **setup.intervals,
        "problems": len(n_P),
        "samples": int(n_P.sum()),
        **{name: int((first_PN & (verdict_PN == code)).sum()) for code, name in enumerate(VERDICTS)},
        **dict.fromkeys(untold, float("nan")),
        "reasons": reasons,
        "compared": int(compared_P.sum()),
        "disagreements": int(differ_PN.sum()),
        **dict(zip(("disagreement", "disagreement_low", "disagreement_high"), disagreement, strict=True)),
    }
    estimates = [mean_interval(value_P, resamples, setup.level) for value_P in pass_PK.T]
    estimates += [(float("nan"),) * 3] * (len(ks) - len(had))
    return [
        {"grader": grader.label, "k": k, **dict(zip(("estimate", "low", "high"), found, strict=True)), **shared}
        for k, found in zip(ks, estimates, strict=True)
    ]


def _cases(blocks: Sequence[Path], file: Path, grader: Grader) -> list[dict[str, Any]]:
    """Answers on which another grader disagrees, the most frequent first; ``end`` is the end of one such response."""
    times: Counter[tuple[Any, ...]] = Counter()
    example: dict[tuple[Any, ...], tuple[int, str]] = {}
    for a, b in _differing(blocks, read_table(file)[0]):
        key = a["problem_id"], *(each[name] for each in (a, b) for name in ("answer", "verdict", "reason"))
        times[key] += 1
        example.setdefault(key, (a["sample"], (a["response"] or "")[-LONGEST_END:]))
    rows = [
        (key[0], example[key][0], count, *key[1:4], grader.label, *key[4:], example[key][1])
        for key, count in times.most_common(MOST_CASES)
    ]
    return [dict(zip(CASES, row, strict=True)) for row in rows]


def _differing(blocks: Sequence[Path], other: pa.Table) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The samples that one grader calls correct and the other not; one file's responses at a time are in memory.

    Rows are chosen by a mask, since a choice by place would first join texts into one array, of at most 2 GiB.
    """
    decided = {str(verdict) for verdict in Verdict} - {VERDICTS[code] for code in UNDECIDED}
    first = 0
    for block in blocks:
        own = sample_rows(block, ["problem_id", "sample", "response", "verdict", "answer", "reason"])
        beside = other.slice(first, len(own))
        first += len(own)
        verdicts = zip(own.column("verdict").to_pylist(), beside.column("verdict").to_pylist(), strict=True)
        differs = [{a, b} <= decided and (a == Verdict.CORRECT) != (b == Verdict.CORRECT) for a, b in verdicts]
        yield from zip(*(rows.filter(pa.array(differs, pa.bool_())).to_pylist() for rows in (own, beside)), strict=True)
