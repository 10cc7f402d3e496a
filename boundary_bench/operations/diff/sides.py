"""One side of a comparison: a folder of results, its tables, and the counts behind them where they are there.

The tables may come from anywhere. Names in them become paths and are printed, so that they must be names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from boundary_bench.core.errors import DataError, StatisticsError
from boundary_bench.core.parquet import read_verified
from boundary_bench.plan import make_plan
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.sequential import sequential_pass_at_k
from boundary_bench.study.blocks import NAME
from boundary_bench.tables.reading import KEYS, Tables, read_tables
from boundary_bench.tables.record import PROVENANCE, Record, read_record

#: What the cells that name a row look like.
WORDS = {"model": NAME, "algorithm": NAME, "benchmark": NAME, "seed": r"([0-9]{1,18})?"}
WORDS |= {"step": r"[0-9]{1,18}", "k": r"[0-9]{1,18}"}
#: Columns of ``problems.parquet`` that agree in every problem only where the samples are the same.
SAMPLED = ("n", "correct", "tokens", "entropy", "logprob")


@dataclass(frozen=True)
class Measured:
    """The problems of one policy on one benchmark, in the order of their ids.

    Attributes:
        design: the design they were sampled by.
        columns: those of ``SAMPLED``.
    """

    path: Path
    ids: list[str]
    design: Design
    columns: dict[str, np.ndarray]

    def pass_at_k(self, ks: list[int]) -> np.ndarray:
        """pass_PK, as ``measure`` estimates it."""
        try:
            return sequential_pass_at_k(self.design, self.columns["n"], self.columns["correct"], ks)
        except StatisticsError as fault:
            raise DataError(f"{self.path}: {fault}") from None

    def same_samples(self, other: Measured) -> bool:
        """Whether both were drawn by one design and have the same counts and sums of log-probabilities."""
        if (self.ids, self.design) != (other.ids, other.design):
            return False
        pairs = ((self.columns[name], other.columns[name]) for name in SAMPLED)
        return all(np.array_equal(*pair, equal_nan=True) for pair in pairs)


@dataclass(frozen=True)
class Side:
    """The results of one study, as far as they are there: the tables always, the measures perhaps."""

    folder: Path
    provenance: Record
    tables: Tables

    def measured(self, policy: str, benchmark: str) -> Measured | None:
        """What was measured of a policy; None where the folder holds no measure of it."""
        path = self.folder / "measures" / policy / benchmark / "problems.parquet"
        if not path.exists():
            return None
        table, facts = read_verified(path)
        try:
            said = facts["settings"]["design"]
            design = Design(tuple(map(int, said["rounds"])), said["stop_after"])
            table = table.sort_by("problem_id")
            ids, columns = table.column("problem_id").to_pylist(), {name: _column(table, name) for name in SAMPLED}
        except (KeyError, TypeError, ValueError, pa.ArrowException) as fault:
            raise DataError(
                f"{path}: found no design and counts in it ({fault}), expected those of the measure stage; run it again"
            ) from None
        if not ids or len(set(ids)) != len(ids):
            raise DataError(f"{path}: found {len(ids)} problems, {len(set(ids))} of them distinct, expected each once")
        return Measured(path, ids, design, columns)


def _column(table: pa.Table, name: str) -> np.ndarray:
    column = table.column(name)
    sound = pa.types.is_integer(column.type) if name in ("n", "correct") else pa.types.is_primitive(column.type)
    if not sound or (name in ("n", "correct") and column.null_count):
        raise ValueError(f"{name} holds {column.type}, {column.null_count} of them empty")
    return column.to_numpy()


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


def read_side(folder: Path) -> Side:
    """Read the tables of a folder of results."""
    tables, provenance = read_tables(folder / "tables"), read_record(folder)
    for name, keys in KEYS.items():
        for key in tables.rows[name]:
            for column, value in zip(keys, key, strict=True):
                wanted = WORDS.get(column)
                without = (name, column, value) == ("stages", "k", "")  # an entropy
                if wanted and not without and not re.fullmatch(wanted, value):
                    raise DataError(
                        f"{folder / 'tables' / name}.csv: found {column} {value!r}, expected what matches {wanted}; "
                        "run the report stage again"
                    )
    return Side(folder, provenance, tables)
