"""Stored files for tests: rows on disk, the policy that is read from them, and its verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from boundary_bench.grading import judge_here
from boundary_bench.records import Record
from boundary_bench.records.forms import Notes, plain
from boundary_bench.sampling.stored.policy import StoredPolicy, read_policies
from boundary_bench.sampling.stored.rows import Counted, stored

Row = dict[str, Any]
#: Writes rows into a file of the test; the fixture ``write``.
Write = Callable[..., Path]


def written(path: Path, rows: Sequence[Row]) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(*files: Path, grader: Any = None, places: Row | None = None, said: list[str] | None = None) -> StoredPolicy:
    """The single policy of some files, and what was said, which must be nothing where nobody listens."""
    heard: list[str] = []
    (found,) = read_policies(files, places or {}, grader, judge_here, None, (heard if said is None else said).append)
    assert not heard
    return found


def verdicts(policy: StoredPolicy) -> dict[str, str]:
    """The first letters of the verdicts by problem, in the order of the sample indices."""
    return {
        name: "".join(str(each)[0] for _, each in sorted(of.verdicts.items())) for name, of in policy.problems.items()
    }


def read_or_refused(row: Row) -> None:
    """Any row becomes samples or counts, or is refused with a reason."""
    try:
        known = plain(row, Notes())
        found = list(stored(Record(1, known), {})) if known is not None else []
    except ValueError as fault:
        assert str(fault)
    else:
        assert all(isinstance(each, Counted) or isinstance(each.text, str | None) for each in found)
