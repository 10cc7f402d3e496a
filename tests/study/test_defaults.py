"""A default that changes raises a version; what is not at its default names results, and what only executes never."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import defaults
import pytest
from pydantic import Field

from boundary_bench.study.analysis import Analysis
from boundary_bench.study.blocks import Block, Execution
from boundary_bench.study.sampling import Sampling
from boundary_bench.study.training import Training

KEPT = json.loads(defaults.FILE.read_text())
TRAINING = {"benchmark": "countdown", "segments": [2]}


# the golden file


def test_no_default_changes_without_a_raised_version() -> None:
    found = defaults.faults(KEPT, defaults.now())
    assert not found, "\n".join(found)


def test_the_file_of_defaults_is_of_this_code() -> None:
    found = defaults.stale(KEPT, defaults.now())
    assert not found, "\n".join([*found, f"write it anew: {defaults.AGAIN}"])


def test_every_block_says_which_versions_its_defaults_need() -> None:
    named = {each.__name__ for each in defaults.blocks()}
    assert {"Model", "Pretrain", "Training", "OpenRLHF", "Trl", "Sampling", "Vllm", "Analysis", "Probe"} <= named
    assert {"Benchmark", "Algorithm", "Normalized", "Clipped"} <= named
    read = [(where, name) for where, usual in defaults.defaults().items() for name in usual]
    assert len(read) > 100
    for where, name in read:
        for line in defaults.read_by(where, name):
            assert line and set(line) <= defaults.versions().keys(), (where, name)
    fields = {f"{block.__name__} {name}" for block in defaults.blocks() for name in block.model_fields}
    assert set(defaults.READ_BY) <= named | fields, "a block or setting that is gone"


def changed(where: str, name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda code: code["defaults"][where].update({name: value})


def raised(*names: str) -> Callable[[dict[str, Any]], None]:
    return lambda code: code["versions"].update({name: code["versions"][name] + 1 for name in names})


LR = changed("Training", "lr", 1.0)
TOKENS = changed("Sampling", "max_tokens", 65)
FLAGS = changed("OpenRLHF", "flags", {"a": 1})
OPTION = changed("kind countdown", "targets", "uniform")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([LR], ["the default of Training.lr was 0.00015 and is 1.0", "raise the version of stages train,"]),
        ([LR, raised("stages sample", "stages pretrain")], ["raise the version of stages train,"]),
        ([LR, raised("stages train")], []),
        ([TOKENS], ["raise the version of stages sample and of stages probe,"]),
        ([TOKENS, raised("stages sample")], ["raise the version of stages probe,"]),
        ([TOKENS, raised("stages sample", "stages probe")], []),
        ([FLAGS], ["raise the version of stages train or backends openrlhf,"]),
        ([FLAGS, raised("backends openrlhf")], []),
        ([OPTION], ["raise the version of kinds countdown or stages prepare,"]),
        ([OPTION, raised("kinds countdown")], []),
        ([OPTION, raised("kinds countdown-hard")], ["kinds countdown or"]),
        ([changed("Normalized", "epsilon", 1.0)], ["raise the version of stages train,"]),
        ([changed("Training", "state_every", 11)], []),  # how it runs
        ([changed("Sampling", "n_max", 11)], []),  # a design is named in full
        ([changed("Training", "new", 11)], []),
        ([lambda code: code["defaults"].pop("Trl")], []),
    ],
)
def test_a_changed_default_is_seen_and_a_new_setting_passes(
    changes: list[Callable[[dict[str, Any]], None]], said: list[str]
) -> None:
    code = copy.deepcopy(KEPT)
    for change in changes:
        change(code)
    found = defaults.faults(KEPT, code)
    assert len(found) == bool(said)
    assert all(part in found[0] for part in [*said, defaults.AGAIN] if said)
    new = code["defaults"]["Training"].keys() - KEPT["defaults"]["Training"].keys()
    assert bool(defaults.stale(KEPT, code)) == (not new), "what is otherwise is written anew, what is new may be"


def test_the_script_writes_nothing_over_a_fault(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "defaults.json"
    monkeypatch.setattr(defaults, "FILE", file)
    defaults.main()
    assert json.loads(file.read_text()) == defaults.now()
    other = copy.deepcopy(KEPT)
    LR(other)
    file.write_text(json.dumps(other))
    with pytest.raises(SystemExit, match=r"Training\.lr was 1\.0"):
        defaults.main()
    assert json.loads(file.read_text()) == other
    other["versions"]["stages train"] -= 1
    file.write_text(json.dumps(other))
    defaults.main()
    assert json.loads(file.read_text()) == defaults.now()


# what names a result


@pytest.mark.parametrize(
    ("base", "given"),
    [
        (Sampling, {}),
        (Sampling, {"temperature": 0.5, "engine": "vllm", "vllm": {"dtype": "bfloat16"}}),
        (Training, TRAINING),
        (Training, {**TRAINING, "lr": 1.0, "backend": "openrlhf", "openrlhf": {"gpus": 1, "flags": {"a": 1}}}),
        (Analysis, {"ks": [1, 2]}),
    ],
)
def test_a_new_setting_at_its_default_names_nothing(base: type[Block], given: dict[str, Any]) -> None:
    class More(base):  # type: ignore[valid-type, misc]
        more: int = 3
        some: list[int] = Field(default_factory=lambda: [1])
        place: Execution[str] = "here"
        other: Execution[Analysis] = Analysis()
        inner: Analysis = Analysis()

    usual = base.model_validate(given).identity()
    assert More.model_validate(given).identity() == usual
    assert More.model_validate({**given, "more": 3, "some": [1], "inner": {"level": 0.95}}).identity() == usual
    assert More.model_validate({**given, "place": "there", "other": {"level": 0.9}}).identity() == usual
    assert More.model_validate({**given, "more": 4}).identity() == {**usual, "more": 4}
    assert More.model_validate({**given, "some": []}).identity() == {**usual, "some": []}
    assert More.model_validate({**given, "inner": {"level": 0.9}}).identity() == {**usual, "inner": {"level": 0.9}}


def test_what_executes_in_a_block_of_a_block_names_nothing() -> None:
    assert Sampling(engine="vllm").identity() == {"engine": "vllm"}
    assert Sampling.model_validate({"engine": "vllm", "vllm": {"max_num_seqs": 8}}).identity() == {"engine": "vllm"}
    assert Training.model_validate(TRAINING).identity() == {"benchmark": "countdown"}


def test_readers_are_told_the_defaults_too_but_not_what_executes() -> None:
    told = Training.model_validate(TRAINING).identity(usual=True)
    assert told["lr"] == 1.5e-4 and told["trl"] == {"dtype": "float32"} and not {"device", "python"} & told.keys()


def test_a_setting_that_is_given_at_its_default_is_the_one_that_is_not_given() -> None:
    assert Sampling(temperature=1, top_p=1).identity() == Sampling(temperature=1.0).identity() == {}
    assert Training.model_validate({**TRAINING, "reward": "correct", "columns": None}).course() == {}
