"""The benchmark registry. To add a benchmark, write one file and add its kind here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from boundary_bench.benchmarks.base import Kind, Options, Problem
from boundary_bench.benchmarks.countdown import COUNTDOWN, COUNTDOWN_HARD
from boundary_bench.errors import DataError, StudyError, did_you_mean
from boundary_bench.study import explain

KINDS: dict[str, Kind] = {kind.name: kind for kind in (COUNTDOWN, COUNTDOWN_HARD)}


def kind_of(name: str, where: str) -> Kind:
    """The registry entry of that name.

    Raises:
        StudyError: there is none.
    """
    if name not in KINDS:
        raise StudyError(f"{where}: {name!r} is not a benchmark kind; {did_you_mean(name, KINDS)}")
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


def read_problems(kind: Kind, path: Path) -> list[Problem]:
    """Problems from a user's JSON-lines file.

    Raises:
        DataError: the file is missing, a line is no JSON object or misses a column, or it holds no problem.
    """
    expected = ", ".join(f"{name} ({meaning})" for name, meaning in kind.columns.items())
    if not path.is_file():
        raise DataError(f"no problem file at {path}; expected JSON lines with {expected}")
    problems = []
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                if line.strip():
                    problems.append(_row(kind, line.decode()))
            except (ValueError, KeyError, TypeError, RecursionError) as fault:
                reason = f"no column {fault}" if isinstance(fault, KeyError) else str(fault)
                raise DataError(f"{path}, line {number}: {reason}; expected {expected}") from None
    if not problems:
        raise DataError(f"{path} holds no problem; expected JSON lines with {expected}")
    return problems


def _row(kind: Kind, line: str) -> Problem:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError(f"found {type(row).__name__}, expected an object")
    return kind.parse(row)
