"""``boundary-bench new``: what it writes works as it is, and nothing is overwritten."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from boundary_bench.benchmarks.battery import CHECKS
from boundary_bench.commands import main
from boundary_bench.core.errors import StoreError, StudyError
from boundary_bench.grading import judge_here
from boundary_bench.operations import new
from boundary_bench.plan import make_plan

EXTENDING = Path(__file__).parents[2] / "docs/extending.md"


def test_a_new_benchmark_passes_the_battery(tmp_path: Path) -> None:
    message = new.benchmark("my-sums.v2", tmp_path)
    assert "need no code: benchmarks: {my-sums.v2: {kind: qa-math, data: FILE}}" in message
    assert "import MY_SUMS_V2" in message and "my-sums.v2: {split: test}" in message
    kind = runpy.run_path(str(tmp_path / "my_sums_v2.py"))["MY_SUMS_V2"]
    assert kind.name == "my-sums.v2"
    asked = {split: kind.generate(split, 0, kind.options) for split in ("train", "dev", "test")}
    for problems in asked.values():
        assert len(problems) == 40 and not any(check(kind, problems, judge_here) for check in CHECKS.values())
    assert len({problem.id for problems in asked.values() for problem in problems}) == 120
    assert kind.parse({"a": 12, "b": 34}).solution == "46"
    with pytest.raises(StoreError, match="is there already"):
        new.benchmark("my-sums.v2", tmp_path)


def test_the_kind_in_the_docs_passes_the_battery(tmp_path: Path) -> None:
    (code,) = re.findall(
        r"```python\n(\"\"\"Sums of two numbers.*?)```", EXTENDING.read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "sums.py").write_text(code, encoding="utf-8")
    kind = runpy.run_path(str(tmp_path / "sums.py"))["SUMS"]
    problems = kind.generate("test", 0, kind.options)
    assert len(problems) == 40 and not any(check(kind, problems, judge_here) for check in CHECKS.values())
    prompts = {prompt for prompt, _ in kind.solutions(0, 20, {2: 1.0})}
    assert prompts and not prompts & {problem.prompt for problem in problems}


def test_a_new_model_is_a_study_that_plans(tmp_path: Path) -> None:
    message = new.model("my-model", tmp_path)
    assert "my-model: {path: my-model}" in message
    plan = make_plan(str(tmp_path / "my-model.yaml"))
    assert plan.study.models["my-model"].path == "my-model" and len(plan.runs) == 2
    with pytest.raises(StoreError, match="is there already"):
        new.model("my-model", tmp_path)


@pytest.mark.parametrize("name", ["", "a b", "../x", "x--y", "countdown", "math", "2d", "class", "x" * 300])
def test_names_that_are_none_or_taken_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="new"):
        new.benchmark(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_too_long_for_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="expected at most 100 letters"):
        new.model("x" * 300, tmp_path)


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "model", "mine"]) == 0 and Path("mine.yaml").is_file()
    assert main(["new", "model", "mine"]) == 2
    assert "is there already" in capsys.readouterr().err
    Path("sets").mkdir()
    Path("sets/gsm8k.jsonl").write_text('{"question": "q", "answer": "#### 5"}\n')
    assert main(["check", "--data", "sets"]) == 0
    assert "gsm8k                       1  ok" in capsys.readouterr().out
    Path("sets/gsm8k.jsonl").write_text('{"question": "q"}\n')
    assert main(["check", "--data", "sets"]) == 2
    assert main(["check", "--data", "set"]) == 2
    assert "found no folder set" in capsys.readouterr().err
