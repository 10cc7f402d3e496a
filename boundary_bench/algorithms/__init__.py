"""The table of named algorithms, and how a study's entry becomes one.

To add one, add a file to ``catalogue`` and a line here; to vary one in a study, write
``my-grpo: {like: grpo, clip_high: 0.28}``.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.catalogue.grpo import GRPO, GRPO_N
from boundary_bench.algorithms.catalogue.gspo import GSPO, GSPO_N
from boundary_bench.algorithms.changes import changed
from boundary_bench.algorithms.translate import check_backend
from boundary_bench.core.errors import StudyError, did_you_mean
from boundary_bench.study.file import explain
from boundary_bench.study.training import Training

ALGORITHMS: dict[str, Algorithm] = {
    "grpo": GRPO,
    "grpo-n": GRPO_N,
    "gspo": GSPO,
    "gspo-n": GSPO_N,
}

#: Settings of ``training`` that an algorithm's entry may override: how far off-policy its updates are.
OF_TRAINING = ("updates_per_rollout",)


def resolve(name: str, overrides: dict[str, Any], backend: str = "reference") -> Algorithm:
    """The algorithm of a study's entry: the table's algorithm with the study's changes.

    Raises:
        StudyError: the name (or the one in ``like``) is not in the table, a setting is wrong, or the backend cannot
            express the algorithm.
    """
    parent = overrides.get("like", name)
    if not isinstance(parent, str):
        raise StudyError(
            f"algorithms.{name}.like: found {parent!r}, expected one name; {did_you_mean(name, ALGORITHMS)}"
        )
    if parent not in ALGORITHMS:
        remedy = "" if parent != name else f"; a new name needs 'like', e.g. {name}: {{like: grpo, clip_high: 0.28}}"
        raise StudyError(
            f"algorithms.{name}: {parent!r} is not an algorithm; {did_you_mean(parent, ALGORITHMS)}{remedy}"
        )
    changes = {key: value for key, value in overrides.items() if key not in ("like", *OF_TRAINING)}
    algorithm = changed(ALGORITHMS[parent], changes, f"algorithms.{name}", OF_TRAINING)
    check_backend(backend, name, algorithm)
    return algorithm


def training_of(name: str, overrides: dict[str, Any], training: Training) -> Training:
    """The training settings of an algorithm: the study's, with the overrides of the algorithm's entry.

    Raises:
        StudyError: the entry's value is wrong.
    """
    own = {key: overrides[key] for key in OF_TRAINING if key in overrides}
    if not own:
        return training
    try:
        return Training.model_validate({**training.model_dump(), **own})
    except ValidationError as fault:
        raise StudyError(explain(fault, f"algorithms.{name}")) from None
