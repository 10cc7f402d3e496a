"""Whether what a study needs is on this machine: on the one that starts snakemake, and on one that runs its jobs."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from boundary_bench import doctor_python, forecast, launcher
from boundary_bench.environment import has_gpu
from boundary_bench.errors import BoundaryBenchError, ModelError, StudyError
from boundary_bench.forecast_table import number
from boundary_bench.models import weight_files
from boundary_bench.plan import Plan
from boundary_bench.training import base
from boundary_bench.training.openrlhf import command

#: What a stage imports, as a statement.
BACKENDS = {
    "reference": "import boundary_bench.training.reference",
    "openrlhf": "import ray, vllm, deepspeed; from boundary_bench.training.openrlhf.trainer import check_versions; "
    "check_versions({device!r})",
    "trl": "from importlib.metadata import version; from boundary_bench.training.trl import VERSION\n"
    "if version('trl') != VERSION: raise ImportError(f'trl {{version(\"trl\")}}, expected {{VERSION}}')",
}
ENGINES = {
    "torch": "import boundary_bench.sampling.torch_engine",
    "vllm": "import torch, vllm, boundary_bench.sampling.vllm_engine",
}
OTHER = "name another folder: --results FOLDER here, --config results=FOLDER for snakemake"
CORE = {"workflow": "import snakemake", "report": "import scipy, pyarrow, matplotlib, jinja2"}


@dataclass(frozen=True)
class Finding:
    """One line: ``missing`` is what keeps a stage from running here, ``remark`` what may, or does so elsewhere."""

    state: Literal["ok", "remark", "missing"]
    what: str
    found: str


@dataclass
class Place:
    """A Python, and what the stages that run with it need.

    Attributes:
        statements: what has to run there, by name.
        gpus: how many on one machine, by the key of the study that says so.
        remedy: what makes a Python in which the statements run.
    """

    stages: list[str]
    remedy: str
    statements: dict[str, str] = field(default_factory=dict)
    gpus: dict[str, int] = field(default_factory=dict)


def examine(plan: Plan) -> Iterator[Finding]:
    """What the stages of a study need here: Pythons, GPUs, models, problems, disk. Nothing is fetched or kept."""
    places: dict[tuple[str, ...], Place] = {}
    for part in (None, "training", "sampling"):
        place = _place(plan, part)
        try:
            words = tuple(launcher.interpreter(plan.command(part)) if part else [sys.executable])
        except StudyError as fault:
            yield Finding("missing", ", ".join(place.stages), str(fault))
            continue
        if words in places:
            known = places[words]
            known.stages += place.stages
            known.statements |= place.statements
            known.gpus |= place.gpus
        else:
            places[words] = place
    for words, place in places.items():
        yield from _python(list(words), place)
    for name in plan.study.models:
        yield _model(plan, name)
    for name in plan.problem_sets:
        yield _problems(plan, name)
    yield from _results(plan)


def text(findings: list[Finding]) -> str:
    """The findings, one line each."""
    return "\n".join(f"  {each.state:<9}{each.what:<26}{each.found}" for each in findings)


def _place(plan: Plan, part: launcher.Part | None) -> Place:
    """What a part of the study needs; None stands for all other stages."""
    study, training, sampling = plan.study, plan.study.training, plan.study.sampling
    graded = {"training": [plan.problem_sets["training"].kind.grader], None: []}
    benchmarks = [grader for name in study.benchmarks for grader in plan.graders(name)]
    packages = {library: _has(library) for grader in graded.get(part, benchmarks) for library in grader.libraries}
    if part is None:
        from_hub = any(chosen.kind.source and not chosen.entry.data for chosen in plan.problem_sets.values())
        core = CORE | packages | ({"datasets": _has("datasets")} if from_hub else {})
        return Place(["all other stages"], f"{sys.executable} -m pip install -e {launcher.REPOSITORY}", core)
    chosen = getattr(study, part)
    remedy = f"boundary-bench env create {launcher.ENVIRONMENTS[part]}"
    remedy = f"add it to the image {chosen.container}" if chosen.container else remedy
    if part == "training":
        statements = {f"backend {training.backend}": BACKENDS[training.backend].format(device=training.device)}
        if training.trl.vllm:
            statements["vllm for trl"] = "import vllm"
        asked = command.gpus_each(training) if training.backend == "openrlhf" else 1
        gpus = {"training": asked} if training.device == "cuda" else {}
        return Place(["train"], remedy, statements | packages, gpus)
    asked = sampling.vllm.tensor_parallel if sampling.engine == "vllm" else int(sampling.device == "cuda")
    stages = ["sample", "probe"] if study.probe else ["sample"]
    statements = {f"engine {sampling.engine}": ENGINES[sampling.engine]}
    return Place(stages, remedy, statements | packages, {"sampling": asked} if asked else {})


def _has(package: str) -> str:
    return f"from importlib.metadata import version; version({package!r})"


def _python(words: list[str], place: Place) -> Iterator[Finding]:
    stages, python = ", ".join(place.stages), words[-1] if len(words) == 1 else " ".join(words)
    try:
        here, found = doctor_python.look({}), doctor_python.ask(words, place.statements)
    except BoundaryBenchError as fault:
        yield Finding("missing", stages, f"{fault}; {place.remedy}")
        return
    said = f"Python {found.python} ({python}), boundary-bench {found.version} in {found.folder}"
    if found.folder == here["folder"]:
        yield Finding("ok", stages, said)
    elif found.code == here["code"]:
        yield Finding("remark", stages, f"{said}: as in {here['folder']} now, but a change here is not seen there")
    else:
        remedy = f"{python} -m pip install --no-deps --no-build-isolation -e {here['folder']}"
        yield Finding(
            "missing", stages, f"{said}: other code than here, {here['version']} in {here['folder']}; {remedy}"
        )
    for name in place.statements:
        fault = found.faults.get(name)
        yield Finding("missing", f"  {name}", f"{fault}; {place.remedy}") if fault else Finding("ok", f"  {name}", "")
    yield from (_gpus(key, asked, found.gpus) for key, asked in place.gpus.items() if found.gpus is not None)


def _gpus(key: str, asked: int, visible: int) -> Finding:
    what, said = f"  GPUs for {key}", f"{visible} visible here, {asked} needed on a machine"
    if visible >= asked:
        return Finding("ok", what, said)
    if visible:
        return Finding("missing", what, f"{said}; ask the scheduler for more, or change the study")
    if has_gpu():
        driver = "there is an NVIDIA driver: ask the scheduler for GPUs, or install a CUDA build of torch"
        return Finding("missing", what, f"{said}, though {driver}")
    return Finding("remark", what, f"{said}: the jobs need another machine than this, or, as vLLM can, its CPU")


def _model(plan: Plan, name: str) -> Finding:
    model, what = plan.study.models[name], f"model {name}"
    try:
        if model.path:
            weight_files(Path(model.path))
            return Finding("ok", what, model.path)
        if model.hub:
            weight_files(base.cached(model.hub, str(model.revision)))
            return Finding("ok", what, f"{model.hub} in the cache of the hub ({_cache()})")
    except ModelError as fault:
        if model.path:
            return Finding("missing", what, str(fault))
        return _from_network(what, f"{model.hub} at {model.revision}", "write {path: FOLDER}")
    return Finding("ok", what, "made by pretrain")


def _problems(plan: Plan, name: str) -> Finding:
    chosen, what = plan.problem_sets[name], f"problems of {name}"
    if chosen.entry.data:
        there = Path(chosen.entry.data).exists()
        remedy = "" if there else ": there is no such file or folder; a relative path starts where snakemake is started"
        return Finding("ok" if there else "missing", what, f"{chosen.entry.data}{remedy}")
    if plan.problems(name).is_file():
        return Finding("ok", what, f"{plan.problems(name)}")
    if chosen.kind.source:
        hub, configs = chosen.kind.source.hub, chosen.kind.source.configs or ("*",)
        if all(any(_sets().glob(f"{_folder(hub)}/{config}/*/*")) for config in configs):
            return Finding("ok", what, f"{hub} in the cache of datasets ({_sets()})")
        return _from_network(what, hub, "name its copy (data)")
    if chosen.kind.name.startswith("lm_eval:"):
        return Finding("remark", what, "lm-eval reads them, from the network where its task says so")
    return Finding("ok", what, "generated by prepare")


def _cache() -> str:
    from huggingface_hub import constants

    return constants.HF_HUB_CACHE


def _sets() -> Path:
    """Where the library datasets keeps what it has read."""
    from huggingface_hub import constants

    return Path(os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME) / "datasets").expanduser()


def _folder(hub: str) -> str:
    """What that library calls the folder of a set: MathArena/AIME_2024 is MathArena___aime_2024."""
    owner, _, name = hub.rpartition("/")
    words = re.sub(r"([a-z\d])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name))
    return "___".join(filter(None, (owner, words.lower())))


def _from_network(what: str, name: str, instead: str) -> Finding:
    from huggingface_hub import constants

    said = f"{name} is not in the cache under {constants.HF_HOME} (HF_HOME)"
    if constants.HF_HUB_OFFLINE:
        return Finding(
            "missing", what, f"{said}, and HF_HUB_OFFLINE is set; fetch it where there is network, {instead}"
        )
    return Finding("remark", what, f"{said}: its stage needs network, or {instead}")


def _results(plan: Plan) -> Iterator[Finding]:
    folder, what = launcher.existing(plan.results), f"results in {plan.results}"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"written to see whether it can be")
    except OSError as fault:
        yield Finding(
            "missing", what, f"{folder}: {fault.strerror}; name another folder (--results, --config results=)"
        )
        return
    yield Finding(
        "ok", what, f"{folder} can be written to" if folder != plan.results.absolute() else "can be written to"
    )
    try:
        models = forecast.forecast(plan, forecast.Assumptions()).models.values()
    except BoundaryBenchError as fault:
        yield Finding("missing", "disk", str(fault))
        return
    free = shutil.disk_usage(folder).free
    needed = forecast.total(*(forecast.total(*model.disk.values()) for model in models))
    said = f"{number(free, 'B')} free, {number(needed, 'B')} forecast (boundary-bench plan {plan.path})"
    if needed is None or free >= needed:
        yield Finding("remark" if needed is None else "ok", "disk", said)
    elif plan.root.exists():
        yield Finding("remark", "disk", f"{said}, with what is in {plan.root} already")
    else:
        yield Finding("missing", "disk", f"{said}; {OTHER}")
