"""The identity of every stage: the settings that its results depend on.

Without defaults and ``Execution`` settings (``Block.identity``), and without paths: problems and weights are named by
their content.
"""

from __future__ import annotations

from typing import Any

from boundary_bench.benchmarks.problem_sets import TRAINING_SET
from boundary_bench.plan import Plan
from boundary_bench.statistics.design import Design
from boundary_bench.study.backends import BACKENDS


def _kind(plan: Plan, name: str) -> dict[str, Any]:
    """Kind and grader of a problem set, with their versions."""
    kind = plan.problem_sets[name].kind
    return {"kind": [kind.name, kind.version], "grader": kind.grader.identity}


def problems(plan: Plan, name: str) -> dict[str, Any]:
    """The settings that turn rows into problems, without the path of the rows: content identifies the problems."""
    chosen = plan.problem_sets[name]
    usual = chosen.kind.options.model_dump(mode="json")
    options = chosen.options.model_dump(mode="json")
    found = {
        "split": chosen.entry.split,
        "seed": chosen.entry.seed,
        "options": {name: value for name, value in options.items() if value != usual.get(name)},
        "columns": chosen.entry.columns,
    }
    return {**_kind(plan, name), **{name: value for name, value in found.items() if value}}


def model(plan: Plan, name: str) -> dict[str, Any]:
    """The settings of pre-training, or name and commit on the hub; empty for a folder, which its content identifies."""
    found = plan.study.models[name].identity()
    return {key: value for key, value in found.items() if key not in ("path", "template")}


def given(plan: Plan, run: str, step: str) -> dict[str, Any]:
    """Name and commit on the hub of a given checkpoint; empty for a folder, which its content identifies."""
    found = plan.given[plan.run(run)].checkpoints[int(step)].identity()
    return {key: value for key, value in found.items() if key != "path"}


def _template(plan: Plan, model: str, benchmark: str) -> dict[str, Any]:
    template = plan.template(model, benchmark)
    return {} if template.name == "raw" else {"template": template.settings}


def training(plan: Plan, name: str) -> dict[str, Any]:
    run = plan.run(name)
    training = plan.trainings[run.algorithm]
    return {
        "algorithm": plan.algorithms[run.algorithm].identity(),
        "seed": run.seed,
        "training": training.course(),
        "backend_version": BACKENDS[training.backend].version,
        **_kind(plan, TRAINING_SET),
        **_template(plan, run.model, TRAINING_SET),
    }


def samples(plan: Plan, model: str, benchmark: str) -> dict[str, Any]:
    """The settings of a single response. The number of samples belongs to the design: a new one keeps stored files."""
    drawing = plan.study.sampling.drawing()
    stop = {"stop": found} if (found := plan.stop(model, benchmark)) else {}
    return {"sampling": drawing, **_kind(plan, benchmark), **_template(plan, model, benchmark), **stop}


def continuations(plan: Plan, benchmark: str) -> dict[str, Any]:
    """The settings of a greedy continuation in the probe: without a template, and without the fractions."""
    drawing = plan.study.sampling.drawing(unused={"temperature", "top_p", "seed"})
    return {"sampling": drawing, **_kind(plan, benchmark)}


def imported(plan: Plan, policy: str, benchmark: str) -> dict[str, Any]:
    """The settings that turn stored rows into samples, without the path of the rows: content identifies them."""
    said = plan.stored(plan.policy(policy))[benchmark]
    return {"stored": said.identity(), **({} if said.grades == "scores" else _kind(plan, benchmark))}


def analysis(plan: Plan, *designs: Design) -> dict[str, Any]:
    """The settings of estimates; of samples of other designs than the study's their designs too."""
    others = [design.record() for design in dict.fromkeys(designs) if design != plan.design]
    own = {"design": plan.design.record(), "ks": plan.study.ks, **intervals(plan)}
    return own | ({"designs": others} if others else {})


def intervals(plan: Plan) -> dict[str, Any]:
    """The settings of the intervals that are not at their defaults."""
    return {name: value for name, value in plan.study.analysis.identity().items() if name != "ks"}


def measures(plan: Plan, benchmark: str, policy: str | None = None) -> dict[str, Any]:
    own = {"design": plan.design_of(plan.policy(policy), benchmark).record()} if policy else {}
    return {**analysis(plan), **own, "graders": [grader.identity for grader in plan.graders(benchmark)]}


def compared(plan: Plan, run: str | None = None, benchmark: str = "") -> dict[str, Any]:
    policies = plan.policies_of(plan.run(run)) if run else []
    return analysis(plan, *(plan.design_of(policy, benchmark) for policy in policies))
