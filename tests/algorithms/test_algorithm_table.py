"""The table of named algorithms: documented settings, variations, and messages for what is not in it."""

from __future__ import annotations

import pytest

from boundary_bench.algorithms import ALGORITHMS, resolve
from boundary_bench.core.errors import StudyError


def test_the_table_has_the_documented_settings() -> None:
    shared = {"advantage": "normalized", "std": "unbiased", "epsilon": 1e-6, "others": "mask", "dual_clip": None}
    shared |= {"constant_length": None, "kl": "none", "kl_coefficient": 0.0, "entropy_coefficient": 0.0}
    grpo = {"ratio": "token", "clip_low": 0.2, "clip_high": 0.2, "aggregation": "token_mean"}
    gspo = {"ratio": "sequence", "clip_low": 3e-4, "clip_high": 4e-4, "aggregation": "sequence_mean"}
    expected = {
        "grpo": {**shared, **grpo, "signs": "all"},
        "grpo-n": {**shared, **grpo, "signs": "negative"},
        "gspo": {**shared, **gspo, "signs": "all"},
        "gspo-n": {**shared, **gspo, "signs": "negative"},
    }
    assert {name: objective.model_dump() for name, objective in ALGORITHMS.items()} == expected


def test_like_takes_the_settings_of_an_entry_and_changes_the_given_ones() -> None:
    found = resolve("mine", {"like": "gspo-n", "clip_high": 0.28})
    assert found == ALGORITHMS["gspo-n"].model_copy(update={"clip_high": 0.28})
    assert resolve("grpo", {"dual_clip": 3}) == ALGORITHMS["grpo"].model_copy(update={"dual_clip": 3.0})
    assert ALGORITHMS["grpo"].dual_clip is None, "the table itself must not change"


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
    ],
)
def test_a_wrong_name_or_setting_is_a_study_error_that_says_what_to_write(
    name: str, overrides: dict[str, object], parts: list[str]
) -> None:
    with pytest.raises(StudyError) as caught:
        resolve(name, overrides)
    assert all(part in str(caught.value) for part in parts), str(caught.value)
