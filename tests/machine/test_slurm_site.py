"""What the SLURM profile does where there is no cluster to ask, and the parts of corrected polling that need none."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from workflow import ENVIRONMENT, REPOSITORY

from boundary_bench.machine.slurm.polling import Doubts, verdict


@pytest.mark.parametrize(
    ("told", "known", "is_"),
    [
        ("PREEMPTED", "PENDING", "PENDING"),  # queued again
        ("PREEMPTED", "PREEMPTED", "CANCELLED"),  # not queued again
        ("PREEMPTED", None, "CANCELLED"),
        (None, "COMPLETED", "COMPLETED"),
        (None, "FAILED", "FAILED"),
        (None, None, "UNKNOWN"),  # forgotten: its files tell
    ],
)
def test_the_state_of_a_doubtful_job(told: str | None, known: str | None, is_: str) -> None:
    assert verdict(told, known) == is_


def test_states_are_words() -> None:
    """sacct says by whom a job was cancelled."""
    doubts = Doubts(grace=60)
    doubts.watch(["7", "8"])
    told = {"7": "CANCELLED by 1000", "8": "RUNNING"}
    assert asyncio.run(doubts.settle(told)) == {"7": "CANCELLED", "8": "RUNNING"}


def test_doubts_are_of_active_jobs_without_a_certain_state() -> None:
    doubts = Doubts(grace=60)
    doubts.watch(["7", "8", "9_1", "10"])
    asyncio.run(doubts.settle({"7": "PREEMPTED", "8": "RUNNING", "9": "PENDING"}))
    assert set(doubts.since) == {"7", "10"}  # the state of an array stands for its tasks
    asyncio.run(doubts.settle({"7": "RUNNING", "8": "RUNNING", "9": "PENDING"}))
    assert set(doubts.since) == {"10"}
    doubts.watch(["8"])
    assert not doubts.since


MEND = """
import snakemake_executor_plugin_slurm as plugin
from boundary_bench.machine.slurm.polling import mend
before = plugin.query_job_status
assert mend(plugin, "{version}") is {mended}
assert (plugin.query_job_status is not before) is {mended}
after = plugin.query_job_status
mend(plugin, "{version}")
assert plugin.query_job_status is after
"""


@pytest.mark.parametrize(("version", "mended"), [("2.8.0", True), ("2.8.1", False), ("2.9.0rc1", False), ("3", False)])
def test_versions_after_the_faulty_one_are_left_alone(version: str, mended: bool) -> None:
    code = MEND.format(version=version, mended=mended)
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def profile(
    folder: Path, study: str = "smoke", *, mode: str = "-n", results: str = "results", **environment: str
) -> subprocess.CompletedProcess[str]:
    """A study with the profile, by default a dry run."""
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--profile"]
    command += [str(REPOSITORY / "slurm"), mode, "-q", "--config", f"study={study}", f"results={results}", "--", "all"]
    everything = {**ENVIRONMENT, **environment}
    return subprocess.run(command, cwd=folder, env=everything, capture_output=True, text=True, check=False)


def programs(folder: Path, **scripts: str) -> str:
    """A PATH with programs that are these scripts, and with a squeue: beside sinfo alone the plugin is not imported."""
    for name, script in {"squeue": "exit 1", **scripts}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:{Path(sys.executable).parent}:/bin"


def test_a_machine_without_slurm(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("bash", "sh", "which", "env", "uname"):
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    done = profile(tmp_path, PATH=str(tmp_path / "bin"))
    assert done.returncode == 2
    assert "found no sbatch on the PATH; start this on a login node" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_controller_that_does_not_answer(tmp_path: Path) -> None:
    path = programs(tmp_path, sbatch="exit 1", sinfo="echo 'Unable to contact slurm controller' >&2; exit 1")
    done = profile(tmp_path, PATH=path)
    assert done.returncode == 2
    assert "SLURM does not answer" in done.stderr and "Unable to contact slurm controller" in done.stderr


SINFO = "printf 'cpu|(null)\\ngpu|gpu:a100:4(S:0-1)\\ngpu|gpu:a100:8,shard:9\\nold|gpu:2\\n'"


def test_an_unknown_partition(tmp_path: Path) -> None:
    path = programs(tmp_path, sbatch="exit 1", sinfo=SINFO)
    done = profile(tmp_path, PATH=path, BOUNDARY_BENCH_GPU_PARTITION="gpus")
    assert done.returncode == 2
    assert "BOUNDARY_BENCH_GPU_PARTITION=gpus: this cluster has no such partition; it has cpu, gpu, old" in done.stderr


@pytest.mark.parametrize("name", ["it's $(touch pwned)", "a\\b"])
def test_a_name_that_reaches_no_job_whole_is_refused(name: str, tmp_path: Path) -> None:
    """Snakemake quotes a job's command line as Python does, and a shell reads it."""
    (tmp_path / "bin").mkdir()
    path = programs(tmp_path / "bin", sbatch=f'echo "$@" >> {tmp_path}/submitted; exit 1', sinfo=SINFO)
    done = profile(tmp_path, mode="--nolock", results=name, PATH=path)
    assert done.returncode == 1 and "results: found a quote or backslash in" in done.stderr, done.stderr
    assert not (tmp_path / "submitted").exists() and not (tmp_path / "pwned").exists()


def test_gpus_of_the_largest_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from boundary_bench.machine.slurm import site

    monkeypatch.setenv("PATH", programs(tmp_path, sinfo=SINFO))
    assert site.partitions() == {"cpu": 0, "gpu": 8, "old": 2}


@pytest.mark.parametrize(("partition", "has"), [("gpu", None), ("old", 2)])
def test_more_gpus_than_a_node_has(tmp_path: Path, partition: str, has: int | None) -> None:
    path = programs(tmp_path, sbatch="exit 1", sinfo=SINFO)
    done = profile(tmp_path, "debate-1gpu", PATH=path, BOUNDARY_BENCH_GPU_PARTITION=partition)
    assert done.returncode == 0, done.stderr
    done = profile(tmp_path, "debate", PATH=path, BOUNDARY_BENCH_GPU_PARTITION=partition)
    said = f"the study asks for 8 GPU(s) on one machine, and the largest that jobs may go to has {has};"
    assert (done.returncode, said in done.stdout) == ((0, False) if has is None else (1, True))
