"""Single samples from a store: ids and verdicts of all samples are read, whole rows only of those to show.

Axes: P problems to show, N sample indices, S rows of a file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from boundary_bench.core.errors import DataError
from boundary_bench.grading import VERDICTS, Verdict
from boundary_bench.plan import Plan
from boundary_bench.samples.grades import NOT_DRAWN, SPARE, add_verdicts, decoded, places, progress_of, sample_rows
from boundary_bench.samples.manifest import GREEDY, declared_files
from boundary_bench.statistics.design import Design
from boundary_bench.study.policies import Policy

#: Correct samples to show, and samples that are not correct: those with the lowest indices.
SAMPLES_EACH = 3
#: Bytes to unpack at a time, since a response can be a megabyte.
BYTES_AT_A_TIME = 8_000_000
COLUMNS = ["problem_id", "sample", "response", "tokens", "logprob", "entropy", "verdict", "answer", "reason"]
CORRECT = VERDICTS.index(Verdict.CORRECT)


@dataclass(frozen=True)
class Sample:
    """One stored response, whole.

    Attributes:
        sample: its index in the store; None for the greedy response.
        tokens: number of tokens; ``logprob`` and ``entropy`` are sums over them. None if the store has no value.
    """

    problem_id: str
    sample: int | None
    response: str
    tokens: int | None
    logprob: float | None
    entropy: float | None
    verdict: str
    answer: str | None
    reason: str


@dataclass(frozen=True)
class Dispute:
    """A sample that stands for all on which another grader disagrees in the same way.

    Attributes:
        samples: number of these samples.
    """

    sample: int
    samples: int
    grader: str
    verdict: str


def files_here(plan: Plan, policy: Policy, benchmark: str) -> tuple[list[Path], int]:
    """The sample files of a policy, and the number of deleted ones."""
    manifests = plan.samples(policy, benchmark)
    files = sorted(
        {
            file
            for manifest in manifests
            for file in declared_files(manifest, plan.design_of(policy, benchmark).record())
        }
    )
    return files, sum(not file.is_file() for file in files)


def disputes(plan: Plan, policy: Policy, benchmark: str) -> dict[str, list[Dispute]]:
    """The disputes of other graders about a policy's samples, by problem."""
    path = plan.measures(policy, benchmark) / "disagreements.csv"
    kinds = {"problem_id": pa.string(), "sample": pa.int64(), "samples": pa.int64()}
    kinds |= {"grader": pa.string(), "verdict_of_grader": pa.string()}
    found: dict[str, list[Dispute]] = defaultdict(list)
    try:
        # in one block, since an answer can be longer than a default block
        table = csv.read_csv(
            path,
            csv.ReadOptions(block_size=path.stat().st_size + 1),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(include_columns=list(kinds), column_types=kinds),
        )
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run the measure stage (snakemake does)") from None
    except (pa.ArrowInvalid, KeyError) as fault:
        raise DataError(f"{path} is torn ({fault}); delete it and run the same command again") from None
    for name, *rest in zip(*(table.column(name).to_pylist() for name in kinds), strict=True):
        found[name].append(Dispute(*rest))
    return dict(found)


def read_shown(
    design: Design, files: Sequence[Path], counts: Mapping[str, tuple[int, int]], asked: Mapping[str, Sequence[int]]
) -> Iterator[Sample]:
    """The samples to show of some problems: greedy, the first correct and not correct ones, and those in ``asked``.

    Only samples up to a problem's stopping point, which its counts cover. Responses are unpacked one after another, so
    memory does not grow with them.

    Args:
        files: all sample files of a policy.
        counts: number of samples and of correct samples of each problem, by id.
        asked: further sample indices to show, by id.

    Raises:
        DataError: a file is torn, or its samples differ from the counts.
    """
    ids, (greedy, blocks) = list(counts), ([], [])
    verdict_PN = np.full((len(ids), SPARE * design.n_max), NOT_DRAWN, np.int8)
    found: list[tuple[Path, np.ndarray, np.ndarray, np.ndarray]] = []
    for file in files:
        (greedy if file.name.startswith(GREEDY) else blocks).append(file)
        rows = sample_rows(file, ["problem_id", "sample", "verdict"])
        row_S = np.flatnonzero(pc.is_in(rows.column("problem_id"), pa.array(ids, pa.string())))
        rows = rows.take(row_S)
        if file in blocks:
            add_verdicts(verdict_PN, rows, ids, file)
        found.append((file, row_S, places(rows, ids, file), rows.column("sample").to_numpy()))
    shown_PN = _shown(design, verdict_PN, counts, asked)
    for file, row_S, place_S, sample_S in found:
        if file in greedy:
            yield from _rows_at(file, row_S, greedy=True)
            continue
        read_S = sample_S < shown_PN.shape[1]
        row_S, place_S, sample_S = row_S[read_S], place_S[read_S], sample_S[read_S]
        yield from _rows_at(file, row_S[shown_PN[place_S, sample_S]], greedy=False)


def _shown(
    design: Design, verdict_PN: np.ndarray, counts: Mapping[str, tuple[int, int]], asked: Mapping[str, Sequence[int]]
) -> np.ndarray:
    """shown_PN: whether to show a sample; refuses samples that differ from the counts."""
    found, _ = progress_of(design, verdict_PN)
    shown_PN = np.zeros(verdict_PN.shape, bool)
    for place, (name, counted) in enumerate(counts.items()):
        stored = found.samples_P[place], found.correct_P[place]
        if stored != counted:
            raise DataError(
                f"problem {name}: found {stored[1]} correct of {stored[0]} stored samples, expected "
                f"{counted[1]} of {counted[0]} as measured; the store was altered: run the sample stage "
                "again, which checks it"
            )
        verdict_N = verdict_PN[place, : found.used_P[place]]
        for side_N in (verdict_N == CORRECT, verdict_N != CORRECT):
            shown_PN[place, np.flatnonzero(side_N)[:SAMPLES_EACH]] = True
        shown_PN[place, [sample for sample in asked.get(name, ()) if sample < shown_PN.shape[1]]] = True
    return shown_PN & (verdict_PN != NOT_DRAWN)


def _rows_at(path: Path, row_S: np.ndarray, greedy: bool) -> Iterator[Sample]:
    """The samples in some rows of a file, in file order; other row groups are not read."""
    try:
        with pq.ParquetFile(path, buffer_size=1 << 20) as file:
            first = 0
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                here_S = row_S[(row_S >= first) & (row_S < first + size)] - first
                if len(here_S):
                    yield from _in_group(file, group, here_S, greedy)
                first += size
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as fault:
        raise DataError(f"{path} is torn or not ours ({fault}); delete it and run the sample stage again") from None


def _in_group(file: pq.ParquetFile, group: int, row_S: np.ndarray, greedy: bool) -> Iterator[Sample]:
    first, whole = 0, file.metadata.row_group(group)
    size = max(1, BYTES_AT_A_TIME * whole.num_rows // max(1, whole.total_byte_size))
    for batch in file.iter_batches(size, [group], COLUMNS):
        here_S = row_S[(row_S >= first) & (row_S < first + len(batch))] - first
        if len(here_S):
            for row in decoded(pa.Table.from_batches([batch]).take(here_S)).to_pylist():
                tokens = None if row["tokens"] is None else len(row["tokens"])
                yield Sample(**row | {"tokens": tokens, "sample": None if greedy else row["sample"]})
        first += len(batch)
        if first > row_S[-1]:
            return
