"""Folders and files whose names a shell would read as something else: they are carried as they are, or refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from workflow import ENVIRONMENT, snakemake, write_study

from boundary_bench.commands import main
from boundary_bench.core.errors import StudyError
from boundary_bench.plan import make_plan
from boundary_bench.plan.jobs import jobs

#: Everything at once: an option, blanks, commands, quotes, a glob and a letter that is not ASCII.
HOSTILE = "-a $(touch pwned); touch pwned & 'b' \"c\" `touch pwned` > pwned * é"
STUDY: dict[str, Any] = {
    "study": "tiny",
    "models": {
        "base": {"pretrain": {"benchmark": "countdown", "steps": 5, "batch": 8, "hidden": 16, "layers": 1, "heads": 2}}
    },
    "algorithms": ["grpo"],
    "seeds": [0],
    "training": {
        "benchmark": "countdown",
        "options": {"problems": {3: 8}},
        "segments": [1],
        "prompts": 2,
        "rollouts": 2,
        "max_tokens": 8,
    },
    "evaluate": {"steps": [0, 1]},
    "benchmarks": {"countdown": {"data": f"data {HOSTILE[1:-1]}.jsonl"}},
    "sampling": {"n_max": 4, "max_tokens": 8},
    "analysis": {"resamples": 100},
    "probe": {},
}
PROBLEMS = '{"numbers": [2, 3, 4], "target": 24}\n{"numbers": [3, 3, 8], "target": 72}\n'


def made(folder: Path, name: str = HOSTILE) -> tuple[str, ...]:
    """A folder with the study, its problems and a Python of hostile names; arguments for Snakemake."""
    python = folder / f"python {{x}} {HOSTILE[:-1]}" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    own = {name: {**STUDY[name], "python": str(python)} for name in ("training", "sampling")}
    write_study(folder / f"{name}.yaml", STUDY | own)
    (folder / STUDY["benchmarks"]["countdown"]["data"]).write_text(PROBLEMS)
    return "--config", f"study={name}.yaml", f"results={name}"


def test_every_stage_runs_and_says_so_where_it_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = made(tmp_path)
    there = {path.name for path in tmp_path.iterdir()}
    done = snakemake(tmp_path, *arguments)
    assert done.returncode == 0, done.stdout
    assert {path.name for path in tmp_path.iterdir()} - there == {HOSTILE, ".snakemake"}, "nothing was run or misplaced"
    monkeypatch.chdir(tmp_path)
    plan = make_plan(f"{HOSTILE}.yaml", Path(HOSTILE))
    found = jobs(plan)
    assert {job.stage.name for job in found} >= {
        "prepare",
        "overlap",
        "pretrain",
        "train",
        "sample",
        "measure",
        "probe",
    }
    for job in found:
        # a measure has nothing to say of one grader; of every attempt there is a line
        assert job.log.is_file() and job.log.with_suffix(".history").stat().st_size > 0, job.name
        assert job.log.stat().st_size > 0 or job.stage.name in ("measure", "compare"), job.name
    assert "Nothing to be done" in snakemake(tmp_path, "-n", *arguments).stdout


@pytest.mark.parametrize("name", [HOSTILE, "--help"])
def test_the_command_after_a_failure_can_be_pasted(name: str, tmp_path: Path) -> None:
    arguments = made(tmp_path, name)
    (tmp_path / STUDY["benchmarks"]["countdown"]["data"]).write_text("{}")
    done = snakemake(tmp_path, *arguments, "--", f"{name}/tiny/problems/countdown.parquet")
    assert done.returncode == 1
    assert "no row has 'numbers'" in (tmp_path / name / "tiny/logs/prepare/countdown.log").read_text()
    (hint,) = re.findall(r"^boundary-bench (status .*)$", done.stdout, re.MULTILINE)
    pasted = ["bash", "-c", f"{sys.executable} -m boundary_bench {hint}"]
    shown = subprocess.run(pasted, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"failed; .*\n +prepare countdown", shown), shown
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ("a{b}", r"results: found '{' in the path 'a{b}', expected neither braces nor line breaks"),
        ("'a\n\nb'", r"results: found '\n' in the path 'a\nb', expected neither"),
        ("{b}", "results: Snakemake reads {'b': ''}, expected a name; write ./ before it"),
        ("2026.10", "results: Snakemake reads 2026.1, expected a name; write ./ before it, as in results=./NAME"),
        ("", "results: Snakemake reads None, expected a name"),
    ],
)
def test_what_snakemake_cannot_carry_is_refused_before_any_rule(results: str, said: str, tmp_path: Path) -> None:
    done = snakemake(tmp_path, "-n", "--config", "study=smoke", f"results={results}")
    assert done.returncode == 1 and said in done.stdout, done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("name", ["a{b", "a}b", "a\nb", "a\rb", "a\tb"])
def test_other_paths_that_snakemake_cannot_carry_are_refused(name: str, tmp_path: Path) -> None:
    odd = re.escape(repr(name[1]))
    with pytest.raises(StudyError, match=rf"the path of the study: found {odd} in"):
        make_plan(str(write_study(tmp_path / f"{name}.yaml", STUDY)), tmp_path)
    study = write_study(tmp_path / "study.yaml", STUDY | {"benchmarks": {"countdown": {"data": f"{name}.jsonl"}}})
    with pytest.raises(StudyError, match=rf"benchmarks\.countdown\.data: found {odd} in"):
        make_plan(str(study), tmp_path)
    assert main(["forecast", str(study), "--results", str(tmp_path / name)]) == 2
