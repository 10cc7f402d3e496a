"""The workflow on a real SLURM cluster: whatever happens to its jobs, the samples are those of an undisturbed run.

That its tables are the same too is seen where the smoke study runs whole, here and there (``.ci/run``).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from slurm_cluster import Cluster, running, told, until, why_not
from slurm_runs import node_of, process_of, running_job, sampling_begun, started, steps, training_begun
from workflow import snakemake, write_study

from boundary_bench.core.files import read_json
from boundary_bench.samples.grades import sample_rows
from boundary_bench.samples.manifest import sample_files

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(why_not() is not None, reason=f"no SLURM cluster: {why_not()}"),
]

RUN, LAST = "base--grpo--seed0", "base--grpo--seed0--step120"
#: What follows on the samples is a function of them, and nothing of it is a test of the scheduler.
UNTIL = ("--until", "sample")
#: For the clusters of tests that name none: without accounting.
ACCOUNTING = pytest.mark.parametrize("cluster", [True], indirect=True)


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    accounting = getattr(request, "param", False)
    if accounting and (reason := why_not(accounting)) and "running already" not in reason:
        pytest.skip(f"no accounting: {reason}")
    with running(accounting=accounting) as cluster:
        yield cluster


@dataclass(frozen=True)
class Undisturbed:
    """A study, a folder in which it has run with nothing happening to it, and what its last checkpoint drew."""

    folder: Path
    settings: dict[str, Any]
    drawn: list[tuple[str, int, str]]

    def study(self, folder: Path, **training: Any) -> Path:
        """The study's file in a folder; a change of how it is trained must not change what comes out."""
        changed = {**self.settings, "training": {**self.settings["training"], **training}}
        return write_study(folder / "faults.yaml", changed)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Undisturbed:
    """One run of seconds for each segment, rewarded by chance, so that every step moves the weights."""
    training = {
        "benchmark": "countdown",
        "options": {"problems": {3: 60}},
        "segments": [60, 120],
        "prompts": 8,
        "rollouts": 8,
        "lr": 1.0e-3,
        "max_tokens": 24,
        "reward": {"random": 0.5},
        "state_every": 10,
    }
    settings = {
        "study": "faults",
        "models": {"base": {"path": str(tiny_model)}},
        "algorithms": ["grpo"],
        "seeds": [0],
        "training": training,
        "evaluate": {"steps": [0, 120]},
        "benchmarks": {"countdown": {"split": "test", "options": {"problems": {3: 16}}}},
        "sampling": {"n_max": 4096, "stop_after": None, "block": 256, "max_tokens": 24},
        "analysis": {"resamples": 200},
    }
    folder = tmp_path_factory.mktemp("undisturbed")
    study = write_study(folder / "faults.yaml", settings)
    done = snakemake(folder, "-q", "rules", *UNTIL, "--config", f"study={study}")
    assert done.returncode == 0, done.stdout
    return Undisturbed(folder, settings, drawn(folder / "results/faults"))


def drawn(root: Path) -> list[tuple[str, int, str]]:
    """The samples of the last checkpoint: problem, index, response."""
    (manifest,) = root.glob(f"samples/{LAST}/countdown/*.json")
    _, blocks = sample_files([manifest], read_json(manifest)["design"])
    names = ["problem_id", "sample", "response"]
    return sorted(tuple(row.values()) for file in blocks for row in sample_rows(file, names).to_pylist())


@pytest.fixture
def study(undisturbed: Undisturbed, tmp_path: Path) -> Path:
    return undisturbed.study(tmp_path)


@pytest.fixture
def results(undisturbed: Undisturbed, tmp_path: Path) -> Iterator[Path]:
    """A test's results: all that is made of the base is there, training and what follows is not.

    In the end the samples are those of the undisturbed run.
    """
    for name in ("results", ".snakemake"):
        shutil.copytree(undisturbed.folder / name, tmp_path / name, copy_function=shutil.copy2)
    root = tmp_path / "results/faults"
    for place in ("checkpoints", "store/train", f"samples/{LAST}"):
        shutil.rmtree(root / place)
    for place in [*root.glob(f"store/sample/{LAST}--*"), root / "logs/train", root / f"logs/sample/{LAST}"]:
        shutil.rmtree(place)
    yield root
    assert drawn(root) == undisturbed.drawn


def nothing_twice(results: Path) -> bool:
    """Whether no step was made twice: each attempt goes on where the one before it stopped."""
    made = steps(results)
    return made == sorted(set(made))


def log_of(results: Path, step: int) -> str:
    """What all attempts at a segment have said."""
    return (results / f"logs/train/{RUN}/step{step}.history").read_text()


def test_cancelled_jobs_go_on(cluster: Cluster, study: Path, results: Path, tmp_path: Path) -> None:
    with started(tmp_path, study, *UNTIL) as run:
        training_begun(results, 20)
        subprocess.run(["scancel", running_job("train")], check=True)
        sampling_begun(results, LAST)
        subprocess.run(["scancel", running_job("sample")], check=True)
        run.end()
    assert "stopped by a signal at step" in log_of(results, 60)
    assert nothing_twice(results)
    assert len(run.submitted("train")) == 3
    blocks = (results / f"logs/sample/{LAST}/countdown/1-of-1.history").read_text()
    assert blocks.count(" block-003840-004096:") == blocks.count(" block-000000-000256:") == 1


@pytest.mark.parametrize("partition", ["requeued", "cancelled"])
def test_preempted_jobs_go_on(cluster: Cluster, study: Path, results: Path, tmp_path: Path, partition: str) -> None:
    with started(tmp_path, study, *UNTIL, BOUNDARY_BENCH_PARTITION=partition) as run:
        training_begun(results, 20)
        preempted = running_job("train")
        urgent = ["srun", "-p", "high", "-N", str(cluster.nodes), "--exclusive", "true"]
        subprocess.run(urgent, check=True, timeout=120)
        run.end()
    assert "stopped by a signal at step" in log_of(results, 60)
    assert nothing_twice(results)
    # queued again it is the same job; cancelled, Snakemake submits another
    assert run.submitted("train").count(preempted) == 1
    assert len(run.submitted("train")) == {"requeued": 2, "cancelled": 3}[partition]


def test_a_node_that_dies(cluster: Cluster, study: Path, results: Path, tmp_path: Path) -> None:
    with started(tmp_path, study, *UNTIL) as run:
        training_begun(results, 30)
        node = node_of(running_job("train"))
        cluster.crash(node)
        try:
            run.end()
        finally:
            cluster.start_node(node)
    log = log_of(results, 60)
    assert "stopped by a signal" not in log and "step 60/60" in log
    assert steps(results).count(10) == 1  # what the saved state holds is not made again


def test_a_controller_that_is_started_again(cluster: Cluster, study: Path, results: Path, tmp_path: Path) -> None:
    with started(tmp_path, study, *UNTIL) as run:
        training_begun(results, 20)
        cluster.stop("slurmctld")
        training_begun(results, 60)
        cluster.start_controller()
        run.end()
    assert nothing_twice(results) and len(run.submitted("train")) == 2


def test_a_job_whose_time_is_up(cluster: Cluster, study: Path, results: Path, tmp_path: Path) -> None:
    with started(tmp_path, study, *UNTIL, "--set-resources", "train:runtime=1") as run:
        training_begun(results, 20)
        first = running_job("train")
        # as slow as it takes to be there when a minute has passed; SLURM wakes it to tell it
        os.kill(process_of("train", study), signal.SIGSTOP)
        until(lambda: first not in told("squeue", "-h", "-o", "%i").split(), "the end of the job's time", 180)
        run.end()
    assert "stopped by a signal at step" in log_of(results, 60)
    assert nothing_twice(results) and len(run.submitted("train")) == 3


def test_snakemake_is_killed_and_started_again(cluster: Cluster, study: Path, results: Path, tmp_path: Path) -> None:
    with started(tmp_path, study, *UNTIL) as run:
        training_begun(results, 20)
        # its jobs run on, and know nothing of the next Snakemake; this one is held until it is in the next one's way
        process = process_of("train", study)
        os.kill(process, signal.SIGSTOP)
        os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()
        unlocked = snakemake(tmp_path, "--unlock", "--config", f"study={study}")
        assert unlocked.returncode == 0, unlocked.stdout
        with started(tmp_path, study, *UNTIL) as again:
            until(lambda: "waiting: " in log_of(results, 60), "the second job at the door", 120)
            os.kill(process, signal.SIGCONT)
            again.end()
    assert nothing_twice(results)


def test_a_job_that_fails_twice_and_then_works(
    cluster: Cluster, undisturbed: Undisturbed, results: Path, tmp_path: Path
) -> None:
    attempts = tmp_path / "attempts"
    python = program(
        tmp_path, f'echo >> {attempts}; [ $(wc -l < {attempts}) -gt 2 ] || exit 1; exec {sys.executable} "$@"'
    )
    with started(tmp_path, undisturbed.study(tmp_path, python=str(python)), *UNTIL) as run:
        run.end()
    assert nothing_twice(results) and len(run.submitted("train")) == 4


def test_a_job_that_always_fails_leaves_the_others_alone(
    cluster: Cluster, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    python = program(tmp_path, f'[[ "$*" != *gspo* ]] || {{ echo no such luck; exit 1; }}; exec {sys.executable} "$@"')
    settings = undisturbed.study(tmp_path, python=str(python), segments=[10])
    study = yaml.safe_load(settings.read_text()) | {"algorithms": ["grpo", "gspo"], "evaluate": {"steps": [0, 10]}}
    study["sampling"] |= {"n_max": 256}
    with started(tmp_path, write_study(settings, study), "--retries", "1") as run:
        said = run.end(1)
    results = tmp_path / "results/faults"
    assert (results / f"comparisons/{RUN}/countdown/differences.csv").is_file()
    assert not (results / "tables").exists()
    log = results / "logs/train/base--gspo--seed0/step10.log"
    last = said[said.rindex("boundary-bench status") :]
    assert str(log.relative_to(tmp_path)) in last and "no such luck" in last


def test_a_results_folder_that_the_nodes_do_not_share(cluster: Cluster, study: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for node in cluster.names:
        cluster.stop(f"slurmd-{node}")
        cluster.start_node(node, without=elsewhere)
    try:
        with started(tmp_path, study, *UNTIL, "--retries", "0", results=str(elsewhere)) as run:
            said = run.end(1)
    finally:
        for node in cluster.names:
            cluster.stop(f"slurmd-{node}")
            cluster.start_node(node)
    (log,) = (tmp_path / "results/slurm-logs").glob("rule_pretrain/*/*.log")
    assert str(log) in said
    assert f"the results folder {elsewhere} is not the same here" in log.read_text()
    assert "put it on a file system that both machines share" in log.read_text()


@ACCOUNTING
def test_accounting_that_is_down_for_two_minutes(cluster: Cluster, study: Path, results: Path, tmp_path: Path) -> None:
    with started(tmp_path, study, *UNTIL, "--slurm-status-command", "sacct") as run:
        training_begun(results, 20)
        cluster.stop("slurmdbd")
        begun = time.monotonic()
        subprocess.run(["scancel", running_job("train")], check=True)
        until(lambda: time.monotonic() - begun > 120, "two minutes", 150)
        cluster.start_accounting()
        run.end()
    assert nothing_twice(results) and len(run.submitted("train")) == 3


def test_a_cluster_without_accounting(cluster: Cluster, study: Path, results: Path, tmp_path: Path) -> None:
    with started(tmp_path, study, *UNTIL, "--slurm-status-command", "sacct") as run:
        training_begun(results, 20)
        subprocess.run(["scancel", running_job("train")], check=True)
        run.end()
    assert nothing_twice(results) and len(run.submitted("train")) == 3


def program(folder: Path, script: str) -> Path:
    """A Python of a study that does something else first."""
    file = folder / "python"
    file.write_text(f"#!/bin/bash\n{script}\n")
    file.chmod(0o755)
    return file
