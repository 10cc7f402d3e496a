"""Jobs on another machine: whether they see the results folder of the Snakemake that started them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from workflow import ENVIRONMENT, REPOSITORY, snakemake

from boundary_bench.core.errors import StoreError
from boundary_bench.machine import shared_folder

TARGET = "results/smoke/problems/countdown.parquet"
#: Says what it announced, and ends when it is told to.
STARTED = f"""
import os, sys; from pathlib import Path; from boundary_bench.machine import shared_folder
shared_folder.announce(Path(sys.argv[1])); print(os.environ[{shared_folder.VARIABLE!r}], flush=True); sys.stdin.read()
"""


def start(results: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that has announced itself, and the name of its file."""
    command = [sys.executable, "-c", STARTED, str(results)]
    process = subprocess.Popen(command, env=ENVIRONMENT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    return process, process.stdout.readline().partition("@")[0]


def names(results: Path) -> set[str]:
    return {path.name for path in results.iterdir()}


def test_every_start_has_its_own_file_until_it_ends(tmp_path: Path) -> None:
    (one, first), (other, second) = start(tmp_path), start(tmp_path)
    assert first != second and names(tmp_path) == {first, second}
    other.communicate()
    assert names(tmp_path) == {first}
    one.communicate()
    assert not names(tmp_path)


def test_a_killed_start_leaves_its_file_to_its_jobs_for_weeks(tmp_path: Path) -> None:
    killed, name = start(tmp_path)
    killed.kill()
    killed.communicate()
    late, later = start(tmp_path)
    assert names(tmp_path) == {name, later}
    late.communicate()
    month_ago = (tmp_path / name).stat().st_mtime - 31 * 24 * 3600
    os.utime(tmp_path / name, (month_ago, month_ago))
    start(tmp_path)[0].communicate()
    assert not names(tmp_path)


def test_a_job_that_sees_the_file_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".start-1").touch()
    monkeypatch.setenv(shared_folder.VARIABLE, ".start-1@login")
    shared_folder.check(tmp_path, seconds=0)
    monkeypatch.delenv(shared_folder.VARIABLE)
    shared_folder.check(tmp_path / "none", seconds=0)


def test_a_file_may_take_a_while_to_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(shared_folder.VARIABLE, ".start-1@login")
    monkeypatch.setattr(shared_folder.time, "sleep", lambda seconds: (tmp_path / ".start-1").touch())
    shared_folder.check(tmp_path)
    assert f"waiting for {tmp_path}/.start-1 to be seen on {os.uname().nodename}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("there", "found"),
    [(None, "no such folder"), ("smoke", "the folder, with no such file"), (".start-2", "the folder, with .start-2")],
)
def test_another_folder_is_said(there: str | None, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(shared_folder.VARIABLE, ".start-1@login")
    results = tmp_path / "results"
    if there:
        (results / there).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"put it on a file system that both .* --config results=") as caught:
        shared_folder.check(results, seconds=0)
    here = os.uname().nodename
    assert f"{results} is not the same here ({here}) as where snakemake was started (login)" in str(caught.value)
    assert f"found {found}, expected .start-1" in str(caught.value)


def test_the_workflow_announces_itself_to_its_jobs_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(
        f"include: {str(REPOSITORY / 'Snakefile')!r}\n"
        f"rule seen:\n    output: 'seen.txt'\n"
        f"    shell: '(ls -A results; echo ${shared_folder.VARIABLE}) > {{output}}'\n"
    )
    arguments = ("--config", "study=smoke", "--", "seen.txt")
    done = snakemake(tmp_path, "-n", *arguments, snakefile=tmp_path / "Snakefile")
    assert done.returncode == 0, done.stdout
    assert not (tmp_path / "results").exists(), "a dry run writes nothing"
    done = snakemake(tmp_path, *arguments, snakefile=tmp_path / "Snakefile")
    assert done.returncode == 0, done.stdout
    *listed, variable = (tmp_path / "seen.txt").read_text().split()
    assert variable == f"{listed[0]}@{os.uname().nodename}" and listed[0].startswith(shared_folder.PREFIX)
    assert not list((tmp_path / "results").iterdir())


def test_a_results_folder_that_cannot_be_written_to_is_said_at_the_start(tmp_path: Path) -> None:
    done = snakemake(tmp_path, "--config", "study=smoke", "results=/proc/none", "--", "/proc/none/smoke/report.html")
    assert done.returncode == 1
    assert "cannot write /proc/none/.start-" in done.stdout and "is the folder writable" in done.stdout
    assert "boundary_bench/machine/shared_folder.py" not in done.stdout, "a message, not a traceback"


def inner(folder: Path, variable: str) -> subprocess.Popen[str]:
    """The Snakemake of a job, as an executor starts it on a machine."""
    words = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--cores", "1", "--nolock"]
    words += ["--mode", "remote", "--executor", "local", "--no-hooks", "--force", "--config", "study=smoke"]
    words += ["--target-jobs", "prepare:benchmark=countdown", "--allowed-rules", "prepare"]
    environment = {**ENVIRONMENT, shared_folder.VARIABLE: variable}
    return subprocess.Popen(
        words, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_a_job_runs_where_the_folder_is_shared(tmp_path: Path) -> None:
    results = tmp_path / "results"
    process, name = start(results)
    job = inner(tmp_path, f"{name}@login")
    text = job.communicate()[0]
    assert job.returncode == 0 and "waiting" not in text, text
    assert (tmp_path / TARGET).is_file()
    assert name in names(results), "the job leaves it to the others"
    process.communicate()


@pytest.mark.slow
def test_a_job_ends_where_the_folder_is_another(tmp_path: Path) -> None:
    for name in ("absent", "other"):
        (tmp_path / name / "results").mkdir(parents=True)
    (tmp_path / "other/results/.start-2").touch()
    jobs = {name: inner(tmp_path / name, ".start-1@login") for name in ("absent", "other")}
    for name, found in (("absent", "no such file"), ("other", ".start-2")):
        text = jobs[name].communicate()[0]
        assert jobs[name].returncode == 1
        assert "WorkflowError" in text and f"found the folder, with {found}, expected .start-1" in text
        assert not (tmp_path / name / TARGET).exists()
