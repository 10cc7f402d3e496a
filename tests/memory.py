"""How much memory Arrow takes while something runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

#: A pool must outlive what was allocated from it, and pyarrow's own threads may hold that longer than the block.
POOLS: list[pa.MemoryPool] = []


@contextmanager
def counted() -> Iterator[pa.MemoryPool]:
    """A pool that everything in the block allocates from; it knows the most that was taken at once."""
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    POOLS.append(pool)
    pa.set_memory_pool(pool)
    try:
        yield pool
    finally:
        pa.set_memory_pool(usual)
