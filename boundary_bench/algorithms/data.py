"""The problems that a step trains on: a function of the run's seed and the step, so that a resumed run is exact."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Literal

import numpy as np

from boundary_bench.algorithms.part import Part
from boundary_bench.core import randomness


class Data(Part, ABC):
    """The problems of a step, in order."""

    @abstractmethod
    def __call__(self, seed: int, step: int, count: int, total: int) -> list[int]:
        """Indices (below ``total``) of the ``count`` problems of a step; steps begin at 1."""


class EpochOrder(Data):
    """Consecutive pieces of a random permutation of all problems, a new permutation every epoch."""

    kind: Literal["epochs"] = "epochs"

    def __call__(self, seed: int, step: int, count: int, total: int) -> list[int]:
        places = (divmod(position, total) for position in range((step - 1) * count, step * count))
        return [int(_permutation(seed, epoch, total)[place]) for epoch, place in places]


@lru_cache(4)
def _permutation(seed: int, epoch: int, total: int) -> np.ndarray:
    return np.random.default_rng(randomness.key("prompt order", seed, epoch)).permutation(total)
