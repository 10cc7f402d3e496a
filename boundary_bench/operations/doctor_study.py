"""Whether this machine has what a study needs, be it to start snakemake or to run its jobs."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from boundary_bench.benchmarks.base import Source
from boundary_bench.benchmarks.problem_sets import TRAINING_SET
from boundary_bench.core.errors import BoundaryBenchError, DataError, EngineError, ModelError, StudyError
from boundary_bench.core.text import number
from boundary_bench.grading import Grader
from boundary_bench.machine import launcher
from boundary_bench.machine.environment import has_gpu
from boundary_bench.models import hub
from boundary_bench.operations import doctor_python, forecast
from boundary_bench.plan import Plan
from boundary_bench.study.backends import BACKENDS
from boundary_bench.study.engines import ENGINES
from boundary_bench.study.study import Origin

OTHER = "name another folder: --results FOLDER here, --config results=FOLDER for snakemake"
CORE = {
    "workflow": "import snakemake",
    "command line": "import sys; from pathlib import Path; Path(sys.executable).with_name('boundary-bench').stat()",
    "report": "import scipy, pyarrow, matplotlib, jinja2",
}


@dataclass(frozen=True)
class Check:
    """One line. ``missing``: a stage cannot run here. ``remark``: it may fail here, or fails on another machine."""

    state: Literal["ok", "remark", "missing"]
    what: str
    found: str


def examine(plan: Plan) -> Iterator[Check]:
    """Check what the stages of a study need: Pythons, GPUs, models, problems, disk. Nothing is fetched or kept."""
    yield from core(plan)
    yield from training(plan)
    yield from sampling(plan)
    yield from models(plan)
    yield from problems(plan)
    yield from results(plan)


def text(findings: list[Check]) -> str:
    """The findings, one line each."""
    width = max(len(each.what) for each in findings)
    return "\n".join(f"  {each.state:<9}{each.what:<{width}}  {each.found}".rstrip() for each in findings)


def core(plan: Plan) -> Iterator[Check]:
    """The Python of this process, which runs all stages but those of training and sampling."""
    graders = [grader for name in plan.study.benchmarks for grader in plan.graders(name)]
    remedy = f"{sys.executable} -m pip install -e {launcher.REPOSITORY}"
    # -P: like the script boundary-bench, this must not import from the working folder
    yield from _python([sys.executable, "-P"], "all other stages", CORE | _packages(graders), remedy)


def training(plan: Plan) -> Iterator[Check]:
    """The Python that trains, and its GPUs; nothing where nothing is trained."""
    training = plan.study.training
    if training is None:
        return
    statements = {f"backend {training.backend}": BACKENDS[training.backend].tries.format(device=training.device)}
    if training.trl.vllm:
        statements["vllm for trl"] = "import vllm"
    statements |= _packages([plan.problem_sets[TRAINING_SET].kind.grader])
    visible = yield from _part(plan, "training", "train", statements)
    if training.gpus and visible is not None:
        yield gpus("train", training.gpus_each, visible)


def sampling(plan: Plan) -> Iterator[Check]:
    """The Python that samples, and its GPUs."""
    sampling, chosen = plan.study.sampling, plan.problem_sets
    statements = {f"engine {sampling.engine}": ENGINES[sampling.engine].tries}
    statements |= _packages([chosen[name].kind.grader for name in plan.study.benchmarks])
    visible = yield from _part(plan, "sampling", "sample, probe" if plan.study.probe else "sample", statements)
    if sampling.gpus and visible is not None:
        yield gpus("sample", sampling.gpus, visible)


def _packages(graders: list[Grader]) -> dict[str, str]:
    """Statements that look for the libraries of graders."""
    names = sorted({library for grader in graders for library in grader.libraries})
    return {name: f"from importlib.metadata import version; version({name!r})" for name in names}


def _part(
    plan: Plan, part: launcher.Part, stages: str, statements: dict[str, str]
) -> Generator[Check, None, int | None]:
    remedy = f"boundary-bench env create {launcher.ENVIRONMENTS[part]}"
    try:
        words = launcher.interpreter(plan.command(part))
    except StudyError as fault:
        yield Check("missing", stages, str(fault))
        return None
    return (yield from _python(words, stages, statements, remedy))


def _python(
    words: list[str], stages: str, statements: dict[str, str], remedy: str
) -> Generator[Check, None, int | None]:
    """Whether a Python has this code and passes the statements; returns the number of GPUs that its torch sees."""
    try:
        here, found = doctor_python.look({}), doctor_python.ask(words, statements)
    except EngineError as fault:
        yield Check("missing", stages, f"{fault}; {remedy}")
        return None
    yield _code(stages, " ".join(words), here, found)
    for name in statements:
        fault = found.faults.get(name)
        yield Check("missing", f"  {name}", f"{fault}; {remedy}") if fault else Check("ok", f"  {name}", "")
    return found.gpus


def _code(stages: str, python: str, here: dict[str, Any], found: doctor_python.Installed) -> Check:
    said = f"Python {found.python} ({python}), boundary-bench {found.version} in {found.folder}"
    if found.folder == here["folder"]:
        return Check("ok", stages, said)
    install = f"{python} -m pip install --no-deps --no-build-isolation -e {here['folder']}"
    if found.code == here["code"]:
        return Check("remark", stages, f"{said}: the same code as in {here['folder']}, until one changes; {install}")
    return Check("missing", stages, f"{said}: other code than here, {here['version']} in {here['folder']}; {install}")


def gpus(stage: str, asked: int, visible: int) -> Check:
    """Compare the GPUs that a stage needs on one machine with those that its torch sees here."""
    what, said = f"  GPUs to {stage}", f"{visible} visible here, {asked} needed on a machine"
    if visible >= asked:
        return Check("ok", what, said)
    if visible:
        return Check("missing", what, f"{said}; ask the scheduler for more, or change the study")
    if has_gpu():
        cause = "there is an NVIDIA driver: ask the scheduler for GPUs, or install a CUDA build of torch"
        return Check("missing", what, f"{said}, though {cause}")
    return Check("remark", what, f"{said}: fine where no {stage} job runs")


def models(plan: Plan) -> Iterator[Check]:
    """Whether base models, given checkpoints and stored samples are on this machine."""
    for where, origin in plan.study.origins.items():
        what = where.replace("models.", "model ").replace("runs.", "run ").replace(".checkpoints.", " step ")
        if origin.samples is None:
            yield _model(origin, what)
        for benchmark, said in (origin.samples or {}).items():
            files = plan.files(said)
            lacking = [file for file in files if not file.is_file()]
            found = f"no file {lacking[0]}" if lacking else f"{len(files)} file(s), {files[0]}"
            yield Check("missing" if lacking else "ok", f"{what}: samples on {benchmark}", found)


def problems(plan: Plan) -> Iterator[Check]:
    """Whether the sources of the problems are on this machine."""
    return (_problems(plan, name) for name in plan.problem_sets)


def _model(model: Origin, what: str) -> Check:
    from boundary_bench.models.folder import weight_files

    if not model.path and not model.hub:
        return Check("ok", what, "made by pretrain")
    try:
        folder = Path(model.path) if model.path else hub.cached(str(model.hub), str(model.revision))
    except ModelError:
        return _from_network(what, f"{model.hub} at {model.revision}", "write {path: FOLDER}")
    try:
        if not (folder / "adapter_config.json").is_file():
            weight_files(folder)
    except (ModelError, DataError) as fault:
        return Check("missing", what, str(fault))
    return Check("ok", what, model.path or f"{model.hub} in the cache of the hub ({_cache()})")


def _problems(plan: Plan, name: str) -> Check:
    chosen, what = plan.problem_sets[name], f"problems of {name}"
    if chosen.entry.data:
        there = Path(chosen.entry.data).exists()
        remedy = "" if there else ": there is no such file or folder; a relative path starts where snakemake is started"
        return Check("ok" if there else "missing", what, f"{chosen.entry.data}{remedy}")
    if plan.problems(name).is_file():
        return Check("ok", what, f"{plan.problems(name)}")
    if chosen.kind.source:
        return _hub_set(what, chosen.kind.source)
    if chosen.kind.name.startswith("lm_eval:"):
        return Check("remark", what, "lm-eval reads them, from the network where its task says so")
    return Check("ok", what, "generated by prepare")


def _cache() -> str:
    from huggingface_hub import constants

    return constants.HF_HUB_CACHE


def _hub_set(what: str, source: Source) -> Check:
    try:
        from datasets.config import HF_DATASETS_CACHE
        from datasets.naming import camelcase_to_snakecase
    except ImportError as fault:
        return Check("missing", what, f"{fault}; {sys.executable} -m pip install -e '{launcher.REPOSITORY}[hub]'")
    owner, _, name = source.hub.rpartition("/")
    folder = Path(HF_DATASETS_CACHE).expanduser() / "___".join(filter(None, (owner, camelcase_to_snakecase(name))))
    if all(any(folder.glob(f"{config}/*/*")) for config in source.configs or ("*",)):
        return Check("ok", what, f"{source.hub} in the cache of datasets ({folder})")
    return _from_network(what, source.hub, "name its copy (data)")


def _from_network(what: str, name: str, instead: str) -> Check:
    from huggingface_hub import constants

    said = f"{name} is not in the cache under {constants.HF_HOME} (HF_HOME)"
    if constants.HF_HUB_OFFLINE:
        return Check(
            "missing", what, f"{said}, and HF_HUB_OFFLINE is set; fetch it where there is network, or {instead}"
        )
    return Check("remark", what, f"{said}: its stage needs network, or {instead}")


def results(plan: Plan) -> Iterator[Check]:
    """Whether the results folder can be written to, and its free disk against the forecast."""
    folder, what = launcher.existing(plan.results), f"results in {plan.results}"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"written to see whether it can be")
    except OSError as fault:
        yield Check("missing", what, f"{folder}: {fault.strerror}; {OTHER}")
        return
    yield Check("ok", what, f"{folder} can be written to")
    try:
        forecasts = forecast.forecast(plan, forecast.Assumptions()).models.values()
    except BoundaryBenchError as fault:
        yield Check("missing", "disk", str(fault))
        return
    free = shutil.disk_usage(folder).free
    needed = forecast.total(*(forecast.total(*model.disk.values()) for model in forecasts))
    said = f"{number(free, 'B')} free, {number(needed, 'B')} forecast (boundary-bench forecast {quote(str(plan.path))})"
    if needed is None or free >= needed:
        yield Check("remark" if needed is None else "ok", "disk", said)
    elif plan.root.exists():
        yield Check("remark", "disk", f"{said}, with what is in {plan.root} already")
    else:
        yield Check("missing", "disk", f"{said}; {OTHER}")
