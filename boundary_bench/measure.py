"""The measure stage: what the samples of one policy on one benchmark say, as tables.

Reads only the columns it needs, block by block, and keeps sums: the memory does not grow with the responses'
length. Nothing is padded or dropped: a missing, repeated or altered sample is an error.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from boundary_bench.benchmarks.base import Problem
from boundary_bench.errors import DataError, StoreError
from boundary_bench.files import read_json, write_text
from boundary_bench.grading import Verdict
from boundary_bench.plan import Plan, Policy
from boundary_bench.provenance import file_sha256
from boundary_bench.statistics.entropy import answer_entropy, miller_madow, per_token
from boundary_bench.statistics.intervals import INTERVAL, bootstrap_weights, mean_interval
from boundary_bench.statistics.passk import pass_at_k, random_pass_at_k
from boundary_bench.store import read_problems, sample_rows, write_table
from boundary_bench.study import Analysis

VERDICTS = tuple(str(verdict) for verdict in Verdict)
COLUMNS = ["problem_id", "sample", "response", "tokens", "logprob", "entropy", "verdict", "answer"]
BASE = "base"
ALL = "all"


@dataclass
class Tally:
    """Sums over the samples of every problem, in the order of the problem file.

    Attributes:
        seen_PN: how often each sample index was met; one each is expected.
        texts: pieces of (problem, response) pairs, distinct within a block.
        answers: pieces of (problem, answer, count).
    """

    seen_PN: np.ndarray
    verdicts: dict[str, np.ndarray]
    tokens_P: np.ndarray
    entropy_P: np.ndarray
    logprob_P: np.ndarray
    texts: list[pa.Table]
    answers: list[pa.Table]


def measure(plan: Plan, policy: Policy, benchmark: str) -> None:
    """Write ``problems.parquet``, ``pass_at_k.csv`` and ``summary.csv`` of a policy on a benchmark.

    Raises:
        DataError: a sample is missing, repeated or of another problem, or the manifest is of another n.
        StoreError: a file of the sample store is not the one that the manifest declares.
    """
    problems = read_problems(plan.problems(benchmark))
    files = sample_files(plan.samples(policy, benchmark), plan.study.sampling.n_max)
    n = plan.study.sampling.n_max
    tally = _tally([file for name, file in files.items() if name != "greedy.parquet"], problems, n)
    greedy = _greedy(files["greedy.parquet"], problems)
    folder, identity = plan.measures(policy, benchmark), identify(policy, benchmark)
    table = _problem_table(tally, problems, n, greedy)
    facts = {
        "policy": policy.name,
        "benchmark": benchmark,
        "n": n,
        "settings": plan.analysis_settings("measure"),
    }
    write_table(folder / "problems.parquet", table, facts)
    rows = {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}
    parts = strata(rows["stratum"])
    study = plan.study
    write_csv(
        folder / "pass_at_k.csv",
        [
            row
            for name, part_P in parts.items()
            for row in _pass_rows(rows, part_P, name, identity, study.ks, study.analysis)
        ],
    )
    write_csv(
        folder / "summary.csv",
        [_summary_row(rows, part_P, name, identity, study.analysis) for name, part_P in parts.items()],
    )


def identify(policy: Policy, benchmark: str) -> dict[str, Any]:
    """The columns that say whose row it is; a base model has algorithm "base", no seed, and step 0."""
    run = policy.run
    return {
        "model": policy.model,
        "algorithm": run.algorithm if run else BASE,
        "seed": run.seed if run else "",
        "step": policy.step,
        "policy": policy.name,
        "benchmark": benchmark,
    }


def strata(stratum_P: Sequence[str]) -> dict[str, np.ndarray]:
    """Positions of the problems of "all", and of each stratum in the order of their names.

    Unnamed strata are left out, and a single one, which would only repeat "all".
    """
    labels_P = np.asarray(stratum_P, str)
    names = sorted({str(name) for name in labels_P} - {""})
    everyone = {ALL: np.arange(len(labels_P))}
    if len(names) < 2:
        return everyone
    return everyone | {name: np.flatnonzero(labels_P == name) for name in names}


def sample_files(manifest: Path, n: int) -> dict[str, Path]:
    """The files that a sample manifest declares, every one checked against its hash.

    Raises:
        DataError: the manifest is of another n, or declares no greedy responses.
        StoreError: a file is missing or altered.
    """
    found = read_json(manifest)
    try:
        folder, hashes, declared = manifest.parent / found["folder"], dict(found["files"]), found["n"]
    except (KeyError, TypeError, ValueError) as fault:
        raise DataError(
            f"{manifest} is no sample manifest ({fault}); delete it and run the sample stage again"
        ) from None
    if declared != n or "greedy.parquet" not in hashes or len(hashes) < 2:
        raise DataError(
            f"{manifest}: found n = {declared} and {len(hashes)} files, expected n = {n} (sampling.n_max), "
            "the greedy responses and at least one block; run the sample stage again, which keeps every "
            "stored block"
        )
    for name, expected in hashes.items():
        file = folder / name
        if not file.is_file():
            raise StoreError(f"{file} is missing; delete {manifest}, which declares it, and run the same command again")
        if (actual := file_sha256(file)) != expected:
            raise StoreError(
                f"{file} has hash {actual[:12]}, {manifest} declares {str(expected)[:12]}: it was altered "
                "or torn; delete that file and the manifest, and run the same command again"
            )
    return {name: folder / name for name in hashes}


def _tally(blocks: list[Path], problems: list[Problem], n: int) -> Tally:
    total = len(problems)
    ids = pa.array([problem.id for problem in problems])
    seen_PN = np.zeros((total, n), np.int32)
    verdicts = {name: np.zeros(total, np.int64) for name in VERDICTS}
    tally = Tally(seen_PN, verdicts, np.zeros(total, np.int64), np.zeros(total), np.zeros(total), [], [])
    for file in blocks:
        rows = sample_rows(file, COLUMNS)
        place_S, verdict_S = _places(rows, ids, file), _verdicts(rows, file)
        sample_S = rows.column("sample").to_numpy()
        beyond = np.flatnonzero((sample_S < 0) | (sample_S >= n))
        if len(beyond):
            raise DataError(f"{file}: found sample index {sample_S[beyond[0]]}, expected 0 to {n - 1} (sampling.n_max)")
        np.add.at(seen_PN, (place_S, sample_S), 1)
        for code, name in enumerate(VERDICTS):
            verdicts[name] += np.bincount(place_S[verdict_S == code], minlength=total)
        length_S = pc.list_value_length(rows.column("tokens")).to_numpy()
        tally.tokens_P += np.bincount(place_S, length_S, total).astype(np.int64)
        for name, sum_P in (("entropy", tally.entropy_P), ("logprob", tally.logprob_P)):
            sum_P += np.bincount(place_S, rows.column(name).to_numpy().astype(np.float64), total)
        keyed = rows.select(["response", "answer"]).append_column("place", pa.array(place_S, pa.int32()))
        tally.texts.append(keyed.group_by(["place", "response"]).aggregate([]))
        answered = keyed.filter(pc.is_valid(keyed.column("answer")))
        tally.answers.append(answered.group_by(["place", "answer"]).aggregate([([], "count_all")]))
    _check_complete(seen_PN, problems, blocks[0].parent)
    return tally


def _check_complete(seen_PN: np.ndarray, problems: list[Problem], folder: Path) -> None:
    wrong = np.argwhere(seen_PN != 1)
    if len(wrong):
        place, index = (int(i) for i in wrong[0])
        raise DataError(
            f"{folder}: problem {problems[place].id} has sample {index} {seen_PN[place, index]} times, "
            f"expected once ({len(wrong)} such samples); delete the blocks there and their manifest, and "
            "run the sample stage again"
        )


def _places(rows: pa.Table, ids: pa.Array, file: Path) -> np.ndarray:
    """Position in the problem file of every row."""
    place = pc.index_in(rows.column("problem_id"), ids)
    if place.null_count:
        stranger = rows.column("problem_id").filter(pc.is_null(place))[0].as_py()
        raise DataError(
            f"{file}: found problem {stranger}, which is not in the problem file; it was sampled from other "
            "problems: run the sample stage again"
        )
    return place.to_numpy().astype(np.int64)


def _verdicts(rows: pa.Table, file: Path) -> np.ndarray:
    code = pc.index_in(rows.column("verdict"), pa.array(VERDICTS))
    if code.null_count:
        found = rows.column("verdict").filter(pc.is_null(code))[0].as_py()
        raise DataError(f"{file}: found verdict {found!r}, expected one of {', '.join(VERDICTS)}; grade it again")
    return code.to_numpy()


def _greedy(file: Path, problems: list[Problem]) -> list[str]:
    """The verdict on each problem's greedy response."""
    rows = sample_rows(file, ["problem_id", "sample", "verdict"])
    place_S = _places(rows, pa.array([problem.id for problem in problems]), file)
    seen_PN = np.bincount(place_S, minlength=len(problems))[:, None]
    _check_complete(seen_PN, problems, file)
    verdict_P = np.empty(len(problems), np.int64)
    verdict_P[place_S] = _verdicts(rows, file)
    return [VERDICTS[code] for code in verdict_P]


def _problem_table(tally: Tally, problems: list[Problem], n: int, greedy: list[str]) -> pa.Table:
    total = len(problems)
    texts = pa.concat_tables(tally.texts).group_by(["place", "response"]).aggregate([])
    answers = pa.concat_tables(tally.answers).group_by(["place", "answer"]).aggregate([("count_all", "sum")])
    place_A, count_A = answers.column("place").to_numpy(), answers.column("count_all_sum").to_numpy()
    count_A, place_A = count_A[order := np.lexsort((count_A, place_A))], place_A[order]
    edges = np.searchsorted(place_A, np.arange(total + 1))
    counts = [count_A[first:last] for first, last in pairwise(edges)]
    return pa.table(
        {
            "problem_id": [problem.id for problem in problems],
            "stratum": [problem.stratum for problem in problems],
            "chance": pa.array([problem.chance for problem in problems], pa.float64()),
            "n": np.full(total, n),
            **tally.verdicts,
            "tokens": tally.tokens_P,
            "entropy": tally.entropy_P,
            "logprob": tally.logprob_P,
            "distinct_responses": np.bincount(texts.column("place").to_numpy(), minlength=total),
            "distinct_answers": np.array([len(count) for count in counts]),
            "answer_entropy": np.array([answer_entropy(count) for count in counts]),
            "answer_entropy_miller_madow": np.array([miller_madow(count) for count in counts]),
            "greedy": greedy,
        }
    )


def _pass_rows(
    rows: dict[str, np.ndarray],
    part_P: np.ndarray,
    stratum: str,
    identity: dict[str, Any],
    ks: list[int],
    analysis: Analysis,
) -> list[dict[str, Any]]:
    pass_PK = pass_at_k(rows["n"][part_P], rows["correct"][part_P], ks)
    weight_BP = bootstrap_weights(len(part_P), analysis.resamples, analysis.seed)
    estimate_K, low_K, high_K = mean_interval(pass_PK, weight_BP, analysis.level)
    null_K = null_line(rows["chance"][part_P], ks)
    return [
        {
            **identity,
            "stratum": stratum,
            "k": k,
            "estimate": estimate_K[i],
            "low": low_K[i],
            "high": high_K[i],
            "level": analysis.level,
            "interval": INTERVAL,
            "problems": len(part_P),
            "n": int(rows["n"][part_P].max()),
            "samples_correct": int(rows["correct"][part_P].sum()),
            "null": null_K[i],
        }
        for i, k in enumerate(ks)
    ]


def null_line(chance_P: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """pass@k of uniformly random valid responses, mean over the problems; NaN where a chance is unknown."""
    if np.isnan(chance_P).any():
        return np.full(len(ks), np.nan)
    return random_pass_at_k(chance_P, ks).mean(0)


def _summary_row(
    rows: dict[str, np.ndarray],
    part_P: np.ndarray,
    stratum: str,
    identity: dict[str, Any],
    analysis: Analysis,
) -> dict[str, Any]:
    part = {name: values[part_P] for name, values in rows.items()}
    samples, tokens = int(part["n"].sum()), part["tokens"]
    weight_BP = bootstrap_weights(len(part_P), analysis.resamples, analysis.seed)
    greedy_PK = (part["greedy"] == str(Verdict.CORRECT)).astype(np.float64)[:, None]
    greedy, low, high = (float(value_K[0]) for value_K in mean_interval(greedy_PK, weight_BP, analysis.level))
    answered = part["distinct_answers"] > 0
    counts = {name: int(part[name].sum()) for name in VERDICTS}
    return {
        **identity,
        "stratum": stratum,
        "problems": len(part_P),
        "n": int(part["n"].max()),
        "greedy": greedy,
        "greedy_low": low,
        "greedy_high": high,
        "level": analysis.level,
        "interval": INTERVAL,
        **{f"greedy_{name}": int((part["greedy"] == name).sum()) for name in VERDICTS},
        "token_entropy": per_token(part["entropy"], tokens),
        "nll": per_token(-part["logprob"], tokens),
        "answer_entropy": _mean(part["answer_entropy"][answered]),
        "answer_entropy_miller_madow": _mean(part["answer_entropy_miller_madow"][answered]),
        "problems_with_answers": int(answered.sum()),
        "distinct_responses_share": float(part["distinct_responses"].sum()) / samples,
        "mean_tokens": float(tokens.sum()) / samples,
        "samples": samples,
        **counts,
        **{f"{name}_share": count / samples for name, count in counts.items()},
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def number(value: Any) -> str:
    """A table cell: floats with six significant digits, empty for NaN, and 0 for what is only rounding error.

    >>> [number(x) for x in (0.1 + 0.2, float("nan"), -1e-17, 3, "x")]
    ['0.3', '', '0', '3', 'x']
    """
    if not isinstance(value, float | np.floating):
        return str(value)
    return "" if np.isnan(value) else f"{round(float(value), 12) + 0.0:.6g}"


def write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as CSV: header from the keys of the first, numbers as ``number`` writes them.

    Raises:
        DataError: there is no row, or a row has other keys.
    """
    rows = list(rows)
    if not rows:
        raise DataError(f"{path}: found no row to write, expected at least one")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    try:
        writer.writerows({name: number(value) for name, value in row.items()} for row in rows)
    except ValueError as fault:
        raise DataError(f"{path}: {fault}") from None
    write_text(path, text.getvalue())
