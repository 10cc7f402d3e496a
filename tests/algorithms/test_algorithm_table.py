"""The table of named algorithms: documented settings, variations, and messages for what is not in it."""

from __future__ import annotations

from typing import Any

import pytest

from boundary_bench.algorithms import ALGORITHMS, changes, resolve
from boundary_bench.algorithms.advantage import Signs
from boundary_bench.algorithms.aggregation import ConstantLength
from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.surrogate import Clipped
from boundary_bench.core.errors import StudyError


def test_the_table_has_the_documented_settings() -> None:
    shared: dict[str, Any] = {"advantage": {"kind": "normalized", "std": "unbiased", "epsilon": 1e-6}}
    shared |= {"kl": {"kind": "none", "kl_coefficient": 0.0}, "entropy": {"kind": "bonus", "entropy_coefficient": 0.0}}
    shared |= {"data": {"kind": "epochs"}}
    clipped = {"kind": "clipped", "dual_clip": None}
    grpo = {"surrogate": {**clipped, "ratio": "token", "clip_low": 0.2, "clip_high": 0.2}}
    grpo |= {"aggregation": {"kind": "token_mean"}}
    gspo = {"surrogate": {**clipped, "ratio": "sequence", "clip_low": 3e-4, "clip_high": 4e-4}}
    gspo |= {"aggregation": {"kind": "sequence_mean"}}
    expected = {
        "grpo": {**shared, **grpo, "signs": {"kind": "all", "others": "mask"}},
        "grpo-n": {**shared, **grpo, "signs": {"kind": "negative", "others": "mask"}},
        "gspo": {**shared, **gspo, "signs": {"kind": "all", "others": "mask"}},
        "gspo-n": {**shared, **gspo, "signs": {"kind": "negative", "others": "mask"}},
    }
    assert {name: algorithm.model_dump() for name, algorithm in ALGORITHMS.items()} == expected
    read = [Algorithm.model_validate_json(algorithm.model_dump_json()) for algorithm in ALGORITHMS.values()]
    assert read == list(ALGORITHMS.values())


def test_an_algorithm_is_named_by_what_is_not_at_its_default() -> None:
    assert ALGORITHMS["grpo"].identity() == {}
    assert ALGORITHMS["grpo-n"].identity() == {"signs": {"kind": "negative"}}
    assert resolve("grpo", {"clip_high": 0.2, "aggregation": "token_mean", "kl": "none"}).identity() == {}
    assert resolve("grpo", {"advantage": "centered"}).identity() == {"advantage": {"kind": "centered"}}
    found = resolve("gspo", {"aggregation": "constant_length", "constant_length": 9}).identity()
    clipped = {"kind": "clipped", "ratio": "sequence", "clip_low": 3e-4, "clip_high": 4e-4}
    assert found == {"surrogate": clipped, "aggregation": {"kind": "constant_length", "constant_length": 9}}


def test_like_takes_the_settings_of_an_entry_and_changes_the_given_ones() -> None:
    found = resolve("mine", {"like": "gspo-n", "clip_high": 0.28})
    clipped = Clipped(ratio="sequence", clip_low=3e-4, clip_high=0.28)
    assert found == ALGORITHMS["gspo-n"].model_copy(update={"surrogate": clipped})
    dual = Clipped(dual_clip=3.0)
    assert resolve("grpo", {"dual_clip": 3}) == ALGORITHMS["grpo"].model_copy(update={"surrogate": dual})
    assert ALGORITHMS["grpo"].surrogate.dual_clip is None, "the table itself must not change"


@pytest.mark.parametrize(
    "overrides",
    [
        {"clip_high": 0.28, "signs": "negative", "others": "drop", "aggregation": "constant_length"},
        {"surrogate": {"clip_high": 0.28}, "signs": {"kind": "negative", "others": "drop"}},
        {"surrogate.clip_high": 0.28, "signs.kind": "negative", "signs.others": "drop"},
        {"surrogate": {"kind": "clipped", "clip_high": 0.28}, "signs": "negative", "signs.others": "drop"},
    ],
)
def test_a_setting_may_be_written_with_its_part_or_without(overrides: dict[str, Any]) -> None:
    found = resolve("grpo", {**overrides, "aggregation": {"kind": "constant_length", "constant_length": 9}})
    parts = {"surrogate": Clipped(clip_high=0.28), "signs": Signs(kind="negative", others="drop")}
    assert found == Algorithm(**parts, aggregation=ConstantLength(constant_length=9))
    # what stands there already stays: GSPO-N has its ratio, and the signs their kind
    assert resolve("gspo-n", {"surrogate": {"clip_high": 1}, "others": "drop"}).identity()["signs"] == {
        "kind": "negative",
        "others": "drop",
    }


def test_a_setting_of_several_parts_needs_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    original = changes._settings
    monkeypatch.setattr(changes, "_settings", lambda part: original(part) | ({"clip_high"} if part == "kl" else set()))
    with pytest.raises(StudyError, match=r"of several parts; write 'surrogate\.clip_high' or 'kl\.clip_high'"):
        resolve("grpo", {"clip_high": 0.3})
    assert resolve("grpo", {"surrogate.clip_high": 0.3}).surrogate.clip_high == 0.3


@pytest.mark.parametrize(
    ("name", "overrides", "parts"),
    [
        ("grop", {}, ["algorithms.grop", "did you mean 'grpo'", "like"]),
        ("mine", {"like": "gspo_n"}, ["algorithms.mine", "'gspo_n'", "did you mean 'gspo-n'"]),
        ("grpo", {"clip_hihg": 0.3}, ["algorithms.grpo", "'clip_hihg'", "did you mean 'clip_high'"]),
        ("grpo", {"clip_low": -1}, ["algorithms.grpo", "clip_low", "greater than 0", "-1"]),
        ("grpo", {"dual_clip": 0.9}, ["dual_clip", "greater than 1", "0.9"]),
        ("grpo", {"signs": "some"}, ["signs", "'all', 'negative' or 'positive'", "'some'"]),
        ("grpo", {"kl": "k3"}, ["kl_coefficient"]),
        ("grpo", {"kl_coefficient": 0.1}, ["kl: none with 0"]),
        ("grpo", {"aggregation": "constant_length"}, ["constant_length: NUMBER"]),
        ("grpo", {"constant_length": 5}, ["aggregation: constant_length"]),
        ("mine", {"like": ["grpo"]}, ["algorithms.mine", "like", "grpo"]),
        ("mine", {"like": 5}, ["algorithms.mine", "5"]),
        (
            "grpo",
            {"aggregation": "mean"},
            ["algorithms.grpo.aggregation", "'mean'", "'token_mean', 'seq"],
        ),
        ("grpo", {"aggregation": {"kind": [1]}}, ["algorithms.grpo.aggregation", "[1]", "'token_mean'"]),
        ("grpo", {"aggregation": 5}, ["algorithms.grpo.aggregation", "5", "'token_mean'", "a mapping"]),
        ("grpo", {"surrogate": {"clip_hihg": 0.3}}, ["algorithms.grpo.surrogate", "did you mean 'clip_high'"]),
        ("grpo", {"surrogate": {5: 0.3}}, ["algorithms.grpo.surrogate", "5", "clip_high"]),
        ("grpo", {"surrogate": {"clip_high": 0.3}, "clip_high": 0.4}, ["surrogate.clip_high is given twice"]),
        ("grpo", {"advantage": "centered", "std": "population"}, ["std goes with advantage: normalized", "centered"]),
        ("grpo", {"updates_per_rolout": 1}, ["did you mean 'updates_per_rollout'"]),
    ],
)
def test_a_wrong_name_or_setting_is_a_study_error_that_says_what_to_write(
    name: str, overrides: dict[str, object], parts: list[str]
) -> None:
    with pytest.raises(StudyError) as caught:
        resolve(name, overrides)
    assert all(part in str(caught.value) for part in parts), str(caught.value)
