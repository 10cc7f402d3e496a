"""What the process of a stage costs when there is nothing left to do: start-up, plan, what it reads and writes again.

Every stage runs again on finished results of the smoke study, by turns, in each environment that is given. The CPU
seconds of the first one are the peer of the others.

    snakemake --cores all --config study=smoke
    python speed/stages.py python:results                                   # this version alone
    python speed/stages.py OLD/bin/python:OLD_RESULTS python:results        # against another one
"""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

import contenders

RUN = "countdown-base--grpo--seed0"
AT = ["--benchmark", "countdown"]
STAGES = {
    "prepare": AT,
    "overlap": AT,
    "pretrain": ["--model", "countdown-base"],
    "train": ["--run", RUN, "--step", "2"],
    "sample": ["--policy", f"{RUN}--step2", *AT],
    "measure": ["--policy", f"{RUN}--step2", *AT],
    "compare": ["--run", RUN, *AT],
    "report": [],
}
MOST_RATIO = 1.05


def spent(python: str, results: str, stage: str) -> float:
    """CPU seconds of a stage's process."""
    command = [python, "-m", "boundary_bench", stage, "smoke", "--results", results, *STAGES[stage]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}\n{said.decode()}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contenders", nargs="+", metavar="PYTHON:RESULTS", help="where it has finished the smoke study")
    parser.add_argument("--turns", type=int, default=5, help="turns, of which the best counts (5)")
    given = parser.parse_args()
    pairs = [each.rpartition(":") for each in given.contenders]
    rows = []
    for stage in STAGES:
        turns = [
            [spent(python, str(Path(results).resolve()), stage) for python, _, results in pairs]
            for _ in range(given.turns)
        ]
        best = [min(of) for of in zip(*turns, strict=True)]
        ratios = [seconds / best[0] for seconds in best[1:]]
        rows.append([stage, *(f"{seconds:.2f}" for seconds in best), *(f"{ratio:.2f}" for ratio in ratios)])
        rows[-1] += ["yes" if max(ratios) <= MOST_RATIO else "no"] if ratios else []
    names = [f"CPU s of {place}" for place in range(1, len(pairs) + 1)]
    others = [f"{place} / 1" for place in range(2, len(pairs) + 1)]
    contenders.print_table(["stage", *names, *others, *([f"at most {MOST_RATIO}"] if others else [])], rows)


if __name__ == "__main__":
    main()
