"""Nothing that was trained or sampled is lost or repeated: kills, signals, second writers, damaged files."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from pathlib import Path

import pytest
import yaml
from workflow import finish, planned, read_until, shipped, snakemake, stage, tables, write_study

RUN = "base--grpo--seed0"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of one run whose base model and problems are ready."""
    folder = tmp_path_factory.mktemp("resume")
    smoke = shipped("smoke")
    pretrain = smoke["models"]["countdown-base"]["pretrain"] | {"steps": 100, "hidden": 32}
    study = smoke | {
        "study": "mini",
        "models": {"base": {"pretrain": pretrain}},
        "algorithms": ["grpo"],
        "benchmarks": {"countdown": {"options": {"problems": {3: 4}}}},
        "evaluate": {"steps": [0, 20]},
        "sampling": {"n_max": 512, "block": 32, "max_tokens": 24},
    }
    study["training"] = smoke["training"] | {"segments": [20], "state_every": 3}
    write_study(folder / "mini.yaml", study)
    for arguments in (
        ("pretrain", "--model", "base"),
        ("prepare", "--benchmark", "countdown"),
        ("prepare", "--benchmark", "training"),
    ):
        finish(stage(folder, arguments[0], "mini.yaml", *arguments[1:]))
    return folder


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder after the whole workflow, without any disturbance."""
    folder = tmp_path_factory.mktemp("undisturbed") / "copy"
    shutil.copytree(prepared, folder)
    done = snakemake(folder, "-q", "--config", "study=mini.yaml")
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared folder, to be disturbed."""
    shutil.copytree(prepared, tmp_path / "copy")
    return tmp_path / "copy"


def trained(folder: Path) -> tuple[list[dict[str, float]], str]:
    """The step log without its clock, and the hash of the last weights."""
    (store,) = (folder / "results/mini/store/train").iterdir()
    rows = [json.loads(line) for line in (store / "steps.jsonl").read_text().splitlines()]
    weights = (store / "step-000020" / "model.safetensors").read_bytes()
    kept = [{key: value for key, value in row.items() if not key.startswith("seconds")} for row in rows]
    return kept, hashlib.sha256(weights).hexdigest()


def sampled(folder: Path) -> dict[str, dict[str, str]]:
    """The hash of every sample file, by policy."""
    found: dict[str, dict[str, str]] = {}
    for manifest in sorted((folder / "results/mini/samples").glob("*/*/*.json")):
        found.setdefault(manifest.parent.parent.name, {}).update(json.loads(manifest.read_text())["files"])
    return found


def responses(folder: Path) -> dict[str, list[dict]]:
    """Every stored sample, by policy and file."""
    import pyarrow.parquet as pq

    found = {}
    for manifest in sorted((folder / "results/mini/samples").glob("*/*/*.json")):
        content = json.loads(manifest.read_text())
        for name in content["files"]:
            path = manifest.parent / content["folder"] / name
            found[f"{manifest.parent.parent.name}/{name}"] = pq.read_table(path).to_pylist()
    return found


def same_samples(found: dict[str, list[dict]], expected: dict[str, list[dict]]) -> float:
    """The share of samples with the same response; both must have the same ones."""

    def by_name(files: dict[str, list[dict]]) -> dict[tuple, str]:
        return {
            (file.split("/")[0], "greedy" in file, row["problem_id"], row["sample"]): row["response"]
            for file, rows in files.items()
            for row in rows
        }

    one, other = by_name(found), by_name(expected)
    assert one.keys() == other.keys()
    return sum(one[name] == other[name] for name in one) / len(one)


TRAIN = ("train", "mini.yaml", "--run", RUN, "--step", "20")
SAMPLE = ("sample", "mini.yaml", "--policy", "base", "--benchmark", "countdown")


def test_training_killed_goes_on_to_the_same_weights_and_log(folder: Path, undisturbed: Path) -> None:
    process = stage(folder, *TRAIN)
    read_until(process, r"step 10/20")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "resuming after step" in finish(stage(folder, *TRAIN))
    assert trained(folder) == trained(undisturbed)


def test_sigterm_saves_and_asks_to_be_run_again(folder: Path, undisturbed: Path) -> None:
    process = stage(folder, *TRAIN)
    read_until(process, r"step 10/20")
    process.send_signal(signal.SIGTERM)
    text = process.communicate()[0]
    if process.returncode == 85:  # on a fast machine the last step may come first
        assert "run the same command again" in text and "Traceback" not in text
        assert "resuming after step" in finish(stage(folder, *TRAIN))
    else:
        assert process.returncode == 0, text
    assert trained(folder) == trained(undisturbed)


def test_a_second_trainer_waits_and_nothing_is_trained_twice(folder: Path, undisturbed: Path) -> None:
    first = stage(folder, *TRAIN)
    read_until(first, r"step 10/20")
    second = stage(folder, *TRAIN)
    finish(first)
    assert "already in the store" in finish(second)
    assert trained(folder) == trained(undisturbed)


def test_a_finished_run_is_never_trained_again(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "copy")
    before = trained(tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/results/mini/checkpoints")
    assert "already in the store" in finish(stage(tmp_path / "copy", *TRAIN))
    assert trained(tmp_path / "copy") == before


def test_a_step_that_was_not_kept_is_refused(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "copy")
    path = tmp_path / "copy/mini.yaml"
    path.write_text(path.read_text().replace("- 20\n", "- 10\n  - 20\n", 1))
    process = stage(tmp_path / "copy", "train", "mini.yaml", "--run", RUN, "--step", "10")
    text = process.communicate()[0]
    assert process.returncode == 2 and "was not kept" in text and "Traceback" not in text


def test_sampling_killed_goes_on_to_the_same_samples(folder: Path, undisturbed: Path) -> None:
    for block in ("block-000000-000032", "block-000128-000160", "block-000288-000320"):
        process = stage(folder, *SAMPLE)
        read_until(process, block)
        process.send_signal(signal.SIGKILL)
        process.wait()
    finish(stage(folder, *SAMPLE))
    after, expected = responses(folder), responses(undisturbed)
    assert {name for name in after} == {name for name in expected if name.startswith("base/")}
    assert all(after[name] == expected[name] for name in after)


def test_sampling_by_sigterm_keeps_whole_blocks(folder: Path) -> None:
    process = stage(folder, *SAMPLE)
    read_until(process, "block-000064-000096")
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode in (0, 85)
    (store,) = (folder / "results/mini/store/sample").iterdir()
    assert not list(store.glob(".*.tmp")) and (store / "block-000064-000096.parquet").exists()


def test_the_workflow_killed_goes_on_to_identical_tables(folder: Path, undisturbed: Path) -> None:
    import subprocess
    import sys

    from workflow import ENVIRONMENT, REPOSITORY

    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--cores", "2"]
    process = subprocess.Popen(
        [*command, "--config", "study=mini.yaml"],
        cwd=folder,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    read_until(process, r"step 10/20")
    process.send_signal(signal.SIGKILL)
    process.communicate()  # the orphaned trainer holds the pipe until it has ended
    assert snakemake(folder, "--unlock", "--config", "study=mini.yaml").returncode == 0
    done = snakemake(folder, "-q", "--rerun-incomplete", "--config", "study=mini.yaml")
    assert done.returncode == 0, done.stdout
    assert tables(folder / "results/mini") == tables(undisturbed / "results/mini")
    assert planned(folder, "--config", "study=mini.yaml") == {}


def test_shards_sample_side_by_side_and_another_number_of_them_draws_nothing(undisturbed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(undisturbed, copy)
    study = yaml.safe_load((copy / "mini.yaml").read_text())
    write_study(copy / "mini.yaml", study | {"sampling": study["sampling"] | {"shards": 2}})
    before, files = tables(copy / "results/mini"), sampled(copy)
    done = snakemake(copy, "-q", "--config", "study=mini.yaml")
    assert done.returncode == 0, done.stdout
    assert tables(copy / "results/mini") == before and sampled(copy) == files
    for name in ("store/sample", "samples"):
        shutil.rmtree(copy / "results/mini" / name)
    done = snakemake(copy, "-q", "--config", "study=mini.yaml")
    assert done.returncode == 0, done.stdout
    anew = sampled(copy)
    assert anew.keys() == files.keys() and all(len(anew[policy]) == 2 * len(files[policy]) for policy in files)
    # another batch rounds otherwise, so that one sample in thousands is another one
    assert same_samples(responses(copy), responses(undisturbed)) > 0.999
    progress = (copy / "results/mini/logs/sample/base/countdown/2-of-2.jsonl").read_text().splitlines()
    assert json.loads(progress[-1])["problems"] == json.loads(progress[-1])["done"] == 2


def test_a_torn_block_is_drawn_again_and_a_torn_checkpoint_is_refused(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "copy")
    store = tmp_path / "copy/results/mini/store"
    block = next(store.glob("sample/base--countdown*/block-000096-000128.parquet"))
    block.write_bytes(block.read_bytes()[:-100])
    process = stage(tmp_path / "copy", "measure", "mini.yaml", "--policy", "base", "--benchmark", "countdown")
    text = process.communicate()[0]
    assert process.returncode == 2 and "block-000096-000128.parquet" in text and "Traceback" not in text
    text = finish(stage(tmp_path / "copy", *SAMPLE))
    assert "block-000096-000128.parquet.torn-" in text and "its samples are drawn again" in text
    finish(stage(tmp_path / "copy", "measure", "mini.yaml", "--policy", "base", "--benchmark", "countdown"))
    weights = next(store.glob("train/*/step-000020/model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-8])
    process = stage(tmp_path / "copy", "sample", "mini.yaml", "--policy", f"{RUN}--step20", "--benchmark", "countdown")
    text = process.communicate()[0]
    assert process.returncode == 2 and "altered or torn" in text and "Traceback" not in text


def test_pretraining_killed_goes_on_to_the_same_weights(prepared: Path, tmp_path: Path) -> None:
    shutil.copy(prepared / "mini.yaml", tmp_path)
    command = ("pretrain", "mini.yaml", "--model", "base")
    process = stage(tmp_path, *command)
    read_until(process, r"step 50/100")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "resuming after step 50" in finish(stage(tmp_path, *command))
    manifest = "results/mini/models/base/manifest.json"
    after, expected = (json.loads((folder / manifest).read_text()) for folder in (tmp_path, prepared))
    assert after["weights_sha256"] == expected["weights_sha256"]
