"""Where the minutes of a study go: wall seconds of every stage, and wall, CPU and memory of the whole.

Runs the study from nothing in a temporary folder and reads Snakemake's messages as they come: a job lasts from its
announcement to its "Finished". The shares are of all job seconds; with c cores the wall time is at least their sum / c.
CPU seconds and memory are those of Snakemake and every process below it (getrusage of ended children).

    python speed/quickstart.py                   # the default study on two cores
    python speed/quickstart.py --study smoke --cores 4
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

SNAKEFILE = Path(__file__).resolve().parents[1] / "Snakefile"
RULE = re.compile(r"(?:local)?(?:rule|checkpoint) (\w+):")
JOB = re.compile(r"\s+jobid: (\d+)")
FINISHED = re.compile(r"Finished jobid: (\d+)")


def run(command: list[str], log: Path) -> tuple[Counter[str], Counter[str], int]:
    """Jobs and seconds by rule, and the exit status; what Snakemake says is copied to ``log``."""
    jobs: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    began: dict[str, tuple[str, float]] = {}
    rule = ""
    with (
        open(log, "w") as copy,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr is not None
        for line in process.stderr:
            now = time.perf_counter()
            copy.write(line)
            if found := RULE.match(line):
                rule = found[1]
            elif found := JOB.match(line):
                began[found[1]] = rule, now
            elif (found := FINISHED.match(line)) and found[1] in began:
                name, begun = began.pop(found[1])
                jobs[name] += 1
                seconds[name] += now - begun
    return jobs, seconds, process.returncode


def main() -> None:
    """Run the study and print where its time went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="quickstart", help="a shipped study, or the full path of a .yaml file")
    parser.add_argument("--cores", type=int, default=2, help="cores (2)")
    chosen = parser.parse_args()
    beside = Path(sys.executable).with_name("snakemake")
    snakemake = str(beside) if beside.exists() else shutil.which("snakemake")
    if snakemake is None:
        sys.exit("no snakemake in this environment: pip install -e .")
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "snakemake.log")
        command = [
            snakemake,
            "--snakefile",
            str(SNAKEFILE),
            "--directory",
            scratch,
            "--cores",
            str(chosen.cores),
        ]
        command += ["--config", f"study={chosen.study}", "results=results"]
        begun = time.perf_counter()
        jobs, seconds, status = run(command, log)
        wall = time.perf_counter() - begun
        if status:
            sys.exit(f"snakemake ended with status {status}:\n{log.read_text()[-3000:]}")
    used, total = resource.getrusage(resource.RUSAGE_CHILDREN), seconds.total()
    print("| stage | jobs | seconds | seconds a job | share |\n|---|---|---|---|---|")
    for name, spent in seconds.most_common():
        if name != "all":
            print(f"| {name} | {jobs[name]} | {spent:.1f} | {spent / jobs[name]:.1f} | {spent / total:.0%} |")
    print(
        f"\n{chosen.study} on {chosen.cores} cores: {wall / 60:.1f} minutes, "
        f"{used.ru_utime + used.ru_stime:.0f} CPU seconds ({used.ru_stime:.0f} of them in the kernel), "
        f"largest process {used.ru_maxrss / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
