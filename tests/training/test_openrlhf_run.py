"""The real OpenRLHF through the workflow: two algorithms from base to tables, killed, interrupted, damaged and resumed.

    BOUNDARY_BENCH_TRAIN_PYTHON=... BOUNDARY_BENCH_VLLM_PYTHON=... \
        pytest -m openrlhf tests/training/test_openrlhf_run.py

One study in one folder; the tests build on each other, since every start of Ray and vLLM takes a minute.
"""

from __future__ import annotations

import csv
import json
import os
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
#: One segment: a second one starts from a state as a resumed one does, and every start takes a minute or more.
LAST = 4
GRPO, GSPO_N, GRPO_N = (Run("countdown-base", algorithm, 0) for algorithm in ("grpo", "gspo-n", "grpo-n"))


class Place:
    """A folder with the study and its results."""

    def __init__(self, folder: Path) -> None:
        study = shipped(STUDY)
        study["training"] |= {"python": TRAIN, "segments": [LAST]}
        study["evaluate"] = {"steps": [0, LAST]}
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

    def saved(self, run: Run) -> list[int]:
        """The steps of the saved states."""
        return [step for folder in self.stores.glob(f"{run.name}--*") for step in states.steps_of(folder / "state")]

    def weights(self, run: Run) -> Path:
        return self.store(run) / f"step-{LAST:06d}" / "model.safetensors"

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
    # not semaphores of 32 bytes: jobs that other tests kill leave them too, at any time
    shared = (path for path in guard.SHARED.iterdir() if not path.name.startswith("sem."))
    found = {str(path) for path in (*shared, *Path("/tmp").glob("bb-*"))}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(word in words for word in ("ray::", "raylet", "gcs_server", "EngineCore", "train_ppo_ray", "guard.py")):
            found.add(f"{folder.name}: {words[:100]}")
    return found


def engine_killed() -> bool:
    """Kill vLLM's engine, if it is there; a process that it has just forked has its name and a later number."""
    if not (engines := sorted(int(name.split(":")[0]) for name in traces() if "EngineCore" in name)):
        return False
    try:
        os.kill(engines[0], signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(autouse=True)
def nothing_is_left() -> None:
    """Every test leaves the processes, shared memory and temporary folders that it found."""
    before = traces()
    yield
    due = time.monotonic() + 40
    while (left := traces() - before) and time.monotonic() < due:
        time.sleep(0.2)
    assert not left


def test_a_run_killed_in_its_middle_goes_on_from_its_last_whole_state(place: Place) -> None:
    process = place.train(GRPO, LAST)
    eventually(lambda: states.latest(place.store(GRPO) / "state") > 1 if place.steps(GRPO) else False, process)
    process.kill()
    process.communicate()
    before = place.steps(GRPO)
    saved = [step for step in place.saved(GRPO) if step <= states.latest(place.store(GRPO) / "state")]
    assert not place.manifest(GRPO, LAST).exists()
    file = next(states.folder_of(place.store(GRPO) / "state", saved[-1]).glob("*optim*"))
    os.truncate(file, file.stat().st_size // 2)
    again = place.train(GRPO, LAST)
    said = again.communicate()[0]
    assert again.returncode == 0, said
    assert f"the state of step {saved[-1]} is damaged" in said
    assert f"starting OpenRLHF after step {saved[-2]}" in said
    steps = place.steps(GRPO)
    assert [row["step"] for row in steps] == [1, 2, 3, 4]
    assert steps[: saved[-2]] == before[: saved[-2]], "what was saved is not done again"


def test_what_is_trained_is_not_trained_again(place: Place) -> None:
    weights = place.weights(GRPO).stat()
    process = place.train(GRPO, LAST)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert f"step {LAST} is already in the store" in said
    assert place.weights(GRPO).stat() == weights


def test_sigterm_keeps_the_state_and_the_workflow_goes_on_from_it(place: Place) -> None:
    process = place.train(GSPO_N, LAST)
    eventually(lambda: place.steps(GSPO_N), process)
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[0]
    assert process.returncode == 85, said
    assert "run the same command again to go on" in said
    targets = [str(place.manifest(run, LAST).relative_to(place.folder)) for run in (GRPO, GSPO_N)]
    said = place.workflow(*targets, "-q", "rules")
    assert "starting OpenRLHF after step" in said and "from the base" not in said
    for run in (GRPO, GSPO_N):
        assert [row["step"] for row in place.steps(run)] == [1, 2, 3, 4]


def test_checkpoints_are_whole_and_differ(place: Place) -> None:
    weights = []
    for run in (GRPO, GSPO_N):
        manifest = json.loads(place.manifest(run, LAST).read_text())
        assert manifest["step"] == LAST
        assert manifest["provenance"]["training"]["tensors_changed"] > 10
        assert json.loads((place.weights(run).with_name("config.json")).read_text())["use_cache"] is True
        weights.append(load_file(place.weights(run)))
    assert any(not bool((weights[0][name] == weights[1][name]).all()) for name in weights[0])


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
    assert len(told) == LAST
    of_sequences = [metrics for _, metrics in history(place.store(GSPO_N))]
    assert all(0 < abs(metrics["vllm_kl"]) < 0.01 for metrics in told + of_sequences)
    # had the updates stayed with the trainer, vLLM would go on drawing as at first
    assert len({metrics["surprisal"] for metrics in told}) == LAST


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_fills_up_and_an_engine_that_dies_end_the_run_and_cost_no_saved_step(
    place: Place, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
    try:
        shutil.copytree(place.root / "problems", disk / STUDY / "problems")
        shutil.copytree(place.root / "models", disk / STUDY / "models")
        shutil.copytree(place.root / "store" / "pretrain", disk / STUDY / "store" / "pretrain")
        process = place.train(GRPO_N, LAST, "--results", str(disk))
        eventually(lambda: list(disk.glob("*/store/train/*/openrlhf/*.log")), process)
        free = shutil.disk_usage(disk).free
        (disk / "filler").write_bytes(bytes(free - (2 << 20)))
        said = process.communicate()[0]
        assert process.returncode == 2, said
        assert "a disk is full" in said
        (disk / "filler").unlink()
        (store,) = disk.glob("*/store/train/*")
        kept = states.latest(store / "state")
        again = place.train(GRPO_N, LAST, "--results", str(disk))
        eventually(engine_killed, again)
        said = again.communicate(timeout=300)[0]
        assert again.returncode == 2, said
        assert "a vLLM engine died" in said or "OpenRLHF ended with exit code" in said
        log = [json.loads(line)["step"] for line in (store / "steps.jsonl").read_text().splitlines()]
        assert log == list(range(1, len(log) + 1)) and len(log) >= kept <= states.latest(store / "state")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(not SAMPLE, reason="BOUNDARY_BENCH_VLLM_PYTHON names no environment with vLLM")
def test_checkpoints_are_sampled_by_vllm_and_come_to_the_tables(place: Place) -> None:
    place.workflow("-q", "rules")
    rows = list(csv.DictReader((place.root / "tables/pass_at_k.csv").open()))
    assert {(row["algorithm"], row["step"]) for row in rows} == {
        ("base", "0"),
        *((algorithm, str(LAST)) for algorithm in ("grpo", "gspo-n")),
    }
    log = list(csv.DictReader((place.root / "tables/training.csv").open()))
    assert [row["step"] for row in log] == list("1234") * 2
    assert "Nothing to be done" in place.workflow("-n")
