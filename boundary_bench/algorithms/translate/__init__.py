"""Translation of an algorithm for training backends; a part without a translation is refused when a study is read."""

from __future__ import annotations

from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.translate import openrlhf, trl
from boundary_bench.algorithms.translate.dictionary import Inexpressible, Table, Words, translated
from boundary_bench.core.errors import StudyError
from boundary_bench.study.backends import BACKENDS

#: Backends with their own algorithm settings; the others run the parts themselves, and so express everything.
TABLES: dict[str, Table] = {"openrlhf": openrlhf.TABLE, "trl": trl.TABLE}


def words(backend: str, algorithm: Algorithm) -> Words:
    """The settings of a backend for an algorithm.

    Raises:
        Inexpressible: the backend cannot express a part, alone or in combination with the others.
    """
    return translated(algorithm, TABLES[backend])


def refusal(backend: str, algorithm: Algorithm) -> str | None:
    """The part of an algorithm that a backend cannot express, and why; None if it can express all."""
    try:
        if backend in TABLES:
            words(backend, algorithm)
    except Inexpressible as why:
        return str(why)
    return None


def check_backend(backend: str, name: str, algorithm: Algorithm) -> None:
    """Refuse an algorithm that a backend cannot express.

    Raises:
        StudyError: the backend cannot express a part or setting; the message names it, and the backends that can.
    """
    if (why := refusal(backend, algorithm)) is not None:
        able = ", ".join(other for other in BACKENDS if refusal(other, algorithm) is None)
        raise StudyError(
            f"algorithms.{name}: the backend {backend} cannot express {why}. Write training.backend: one of {able}; or "
            "change the setting"
        )
