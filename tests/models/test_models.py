"""Model folders: a sound one is adopted, and every fault of one is a message that says what to do."""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workflow import shipped, write_study

from boundary_bench.commands import main
from boundary_bench.core.errors import EXIT_USER_ERROR, ModelError
from boundary_bench.plan import make_plan

Folder = Callable[[Path], object]


@pytest.fixture
def smoke() -> dict[str, Any]:
    """The smoke study, to be changed."""
    return shipped("smoke")


def write(folder: Path, study: dict[str, Any]) -> Path:
    return write_study(folder / "mine.yaml", study)


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    os.truncate(file, file.stat().st_size // 2)


def change_weights(change: Callable[[dict[str, Any]], object]) -> Folder:
    def apply(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    return apply


def change_config(**changes: Any) -> Folder:
    def apply(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))
        (folder / "generation_config.json").unlink(missing_ok=True)

    return apply


class Trap:
    """A pickle that leaves a mark where it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(folder / "opened")))


def remove(name: str) -> Folder:
    return lambda folder: (folder / name).unlink()


def overwrite(name: str, text: str) -> Folder:
    return lambda folder: (folder / name).write_text(text)


BAD_FOLDERS: dict[str, tuple[Folder, list[str]]] = {
    "truncated weights": (cut, ["model.safetensors is damaged", "bytes", "again"]),
    "empty weights": (overwrite("model.safetensors", ""), ["model.safetensors is damaged", "0 bytes"]),
    "NaN weights": (change_weights(lambda w: w["model.norm.weight"].fill_(math.nan)), ["model.norm.weight", "NaN"]),
    "infinite weights": (
        change_weights(lambda w: w["lm_head.weight"][3].fill_(math.inf)),
        ["lm_head.weight", "infinity"],
    ),
    "a tensor missing": (
        change_weights(lambda w: w.pop("model.layers.1.mlp.down_proj.weight")),
        ["model.layers.1.mlp.down_proj.weight"],
    ),
    "only a pickle": (only_pickle, ["expected *.safetensors", "pytorch_model.bin", "can run code", "save_pretrained"]),
    "no weights": (remove("model.safetensors"), ["expected *.safetensors", "none"]),
    "no config": (remove("config.json"), ["config.json", "Hugging Face format"]),
    "a config of no known type": (overwrite("config.json", '{"eos_token_id": 1}'), ["config.json", "model_type"]),
    "no tokenizer": (remove("tokenizer.json"), ["tokenizer.json", "save"]),
    "a torn tokenizer": (overwrite("tokenizer.json", '{"version"'), ["tokenizer.json", "not a tokenizer"]),
    "no end token": (change_config(eos_token_id=None), ["eos_token_id", "add it"]),
    "no end token in a list": (change_config(eos_token_id=[]), ["eos_token_id", "add it"]),
    "end tokens outside the vocabulary": (
        change_config(eos_token_id=[1, 32, 700]),
        ["[1, 32, 700]", "[32, 700] are not in the model's vocabulary", "0 to 31", "correct eos_token_id"],
    ),
    "no folder": (shutil.rmtree, ["no model folder", "config.json, tokenizer.json"]),
}


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "model")


@pytest.mark.parametrize("name", BAD_FOLDERS)
def test_a_fault_in_a_model_folder_is_a_model_error(name: str, folder: Path) -> None:
    from boundary_bench.sampling.torch.engine import load_engine

    fault, parts = BAD_FOLDERS[name]
    fault(folder)
    with pytest.raises(ModelError) as caught:
        load_engine(folder, "cpu")
    assert all(part in str(caught.value) for part in [str(folder), *parts]), caught.value
    assert not (folder / "opened").exists(), "the pickle was opened"


@pytest.mark.parametrize("name", BAD_FOLDERS)
def test_the_command_line_refuses_a_faulty_model_folder(
    name: str, folder: Path, smoke: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fault, parts = BAD_FOLDERS[name]
    fault(folder)
    smoke["models"] = {"given": {"path": str(folder)}}
    path = write(tmp_path, smoke)
    code = main(["pretrain", str(path), "--results", str(tmp_path / "results"), "--model", "given"])
    message = capsys.readouterr().err
    assert code == EXIT_USER_ERROR and message.splitlines()[-1].startswith("boundary-bench: ")
    assert "Traceback" not in message
    assert all(part in message for part in parts), message
    assert not (folder / "opened").exists(), "the pickle was opened"
    assert not list((tmp_path / "results").rglob("manifest.json"))


def test_a_sound_folder_is_adopted_with_a_manifest(folder: Path, smoke: dict[str, Any], tmp_path: Path) -> None:
    from boundary_bench.models.folder import read_manifest, weights_sha256

    smoke["models"] = {"given": {"path": str(folder)}}
    plan = make_plan(str(write(tmp_path, smoke)), tmp_path / "results")
    assert main(["pretrain", str(plan.path), "--results", str(plan.results), "--model", "given"]) == 0
    found, manifest = read_manifest(plan.model("given"))
    assert found == folder.resolve() and manifest["step"] == 0
    assert manifest["weights_sha256"] == weights_sha256(folder)


@pytest.mark.parametrize(
    ("config", "generation", "expected"),
    [
        (1, None, (1,)),
        ([1], None, (1,)),
        ([9, 1, 9, 31], None, (1, 9, 31)),
        (2, {"eos_token_id": [9, 1]}, (1, 9)),
        ([9, 1], {"eos_token_id": 0}, (0,)),
        ([9, 1], {"temperature": 0.6}, (1, 9)),
    ],
)
def test_end_tokens_are_those_of_the_generation_config_or_else_of_the_config(
    folder: Path, config: Any, generation: dict[str, Any] | None, expected: tuple[int, ...]
) -> None:
    from boundary_bench.models.config import end_tokens

    change_config(eos_token_id=config)(folder)
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    assert end_tokens(folder) == expected


def edit_json(name: str, **changes: Any) -> Folder:
    def apply(folder: Path) -> None:
        said = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
        (folder / name).write_text(json.dumps({**said, **changes}, indent=7))

    return apply


@pytest.mark.parametrize(
    "change",
    [
        change_config(eos_token_id=[1, 9]),
        edit_json("config.json", rms_norm_eps=0.5),
        edit_json("generation_config.json", eos_token_id=[1, 9]),
        edit_json("tokenizer.json", truncation={"max_length": 3, "strategy": "LongestFirst", "stride": 0}),
        edit_json("tokenizer_config.json", chat_template="{{ messages }}"),
        overwrite("chat_template.jinja", "{{ messages }}"),
        change_weights(lambda w: w["model.norm.weight"][0].add_(1e-6)),
    ],
    ids=["end tokens", "config", "generation config", "tokenizer", "tokenizer config", "chat template", "weights"],
)
def test_what_makes_ids_and_numbers_is_the_content_of_a_model(change: Folder, folder: Path) -> None:
    from boundary_bench.models.folder import content

    before = content(folder)
    change(folder)
    assert content(folder)["content"] != before["content"]


@pytest.mark.parametrize(
    "change",
    [
        edit_json("config.json", transformers_version="9.9.9", _name_or_path="/elsewhere"),
        edit_json("generation_config.json", transformers_version="9.9.9"),
        edit_json("config.json"),  # other white space
        overwrite("README.md", "mine"),
        overwrite("boundary_bench.json", "{}"),
    ],
    ids=["who wrote it", "who wrote the generation config", "white space", "readme", "record"],
)
def test_who_wrote_a_model_and_where_it_is_is_no_content(change: Folder, folder: Path, tmp_path: Path) -> None:
    from boundary_bench.models.folder import content, weights_sha256

    before = content(folder)
    change(folder)
    moved = shutil.move(folder, tmp_path / "elsewhere")
    assert content(Path(moved)) == before and before["weights_sha256"] == weights_sha256(Path(moved))


def test_a_model_of_other_content_has_samples_of_its_own_wherever_it_is(
    folder: Path, smoke: dict[str, Any], tmp_path: Path
) -> None:
    """End tokens, tokenizer and template settle what is drawn as the weights do; the place of the folder does not."""
    from boundary_bench.commands.workplace import task_of
    from boundary_bench.models.folder import read_manifest

    def stores(path: Path) -> dict[str, str]:
        """The names of the stores of samples, of the run, and of the probe."""
        smoke["models"], smoke["probe"] = {"given": {"path": str(path)}}, {}
        plan = make_plan(str(write(tmp_path, smoke)), tmp_path / "results")
        given = [str(plan.path), "--results", str(plan.results)]
        assert main(["pretrain", *given, "--model", "given"]) == 0
        for benchmark in ("countdown", "training"):
            assert main(["prepare", *given, "--benchmark", benchmark]) == 0
        jobs = {"sample": ("given", "countdown", 1), "probe": ("given", "countdown")}
        jobs["train"] = (plan.runs[0].name, 2)
        return {
            stage: task_of(plan, stage, values, plan.model("given"), benchmark, "").store.name
            for (stage, values), benchmark in zip(jobs.items(), ("countdown", "countdown", "training"), strict=True)
        }

    found = [stores(folder)]
    for change in (
        edit_json("config.json", transformers_version="9.9.9"),
        lambda folder: shutil.move(folder, tmp_path / "elsewhere"),
    ):
        change(folder)
    folder = tmp_path / "elsewhere"
    assert stores(folder) == found[0]
    for change in (change_config(eos_token_id=[1, 9]), overwrite("chat_template.jinja", "{{ messages }}")):
        change(folder)
        with pytest.raises(ModelError, match=r"the config, tokenizer or generation config in .* were altered"):
            read_manifest(tmp_path / "results" / "smoke" / "models" / "given" / "manifest.json")
        found.append(stores(folder))
    for stage in found[0]:
        assert len({each[stage] for each in found}) == 3, "nothing of before is taken for what is now"
    (tmp_path / "elsewhere" / "chat_template.jinja").unlink()
    assert stores(folder) == found[1], "what was so before is there again"


def test_a_folder_is_checked_in_the_type_that_it_is_written_in(
    folder: Path, smoke: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 a large model would take twice the memory of its files."""
    import torch

    from boundary_bench.models import folder as models

    models.load_model(folder, "cpu", torch.bfloat16).save_pretrained(folder)
    loaded, load = [], models.load_model
    monkeypatch.setattr(models, "load_model", lambda *given: loaded.append(load(*given)))
    smoke["models"] = {"given": {"path": str(folder)}}
    smoke["sampling"] = {"device": "cuda"}
    path = write(tmp_path, smoke)
    assert main(["pretrain", str(path), "--results", str(tmp_path / "results"), "--model", "given"]) == 0
    assert [model.dtype for model in loaded] == [torch.bfloat16]
    assert load(folder, "cpu").dtype == torch.float32


def test_weights_that_are_not_those_of_the_manifest_are_refused(folder: Path, tmp_path: Path) -> None:
    from boundary_bench.models.folder import read_manifest, write_manifest

    manifest = tmp_path / "here" / "manifest.json"
    write_manifest(manifest, folder, 3, {"a": 1}, model="given")
    assert read_manifest(manifest)[0] == folder.resolve()
    change_weights(lambda w: w["model.norm.weight"][0].add_(1e-6))(folder)
    with pytest.raises(ModelError, match="altered or torn"):
        read_manifest(manifest)
    assert json.loads(manifest.read_text())["step"] == 3


def test_a_context_that_is_too_short_names_the_longest_prompt_and_what_would_fit() -> None:
    from boundary_bench.models.config import check_context

    prompts = {"a": [1] * 3, "b": [1] * 30, "c": [1] * 12}
    check_context(40, prompts, 10, "sampling.max_tokens")
    check_context(None, prompts, 10**6, "sampling.max_tokens")
    message = r"context of 40 tokens .* \(problem b, 30 tokens\) and .*: 11; lower .* to 10 or less, or leave"
    with pytest.raises(ModelError, match=message):
        check_context(40, prompts, 11, "sampling.max_tokens")
    with pytest.raises(ModelError, match=r"context of 30 tokens .*: 1; leave long .* options: {longest: CHARACTERS}"):
        check_context(30, prompts, 1, "sampling.max_tokens")


def test_a_results_folder_can_be_moved(folder: Path, tmp_path: Path) -> None:
    from boundary_bench.models.folder import read_manifest, write_manifest

    store = shutil.move(folder, tmp_path / "results" / "store")
    write_manifest(tmp_path / "results" / "m" / "manifest.json", Path(store), 0, {})
    shutil.move(tmp_path / "results", tmp_path / "elsewhere")
    found, _ = read_manifest(tmp_path / "elsewhere" / "m" / "manifest.json")
    assert found == (tmp_path / "elsewhere" / "store").resolve()


def test_a_hub_model_that_cannot_be_had_says_how_to_go_on_offline(
    smoke: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smoke["models"] = {"given": {"hub": "nobody/no-such-model", "revision": "0" * 40}}
    path = write(tmp_path, smoke)
    code = main(["pretrain", str(path), "--results", str(tmp_path / "results"), "--model", "given"])
    message = capsys.readouterr().err
    assert code == EXIT_USER_ERROR and "Traceback" not in message
    assert all(part in message for part in ("nobody/no-such-model", "{path: FOLDER}", "HF_HOME")), message
