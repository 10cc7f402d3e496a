"""Checkpoints that were trained elsewhere: adopted, merged where they are adapters, and judged beside trained ones."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from stored_files import written
from workflow import snakemake, write_study

from boundary_bench.benchmarks.problem_file import read_problems
from boundary_bench.core.errors import ModelError, StudyError
from boundary_bench.models.folder import load_model, weight_files
from boundary_bench.plan import Plan, make_plan
from boundary_bench.samples.grades import sample_rows
from boundary_bench.samples.manifest import sample_files
from boundary_bench.study.study import Origin
from boundary_bench.training.given import differences, obtain


def study(base: Path, **changes: Any) -> dict[str, Any]:
    """A study of runs that are given, none by default."""
    return {
        "study": "given",
        "models": {"base": {"path": str(base)}},
        "runs": {},
        "benchmarks": {"countdown": {"split": "test", "options": {"problems": {2: 5, 3: 15}}}},
        "sampling": {"n_max": 32, "stop_after": None, "block": 32, "max_tokens": 24},
        "analysis": {"resamples": 200},
        **changes,
    }


def moved(base: Path, folder: Path, size: float) -> Path:
    """A copy of a model whose weights are somewhat other ones."""
    shutil.copytree(base, folder)
    weights, generator = load_file(folder / "model.safetensors"), torch.Generator().manual_seed(0)
    other = {name: each + size * torch.randn(each.shape, generator=generator) for name, each in weights.items()}
    save_file(other, folder / "model.safetensors", {"format": "pt"})
    return folder


def stored_rows(plan: Plan, policy: str) -> list[dict[str, Any]]:
    """The samples of a policy as an evaluation harness would store them."""
    question_of = {problem.id: problem.prompt for problem in read_problems(plan.problems("countdown"))}
    _, blocks = sample_files(plan.samples(plan.policy(policy), "countdown"), plan.design.record())
    tables = [sample_rows(block, ["problem_id", "sample", "response", "verdict"]) for block in blocks]
    return [
        {
            "question": question_of[row["problem_id"]],
            "response": row["response"],
            "index": row["sample"],
            "finish_reason": "length" if row["verdict"] == "truncated" else "stop",
        }
        for table in tables
        for row in table.to_pylist()
    ]


# the study


@dataclass(frozen=True)
class Page:
    """A study of a trained and two given runs, which has run; and the checkpoint of noise."""

    folder: Path
    file: Path
    content: dict[str, Any]
    worse: Path

    def rows(self, table: str) -> list[dict[str, str]]:
        return list(csv.DictReader((self.folder / f"results/given/tables/{table}.csv").open()))

    @property
    def record(self) -> dict[str, Any]:
        return json.loads((self.folder / "results/given/tables/provenance.json").read_text())

    def to_do(self) -> str:
        return snakemake(self.folder, "-n", "--config", f"study={self.file}").stdout

    def run(self) -> None:
        write_study(self.file, self.content)
        done = snakemake(self.folder, "-q", "rules", "--config", f"study={self.file}")
        assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def page(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("given")
    worse, same = moved(tiny_model, folder / "worse", 0.5), shutil.copytree(tiny_model, folder / "same")
    runs = {
        "theirs": {"model": "base", "checkpoints": {10: {"path": str(same)}, 30: {"path": str(worse)}}},
        "again": {"model": "base", "algorithm": "grpo", "seed": 7, "checkpoints": {2: {"path": str(same)}}},
    }
    training = {"benchmark": "countdown", "options": {"problems": {3: 20}}, "prompts": 4, "rollouts": 4}
    trained = {"algorithms": ["grpo"], "seeds": [0], "evaluate": {"steps": [0, 2]}}
    trained["training"] = {**training, "segments": [2], "max_tokens": 24}
    found = Page(folder, folder / "study.yaml", study(tiny_model, runs=runs, **trained), worse)
    found.run()
    return found


@pytest.mark.slow
def test_a_given_and_a_trained_run_make_one_page(page: Page) -> None:
    assert {(row["algorithm"], row["seed"], row["step"]) for row in page.rows("boundary")} == {
        ("theirs", "0", "10"),
        ("theirs", "0", "30"),
        ("grpo", "7", "2"),
        ("grpo", "0", "2"),
    }
    means = {(row["algorithm"], row["step"]): row["seeds"] for row in page.rows("mean_boundary")}
    assert means == {("theirs", "10"): "1", ("theirs", "30"): "1", ("grpo", "2"): "2"}
    assert {(row["algorithm"], row["seed"]) for row in page.rows("training")} == {("grpo", "0")}
    theirs = [row for row in page.rows("differences") if row["algorithm"] == "theirs"]
    found = {step: {row["change"] for row in theirs if row["step"] == step} for step in ("10", "30")}
    assert not {"shrunk", "expanded"} & found["10"], "a copy of the base does nothing"
    assert any(float(row["checkpoint"]) < float(row["base"]) for row in theirs if row["step"] == "30"), "noise does"
    assert "theirs" in (page.folder / "results/given/report.html").read_text()
    given = {f"base--{name}" for name in ("theirs--seed0--step10", "theirs--seed0--step30", "grpo--seed7--step2")}
    assert page.record["proofs"].keys() == {"base", *given} and all(page.record["proofs"].values())
    assert page.record["differs"] == {name: [] for name in given}
    assert "Nothing to be done" in page.to_do()


@pytest.mark.slow
def test_samples_in_a_file_are_a_third_run_with_the_numbers_of_their_checkpoint(page: Page) -> None:
    responses = stored_rows(make_plan(str(page.file), page.folder / "results"), "base--theirs--seed0--step30")
    stored = {"files": str(written(page.folder / "responses.jsonl", responses)), "n": 32, "temperature": 0.7}
    page.content["runs"]["stored"] = {"model": "base", "checkpoints": {30: {"samples": {"countdown": stored}}}}
    page.run()
    pairs = {
        name: [row for row in page.rows("differences") if (row["algorithm"], row["step"]) == (name, "30")]
        for name in ("theirs", "stored")
    }
    for ours, imported in zip(*pairs.values(), strict=True):
        assert {name for name in ours if ours[name] != imported[name]} == {"algorithm"}
    whole = {row["algorithm"]: row for row in page.rows("summary") if row["stratum"] == "all" and row["step"] == "30"}
    same, summary = whole["theirs"], whole["stored"]
    for name in ("correct", "truncated", "unparsable", "answer_entropy", "distinct_responses_share"):
        assert summary[name] == same[name], name
    untold = ("greedy", "greedy_correct", "token_entropy", "nll", "sequence_entropy", "mean_tokens")
    assert not any(summary[name] for name in untold) and all(same[name] for name in untold)
    text = (page.folder / "results/given/report.html").read_text()
    assert "temperature 0.7, the base" in text and "top_p not known" in text
    name = "base--stored--seed0--step30"
    assert list(page.record["imported"][name]["countdown"]) == [stored["files"]]
    assert name not in page.record["weights_sha256"]
    assert "Nothing to be done" in page.to_do()
    (page.folder / "responses.jsonl").write_text("{}\n")
    assert "import" in page.to_do()


@pytest.mark.slow
def test_a_checkpoint_that_changes_is_adopted_anew(page: Page) -> None:
    (page.worse / "config.json").write_text((page.worse / "config.json").read_text() + " ")
    assert "adopt" in page.to_do()


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no run": ({}, ["no run", "checkpoints: {100: {path: ...}}"]),
    "of no model": ({"a": {"model": "bsae", "checkpoints": {1: {"path": "x"}}}}, ["runs.a.model", "'bsae'", "'base'"]),
    "two alike": (
        {name: {"model": "base", "algorithm": "grpo", "checkpoints": {1: {"path": "x"}}} for name in "ab"},
        ["runs.b", "algorithm grpo", "seed 0", "another seed"],
    ),
    "other steps": (
        {
            "a": {"model": "base", "algorithm": "grpo", "checkpoints": {1: {"path": "x"}}},
            "b": {"model": "base", "algorithm": "grpo", "seed": 1, "checkpoints": {2: {"path": "x"}}},
        },
        ["steps [1]", "[2] with seed 1", "another algorithm as its label"],
    ),
    "called base": ({"base": {"model": "base", "checkpoints": {1: {"path": "x"}}}}, ["called 'base'", "another"]),
    "step 0": ({"a": {"model": "base", "checkpoints": {0: {"path": "x"}}}}, ["runs.a.checkpoints.0"]),
    "no source": ({"a": {"model": "base", "checkpoints": {1: {}}}}, ["path, hub"]),
    "no revision": ({"a": {"model": "base", "checkpoints": {1: {"hub": "a/b"}}}}, ["pin the commit"]),
    "no checkpoint": ({"a": {"model": "base", "checkpoints": {}}}, ["runs.a.checkpoints", "at least 1"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_in_given_runs_says_what_to_write(name: str, tmp_path: Path) -> None:
    runs, parts = CASES[name]
    with pytest.raises(StudyError) as fault:
        make_plan(str(write_study(tmp_path / "study.yaml", study(tmp_path, runs=runs))))
    assert all(part in str(fault.value) for part in parts), fault.value


# the weights


def adapter(base: Path, folder: Path) -> Path:
    """A LoRA adapter with random weights, as PEFT saves it."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    peft.get_peft_model(load_model(base, "cpu"), config).save_pretrained(folder)
    return folder


def test_an_adapter_is_merged_with_the_base_once(tiny_model: Path, tmp_path: Path) -> None:
    theirs, said = adapter(tiny_model, tmp_path / "adapter"), list[str]()
    folder = obtain(Origin(path=str(theirs)), tiny_model, tmp_path / "store", said.append)
    before, after = load_file(tiny_model / "model.safetensors"), load_file(folder / "model.safetensors")
    parts = load_file(theirs / "adapter_model.safetensors")
    for name, weight in before.items():
        place = "base_model.model." + name.removesuffix(".weight")
        added = torch.zeros_like(weight)
        if f"{place}.lora_A.weight" in parts:
            added = 6 / 2 * parts[f"{place}.lora_B.weight"] @ parts[f"{place}.lora_A.weight"]
            assert added.abs().max() > 0.01
        torch.testing.assert_close(after[name], weight + added)
    assert differences(folder, tiny_model) == []
    assert obtain(Origin(path=str(theirs)), tiny_model, tmp_path / "store", said.append) == folder
    assert len(said) == 1
    doubled = {name: 2 * each for name, each in parts.items()}
    save_file(doubled, theirs / "adapter_model.safetensors", {"format": "pt"})
    again = obtain(Origin(path=str(theirs)), tiny_model, tmp_path / "store", said.append)
    assert again != folder and len(said) == 2, "another adapter in the same folder"


def test_an_adapter_of_another_kind_or_in_pickles_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    theirs = adapter(tiny_model, tmp_path / "adapter")
    config = json.loads((theirs / "adapter_config.json").read_text())

    def refused(**changes: Any) -> str:
        (theirs / "adapter_config.json").write_text(json.dumps(config | changes))
        with pytest.raises(ModelError) as fault:
            obtain(Origin(path=str(theirs)), tiny_model, tmp_path / "store", print)
        assert not (tmp_path / "store").exists()
        return str(fault.value)

    assert "'IA3'" in refused(peft_type="IA3")
    assert "does not fit the base" in refused(target_modules=["nowhere"])
    (theirs / "adapter_model.safetensors").rename(theirs / "adapter_model.bin")
    assert "no adapter_model.safetensors" in refused()


@pytest.mark.parametrize(
    ("part", "tool"),
    [
        ("model_world_size_8_rank_0.pt", "verl.model_merger merge"),
        ("global_step10/mp_rank_00_model_states.pt", "zero_to_fp32.py"),
        ("pytorch_model_fsdp_0/__0_0.distcp", "accelerate merge-weights"),
        ("__0_0.distcp", "accelerate merge-weights"),
    ],
)
def test_parts_of_a_state_name_the_tool_that_merges_them(part: str, tool: str, tmp_path: Path) -> None:
    (tmp_path / part).parent.mkdir(exist_ok=True)
    (tmp_path / part).touch()
    with pytest.raises(ModelError, match=tool):
        weight_files(tmp_path)


def test_what_a_checkpoint_has_otherwise_than_its_base_is_said(tiny_model: Path, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_model, tmp_path / "other")
    assert differences(other, tiny_model) == []
    (other / "chat_template.jinja").write_text("{{ messages[0].content }}")
    config = json.loads((other / "config.json").read_text())
    (other / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 5]}))
    (other / "config.json").write_text(json.dumps(config | {"model_type": "mistral"}))
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    (other / "tokenizer.json").write_text(json.dumps(tokenizer | {"normalizer": {"type": "Lowercase"}}))
    assert differences(other, tiny_model) == ["tokenizer", "chat template", "set of EOS tokens", "architecture"]
