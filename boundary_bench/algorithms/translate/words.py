"""How a table of translations is read: the words of a backend for every part of an algorithm, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from boundary_bench.algorithms.advantage import Signs
from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.part import Part

#: Settings of a backend.
Words = dict[str, Any]
#: Translations by kind of part, or by what several kinds have in common; each is given the part and its algorithm.
Table = dict[type[Part], Callable[[Any, Algorithm], Words]]


class Inexpressible(Exception):
    """A backend has no words for a part; says which, and why."""


def translated(algorithm: Algorithm, table: Table) -> Words:
    """An algorithm in the words of a backend.

    Raises:
        Inexpressible: a part has no translation, or not beside the others.
    """
    found: Words = {}
    for name, part in algorithm.parts.items():
        translate = next((table[kind] for kind in type(part).__mro__ if kind in table), None)
        if translate is None:
            raise Inexpressible(f"{name}: {part.kind}")
        found |= translate(part, algorithm)
    return found


def ours(part: Part, algorithm: Algorithm) -> Words:
    """Nothing to say: the backend is given what we make ourselves."""
    return {}


def masked(part: Signs, algorithm: Algorithm) -> Words:
    """Nothing to say of advantages that are 0 in a batch whose samples all stay."""
    if part.kind != "all" and part.others == "drop":
        raise Inexpressible("others: drop; it keeps the other samples in its denominators (mask)")
    return {}
