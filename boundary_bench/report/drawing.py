"""How the samples of a study were drawn, in words: here by its settings, or elsewhere as far as the study says."""

from __future__ import annotations

from typing import Any

from boundary_bench.plan import Plan
from boundary_bench.statistics.design import Design
from boundary_bench.study.policies import Policy


def designs(plan: Plan) -> str:
    """The sampling designs in a few words."""
    return " or ".join(map(_design, plan.designs))


def _design(design: Design) -> str:
    if design.stop_after is None:
        return f"n = {design.n_max} samples a problem"
    return f"n = {', '.join(map(str, design.rounds))} samples a problem, until {design.stop_after} are correct"


def settings(plan: Plan) -> list[str]:
    """The settings of drawing, as parts of a line."""
    found, stored = [], list(filter(plan.stored, plan.policies))
    if len(stored) < len(plan.policies):
        sampling = plan.study.sampling
        found = [f"temperature {sampling.temperature:g}", f"top_p {sampling.top_p:g}"]
        found.append(f"max_tokens {sampling.max_tokens}")
    by_drawing: dict[str, list[str]] = {}
    for policy in stored:
        for said in plan.stored(policy).values():
            known = ", ".join(f"{name} {value}" for name, value in said.drawn.items() if value is not None)
            by_drawing.setdefault(known or "nobody says how they were drawn", []).append(policy.name)
    for how, names in by_drawing.items():
        who = "" if len(set(names)) == len(plan.policies) else f" of {', '.join(dict.fromkeys(names))}"
        found.append(f"samples{who} from files ({how})")
    return found


def drawn(plan: Plan, policy: Policy, benchmark: str) -> dict[str, Any]:
    """How a policy's samples were drawn; None where nobody says."""
    if said := plan.stored(policy).get(benchmark):
        return said.drawn
    found = plan.study.sampling.model_dump(include={"temperature", "top_p", "max_tokens"})
    return found | {"template": plan.template(policy.model, benchmark).name}


def otherwise(plan: Plan) -> list[str]:
    """What is not alike in the drawing of a checkpoint and of its base, or not known, where files are compared."""
    found = []
    for run in plan.runs:
        base, *others = plan.policies_of(run)
        for policy in others:
            if not (plan.stored(base) or plan.stored(policy)):
                continue
            for benchmark in plan.study.benchmarks:
                one, other = (drawn(plan, each, benchmark) for each in (base, policy))
                parts = [_unlike(name, one[name], other[name]) for name in one]
                if parts := list(filter(None, parts)):
                    found.append(f"{policy} on {benchmark}: {', '.join(parts)}")
    return found


def _unlike(name: str, base: object, other: object) -> str:
    """In what a setting of two policies differs, "" where it is the same."""
    if base is None or other is None:
        return f"{name} not known"
    return "" if base == other else f"{name} {other}, the base's {base}"
