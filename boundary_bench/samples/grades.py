"""The verdicts of stored samples, and the progress of a design with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core.errors import DataError
from boundary_bench.core.files import read_json
from boundary_bench.core.parquet import read_table
from boundary_bench.core.provenance import fingerprint
from boundary_bench.grading import VERDICTS, Verdict
from boundary_bench.grading.graders import SCORES
from boundary_bench.samples.manifest import files_of, sample_files
from boundary_bench.statistics.design import Design, Progress, progress

NOT_DRAWN = -1
#: Most sample indices of a problem, as a multiple of n_max: further samples replace those without a score.
SPARE = 2
BLOCK = re.compile(r"block-(\d{6,})-(\d{6,})(?:-(\d+))?\.parquet")


def block_range(file: Path) -> tuple[int, int]:
    """The sample indices [first, stop) in the name of a block.

    Raises:
        DataError: it is not the name of a block.
    """
    found = BLOCK.fullmatch(file.name)
    if found is None:
        raise DataError(f"{file}: this is no name of a block, expected block-FIRST-STOP.parquet; move the file away")
    return int(found[1]), int(found[2])


def sample_rows(path: Path, columns: list[str]) -> pa.Table:
    """Columns of a block, dictionaries decoded."""
    return decoded(read_table(path, columns)[0])


def decoded(table: pa.Table) -> pa.Table:
    """The same samples with ids, verdicts and reasons as plain text."""
    for name in ("problem_id", "verdict", "reason"):
        if name in table.column_names:
            index = table.schema.get_field_index(name)
            table = table.set_column(index, name, table.column(name).cast(pa.string()))
    return table


@dataclass(frozen=True)
class Graded:
    """The graded samples of a policy on a benchmark, as declared by its manifests.

    Attributes:
        problems: in the order of the problem file.
        greedy, blocks: the files, checked against their hashes; imported samples have no greedy ones.
        samples: a fingerprint of the files.
        read: whether a grader read answers in the responses; else their verdicts are those of somebody's files.
        untold: verdicts that nobody tells from wrong, in stored samples.
        verdict_PN: int8, each verdict's place in ``VERDICTS`` or ``NOT_DRAWN``, for sample indices below
            ``SPARE * n_max``.
    """

    problems: Sequence[Problem]
    design: Design
    greedy: Sequence[Path]
    blocks: Sequence[Path]
    samples: str
    read: bool
    untold: Sequence[str]
    verdict_PN: np.ndarray

    @property
    def ids(self) -> list[str]:
        """The ids of the problems."""
        return [problem.id for problem in self.problems]

    @property
    def scored_PN(self) -> np.ndarray:
        """Mask of the stored samples that have a score."""
        return scored(self.design, self.verdict_PN)

    @property
    def first_PN(self) -> np.ndarray:
        """Mask of the samples drawn before any verdict was looked at: the first round of every problem."""
        scored_PN = self.scored_PN
        return (self.verdict_PN != NOT_DRAWN) & (scored_PN.cumsum(1) - scored_PN < self.design.rounds[0])


def read_graded(manifests: Sequence[Path], problems: Sequence[Problem], design: Design) -> Graded:
    """Read the verdicts of a policy's samples.

    Raises:
        DataError: as ``add_verdicts``, or a manifest declares another design.
        StoreError: a file is missing or altered.
    """
    greedy, blocks = sample_files(manifests, design.record())
    verdict_PN = read_verdicts(blocks, [problem.id for problem in problems], design.n_max)
    said = read_json(manifests[0])
    told = said.get("grader") != SCORES.identity, said.get("untold", ())
    return Graded(problems, design, greedy, blocks, fingerprint(files_of(manifests)), *told, verdict_PN)


def read_verdicts(files: Sequence[Path], ids: Sequence[str], n_max: int) -> np.ndarray:
    """``Graded.verdict_PN`` of the given blocks."""
    verdict_PN = np.full((len(ids), SPARE * n_max), NOT_DRAWN, np.int8)
    for file in files:
        add_verdicts(verdict_PN, sample_rows(file, ["problem_id", "sample", "verdict"]), ids, file)
    return verdict_PN


def add_verdicts(verdict_PN: np.ndarray, rows: pa.Table, ids: Sequence[str], file: Path) -> None:
    """Enter the verdicts of a block in ``verdict_PN``.

    Raises:
        DataError: a sample has an unknown problem or verdict, lies outside the block's range, or is there already.
    """
    place_S, code_S = places(rows, ids, file), verdict_codes(rows, file)
    sample_S, (first, stop) = rows.column("sample").to_numpy(), block_range(file)
    outside = sample_S[(sample_S < first) | (sample_S >= stop)]
    if len(outside):
        raise DataError(
            f"{file}: found sample index {outside[0]}, expected {first} to {stop - 1} as its name says; "
            "delete the file and run the sample stage again"
        )
    width = verdict_PN.shape[1]
    read_S = sample_S < width
    place_S, sample_S, code_S = place_S[read_S], sample_S[read_S], code_S[read_S]
    key_U, times_U = np.unique(place_S * width + sample_S, return_counts=True)
    place_U, sample_U = np.divmod(key_U, width)
    again = np.flatnonzero((times_U > 1) | (verdict_PN[place_U, sample_U] != NOT_DRAWN))
    if len(again):
        raise DataError(
            f"{file}: found sample {sample_U[again[0]]} of problem {ids[place_U[again[0]]]} in this block and once "
            "more in this or another one, expected once; delete the file and run the sample stage again"
        )
    verdict_PN[place_S, sample_S] = code_S


def progress_of(design: Design, verdict_PN: np.ndarray) -> tuple[Progress, np.ndarray]:
    """The progress of a design, and have_P: how many samples each problem has stored from index 0 on without a gap."""
    drawn_PN = verdict_PN != NOT_DRAWN
    have_P = np.where(drawn_PN.all(1), drawn_PN.shape[1], drawn_PN.argmin(1))
    return progress(design, have_P, scored(design, verdict_PN), verdict_PN == VERDICTS.index(Verdict.CORRECT)), have_P


def scored(design: Design, verdict_PN: np.ndarray) -> np.ndarray:
    """Mask of the stored samples that have a score under a design."""
    without = [VERDICTS.index(verdict) for verdict in design.unscored]
    return (verdict_PN != NOT_DRAWN) & ~np.isin(verdict_PN, without)


def places(rows: pa.Table, ids: Sequence[str], file: Path) -> np.ndarray:
    """Place in ``ids`` of every row's problem; an unknown problem raises DataError."""
    place = pc.index_in(rows.column("problem_id"), pa.array(ids, pa.string()))
    if place.null_count:
        stranger = rows.column("problem_id").filter(pc.is_null(place))[0].as_py()
        raise DataError(
            f"{file}: found problem {stranger}, which is not in the problem file; it was sampled from other "
            "problems: run the sample stage again"
        )
    return place.to_numpy().astype(np.int64)


def verdict_codes(rows: pa.Table, file: Path) -> np.ndarray:
    """Place in ``VERDICTS`` of every row's verdict; an unknown verdict raises DataError."""
    code = pc.index_in(rows.column("verdict"), pa.array(VERDICTS))
    if code.null_count:
        found = rows.column("verdict").filter(pc.is_null(code))[0].as_py()
        raise DataError(f"{file}: found verdict {found!r}, expected one of {', '.join(VERDICTS)}; grade it again")
    return code.to_numpy().astype(np.int8)
