"""What building the DAG and a dry run cost, on the real Snakefile and on bare workflows with as many jobs.

The study has 12 checkpoints a run and 8 benchmarks. The bare workflow has the same rules, jobs, files and logs, of
plain strings, and one parameter or two a job: no study, no settings, no names to check. The barest has the stages of
nearly all jobs alone, one input and one output file each, and no logs or parameters.

One job is what every job on a cluster pays before its command: the Snakefile is read, and one measure job planned whose
input is there. Its peer is a Snakefile of one rule.

CPU seconds and peak memory of the process; the contenders take turns, and each one's smallest figures count.

    python speed/dag.py                              # three sizes, 10 CPU minutes
    python speed/dag.py --runs 800 --turns 1         # one size: 800 training runs, 170,000 jobs
    python speed/dag.py --repository FOLDER          # the workflow of another checkout
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
CHECKPOINTS, BENCHMARKS, ALGORITHMS, SEEDS = 12, 8, 8, 5
#: Training runs of one model or of several: about 1,000, 10,000 and 50,000 jobs.
RUNS = (5, 48, 240)
MOST_RATIO = 1.5

BARE = """
wildcard_constraints:
    step="[0-9]+",

MODELS, ARMS = [f"model{{i}}" for i in range({models})], [f"arm{{i}}" for i in range({arms})]
STEPS, SETS = range(1, {checkpoints} + 1), [f"set{{i}}" for i in range({benchmarks})]
MADE = [f"{{m}}/base/0" for m in MODELS] + [f"{{m}}/{{a}}/{{s}}" for m in MODELS for a in ARMS for s in STEPS]
MEASURES, COMPARISONS = [f"m{{i}}.csv" for i in range(6)], [f"c{{i}}.csv" for i in range(4)]
LEAVES = [f"checkpoints/{{p}}/manifest.json" for p in MADE if "/base/" not in p]
LEAVES += [f"samples/{{p}}/{{b}}.json" for p in MADE for b in SETS]
LEAVES += [f"measures/{{p}}/{{b}}/{{f}}" for p in MADE for b in SETS for f in MEASURES]
LEAVES += [f"comparisons/{{m}}/{{a}}/{{b}}/{{f}}" for m in MODELS for a in ARMS for b in SETS for f in COMPARISONS]

def weights(w):
    if w.arm == "base":
        return f"models/{{w.model}}.json"
    return f"checkpoints/{{w.model}}/{{w.arm}}/{{w.step}}/manifest.json"

def before(w):
    return f"checkpoints/{{w.model}}/{{w.arm}}/{{int(w.step) - 1}}/manifest.json" if w.step != "1" else []

def evaluated(w):
    made = [f"{{w.model}}/base/0"] + [f"{{w.model}}/{{w.arm}}/{{s}}" for s in STEPS]
    return [f"measures/{{p}}/{{w.set}}/m0.csv" for p in made]

rule all:
    input: LEAVES, expand("overlap/{{set}}.json", set=SETS), "report.html"
rule prepare:
    output: "problems/{{set}}.parquet"
    log: "logs/prepare/{{set}}.log"
    params: settings="x"
    shell: "true"
rule overlap:
    input: "problems/{{set}}.parquet", "problems/training.parquet"
    output: "overlap/{{set}}.json"
    log: "logs/overlap/{{set}}.log"
    params: settings="x"
    shell: "true"
rule pretrain:
    output: "models/{{model}}.json"
    log: "logs/pretrain/{{model}}.log"
    params: settings="x"
    shell: "true"
rule train:
    input: "models/{{model}}.json", "problems/training.parquet", before
    output: "checkpoints/{{model}}/{{arm}}/{{step}}/manifest.json", "checkpoints/{{model}}/{{arm}}/{{step}}/log.jsonl"
    log: "logs/train/{{model}}/{{arm}}/{{step}}.log"
    params: settings="x"
    shell: "true"
rule sample:
    input: weights, "problems/{{set}}.parquet"
    output: "samples/{{model}}/{{arm}}/{{step}}/{{set}}.json"
    log: "logs/sample/{{model}}/{{arm}}/{{step}}/{{set}}.log"
    params: settings="x", design="x"
    shell: "true"
rule measure:
    input: "samples/{{model}}/{{arm}}/{{step}}/{{set}}.json", "problems/{{set}}.parquet"
    output: [f"measures/{{{{model}}}}/{{{{arm}}}}/{{{{step}}}}/{{{{set}}}}/{{f}}" for f in MEASURES]
    log: "logs/measure/{{model}}/{{arm}}/{{step}}/{{set}}.log"
    params: settings="x"
    shell: "true"
rule compare:
    input: evaluated
    output: [f"comparisons/{{{{model}}}}/{{{{arm}}}}/{{{{set}}}}/{{f}}" for f in COMPARISONS]
    log: "logs/compare/{{model}}/{{arm}}/{{set}}.log"
    params: settings="x"
    shell: "true"
rule report:
    input: LEAVES
    output: [f"tables/{{i}}.csv" for i in range(18)], "report.html"
    log: "logs/report.log"
    params: settings="x"
    shell: "true"
"""

BAREST = """
RUNS, STEPS, SETS = range({models} * {arms}), range(1, {checkpoints} + 1), range({benchmarks})

rule all:
    input:
        expand("c/{{run}}/{{set}}", run=RUNS, set=SETS),
        expand("m/{{run}}/{{step}}/{{set}}", run=RUNS, step=STEPS, set=SETS),
rule train:
    input: lambda w: f"t/{{w.run}}/{{int(w.step) - 1}}" if w.step != "1" else []
    output: "t/{{run}}/{{step}}"
    shell: "true"
rule sample:
    input: "t/{{run}}/{{step}}"
    output: "s/{{run}}/{{step}}/{{set}}"
    shell: "true"
rule measure:
    input: "s/{{run}}/{{step}}/{{set}}"
    output: "m/{{run}}/{{step}}/{{set}}"
    shell: "true"
rule compare:
    input: "m/{{run}}/{checkpoints}/{{set}}"
    output: "c/{{run}}/{{set}}"
    shell: "true"
"""

ONE_RULE = """
rule only:
    output: "only"
    shell: "true"
"""


@dataclass(frozen=True)
class Spent:
    """What one start of Snakemake took: CPU seconds, seconds, peak MiB, and the jobs it planned."""

    cpu: float
    seconds: float
    peak: float
    jobs: int


def study(name: str, models: int, algorithms: int, seeds: int) -> dict[str, object]:
    """A study of that many training runs."""
    return {
        "study": name,
        "models": {f"model{i}": {"pretrain": {"benchmark": "countdown", "steps": 300 + i}} for i in range(models)},
        "algorithms": {f"grpo{i}": {"like": "grpo", "clip_high": 0.2 + i / 100} for i in range(algorithms)},
        "seeds": list(range(seeds)),
        "training": {"benchmark": "countdown", "segments": list(range(10, 10 * CHECKPOINTS + 1, 10))},
        "evaluate": {"steps": list(range(0, 10 * CHECKPOINTS + 1, 10))},
        "benchmarks": {f"set{i}": {"kind": "countdown", "seed": i} for i in range(BENCHMARKS)},
        "sampling": {"n_max": 64, "stop_after": 8},
    }


def shape(runs: int) -> tuple[int, int, int]:
    """Models, algorithms and seeds of about that many runs."""
    if runs <= SEEDS:
        return 1, 1, runs
    return max(1, round(runs / ALGORITHMS / SEEDS)), ALGORITHMS, min(SEEDS, runs // ALGORITHMS)


def start(repository: Path, folder: Path, arguments: list[str]) -> Spent:
    """Dry-run Snakemake in a folder and count what it took."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--cores", "2", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    with tempfile.TemporaryFile() as output:
        clock = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        clock = time.perf_counter() - clock
        output.seek(0)
        text = output.read().decode()
    total = re.search(r"^total +(\d+)$", text, re.MULTILINE)
    if status != 0 or total is None:
        raise SystemExit(text)
    return Spent(usage.ru_utime + usage.ru_stime, clock, usage.ru_maxrss / 1024, int(total[1]))


def commands(repository: Path, folder: Path, runs: int) -> dict[str, list[str]]:
    """The contenders of one size, and what they are told; their files lie in the folder."""
    models, algorithms, seeds = shape(runs)
    (folder / "study.yaml").write_text(yaml.safe_dump(study("scale", models, algorithms, seeds), sort_keys=False))
    sizes = {"models": models, "arms": algorithms * seeds, "checkpoints": CHECKPOINTS, "benchmarks": BENCHMARKS}
    for name, text in (("bare", BARE), ("barest", BAREST), ("one", ONE_RULE)):
        (folder / name).write_text(text.format(**sizes))
    for made in ("samples/model0/set0/1-of-1.json", "problems/set0.parquet"):
        path = folder / "ready/scale" / made
        path.parent.mkdir(parents=True)
        path.touch()
    ours = ["-s", str(repository / "Snakefile"), "--config", "study=study.yaml"]
    job = ["--force", "--allowed-rules", "measure", "--", "ready/scale/measures/model0/set0/problems.parquet"]
    return {
        "bare workflow": ["-s", "bare"],
        "boundary-bench": ours,
        "barest workflow": ["-s", "barest"],
        "one rule": ["-s", "one"],
        "boundary-bench, one job": [*ours, "results=ready", *job],
    }


def best(spent: list[Spent]) -> Spent:
    """The smallest figures of several turns."""
    return Spent(*map(min, zip(*map(astuple, spent), strict=True)))


def measure(repository: Path, runs: int, turns: int) -> list[list[str]]:
    """The rows of one size."""
    with tempfile.TemporaryDirectory() as place:
        asked = commands(repository, Path(place), runs)
        spent: dict[str, list[Spent]] = {name: [] for name in asked}
        for _ in range(turns):
            for name, arguments in asked.items():
                spent[name].append(start(repository, Path(place), arguments))
    found = {name: best(turns_of) for name, turns_of in spent.items()}
    whole, job = found["boundary-bench"], found["boundary-bench, one job"]
    assert whole.jobs == found["bare workflow"].jobs and job.jobs == 1, "not the same jobs"
    peers = {"boundary-bench": "bare workflow", "boundary-bench, one job": "one rule"}
    rows = []
    for name, one in found.items():
        row = [name, f"{one.jobs:,}", f"{one.cpu:.2f}", f"{one.seconds:.2f}", f"{one.peak:.0f}"]
        if name in peers:
            ratio = one.cpu / found[peers[name]].cpu
            row += [f"{ratio:.2f}", f"{MOST_RATIO}", "yes" if ratio <= MOST_RATIO else "no"]
        rows.append(row + [""] * (8 - len(row)))
    return rows


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=RUNS, help="training runs of a study (5 48 240)")
    parser.add_argument("--turns", type=int, default=3, help="turns, of which the best counts (3)")
    parser.add_argument("--repository", type=Path, default=REPOSITORY, help="checkout with the Snakefile (this one)")
    given = parser.parse_args()
    rows = [row for runs in given.runs for row in measure(given.repository.resolve(), runs, given.turns)]
    # not before: the peak of a process counts from its parent's, which this import would raise to that of torch
    import contenders

    head = ["workflow", "jobs", "CPU s", "s", "MiB", "ratio of CPU s", "at most", "holds"]
    contenders.print_table(head, rows)


if __name__ == "__main__":
    main()
