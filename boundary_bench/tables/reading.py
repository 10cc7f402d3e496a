"""Reading of the report's tables for claims: rows are checked, and found by their keys."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boundary_bench.core.errors import DataError
from boundary_bench.core.files import read_json
from boundary_bench.core.text import cell, plain
from boundary_bench.study.policies import Policy, Run
from boundary_bench.tables.registry import TABLES
from boundary_bench.tables.table import ALL, BASE, Row, Table

#: The tables that claims, exports and ``diff`` read, and the columns that name their rows.
READ = ("differences", "boundary", "coverage", "stages", "summary", "pass_at_k", "cover")
KEYS = {name: TABLES[name].keys for name in READ}


class Untestable(Exception):
    """The tables lack something that a claim needs; the message names it."""


@dataclass(frozen=True)
class Subject:
    """A policy on a benchmark; a base model has algorithm "base", no seed and step 0."""

    model: str
    algorithm: str
    seed: str
    step: int
    benchmark: str

    @property
    def policy(self) -> str:
        """Name of the policy in files."""
        run = Run(self.model, self.algorithm, int(self.seed)) if self.seed else None
        return Policy(self.model, run, self.step).name

    def __str__(self) -> str:
        seed = f" seed {self.seed} step {self.step}" if self.seed else ""
        return f"{self.model} {self.algorithm}{seed} {self.benchmark}"


@dataclass(frozen=True)
class Tables:
    """The rows of every table by their keys, and their study.

    Attributes:
        study: the study with every default, as in ``provenance.json``.
        rows: by table, its rows by the values of ``KEYS``.
    """

    folder: Path
    study: dict[str, Any]
    rows: dict[str, dict[tuple[str, ...], Row]]

    @property
    def level(self) -> float:
        """Confidence level of the study."""
        return float(self.study["analysis"]["level"])

    @property
    def resamples(self) -> int:
        """Number of resamples behind the probabilities of ``stages``."""
        return int(self.study["analysis"]["resamples"])

    def units(self) -> list[Subject]:
        """Every run and benchmark at its last evaluated step, in the order of the tables."""
        last: dict[tuple[str, str, str, str], int] = {}
        for model, algorithm, seed, step, benchmark, _, _ in self.rows["differences"]:
            run = (model, algorithm, seed, benchmark)
            last[run] = max(last.get(run, 0), int(step))
        return [Subject(*run[:3], step, run[3]) for run, step in last.items()]

    def by_k(self, table: str) -> dict[tuple[Subject, int], Row]:
        """The rows of ``pass_at_k`` or ``differences``, all problems together."""
        rows = self.rows[table].items()
        return {(Subject(*key[:3], int(key[3]), key[4]), int(key[6])): row for key, row in rows if key[5] == ALL}

    def find(self, table: str, unit: Subject, stratum: str = ALL, **further: Any) -> Row:
        """The row of a unit.

        Raises:
            Untestable: the table lacks the row; the message names the missing value of a key.
        """
        values = {**vars(unit), "stratum": stratum, **further}
        key = tuple(cell(values[name]) for name in KEYS[table])
        if key in self.rows[table]:
            return self.rows[table][key]
        for name, value in further.items():
            place = KEYS[table].index(name)
            same = [other for other in self.rows[table] if other[:place] == key[:place]]
            if same and key[place] not in (there := list(dict.fromkeys(other[place] for other in same))):
                raise Untestable(f"{name} = {value}; {table}.csv has {', '.join(there)}")
        raise Untestable(f"a row of {table}.csv for {unit}")

    def strata(self, unit: Subject) -> list[str]:
        """The strata of a unit's benchmark, without ``ALL``."""
        there = (key[5] for key in self.rows["differences"] if key[0] == unit.model and key[4] == unit.benchmark)
        return [name for name in dict.fromkeys(there) if name != ALL]

    def number(self, table: str, row: Row, column: str) -> float:
        """A cell as a number.

        Raises:
            Untestable: the table has no such column, or the cell is empty.
            DataError: the cell holds no finite number.
        """
        if column not in row:
            raise Untestable(f"column {column} of {table}.csv")
        if row[column] == "":
            raise Untestable(f"a value of {column} in {table}.csv")
        try:
            value = float(row[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(
                f"{self._row(table, row)}: {column}: found {row[column]!r}, expected a finite number; run the report "
                "stage again"
            )
        return value

    def verdict(self, table: str, row: Row, column: str) -> str:
        """A cell that holds a verdict.

        Raises:
            DataError: it holds none of the declared words.
        """
        words, found = TABLES[table].verdicts[column], row.get(column)
        if found not in words:
            raise DataError(
                f"{self._row(table, row)}: found {column} {found!r}, expected one of {', '.join(words)}; run the "
                "report stage again"
            )
        return found

    def _row(self, table: str, row: Row) -> str:
        name = ", ".join(f"{key} {row[key]}" for key in KEYS[table])
        return f"{self.folder / table}.csv, row of {plain(name)}"


def base_of(unit: Subject) -> Subject:
    """The base model of a unit, on the same benchmark."""
    return Subject(unit.model, BASE, "", 0, unit.benchmark)


def read_tables(folder: Path) -> Tables:
    """The tables that claims need, from a folder.

    Raises:
        DataError: a file is missing, torn, lacks the columns that name its rows, names a row twice, or by what is no
            name or number.
    """
    place = folder / "provenance.json"
    study = read_json(place).get("study")
    if not _sound(study):
        raise DataError(
            f"{place}: found no study with analysis.level, .resamples and benchmarks; run the report stage again"
        )
    tables = Tables(folder, study, {name: _by_keys(folder / f"{name}.csv", TABLES[name]) for name in READ})
    if not tables.rows["differences"]:
        raise DataError(f"{folder / 'differences.csv'}: found no row, expected the checkpoints of a study")
    return tables


def _sound(study: Any) -> bool:
    if not isinstance(study, dict):
        return False
    analysis, benchmarks = study.get("analysis"), study.get("benchmarks")
    if not isinstance(analysis, dict) or not isinstance(benchmarks, dict):
        return False
    level, resamples = analysis.get("level"), analysis.get("resamples")
    numbers = isinstance(level, float) and 0 < level < 1 and isinstance(resamples, int) and resamples >= 1
    return numbers and all(isinstance(entry, dict) for entry in benchmarks.values())


def read_csv(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV file of this package.

    Args:
        columns: required columns.

    Raises:
        DataError: the file is missing, torn, or lacks a column.
    """
    try:
        with open(path, encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            rows, there = list(reader), list(reader.fieldnames or [])
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run the stage that makes it (snakemake does)") from None
    except (UnicodeDecodeError, csv.Error) as fault:
        raise DataError(f"{path} is torn ({fault}); delete it and run the same command again") from None
    if lacking := [name for name in columns if name not in there]:
        raise DataError(
            f"{path}: found no column {lacking[0]!r}, expected {', '.join(columns)}; delete it and run the same "
            "command again"
        )
    for place, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise DataError(
                f"{path}, row {place} is torn: it has other cells than columns; delete it and run the same command "
                "again"
            )
    return rows


def _by_keys(path: Path, table: Table) -> dict[tuple[str, ...], Row]:
    found: dict[tuple[str, ...], Row] = {}
    for place, row in enumerate(read_csv(path, table.keys), 1):
        for name, form in table.forms.items():
            if name in table.keys and not re.fullmatch(form, row[name]):
                raise DataError(
                    f"{path}: found {name} {row[name]!r}, expected what matches {form}; run the report stage again"
                )
        key = tuple(row[name] for name in table.keys)
        if key in found:
            raise DataError(f"{path}, row {place}: found {plain('/'.join(key))} twice, expected each row once")
        found[key] = row
    return found
