"""Two results against each other: what moved is found with its sign, and what did not is not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claim_tables import edit
from contrasts import BETTER, COUNTS, PUBLISHED, STEP4, P, copied, made, rewrite
from expected import exact

from boundary_bench.commands import main
from boundary_bench.core.parquet import read_table, write_table
from boundary_bench.operations.diff import Cell, Contrast, State, contrast
from boundary_bench.operations.diff.numbers import RATE, paired_cells, with_rates
from boundary_bench.operations.diff.text import text
from boundary_bench.statistics.design import Design
from boundary_bench.statistics.sequential import sequential_pass_at_k
from boundary_bench.tables.reading import Subject
from results import STEP2


def of(found: Contrast, policy: str, what: str = "pass@k") -> list[Cell]:
    return [cell for cell in found.numbers.cells if cell.place.policy == policy and cell.what == what]


# numbers


def test_the_same_data_are_identical(before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Made twice, so that files differ in what they say of the machine and the time."""
    again = made(tmp_path / "again")
    found = contrast(before, again)
    assert {cell.state for cell in found.numbers.cells} == {State.IDENTICAL}
    assert len(found.numbers.cells) == 3 * 4 and all(cell.q is None for cell in found.numbers.cells)
    assert not found.moved() and not found.settings.values
    assert main(["diff", str(before), str(again)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("12 cells compared, 0 moved at FDR 5%, 12 identical, 12 the same to -+0.05; ")
    assert last.endswith(" verdicts compared, 0 moved")


def test_a_shift_is_found_with_its_sign(before: Path, better: Path) -> None:
    found, back = contrast(before, better), contrast(better, before)
    assert {cell.state for name in ("base-model", STEP2) for cell in of(found, name)} == {State.IDENTICAL}
    for cell, reverse in zip(of(found, STEP4), of(back, STEP4), strict=True):
        assert (cell.a, cell.b) == pytest.approx((exact(2, cell.k), exact(7, cell.k)))
        assert cell.difference == pytest.approx(cell.b - cell.a) and cell.difference == -reverse.difference
        if cell.difference:  # of eight draws either count is sure to hit
            assert cell.moved and reverse.moved and not cell.equal
            assert cell.low is not None and cell.high is not None and 0 < cell.low < cell.difference <= cell.high
    assert {cell.k for cell in found.numbers.moved} == {1, 2, 4}
    assert found.moved() and found.moved("numbers") and found.moved("verdicts")
    changes = {move.where: move for move in found.verdicts.moved if move.kind == "change"}
    assert changes["base-model grpo seed 0 step 4 countdown, k 1"].b == "expanded"
    assert "moved, q " in changes["base-model grpo seed 0 step 4 countdown, k 1"].note


def test_where_the_base_moved_the_changes_are_compared_too(before: Path, tmp_path: Path) -> None:
    found = contrast(before, made(tmp_path / "other", COUNTS | {"base-model": [6] * P}))
    assert not any(cell.what == "change" for cell in contrast(before, before).numbers.cells)
    for name in (STEP2, STEP4):
        (pass_at_1, *_), (change, *_) = of(found, name), of(found, name, "change")
        assert pass_at_1.state == State.IDENTICAL and not pass_at_1.moved
        assert change.difference == pytest.approx(exact(2, 1) - exact(6, 1)) and change.moved
    assert not of(found, "base-model", "change") and of(found, "base-model")[0].moved


def test_counts_of_another_order_are_the_same_problems(before: Path, tmp_path: Path) -> None:
    turned = copied(before, tmp_path)
    for path in turned.glob("measures/*/*/problems.parquet"):
        table, facts = read_table(path)
        write_table(path, table.take(list(reversed(range(P)))), {k: v for k, v in facts.items() if k != "sha256"})
    assert {cell.state for cell in contrast(before, turned).numbers.cells} == {State.IDENTICAL}


@pytest.mark.parametrize("other", [{}, {"rounds": [4, 8], "stop_after": 4}], ids=["fixed n", "another stop"])
def test_other_designs_are_paired(other: dict[str, Any], before: Path, tmp_path: Path) -> None:
    """Even where they came to the same counts, of which they estimate in other ways."""
    found = contrast(before, made(tmp_path / "other", sampling={"n_max": 8, **other}))
    assert {pair.state for pair in found.numbers.pairs} == {State.PAIRED}
    assert not found.numbers.moved and all(cell.p == pytest.approx(1) for cell in found.numbers.cells)
    assert "study.sampling.stop_after" in {value.path for value in found.settings.values}


def test_other_problems_are_not_paired(before: Path, tmp_path: Path) -> None:
    found = contrast(before, made(tmp_path / "other", BETTER, first=4))
    assert {pair.state for pair in found.numbers.pairs} == {State.OTHER} and not found.numbers.cells
    assert f"on countdown: other problems: A has {P}, B {P}, {P - 4} are the same" in text(found)
    assert "0 cells compared, 0 moved" in text(found)


def test_tables_alone_give_no_interval(before: Path, better: Path, tmp_path: Path) -> None:
    found = contrast(copied(before, tmp_path, tables_alone=True), better)
    assert {pair.state for pair in found.numbers.pairs} == {State.IDENTICAL, State.UNPAIRED}
    first, *_, last = of(found, STEP4)
    assert first.difference == pytest.approx(exact(7, 1) - exact(2, 1), rel=1e-5)
    assert (first.low, first.high, first.p, first.q, first.outside) == (None, None, None, None, True)
    assert last.difference == 0 and last.outside is False
    assert not found.moved("numbers") and found.moved("verdicts"), "verdicts need no interval"
    assert "not paired: 1 on countdown: a paired interval needs measures/, which A lacks\n" in text(found)
    assert "4 not paired, of which nothing is said" in text(found)


def counts(rng: np.random.Generator, design: Design, rate_P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """n and c of problems with these success rates, sampled until the design lets them end."""
    ends = []
    for hits_N in rng.random((len(rate_P), design.n_max)) < rate_P[:, None]:
        sums = [(size, int(hits_N[:size].sum())) for size in design.stops]
        ends.append(next((end for end in sums if end[1] >= (design.stop_after or 0)), sums[-1]))
    n_P, c_P = np.array(ends).T
    return n_P, c_P


def studies(rng: np.random.Generator, worse: int, times: int) -> list[list[Cell]]:
    """Cells of studies of 6 policies, A and B sampled from the same rates but for the first few, which B has lower."""
    design, ks, found = Design((16, 32, 64), 4), [1, 4, 16, 64], []
    for _ in range(times):
        rate_P = rng.beta(0.6, 0.6, 40)
        cells: list[Cell] = []
        for j in range(6):
            of_a = rate_P ** rng.uniform(0.6, 1.4)
            both = (counts(rng, design, rates) for rates in (of_a, of_a * (0.4 if j < worse else 1)))
            value_2PK = [sequential_pass_at_k(design, *each, ks) for each in both]
            cells += paired_cells("pass@k", Subject("m", "grpo", "0", j, "b"), ks, *value_2PK, largest=1.0)
        found.append(with_rates(cells))
    return found


def test_sampled_again_nothing_moves() -> None:
    """A false move in at most one study of twenty; exactly that is what the false discovery rate of nothing is."""
    found = studies(np.random.default_rng(0), worse=0, times=100)
    assert sum(any(cell.moved for cell in cells) for cells in found) <= 100 * RATE
    assert np.mean([cell.p < 0.05 for cells in found for cell in cells if cell.p is not None]) <= 0.05
    assert any(cell.difference for cells in found for cell in cells)


def test_few_of_what_moved_did_not() -> None:
    found = studies(np.random.default_rng(1), worse=3, times=60)
    false = [np.mean([cell.place.step >= 3 for cell in cells if cell.moved] or [0]) for cells in found]
    power = np.mean([cell.moved for cells in found for cell in cells if cell.place.step < 3 and cell.k == 4])
    assert np.mean(false) <= RATE and power > 0.5
    assert all(cell.difference < 0 for cells in found for cell in cells if cell.moved and cell.place.step < 3)


def test_a_difference_of_differences_is_as_careful() -> None:
    """A problem may change by two where both policies and bases are sampled anew."""
    rng, design, false = np.random.default_rng(2), Design((32,)), 0
    for _ in range(200):
        rate_P = rng.beta(0.6, 0.6, 40)
        pass_4PK = [sequential_pass_at_k(design, *counts(rng, design, rate_P), [1, 8, 32]) for _ in range(4)]
        value_2PK = pass_4PK[0] - pass_4PK[1], pass_4PK[2] - pass_4PK[3]
        cells = paired_cells("change", Subject("m", "grpo", "0", 1, "b"), [1, 8, 32], *value_2PK, largest=2.0)
        false += any(cell.moved for cell in with_rates(list(cells)))
    assert false <= 200 * RATE


# verdicts


def published(tmp_path: Path) -> Path:
    shutil.copytree(PUBLISHED / "tables", tmp_path / "published" / "tables")
    return tmp_path / "published"


def test_verdicts_that_moved_are_named(tmp_path: Path) -> None:
    other = published(tmp_path)
    edit(other / "tables" / "differences.csv", 0, change="shrunk")
    edit(other / "tables" / "stages.csv", 0, course="rises, then falls")
    found = contrast(PUBLISHED, other)
    moved = {move.kind: move for move in found.verdicts.moved}
    assert len(found.verdicts.moved) == 2
    assert (
        moved["change"].where == "countdown-base grpo seed 0 step 20 countdown, k 1" and moved["change"].b == "shrunk"
    )
    assert moved["change"].note == "number identical: level, margin or code are not"
    assert moved["course"].where == "countdown-base grpo seed 0 countdown, pass@1"
    assert moved["course"].b == "rises, then falls"
    assert found.moved("verdicts") and not found.moved("numbers")
    assert "  countdown-base grpo seed 0 countdown, pass@1: " in text(found)


def test_a_claim_that_moved_is_named(tmp_path: Path) -> None:
    """At k = 1 what was gained is lost."""
    other = published(tmp_path)

    def lose(row: dict[str, str]) -> dict[str, str]:
        ends = {"difference": "difference", "low": "high", "high": "low"}
        lost = {name: str(-float(row[of])) for name, of in ends.items()}
        return row | lost if row["k"] == "1" else row

    rewrite(other / "tables" / "differences.csv", lose)
    found = contrast(PUBLISHED, other)
    (whole,) = [move for move in found.verdicts.moved if (move.kind, move.where[:11]) == ("claim", "yue-above-a")]
    assert whole.a == "supported" and whole.b == "contradicted"
    assert any(
        move.kind == "claim of a run" and (move.a, move.b) == ("supported", "contradicted")
        for move in found.verdicts.moved
    )


def test_runs_of_one_side_are_counted_and_move_nothing(tmp_path: Path) -> None:
    other = published(tmp_path)
    for path in (other / "tables").glob("*.csv"):
        rewrite(path, lambda row: None if row.get("seed") in ("1", "2") else row)
    found = contrast(PUBLISHED, other)
    assert found.numbers.only_a.cells == 2 * 4 * 4 * 2 * 11 and found.numbers.only_a.values == {"seed": ["1", "2"]}
    assert found.numbers.only_b.cells == 0 and not found.verdicts.moved
    assert "only in A: 704 cells (seed 1, 2)" in text(found)


def test_courses_over_other_steps_are_left_out(before: Path, tmp_path: Path) -> None:
    found = contrast(before, made(tmp_path / "fewer", evaluate={"steps": [0, 4]}))
    assert found.verdicts.left_out == 4 + 2 and found.verdicts.compared["course"] == 0
    assert found.numbers.only_a.values == {"step": ["2"]} and not found.moved()
