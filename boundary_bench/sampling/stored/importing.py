"""The import stage: stored rows become blocks of graded samples, as the sample stage writes them.

Axes: P problems, S rows of a block.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core.errors import DataError, did_you_mean
from boundary_bench.core.files import read_json, write_json
from boundary_bench.core.parquet import read_table, write_table
from boundary_bench.core.provenance import file_sha256, fingerprint
from boundary_bench.grading import Grade, Grader, JudgeAll, Verdict, grade_many
from boundary_bench.grading.graders import NOT_SCORED
from boundary_bench.samples.grades import SPARE
from boundary_bench.samples.store import SAMPLES
from boundary_bench.sampling.stored.matching import Matcher
from boundary_bench.sampling.stored.reading import Placed, Reader, theirs
from boundary_bench.sampling.stored.rows import Counted, Stored
from boundary_bench.study.stored import StoredSamples

#: Rows and characters of a block, whichever comes first.
BLOCK_ROWS, BLOCK_TEXT = 2**14, 2**25
#: The columns of a block, and what the files' own scores say.
IMPORTED = SAMPLES.append(pa.field("score", SAMPLES.field("verdict").type))
COUNTED = "counted by the file"  # the reason of a grade


@dataclass(frozen=True)
class Import:
    """One import: the samples of a policy on a benchmark, in somebody's files.

    Attributes:
        grader: grades the responses; None: the files' own scores count.
        facts: facts that every block carries.
    """

    said: StoredSamples
    files: Sequence[Path]
    problems: Sequence[Problem]
    grader: Grader | None
    judge: JudgeAll
    facts: dict[str, Any]
    log: Callable[[str], None]


def run(job: Import, target: Path) -> dict[str, Any]:
    """Write the samples into the folder ``target``, all of them or none; returns facts of the manifest.

    Facts: hashes of the blocks by name (``files``), a key of what the rows say (``content``), whether the files' own
    scores stand beside our grades (``scored``), whether every row has its response (``texts``), which verdicts nobody
    tells from wrong (``untold``), and what is to be known of the samples (``notes``).

    Raises:
        DataError: a file cannot be read, a row or its problem is not as expected, or a problem has fewer than n
            samples.
    """
    done = target / "import.json"
    if not _whole(done):
        shutil.rmtree(target, ignore_errors=True)  # of an import that was stopped, or was altered since
        rows = _Rows(job, target)
        reader = Reader(job.said.columns, rows.note)
        for file, some in reader.batches(job.files):
            rows.add(file, some)
        write_json(done, rows.finish())
    return read_json(done)


def _whole(done: Path) -> bool:
    """Whether an import has come to its end, and its blocks are as they were then."""
    blocks = read_json(done)["files"].items() if done.exists() else ()
    files = [(done.with_name(name), said) for name, said in blocks]
    return bool(files) and all(file.is_file() and file_sha256(file) == said for file, said in files)


@dataclass
class _Rows:
    """The rows that were read so far.

    Attributes:
        rows: of the block to be written next.
        blocks: those that are written.
        index_of: the sample indices of every problem.
        policies: rows of every policy in the files.
        text_P: hash of the first response of every problem, None before it; False once another one came.
    """

    job: Import
    target: Path
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    blocks: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    policies: dict[str, int] = field(default_factory=dict)
    size: int = 0
    unscored: int = 0
    unended: int = 0
    silent: int = 0

    def __post_init__(self) -> None:
        self.matcher = Matcher(self.job.problems)
        self.index_of: list[list[int]] = [[] for _ in self.job.problems]
        self.timeouts_P = [0] * len(self.job.problems)
        self.text_P: list[int | bool | None] = [None] * len(self.job.problems)
        self.digest_P = [hashlib.blake2b(digest_size=16) for _ in self.job.problems]
        self.ids = [problem.id for problem in self.job.problems]

    def note(self, line: str) -> None:
        """Tell the user something that the manifest keeps."""
        self.job.log(line)
        self.notes.append(line)

    def add(self, file: Path, some: Sequence[Placed]) -> None:
        """Grade and keep the rows of the chosen policy whose problems the benchmark has."""
        chosen: list[tuple[int, Placed]] = []
        for each in some:
            self.policies[each.row.policy] = self.policies.get(each.row.policy, 0) + 1
            if each.row.policy == (self.job.said.policy or each.row.policy):
                place = self.matcher.place(file, each)
                if place is not None:
                    chosen.append((place, each))
        if not self.job.said.policy and len(self.policies) > 1:
            raise DataError(
                f"{file}: found samples of the policies {', '.join(map(repr, self.policies))[:200]}, expected those of "
                "one; write into the study policy: NAME"
            )
        single = [(place, each, each.row) for place, each in chosen if isinstance(each.row, Stored)]
        for (place, each, row), grade in zip(single, self._grades(file, single), strict=True):
            score = None if row.score is None else grade
            if score and self.job.grader:
                score = theirs(row, self.job.said.correct_from, file)
            self.unscored += score is None
            self.unended += row.ended is None
            self._enter(place, each.index, row.text, grade, score and str(score.verdict))
            if row.text is not None:
                self._hear(place, row.text)
        for place, each in chosen:
            if isinstance(each.row, Counted):
                self._expand(file, place, each.row)

    def _grades(self, file: Path, single: Sequence[tuple[int, Placed, Stored]]) -> list[Grade]:
        """The grade of every response, by our grader or the file's score."""
        grader = self.job.grader
        if grader is None:
            return [theirs(row, self.job.said.correct_from, file) for _, _, row in single]
        for _, _, row in single:
            if row.text is None:
                raise DataError(
                    f"{file}: row {row.row} has no response, expected one to grade; columns: {{response: PLACE}} says "
                    "where it is, and grades: scores takes the files' own scores"
                )
        references = [self.job.problems[place].reference for place, _, _ in single]
        texts = [row.text or "" for _, _, row in single]
        return grade_many(grader, references, texts, [row.ended is not False for _, _, row in single], self.job.judge)

    def _enter(self, place: int, index: int, text: str | None, grade: Grade, score: str | None) -> None:
        verdict = str(grade.verdict)
        told = (None, None, None, verdict, grade.answer, grade.reason, score)
        self.rows.append((self.ids[place], index, text, *told))
        self.index_of[place].append(index)
        self.timeouts_P[place] += grade.verdict is Verdict.TIMEOUT
        self.digest_P[place].update(f"{verdict}\0{text}\0".encode(errors="surrogatepass"))
        self.silent += text is None
        self.size += len(text or "")
        if len(self.rows) >= BLOCK_ROWS or self.size >= BLOCK_TEXT:
            self._write()

    def _hear(self, place: int, text: str) -> None:
        """Notice whether the responses to a problem differ."""
        first = self.text_P[place]
        if first is None:
            self.text_P[place] = hash(text)
        elif first is not False and hash(text) != first:
            self.text_P[place] = False

    def _expand(self, file: Path, place: int, row: Counted) -> None:
        """Enter counts as samples without responses; their order is nothing, and no number depends on it."""
        if row.n != self.job.said.n:
            raise DataError(
                f"{file}: row {row.row}: found counts of {row.n} samples, expected n: {self.job.said.n} as the study "
                "says, since counts cannot be divided; write their number there"
            )
        self.unended += row.n
        for index in range(row.n):
            verdict = Verdict.CORRECT if index < row.c else Verdict.WRONG
            self._enter(place, index, None, Grade(verdict, None, COUNTED), None)

    def _write(self) -> None:
        """Write the rows as a block of all sample indices, which holds those of its rows."""
        columns = zip(IMPORTED, zip(*self.rows, strict=True), strict=True)
        table = pa.table({kind.name: pa.array(column, kind.type) for kind, column in columns})
        number = f"-{len(self.blocks)}" if self.blocks else ""
        path = self.target / f"block-000000-{SPARE * self.job.said.n:06d}{number}.parquet"
        write_table(path, table, self.job.facts)
        self.blocks.append(path)
        self.rows, self.size = [], 0

    def finish(self) -> dict[str, Any]:
        """Write the last block, check that every problem has its samples, and say what was imported."""
        said = self.job.said
        if said.policy and said.policy not in self.policies:
            raise DataError(
                f"{self.job.files[0]}: found no policy {said.policy!r}; {did_you_mean(said.policy, self.policies)}"
            )
        what = " and ".join(map(str, self.job.files[:2])) + (" and more" if len(self.job.files) > 2 else "")
        self.matcher.check(what)
        self._check_numbers(what)
        if self.rows:
            self._write()
        self._renumber()
        texts = [first for first in self.text_P if first is not None]
        if texts and not any(first is False for first in texts):
            self.note("every response to a problem is the same text: at temperature 0 they are no samples of pass@k")
        if self.matcher.other_gold:
            self.note(f"{self.matcher.other_gold:,} rows write their reference answer otherwise than the benchmark")
        return {
            "files": {block.name: file_sha256(block) for block in self.blocks},
            "content": fingerprint([digest.hexdigest() for digest in self.digest_P]),
            "scored": bool(self.job.grader) and not self.unscored,
            "texts": not self.silent,
            "untold": [*(["truncated"] if self.unended else []), *(() if self.job.grader else NOT_SCORED)],
            "notes": self.notes,
        }

    def _check_numbers(self, what: str) -> None:
        """Refuse problems with fewer samples than the study says; tell that others have more."""
        n, have_P = self.job.said.n, [len(indices) for indices in self.index_of]
        scored_P = [have - timeouts for have, timeouts in zip(have_P, self.timeouts_P, strict=True)]
        if min(scored_P) < n:
            few = [place for place, scored in enumerate(scored_P) if scored < n]
            late = f"; of all samples {sum(self.timeouts_P):,} timed out in the grader" if any(self.timeouts_P) else ""
            raise DataError(
                f"{what}: {len(few):,} problems have fewer than n: {n} samples, such as "
                f"{self.job.problems[few[0]].prompt[:60]!r} with {scored_P[few[0]]}{late}; expected as many of every "
                f"problem: write n: {min(scored_P)}. If sampling stopped at successes, pass@k of all samples would be "
                "biased; that of the first ones of every problem is not"
            )
        if max(have_P) > n:
            self.note(f"the first {n} samples of every problem count; the files have {min(have_P)} to {max(have_P)}")

    def _renumber(self) -> None:
        """Number the samples of every problem from 0 on without gaps, and drop those that nothing can need."""
        most = SPARE * self.job.said.n
        if all(max(indices) == len(indices) - 1 < most for indices in self.index_of):
            return
        sorted_of = {
            problem.id: np.sort(indices) for problem, indices in zip(self.job.problems, self.index_of, strict=True)
        }
        for block in self.blocks:
            table, _ = read_table(block)
            ids, index_S = table.column("problem_id").to_pylist(), table.column("sample").to_numpy()
            rank_S = [int(np.searchsorted(sorted_of[id_], index)) for id_, index in zip(ids, index_S, strict=True)]
            place = table.schema.get_field_index("sample")
            table = table.set_column(place, IMPORTED.field("sample"), pa.array(rank_S, pa.int32()))
            write_table(block, table.filter(pa.array([rank < most for rank in rank_S])), self.job.facts)
