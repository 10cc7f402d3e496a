"""``boundary-bench eval BASE RL...``: the study of models that exist, run from its samples to its page."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from boundary_bench.core.errors import EXIT_RUN_AGAIN, Interrupted, StudyError
from boundary_bench.core.files import write_text
from boundary_bench.machine.launcher import REPOSITORY
from boundary_bench.plan import Plan
from boundary_bench.study.file import checked

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
        label, step = _place(each)
        run = runs.setdefault(label, {"model": _label(base), "checkpoints": {}})
        if step in run["checkpoints"]:
            raise StudyError(f"eval: found {each} and another checkpoint of {label} at step {step}, expected one")
        run["checkpoints"][step] = _source(each)
    entry = {name: value for name, value in (("data", asked.data), ("template", asked.template)) if value}
    options = {"options": {"problems": asked.limit}} if asked.limit else {}
    return {
        "study": name,
        "models": {_label(base): _source(base)},
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


def _label(model: str) -> str:
    """A name for tables: that of the folder, or of the hub's model."""
    last = Path(model.partition("@")[0] if not Path(model).is_dir() else Path(model).resolve()).name
    return re.sub(r"[^A-Za-z0-9]+", "-", last).strip("-") or "model"


def _place(model: str) -> tuple[str, int]:
    """The name of a model's run, and its step."""
    folder = Path(model).resolve()
    if not folder.is_dir() or not (found := STEP.fullmatch(folder.name.removeprefix("global_"))):
        step = STEP.search(_label(model))
        return _label(model), int(step[1]) if step else 1
    return _label(str(folder.parent)), int(found[1])


def write_study(path: Path, study: dict[str, Any]) -> None:
    """Write the study, or find it there already.

    Raises:
        StudyError: it is no study, and nothing is written; or the file holds another one.
    """
    Plan(checked(study, "eval: what was asked for"), path, path.parent)
    text = "# written by boundary-bench eval; add benchmarks, checkpoints or samples, and run it as a study\n"
    text += yaml.safe_dump(study, sort_keys=False, allow_unicode=True)
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise StudyError(
                f"eval: {path} is there and says something else; choose another --name, or run it as it is: "
                f"snakemake --cores all --config study={path}"
            )
        return
    write_text(path, text)


def run(path: Path, results: Path) -> None:
    """Run the study with Snakemake; its progress goes where this process writes.

    Raises:
        Interrupted: it was stopped by a signal.
        StudyError: a job failed; Snakemake has said which.
    """
    words = ["-s", str(REPOSITORY / "Snakefile"), "--cores", "all", "-q", "rules", "host"]
    words += ["--config", f"study={path}", f"results={results}"]
    code = subprocess.call([sys.executable, "-m", "snakemake", *words])
    if code in (EXIT_RUN_AGAIN, 130) or code < 0:
        raise Interrupted("stopped by a signal; run the same command again to go on")
    if code:
        raise StudyError("eval: the study did not come to its end; what failed stands above. The same command goes on")
