"""Results are named by content, never by paths: of problems, of given models, of the files that define a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fingerprints import BENCHMARK, CONTINUED, RUNS, Prints, moved
from workflow import shipped, write_study

from boundary_bench.benchmarks import KINDS
from boundary_bench.benchmarks.base import Problem
from boundary_bench.benchmarks.countdown import COUNTDOWN
from boundary_bench.benchmarks.problem_file import content_of, read_prepared, write_problems
from boundary_bench.commands import main
from boundary_bench.core.provenance import fingerprint
from boundary_bench.plan import make_plan
from boundary_bench.plan.stages import identity, settings

QA = {"training.benchmark": "qa-math", "training.options": {}, BENCHMARK[:-1]: {"kind": "qa-math"}}


def row(question: str, answer: str = "1") -> str:
    return f'{{"question": "{question}", "answer": "{answer}"}}\n'


def test_where_data_is_names_nothing(prints: Callable[..., Prints], tmp_path: Path) -> None:
    """Nor does what is in it: a rule may make it, so that it is not there when jobs are planned."""
    (tmp_path / "a.jsonl").write_text(row("a"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/test.jsonl").write_text(row("b"))
    rest = {f"{BENCHMARK}data": "rows.jsonl", "training.data": "rows.jsonl"}
    before = prints(QA, rest)
    for place in rest:
        for path in ("a.jsonl", f"{tmp_path}/a.jsonl", "folder", "not/yet/there.jsonl"):
            assert prints(QA, rest, {place: path}) == before


@pytest.mark.parametrize("chosen", ["", "@flexible"])
def test_a_task_of_lm_eval_is_named_by_what_its_file_says(
    chosen: str, prints: Callable[..., Prints], tmp_path: Path
) -> None:
    def those(path: Path | str) -> Prints:
        return prints({f"{BENCHMARK}kind": f"lm_eval:{path}{chosen}", f"{BENCHMARK}options": {}})

    file, text = tmp_path / "sums.yaml", "task: sums\n"
    file.write_text(text)
    before = those("sums.yaml")
    (tmp_path / "elsewhere").mkdir()
    file = file.rename(tmp_path / "elsewhere/sums.yaml")
    assert those(file) == those("elsewhere/sums.yaml") == those("./elsewhere/../elsewhere/sums.yaml") == before
    file.write_text(text + "# changed\n")
    assert moved(before, those(file)) >= {"prepare", "measure"} | CONTINUED


def test_how_problems_are_graded_names_samples_and_runs(prints: Callable[..., Prints]) -> None:
    """The same rows, so that the problems are the same: verdicts are stored with samples, and rewards train."""
    data = {f"{BENCHMARK}data": "rows.jsonl", "training.data": "rows.jsonl"}
    before = prints(QA, data)
    benchmark = prints(QA, data, {f"{BENCHMARK}kind": "qa-numeric"})
    assert moved(before, benchmark) >= {"prepare", "sample", "measure"} and not moved(before, benchmark) & RUNS
    training = prints(QA, data, {"training.benchmark": "qa-numeric"})
    assert moved(before, training) >= {"prepare", "train"} and not moved(before, training) & CONTINUED


def test_a_raised_version_of_a_grader_names_samples_and_runs(
    prints: Callable[..., Prints], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = prints()
    grader = replace(COUNTDOWN.grader, version=COUNTDOWN.grader.version + 1)
    monkeypatch.setitem(KINDS, "countdown", replace(COUNTDOWN, grader=grader))
    assert moved(before, prints()) >= {"train", "sample", "measure"}


def test_problems_are_named_by_what_they_ask_in_their_order(tmp_path: Path) -> None:
    problems = [Problem(question, "1", "1") for question in "abc"]
    found = content_of(problems)
    write_problems(tmp_path / "p.parquet", problems, "test", {"settings": {"of": "one"}})
    _, facts = read_prepared(tmp_path / "p.parquet")
    assert facts["content"] == found
    assert content_of([Problem(each.prompt, "1", "other", "stratum", 0.5) for each in problems]) == found
    assert content_of(problems[::-1]) != found != content_of(problems[:2])
    assert content_of([*problems[:2], Problem("c", "2", "1")]) != found


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[dict[str, Any], str, str]]:
    """Of a study with such data: facts of its problems, prepared anew, and the stores of its samples and its run."""
    from boundary_bench.commands.workplace import task_of
    from boundary_bench.models.folder import write_manifest

    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    (tmp_path / "model/model.safetensors").write_bytes(b"never read, only hashed")

    def made(data: str) -> tuple[dict[str, Any], str, str]:
        study = shipped("smoke") | {"models": {"given": {"path": "model"}}}
        study["benchmarks"] = {"mine": {"kind": "qa-math", "data": data}}
        study["training"] |= {"benchmark": "qa-math", "options": {}, "data": data}
        plan = make_plan(str(write_study(tmp_path / "study.yaml", study)), tmp_path / "results")
        for benchmark in ("mine", "training"):
            assert main(["prepare", str(plan.path), "--results", str(plan.results), "--benchmark", benchmark]) == 0
        manifest = plan.model("given")
        write_manifest(manifest, tmp_path / "model", 0, settings(plan, "pretrain", "given"))
        sample = task_of(plan, "sample", ("given", "mine", 1), manifest, "mine", "").store.name
        train = task_of(plan, "train", (plan.runs[0].name, 2), manifest, "training", "").store.name
        facts = read_prepared(plan.problems("mine"))[1]
        assert fingerprint(facts["settings"]) == identity(plan, "prepare", "mine")
        return {name: facts[name] for name in ("settings", "content")}, sample, train

    return made


def test_data_that_is_moved_keeps_samples_and_runs_and_data_that_is_changed_does_not(
    stores: Callable[[str], tuple[dict[str, Any], str, str]], tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text(row("a") + row("b"))
    before = stores("a.jsonl")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a.jsonl").rename(tmp_path / "elsewhere/b.jsonl")
    for path in ("elsewhere/b.jsonl", f"{tmp_path}/elsewhere/b.jsonl"):
        assert stores(path) == before
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "test.jsonl").write_text(row("a") + row("b"))
    (folder / "train.jsonl").write_text(row("a") + row("b"))
    assert stores("folder") == before, "the same problems, whatever holds them"
    folder.rename(tmp_path / "moved")
    (tmp_path / "moved/README.md").write_text("of the set")
    assert stores("moved") == before
    seen = [before]
    for change in (row("a") + row("c"), row("b") + row("a"), row("a") + row("b", "2"), row("a")):
        for file in (tmp_path / "elsewhere/b.jsonl", *(tmp_path / f"moved/{part}.jsonl" for part in ("test", "train"))):
            file.write_text(change)
        found = stores("elsewhere/b.jsonl")
        assert stores("moved") == found and found[0]["settings"] == before[0]["settings"]
        for each in seen:
            assert found[0]["content"] != each[0]["content"] and found[1] != each[1] and found[2] != each[2], change
        seen.append(found)
