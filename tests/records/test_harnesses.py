"""Files of harnesses that are no files of rows: evalplus, human-eval, Large Language Monkeys; and several files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from stored_files import Row, Write, read, verdicts

from boundary_bench.core.errors import DataError
from boundary_bench.grading.graders import GRADERS
from boundary_bench.records import harnesses
from boundary_bench.records.harnesses import files_of

NUMERIC = GRADERS["numeric"]
CASES = Path(__file__).parents[3] / "shared" / "cases" / "data"

# code: evalplus and human-eval


def evalplus(**tasks: list[tuple[str, str | None]]) -> Row:
    return {
        "date": "2026-01-01 00:00",
        "hash": "fe585eb4df8c88d844eeb463ea4d0302",
        "eval": {
            task: [
                {
                    "task_id": task,
                    "solution": f"def f(): return {i}",
                    "base_status": base,
                    "plus_status": plus,
                    "base_fail_tests": [],
                    "plus_fail_tests": [],
                }
                for i, (base, plus) in enumerate(samples)
            ]
            for task, samples in tasks.items()
        },
        "pass_at_k": {"base": {"pass@1": 0.5}},
    }


def test_evalplus_counts_a_program_that_passes_all_tests(write: Write) -> None:
    a = [("pass", "pass"), ("pass", "fail"), ("fail", "pass"), ("pass", "timeout"), ("timeout", "fail")]
    file = write([evalplus(a=a, b=[("pass", None), ("fail", None), ("timeout", None)])], "x_eval_results.json")
    found = read(file)
    assert verdicts(found) == {"a": "cwwww", "b": "cww"} and len(found.problems["a"].texts) == 5
    file.write_text(json.dumps(evalplus(a=a), indent=1))
    assert verdicts(read(file)) == {"a": "cwwww"}


def test_unknown_results_of_evalplus_are_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write([evalplus(a=[("pass", "skipped")])], "eval_results.json")
    with pytest.raises(
        DataError, match=r"row 1 \(a\): found the status 'pass' and 'skipped', expected pass, fail, timeout"
    ):
        read(file)
    (file.parent / "eval_results.json").write_text('{"eval": {"a": [1]}}')
    with pytest.raises(DataError, match="found the status None and None"):
        read(file)
    monkeypatch.setattr(harnesses, "LARGEST_RESULTS", 10)
    with pytest.raises(DataError, match="more than 10 bytes"):
        read(file)


def test_another_file_of_that_name_is_read_as_rows(write: Write) -> None:
    file = write([{"id": "p", "response": "a", "correct": True}, {"id": "p", "response": "b", "correct": False}])
    assert verdicts(read(file.rename(file.parent / "eval_results.json"))) == {"p": "cw"}


def test_a_program_of_human_eval_that_ran_out_of_time_is_wrong(write: Write) -> None:
    said = (("passed", True), ("failed: x", False), ("timed out", False))
    rows = [
        {"task_id": "HumanEval/0", "completion": f"return {i}", "result": result, "passed": passed}
        for i, (result, passed) in enumerate(said)
    ]
    assert verdicts(read(write(rows))) == {"HumanEval/0": "cww"}


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the cases of ../shared/cases")
def test_results_of_human_eval_as_they_are() -> None:
    assert verdicts(read(CASES / "b5-human-eval-results.jsonl")) == {"HumanEval/0": "cw"}


# Large Language Monkeys


def monkeys(folder: Path, **problems: tuple[list[str], list[bool] | None]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, (samples, correct) in problems.items():
        problem = {
            "prompt": f"few shots\n\n{name}?",
            "question": f"{name}?",
            "samples": samples,
            "gt_answer": "so #### 2",
        }
        (folder / f"{name}.yaml").write_text(yaml.dump(problem | ({"is_corrects": correct} if correct else {})))
    return folder


def test_a_folder_of_yaml_files_is_a_policy(tmp_path: Path) -> None:
    samples = ["a: #### 2", "12", "#### 3\n- x"]
    folder = monkeys(tmp_path / "base", p10=(samples, [True, False, False]), p9=(samples, [False, False, True]))
    found = read(*files_of(str(folder)))
    assert found.name == "base" and verdicts(found) == {"p10": "cww", "p9": "wwc"}
    assert found.problems["p9"].question == "p9?" and found.problems["p9"].gold == "2"
    graded = read(*files_of(f"{folder}/*.yaml"), grader=NUMERIC)
    assert verdicts(graded)["p9"][0] == "c" and graded.problems["p9"].disputed == 2
    assert (
        verdicts(read(*files_of(str(monkeys(tmp_path / "new", p=(samples, None)))), grader=NUMERIC))["p"][::2] == "cw"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("samples: [a, b]\nis_corrects: [true]", "found 1 values of score and 2 responses"),
        ("samples: &x [a]\nis_corrects: *x", "found the alias"),
        ("- a", "row 1: found list, expected an object"),
        ("samples: [[a]]\nis_corrects: [true]", r"row 1 .*response: found \['a'\]"),
        ("samples: [a, b]\nis_corrects: [yes, perhaps]", "score: found 'perhaps'"),
        ("", "found NoneType, expected an object"),
    ],
)
def test_yaml_files_that_say_something_else_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "0.yaml").write_text(text)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "0.yaml")


def test_yaml_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harnesses, "LARGEST", 100)
    with pytest.raises(DataError, match="expected at most 100"):
        read(*files_of(str(monkeys(tmp_path / "x", p=(["x" * 100], [True])))))


# several files


def test_indices_go_on_after_a_gap(write: Write) -> None:
    files = [
        write([{"id": "p", "index": i, "response": f"{i} {seed}", "score": 0} for i in (0, 2)], f"seed{seed}.jsonl")
        for seed in (1, 2)
    ]
    assert sorted(read(*files).problems["p"].verdicts) == [0, 2, 3, 5]
