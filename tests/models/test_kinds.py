"""Kinds of model folders, through the command line: what transformers computes is sampled, or the model is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from workflow import shipped, write_study

from boundary_bench.commands import main
from boundary_bench.core.errors import EXIT_USER_ERROR
from boundary_bench.core.parquet import read_verified
from boundary_bench.models.forward import plain_logprobs
from boundary_bench.training.pretrain import END, PAD, character_tokenizer, save

Change = Callable[[Path], object]

SHAPE: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": END,
    "pad_token_id": PAD,
}
GPT2 = {"vocab_size": 32, "n_embd": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.3, "eos_token_id": END}
LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [8.0] * 4}


def make(folder: Path, kind: str = "Llama", **changes: Any) -> Path:
    """A tiny model of random weights with the character tokenizer."""
    torch.manual_seed(5)
    config = getattr(transformers, f"{kind}Config")(**{**(GPT2 if kind == "GPT2" else SHAPE), **changes})
    model = transformers.AutoModelForCausalLM.from_config(config)
    save(model.eval(), character_tokenizer(), folder)
    return folder


def edit(folder: Path, name: str, **changes: Any) -> None:
    said = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({name: v for name, v in {**said, **changes}.items() if v is not None}))


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    def apply(folder: Path) -> None:
        found = load_file(folder / "model.safetensors")
        change(found)
        save_file({name: tensor.contiguous() for name, tensor in found.items()}, folder / "model.safetensors")

    return apply


def in_shards(folder: Path) -> None:
    """The weights in two files with an index, as large models are saved."""
    found, index = load_file(folder / "model.safetensors"), {}
    for part, names in enumerate((sorted(found)[::2], sorted(found)[1::2]), 1):
        file = f"model-{part:05d}-of-00002.safetensors"
        save_file({name: found[name] for name in names}, folder / file, {"format": "pt"})
        index |= dict.fromkeys(names, file)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def stale_shards(folder: Path) -> None:
    """Shards of an earlier save with another number of them, which no index names."""
    found = {name: tensor + 1 for name, tensor in load_file(folder / "model.safetensors").items()}
    in_shards(folder)
    save_file(found, folder / "model-00001-of-00001.safetensors", {"format": "pt"})
    save_file(found, folder / "model-00003-of-00003.safetensors", {"format": "pt"})


def tokenizer_stores(**said: Any) -> Change:
    return lambda folder: edit(folder, "tokenizer.json", **said)


def config_says(**said: Any) -> Change:
    return lambda folder: edit(folder, "config.json", **said)


TRUNCATION = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 24},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": PAD,
    "pad_type_id": 0,
    "pad_token": "<pad>",
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}


def called_with_padding(folder: Path) -> None:
    """As a user writes it: one call with padding and truncation before saving."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer("3852=27:", padding="max_length", truncation=True, max_length=24)
    tokenizer.save_pretrained(folder)


#: What is sampled is what transformers computes: the model, and what is then done to its folder.
MENDED: dict[str, tuple[str, dict[str, Any], Change]] = {
    "plain": ("Llama", {}, lambda folder: None),
    "truncation in tokenizer.json": ("Llama", {}, tokenizer_stores(truncation=TRUNCATION)),
    "padding in tokenizer.json": ("Llama", {}, tokenizer_stores(padding=PADDING)),
    "saved after a call with padding": ("Llama", {}, called_with_padding),
    "shards": ("Llama", {}, in_shards),
    "stale shards": ("Llama", {}, stale_shards),
    "an index of one file": (
        "Llama",
        {},
        lambda folder: (folder / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"model.norm.weight": "model.safetensors"}})
        ),
    ),
    "another safetensors file": ("Llama", {}, lambda folder: save_file({"a": torch.ones(1)}, folder / "a.safetensors")),
    "rope_scaling beside rope_parameters": ("Llama", {}, config_says(rope_scaling=YARN)),
    "rope_theta said twice": ("Llama", {}, config_says(rope_theta=77.0)),
    "rope_theta at the top alone": ("Llama", {}, config_says(rope_parameters=None, rope_theta=77.0)),
    "no rope at all": ("Llama", {}, config_says(rope_parameters=None)),
    "a part of each head is rotated": ("Llama", {}, config_says(partial_rotary_factor=0.5)),
    "llama3": (
        "Llama",
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
                             "high_freq_factor": 4.0, "original_max_position_embeddings": 16}},
        lambda folder: None,
    ),
    "no rms_norm_eps": ("Llama", {}, config_says(rms_norm_eps=None)),
    "a sliding window": ("Mistral", {"sliding_window": 4}, lambda folder: None),
    "longrope below its original length": (
        "Phi3",
        {"original_max_position_embeddings": 32, "rope_parameters": {**LONGROPE, "rope_theta": 1e4}},
        lambda folder: None,
    ),
    "a state-space model": ("Mamba", {"state_size": 8, "time_step_rank": 8}, lambda folder: None),
    "a state that no cache holds": ("Rwkv", {"attention_hidden_size": 32}, lambda folder: None),
    "bfloat16": ("Llama", {"dtype": "bfloat16"}, weights(lambda w: w.update({k: v.bfloat16() for k, v in w.items()}))),
}  # fmt: skip


def quantised(name: str, dtype: torch.dtype) -> Change:
    return weights(lambda w: w.update({name: (w[name] * 20).to(dtype)}))


def lost_shard(folder: Path) -> None:
    in_shards(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def unindexed(folder: Path) -> None:
    in_shards(folder)
    (folder / "model.safetensors.index.json").unlink()


def twice(folder: Path) -> None:
    in_shards(folder)
    shutil.copy(folder / "model-00001-of-00002.safetensors", folder / "model-00002-of-00002.safetensors")


def from_elsewhere(folder: Path) -> None:
    """An index that names a file outside the folder."""
    in_shards(folder)
    shutil.copy(folder / "model-00001-of-00002.safetensors", folder.parent / "outside.safetensors")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"] = dict.fromkeys(index["weight_map"], "../outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def both(folder: Path) -> None:
    shutil.copy(folder / "model.safetensors", folder / "kept")
    in_shards(folder)
    shutil.move(folder / "kept", folder / "model.safetensors")


PROJECTION = "model.layers.0.mlp.down_proj.weight"
#: What the message says of a folder that is refused.
REFUSED: dict[str, tuple[str, dict[str, Any], Change, list[str]]] = {
    "int8 weights": ("Llama", {}, quantised(PROJECTION, torch.int8), [PROJECTION, "int8", "dequantised copy"]),
    "float8 weights": ("Llama", {}, quantised(PROJECTION, torch.float8_e4m3fn), [PROJECTION, "float8_e4m3fn"]),
    "a quantization_config": (
        "Llama", {}, config_says(quantization_config={"quant_method": "compressed-tensors"}),
        ["is quantised", "compressed-tensors", "dequantize()"],
    ),
    "an adapter": (
        "Llama", {}, lambda folder: (folder / "adapter_config.json").write_text("{}"),
        ["is an adapter", "merge_and_unload"],
    ),
    "an encoder with a decoder": (
        "Llama", {}, config_says(is_encoder_decoder=True), ["encoder with a decoder", "continues its prompt"],
    ),
    "a file of its own": ("Llama", {}, config_says(transformers_weights="x.safetensors"), ["x.safetensors", "index"]),
    "longrope across its original length": (
        "Phi3",
        {"original_max_position_embeddings": 12, "rope_parameters": {**LONGROPE, "rope_theta": 1e4}},
        lambda folder: None,
        ["context of 12 tokens"],
    ),
    "a short context by another name": ("GPT2", {"n_positions": 12}, lambda folder: None, ["context of 12 tokens"]),
    "layers that the config does not have": (
        "Llama", {}, config_says(num_hidden_layers=1), ["model.layers.1.", "no place for", "number of layers"],
    ),
    "a tensor that no model has": (
        "Llama", {}, weights(lambda w: w.update({"model.extra": torch.ones(2)})), ["model.extra", "no place for"],
    ),
    "a shard that is not there": ("Llama", {}, lost_shard, ["lacks model-00002-of-00002.safetensors"]),
    "shards without an index": ("Llama", {}, unindexed, ["no model.safetensors.index.json", "copy the index"]),
    "a tensor in two files": ("Llama", {}, twice, ["is in model-00001-of-00002.safetensors and in model-00002"]),
    "a file outside": ("Llama", {}, from_elsewhere, ["lacks ../outside.safetensors"]),
    "two models": ("Llama", {}, both, ["holds two models", "delete the one"]),
    "a torn index": (
        "Llama", {}, lambda folder: (in_shards(folder), (folder / "model.safetensors.index.json").write_text("[]")),
        ["model.safetensors.index.json"],
    ),
    "other token ids than AutoTokenizer": (
        "Qwen2", {}, lambda folder: None, ["AutoTokenizer of transformers read", "template raw", "save a copy"],
    ),
    "a config that makes no model": ("Llama", {}, config_says(hidden_act="no such"), ["cannot be loaded", "no such"]),
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], tuple[int, str]]:
    """Adopt a folder and sample it through the command line: the exit code, and what was printed."""
    study = shipped("smoke")
    study |= {"models": {"given": {"path": str(tmp_path / "model")}}}
    study["sampling"] = {"n_max": 8, "stop_after": None, "max_tokens": 6}
    study["benchmarks"] = {"countdown": {**study["benchmarks"]["countdown"], "options": {"problems": {3: 3, 4: 1}}}}
    path = write_study(tmp_path / "mine.yaml", study)

    def run(folder: Path) -> tuple[int, str]:
        for words in (["prepare"], ["pretrain", "--model", "given"], ["sample", "--policy", "given"]):
            where = [] if words[0] == "pretrain" else ["--benchmark", "countdown"]
            code = main([words[0], str(path), *words[1:], *where, "--results", str(tmp_path / "results")])
            if code:
                break
        return code, "".join(capsys.readouterr())

    return run


def sampled(results: Path) -> Iterator[dict[str, Any]]:
    """Stored samples, with the token ids of their prompts."""
    questions = {
        row["id"]: row["prompt"]
        for file in results.rglob("problems/countdown.parquet")
        for row in read_verified(file)[0].to_pylist()
    }
    for file in results.rglob("store/sample/**/*.parquet"):
        for row in read_verified(file)[0].to_pylist():
            yield {**row, "question": questions[row["problem_id"]], "greedy": file.name.startswith("greedy")}


@pytest.mark.parametrize("name", MENDED)
def test_what_is_sampled_is_what_transformers_computes(
    name: str, tmp_path: Path, run: Callable[[Path], tuple[int, str]]
) -> None:
    kind, changes, change = MENDED[name]
    folder = make(tmp_path / "model", kind, **changes)
    change(folder)
    code, said = run(folder)
    assert code == 0, said
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = list(sampled(tmp_path / "results"))
    assert {row["greedy"] for row in rows} == {True, False}
    for row in rows:
        prompt = tokenizer(row["question"])["input_ids"]
        ids = torch.tensor([prompt + row["tokens"]])
        own = plain_logprobs(model, ids, len(prompt))
        assert abs(float(own.sum()) - row["logprob"]) < 1e-4 * len(row["tokens"])
        if row["greedy"]:
            made = model.generate(ids[:, : len(prompt)], max_new_tokens=6, do_sample=False, eos_token_id=END)
            assert made[0, len(prompt) :].tolist() == row["tokens"]
    manifest = json.loads(next((tmp_path / "results").rglob("models/given/manifest.json")).read_text())
    assert manifest["proof"]["largest"] < 1e-4 and manifest["proof"]["tokens"] >= 64
    assert manifest["templates"] == ["raw", "simple", "qwen-boxed"], "all but chat, for want of a chat template"


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_had_so_is_refused_by_name(
    name: str, tmp_path: Path, run: Callable[[Path], tuple[int, str]]
) -> None:
    kind, changes, change, parts = REFUSED[name]
    folder = make(tmp_path / "model", kind, **changes)
    change(folder)
    code, said = run(folder)
    assert code == EXIT_USER_ERROR, said
    assert "Traceback" not in said and said.splitlines()[-1].startswith("boundary-bench: ")
    assert all(part in said for part in parts), said
    assert not list(sampled(tmp_path / "results"))
