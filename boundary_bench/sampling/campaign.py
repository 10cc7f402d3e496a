"""The sample stage: draw, grade and store the missing samples, one file after another or several at once.

The next block follows from the stored verdicts in the order of sample indices, never from the order in which responses
finished. A campaign that was killed and resumed ends with the same samples as an undisturbed one; with the torch
engine, which works on one file at a time, also with the same files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boundary_bench.benchmarks.base import Kind, Problem
from boundary_bench.benchmarks.templates import RAW, Prompting
from boundary_bench.core import randomness
from boundary_bench.core.errors import DataError, EngineError, Interrupted
from boundary_bench.core.parquet import write_table
from boundary_bench.core.provenance import file_sha256
from boundary_bench.grading import JudgeAll, judge_here
from boundary_bench.models.config import check_context
from boundary_bench.samples.grades import NOT_DRAWN, add_verdicts, progress_of, sample_rows
from boundary_bench.samples.store import SAMPLES, SampleStore, read_stored
from boundary_bench.sampling.block import BlockGrading, SampleBlock
from boundary_bench.sampling.duplicates import COLUMNS, Sequences
from boundary_bench.sampling.engine import Decoding, Engine, Responses, Work
from boundary_bench.sampling.progress import Pace, progress_at
from boundary_bench.statistics.design import Design
from boundary_bench.study.sampling import Sampling

SECONDS_BETWEEN_LINES = 5


@dataclass(frozen=True)
class Campaign:
    """One sampling job: a policy on a benchmark, or a shard of it.

    Attributes:
        problems: all problems of the benchmark.
        name: (policy, benchmark), from which the seeds derive.
        prompting: how questions become prompts.
        judge: runs the grader; a benchmark with an isolated grader needs a ``grading.judging.Judge``.
        shard: number of this job among the ``sampling.shards``, from 1. The first of s draws problems 0, s, 2s, ...
        stop: strings that end a response.
    """

    kind: Kind
    problems: list[Problem]
    sampling: Sampling
    design: Design
    name: tuple[str, str]
    shard: int = 1
    prompting: Prompting = RAW
    judge: JudgeAll = judge_here
    stop: Sequence[str] = ()


@dataclass(frozen=True)
class Tell:
    """Where a campaign reports its progress.

    Attributes:
        line: takes a line for a reader.
        record: takes a JSON object for a program; by default discards it.
    """

    line: Callable[[str], None]
    record: Callable[[dict[str, Any]], None] = lambda found: None


@dataclass(frozen=True)
class Draw:
    """The next block: samples [first, stop) of the problems at ``place_G``.

    Attributes:
        round: round of the design that the block belongs to, from 1.
    """

    place_G: np.ndarray
    first: int
    stop: int
    round: int


def next_draw(
    design: Design,
    verdict_PN: np.ndarray,
    ids: Sequence[str],
    block: int,
    busy_P: np.ndarray | None = None,
    file_samples: int | None = None,
) -> Draw | None:
    """The next block of a design; None if every problem is busy or has reached its stopping point.

    The block depends only on the verdicts and the samples in flight, so an interrupted campaign resumes exactly.
    Problems with the fewest samples come first; those that need the same range share a block. A range ends before
    samples that exist already, so a block with a lost file is drawn anew.

    Args:
        verdict_PN: see ``samples.grades.Graded``.
        block: most sample indices of one block.
        busy_P: problems with samples in flight, so that their next range is not known yet; by default none.
        file_samples: see ``engine.Engine``.
    """
    found, have_P = progress_of(design, verdict_PN)
    free_P = found.going_P if busy_P is None else found.going_P & ~busy_P
    if not free_P.any():
        return None
    limit = verdict_PN.shape[1]
    beyond = np.flatnonzero(free_P & (found.needed_P > limit))
    if len(beyond):
        place = beyond[0]
        raise DataError(
            f"problem {ids[place]}: found {found.samples_P[place]} of {have_P[place]} samples scored, expected "
            f"{design.n_max} within {limit}; the others count as missing ({', '.join(design.unscored)}): raise "
            "sampling.max_tokens or make the grader faster, change sampling.unscored, or drop the problem"
        )
    first = int(have_P[free_P].min())
    group_P = free_P & (have_P == first)
    later_PN = np.pad(verdict_PN[:, first:] != NOT_DRAWN, ((0, 0), (0, 1)), constant_values=True)
    stop_P = np.minimum(np.minimum(found.needed_P, first + block), first + later_PN.argmax(1))
    stop = int(stop_P[group_P].min())
    place_G = np.flatnonzero(group_P & (stop_P == stop))
    if file_samples is not None:
        place_G = place_G[: max(1, file_samples // (stop - first))]
    reached = int(found.samples_P[place_G].min())
    return Draw(place_G, first, stop, 1 + sum(size <= reached for size in design.stops))


def run(
    campaign: Campaign,
    engine: Engine,
    store: SampleStore,
    facts: dict[str, Any],
    tell: Tell,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, str]:
    """Fill the store until every problem has reached its stopping point; returns the hashes of its files by name.

    The caller holds the store's lease.

    Raises:
        ModelError: a prompt and ``max_tokens`` do not fit the context.
        DataError: a block belongs to other problems, or too many samples have no score.
        StoreError: a block has other settings, or the store cannot be written to; whole blocks are kept.
        EngineError: the engine does not start, broke down or repeats its samples; whole blocks are kept.
        Interrupted: ``stopped`` returned True; whole blocks are kept, samples in flight are abandoned.
    """
    job = _Job(campaign, engine, store, facts, tell)
    try:
        # closed at once, so that the engine drops its samples in flight before anything else happens
        with closing(engine.stream(job.work())) as stream:
            for finished in stream:
                if stopped():
                    raise job.interrupted
                if finished is not None:
                    job.take(*finished)
    except EngineError:
        if stopped():  # a signal to the whole process group also ends the processes of an engine
            raise job.interrupted from None
        raise
    job.tell_progress("done")
    return {file.name: file_sha256(file) for file in sorted(job.files)}


class _Job:
    """A running campaign: its open files and the verdicts of the stored ones."""

    def __init__(
        self, campaign: Campaign, engine: Engine, store: SampleStore, facts: dict[str, Any], tell: Tell
    ) -> None:
        self.campaign, self.engine, self.store, self.facts, self.tell = campaign, engine, store, facts, tell
        self.grading = BlockGrading(campaign.kind.grader, campaign.judge, campaign.stop)
        self.ids = [problem.id for problem in campaign.problems]
        self.prompts = [campaign.prompting.ids(engine.tokenizer, problem.prompt) for problem in campaign.problems]
        by_id, limit = dict(zip(self.ids, self.prompts, strict=True)), campaign.sampling.max_tokens
        check_context(engine.context, by_id, limit, "sampling.max_tokens")
        self.mine_P = np.arange(len(self.ids)) % campaign.sampling.shards == campaign.shard - 1
        found = read_stored(store, self.ids, self.mine_P, campaign.design.n_max, facts, tell.line)
        self.verdict_PN, self.greedy_P, self.files = found.verdict_PN, found.greedy_P, found.files
        self.sequences: Sequences | None = None
        self.busy_P = ~self.mine_P  # problems of other shards are never pending here
        self.open: dict[Work, SampleBlock] = {}
        self.drawn = self.tokens = self.round = 0
        self.changed, self.began, self.told = True, 0.0, 0.0

    @property
    def interrupted(self) -> Interrupted:
        """The error after a signal, which names the open files."""
        files = ", ".join(block.path.stem for block in self.open.values())
        return Interrupted(f"stopped by a signal in {files}; whole blocks are kept, run the same command again")

    def work(self) -> Iterator[Work | None]:
        """The blocks to draw, as far as they are decided; None while the next depends on samples in flight."""
        sampling, design = self.campaign.sampling, self.campaign.design
        limits = (sampling.max_tokens, self.engine.ends, sampling.batch)
        greedy, drawn = Decoding(0.0, 1.0, *limits), Decoding(sampling.temperature, sampling.top_p, *limits)
        silent = np.flatnonzero(self.mine_P & ~self.greedy_P)
        if len(silent):
            yield self._begin(self.store.new_greedy(), silent, np.zeros(1, np.int64), greedy)
        while True:
            draw = None
            if self.changed:
                draw = next_draw(
                    design, self.verdict_PN, self.ids, sampling.block, self.busy_P, self.engine.file_samples
                )
            if draw is None and not self.open:
                return
            if draw is None:
                self.changed = False
                yield None
                continue
            if draw.round > self.round:
                self.round = draw.round
                self.tell.line(f"round {draw.round}/{len(design.stops)}: {self._going()} problems go on")
            self.busy_P[draw.place_G] = True
            path = self.store.new_block(draw.first, draw.stop, {block.path for block in self.open.values()})
            yield self._begin(path, draw.place_G, np.arange(draw.first, draw.stop), drawn)

    def _going(self) -> str:
        going_P = progress_of(self.campaign.design, self.verdict_PN)[0].going_P
        return f"{int((going_P & self.mine_P).sum())} of {int(self.mine_P.sum())}"

    def _begin(self, path: Path, place_G: np.ndarray, index_B: np.ndarray, decoding: Decoding) -> Work:
        if not self.began:
            self.engine.start()
            self.began = self.told = time.perf_counter()
        problems = [self.campaign.problems[place] for place in place_G]
        root = ("sample", self.campaign.sampling.seed, *self.campaign.name)
        seed_GB = np.stack(
            [randomness.sample_seeds(randomness.key(*root, problem.id), index_B) for problem in problems]
        )
        work = Work([self.prompts[place] for place in place_G], seed_GB, decoding)
        self.open[work] = SampleBlock(path, place_G, index_B, problems)
        return work

    def take(self, work: Work, responses: Responses) -> None:
        """Grade finished responses, write the file when it is complete, and report progress."""
        block = self.open[work]
        block.take(self.grading, self.engine.tokenizer, responses)
        self.drawn += len(responses.length_S)
        self.tokens += int(responses.length_S.sum())
        if block.whole:
            self._store(block, work)
        if block.whole or time.perf_counter() - self.told > SECONDS_BETWEEN_LINES:
            self.tell_progress(block.path.stem)

    def _store(self, block: SampleBlock, work: Work) -> None:
        """Write a complete file and enter its verdicts."""
        rows, drawn = block.rows(), work.decoding.temperature > 0
        if drawn:
            self._sequences().check(rows, block.path.name)
        write_table(block.path, rows.cast(SAMPLES), self.facts)
        del self.open[work]
        self.files.append(block.path)
        if drawn:
            add_verdicts(self.verdict_PN, rows, self.ids, block.path)
            self.busy_P[block.place_G] = False
            self.changed = True

    def _sequences(self) -> Sequences:
        """The token sequences of the stored samples; those of earlier processes are read from the files."""
        if self.sequences is None:
            self.sequences, greedy = Sequences(), self.store.greedy()
            for file in self.files:
                if file not in greedy:
                    self.sequences.add(sample_rows(file, COLUMNS))
        return self.sequences

    def tell_progress(self, where: str) -> None:
        """Report the campaign's progress."""
        if not self.began:
            return
        self.told = time.perf_counter()
        flying = sum(block.verdicts.total() for block in self.open.values())
        pace = Pace(self.drawn, self.tokens, flying, self.told - self.began)
        progress = progress_at(self.campaign.design, self.verdict_PN[self.mine_P], pace)
        self.tell.line(f"{where}: {progress.line()}")
        self.tell.record({"file": where, **progress.record()})
