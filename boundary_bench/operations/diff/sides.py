"""One side of a comparison: a folder of results, its tables, and the counts behind them where they are there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from boundary_bench.core.errors import DataError, StatisticsError
from boundary_bench.core.parquet import read_verified
from boundary_bench.core.text import WRITTEN
from boundary_bench.plan import make_plan
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.sequential import sequential_pass_at_k
from boundary_bench.tables.reading import Subject, Tables, Untestable
from boundary_bench.tables.record import PROVENANCE, Record

#: Columns of ``problems.parquet`` that agree in every problem only where the samples are the same.
COUNTS, SUMS = ("n", "correct"), ("tokens", "entropy", "logprob")


@dataclass(frozen=True)
class Measured:
    """The problems of one policy on one benchmark, in the order of their ids.

    Attributes:
        design: the design they were sampled by.
        count_P2, sum_P3: the columns of ``COUNTS`` and of ``SUMS``.
        pass_PK: as ``measure`` estimates it.
    """

    ids: list[str]
    design: Design
    count_P2: np.ndarray
    sum_P3: np.ndarray
    pass_PK: np.ndarray

    def same_samples(self, other: Measured) -> bool:
        """Whether both were drawn by one design and have the same counts and sums."""
        same = (self.ids, self.design) == (other.ids, other.design) and np.array_equal(self.count_P2, other.count_P2)
        return same and np.array_equal(self.sum_P3, other.sum_P3, equal_nan=True)


@dataclass(frozen=True)
class Side:
    """The results of one study, as far as they are there: the tables always, the measures perhaps."""

    folder: Path
    tables: Tables
    provenance: Record

    def number(self, table: str, column: str, place: Subject, k: int) -> float:
        """A number of a policy on all problems of a benchmark."""
        try:
            return self.tables.number(table, self.tables.find(table, place, k=k), column)
        except Untestable as lack:
            folder = self.tables.folder
            raise DataError(f"{folder}: expected {lack} at k {k}, found none; run the report stage again") from None

    def measured(self, place: Subject, ks: list[int]) -> Measured | None:
        """The measures of a policy on a benchmark; None where the folder holds none.

        Raises:
            DataError: they are damaged, or tables are older or newer than the measures beside them.
        """
        path = self.folder / "measures" / place.policy / place.benchmark / "problems.parquet"
        if not path.exists():
            return None
        found = _read(path, ks)
        for k, value in zip(ks, found.pass_PK.mean(0), strict=True):
            written = self.number("pass_at_k", "estimate", place, k)
            if not math.isclose(written, value, rel_tol=WRITTEN, abs_tol=1e-9):
                raise DataError(
                    f"{self.folder}: found pass@{k} {written:g} of {place} in tables/pass_at_k.csv and {value:g} by "
                    "measures/, expected the same; run the report stage again"
                )
        return found


def _read(path: Path, ks: list[int]) -> Measured:
    table, facts = read_verified(path)
    try:
        said = facts["settings"]["design"]
        design = Design(tuple(map(int, said["rounds"])), said["stop_after"])
        table = table.sort_by("problem_id")
        ids = table.column("problem_id").to_pylist()
        count_P2, sum_P3 = (np.column_stack([table.column(name) for name in names]) for names in (COUNTS, SUMS))
        if count_P2.dtype.kind not in "iu" or sum_P3.dtype.kind not in "iuf":
            raise TypeError(f"counts are {count_P2.dtype}, sums {sum_P3.dtype}")
        pass_PK = sequential_pass_at_k(design, *count_P2.T, ks)
    except StatisticsError as fault:
        raise DataError(f"{path}: {fault}") from None
    except (KeyError, TypeError, ValueError, pa.ArrowException) as fault:
        raise DataError(
            f"{path}: found no design and counts in it ({fault}), expected those of the measure stage; run it again"
        ) from None
    if not ids or len(set(ids)) != len(ids):
        raise DataError(f"{path}: found {len(ids)} problems, {len(set(ids))} of them distinct, expected each once")
    return Measured(ids, design, count_P2, sum_P3, pass_PK)


def locate(name: str, results: Path) -> Path:
    """The folder that is meant: itself where it holds tables, else that of a study in ``results``.

    Raises:
        DataError: it is a folder without tables, or a path where there is none.
        StudyError: there is no such study.
    """
    folder = Path(name)
    if (folder / PROVENANCE).is_file():
        return folder
    if folder.is_dir() or (len(folder.parts) > 1 and folder.suffix not in (".yaml", ".yml")):
        near = [folder.parent] if (folder / PROVENANCE.name).is_file() else []
        near += sorted(path.parents[1] for path in folder.glob(f"*/{PROVENANCE}"))
        hint = f"did you mean {near[0]}?" if near else "give a folder of results, a study's name or its file"
        raise DataError(f"found no {PROVENANCE} in {folder}, expected the results of one study; {hint}")
    return make_plan(name, results).root
