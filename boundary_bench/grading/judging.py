"""Judging many answers: repeated pairs once, cached pairs not again, the others in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from boundary_bench.grading import Grader, Pair, Ruling, judge_here
from boundary_bench.grading.cache import Cache
from boundary_bench.grading.isolation import Pool


@dataclass
class Judge:
    """Judges for any grader; a context manager that ends its processes. Usable by one thread at a time.

    A grader that is not isolated is called directly, without process or cache.

    Attributes:
        folder: for judgements that are shared between jobs.
        workers: most processes of a grader.
    """

    folder: Path
    workers: int = 2
    pools: dict[str, Pool] = field(default_factory=dict)
    caches: dict[str, Cache] = field(default_factory=dict)

    def __call__(self, grader: Grader, pairs: Sequence[Pair]) -> list[Ruling]:
        """The rulings on (reference, answer) pairs, in their order.

        Raises:
            GradingError: a process of the grader does not start.
            StoreError: the kept judgements cannot be read or written.
        """
        if not grader.isolated:
            return judge_here(grader, pairs)
        if grader.name not in self.caches:
            self.caches[grader.name] = Cache(self.folder, grader)
            self.caches[grader.name].load()
            self.pools[grader.name] = Pool(grader, self.workers)
        cache, pool = self.caches[grader.name], self.pools[grader.name]
        ruling_of = {pair: grader.quick(*pair) or cache.get(*pair) for pair in dict.fromkeys(pairs)}
        for pair, ruling in pool.judged([pair for pair, ruling in ruling_of.items() if ruling is None]):
            cache.put(*pair, ruling)
            ruling_of[pair] = ruling
        return [ruling for pair in pairs if (ruling := ruling_of[pair]) is not None]

    def __enter__(self) -> Judge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self.pools.values():
            pool.close()
        for cache in self.caches.values():
            cache.close()
