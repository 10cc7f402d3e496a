"""The registry of tables: every table that a study writes is declared, with every column, and documented."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from boundary_bench.core.errors import DataError
from boundary_bench.plan.outputs import COMPARISON_FILES, MEASURE_FILES, report_files
from boundary_bench.statistics.courses import Course
from boundary_bench.statistics.paired import Change
from boundary_bench.tables.registry import TABLES, made_by
from boundary_bench.tables.writing import write_rows
from results import make_tree, run_stages

from documents import REPOSITORY, documents  # isort: skip


def test_every_declared_table_is_written_with_its_columns(tmp_path: Path) -> None:
    plan = make_tree(tmp_path)
    run_stages(plan)
    written = {path.stem: path for path in (plan.root / "tables").glob("*.csv")}
    assert written.keys() == {name for name, table in TABLES.items() if not table.optional}
    for name, path in written.items():
        assert tuple(next(csv.reader(path.open()))) == TABLES[name].columns
        with path.open(newline="") as lines:
            keys = [tuple(row[key] for key in TABLES[name].keys) for row in csv.DictReader(lines)]
        assert len(keys) == len(set(keys)), "its keys name a row"


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_declaration_is_whole(table: object) -> None:
    assert set(table.keys) <= set(table.columns)
    assert len(set(table.columns)) == len(table.columns), "no column twice"
    assert all(table.described.values()) and table.caption.endswith(".")
    assert set(table.verdicts) <= set(table.columns)


def test_declared_verdicts_are_those_of_the_statistics() -> None:
    assert TABLES["differences"].verdicts["change"] == tuple(Change)
    assert TABLES["stages"].verdicts["course"] == (*Course, "unknown")


def test_outputs_come_from_the_registry(tmp_path: Path) -> None:
    assert {f"{table.name}.csv" for table in made_by("measure")} <= set(MEASURE_FILES)
    assert {f"{table.name}.csv" for table in made_by("compare")} == set(COMPARISON_FILES)
    files = {str(path.relative_to(tmp_path)) for path in report_files(make_tree(tmp_path))}
    latex = {Path(file).stem for file in files if file.endswith(".tex")}
    assert latex == {name for name, table in TABLES.items() if table.paper}


@pytest.mark.parametrize("change", [lambda row: row | {"new": 1}, lambda row: {k: row[k] for k in list(row)[1:]}])
def test_a_row_with_other_columns_is_not_written(tmp_path: Path, change: object) -> None:
    row = dict.fromkeys(TABLES["cover"].columns, "1")
    write_rows(tmp_path, "cover", [row])
    with pytest.raises(DataError, match="other columns than expected"):
        write_rows(tmp_path, "cover", [change(row)])


def test_documents_are_those_of_the_registry() -> None:
    """To make them anew: python tests/tables/documents.py"""
    for path, text in documents().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(REPOSITORY)}: {__doc__}"
    captions = {path.stem for path in (REPOSITORY / "workflows/captions/tables").glob("*.rst")}
    assert captions == set(TABLES)
