"""What SLURM adds to a study: wall time of the smoke study as jobs against the same on this machine's cores.

    python tests/slurm_cluster.py run python speed/slurm.py

On a cluster of this machine the same cores do the work, so that all of the difference is start-up of jobs, polling and
waiting for files. Time in which no job was queued or running is lost to the latter two.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def run(*options: str) -> tuple[float, float, float]:
    """Wall seconds of the smoke study in an empty folder, and when it began and ended."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["snakemake", *options, "--config", "study=smoke", f"results={folder}", "-q", "--", "all"]
        begun = time.time()
        subprocess.run([sys.executable, "-m", *words], cwd=REPOSITORY, check=True, capture_output=True)
        return time.time() - begun, begun, time.time()


def jobs(since: float) -> list[tuple[float, float, float]]:
    """When each SLURM job since then was submitted, began and ended."""
    words = ["squeue", "-h", "--states=all", "-o", "%V %S %e"]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [tuple(datetime.fromisoformat(word).timestamp() for word in line.split()) for line in lines]
    return sorted(row for row in rows if row[0] >= since - 1)  # type: ignore[misc]


def busy(rows: list[tuple[float, float, float]]) -> float:
    """Seconds in which at least one job was queued or running."""
    total, until = 0.0, 0.0
    for submitted, _, ended in rows:
        total += max(0.0, ended - max(submitted, until))
        until = max(until, ended)
    return total


def main() -> None:
    """Print the table."""
    local, _, _ = run("--cores", "2")
    slurm, begun, ended = run("--profile", "slurm")
    rows = jobs(begun)
    lost = (ended - rows[0][0]) - busy(rows)
    print("| | seconds | of local |\n|---|---|---|")
    print(f"| local, --cores 2 | {local:.0f} | 1.00 |")
    print(f"| --profile slurm, {len(rows)} jobs | {slurm:.0f} | {slurm / local:.2f} |")
    print(f"| of it no job queued or running: polling, waiting for files | {lost:.0f} | {lost / local:.2f} |")
    waited = sum(start - submitted for submitted, start, _ in rows) / len(rows)
    print(f"\nmean of a job: {waited:.1f} s in the queue, {sum(e - s for _, s, e in rows) / len(rows):.1f} s running")


if __name__ == "__main__":
    main()
