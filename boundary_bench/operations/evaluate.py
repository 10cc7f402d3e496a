"""``boundary-bench eval BASE RL...``: the study of models that exist."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boundary_bench.core.errors import StudyError

#: The training step in the name of a checkpoint's folder, as TRL, verl, OpenRLHF and this project write it.
STEP = re.compile(r"(?:step|checkpoint)[-_]?0*([1-9]\d*)", re.IGNORECASE)
#: A name and a commit on the hub.
HUB = re.compile(r"([\w.-]+/[\w.-]+)@([\w.-]+)")


@dataclass(frozen=True)
class Asked:
    """What is evaluated, and how.

    Attributes:
        models: the base first; folders, or ORGANISATION/NAME@COMMIT.
        limit: problems of each benchmark; None: all.
        data: a file with the problems.
    """

    models: list[str]
    benchmarks: list[str]
    n: int
    limit: int | None
    data: str | None
    template: str | None
    temperature: float
    max_tokens: int
    engine: str
    device: str


def study_of(name: str, asked: Asked) -> dict[str, Any]:
    """The study that says the same.

    Folders of one parent that are named by their steps are one run with several checkpoints. Otherwise each model is a
    run of its own, at the step in its name, or at step 1 where it has none.

    Raises:
        StudyError: there is no model after RL, or a model is neither a folder nor a commit on the hub.
    """
    base, *others = asked.models
    if not others:
        raise StudyError(
            "eval: found one model, expected the base and one or more after RL: boundary-bench eval BASE RL"
        )
    runs: dict[str, dict[str, Any]] = {}
    for each in others:
        own, step = _place(each)
        run = runs.setdefault(own, {"model": label(base), "checkpoints": {}})
        if step in run["checkpoints"]:
            raise StudyError(f"eval: found {each} and another checkpoint of {own} at step {step}, expected one")
        run["checkpoints"][step] = _source(each)
    entry = {name: value for name, value in (("data", asked.data), ("template", asked.template)) if value}
    options = {"options": {"problems": asked.limit}} if asked.limit else {}
    return {
        "study": name,
        "models": {label(base): _source(base)},
        "runs": runs,
        "benchmarks": {benchmark: {**entry, **options} for benchmark in asked.benchmarks},
        "sampling": {
            "engine": asked.engine,
            "device": asked.device,
            "n_max": asked.n,
            "stop_after": None,
            "temperature": asked.temperature,
            "max_tokens": asked.max_tokens,
        },
    }


def _source(model: str) -> dict[str, str]:
    if Path(model).is_dir():
        return {"path": model}
    if found := HUB.fullmatch(model):
        return {"hub": found[1], "revision": found[2]}
    raise StudyError(
        f"eval: found no folder {model}, expected one, or a model of the hub with its commit: ORGANISATION/NAME@COMMIT"
    )


def label(model: str) -> str:
    """A name for tables: that of the folder, or of the hub's model."""
    last = Path(model.partition("@")[0] if not Path(model).is_dir() else Path(model).resolve()).name
    return re.sub(r"[^A-Za-z0-9]+", "-", last).strip("-") or "model"


def _place(model: str) -> tuple[str, int]:
    """The name of a model's run, and its step."""
    folder = Path(model).resolve()
    if not folder.is_dir() or not (found := STEP.fullmatch(folder.name.removeprefix("global_"))):
        step = STEP.search(label(model))
        return label(model), int(step[1]) if step else 1
    return label(str(folder.parent)), int(found[1])
