"""Means over the training seeds: their tables against those of the seeds, and an interval that holds for others."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
from expected import CORRECT, KS, ONE_RUN, analysed, near, one

from boundary_bench.core.errors import StatisticsError
from boundary_bench.plan import Plan
from boundary_bench.plan.stages import identity
from boundary_bench.report import pivots
from boundary_bench.report.tables import Tables
from boundary_bench.statistics.training_seeds import over_seeds
from results import make_tree

SEEDS = (0, 1, 2)
#: Two more seeds beside that of ``CORRECT``: each loses and gains other problems.
OTHERS = {f"base-model--grpo--seed1--step{step}": [4, 1, 0, 8] for step in (2, 4)}
OTHERS |= {f"base-model--grpo--seed2--step{step}": [0, 8, 8, 8] for step in (2, 4)}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Tables]:
    changes = {"algorithms": ["grpo"], "seeds": list(SEEDS), "benchmarks": {"countdown": {}}}
    plan = make_tree(tmp_path_factory.mktemp("three"), CORRECT | OTHERS, **changes)
    return plan, analysed(plan)


def test_means_are_those_of_the_seeds(three: tuple[Plan, Tables]) -> None:
    plan, tables = three
    assert [(row["step"], row["k"]) for row in tables.rows["mean_differences"]] == [
        (s, str(k)) for s in "24" for k in KS
    ]
    for row in tables.rows["mean_differences"]:
        key = {"step": row["step"], "stratum": "all", "k": row["k"]}
        each = [one(tables.rows["differences"], seed=seed, **key) for seed in SEEDS]
        found = [float(single["difference"]) for single in each]
        assert float(row["difference"]) == pytest.approx(mean(found), abs=2e-6)
        assert float(row["checkpoint"]) == pytest.approx(mean(float(single["checkpoint"]) for single in each), abs=2e-6)
        assert row["base"] == each[0]["base"]
        assert (float(row["seed_lowest"]), float(row["seed_highest"])) == (near(min(found)), near(max(found)))
        assert float(row["seed_deviation"]) == pytest.approx(stdev(found), abs=2e-6)
        for name in ("samples", "truncated", "unscored"):
            assert int(row[name]) == sum(int(single[name]) for single in each)
        assert {row[name] == each[0][name] for name in ("problems", "n_max", "samples_base", "level", "interval")} == {
            True
        }
        assert (row["seeds"], row["settings"]) == ("3", identity(plan, "report"))


def test_intervals_of_a_mean_lie_around_it(three: tuple[Plan, Tables]) -> None:
    _, tables = three
    kinds = [("difference", f"{name}{{}}") for name in ("", "band_", "samples_only_", "other_seeds_")]
    kinds += [("checkpoint", "checkpoint_{}"), ("checkpoint", "checkpoint_band_{}")]
    for row in tables.rows["mean_differences"]:
        for value, columns in kinds:
            low, high = (float(row[columns.format(end)]) for end in ("low", "high"))
            assert -1 <= low <= float(row[value]) <= high <= 1
        assert float(row["other_seeds_low"]) <= float(row["low"]) and float(row["high"]) <= float(
            row["other_seeds_high"]
        )


def test_tables_of_means_hold_what_the_figures_draw(three: tuple[Plan, Tables]) -> None:
    _, tables = three
    found = tables.boundaries["base-model", "countdown"]["grpo"]
    for checkpoint in found.checkpoints:
        crossing = one(tables.rows["mean_boundary"], step=checkpoint.step)
        assert float(crossing["crossover"]) == near(checkpoint.crossover.k)
        ends = checkpoint.crossover.low, checkpoint.crossover.high
        assert [float(crossing[f"crossover_{end}"]) for end in ("low", "high")] == [near(end) for end in ends]
        assert crossing["leader"] == checkpoint.crossover.leader and crossing["seeds"] == "3"
        for i, k in enumerate(KS):
            row = one(tables.rows["mean_differences"], step=checkpoint.step, k=k)
            for columns, drawn in (("", checkpoint.difference), ("checkpoint_", checkpoint.curve)):
                for end in ("low", "high", "band_low", "band_high"):
                    assert float(row[columns + end]) == near(getattr(drawn, f"{end}_K")[i])


def test_the_mean_of_one_seed_is_that_seed(tmp_path: Path) -> None:
    tables = analysed(make_tree(tmp_path, CORRECT, **ONE_RUN))
    single = [row for row in tables.rows["differences"] if row["stratum"] == "all"]
    for row, alone in zip(tables.rows["mean_differences"], single, strict=True):
        shared = row.keys() & alone.keys() - {"settings"}
        assert len(alone) - len(shared) == 2 and {name: row[name] for name in shared} == {
            name: alone[name] for name in shared
        }
        assert row["seed_lowest"] == row["seed_highest"] == row["difference"]
        assert row["seed_deviation"] == row["other_seeds_low"] == row["other_seeds_high"] == ""
    single = [row for row in tables.rows["boundary"] if row["stratum"] == "all"]
    for row, alone in zip(tables.rows["mean_boundary"], single, strict=True):
        assert {row[name] == alone[name] for name in ("leader", "crossover", "crossover_low", "crossover_high")} == {
            True
        }


def test_readable_means_name_the_seeds(three: tuple[Plan, Tables]) -> None:
    plan, tables = three
    found = pivots.make_pivots(plan, tables)
    (differences,), (crossings,) = found["mean_differences"], found["mean_boundary"]
    who = [("mean of 3", step) for step in "24"] + [("other seeds too", step) for step in "24"]
    assert [line[:4] for line in differences.rows] == [["base-model", "grpo", *each] for each in who]
    row = one(tables.rows["mean_differences"], step=2, k=1)
    assert differences.rows[0][4] == "{:z.2f} [{:z.2f}, {:z.2f}]".format(
        *(float(row[c]) for c in ("difference", "low", "high"))
    )
    low, high = (float(row[f"other_seeds_{end}"]) for end in ("low", "high"))
    assert differences.rows[2][4].endswith(f" [{low:z.2f}, {high:z.2f}]")
    assert [line[:4] for line in crossings.rows] == [["base-model", "grpo", step, "3"] for step in "24"]


# the interval for other seeds


def test_the_interval_for_other_seeds_by_hand() -> None:
    """.1, .2, .3: t(2) = 4.302653, half-width .1 / sqrt(3) t = .248414; with .1 below and .15 above in quadrature."""
    found = over_seeds(np.array([[0.1], [0.2], [0.3]]), np.array([0.1]), np.array([0.35]), 0.95)
    assert (found.lowest_K[0], found.highest_K[0], found.deviation_K[0]) == pytest.approx((0.1, 0.3, 0.1))
    assert (found.low_K[0], found.high_K[0]) == pytest.approx((0.2 - 0.267786, 0.2 + 0.290189), abs=1e-6)
    wide = over_seeds(np.array([[0.0], [0.2]]), np.array([0.1]), np.array([0.1]), 0.95)
    assert (wide.low_K[0], wide.high_K[0]) == (-1, 1), "t(1) = 12.7: two seeds say next to nothing"
    same = over_seeds(np.full((3, 1), 0.2), np.array([0.1]), np.array([0.35]), 0.95)
    assert (same.low_K[0], same.high_K[0]) == pytest.approx((0.1, 0.35))


@pytest.mark.parametrize(("shape", "level"), [((0, 2), 0.95), ((3, 1), 0.95), ((2,), 0.95), ((3, 2), 1.0)])
def test_seeds_that_do_not_fit_are_refused(shape: tuple[int, ...], level: float) -> None:
    with pytest.raises(StatisticsError, match="expected"):
        over_seeds(np.zeros(shape), np.zeros(2), np.zeros(2), level)


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.3])
def test_other_seeds_and_problems_are_held_19_times_in_20(spread: float) -> None:
    """Values of problems, seeds and both together are normal; the interval over problems is Student's."""
    rng, problems, seeds, held, alone = np.random.default_rng(0), 40, 3, 0, 0
    for _ in range(600):
        value_SP = (
            rng.normal(0, 0.3, problems) + rng.normal(0, spread, (seeds, 1)) + rng.normal(0, 0.2, (seeds, problems))
        )
        value_P = 0.1 * value_SP.mean(0)
        half = 2.0227 * value_P.std(ddof=1) / problems**0.5
        low, high = value_P.mean() - half, value_P.mean() + half
        found = over_seeds(0.1 * value_SP.mean(1)[:, None], np.array([low]), np.array([high]), 0.95)
        held += found.low_K[0] <= 0 <= found.high_K[0]
        alone += low <= 0 <= high
    assert held / 600 > 0.935
    assert (alone / 600 < 0.6) == (spread == 0.3), "the interval of these seeds is not one for others"
