"""The campaign: rounds, blocks, resuming; what was drawn is never drawn again and never thrown away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaigns import (
    CORRECT,
    DESIGN,
    FACTS,
    PROBLEMS,
    TIMEOUT,
    WRONG,
    Samples,
    Shuffling,
    Store,
    interrupted_after,
    same,
    stopping,
    stoppings,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from boundary_bench.benchmarks.countdown import COUNTDOWN
from boundary_bench.core.errors import DataError, EngineError, GradingError, Interrupted
from boundary_bench.core.parquet import read_table
from boundary_bench.grading import NO_ANSWER, VERDICTS, judge_here
from boundary_bench.grading.graders import MATH
from boundary_bench.grading.judging import Judge
from boundary_bench.samples.grades import NOT_DRAWN, SPARE, block_range
from boundary_bench.samples.store import SampleStore
from boundary_bench.sampling.campaign import Campaign, Tell, next_draw, run
from boundary_bench.sampling.engine import Responses, Work
from boundary_bench.sampling.torch.engine import TorchEngine
from boundary_bench.statistics.design import Design
from boundary_bench.study.sampling import Sampling


def test_every_problem_is_sampled_to_its_stopping_point_and_no_further(store: Store, fixed: Samples) -> None:
    store.run()
    assert store.sizes() == stoppings(DESIGN, fixed)
    assert set(store.sizes()) == {8, 16, 32}, "the problems must stop in different rounds for this to say anything"
    assert [file.name for file in SampleStore(store.folder).blocks()] == [
        "block-000000-000008.parquet",
        "block-000008-000016.parquet",
        "block-000016-000032.parquet",
    ]


def test_the_samples_are_those_of_the_fixed_design(store: Store, fixed: Samples) -> None:
    store.run()
    assert same(store.samples(), fixed) >= 0.999


@pytest.mark.parametrize("block", [1, 3, 8, 20])
def test_blocks_shape_files_and_nothing_else(store: Store, fixed: Samples, block: int) -> None:
    store.run(block=block)
    ranges = [block_range(file) for file in SampleStore(store.folder).blocks()]
    assert max(stop - first for first, stop in ranges) == min(block, 16)
    assert store.sizes() == stoppings(DESIGN, fixed) and same(store.samples(), fixed) >= 0.999


def test_all_files_of_the_store_are_declared(store: Store) -> None:
    assert store.run() == store.files() and "greedy.parquet" in store.files()
    assert len(store.rows()["greedy.parquet"]) == len(PROBLEMS)


CHANGES = {
    "n_max raised": Design((8, 16, 32, 64), 3),
    "n_max lowered": Design((8, 16), 3),
    "stop_after lowered": Design((8, 16, 32), 1),
    "stop_after raised": Design((8, 16, 32), 7),
    "stop_after null": Design((32,)),
    "stop_after null and n_max raised": Design((50,)),
    "other rounds": Design((4, 12, 32), 3),
    "everything": Design((5, 30, 64), 10),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_design_draws_only_what_is_missing(store: Store, fixed: Samples, change: str) -> None:
    store.run()
    files, sizes = store.files(), store.sizes()
    found = store.run(CHANGES[change])
    assert {name: found[name] for name in files} == files, "a stored file is never rewritten"
    expected = stoppings(CHANGES[change], fixed)
    assert store.sizes() == [max(pair) for pair in zip(sizes, expected, strict=True)]
    assert same(store.samples(), fixed) >= 0.999
    assert store.run(CHANGES[change]) == found and store.run() == found, "and there is nothing left to draw"


def test_problems_that_had_stopped_go_on_in_files_of_their_own(store: Store) -> None:
    store.run(Design((8, 16), 1))
    first = {row["problem_id"] for row in store.rows()["block-000008-000016.parquet"]}
    store.run(Design((8, 16), 4))
    second = {row["problem_id"] for row in store.rows()["block-000008-000016-1.parquet"]}
    store.run(Design((16,)))
    third = {row["problem_id"] for row in store.rows()["block-000008-000016-2.parquet"]}
    assert first and second and third and len(first) + len(second) + len(third) == len(first | second | third)
    assert store.sizes() == [16] * len(PROBLEMS)


def test_samples_without_a_score_are_replaced_by_further_ones(store: Store, other: Store) -> None:
    other.run(Design((64,)), unscored=0.25)
    store.run(unscored=0.25)
    assert store.sizes() == stoppings(DESIGN, other.samples()) and max(store.sizes()) > DESIGN.n_max
    scored = [sum(row["verdict"] != "timeout" for row in rows.values()) for rows in store.samples().values()]
    assert set(scored) <= set(DESIGN.rounds) and min(scored) < max(scored)
    assert any("unscored" in line for line in store.lines)


def test_cut_off_samples_are_replaced_where_the_study_counts_them_as_missing(store: Store, other: Store) -> None:
    design = replace(DESIGN, unscored=("timeout", "truncated"))
    other.run(design, max_tokens=18)
    assert other.sizes() == stoppings(design, other.samples()) and max(other.sizes()) > DESIGN.n_max
    assert other.records[-1]["unscored"] == other.records[-1]["truncated"] > 0
    store.run(max_tokens=18)
    before = store.files()
    store.run(design, max_tokens=18)
    assert before.items() < store.files().items(), "what is there stays"
    assert all(size >= stop for size, stop in zip(store.sizes(), stoppings(design, store.samples()), strict=True))


def test_too_many_samples_without_a_score_are_an_error_that_counts_them(store: Store) -> None:
    shape = r"problem (\w+): found (\d+) of (\d+) samples scored, expected 32 within 64; .* or drop the problem"
    with pytest.raises(DataError, match=shape) as caught:
        store.run(Design((32,)), unscored=1.0)
    problem, scored, drawn = re.search(shape, str(caught.value)).groups()
    rows = store.samples()[problem].values()
    assert len(rows) == int(drawn) and sum(row["verdict"] != "timeout" for row in rows) == int(scored)
    assert int(drawn) + 32 - int(scored) > 64 and min(store.sizes()) >= 32, "what was drawn is kept"


@pytest.mark.parametrize("calls", [0, 1, 2, 3, 5])
def test_a_campaign_that_is_interrupted_ends_with_the_same_files(store: Store, other: Store, calls: int) -> None:
    other.run(block=5, unscored=0.1)
    for _ in range(100):
        try:
            store.run(block=5, unscored=0.1, stopped=interrupted_after(calls + 2))
            break
        except Interrupted as stop:
            assert re.search(
                r"stopped by a signal in (greedy|block-\d{6}-\d{6}).*run the same command again", str(stop)
            )
            assert not list(store.folder.glob(".*.tmp"))
    assert store.rows() == other.rows()


def test_a_grader_in_processes_of_its_own_gives_the_verdicts_of_one_that_is_called(
    engine: TorchEngine, tmp_path: Path
) -> None:
    """math-verify compares what stands behind the last sign of equality with the target."""
    in_processes: dict[str, Any] = {"quick": lambda reference, answer: None}
    lenient = replace(MATH, extract=lambda response: response.split("=")[-1] or NO_ANSWER, **in_processes)
    problems = COUNTDOWN.generate("dev", 0, COUNTDOWN.options)[:4]
    problems = [replace(problem, reference=problem.prompt.split("=")[1].rstrip(":")) for problem in problems]
    kind, sampling = replace(COUNTDOWN, grader=lenient), Sampling(n_max=64, stop_after=None, max_tokens=24)
    with Judge(tmp_path / "judgements") as judge:
        campaign = Campaign(kind, problems, sampling, Design((64,)), ("policy", "benchmark"), judge=judge)
        run(campaign, engine, SampleStore(tmp_path / "store"), FACTS, Tell(lambda line: None))
    rows = read_table(tmp_path / "store/block-000000-000064.parquet")[0].to_pylist()
    reference_of = {problem.id: problem.reference for problem in problems}
    for row in rows:
        if row["verdict"] != "truncated":
            assert row["verdict"] == lenient.grade(reference_of[row["problem_id"]], row["response"]).verdict
    assert {"correct", "wrong"} <= {row["verdict"] for row in rows}
    with pytest.raises(GradingError, match="may hang"):
        run(replace(campaign, judge=judge_here), engine, SampleStore(tmp_path / "other"), FACTS, Tell(print))


# an engine that works on several files at once


@pytest.mark.parametrize("pieces", [1, 2, 5, 50])
def test_files_in_flight_together_hold_the_samples_of_the_design(
    engine: TorchEngine, store: Store, fixed: Samples, pieces: int
) -> None:
    store.engine = Shuffling(engine, pieces)
    store.run(unscored=0.0)
    assert store.sizes() == stoppings(DESIGN, fixed) and same(store.samples(), fixed) >= 0.999
    assert max(len(rows) for name, rows in store.rows().items() if name != "greedy.parquet") <= 20
    assert [row["problem_id"] for row in store.rows()["greedy.parquet"]] == [problem.id for problem in PROBLEMS]


def test_problems_go_on_while_others_are_in_flight(engine: TorchEngine, store: Store) -> None:
    """With one problem a file, its next round does not wait for the first one of all the others."""
    store.engine = Shuffling(engine, 3, file_samples=1)
    store.run(block=4)
    files = [line.split(":")[0] for line in store.lines if line.startswith("block-")]
    assert files != sorted(files, key=lambda name: int(name.split("-")[1])), "the ranges must overlap in time"
    assert [line.split(":")[0] for line in store.lines if line.startswith("round")] == [
        f"round {i}/3" for i in (1, 2, 3)
    ]


@pytest.mark.parametrize("calls", [0, 3, 9])
def test_an_interruption_abandons_what_is_in_flight_and_keeps_the_files(
    engine: TorchEngine, store: Store, fixed: Samples, calls: int
) -> None:
    for seed in range(200):
        store.engine = Shuffling(engine, 4, seed)
        before = store.files()
        try:
            store.run(block=5, stopped=interrupted_after(calls + 12))
            break
        except Interrupted as stop:
            assert "whole blocks are kept" in str(stop) and len(re.findall(r"greedy|block-", str(stop))) >= 1
        assert before.items() <= store.files().items()
    assert store.sizes() == stoppings(DESIGN, fixed) and same(store.samples(), fixed) >= 0.999


@dataclass(frozen=True)
class Breaking(Shuffling):
    """An engine that breaks down after its first few problems."""

    def stream(self, work: Iterator[Work | None]) -> Iterator[tuple[Work, Responses] | None]:
        yield from islice(super().stream(work), 40)
        raise EngineError("broke down")


@pytest.mark.parametrize(("signalled", "kind"), [(False, EngineError), (True, Interrupted)])
def test_an_engine_that_breaks_down_is_an_error_unless_a_signal_ended_it(
    engine: TorchEngine, store: Store, fixed: Samples, signalled: bool, kind: type[Exception]
) -> None:
    """Ctrl-C in a terminal reaches the processes of an engine too."""
    store.engine = Breaking(engine, 2)
    with pytest.raises(kind, match="broke down" if kind is EngineError else "stopped by a signal in block-"):
        store.run(stopped=interrupted_after(40) if signalled else lambda: False)
    assert store.files()
    store.engine = engine
    store.run()
    assert store.sizes() == stoppings(DESIGN, fixed)


def test_a_sample_that_is_there_twice_is_an_error(store: Store) -> None:
    store.run()
    copy = store.folder / "block-000008-000016-1.parquet"
    copy.write_bytes((store.folder / "block-000008-000016.parquet").read_bytes())
    with pytest.raises(DataError, match=r"block-000008-000016-1\.parquet: found sample 8 of problem \w+ .* once more"):
        store.run()


def test_files_that_are_no_blocks_are_refused(store: Store) -> None:
    store.run()
    block = store.folder / "block-000008-000016.parquet"
    wrong = block.rename(store.folder / "block-000016-000024.parquet")
    with pytest.raises(DataError, match=r"000024\.parquet: found sample index 8, expected 16 to 23 as its name says"):
        store.run()
    wrong.rename(store.folder / "block-000008-000016 (copy).parquet")
    with pytest.raises(DataError, match=r"\(copy\)\.parquet: this is no name of a block, .* move the file away"):
        store.run()


def test_progress_says_the_round_and_how_many_problems_go_on(store: Store) -> None:
    store.run(block=4)
    rounds = [line for line in store.lines if line.startswith("round")]
    assert rounds[0] == "round 1/3: 7 of 7 problems go on" and len(rounds) == 3
    assert rounds[1:] == [
        f"round {i}/3: {sum(size > stop for size in store.sizes())} of 7 problems go on"
        for i, stop in ((2, 8), (3, 16))
    ]
    shape = r"\S+: \d/7 problems  solved \d  \d+ samples/s  \d+ tokens/s  truncated \d+  unscored 0  left \d+ s or more"
    lines = [line for line in store.lines if not line.startswith("round")]
    assert all(re.fullmatch(shape, line) for line in lines) and len(lines) == len(store.records)
    by_problem = [[row["verdict"] for row in rows.values()] for rows in store.samples().values()]
    last, verdicts = store.records[-1], [name for names in by_problem for name in names]
    assert last["file"] == "done" and (last["done"], last["problems"], last["seconds_left"]) == (7, 7, 0)
    assert (last["samples"], last["truncated"]) == (len(verdicts), verdicts.count("truncated"))
    assert last["solved"] == sum(
        any(r["verdict"] == "correct" for r in rows.values()) for rows in store.samples().values()
    )
    assert [record["samples"] for record in store.records] == sorted(record["samples"] for record in store.records)


# which block comes next, without a model

designs = st.builds(
    lambda sizes, m: Design(tuple(sorted(sizes)), m),
    st.sets(st.integers(1, 10), min_size=1, max_size=4),
    st.one_of(st.none(), st.integers(1, 4)),
)
outcomes = st.lists(st.lists(st.sampled_from([CORRECT, WRONG, WRONG, TIMEOUT]), min_size=20, max_size=20), min_size=1)


def fill(design: Design, verdict_PN: np.ndarray, outcome_PN: np.ndarray, block: int) -> list[tuple[int, int]]:
    """Run a campaign whose outcomes are known: the ranges that it draws."""
    ids = [f"p{place}" for place in range(len(outcome_PN))]
    ranges = []
    while (draw := next_draw(design, verdict_PN, ids, block)) is not None:
        part = np.ix_(draw.place_G, np.arange(draw.first, draw.stop))
        assert len(draw.place_G) and 0 < draw.stop - draw.first <= block
        assert (verdict_PN[part] == NOT_DRAWN).all(), "nothing is drawn twice"
        assert 1 <= draw.round <= len(design.stops)
        verdict_PN[part] = outcome_PN[part]
        ranges.append((draw.first, draw.stop))
    return ranges


@given(designs, designs, outcomes, st.integers(1, 12), st.data())
def test_a_campaign_ends_where_counting_one_by_one_ends(
    before: Design, design: Design, outcomes: list[list[int]], block: int, data: st.DataObject
) -> None:
    """Whatever an earlier design left behind, and whichever of its files is lost."""
    outcome_PN = np.array(outcomes)
    verdict_PN = np.full((len(outcome_PN), SPARE * 10), NOT_DRAWN)
    verdicts = [[VERDICTS[code] for code in row] for row in outcomes]
    expected = [stopping(design, names) for names in verdicts]
    assume(None not in expected and None not in [stopping(before, names) for names in verdicts])
    ranges = fill(before, verdict_PN, outcome_PN, block)
    first, stop = data.draw(st.sampled_from(ranges))
    verdict_PN[:, first:stop] = NOT_DRAWN
    fill(design, verdict_PN, outcome_PN, block)
    for place, used in enumerate(expected):
        assert (verdict_PN[place, :used] == outcome_PN[place, :used]).all()
    assert next_draw(design, verdict_PN, ["p"] * len(outcomes), block) is None


def test_busy_problems_are_left_alone_and_files_hold_what_was_asked_for() -> None:
    verdict_PN = np.full((5, 16), NOT_DRAWN)
    verdict_PN[4, :4] = WRONG
    ids, design = list("abcde"), Design((4, 8), 3)
    busy_P = np.zeros(5, bool)
    found = []
    while (draw := next_draw(design, verdict_PN, ids, 100, busy_P, file_samples=8)) is not None:
        busy_P[draw.place_G] = True
        found.append((draw.place_G.tolist(), draw.first, draw.stop))
    assert found == [([0, 1], 0, 4), ([2, 3], 0, 4), ([4], 4, 8)]
    busy_P[:] = False
    draw = next_draw(design, verdict_PN, ids, 100, busy_P, file_samples=1)
    assert draw is not None and draw.place_G.tolist() == [0], "one problem at least"


def test_problems_that_need_another_range_are_drawn_apart() -> None:
    verdict_PN = np.full((4, 16), NOT_DRAWN)
    verdict_PN[:, :4] = WRONG
    verdict_PN[1, 2] = TIMEOUT
    verdict_PN[2, :4] = CORRECT
    verdict_PN[3, 6] = WRONG
    ids, design = list("abcd"), Design((4, 8), 3)
    ranges = []
    while (draw := next_draw(design, verdict_PN, ids, 100)) is not None:
        verdict_PN[draw.place_G, draw.first : draw.stop] = WRONG
        ranges.append((draw.place_G.tolist(), draw.first, draw.stop, draw.round))
    assert ranges == [
        ([1], 4, 5, 1),  # one more replaces the sample without a score
        ([3], 4, 6, 2),  # up to the sample that is there
        ([0], 4, 8, 2),
        ([1], 5, 9, 2),
        ([3], 7, 8, 2),
    ]
