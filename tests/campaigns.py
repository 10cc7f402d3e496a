"""A campaign in a folder, with a real model and a grader that is right at a chosen rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from boundary_bench.benchmarks.base import Options, Problem
from boundary_bench.benchmarks.countdown import COUNTDOWN
from boundary_bench.core import randomness
from boundary_bench.core.parquet import read_table
from boundary_bench.core.provenance import file_sha256
from boundary_bench.grading import VERDICTS, Grader, Ruling, Verdict
from boundary_bench.samples.store import SampleStore
from boundary_bench.sampling.campaign import Campaign, Tell, run
from boundary_bench.sampling.engine import Engine, Responses, Work
from boundary_bench.sampling.torch.engine import TorchEngine
from boundary_bench.statistics.design import Design
from boundary_bench.study.sampling import Sampling

CORRECT, WRONG, TIMEOUT = (VERDICTS.index(name) for name in ("correct", "wrong", "timeout"))
RATES = [0.0, 0.03, 0.1, 0.2, 0.4, 0.8, 1.0]
PROBLEMS = [Problem(f"{a}{a + 1}{a + 2}={3 * a + 3}:", str(rate), "") for a, rate in enumerate(RATES, 1)]
DESIGN = Design((8, 16, 32), 3)
FACTS = {name: "of the test" for name in ("settings", "model", "problems")}
Samples = dict[str, dict[int, dict[str, Any]]]


def grader(unscored: float) -> Grader:
    """Right for the share of texts that the problem's reference says; no score for a share of them."""

    def judge(reference: str, answer: str) -> Ruling:
        place = randomness.key(reference, answer) / 2**64
        if place >= 1 - unscored:
            return Ruling(Verdict.TIMEOUT, "late")
        return Ruling(Verdict.CORRECT if place < float(reference) else Verdict.WRONG, "drawn")

    return Grader("share", 1, str, judge)


@dataclass
class Store:
    """A store in a folder, and what its campaigns have said."""

    engine: Engine
    folder: Path
    lines: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)

    def run(
        self,
        design: Design = DESIGN,
        block: int = 1024,
        unscored: float = 0.0,
        stopped: Callable[[], bool] = lambda: False,
        shard: int = 1,
        shards: int = 1,
        max_tokens: int = 12,
    ) -> dict[str, str]:
        """Run the campaign of a design; the hashes of its files."""
        kind = replace(COUNTDOWN, options=Options(), grader=grader(unscored))
        sampling = Sampling(n_max=design.n_max, shards=shards, block=block, batch=64, max_tokens=max_tokens)
        campaign = Campaign(kind, PROBLEMS, sampling, design, ("policy", "benchmark"), shard)
        tell = Tell(self.lines.append, self.records.append)
        return run(campaign, self.engine, SampleStore(self.folder, shard, shards), FACTS, tell, stopped)

    def files(self) -> dict[str, str]:
        return {file.name: file_sha256(file) for file in self.folder.glob("*.parquet")}

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """The content of every file."""
        return {file.name: read_table(file)[0].to_pylist() for file in sorted(self.folder.glob("*.parquet"))}

    def samples(self) -> Samples:
        """The samples of every problem by their index; none may be there twice."""
        found: Samples = {problem.id: {} for problem in PROBLEMS}
        for name, rows in self.rows().items():
            for row in rows if name.startswith("block-") else []:
                assert row["sample"] not in found[row["problem_id"]]
                found[row["problem_id"]][row["sample"]] = row
        return found

    def sizes(self) -> list[int]:
        """How many samples every problem has; their indices are 0, 1, 2, ..."""
        found = [sorted(rows) for rows in self.samples().values()]
        assert all(indices == list(range(len(indices))) for indices in found)
        return [len(indices) for indices in found]


def stopping(design: Design, verdicts: Sequence[str]) -> int | None:
    """How many sample indices a problem takes, counted one by one; None where the verdicts do not suffice."""
    scored = correct = 0
    for used, verdict in enumerate(verdicts, 1):
        if verdict in design.unscored:
            continue
        scored, correct = scored + 1, correct + (verdict == "correct")
        enough = design.stop_after is not None and correct >= design.stop_after
        if scored == design.n_max or (enough and scored in design.rounds):
            return used
    return None


def stoppings(design: Design, samples: Samples) -> list[int | None]:
    return [stopping(design, [rows[index]["verdict"] for index in range(len(rows))]) for rows in samples.values()]


def same(samples: Samples, fixed: Samples) -> float:
    """The share of samples with the tokens and the verdict of the fixed design: all, but for rounding."""
    return float(
        np.mean(
            [
                (row["tokens"], row["verdict"]) == (fixed[problem][index]["tokens"], fixed[problem][index]["verdict"])
                for problem, rows in samples.items()
                for index, row in rows.items()
            ]
        )
    )


def interrupted_after(calls: int) -> Callable[[], bool]:
    left = iter(range(calls))
    return lambda: next(left, None) is None


@dataclass(frozen=True)
class Shuffling:
    """The torch engine's samples, of several pieces of work in flight, problem by problem in any order."""

    plain: TorchEngine
    pieces: int
    seed: int = 0
    file_samples: int | None = 20

    @property
    def tokenizer(self) -> Any:
        return self.plain.tokenizer

    @property
    def ends(self) -> tuple[int, ...]:
        return self.plain.ends

    @property
    def context(self) -> int | None:
        return self.plain.context

    def start(self) -> None:
        self.plain.start()

    def stream(self, work: Iterator[Work | None]) -> Iterator[tuple[Work, Responses] | None]:
        random, flying = np.random.default_rng(self.seed), []
        while True:
            while len({item for item, _ in flying}) < self.pieces and (item := next(work, None)) is not None:
                flying += [(item, place) for place in range(len(item.prompts))]
            if not flying:
                return
            yield None
            item, place = flying.pop(random.integers(len(flying)))
            single = Work(item.prompts[place : place + 1], item.seed_GB[place : place + 1], item.decoding)
            for _, responses in self.plain.stream(iter([single])):
                yield item, replace(responses, prompt_S=responses.prompt_S + place)
