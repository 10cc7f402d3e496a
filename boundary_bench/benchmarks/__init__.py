"""The benchmark registry. To add a benchmark, write one file and add its kind here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from boundary_bench.benchmarks import hub, lm_eval_task, reasoning_gym_bridge, stored
from boundary_bench.benchmarks.base import LEFT_OUT, HubOptions, Kind, Options, Prepared, Split
from boundary_bench.benchmarks.columns import OWN, Columns
from boundary_bench.benchmarks.countdown import COUNTDOWN, COUNTDOWN_HARD
from boundary_bench.benchmarks.random_calculation import RANDOM_CALCULATION
from boundary_bench.benchmarks.reading import expected, parsed
from boundary_bench.benchmarks.rows import hub_rows, rows_in
from boundary_bench.benchmarks.selecting import compared, selected
from boundary_bench.benchmarks.sets import HUB_SETS, PLAIN
from boundary_bench.core.errors import StudyError, did_you_mean
from boundary_bench.study.file import explain

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (COUNTDOWN, COUNTDOWN_HARD, RANDOM_CALCULATION, *HUB_SETS, *PLAIN)
}
#: Kinds of a library, named ``FAMILY:NAME``; the name is looked up in the library when problems are made.
FAMILIES: dict[str, Callable[[str], Kind]] = {
    "lm_eval": lm_eval_task.kind,
    "reasoning_gym": reasoning_gym_bridge.kind,
    "stored": stored.kind,
}
__all__ = ["FAMILIES", "KINDS", "PLAIN", "check", "kind_of", "options_of", "problems_of"]


def kind_of(name: str, where: str, *, data: bool = False) -> Kind:
    """The kind ``name`` of the registry.

    Args:
        data: whether the entry names a file, which the plain kinds read; only for the message.

    Raises:
        StudyError: there is no such kind.
    """
    family, colon, member = name.partition(":")
    if colon and family in FAMILIES and member:
        return FAMILIES[family](member)
    if name not in KINDS:
        known = [*KINDS, *(f"{family}:NAME" for family in FAMILIES)]
        plain = f"for questions and answers of your own write kind: {' or '.join(kind.name for kind in PLAIN)}; "
        raise StudyError(f"{where}: {name!r} is not a benchmark kind; {plain * data}{did_you_mean(name, known)}")
    return KINDS[name]


def options_of(kind: Kind, options: dict[str, Any], where: str) -> Options:
    """The default options of a kind with the given changes."""
    unknown = sorted(set(options) - set(type(kind.options).model_fields))
    if unknown:
        known = type(kind.options).model_fields
        raise StudyError(f"{where}.options: unknown option {unknown[0]!r}; {did_you_mean(unknown[0], known)}")
    try:
        return type(kind.options).model_validate({**kind.options.model_dump(), **options})
    except ValidationError as fault:
        raise StudyError(explain(fault, f"{where}.options")) from None


def check(kind: Kind, split: Split, options: Options, data: str | None, where: str) -> None:
    """Refuse a benchmark entry without obtainable problems, before any work.

    Raises:
        StudyError: the kind has no such split, needs a commit or a file, or reads no files; or ``skip`` names rows of
            generated problems.
    """
    if kind.definition and not kind.definition.is_file():
        raise StudyError(f"{where}.kind: no task file at {kind.definition}; expected the path of an lm-eval task")
    if data and kind.parse is None:
        raise StudyError(f"{where}.data: problems of {kind.name} cannot be read from a file; drop data")
    if data:
        return
    if kind.source and isinstance(options, HubOptions):
        hub.check(kind, split, options, where)
    elif kind.generate is None:
        raise StudyError(f"{where}: {kind.name} has no problems of its own; write data: FILE, {expected(kind)}")
    elif options.skip:
        raise StudyError(f"{where}.options.skip: problems of {kind.name} are generated, not read from rows; drop it")


def problems_of(
    kind: Kind, split: Split, seed: int, options: Options, data: str | None, columns: Columns = OWN
) -> Prepared:
    """The problems of a benchmark entry, and the record of its rows.

    Raises:
        DataError: a file, folder or set cannot be read, rows in it are no problems, or every question is too long.
        StudyError: no problem meets the options.
    """
    if data:
        rows = parsed(kind, rows_in(kind, Path(data), split), options, columns, Path(data))
        return selected(kind, rows, options)
    if kind.source and isinstance(options, HubOptions):
        records = hub_rows(kind.source, split, options.revision)
        what = f"{kind.source.hub} at {options.revision}"
        return selected(kind, parsed(kind, records, options, columns, what), options)
    problems = kind.generate(split, seed, options)
    return compared(problems, len(problems), dict.fromkeys(LEFT_OUT, 0), [])
