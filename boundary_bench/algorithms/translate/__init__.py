"""What training backends can express: values that a framework fixes, and the objectives it has no setting for.

No torch here: a study is refused when it is read. The table of docs/backends.md says the same in words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from boundary_bench.algorithms.algorithm import Objective
from boundary_bench.core.errors import StudyError

#: Settings of the table of algorithms that take the framework's value with that backend.
#: OpenRLHF 0.11.2, experience_maker.py: (r - mean) / (std + 1e-9), std over G - 1.
#: TRL 1.16.0, grpo_trainer.py: the same with 1e-4.
DEFAULTS: dict[str, dict[str, Any]] = {"reference": {}, "openrlhf": {"epsilon": 1e-9}, "trl": {"epsilon": 1e-4}}


def _openrlhf(objective: Objective) -> str | None:
    signs, kl = objective.signs, objective.kl
    if objective.advantage == "normalized" and objective.std != "unbiased":
        return "std: population; its standard deviation is the unbiased one"
    if objective.advantage == "normalized" and objective.epsilon != DEFAULTS["openrlhf"]["epsilon"]:
        return f"epsilon: {objective.epsilon:g}; it adds 1e-9, drop the line"
    if signs != "all" and objective.others == "drop":
        return "others: drop; it keeps the other samples in its denominators (mask)"
    if signs != "all" and kl != "none":
        return f"signs: {signs} with kl: {kl}; its KL term has a gradient on the samples that signs leaves out"
    if objective.aggregation == "constant_length":
        return "aggregation: constant_length; it divides by tokens or by sequences"
    if objective.aggregation == "sequence_mean" and (kl != "none" or objective.entropy_coefficient):
        term = f"kl: {kl}" if kl != "none" else "entropy_coefficient"
        return f"aggregation: sequence_mean with {term}; it takes the mean of that term over tokens"
    if objective.ratio == "sequence" and objective.aggregation != "sequence_mean":
        return f"ratio: sequence with aggregation: {objective.aggregation}; its GSPO is a mean over sequences"
    return None


def _trl(objective: Objective) -> str | None:
    if objective.signs != "all" and objective.others == "drop":
        return "others: drop; it keeps the other samples in its denominators (mask)"
    if objective.kl not in ("none", "k3"):
        return f"kl: {objective.kl}; its KL term is k3"
    if objective.entropy_coefficient:
        return "entropy_coefficient; it takes the mean of the bonus over the tokens of each micro-batch"
    if objective.dual_clip is not None and objective.dual_clip < 1 + objective.clip_high:
        return (
            f"dual_clip: {objective.dual_clip:g} below 1 + clip_high = {1 + objective.clip_high:g}; it bounds the "
            "ratio where the advantage is positive as well"
        )
    return None


_REFUSALS: dict[str, Callable[[Objective], str | None]] = {"openrlhf": _openrlhf, "trl": _trl}


def refusal(backend: str, objective: Objective) -> str | None:
    """The setting of an objective that a backend cannot express, and why; None where it can express all."""
    return _REFUSALS.get(backend, lambda objective: None)(objective)


def check_backend(backend: str, name: str, objective: Objective) -> None:
    """Refuse an algorithm that a backend cannot express.

    Raises:
        StudyError: it cannot; the message names the setting and the backends that can.
    """
    if (why := refusal(backend, objective)) is not None:
        able = ", ".join(other for other in DEFAULTS if refusal(other, _moved(objective, backend, other)) is None)
        raise StudyError(
            f"algorithms.{name}: the backend {backend} cannot express {why}. Write training.backend: one of {able}; or "
            "change the setting"
        )


def _moved(objective: Objective, backend: str, other: str) -> Objective:
    """An objective as the same study has it with another backend: with that one's own values instead of this one's."""
    usual = DEFAULTS[backend]
    own = {name: value for name, value in DEFAULTS[other].items() if getattr(objective, name) == usual.get(name)}
    return objective.model_copy(update=own)
