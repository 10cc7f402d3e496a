"""How long the report of a large study takes from finished tables, and its peak memory.

One run with a base and 16 checkpoints on 3 benchmarks of 100 problems in 3 strata, at 11 values of k up to 1024. The
samples are made up; what is measured, compared and reported is real. Each benchmark's base has other rates, and
training lowers them. The bounds: 20 s on one idle core, which are CPU seconds, and 1 GiB.

The peer is what no report can do without: Python that imports matplotlib, reads the same CSV fragments with the csv
module, and saves as many empty figures of two panels as SVG and PNG. It and the report take turns, each in a process of
its own, and each one's smallest figures count.

    python speed/report.py                           # makes the fragments first: CPU minutes
    python speed/report.py --problems 500
    python speed/report.py --profile                 # the functions that take longest
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

# numpy and the package are imported where they are used: the peak of a process counts from its parent's

CHECKPOINTS, STRATA = 16, 3
#: Success rates of the base of each benchmark: a Beta distribution.
SHAPES = {"countdown": (0.6, 0.6), "countdown-hard": (0.3, 1.5), "random-calculation": (1.2, 0.35)}
MOST_SECONDS, MOST_MEMORY = 20, 1024
STEPS = [10 * step for step in range(CHECKPOINTS + 1)]
STUDY: dict[str, Any] = {
    "study": "large",
    "models": {"base": {"path": "nowhere"}},
    "algorithms": ["grpo"],
    "seeds": [0],
    "training": {"benchmark": "countdown", "segments": STEPS[1:]},
    "evaluate": {"steps": STEPS},
    "benchmarks": {name: {} for name in SHAPES},
    "sampling": {"n_max": 1024, "rounds": [256, 1024], "stop_after": 32},
}
PEER = """
import csv, sys
from pathlib import Path
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
rows = [row for file in Path(sys.argv[1]).glob("*/*/*/*.csv") for row in csv.DictReader(file.open())]
for place in range(int(sys.argv[2])):
    figure, _ = plt.subplots(1, 2, figsize=(10, 6))
    for kind in ("svg", "png"):
        figure.savefig(Path(sys.argv[3], f"{place}.{kind}"), dpi=160)
    plt.close(figure)
"""


@dataclass(frozen=True)
class Spent:
    """What a process took: CPU seconds, seconds, peak MiB."""

    cpu: float
    seconds: float
    peak: float


def build(folder: Path, problems: int) -> int:
    """Make the study's samples up, measure and compare them; how many figures its report has."""
    import numpy as np
    import yaml

    from boundary_bench.benchmarks.base import LEFT_OUT, Prepared, Problem
    from boundary_bench.benchmarks.problem_file import write_problems
    from boundary_bench.commands import stages
    from boundary_bench.plan import make_plan
    from boundary_bench.plan.outputs import report_files
    from boundary_bench.plan.stages import settings

    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    plan, rng = make_plan(str(folder / "study.yaml"), folder), np.random.default_rng(0)
    chosen = [Problem(f"problem {i}", str(i), "1", f"level {i % STRATA}", 1e-3) for i in range(problems)]
    record = Prepared(chosen, problems, dict.fromkeys(LEFT_OUT, 0)).record
    for name in plan.problem_sets:
        write_problems(plan.problems(name), chosen, "test", {"settings": settings(plan, "prepare", name), **record})
    for policy in plan.policies:
        write_weights(plan, policy)
    for benchmark, shape in SHAPES.items():
        rate_P = rng.beta(*shape, problems)
        for policy in plan.policies:
            write_samples(plan, policy, benchmark, [each.id for each in chosen], rate_P ** (1 + policy.step / 400))
            stages.measure(plan, policy.name, benchmark)
        for run in plan.runs:
            stages.compare(plan, run.name, benchmark)
    for run in plan.runs:
        for stop in plan.study.training.segments:
            write_log(plan.step_log(run, stop), range(plan.previous(stop) + 1, stop + 1))
    return sum(file.suffix == ".svg" for file in report_files(plan))


def made_from(plan: Any, stage: str, *values: Any) -> dict[str, str]:
    """What the first output of a job says of the content that it was made from, which is there already."""
    from boundary_bench.core.files import read_json
    from boundary_bench.core.parquet import read_table
    from boundary_bench.plan.stages import STAGES, outputs

    found = {}
    for fact, (job, name) in STAGES[stage].made_from(plan, *values).items():
        file = next(iter(outputs(plan, job)))
        found[fact] = (read_json(file) if file.suffix == ".json" else read_table(file, ["id"])[1])[name]
    return found


def write_weights(plan: Any, policy: Any) -> None:
    """The manifest of weights that nobody has trained."""
    from boundary_bench.core.files import write_json
    from boundary_bench.core.provenance import fingerprint
    from boundary_bench.plan.stages import settings

    job = ("train", policy.run.name, policy.step) if policy.run else ("pretrain", policy.model)
    said = {"weights_sha256": f"{policy.step:064x}", "content": fingerprint({"weights": policy.name})}
    write_json(plan.weights(policy), {**said, **made_from(plan, *job), "settings": settings(plan, *job)})


def write_samples(plan: Any, policy: Any, benchmark: str, ids: list[str], rate_P: Any) -> None:
    """A policy's samples up to where each problem stops, as a campaign leaves them."""
    import numpy as np
    import pyarrow as pa

    from boundary_bench.core.files import write_json
    from boundary_bench.core.parquet import write_table
    from boundary_bench.core.provenance import file_sha256
    from boundary_bench.plan.stages import settings
    from boundary_bench.samples.store import SAMPLES, SampleStore
    from boundary_bench.sampling.block import list_column

    rng = np.random.default_rng([policy.step, *benchmark.encode()])
    store, files = SampleStore(plan.store("sample", policy.name, benchmark, identity={})), {}
    correct_PN = rng.random((len(ids), plan.design.rounds[-1])) < rate_P[:, None]
    first, last = plan.design.rounds
    going_P = correct_PN[:, :first].sum(1) < plan.design.stop_after
    everyone = np.ones(len(ids), bool)
    for start, stop, chosen_P in ((0, 1, everyone), (0, first, everyone), (first, last, going_P)):
        correct_S = correct_PN[chosen_P, start:stop].ravel()
        count = len(correct_S)
        answer_S = np.where(correct_S, 0, rng.integers(1, 50, count)).astype(str)
        rows = {
            "problem_id": np.repeat(np.array(ids)[chosen_P], stop - start),
            "sample": np.tile(np.arange(start, stop, dtype=np.int32), chosen_P.sum()),
            "response": answer_S,
            "tokens": list_column(rng.integers(0, 99, (count, 4), dtype=np.int32), np.full(count, 4)),
            "logprob": rng.normal(-30, 5, count).astype(np.float32),
            "entropy": rng.normal(30, 5, count).astype(np.float32),
            "verdict": np.where(correct_S, "correct", "wrong"),
            "answer": answer_S,
            "reason": np.where(correct_S, "equal", "unequal"),
        }
        file = store.new_greedy() if stop == 1 else store.new_block(start, stop)
        write_table(file, pa.table(rows).cast(SAMPLES), {})
        files[file.name] = file_sha256(file)
    (manifest,) = plan.samples(policy, benchmark)
    job = ("sample", policy.name, benchmark, 1)
    facts = {**made_from(plan, *job), "settings": settings(plan, *job)}
    place = os.path.relpath(store.folder, manifest.parent)
    write_json(manifest, {"folder": place, "files": files, "design": plan.design.record(), **facts})


def write_log(path: Path, steps: range) -> None:
    """A step log."""
    import json

    from boundary_bench.core.files import write_text
    from boundary_bench.report.tables import TRAINING_COLUMNS

    rows = [{**dict.fromkeys(TRAINING_COLUMNS, 1 / step), "step": step} for step in steps]
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def start(command: list[str]) -> Spent:
    """Run a command of this Python and count what it took."""
    clock = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    clock = time.perf_counter() - clock
    if status != 0:
        raise SystemExit(f"{command[0]} failed")
    return Spent(usage.ru_utime + usage.ru_stime, clock, usage.ru_maxrss / 1024)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=100, help="problems of each benchmark (100)")
    parser.add_argument("--turns", type=int, default=3, help="turns, of which the best counts (3)")
    parser.add_argument("--profile", action="store_true", help="instead: where the report's time goes")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            figures = pool.submit(build, folder, given.problems).result()
        ours = ["-m", "boundary_bench", "report", str(folder / "study.yaml"), "--results", place]
        if given.profile:
            command = [sys.executable, "-m", "cProfile", "-s", "cumulative", *ours]
            print(subprocess.run(command, capture_output=True, text=True, check=True).stdout[:9000])
            return
        (folder / "peer").mkdir()
        peer = ["-c", PEER, str(folder / "large"), str(figures), str(folder / "peer")]
        turns = [(start(ours), start(peer)) for _ in range(given.turns)]
    best = [Spent(*map(min, zip(*map(astuple, spent), strict=True))) for spent in zip(*turns, strict=True)]
    print("| | CPU s | at most | s | MiB | at most | ratio of CPU s | holds |\n|---|---|---|---|---|---|---|---|")
    for name, one in zip(("report", "csv module, empty figures"), best, strict=True):
        holds = "yes" if one.cpu <= MOST_SECONDS and one.peak <= MOST_MEMORY else "no"
        bounds = f"{one.cpu:.1f} | {MOST_SECONDS} | {one.seconds:.1f} | {one.peak:.0f} | {MOST_MEMORY}"
        print(f"| {name} | {bounds} | {one.cpu / best[1].cpu:.1f} | {holds} |")


if __name__ == "__main__":
    main()
