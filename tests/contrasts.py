"""Finished results of one run with chosen counts, to be held against each other."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from claim_tables import write
from expected import ONE_RUN

from boundary_bench.benchmarks.base import Problem
from boundary_bench.report import output
from boundary_bench.report.tables import collect
from results import RUN, STEP2, analyse, make_tree

REPOSITORY = Path(__file__).parents[1]
PUBLISHED = REPOSITORY / "results" / "published" / "quickstart-seeds"
P = 24
STEP4 = f"{RUN}--step4"
COUNTS = {"base-model": [2] * P, STEP2: [2] * P, STEP4: [2] * P}
BETTER = COUNTS | {STEP4: [7] * P}


def problems(first: int = 0) -> list[Problem]:
    return [Problem(f"question {i}", str(i), "1") for i in range(first, first + P)]


def made(folder: Path, correct: dict[str, list[int]] = COUNTS, first: int = 0, **changes: Any) -> Path:
    """The results of one run with chosen counts, without figures."""
    folder.mkdir()
    plan = make_tree(folder, {**correct}, problems(first), **ONE_RUN | changes)
    analyse(plan)
    output.write(plan, collect(plan))
    return plan.root


def copied(folder: Path, tmp_path: Path, *, tables_alone: bool = False) -> Path:
    target = tmp_path / "copy"
    for part in ("tables",) if tables_alone else ("tables", "measures"):
        shutil.copytree(folder / part, target / part)
    return target


def rewrite(path: Path, change: Callable[[dict[str, str]], dict[str, str] | None]) -> None:
    """Change or leave out rows of a table."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = [change(row) for row in csv.DictReader(file)]
    write(path, [row for row in rows if row is not None])
