"""Rows of several files that belong together, each with its problem and sample index; what contradicts is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from boundary_bench.benchmarks.overlap import normal
from boundary_bench.core.errors import DataError
from boundary_bench.grading import TRUNCATED, Grade, Verdict
from boundary_bench.grading.graders import THEIRS
from boundary_bench.records.harnesses import Harness
from boundary_bench.sampling.stored.rows import Counted, Stored, stored

TOGETHER = 1024  # responses graded at a time


@dataclass(frozen=True)
class Placed:
    """A row with its place.

    Attributes:
        name: what names its problem in the files, or its question where nothing does.
        index: its sample index; 0 for counts.
    """

    name: str
    index: int
    row: Stored | Counted


@dataclass
class _Seen:
    """What was read of a problem of a policy.

    Attributes:
        indices: of its samples.
        held, start: number of samples in earlier files, and the index after the last of them: those of this file
            follow on.
    """

    question: str
    indices: set[int] = field(default_factory=set)
    counted: bool = False
    file: Path | None = None
    held: int = 0
    start: int = 0


@dataclass
class Reader:
    """Reads files that belong together, such as one file a seed.

    Attributes:
        places: where some of ``rows.NAMES`` are.
        log: takes what is said of rows that are no samples.
    """

    places: Mapping[str, str]
    log: Callable[[str], None]
    _seen: dict[tuple[str, str], _Seen] = field(default_factory=dict)
    _steps: dict[str, str] = field(default_factory=dict)
    _first_of: dict[bytes, Path] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """A key of all that the files say."""
        return b"".join(self._first_of)

    def batches(self, files: Sequence[Path]) -> Iterator[tuple[Path, list[Placed]]]:
        """Some rows at a time, with their file.

        Raises:
            DataError: a file cannot be read, a row is invalid, two files hold the same responses, or a sample is
                there twice.
        """
        for file in files:
            digest, rows = hashlib.blake2b(), _rows(file, self.places, self.log)
            while some := list(islice(rows, TOGETHER)):
                for row in some:
                    said = row.text or str(row.score) if isinstance(row, Stored) else f"{row.n} {row.c}"
                    digest.update(f"{row.problem or row.question}\0{said}\0".encode(errors="surrogatepass"))
                yield file, [self._placed(file, row) for row in some]
            other = self._first_of.setdefault(digest.digest(), file)
            if other is not file:
                raise DataError(f"{file} holds the same responses as {other}, expected other samples; drop one")

    def _placed(self, file: Path, row: Stored | Counted) -> Placed:
        name = row.problem or normal(row.question)
        if not name:
            raise DataError(f"{file}: row {row.row} names no problem and has no question, expected one of them")
        known = self._seen.setdefault((row.policy, name), _Seen(row.question))
        if row.question and known.question and not _alike(row.question, known.question):
            raise DataError(
                f"{file}: row {row.row}: problem {name!r:.80} has another question than before "
                f"({row.question[:60]!r} and {known.question[:60]!r}); are these rows of two benchmarks?"
            )
        if isinstance(row, Counted):
            if known.counted or known.indices:
                raise DataError(f"{file}: row {row.row}: found counts of problem {name!r:.80} again, expected once")
            known.counted = True
            return Placed(name, 0, row)
        self._check_step(file, row)
        if known.file is not file:
            known.file, known.held, known.start = file, len(known.indices), max(known.indices, default=-1) + 1
        index = known.start + (len(known.indices) - known.held if row.index is None else row.index)
        if index in known.indices or known.counted:
            raise DataError(f"{file}: row {row.row}: found sample {index} of problem {name!r:.80} again, expected once")
        known.indices.add(index)
        return Placed(name, index, row)

    def _check_step(self, file: Path, row: Stored) -> None:
        """Refuse samples of two training steps as one policy."""
        if row.step and (known := self._steps.setdefault(row.policy, row.step)) != row.step:
            raise DataError(
                f"{file}: row {row.row}: found step {row.step:.40} after {known:.40}, expected one step of "
                f"a policy; give the file of one step, or --columns policy=step --policies {known:.40},{row.step:.40}"
            )


def _alike(one: str, other: str) -> bool:
    """Whether two questions are the same; most often they are the same text, which is seen at once."""
    return one == other or normal(one) == normal(other)


def _rows(file: Path, places: Mapping[str, str], log: Callable[[str], None]) -> Iterator[Stored | Counted]:
    found, harness = False, Harness()
    for record in harness.records(file):
        found = True
        try:
            yield from stored(record, places)
        except ValueError as fault:
            raise DataError(f"{file}: row {record}: {fault}; --columns names what has another name here") from None
    if not found:
        raise DataError(f"{file} holds no row, expected samples or counts")
    for reason, count in harness.notes.said.items():
        log(f"{file}: {count} rows {reason}")


def truth(row: Stored, at_least: float | None, file: Path) -> bool:
    """Whether a row's score says that it is correct.

    Args:
        at_least: scores from here on are correct; None: scores are truth values, or 0 and 1.

    Raises:
        DataError: the score says neither.
    """
    assert row.score is not None
    if at_least is not None and not isinstance(row.score, bool):
        return row.score >= at_least
    if row.score not in (0, 1):
        raise DataError(
            f"{file}: row {row.row}: found the score {row.score:g}, expected true or false, or 0 or 1; "
            "--correct-from 1 counts scores of 1 and more as correct (in a study correct_from: 1)"
        )
    return bool(row.score)


def theirs(row: Stored, at_least: float | None, file: Path) -> Grade:
    """The grade by the file's score. A response that was cut off is truncated, unless it was scored correct.

    Raises:
        DataError: there is no score, or it says nothing.
    """
    if row.score is None:
        raise DataError(
            f"{file}: row {row.row} has no score, expected one; or say how responses are graded: --grader math (in a "
            "study kind: stored:math)"
        )
    if truth(row, at_least, file):
        return Grade(Verdict.CORRECT, None, THEIRS)
    return TRUNCATED if row.ended is False else Grade(Verdict.WRONG, None, THEIRS)
