"""Real sets as they are shipped, where they lie beside the repository: every one loads with two lines in the study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sets import REAL, prepared, refusal
from workflow import planned, shipped, write_study

from boundary_bench.benchmarks.problem_file import read_prepared
from boundary_bench.commands import main
from boundary_bench.plan import make_plan
from boundary_bench.records import read

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason=f"needs the real sets in {REAL.name}/ of ../shared/data")

MINERVA = {"question": "problem", "answer": "solution"}


@pytest.mark.parametrize(
    ("kind", "file", "columns", "rows", "problems"),
    [
        ("math", "math-test.jsonl", None, 5_000, 5_000),
        ("math", "math-train.jsonl", None, 7_500, 7_498),
        ("aime-2024", "aime24.jsonl", None, 30, 30),
        ("amc-2023", "amc23.jsonl", None, 40, 40),
        ("minerva-math", "minerva_math.jsonl", MINERVA, 272, 272),
        ("minerva-math", "minerva_math.jsonl", {"question": "problem"}, 272, 272),
        ("olympiadbench", "olympiadbench.jsonl", None, 675, 675),
        ("gsm8k", "gsm8k-test.jsonl", None, 1_319, 1_319),
        ("arc-challenge", "arc-challenge-test.jsonl", None, 1_172, 1_172),
        ("aime-2025", "aime2025-verl.parquet", "verl", 30, 30),
        ("qa-math", "aime2025-verl.parquet", "verl", 30, 30),
        ("qa-numeric", "gsm8k-test.jsonl", None, 1_319, 1_319),
        ("qa-choice", "arc-challenge-test.jsonl", {"options": "choices", "answer": "answerKey"}, 1_172, 1_172),
        ("qa-choice", "arc-challenge-test.jsonl", {"options": "choices"}, 1_172, 1_172),
    ],
)
def test_a_real_set_loads(kind: str, file: str, columns: Any, rows: int, problems: int) -> None:
    found = prepared(kind, REAL / file, columns=columns)
    assert (found.rows, len(found.problems)) == (rows, problems)
    assert sum(found.left_out.values()) == found.left_out["no_reference"] == rows - problems


def test_the_empty_boxes_of_math_are_said_and_its_boxes_without_braces_read() -> None:
    found = prepared("math", REAL / "math-train.jsonl")
    assert found.notes[0] == "2 row(s) have no reference and are left out: 5342, 5344"
    rows = [record.row for record in read(REAL / "math-train.jsonl")]
    of = {problem.prompt: problem.reference for problem in found.problems}
    assert [of[rows[number - 1]["problem"].strip()] for number in (889, 1012)] == ["2", "9"]  # type: ignore[index]


def test_an_answer_by_its_text_is_the_answer_by_its_label() -> None:
    by_label, by_text = (
        prepared("qa-choice", REAL / "arc-challenge-test.jsonl", columns={"options": "choices", **answer})
        for answer in ({"answer": "answerKey"}, {})
    )
    assert by_label.problems == by_text.problems


@pytest.mark.parametrize(
    ("kind", "file", "line"),
    [
        ("aime-2025", "aime2025-verl.parquet", "columns: verl"),
        ("minerva-math", "minerva_math.jsonl", "columns: {question: problem}"),
        ("qa-choice", "arc-challenge-test.jsonl", "columns: {options: choices}"),
        ("countdown", "gsm8k-test.jsonl", "columns: {numbers: NAME-OF-THE-NUMBERS, target: answer}"),
    ],
)
def test_the_message_of_a_set_in_other_columns_ends_in_the_line_to_write(kind: str, file: str, line: str) -> None:
    assert refusal(kind, REAL / file).endswith(f"write into the study: {line}")


@pytest.fixture
def debate(tmp_path: Path) -> dict[str, Any]:
    """The study debate on copies of its sets, with models that are nowhere."""
    study = shipped("debate")
    study["models"] = {"m": {"path": "model"}}
    study["training"] |= {"data": str(REAL / "math-train.jsonl"), "backend": "reference", "device": "cpu"}
    del study["training"]["openrlhf"]
    del study["sampling"]["vllm"]
    study["sampling"] |= {"engine": "torch", "device": "cpu"}
    study["benchmarks"] = {
        "math": {"data": str(REAL / "math-test.jsonl")},
        "aime-2024": {"data": str(REAL / "aime24.jsonl")},
        "aime-2025": {"data": str(REAL / "aime2025-verl.parquet"), "columns": "verl"},
        "amc-2023": {"data": str(REAL / "amc23.jsonl")},
        "arc-challenge": {"data": str(REAL / "arc-challenge-test.jsonl"), "options": {"problems": 500}},
        "minerva-math": {"data": str(REAL / "minerva_math.jsonl"), "columns": MINERVA},
    }
    return study


def test_a_study_at_paper_scale_is_planned_and_prepared_from_copies(
    debate: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    path = write_study(tmp_path / "debate.yaml", debate)
    assert planned(tmp_path, "--config", "study=debate.yaml")["prepare"] == 7
    plan = make_plan(str(path), tmp_path / "results")
    sizes = {}
    for name in plan.problem_sets:
        assert main(["prepare", str(path), "--results", str(plan.results), "--benchmark", name]) == 0
        problems, facts = read_prepared(plan.problems(name))
        sizes[name] = facts["rows"], len(problems)
    assert sizes.pop("training") == (7_500, 7_498 - facts["left_out"]["too_long"])
    assert sizes == {
        "math": (5_000, 5_000),
        "aime-2024": (30, 30),
        "aime-2025": (30, 30),
        "amc-2023": (40, 40),
        "arc-challenge": (1_172, 500),
        "minerva-math": (272, 272),
    }
    assert "[prepare training] 2 row(s) have no reference and are left out: 5342, 5344\n" in capsys.readouterr().out


def test_a_real_set_is_the_same_in_every_form(tmp_path: Path) -> None:
    import csv
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [record.row for record in read(REAL / "math-train.jsonl")]
    expected = prepared("math", REAL / "math-train.jsonl").problems
    text = json.dumps(rows)
    (tmp_path / "train.json").write_text(text)
    (tmp_path / "pretty.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False))
    (tmp_path / "train.json.gz").write_bytes(gzip.compress(text.encode(), 1))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    with open(tmp_path / "train.csv", "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0] or {}), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)  # type: ignore[arg-type]
    for name in ("train.json", "pretty.json", "train.json.gz", "train.parquet", "train.csv"):
        assert prepared("math", tmp_path / name).problems == expected, name
