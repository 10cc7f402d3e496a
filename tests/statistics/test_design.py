"""The sequential design: when a problem stops, decided by the order of sample indices and nothing else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary_bench.core.errors import StatisticsError
from boundary_bench.statistics.design import Design, Progress, plan_rounds, progress

RIGHT, WRONG, UNSCORED = "1", "0", "?"


def state(design: Design, *samples: str, width: int = 24) -> Progress:
    """The progress of problems whose samples are written as 1 (correct), 0 (not) and ? (no score)."""
    score_PN = np.array([list(text.ljust(width, RIGHT)) for text in samples])
    return progress(design, np.array([len(text) for text in samples]), score_PN != UNSCORED, score_PN == RIGHT)


def columns(found: Progress) -> list[list[int]]:
    """samples, correct, used, needed of each problem."""
    return np.stack([found.samples_P, found.correct_P, found.used_P, found.needed_P], 1).tolist()


@pytest.mark.parametrize(
    ("n_max", "stop_after", "rounds"),
    [
        (1024, 32, (64, 128, 256, 512, 1024)),
        (1024, 1, (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)),
        (1024, 300, (1024,)),
        (1024, None, (1024,)),
        (1000, 32, (125, 250, 500, 1000)),
        (100, 32, (100,)),
        (1, 1, (1,)),
        (7, None, (7,)),
    ],
)
def test_rounds_double_up_to_n_from_twice_the_successes(
    n_max: int, stop_after: int | None, rounds: tuple[int, ...]
) -> None:
    assert plan_rounds(n_max, stop_after) == rounds


@given(st.integers(1, 5000), st.integers(1, 200))
def test_planned_rounds_are_a_design(n_max: int, stop_after: int) -> None:
    rounds = plan_rounds(n_max, stop_after)
    assert Design(rounds, stop_after).n_max == n_max
    assert all(2 * a == b for a, b in pairwise(rounds))
    assert len(rounds) == 1 or rounds[0] >= 2 * stop_after


@pytest.mark.parametrize(
    ("rounds", "stop_after", "message"),
    [
        ((), 1, r"found rounds \[\], expected increasing sizes from 1"),
        ((0, 4), 1, r"found rounds \[0, 4\]"),
        ((4, 4), 1, r"found rounds \[4, 4\]"),
        ((8, 4), 1, r"found rounds \[8, 4\]"),
        ((4, 8), 0, r"found stop_after 0, expected 1 or more"),
    ],
)
def test_a_design_that_is_none_is_refused(rounds: tuple[int, ...], stop_after: int, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        Design(rounds, stop_after)


@pytest.mark.parametrize(("n_max", "stop_after", "found"), [(0, 1, "n_max 0"), (4, 0, "stop_after 0")])
def test_rounds_of_nothing_are_refused(n_max: int, stop_after: int, found: str) -> None:
    with pytest.raises(StatisticsError, match=f"found {found}"):
        plan_rounds(n_max, stop_after)


def test_without_a_number_of_successes_only_the_last_round_ends_a_problem() -> None:
    assert Design((4, 8), None).stops == (8,) and Design((4, 8), 2).stops == (4, 8)
    assert columns(state(Design((4, 8)), "1111", "11111111")) == [[4, 4, 4, 8], [8, 8, 8, 8]]


def test_a_problem_stops_at_the_end_of_the_first_round_with_enough_successes() -> None:
    found = state(Design((4, 8, 12), 2), "1100", "1000", "10000001", "100000000001", "000000000000", "", "11")
    assert columns(found) == [
        [4, 2, 4, 4],
        [4, 1, 4, 8],
        [8, 2, 8, 8],
        [12, 2, 12, 12],
        [12, 0, 12, 12],
        [0, 0, 0, 4],
        [2, 2, 2, 4],
    ]
    assert found.going_P.tolist() == [False, True, False, False, False, True, True]


def test_only_the_order_of_indices_counts() -> None:
    """Two successes at the end of a round and two after it are different, whichever was finished first."""
    early, late = columns(state(Design((4, 8), 2), "0011" + "0000", "0001" + "1000"))
    assert early == [4, 2, 4, 4] and late == [8, 2, 8, 8]


def test_samples_beyond_the_stopping_point_are_ignored() -> None:
    design = Design((4, 8), 2)
    assert columns(state(design, "1100" + "1111")) == columns(state(design, "1100")) == [[4, 2, 4, 4]]
    assert columns(state(design, "10000000" + "1111")) == [[8, 1, 8, 8]]


def test_an_unscored_sample_is_replaced_by_the_next_index() -> None:
    design = Design((4, 8), 2)
    assert columns(state(design, "1?10", "1?100", "???1", "10000?00", "10000?001")) == [
        [3, 2, 4, 5],
        [4, 2, 5, 5],
        [1, 1, 4, 7],
        [7, 1, 8, 9],
        [8, 2, 9, 9],
    ]


def test_no_problem_is_no_fault() -> None:
    assert columns(progress(Design((4,)), np.zeros(0, int), np.zeros((0, 4), bool), np.zeros((0, 4), bool))) == []


designs = st.builds(
    lambda sizes, m: Design(tuple(sorted(sizes)), m),
    st.sets(st.integers(1, 12), min_size=1, max_size=4),
    st.one_of(st.none(), st.integers(1, 5)),
)


def simulated(design: Design, samples: str) -> list[int]:
    """Sample by sample: count, and ask at the end of each round whether to go on."""
    scored = correct = 0
    ends = list(design.rounds if design.stop_after is not None else design.rounds[-1:])
    for used, sample in enumerate(samples, 1):
        scored, correct = scored + (sample != UNSCORED), correct + (sample == RIGHT)
        if sample != UNSCORED and scored == ends[0]:
            if len(ends) == 1 or (design.stop_after is not None and correct >= design.stop_after):
                return [scored, correct, used, used]
            ends.pop(0)
    return [scored, correct, len(samples), len(samples) + ends[0] - scored]


@given(designs, st.lists(st.text("01?", max_size=24), min_size=1, max_size=5))
def test_progress_is_that_of_a_plain_simulation(design: Design, samples: list[str]) -> None:
    assert columns(state(design, *samples)) == [simulated(design, text) for text in samples]


@given(designs, st.text("01?", min_size=24, max_size=24))
def test_drawing_what_is_needed_ends_where_drawing_everything_ends(design: Design, samples: str) -> None:
    """A campaign that draws round by round stops at the same sample as one that has all of them."""
    drawn = 0
    while True:
        found = state(design, samples[:drawn])
        needed = int(found.needed_P[0])
        if not found.going_P[0] or needed > len(samples):
            break
        assert needed > drawn
        drawn = needed
    if not found.going_P[0]:
        assert columns(found) == columns(state(design, samples))
        assert found.used_P[0] == drawn, "nothing was drawn in vain"
