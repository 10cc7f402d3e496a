"""A study's changes to an algorithm: each setting is looked up among the parts.

``clip_high: 0.28``, ``surrogate.clip_high: 0.28`` and ``surrogate: {clip_high: 0.28}`` mean the same, and so do
``aggregation: sequence_mean`` and ``aggregation: {kind: sequence_mean}``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from boundary_bench.algorithms.algorithm import Algorithm, kinds
from boundary_bench.algorithms.part import Part
from boundary_bench.core.errors import StudyError, did_you_mean
from boundary_bench.study.file import explain

PARTS = tuple(Algorithm.model_fields)


def changed(algorithm: Algorithm, changes: dict[str, Any], where: str, further: Iterable[str] = ()) -> Algorithm:
    """The algorithm with a study's changes; a part of another kind has that kind's defaults.

    Args:
        where: place in the study, for messages.
        further: other keys that are known there, for messages.

    Raises:
        StudyError: a key is unknown, belongs to several parts or is given twice; or a value is wrong.
    """
    found: dict[str, dict[str, Any]] = {}
    for key, value in changes.items():
        part, settings = _place(key, value, where, further)
        if twice := settings.keys() & found.get(part, {}).keys():
            raise StudyError(f"{where}: {part}.{min(twice)} is given twice; drop one of them")
        found[part] = {**found.get(part, {}), **settings}
    parts = {part: _part(part, algorithm.parts[part], settings, where) for part, settings in found.items()}
    return algorithm.model_copy(update=parts)


def _place(key: str, value: Any, where: str, further: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """The part that a key names or belongs to, and the settings that it gives that part."""
    part, _, setting = key.partition(".")
    if part in PARTS:
        if setting:
            return part, {setting: value}
        if isinstance(value, str):
            return part, {"kind": value}
        if isinstance(value, dict):
            return part, value
        raise StudyError(f"{where}.{part}: found {value!r}, expected {_one_of(kinds(part))}, or a mapping of settings")
    places = [part for part in PARTS if key in _settings(part)]
    if not places:
        known = {setting for part in PARTS for setting in (part, *_settings(part))}
        raise StudyError(f"{where}: unknown setting {key!r}; {did_you_mean(key, [*known, *further])}")
    if len(places) > 1:
        raise StudyError(f"{where}: {key} is a setting of several parts; write {_one_of(f'{p}.{key}' for p in places)}")
    return places[0], {key: value}


def _part(name: str, current: Part, settings: dict[str, Any], where: str) -> Part:
    """A part with changed settings."""
    kind, known = settings.get("kind", current.kind), kinds(name)
    if kind not in list(known):
        raise StudyError(f"{where}.{name}: found {kind!r}, expected {_one_of(known)}")
    of, here = known[kind], f"{where}.{name}"
    for setting in settings:
        if setting in of.model_fields:
            continue
        if owners := [f"{name}: {other}" for other, each in known.items() if setting in each.model_fields]:
            raise StudyError(
                f"{where}: {setting} goes with {' or '.join(owners)}, found {name}: {kind}; write both, or drop it"
            )
        raise StudyError(f"{here}: unknown setting {setting!r}; {did_you_mean(str(setting), of.model_fields)}")
    whole = {**(current.model_dump() if isinstance(current, of) else {}), **settings}
    for setting, field in of.model_fields.items():
        if field.is_required() and setting not in whole:
            raise StudyError(f"{where}: {name}: {kind} needs a setting beside it; write {setting}: NUMBER")
    try:
        return of.model_validate(whole)
    except ValidationError as fault:
        raise StudyError(explain(fault, here)) from None


def _settings(part: str) -> set[str]:
    """The settings of all kinds of a part."""
    return {setting for each in kinds(part).values() for setting in each.model_fields} - {"kind"}


def _one_of(names: Iterable[str]) -> str:
    """Names as a choice.

    >>> _one_of(["all", "negative", "positive"])
    "'all', 'negative' or 'positive'"
    """
    *first, last = (repr(name) for name in names)
    return f"{', '.join(first)} or {last}" if first else last
