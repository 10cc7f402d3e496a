"""Randomness that depends on names alone: not on order, batch, block, process or machine.

A *key* is the first 8 bytes of BLAKE2b over the parts of a name. The uniforms of a sample are a
counter-based stream on its seed (SplitMix64, Steele, Lea and Flood, OOPSLA 2014), so position t of
sample i is the same number whether it is drawn alone or among a million others.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key(*parts: str | int) -> int:
    """A 64-bit key of the given parts; ``key("a", "b") != key("ab")`` and ``key(1) != key("1")``."""
    return int.from_bytes(hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest(), "little")


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def sample_seeds(root: int, index_S: np.ndarray) -> np.ndarray:
    """Seeds of the samples with the given indices under one root key.

    Returns uint64 of the shape of ``index_S``. The root names everything but the index: study seed,
    policy, benchmark and problem id.
    """
    with np.errstate(over="ignore"):
        return _mix(np.uint64(root) + (index_S.astype(np.uint64) + np.uint64(1)) * GOLDEN)


def uniforms(seed_S: np.ndarray, position: int | np.ndarray) -> np.ndarray:
    """Uniforms in [0, 1) on a grid of 2**-32, one per sample, for the token at ``position`` (one for all, or one each).

    32 bits, so that the sampler's search can add a row number below 2**20 exactly in float64.
    """
    with np.errstate(over="ignore"):
        mixed = _mix(_mix(seed_S) + (np.asarray(position, np.uint64) + np.uint64(1)) * GOLDEN)
    return (mixed >> np.uint64(32)).astype(np.float64) * 2.0**-32
