"""What became of the rows of every set: one table, and one line on the first screen where rows were left out."""

from __future__ import annotations

import csv
import json
from html import unescape
from pathlib import Path

import pytest

from boundary_bench.benchmarks.base import LEFT_OUT, Prepared
from boundary_bench.benchmarks.problem_file import read_prepared, write_problems
from boundary_bench.core.errors import DataError
from boundary_bench.plan import Plan
from boundary_bench.plan.jobs import jobs
from boundary_bench.plan.stages import settings
from boundary_bench.report.limits import left_out
from boundary_bench.report.tables import collect
from results import PROBLEMS, copied, make_tree, run_stages

#: Of the training set and one benchmark, rows that became no problem, and problems that ask the same.
COUNTS = {"training": (2, 0, 1, 3, 4), "countdown": (0, 5, 0, 0, 0), "countdown-hard": (0, 0, 7, 0, 0)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = make_tree(tmp_path_factory.mktemp("finished"), algorithms=["grpo"], seeds=[0])
    for name, counts in COUNTS.items():
        made = Prepared(PROBLEMS, 4 + sum(counts), dict(zip(LEFT_OUT, counts, strict=True)), 1, 2, ("a note",))
        facts = {"settings": settings(plan, "prepare", name), **made.record}
        write_problems(plan.problems(name), PROBLEMS, "test", facts)
    run_stages(plan)
    return plan


def test_every_set_has_a_row_with_its_counts(finished: Plan) -> None:
    with open(finished.root / "tables/problems.csv", newline="") as file:
        rows = {row["benchmark"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["countdown", "countdown-hard", "training"]
    for name, counts in COUNTS.items():
        row = rows[name]
        assert [int(row[reason]) for reason in LEFT_OUT] == list(counts)
        assert int(row["rows"]) == int(row["problems"]) + sum(counts) and row["problems"] == "4"
        assert (row["other_answer"], row["duplicates"], row["grader"]) == ("1", "2", "countdown 2")
    assert [rows[name]["kind"] for name in ("training", "countdown-hard")] == ["countdown", "countdown-hard"]
    assert [rows[name]["split"] for name in ("training", "countdown")] == ["train", "test"]
    fingerprints = json.loads((finished.root / "tables/provenance.json").read_text())["fingerprints"]["prepare"]
    assert {name: row["settings"] for name, row in rows.items()} == fingerprints
    text = (finished.root / "tables/problems.md").read_text()
    assert "no reference" in text and "| training | countdown | train |" in text


def test_what_is_missing_stands_on_the_first_screen(finished: Plan) -> None:
    (limit,) = left_out(collect(finished))
    assert "5 of the 9 rows of countdown, 2 of the 14 rows of training" in limit.short
    text = unescape((finished.root / "report.html").read_text())
    assert text.index(limit.short) < text.index('id="boundary_map"') and f"<li>{limit.text}</li>" in text


def test_repeats_long_and_unasked_problems_are_no_loss(tmp_path: Path) -> None:
    plan = make_tree(tmp_path, algorithms=["grpo"], seeds=[0])
    made = Prepared(PROBLEMS, 10, dict.fromkeys(LEFT_OUT, 0) | {"repeated": 1, "too_long": 2, "not_chosen": 3})
    facts = {"settings": settings(plan, "prepare", "countdown"), **made.record}
    write_problems(plan.problems("countdown"), PROBLEMS, "test", facts)
    run_stages(plan)
    assert left_out(collect(plan)) == []


def test_problems_of_other_settings_or_without_a_record_are_refused(finished: Plan, tmp_path: Path) -> None:
    plan = copied(finished, tmp_path)
    path = plan.problems("training")
    _, facts = read_prepared(path)
    facts = {name: fact for name, fact in facts.items() if name != "schema"}
    write_problems(path, PROBLEMS, "train", {name: fact for name, fact in facts.items() if name != "left_out"})
    with pytest.raises(DataError, match=r"training\.parquet does not say what became of its rows; delete it"):
        collect(plan)
    write_problems(path, PROBLEMS, "train", {**facts, "settings": {}})
    with pytest.raises(DataError, match=r"training\.parquet was made with settings .* the study has changed since"):
        collect(plan)


def test_the_report_waits_for_the_problems(finished: Plan) -> None:
    needs = next(job.needs for job in jobs(finished) if job.stage.name == "report")
    assert {("prepare", "countdown"), ("prepare", "training")} <= set(needs)
