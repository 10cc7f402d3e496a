"""Running the workflow and its stages as a user does: in a folder of their own, in processes of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}


def snakemake(
    folder: Path, *arguments: str, snakefile: Path = REPOSITORY / "Snakefile"
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder; stdout and stderr come as one text."""
    command = [sys.executable, "-m", "snakemake", "-s", str(snakefile), "--cores", "2", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def stage(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start one stage of the command line; its lines can be read while it runs."""
    command = [sys.executable, "-m", "boundary_bench", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a stage and return the rest of what it printed; it must have ended well."""
    text = process.communicate()[0]
    assert process.returncode == 0, text
    return text


def read_until(process: subprocess.Popen[str], pattern: str) -> None:
    """Read a stage's lines until one matches."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if re.search(pattern, line):
            return
    raise AssertionError(f"the process ended without a line like {pattern!r}: {''.join(seen)}")


def planned(folder: Path, *arguments: str) -> dict[str, int]:
    """Jobs per rule that a dry run shows."""
    done = snakemake(folder, "-n", *arguments)
    assert done.returncode == 0, done.stdout
    table = re.search(r"job +count\n-+ +-+\n(.*?)\n\n", done.stdout, re.DOTALL)
    return {} if table is None else {row.split()[0]: int(row.split()[1]) for row in table[1].splitlines()}


def write_study(path: Path, study: dict[str, Any]) -> Path:
    """Write a study file."""
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    return path


def shipped(name: str) -> dict[str, Any]:
    """A shipped study as a mapping."""
    return yaml.safe_load((REPOSITORY / "workflows/studies" / f"{name}.yaml").read_text())


def tables(root: Path) -> dict[str, bytes]:
    """The result tables of a study, by file name."""
    return {path.name: path.read_bytes() for path in sorted((root / "tables").glob("*.csv"))}
