"""The problem sets of a study, with names resolved. Nothing heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass

from boundary_bench.benchmarks import check, kind_of, options_of
from boundary_bench.benchmarks.base import Kind, Options
from boundary_bench.benchmarks.columns import Columns, columns_of
from boundary_bench.benchmarks.templates import Template, template_of
from boundary_bench.core.errors import StudyError
from boundary_bench.study.study import Benchmark, Study
from boundary_bench.study.training import OF_PROBLEMS

#: The problem set that the policies are trained on, prepared like a benchmark.
TRAINING_SET = "training"


@dataclass(frozen=True)
class ProblemSet:
    """A benchmark entry with its kind, options and columns resolved."""

    name: str
    kind: Kind
    entry: Benchmark
    options: Options
    template: Template
    columns: Columns


def problem_sets(study: Study) -> dict[str, ProblemSet]:
    """The benchmarks and, where something is trained, the training set, by name.

    Raises:
        StudyError: a benchmark has the name of the training set, or an entry is wrong.
    """
    entries = dict(study.benchmarks)
    if TRAINING_SET in entries:
        raise StudyError(f"benchmarks.{TRAINING_SET}: this name is kept for the training set; choose another")
    found = {name: _problem_set(name, entry, f"benchmarks.{name}") for name, entry in entries.items()}
    if training := study.training:
        of_training = {name: getattr(training, name) for name in OF_PROBLEMS if name != "benchmark"}
        entry = Benchmark(kind=training.benchmark, split="train", **of_training)
        found[TRAINING_SET] = _problem_set(TRAINING_SET, entry, "training")
    for name, model in study.models.items():
        if model.pretrain:
            where = f"models.{name}.pretrain.benchmark"
            if kind_of(model.pretrain.benchmark, where).solutions is None:
                raise StudyError(f"{where}: {model.pretrain.benchmark!r} has no solutions to pre-train on")
    return found


def _problem_set(name: str, entry: Benchmark, where: str) -> ProblemSet:
    named = where if entry.kind else f"{where} (its name, as it gives no kind)"
    kind = kind_of(entry.kind or name, named, data=bool(entry.data))
    options = options_of(kind, entry.options, where)
    check(kind, entry.split, options, entry.data, where)
    template = template_of(entry.template or kind.template, f"{where}.template")
    return ProblemSet(name, kind, entry, options, template, columns_of(kind, entry.columns, entry.data, where))
