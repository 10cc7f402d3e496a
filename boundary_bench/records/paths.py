"""Places in a row, written with dots: ``reward_model.ground_truth``, ``choices.0.text``, ``prompt.-1.content``."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

import yaml

from boundary_bench.core.errors import StudyError, did_you_mean

DEEPEST = 5
MOST = 200  # places of a row that are listed
INDEX = re.compile(r"-?[0-9]{1,9}")


def named_places(given: str | None, names: Collection[str], option: str, example: str) -> dict[str, str]:
    """The places that an option like ``--columns response=output.text,gold=reward_model.ground_truth`` names.

    Raises:
        StudyError: the text has another form, or another name than ``names``.
    """
    found: dict[str, str] = {}
    for part in given.split(",") if given else ():
        name, equals, place = (each.strip() for each in part.partition("="))
        if not equals or not place or name not in names:
            hint = did_you_mean(name, names)
            raise StudyError(f"{option}: found {part!r}, expected COLUMN=PLACE, as {example}; {hint}")
        found[name] = place
    return found


def find(row: Any, path: str) -> Any:
    """The value at a place of a row; None if a value on the way to it is None.

    A name that contains dots itself wins over a path.

    Raises:
        KeyError: the row has no such place.

    >>> find({"a": [{"b": 1}, {"b": 2}], "a.0": 3}, "a.-1.b"), find({"a": [0], "a.0": 3}, "a.0")
    (2, 3)
    """
    return _find(row, path.split("."), path)


def _find(value: Any, parts: list[str], path: str) -> Any:
    if not parts or value is None:
        return value
    if isinstance(value, list) and INDEX.fullmatch(parts[0]) and -len(value) <= int(parts[0]) < len(value):
        return _find(value[int(parts[0])], parts[1:], path)
    for count in range(len(parts), 0, -1) if isinstance(value, dict) else ():
        if (name := ".".join(parts[:count])) in value:
            try:
                return _find(value[name], parts[count:], path)
            except KeyError:  # a shorter name may match
                continue
    raise KeyError(path)


def places(row: dict[str, Any]) -> dict[str, Any]:
    """The values of a row by place, breadth first, at most ``DEEPEST`` levels and ``MOST`` places.

    A list of objects is represented by its last one.
    """
    found: dict[str, Any] = {}
    level: list[tuple[str, Any]] = [("", row)]
    for _ in range(DEEPEST):
        level = list(islice((child for path, value in level for child in _children(path, value)), MOST - len(found)))
        found |= level
    return found


def _children(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"{path}.{name}" if path else str(name), each) for name, each in value.items())
    elif isinstance(value, list) and value and isinstance(value[-1], dict):
        yield f"{path}.-1", value[-1]


def flow(value: dict[str, Any] | list[Any]) -> str:
    """A mapping or list as one line of YAML; unprintable characters are escaped.

    >>> flow({"question": "a: b", "answer": "choices.0"})
    "{question: 'a: b', answer: choices.0}"
    """
    plain = all(str(name).isprintable() for name in (*value, *(value.values() if isinstance(value, dict) else ())))
    how = {"allow_unicode": True} if plain else {"default_style": '"'}
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False, **how).strip()
