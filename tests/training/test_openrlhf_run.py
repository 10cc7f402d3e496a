"""The real OpenRLHF through the workflow: two algorithms from base to tables, killed, interrupted, damaged and resumed.

    BOUNDARY_BENCH_TRAIN_PYTHON=... BOUNDARY_BENCH_VLLM_PYTHON=... \
        pytest -m openrlhf tests/training/test_openrlhf_run.py

One study in one folder; the tests build on each other, since every start of Ray and vLLM takes a minute.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file
from workflow import ENVIRONMENT, shipped, snakemake, write_study

from boundary_bench.study.policies import Run
from boundary_bench.training.openrlhf import guard, states
from boundary_bench.training.openrlhf.run import history

TRAIN, SAMPLE = (os.environ.get(f"BOUNDARY_BENCH_{name}_PYTHON") for name in ("TRAIN", "VLLM"))

pytestmark = [
    pytest.mark.openrlhf,
    pytest.mark.slow,
    pytest.mark.skipif(not TRAIN, reason="BOUNDARY_BENCH_TRAIN_PYTHON names no environment with OpenRLHF"),
]

STUDY = "smoke-openrlhf"
GRPO, GSPO_N, GRPO_N = (Run("countdown-base", algorithm, 0) for algorithm in ("grpo", "gspo-n", "grpo-n"))


class Place:
    """A folder with the study and its results."""

    def __init__(self, folder: Path) -> None:
        study = shipped(STUDY)
        study["training"]["python"] = TRAIN
        study["sampling"] |= {"python": SAMPLE} if SAMPLE else {"engine": "torch", "python": None, "vllm": {}}
        write_study(folder / "study.yaml", study)
        # the same study with an algorithm more, whose runs may come to nothing
        write_study(folder / "more.yaml", {**study, "algorithms": [*study["algorithms"], "grpo-n"]})
        self.folder, self.root = folder, folder / "results" / STUDY
        self.stores = self.root / "store" / "train"

    def workflow(self, *arguments: str) -> str:
        done = snakemake(self.folder, *arguments, "--config", "study=study.yaml")
        assert done.returncode == 0, done.stdout
        return done.stdout

    def manifest(self, run: Run, step: int) -> Path:
        return self.root / "checkpoints" / run.name / f"step{step}" / "manifest.json"

    def store(self, run: Run) -> Path:
        return next(self.stores.glob(f"{run.name}--*"))

    def steps(self, run: Run) -> list[dict[str, float]]:
        """The step log, as far as it is written."""
        files = list(self.stores.glob(f"{run.name}--*/steps.jsonl"))
        return [json.loads(line) for line in files[0].read_text().splitlines()] if files else []

    def logs(self, run: Run) -> list[Path]:
        """The output of OpenRLHF, one file a start."""
        return list(self.stores.glob(f"{run.name}--*/openrlhf/*.log"))

    def train(self, run: Run, step: int, *more: str) -> subprocess.Popen[str]:
        words = [TRAIN, "-m", "boundary_bench", "train", "more.yaml", "--run", run.name, "--step", str(step), *more]
        return subprocess.Popen(
            words, cwd=self.folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The study with its base model and problems."""
    found = Place(tmp_path_factory.mktemp("openrlhf"))
    found.workflow("-q", "rules", "--until", "pretrain", "prepare")
    return found


def eventually(true: Callable[[], object], process: subprocess.Popen[str], seconds: float = 400) -> None:
    due = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < due, "it did not come to pass"
        time.sleep(0.1)


def traces() -> set[str]:
    """Processes of Ray and vLLM, shared memory, and temporary folders."""
    found = {str(path) for path in guard.SHARED.iterdir()} | {str(path) for path in Path("/tmp").glob("bb-*")}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(word in words for word in ("ray::", "raylet", "gcs_server", "EngineCore", "train_ppo_ray", "guard.py")):
            found.add(f"{folder.name}: {words[:100]}")
    return found


@pytest.fixture(autouse=True)
def nothing_is_left() -> None:
    """Every test leaves the processes, shared memory and temporary folders that it found."""
    before = traces()
    yield
    due = time.monotonic() + 40
    while (left := traces() - before) and time.monotonic() < due:
        time.sleep(0.2)
    assert not left


def test_a_run_killed_in_its_middle_goes_on_from_its_state(place: Place) -> None:
    process = place.train(GRPO, 3)
    eventually(lambda: place.steps(GRPO) and (place.store(GRPO) / "state/_actor/latest").exists(), process)
    process.kill()
    process.communicate()
    before = place.steps(GRPO)
    assert not place.manifest(GRPO, 3).exists()
    again = place.train(GRPO, 3)
    said = again.communicate()[0]
    assert again.returncode == 0, said
    found = re.search(r"starting OpenRLHF after step (\d)", said)
    assert found, said
    steps = place.steps(GRPO)
    assert [row["step"] for row in steps] == [1, 2, 3]
    kept = min(int(found[1]), len(before))
    assert steps[:kept] == before[:kept], "what was saved is not done again"


def test_a_finished_run_is_not_trained_again(place: Place) -> None:
    weights = (place.store(GRPO) / "step-000003" / "model.safetensors").stat()
    process = place.train(GRPO, 3)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert "step 3 is already in the store" in said
    assert (place.store(GRPO) / "step-000003" / "model.safetensors").stat() == weights


def test_sigterm_keeps_the_state_and_asks_to_be_run_again(place: Place) -> None:
    process = place.train(GSPO_N, 3)
    eventually(lambda: place.steps(GSPO_N), process)
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[0]
    assert process.returncode == 85, said
    assert "run the same command again to go on" in said


def test_the_workflow_trains_the_rest_and_passes_by_a_damaged_state(place: Place) -> None:
    state = place.store(GRPO) / "state"
    assert states.steps_of(state) == [2, 3]
    file = next(states.folder_of(state, 3).glob("*optim*"))
    os.truncate(file, file.stat().st_size // 2)
    targets = [str(place.manifest(run, 6).relative_to(place.folder)) for run in (GRPO, GSPO_N)]
    said = place.workflow(*targets, "-q", "rules")
    assert "the state of step 3 is damaged" in said
    assert "starting OpenRLHF after step 2" in said
    for run in (GRPO, GSPO_N):
        assert [row["step"] for row in place.steps(run)] == [1, 2, 3, 4, 5, 6]


def test_checkpoints_are_whole_and_differ(place: Place) -> None:
    weights = {}
    for run, step in itertools.product((GRPO, GSPO_N), (3, 6)):
        manifest = json.loads(place.manifest(run, step).read_text())
        assert manifest["step"] == step
        assert manifest["provenance"]["training"]["tensors_changed"] > 10
        folder = place.store(run) / f"step-{step:06d}"
        assert json.loads((folder / "config.json").read_text())["use_cache"] is True
        weights[run, step] = load_file(folder / "model.safetensors")
    for run in (GRPO, GSPO_N):
        first, second = weights[run, 3], weights[run, 6]
        assert any(not bool((first[name] == second[name]).all()) for name in first)


def test_the_step_log_says_what_the_algorithm_did(place: Place) -> None:
    keys = set(place.steps(GRPO)[0])
    assert keys == {field for field in place.steps(GSPO_N)[0]}
    for row in place.steps(GRPO) + place.steps(GSPO_N):
        assert 0 <= row["reward"] <= 1
        assert 0 < row["entropy"] < 3
        assert row["updates"] == 2
    assert all(row["positive_mass"] == 0 for row in place.steps(GSPO_N))
    assert any(row["positive_mass"] > 0 for row in place.steps(GRPO))
    assert any(row["negative_mass"] > 0 for row in place.steps(GSPO_N))


def test_weights_reach_vllm(place: Place) -> None:
    told = [metrics for _, metrics in history(place.store(GRPO))]
    assert len(told) == 6
    of_sequences = [metrics for _, metrics in history(place.store(GSPO_N))]
    assert all(0 < abs(metrics["vllm_kl"]) < 0.01 for metrics in told + of_sequences)
    # had the updates stayed with the trainer, vLLM would go on drawing as at first
    assert len({metrics["surprisal"] for metrics in told}) == 6


def test_an_engine_that_dies_ends_the_run_at_once(place: Place) -> None:
    process = place.train(GRPO_N, 3)
    eventually(lambda: any("EngineCore" in path.read_text(errors="replace") for path in place.logs(GRPO_N)), process)
    engines = [name for name in traces() if "EngineCore" in name]
    eventually(lambda: engines or engines.extend(name for name in traces() if "EngineCore" in name), process)
    os.kill(int(engines[0].split(":")[0]), signal.SIGKILL)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 2, said
    assert "a vLLM engine died" in said or "OpenRLHF ended with exit code" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_fills_up_costs_no_saved_step(place: Place, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=True)
    try:
        shutil.copytree(place.root / "problems", disk / STUDY / "problems")
        shutil.copytree(place.root / "models", disk / STUDY / "models")
        shutil.copytree(place.root / "store" / "pretrain", disk / STUDY / "store" / "pretrain")
        process = place.train(GRPO_N, 3, "--results", str(disk))
        eventually(lambda: list(disk.glob("*/store/train/*/openrlhf/*.log")), process)
        free = shutil.disk_usage(disk).free
        (disk / "filler").write_bytes(bytes(free - (2 << 20)))
        said = process.communicate()[0]
        assert process.returncode == 2, said
        assert "No space left on device" in said
        (disk / "filler").unlink()
        again = place.train(GRPO_N, 3, "--results", str(disk))
        said = again.communicate()[0]
        assert again.returncode == 0, said
        log = next(disk.glob("*/store/train/*/steps.jsonl")).read_text().splitlines()
        assert [json.loads(line)["step"] for line in log] == [1, 2, 3]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(not SAMPLE, reason="BOUNDARY_BENCH_VLLM_PYTHON names no environment with vLLM")
def test_checkpoints_are_sampled_by_vllm_and_come_to_the_tables(place: Place) -> None:
    place.workflow("-q", "rules")
    rows = list(csv.DictReader((place.root / "tables/pass_at_k.csv").open()))
    assert {(row["algorithm"], row["step"]) for row in rows} == {
        ("base", "0"),
        *((algorithm, step) for algorithm in ("grpo", "gspo-n") for step in ("3", "6")),
    }
    log = list(csv.DictReader((place.root / "tables/training.csv").open()))
    assert [row["step"] for row in log] == list("123456") * 2
    assert "Nothing to be done" in place.workflow("-n")
