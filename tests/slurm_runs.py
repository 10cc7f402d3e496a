"""Snakemake under the SLURM profile, in a process of its own, and what its jobs are doing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slurm_cluster import told, until
from workflow import ENVIRONMENT, REPOSITORY

#: The smallest that the plugin takes: a test need not wait for the next query.
QUICK = ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"]


@dataclass
class Run:
    """One start of Snakemake."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.output.read_text()

    def end(self, code: int = 0) -> str:
        """Wait for the end, which must be this one."""
        try:
            found = self.process.wait(timeout=420)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.text}\n{told('squeue')}") from None
        assert found == code, self.text
        return self.text

    def submitted(self, rule: str) -> list[str]:
        """Numbers of the SLURM jobs of a rule, in order."""
        return re.findall(rf"SLURM jobid (\d+) \(log: \S*/rule_{rule}/", self.text)


@contextmanager
def started(folder: Path, study: Path, *arguments: str, results: str = "results", **environment: str) -> Iterator[Run]:
    """``snakemake --profile slurm all`` for a study, in ``folder``; ended, with its jobs, when the block is left."""
    number = len(list(folder.glob("output-*.txt")))
    output = folder / f"output-{number}.txt"
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile")]
    command += ["--profile", str(REPOSITORY / "slurm"), *QUICK, *arguments]
    command += ["--config", f"study={study}", f"results={results}", "--", "all"]
    everything = {**ENVIRONMENT, **environment}
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=everything, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield Run(process, output)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        subprocess.run(["scancel", "--full", "-u", "root"], check=False)


def steps(results: Path) -> list[int]:
    """The steps that training jobs have logged, of all attempts, in order of segments and of writing."""
    logs = sorted(results.glob("logs/train/*/step*.history"), key=lambda path: int(path.stem.removeprefix("step")))
    return [int(step) for log in logs for step in re.findall(r"\] step (\d+)/", log.read_text())]


def training_begun(results: Path, step: int) -> None:
    """Wait until the run has logged a step."""
    until(lambda: any(done >= step for done in steps(results)), f"step {step} in {results}", 120)


def sampling_begun(results: Path, policy: str) -> None:
    """Wait until a sampling job has stored its second block."""
    log = results / "logs/sample" / policy / "countdown/1-of-1.jsonl"
    until(lambda: log.exists() and log.read_text().count("block-") >= 2, f"two blocks in {log}", 120)


def running_job(rule: str) -> str:
    """Number of the SLURM job of a rule that runs now."""
    until(lambda: _running(rule), f"a running job of {rule}", 60)
    return _running(rule)[0]


def process_of(stage: str, study: Path) -> int:
    """The process of a stage of a study that runs here."""
    (found,) = told("pgrep", "-f", f"bin/boundary-bench {stage} {study} ").split()
    return int(found)


def node_of(job: str) -> str:
    """The node that a job runs on."""
    return told("squeue", "-h", "-j", job, "-o", "%N").strip()


def _running(rule: str) -> list[str]:
    lines = told("squeue", "-h", "-t", "R", "-o", "%i|%k").splitlines()
    return [job for job, comment in (line.split("|", 1) for line in lines) if comment.startswith(f"rule_{rule}_")]
