"""Study files with a fault: each is a message that says what was found and what to write, before anything is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow import shipped

from boundary_bench.commands import main
from boundary_bench.core.errors import EXIT_USER_ERROR, StudyError, did_you_mean
from boundary_bench.plan import make_plan
from boundary_bench.study.file import SHIPPED

Change = Callable[[dict[str, Any]], object]


def put(where: str, value: Any) -> Change:
    """A change of one key, given by its path with dots."""
    *parents, last = where.split(".")

    def change(study: dict[str, Any]) -> None:
        for parent in parents:
            study = study[parent]
        study[last] = value

    return change


def drop(key: str) -> Change:
    return lambda study: study.pop(key)


#: The smoke study with one fault, and what the message must hold: found, expected, suggestion.
BAD_STUDIES: dict[str, tuple[Change, list[str]]] = {
    "unknown top key": (put("sampilng", {}), ["sampilng: unknown key", "did you mean 'sampling'", "seeds"]),
    "unknown nested key": (put("training.lrr", 1), ["training.lrr: unknown key", "did you mean 'lr'", "max_grad_norm"]),
    "responses of no tokens": (put("sampling.max_tokens", 0), ["sampling.max_tokens", "greater than or equal to 1"]),
    "timeouts that count": (put("sampling.unscored", ["truncated"]), ["sampling.unscored", "expected timeout"]),
    "no shards": (put("sampling.shards", 0), ["sampling.shards", "greater than or equal to 1"]),
    "unknown sampling key": (put("sampling.n", 8), ["sampling.n: unknown key", "n_max"]),
    "unknown model key": (put("models.countdown-base.pth", "x"), ["pth: unknown key", "did you mean 'path'"]),
    "unknown pretrain key": (
        put("models.countdown-base.pretrain.stpes", 1),
        ["stpes: unknown key", "did you mean 'steps'"],
    ),
    "unknown benchmark key": (put("benchmarks.countdown.splt", "test"), ["splt: unknown key", "did you mean 'split'"]),
    "unknown option": (put("benchmarks.countdown.options", {"problms": {}}), ["'problms'", "did you mean 'problems'"]),
    "missing key": (drop("training"), ["without training", "required"]),
    "unknown algorithm": (put("algorithms", ["grop"]), ["'grop'", "did you mean 'grpo'", "like"]),
    "unknown algorithm setting": (
        put("algorithms", {"grpo": {"clip": 1}}),
        ["'clip'", "did you mean 'clip_", "dual_clip"],
    ),
    "wrong algorithm setting": (
        put("algorithms", {"grpo": {"clip_low": 0}}),
        ["clip_low", "greater than 0", "found 0"],
    ),
    "updates of one algorithm that do not divide": (
        put("algorithms", {"grpo": {"updates_per_rollout": 3}}),
        ["algorithms.grpo", "updates_per_rollout: 3", "4 x 8", "divisor"],
    ),
    "updates of one algorithm that are none": (
        put("algorithms", {"grpo": {"updates_per_rollout": 0}}),
        ["algorithms.grpo", "updates_per_rollout", "greater than or equal to 1", "found 0"],
    ),
    "another setting of training in an algorithm": (
        put("algorithms", {"grpo": {"rollouts": 4}}),
        ["algorithms.grpo", "unknown setting 'rollouts'", "updates_per_rollout"],
    ),
    "algorithm twice": (put("algorithms", ["grpo", "grpo"]), ["algorithms", "twice", "grpo"]),
    "algorithm as a mapping in a list": (
        put("algorithms", ["grpo", {"mine": {"like": "grpo"}}]),
        ["algorithms", "mine"],
    ),
    "like a list": (put("algorithms", {"mine": {"like": ["grpo"]}}), ["algorithms.mine", "grpo"]),
    "like a number": (put("algorithms", {"mine": {"like": 5}}), ["algorithms.mine", "5"]),
    "unknown benchmark": (put("benchmarks", {"countdwn": {}}), ["'countdwn'", "did you mean 'countdown'"]),
    "unknown benchmark kind": (
        put("benchmarks.countdown.kind", "cd"),
        ["benchmarks.countdown", "'cd'", "countdown-hard"],
    ),
    "unknown training benchmark": (
        put("training.benchmark", "coutdown"),
        ["training", "'coutdown'", "did you mean 'countdown'"],
    ),
    "unknown pretraining benchmark": (
        put("models.countdown-base.pretrain.benchmark", "x"),
        ["models.countdown-base.pretrain.benchmark", "'x'", "countdown"],
    ),
    "a benchmark with the name of the training set": (
        put("benchmarks", {"training": {"kind": "countdown"}}),
        ["benchmarks.training", "choose another"],
    ),
    "step beyond training": (
        put("evaluate.steps", [0, 2, 9]),
        ["evaluate.steps", "[9]", "[0, 2, 4]", "training.segments"],
    ),
    "step between segments": (put("evaluate.steps", [0, 3]), ["[3]", "[0, 2, 4]"]),
    "no step 0": (put("evaluate.steps", [2, 4]), ["evaluate.steps", "step 0", "add it"]),
    "steps that go down": (put("evaluate.steps", [0, 4, 2]), ["evaluate.steps", "[0, 4, 2]", "[0, 2, 4]"]),
    "segments that go down": (put("training.segments", [4, 2]), ["training.segments", "[4, 2]", "[2, 4]"]),
    "segment 0": (put("training.segments", [0, 2, 4]), ["training.segments", "step 0", "1 or more"]),
    "no segments": (put("training.segments", []), ["training.segments", "at least 1"]),
    "one sample a problem": (put("sampling.n_max", 1), ["sampling.n_max", "found 1", "2"]),
    "one sample in the first round": (put("sampling.rounds", [1, 64]), ["sampling", "[1, 64]", "2 samples or more"]),
    "k beyond n": (put("analysis.ks", [1, 128]), ["analysis.ks", "[128]", "1..64", "sampling.n_max"]),
    "k of 0": (put("analysis.ks", [0, 1]), ["analysis.ks", "0", "1..64"]),
    "rounds that do not end at n": (
        put("sampling.rounds", [16, 32]),
        ["sampling", "[16, 32]", "expected n_max: 64 as the last", "n_max: 32", "other rounds"],
    ),
    "rounds that go down": (put("sampling.rounds", [32, 16, 64]), ["sampling.rounds", "[32, 16, 64]", "[16, 32, 64]"]),
    "a round of no samples": (put("sampling.rounds", [0, 64]), ["sampling", "[0, 64]", "2 samples or more"]),
    "no rounds": (put("sampling.rounds", []), ["sampling.rounds", "at least 1"]),
    "rounds without a stop": (
        lambda study: study["sampling"].update(rounds=[16, 64], stop_after=None),
        ["sampling", "[16, 64]", "stop_after: null", "drop rounds", "stop_after: 32"],
    ),
    "stop after nothing": (put("sampling.stop_after", 0), ["sampling.stop_after", "greater than or equal to 1", "0"]),
    "no margin": (put("analysis.margin", 0), ["analysis.margin", "greater than 0", "found 0"]),
    "a margin of everything": (put("analysis.margin", 1), ["analysis.margin", "less than 1", "found 1"]),
    "negative learning rate": (put("training.lr", -1e-4), ["training.lr", "greater than 0", "-0.0001"]),
    "learning rate that is no number": (put("training.lr", "fast"), ["training.lr", "valid number", "'fast'"]),
    "learning rate nan": (put("training.lr", math.nan), ["training.lr", "nan"]),
    "infinite learning rate": (put("training.lr", math.inf), ["training.lr", "inf"]),
    "infinite temperature": (put("sampling.temperature", math.inf), ["sampling.temperature", "inf"]),
    "temperature 0": (put("sampling.temperature", 0), ["sampling.temperature", "greater than 0"]),
    "an engine that is none": (put("sampling.engine", "vlm"), ["sampling.engine", "'torch' or 'vllm'", "'vlm'"]),
    "settings of another engine": (
        put("sampling.vllm", {"max_num_seqs": 8}),
        ["sampling", "settings of vllm with engine: torch", "drop them", "engine: vllm"],
    ),
    "unknown vllm key": (
        lambda study: study["sampling"].update(engine="vllm", vllm={"max_seqs": 8}),
        ["sampling.vllm.max_seqs: unknown key", "did you mean 'max_num_seqs'"],
    ),
    "top_p above 1": (put("sampling.top_p", 1.5), ["sampling.top_p", "1.5"]),
    "updates that do not divide": (
        put("training.updates_per_rollout", 3),
        ["updates_per_rollout: 3", "4 x 8", "divisor"],
    ),
    "one rollout a prompt": (put("training.rollouts", 1), ["training.rollouts", "2", "found 1"]),
    "no source of a model": (put("models", {"m": {}}), ["models.m", "no source", "pretrain, path, hub"]),
    "two sources of a model": (put("models.countdown-base.path", "x"), ["['pretrain', 'path']", "exactly one of"]),
    "hub without revision": (put("models", {"m": {"hub": "org/name"}}), ["models.m", "revision", "pin the commit"]),
    "heads that do not divide": (put("models.countdown-base.pretrain.heads", 5), ["pretrain", "heads", "5"]),
    "no problem size to pretrain on": (put("models.countdown-base.pretrain.numbers", {}), ["pretrain", "numbers"]),
    "one number to pretrain on": (
        put("models.countdown-base.pretrain.numbers", {1: 1}),
        ["pretrain", "numbers", "greater than or equal to 2"],
    ),
    "weights of 0 to pretrain on": (put("models.countdown-base.pretrain.numbers", {3: 0}), ["pretrain", "numbers"]),
    "negative number of problems": (put("benchmarks.countdown.options", {"problems": {3: -5}}), ["problems", "-5"]),
    "seven numbers a problem": (
        put("benchmarks.countdown.options", {"problems": {7: 5}}),
        ["problems.7", "less than or equal to 6"],
    ),
    "no problems": (put("benchmarks.countdown.options", {"problems": {}}), ["problems", "at least 1"]),
    "repeated seeds": (put("seeds", [0, 1, 0]), ["seeds", "[0, 1, 0]", "once"]),
    "negative seed": (put("seeds", [-1]), ["seeds.0", "-1"]),
    "no seeds": (put("seeds", []), ["without seeds", "required"]),
    "no algorithms": (put("algorithms", []), ["without algorithms", "required"]),
    "no benchmarks": (put("benchmarks", {}), ["benchmarks", "at least 1"]),
    "benchmarks as a list": (put("benchmarks", ["countdown"]), ["benchmarks", "dictionary"]),
    "model name with --": (put("models", {"a--b": {"path": "x"}}), ["a--b", "single '-'"]),
    "study name with a path": (put("study", "../x"), ["study", "letters, digits"]),
    "study name empty": (put("study", ""), ["study", "letters, digits"]),
    "study name with a newline": (put("study", "smoke\n"), ["study", "letters, digits"]),
    "study name that is a number": (put("study", 7), ["study", "string", "7"]),
    "algorithm name with a slash": (put("algorithms", {"a/b": {"like": "grpo"}}), ["a/b", "letters, digits"]),
    "benchmark name with a space": (put("benchmarks", {"a b": {"kind": "countdown"}}), ["a b", "letters, digits"]),
    "unknown engine": (put("sampling.engine", "vlm"), ["sampling.engine", "'torch'", "'vlm'"]),
    "unknown split": (put("benchmarks.countdown.split", "tset"), ["benchmarks.countdown.split", "'test'", "'tset'"]),
}

BAD_FILES = {
    "empty": ("", ["NoneType", "study: NAME"]),
    "only a comment": ("# nothing\n", ["NoneType", "study: NAME"]),
    "a list": ("- study: x\n", ["list", "mapping"]),
    "a word": ("study\n", ["str", "mapping"]),
    "no YAML": ("study: [x\n", ["not readable as YAML", "line"]),
    "a tab": ("study:\n\t- x\n", ["not readable as YAML", "line 2"]),
    "a NUL byte": ("study: \0", ["not readable as YAML"]),
    "a Python object": ("study: !!python/object/apply:os.getcwd []\n", ["not readable as YAML", "python/object"]),
    "a date that is none": ("study: 2001-99-99\n", ["not readable as YAML"]),
    "a number of 5000 digits": ("study: " + "1" * 5000, ["not readable as YAML"]),
    "deep nesting": ("[" * 1_500, ["not readable as YAML"]),
    "a key that is no text": ("5: x\n", ["5", "strings"]),
}


@pytest.fixture
def smoke() -> dict[str, Any]:
    """The smoke study, to be changed."""
    return shipped("smoke")


def write(folder: Path, study: object) -> Path:
    path = folder / "mine.yaml"
    path.write_text(study if isinstance(study, str) else yaml.safe_dump(study))
    return path


def refused(study: object, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The message of a study that must be refused, by the plan and by the command line, before anything is done."""
    path, results = write(folder, study), folder / "results"
    with pytest.raises(StudyError) as caught:
        make_plan(str(path), results)
    code = main(["prepare", str(path), "--results", str(results), "--benchmark", "countdown"])
    printed = capsys.readouterr()
    assert code == EXIT_USER_ERROR == 2
    assert printed.err == f"boundary-bench: {caught.value}\n" and printed.out == ""
    assert "Traceback" not in printed.err and not results.exists()
    return str(caught.value)


@pytest.mark.parametrize("name", BAD_STUDIES)
def test_a_fault_in_a_study_says_what_was_found_and_what_to_write(
    name: str, smoke: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, parts = BAD_STUDIES[name]
    change(smoke)
    message = refused(smoke, tmp_path, capsys)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_study_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, parts = BAD_FILES[name]
    message = refused(text, tmp_path, capsys)
    assert all(part in message for part in ["mine.yaml", *parts]), message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"study: \xff\xfe\n")
    with pytest.raises(StudyError, match="not readable as YAML"):
        make_plan(str(path))


def test_a_key_that_is_written_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """YAML readers that keep the last one would run another study than the one that is read."""
    text = (SHIPPED / "smoke.yaml").read_text() + "seeds: [5]\n"
    assert "seeds" in refused(text, tmp_path, capsys)


def test_every_fault_is_listed_at_once(
    smoke: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smoke["training"]["lr"], smoke["seeds"], smoke["sampling"]["engin"] = 0, [0, 0], "torch"
    message = refused(smoke, tmp_path, capsys)
    assert "3 fault(s)" in message
    assert all(part in message for part in ("training.lr", "seeds", "sampling.engin"))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("smok", ["no shipped study 'smok'", "did you mean 'smoke'", ".yaml"]),
        ("nowhere/mine.yaml", ["no study file at nowhere/mine.yaml"]),
        ("", ["no shipped study"]),
        ("../studies/smoke", ["no shipped study"]),
    ],
)
def test_a_study_that_is_not_there_is_refused(name: str, parts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", name, "--benchmark", "countdown"]) == EXIT_USER_ERROR
    message = capsys.readouterr().err
    assert all(part in message for part in parts), message


def test_a_package_without_its_repository_says_that_it_has_no_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("boundary_bench.study.file.SHIPPED", tmp_path)
    assert main(["forecast", "quickstart"]) == EXIT_USER_ERROR
    assert "installed without its repository" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        (["prepare", "--benchmark", "countdwn"], ["countdwn"]),
        (["pretrain", "--model", "nobody"], ["nobody"]),
        (
            ["prepare", "--benchmark", "countdown", "--settings", "000000000000"],
            ["has changed", "start snakemake again"],
        ),
    ],
)
def test_names_and_settings_of_a_command_are_checked(
    command: list[str], parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command[0], "smoke", "--results", str(tmp_path / "results"), *command[1:]]) == EXIT_USER_ERROR
    message = capsys.readouterr().err
    assert all(part in message for part in parts), message


def test_suggestions_name_the_nearest_word_or_all() -> None:
    assert did_you_mean("lrr", ["lr", "steps"]) == "did you mean 'lr'? Known: lr, steps"
    assert did_you_mean("zzz", ["lr", "steps"]) == "Known: lr, steps"
