"""Application of a table of translations: a backend's settings for every part of an algorithm, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from boundary_bench.algorithms.advantage import Signs
from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.part import Part

#: Settings of a backend.
Words = dict[str, Any]
#: Translations by class of part, or by a common base class; each is called with the part and its algorithm.
Table = dict[type[Part], Callable[[Any, Algorithm], Words]]


class Inexpressible(Exception):
    """A backend cannot express a part; the message names the part and the reason."""


def translated(algorithm: Algorithm, table: Table) -> Words:
    """An algorithm as settings of a backend."""
    found: Words = {}
    for name, part in algorithm.parts.items():
        translate = next((table[kind] for kind in type(part).__mro__ if kind in table), None)
        if translate is None:
            raise Inexpressible(f"{name}: {part.kind}")
        found |= translate(part, algorithm)
    return found


def ours(part: Part, algorithm: Algorithm) -> Words:
    """No settings: our code computes this part and hands the backend its result."""
    return {}


def masked(part: Signs, algorithm: Algorithm) -> Words:
    """No settings: masked samples stay in the batch with advantage 0. Dropped samples are refused."""
    if part.kind != "all" and part.others == "drop":
        raise Inexpressible("others: drop; it keeps the other samples in its denominators (mask)")
    return {}
