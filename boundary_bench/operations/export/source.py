"""The source of an export: the finished tables of a study, and their provenance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from boundary_bench.core.errors import DataError
from boundary_bench.plan import Plan
from boundary_bench.study.file import explain
from boundary_bench.study.policies import Policy
from boundary_bench.study.study import Study
from boundary_bench.tables.reading import Subject, Tables, Untestable, read_tables
from boundary_bench.tables.record import PROVENANCE, Record, read_record
from boundary_bench.tables.table import BASE, Row


@dataclass(frozen=True)
class Exported:
    """A finished study.

    Attributes:
        plan: plan of the tables' own study, with every default as recorded.
        made: time in seconds since the epoch: of the commit, so that a repeat gives the same; of the provenance file
            if no commit is recorded.
    """

    plan: Plan
    tables: Tables
    provenance: Record
    made: int

    def fact(self, *keys: str) -> Any:
        """A value of the provenance by its keys."""
        found: Any = dict(self.provenance)
        for key in keys:
            if key not in found:
                raise DataError(
                    f"{self.tables.folder / 'provenance.json'}: found no {'.'.join(keys)}, though the study has it; "
                    "run the report stage again"
                )
            found = found[key]
        return found

    def row(self, table: str, unit: Subject, **further: Any) -> Row:
        """The row of a unit, all strata together."""
        try:
            return self.tables.find(table, unit, **further)
        except Untestable as lack:
            raise self._lacking(lack) from None

    def value(self, table: str, row: Row, column: str) -> float:
        """A cell as a number; DataError if it holds no finite number, or the table lacks the column."""
        try:
            return self.tables.number(table, row, column)
        except Untestable as lack:
            raise self._lacking(lack) from None

    def cell(self, table: str, row: Row, column: str) -> str:
        """A cell as text."""
        if column not in row:
            raise self._lacking(f"column {column} of {table}.csv")
        return row[column]

    def _lacking(self, what: object) -> DataError:
        return DataError(f"{self.tables.folder} lacks what is to be exported: {what}; run the report stage again")


def unit_of(policy: Policy, benchmark: str) -> Subject:
    """The place of a policy in the tables."""
    run = policy.run
    algorithm, seed = (run.algorithm, str(run.seed)) if run else (BASE, "")
    return Subject(policy.model, algorithm, seed, policy.step, benchmark)


def read_source(plan: Plan) -> Exported:
    """The tables in a plan's folder with their recorded study, which may differ from the plan's."""
    tables = read_tables(plan.root / "tables")
    provenance, path = read_record(plan.root), plan.root / PROVENANCE
    try:
        study = Study.model_validate(provenance.study)
    except ValidationError as fault:
        raise DataError(f"{explain(fault, str(path))}\nrun the report stage again, with this version") from None
    made = provenance.code.committed or int(path.stat().st_mtime)
    return Exported(Plan(study, plan.path, plan.results), tables, provenance, made)
