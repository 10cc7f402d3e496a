"""Places in a row, written with dots: ``reward_model.ground_truth``, ``choices.0.text``, ``prompt.-1.content``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import yaml

DEEPEST = 5
MOST = 200  # places of a row that are looked at
INDEX = re.compile(r"-?[0-9]{1,9}")


def find(row: Any, path: str) -> Any:
    """What stands at a place of a row; None where the way to it is None.

    A name that holds dots itself wins over a path.

    Raises:
        KeyError: nothing stands there.

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
            except KeyError:  # a shorter name may lead on
                continue
    raise KeyError(path)


def places(row: dict[str, Any]) -> dict[str, Any]:
    """Every place of a row down to some depth, and what stands there; of a list of objects, those of the last one."""
    return dict(islice(_places(row, "", DEEPEST), MOST))


def _places(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if path:
        yield path, value
    if isinstance(value, dict) and depth:
        for name, each in value.items():
            yield from _places(each, f"{path}.{name}" if path else str(name), depth - 1)
    elif isinstance(value, list) and value and isinstance(value[-1], dict) and depth:
        yield from _places(value[-1], f"{path}.-1", depth - 1)


def flow(value: dict[str, Any] | list[Any]) -> str:
    """A mapping or list as YAML of one line, whatever is in its names.

    >>> flow({"question": "a: b", "answer": "choices.0"})
    "{question: 'a: b', answer: choices.0}"
    """
    plain = all(str(name).isprintable() for name in (*value, *(value.values() if isinstance(value, dict) else ())))
    how = {"allow_unicode": True} if plain else {"default_style": '"'}
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False, **how).strip()
