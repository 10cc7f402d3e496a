"""What two results were made with: fingerprints by kind, and every value of study, code, packages and machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from boundary_bench.tables.record import Record


@dataclass(frozen=True)
class ChangedValue:
    """A value that differs; None where a side has none."""

    path: str
    a: Any
    b: Any


@dataclass(frozen=True)
class SettingsDiff:
    """What two results were made with.

    Attributes:
        kinds: of every stage, and of what the literature says, the names with the ``same`` fingerprint on both sides,
            with an ``other`` one, or ``only_a`` and ``only_b``.
        values: those that differ.
    """

    kinds: dict[str, dict[str, list[str]]]
    values: list[ChangedValue]


def settings(a: Record, b: Record) -> SettingsDiff:
    """Compare what is in ``provenance.json`` of both."""
    of_a, of_b = a.fingerprints, b.fingerprints
    kinds = {kind: _names(of_a.get(kind, {}), of_b.get(kind, {})) for kind in {**of_a, **of_b}}
    parts = (record.model_dump(include={"study", "code", "packages", "machine"}) for record in (a, b))
    return SettingsDiff(kinds, list(_values(*parts)))


def _names(a: dict[str, str], b: dict[str, str]) -> dict[str, list[str]]:
    return {
        "same": [name for name in a if b.get(name) == a[name]],
        "other": [name for name in a if name in b and b[name] != a[name]],
        "only_a": [name for name in a if name not in b],
        "only_b": [name for name in b if name not in a],
    }


def _values(a: dict[str, Any], b: dict[str, Any]) -> Iterator[ChangedValue]:
    """What differs, each by its path: a block or a list that one side has alone is one value."""
    waiting: list[tuple[str, Any, Any]] = [("", a, b)]
    while waiting:
        path, of_a, of_b = waiting.pop()
        if isinstance(of_a, dict) and isinstance(of_b, dict):
            names = reversed({**of_a, **of_b})
            waiting += [(f"{path}.{name}" if path else name, of_a.get(name), of_b.get(name)) for name in names]
        elif of_a != of_b:
            yield ChangedValue(path, of_a, of_b)
