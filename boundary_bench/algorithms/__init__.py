"""The table of named algorithms: a name and the settings of its objective.

To add one, add an entry; to vary one in a study, write ``my-grpo: {like: grpo, clip_high: 0.28}``.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from boundary_bench.algorithms.algorithm import Objective
from boundary_bench.algorithms.translate import DEFAULTS, check_backend
from boundary_bench.core.errors import StudyError, did_you_mean
from boundary_bench.study.file import explain
from boundary_bench.study.training import Training

GRPO = Objective()
"""Group Relative Policy Optimization (Shao et al., arXiv 2402.03300), token ratio, clip 0.2.

Differs from the paper: the loss is the mean over all tokens of the minibatch (as in DAPO and OpenRLHF),
not the mean over sequences of token means; no KL term; the standard deviation is the unbiased one.
"""

GRPO_N = GRPO.model_copy(update={"signs": "negative"})
"""GRPO on relative negative advantages only (Yao et al., arXiv 2510.04028).

The published text leaves open what is settled here: samples with a positive advantage are masked (they stay
in the denominators), the group's standard deviation is kept, there is no dual clip. Differs from NSR (Zhu et
al., arXiv 2506.01347): a wrong answer weighs sqrt(p/(1-p)) instead of 1, and groups without a correct answer
contribute nothing.
"""

GSPO = GRPO.model_copy(
    update={"ratio": "sequence", "aggregation": "sequence_mean", "clip_low": 3e-4, "clip_high": 4e-4}
)
"""Group Sequence Policy Optimization (Zheng et al., arXiv 2507.18071): length-normalised sequence ratio.

Clip 3e-4 / 4e-4 as in the paper; every sequence weighs the same. Differs from the paper: unbiased standard
deviation.
"""

GSPO_N = GSPO.model_copy(update={"signs": "negative"})
"""GSPO on relative negative advantages only (arXiv 2510.04028); masked as GRPO-N is."""

ALGORITHMS: dict[str, Objective] = {"grpo": GRPO, "grpo-n": GRPO_N, "gspo": GSPO, "gspo-n": GSPO_N}

#: Settings of ``training`` that an algorithm's entry may have to itself: how far off-policy its updates are.
OF_TRAINING = ("updates_per_rollout",)


def resolve(name: str, overrides: dict[str, Any], backend: str = "reference") -> Objective:
    """The objective of a study's algorithm entry: the table's, with the backend's own values, with the study's changes.

    Raises:
        StudyError: the name (or the entry it is ``like``) is not in the table, a setting is wrong, or the backend
            cannot express it.
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
    unknown = sorted(set(changes) - set(Objective.model_fields))
    if unknown:
        known = [*Objective.model_fields, *OF_TRAINING]
        raise StudyError(f"algorithms.{name}: unknown setting {unknown[0]!r}; {did_you_mean(unknown[0], known)}")
    try:
        objective = Objective.model_validate({**ALGORITHMS[parent].model_dump(), **DEFAULTS[backend], **changes})
    except ValidationError as fault:
        raise StudyError(explain(fault, f"algorithms.{name}")) from None
    check_backend(backend, name, objective)
    return objective


def training_of(name: str, overrides: dict[str, Any], training: Training) -> Training:
    """How an algorithm is trained: as the study says, but for what its entry has to itself.

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
