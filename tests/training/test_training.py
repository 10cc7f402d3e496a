"""The reference trainer: its updates are the algorithm's, and stopping, resuming or crashing changes no result."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training import job, quiet, same_weights, steps

from boundary_bench.benchmarks import KINDS
from boundary_bench.core.errors import ModelError, TrainingError
from boundary_bench.grading import Grader, Ruling, Verdict
from boundary_bench.models.folder import load_weights
from boundary_bench.models.tokenizer import load_tokenizer
from boundary_bench.training import state
from boundary_bench.training.reference import train
from boundary_bench.training.rollouts import decoder_of


@pytest.fixture(scope="module")
def undisturbed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Six steps in one call: the store and the folder of step 6."""
    store = tmp_path_factory.mktemp("undisturbed")
    return store, train(job(), tiny_model, store, 6, quiet)


# steps, checkpoints and resuming


def test_training_changes_the_weights_and_writes_a_log_and_a_model_folder(
    undisturbed: tuple[Path, Path], tiny_model: Path
) -> None:
    store, folder = undisturbed
    before, after = load_weights(tiny_model)[1], load_weights(folder)[1]
    assert before.keys() == after.keys() and any(not torch.equal(before[name], after[name]) for name in before)
    rows = steps(store)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert sum(row["updates"] for row in rows) >= 6 and any(row["clip_fraction"] > 0 for row in rows)
    assert any(0 < row["live_groups"] < 1 for row in rows)
    assert load_tokenizer(folder).to_str() == load_tokenizer(tiny_model).to_str()
    assert state.saved_steps(store) == [4, 6], "the two newest states are kept"


def test_hub_models_train_and_resume_the_same(tiny_gpt2: Path, tmp_path: Path) -> None:
    """A model type that the fast decoder does not know; any text of even length is right, so that rewards differ."""

    def even(reference: str, response: str) -> Ruling:
        return Ruling(Verdict.WRONG if len(response) % 2 else Verdict.CORRECT, "by its length")

    settings: dict[str, Any] = {"prompts": 2, "rollouts": 4, "max_tokens": 8, "state_every": 1}
    chosen = replace(job(**settings), kind=replace(KINDS["countdown"], grader=Grader("even", 1, str, even)))
    whole = train(chosen, tiny_gpt2, tmp_path / "whole", 2, quiet)
    train(chosen, tiny_gpt2, tmp_path / "parts", 1, quiet)
    assert same_weights(train(chosen, tiny_gpt2, tmp_path / "parts", 2, quiet), whole)
    assert not same_weights(whole, tiny_gpt2)


# faults


def test_a_state_of_another_model_is_refused(
    undisturbed: tuple[Path, Path], tiny_qwen2: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Of one with other tensors, and of one with the same tensors in another shape."""
    from transformers import LlamaForCausalLM

    narrow = shutil.copytree(tiny_model, tmp_path / "narrow")
    config = LlamaForCausalLM.from_pretrained(tiny_model).config
    config.intermediate_size //= 2
    LlamaForCausalLM(config).save_pretrained(narrow)
    for name, base in (("qwen2", tiny_qwen2), ("narrow", narrow)):
        store = tmp_path / f"store-{name}"
        shutil.copytree(undisturbed[0] / "state", store / "state")
        with pytest.raises(ModelError, match="trainer state"):
            train(job(), base, store, 8, quiet)


def test_samples_of_another_policy_end_the_run_with_its_steps_kept(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a decoder loses a model's state, or weights do not reach the sampler."""
    chosen = job(state_every=1)
    train(chosen, tiny_model, tmp_path, 2, quiet)

    def sharper(model: Any) -> Any:
        decoder = decoder_of(model)
        decoder.head = decoder.head * 1.1
        return decoder

    monkeypatch.setattr("boundary_bench.training.reference.decoder_of", sharper)
    with pytest.raises(TrainingError, match=r"step 3: before .* by 0\.\d+ nats .*, expected 0\.01"):
        train(chosen, tiny_model, tmp_path, 4, quiet)
    assert state.saved_steps(tmp_path) == [1, 2]
    monkeypatch.undo()
    assert [row["step"] for row in steps(tmp_path)] == [1, 2]
    train(chosen, tiny_model, tmp_path, 4, quiet)
    whole = train(chosen, tiny_model, tmp_path / "whole", 4, quiet)
    assert same_weights(tmp_path / "step-000004", whole)


def test_a_base_with_a_tensor_missing_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    """Hugging Face would draw random numbers for it and train on."""
    from safetensors.torch import save_file

    base = shutil.copytree(tiny_model, tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.down_proj\.weight"):
        train(job(), base, tmp_path / "store", 1, quiet)
