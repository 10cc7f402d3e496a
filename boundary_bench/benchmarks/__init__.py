"""The benchmark registry. To add a benchmark, write one file and add its kind here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from boundary_bench.benchmarks import hub, lm_eval_task, reasoning_gym_bridge
from boundary_bench.benchmarks.base import HubOptions, Kind, Options, Problem, Split
from boundary_bench.benchmarks.countdown import COUNTDOWN, COUNTDOWN_HARD
from boundary_bench.benchmarks.random_calculation import RANDOM_CALCULATION
from boundary_bench.benchmarks.rows import read_problems
from boundary_bench.benchmarks.sets import HUB_SETS
from boundary_bench.errors import DataError, StudyError, did_you_mean
from boundary_bench.grading import Nothing
from boundary_bench.study_file import explain

KINDS: dict[str, Kind] = {kind.name: kind for kind in (COUNTDOWN, COUNTDOWN_HARD, RANDOM_CALCULATION, *HUB_SETS)}
#: Kinds of a library, named ``FAMILY:NAME``; the library is asked for the name when problems are made.
FAMILIES: dict[str, Callable[[str], Kind]] = {
    "lm_eval": lm_eval_task.kind,
    "reasoning_gym": reasoning_gym_bridge.kind,
}
__all__ = ["FAMILIES", "KINDS", "check", "kind_of", "options_of", "problems_of", "read_problems"]


def kind_of(name: str, where: str) -> Kind:
    """The registry entry of that name.

    Raises:
        StudyError: there is none.
    """
    family, colon, member = name.partition(":")
    if colon and family in FAMILIES and member:
        return FAMILIES[family](member)
    if name not in KINDS:
        known = [*KINDS, *(f"{family}:NAME" for family in FAMILIES)]
        raise StudyError(f"{where}: {name!r} is not a benchmark kind; {did_you_mean(name, known)}")
    return KINDS[name]


def options_of(kind: Kind, options: dict[str, Any], where: str) -> Options:
    """The kind's default options with the given changes.

    Raises:
        StudyError: an option is unknown or out of range.
    """
    unknown = sorted(set(options) - set(type(kind.options).model_fields))
    if unknown:
        known = type(kind.options).model_fields
        raise StudyError(f"{where}.options: unknown option {unknown[0]!r}; {did_you_mean(unknown[0], known)}")
    try:
        return type(kind.options).model_validate({**kind.options.model_dump(), **options})
    except ValidationError as fault:
        raise StudyError(explain(fault, f"{where}.options")) from None


def check(kind: Kind, split: Split, options: Options, data: str | None, where: str) -> None:
    """Refuse a benchmark entry whose problems cannot be had, before any work.

    Raises:
        StudyError: the kind has no such split, needs a commit, or reads no files.
    """
    if kind.definition and not kind.definition.is_file():
        raise StudyError(f"{where}.kind: no task file at {kind.definition}; expected the path of an lm-eval task")
    if data and kind.parse is None:
        raise StudyError(f"{where}.data: problems of {kind.name} cannot be read from a file; drop data")
    if isinstance(options, HubOptions):
        hub.check(kind, split, options, bool(data), where)


def problems_of(
    kind: Kind, split: Split, seed: int, options: Options, data: str | None
) -> tuple[list[Problem], list[str]]:
    """The problems of a benchmark entry, and what of a set was left out, as lines for the log.

    Raises:
        DataError: a file, folder or set cannot be had, a row is no problem, or every question is too long.
        StudyError: no problem meets the options.
    """
    problems = read_problems(kind, Path(data), split) if data else kind.generate(split, seed, options)
    for problem in problems if data or kind.source else []:
        if isinstance(kind.grader.extract(problem.solution), Nothing):
            raise DataError(
                f"problem {problem.id} ({problem.prompt[:60]!r}): the grader {kind.grader.name!r} finds no answer in "
                f"its own solution, which ends in {problem.solution[-80:]!r}, so that no response could be correct; "
                "mend the row or drop it"
            )
    return hub.select(problems, options) if isinstance(options, HubOptions) else (problems, [])
