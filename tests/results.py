"""A results tree with chosen counts, as the stages before measure would leave it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from boundary_bench.benchmarks.base import LEFT_OUT, Prepared, Problem
from boundary_bench.benchmarks.problem_file import read_problems, write_problems
from boundary_bench.commands import stages
from boundary_bench.core.files import read_json, write_json, write_text
from boundary_bench.core.parquet import read_table, write_table
from boundary_bench.core.provenance import file_sha256, fingerprint
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.stages import STAGES, outputs, settings
from boundary_bench.report.tables import TRAINING_COLUMNS
from boundary_bench.samples.grades import Graded, read_graded
from boundary_bench.samples.store import SAMPLES, SampleStore
from boundary_bench.study.policies import Policy

FIRST, N, STOP_AFTER = 4, 8, 3
REASONS = {"correct": "equal", "wrong": "unequal: read as wrong", "truncated": "cut off at the token limit"}
BLOCKS = f"block-000000-{FIRST:06d}", f"block-{FIRST:06d}-{N:06d}"
HOSTILE = "<script>alert(1)</script>|"
STUDY = {
    "study": "toy",
    "models": {"base-model": {"path": "nowhere"}},
    "algorithms": ["grpo", "gspo-n"],
    "seeds": [0, 1],
    "training": {"benchmark": "countdown", "segments": [2, 4]},
    "evaluate": {"steps": [0, 2, 4]},
    "benchmarks": {"countdown": {}, "countdown-hard": {}},
    "sampling": {"n_max": N, "rounds": [FIRST, N], "stop_after": STOP_AFTER},
    "analysis": {"resamples": 200},
}
PROBLEMS = [
    Problem(f"{HOSTILE} {i}", str(i), "1", stratum=f"{'three' if i < 2 else HOSTILE}", chance=0.1 * (i + 1))
    for i in range(4)
]
#: Correct samples of each problem: the base model, and every checkpoint.
BASE_CORRECT, CHECKPOINT_CORRECT = [0, 2, 8, 1], [0, 4, 8, 0]


def made_from(plan: Plan, stage: str, *values: Any) -> dict[str, str]:
    """What the first output of a job says of the content that it was made from, which is there already."""
    found = {}
    for fact, (job, name) in STAGES[stage].made_from(plan, *values).items():
        file = next(iter(outputs(plan, job)))
        found[fact] = (read_json(file) if file.suffix == ".json" else read_table(file, ["id"])[1])[name]
    return found


def write_weights(plan: Plan, policy: Policy) -> None:
    """The manifest of weights that nobody has trained."""
    run, step = policy.run, policy.step
    job = ("train", run.name, step) if run else ("pretrain", policy.model)
    said = {"weights_sha256": f"{step:064x}", "content": fingerprint({"weights": policy.name}), **made_from(plan, *job)}
    proof = {"engine": "torch", "decoder": "LlamaDecoder", "largest": 3e-06, "limit": 0.01, "tokens": 64, "longest": 12}
    said |= {} if run else {"proof": {**proof, "windows": {"sliding_window": None}, "transformers": "5.24.0"}}
    write_json(plan.weights(policy), {**said, "settings": settings(plan, *job)})


def write_samples(
    plan: Plan,
    policy: Policy,
    benchmark: str,
    correct: Sequence[int],
    *,
    problems: Sequence[Problem] = PROBLEMS,
    timeouts: int = 0,
    entropy: float = 0.5,
) -> None:
    """Sample i of a problem is correct while i < its count; the last sample is truncated unless correct.

    A problem with enough of them among the first samples has no others. Samples without a score come before them.
    """
    stop_after = plan.design.stop_after or N + 1
    store = SampleStore(plan.store("sample", policy.name, benchmark, identity={"test": 1}))
    rows = []
    for problem, count in zip(problems, correct, strict=True):
        for i in range(timeouts):
            rows.append((problem.id, i, "slow", [1, 2], -1.0, entropy, "timeout", None, "not decided in 10 s"))
        for i in range(FIRST if min(count, FIRST) >= stop_after else N):
            verdict = "correct" if i < count else "truncated" if i == N - 1 else "wrong"
            answer = {"correct": "right", "wrong": f"wrong {i % 2}", "truncated": None}[verdict]
            said = (f"text {answer}", [1, 2], -1.0, entropy, verdict, answer, REASONS[verdict])
            rows.append((problem.id, timeouts + i, *said))
    files = {}
    spare = (f"block-{N:06d}-{2 * N:06d}", N, 2 * N)
    for name, first, stop in [("greedy", 0, 1), (BLOCKS[0], 0, FIRST), (BLOCKS[1], FIRST, N), spare]:
        chosen = [dict(zip(SAMPLES.names, row, strict=True)) for row in rows if first <= row[1] < stop]
        if chosen:
            file = store.folder / f"{name}.parquet"
            write_table(file, pa.Table.from_pylist(chosen, SAMPLES), {})
            files[file.name] = file_sha256(file)
    (target,) = plan.samples(policy, benchmark)
    depth = Path(*[".."] * (len(target.parent.relative_to(plan.root).parts)))
    job = ("sample", policy.name, benchmark, 1)
    facts = {**made_from(plan, *job), "settings": settings(plan, *job)}
    place = str(depth / store.folder.relative_to(plan.root))
    write_json(target, {"folder": place, "files": files, "design": plan.design.record(), **facts})


def make_tree(
    folder: Path,
    correct: dict[str, Sequence[int]] | None = None,
    problems: Sequence[Problem] = PROBLEMS,
    entropy: float = 0.5,
    **changes: Any,
) -> Plan:
    """Problems, samples, manifests and logs of a study, as the stages before would leave them.

    Correct samples are by policy name; ``changes`` replace top-level keys of the study.
    """
    file = folder / "toy.yaml"
    file.write_text(yaml.safe_dump(STUDY | changes))
    plan = make_plan(str(file), folder / "results")
    for name, chosen in plan.problem_sets.items():
        prepared = Prepared(list(problems), len(problems), dict.fromkeys(LEFT_OUT, 0))
        facts = {"settings": settings(plan, "prepare", name), **prepared.record}
        write_problems(plan.problems(name), prepared.problems, chosen.entry.split, facts)
    for policy in plan.policies:
        write_weights(plan, policy)
    for benchmark in plan.study.benchmarks:
        for policy in plan.policies:
            counts = CHECKPOINT_CORRECT if policy.run else BASE_CORRECT
            write_samples(
                plan, policy, benchmark, (correct or {}).get(policy.name, counts), problems=problems, entropy=entropy
            )
    for run in plan.runs:
        for stop in plan.study.training.segments:
            rows = [
                {name: 0.1 * step if name != "step" else step for name in TRAINING_COLUMNS}
                | {"seconds_rollout": 1.0 + run.seed}
                for step in range(plan.previous(stop) + 1, stop + 1)
            ]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            write_text(plan.step_log(run, stop), text)
    return plan


def graded(plan: Plan, policy: Policy, benchmark: str) -> Graded:
    """The samples of a policy, as the measure stage reads them."""
    return read_graded(plan.samples(policy, benchmark), read_problems(plan.problems(benchmark)), plan.design)


def analyse(plan: Plan) -> None:
    """The stages between the samples and the report."""
    for benchmark in plan.study.benchmarks:
        for policy in plan.policies:
            stages.measure(plan, policy.name, benchmark)
        for run in plan.runs:
            stages.compare(plan, run.name, benchmark)


def run_stages(plan: Plan) -> None:
    analyse(plan)
    stages.report(plan)


def rewrite(plan: Plan, policy: Policy, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change every stored row of a policy, and what its manifest declares."""
    (manifest,) = plan.samples(policy, "countdown")
    declared = read_json(manifest)
    for name in declared["files"]:
        file = manifest.parent / declared["folder"] / name
        table, _ = read_table(file)
        write_table(file, pa.Table.from_pylist([change(row) for row in table.to_pylist()], SAMPLES), {})
        declared["files"][name] = file_sha256(file)
    write_json(manifest, declared)


RUN = "base-model--grpo--seed0"
STEP2 = f"{RUN}--step2"


def copied(plan: Plan, results: Path, part: str = "") -> Plan:
    """The same plan over a copy of its results, or of a part of them, that a test may damage."""
    shutil.copytree(plan.root / part, results / plan.study.study / part)
    return Plan(plan.study, plan.path, results)
