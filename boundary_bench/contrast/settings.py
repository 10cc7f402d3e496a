"""What two results were made with: fingerprints by kind, and every value of study, code, packages and machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from boundary_bench.contrast.sides import Side

PARTS = ("study", "code", "packages", "machine")


@dataclass(frozen=True)
class Names:
    """The names of one kind of settings: with the same fingerprint on both sides, with another, or on one side."""

    same: list[str]
    other: list[str]
    only_a: list[str]
    only_b: list[str]


@dataclass(frozen=True)
class Value:
    """A value that differs; None where a side has none."""

    path: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Settings:
    """What two results were made with.

    Attributes:
        kinds: of ``problems``, ``models``, ``runs``, ``samples``, ``analysis`` and what else has fingerprints.
        values: those that differ.
    """

    kinds: dict[str, Names]
    values: list[Value]


def settings(a: Side, b: Side) -> Settings:
    """Compare what is in ``provenance.json`` of both."""
    of_a, of_b = a.provenance["fingerprints"], b.provenance["fingerprints"]
    kinds = {kind: _names(of_a.get(kind, {}), of_b.get(kind, {})) for kind in {**of_a, **of_b}}
    flat_a, flat_b = (dict(_flat({part: side.provenance[part] for part in PARTS})) for side in (a, b))
    paths = [path for path in {**flat_a, **flat_b} if flat_a.get(path) != flat_b.get(path)]
    return Settings(kinds, [Value(path, flat_a.get(path), flat_b.get(path)) for path in paths])


def _names(a: dict[str, Any], b: dict[str, Any]) -> Names:
    both = [name for name in a if name in b]
    return Names(
        [name for name in both if a[name] == b[name]],
        [name for name in both if a[name] != b[name]],
        [name for name in a if name not in b],
        [name for name in b if name not in a],
    )


def _flat(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every value by its path, in the order of the file; a list is one value."""
    waiting = list(reversed(found.items()))
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting += [(f"{path}.{name}", inner) for name, inner in reversed(value.items())]
        else:
            yield path, value
