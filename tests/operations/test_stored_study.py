"""``boundary-bench passk BASE RL --report``: the study that says the same, run to its page."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from stored_files import Row, Write, written
from workflow import finish, stage

from boundary_bench.commands import main

SHARED = Path(__file__).parents[3] / "shared" / "data"
SCHEMA = Path(__file__).parents[1] / "data" / "every_eval_ever" / "eval-0.3.0.schema.json"
Files = tuple[list[str], list[str]]


def own(folder: Path) -> Files:
    """Responses with scores that are not always ours, base and other in several files, named by seeds."""
    for who, shift in (("base", 0), ("step-40", 2)):
        (folder / who).mkdir()
        for seed in range(2):
            rows: list[Row] = [
                {
                    "question": f"What is {place} + {place}?",
                    "gold": str(2 * place),
                    "completion": f"#### {2 * place + ((place * seed + i + shift) % 4 == 0)} {i}",
                    "reward": (place + i) % 3 == 0,
                    "source": "ab"[place % 2],
                }
                for place in range(12)
                for i in range(3)
            ]
            written(folder / who / f"seed{seed}.jsonl", rows)
    return [str(folder / who / "seed*.jsonl") for who in ("base", "step-40")], ["--grader", "numeric", "--by", "source"]


def counted(folder: Path) -> Files:
    """Counts under names alone, of other numbers of samples."""
    files = []
    for who, n, shift in (("base", 16, 0), ("rl", 8, 3)):
        rows = [{"id": f"p{place}", "n": n, "c": min(n, (place + shift) % 9)} for place in range(20)]
        files.append(str(written(folder / f"{who}.jsonl", rows)))
    return files, ["--ks", "1-8"]


def real(folder: Path) -> Files:
    """The 800 responses of a Qwen2.5-Math model to 100 problems of MATH, the first four against the last four."""
    file = SHARED / "samples/qwen-math-eval.jsonl"
    if not file.is_file():
        pytest.skip("needs the real data of ../shared/data")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    halves = {"first": slice(4), "second": slice(4, 8)}
    for who, part in halves.items():
        whole = [
            {name: each[part] if name in ("code", "score") else each for name, each in row.items()} for row in rows
        ]
        keep = ("idx", "question", "gt", "code", "score")
        written(folder / f"{who}.jsonl", [{name: row[name] for name in keep} for row in whole])
    return [str(folder / f"{who}.jsonl") for who in halves], ["--grader", "math"]


@pytest.mark.slow
@pytest.mark.parametrize("make", [own, counted, real], ids=lambda make: make.__name__)
def test_the_tables_of_the_page_are_what_the_command_says(
    make: Callable[[Path], Files], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, words = make(tmp_path)
    assert main(["passk", *files, *words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    text = finish(stage(tmp_path, "passk", *files, *words, "--report", "--name", "mine"))
    root = tmp_path / "results/mine"
    assert "the page: results/mine/report.html; the study: mine.yaml" in text and (root / "report.html").is_file()

    def rows(table: str) -> list[dict[str, str]]:
        return list(csv.DictReader((root / f"tables/{table}.csv").open()))

    policies = list(dict.fromkeys(row["policy"] for row in rows("pass_at_k")))
    called = dict(zip([each["policy"] for each in said["policies"]], policies, strict=True))

    def check(table: str, expected: list[dict[str, Any]], names: tuple[str, ...]) -> None:
        """Stratum by stratum, policy by policy where there are several, and k by k."""
        found = {(row["stratum"], row.get("policy"), row.get("k")): row for row in rows(table)}
        assert len(found) == len(expected)
        for row in expected:
            key = row["group"], called.get(row.get("policy", "")), str(row["k"]) if "k" in row else None
            for name in names:
                assert float(found[key][name]) == pytest.approx(row[name], abs=1e-6), (key, name)

    check("pass_at_k", said["curves"], ("estimate", "low", "high", "band_low", "band_high"))
    check("differences", said["pairs"]["differences"], ("difference", "band_low", "band_high", "detectable"))
    check("boundary", said["pairs"]["boundary"], ("crossover", "gained", "lost", "samples", "samples_base"))
    if make is own:  # files of one name are told apart by their folders, which say a step
        assert policies == ["base", "base--step-40--seed0--step40"]
    told = {"own": ("wrong", "unparsable"), "counted": ("wrong",), "real": ("wrong", "unparsable")}[make.__name__]
    for row in rows("summary"):
        assert all(row[name] for name in told) and not row["truncated"] and not row["mean_tokens"] and not row["greedy"]
        assert bool(row["unparsable"]) == bool(row["distinct_answers"]) == ("unparsable" in told)
    assert {row["grader"].split()[0] for row in rows("graders")} >= {"scores"}
    finish(stage(tmp_path, "export", "mine.yaml"))
    records = list((root / "export/every_eval_ever").rglob("*.json"))
    schema = Draft7Validator(json.loads(SCHEMA.read_text()))
    assert len(records) == 2 and not any(list(schema.iter_errors(json.loads(each.read_text()))) for each in records)
    assert "Nothing to be done" in finish(stage(tmp_path, "passk", *files, *words, "--report", "--name", "mine"))


def test_a_page_needs_two_policies(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(write([{"id": "p", "n": 4, "c": 1}, {"id": "q", "n": 4, "c": 2}]))
    assert main(["passk", file, "--report"]) == 2
    assert "found one policy" in capsys.readouterr().err
    assert main(["passk", file, file, "--report", "--json"]) == 2


def test_policies_of_one_file_are_told_apart_in_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from boundary_bench.operations import own_study

    monkeypatch.chdir(tmp_path)
    ran: list[Path] = []
    monkeypatch.setattr(own_study, "run", lambda command, path, results: ran.append(path))
    rows = [{"task": f"p{i}", "step": step, "score": [i % 2, step % 2, 1]} for step in (0, 200) for i in range(3)]
    written(tmp_path / "val.jsonl", rows)
    words = ["--columns", "policy=step,problem=task", "--policies", "0,200", "--correct-from", "1"]
    assert main(["passk", "val.jsonl", *words, "--report"]) == 0 and ran == [Path("stored.yaml")]
    study = yaml.safe_load((tmp_path / "stored.yaml").read_text())
    columns = {"policy": "step", "problem": "task"}
    samples = {"files": "val.jsonl", "n": 3, "columns": columns, "correct_from": 1.0}
    assert study["models"] == {"0": {"samples": {"problems": {**samples, "policy": "0"}}}}
    (run,) = study["runs"].values()
    assert run["checkpoints"] == {1: {"samples": {"problems": {**samples, "policy": "200"}}}}
    entry = {"kind": "stored:scores", "data": "val.jsonl", "columns": {"problem_id": "task"}}
    assert study["benchmarks"] == {"problems": entry}
