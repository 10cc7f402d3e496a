"""A small results tree as a report: whole, safe, the same every time, and never of another study's parts."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from expected import CORRECT, one

from boundary_bench.claims.published import load_published
from boundary_bench.commands import stages
from boundary_bench.core.errors import DataError
from boundary_bench.core.files import write_json
from boundary_bench.core.parquet import read_table, write_table
from boundary_bench.plan import Plan
from boundary_bench.plan.figures import FIGURES
from boundary_bench.plan.outputs import report_files
from boundary_bench.plan.stages import identity, settings
from boundary_bench.report import pivots, report
from boundary_bench.report.tables import TRAINING_COLUMNS, collect
from boundary_bench.training import step_log
from results import RUN, STEP2, copied, make_tree, run_stages, write_samples

CSV = ("pass_at_k", "differences", "boundary", "mean_differences", "mean_boundary", "stages", "coverage", "cover")
CSV += ("summary", "graders", "problems", "training", "ours_vs_published")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = make_tree(tmp_path_factory.mktemp("finished"))
    run_stages(plan)
    return plan


@pytest.fixture
def fresh(finished: Plan, tmp_path: Path) -> Plan:
    """A copy of the finished results that a test may damage."""
    return copied(finished, tmp_path / "results")


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as lines:
        return list(csv.DictReader(lines))


# whole


def test_the_same_results_give_the_same_bytes(fresh: Plan) -> None:
    folders = [fresh.root / "tables", fresh.root / "figures"]
    before = {file: file.read_bytes() for folder in folders for file in folder.iterdir()}
    for file in before:
        file.unlink()
    run_stages(fresh)
    assert {file: file.read_bytes() for file in before} == before
    names = {file.name for file in report_files(fresh) if file.parent != fresh.root}
    assert {file.name for file in before} == names


def test_tables_hold_every_run_and_benchmark(finished: Plan) -> None:
    rows = {name: read(finished.root / "tables" / f"{name}.csv") for name in CSV}
    policies, runs, steps, benchmarks, strata, ks = 9, 4, 2, 2, 3, 4
    assert {name: len(found) for name, found in rows.items()} == {
        "pass_at_k": policies * benchmarks * strata * ks,
        "differences": runs * steps * benchmarks * strata * ks,
        "boundary": runs * steps * benchmarks * strata,
        "mean_differences": runs // 2 * steps * benchmarks * ks,
        "mean_boundary": runs // 2 * steps * benchmarks,
        "stages": runs * benchmarks * strata * (ks + 2),
        "coverage": runs * steps * benchmarks * strata * 2,
        "cover": policies * benchmarks * strata * 7,
        "summary": policies * benchmarks * strata,
        "graders": policies * benchmarks * 3,
        "problems": benchmarks + 1,
        "training": runs * 4,
        "ours_vs_published": sum(len(value.percent) for entry in load_published() for value in entry.values),
    }
    assert {(row["algorithm"], row["seed"], row["step"]) for row in rows["pass_at_k"]} == {
        ("base", "", "0"),
        *((algorithm, seed, step) for algorithm in ("grpo", "gspo-n") for seed in "01" for step in "24"),
    }


def test_training_table_joins_the_segments_without_wall_times(finished: Plan) -> None:
    rows = read(finished.root / "tables" / "training.csv")
    mine = [row for row in rows if (row["algorithm"], row["seed"]) == ("grpo", "1")]
    assert [row["step"] for row in mine] == ["1", "2", "3", "4"]
    assert mine[2]["reward"] == "0.3"
    assert not [name for name in rows[0] if name.startswith("seconds")]


def test_training_columns_are_those_of_the_trainer() -> None:
    kept = [name for name in step_log.StepRow.__annotations__ if not name.startswith("seconds")]
    assert kept == list(TRAINING_COLUMNS)


def test_provenance_leads_to_weights_and_samples(finished: Plan) -> None:
    found = json.loads((finished.root / "tables" / "provenance.json").read_text())
    assert found["weights_sha256"][STEP2] == f"{2:064x}"
    declared = json.loads(finished.samples(finished.policy(STEP2), "countdown")[0].read_text())["files"]
    assert found["samples_sha256"][STEP2]["countdown"] == declared
    assert {"code", "packages", "machine", "study", "fingerprints"} <= set(found)
    made_with = {row["settings"] for row in read(finished.root / "tables" / "stages.csv")}
    assert made_with == set(found["fingerprints"]["compare"].values()) == {found["fingerprints"]["compare"]["all"]}


def test_figures_show_the_mean_over_seeds_of_the_tables(tmp_path: Path) -> None:
    other = {f"base-model--grpo--seed1--step{step}": [4, 1, 0, 8] for step in (2, 4)}
    plan = make_tree(tmp_path, CORRECT | other, algorithms=["grpo"], benchmarks={"countdown": {}})
    run_stages(plan)
    tables = collect(plan)
    found = tables.boundaries["base-model", "countdown"]["grpo"]
    assert [checkpoint.step for checkpoint in found.checkpoints] == [2, 4]
    for column, k in enumerate(plan.study.ks):
        base = one(tables.rows["pass_at_k"], policy="base-model", stratum="all", k=k)
        assert float(base["estimate"]) == pytest.approx(found.base.estimate_K[column], rel=1e-5)
        assert float(base["low"]) == pytest.approx(found.base.low_K[column], rel=1e-5)
        assert float(base["null"]) == pytest.approx(found.null[column], rel=1e-5)
        for checkpoint in found.checkpoints:
            key = {"step": checkpoint.step, "stratum": "all", "k": k}
            seeds = [float(one(tables.rows["differences"], seed=seed, **key)["difference"]) for seed in (0, 1)]
            assert seeds[0] != seeds[1]
            assert np.mean(seeds) == pytest.approx(checkpoint.difference.estimate_K[column], abs=1e-5)
            curve = checkpoint.curve.estimate_K - found.base.estimate_K
            np.testing.assert_allclose(curve, checkpoint.difference.estimate_K, atol=1e-12)


# readable


def test_readable_tables_hold_estimate_and_interval(finished: Plan) -> None:
    row = one(
        read(finished.root / "tables" / "pass_at_k.csv"), policy="base-model", benchmark="countdown", stratum="all", k=1
    )
    text = (finished.root / "tables" / "pass_at_k.md").read_text()
    assert f"| {float(row['estimate']):.2f} [{float(row['low']):.2f}, {float(row['high']):.2f}]" in text


def test_readable_differences_show_the_verdict(finished: Plan) -> None:
    marks = {"shrunk": "↓", "expanded": "↑", "unchanged": "=", "undecided": "]"}
    tables = collect(finished)
    changed = [row | {"change": [*marks][i // 5 % 4]} for i, row in enumerate(tables.rows["differences"])]
    found = pivots.make_pivots(finished, replace(tables, rows=tables.rows | {"differences": changed}))["differences"]
    for pivot, benchmark in zip(found, ("countdown", "countdown-hard"), strict=True):
        rows = [row for row in changed if (row["benchmark"], row["stratum"]) == (benchmark, "all")]
        cells = [cell for line in pivot.rows for cell in line[pivot.labels :]]
        assert [cell[-1] for cell in cells] == [marks[row["change"]] for row in rows]
        assert "shrunk" in pivot.title and "unchanged within 0.05" in pivot.title


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (("2.82843", "0", "inf"), "2.83 [below 2, none]"),
        (("inf", "128", "inf"), "none [128, none]"),
        (("0", "0", "4"), "below 2 [below 2, 4]"),
        (("769.61", "79.8437", "1023.9"), "770 [79.8, 1024]"),
    ],
)
def test_a_crossover_is_said_in_words_where_it_is_no_number(
    finished: Plan, cells: tuple[str, str, str], text: str
) -> None:
    analysis = finished.study.analysis.model_copy(update={"ks": [2, 4]})
    plan = Plan(finished.study.model_copy(update={"analysis": analysis}), finished.path, finished.results)
    tables, names = collect(finished), ("crossover", "crossover_low", "crossover_high")
    changed = [row | dict(zip(names, cells, strict=True)) for row in tables.rows["boundary"]]
    pivot = pivots.make_pivots(plan, replace(tables, rows=tables.rows | {"boundary": changed}))["boundary"][0]
    assert {line[pivot.header.index("crossover k [95 % interval]")] for line in pivot.rows} == {text}


# safe


# refusals

MEASURED, COMPARED = f"measures/{STEP2}/countdown", "comparisons/base-model--gspo-n--seed1/countdown-hard"
FRAGMENTS = [f"{MEASURED}/{name}.csv" for name in ("pass_at_k", "cover", "summary")]
FRAGMENTS += [f"{COMPARED}/{name}.csv" for name in ("differences", "boundary", "coverage", "stages")]


@pytest.mark.parametrize(
    "part",
    [
        *FRAGMENTS,
        f"{MEASURED}/problems.parquet",
        f"checkpoints/{RUN}/step4/log.jsonl",
        f"checkpoints/{RUN}/step4/manifest.json",
        f"samples/{STEP2}/countdown/1-of-1.json",
        "problems/countdown.parquet",
        "problems/training.parquet",
    ],
)
def test_report_refuses_a_missing_fragment(fresh: Plan, part: str) -> None:
    (fresh.root / part).unlink()
    with pytest.raises(DataError, match="is missing") as fault:
        report(fresh)
    assert part in str(fault.value)


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    return lambda text: "".join(change(text.splitlines(keepends=True)))


@pytest.mark.parametrize("part", FRAGMENTS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lines(lambda rows: rows[:-1]), r"found \d+ rows, expected \d+"),
        (lines(lambda rows: [*rows, rows[-1]]), r"found \d+ rows, expected \d+"),
        (lines(lambda rows: [*rows[:-1], rows[-1][:20]]), r"row \d+ is torn: it has other cells than columns"),
        (lines(lambda rows: [*rows[:-1], rows[-1].replace("\n", ",7\n")]), r"row \d+ is torn: it has other cells"),
        (lines(lambda rows: [rows[0], rows[2], rows[1], *rows[3:]]), r"row 1: found .*, expected "),
        (lambda text: text.replace(",all,", ",some,", 1), r"row 1: found .*'some'.*, expected .*'all'"),
        (lambda text: text.replace(",problems", ",Problems", 1), r"found no column 'problems', expected .*, problems"),
        (lambda text: text.replace("\n", ",more\n", 1).replace("\r", ""), r"row 1 is torn"),
        (lambda text: text.replace(",settings", ",made_with", 1), r"found no column 'settings'"),
        (lambda text: "", r"found no column 'model'"),
        (lambda text: text + "\0", r"torn"),
    ],
    ids=["short", "long", "cut", "cell", "order", "key", "name", "column", "unsettled", "empty", "null"],
)
def test_report_refuses_other_rows_and_columns(
    fresh: Plan, part: str, change: Callable[[str], str], message: str
) -> None:
    path = fresh.root / part
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    with pytest.raises(DataError, match=message) as fault:
        collect(fresh)
    assert part in str(fault.value)


@pytest.mark.parametrize("part", FRAGMENTS)
def test_report_refuses_a_fragment_with_a_further_column(fresh: Plan, part: str) -> None:
    header, *rows = (fresh.root / part).read_text().splitlines()
    (fresh.root / part).write_text("\n".join([f"{header},more", *(f"{row},1" for row in rows), ""]))
    with pytest.raises(DataError, match=r"other columns than expected \(differing: \['more'\]\)") as fault:
        collect(fresh)
    assert part in str(fault.value)


@pytest.mark.parametrize("part", FRAGMENTS)
@pytest.mark.parametrize("change", [{"level": 0.9}, {"seed": 1}, {"margin": 0.1}, {"resamples": 100}])
def test_report_refuses_a_fragment_of_other_settings(
    finished: Plan, fresh: Plan, part: str, change: dict[str, object]
) -> None:
    """As if one stage had been killed between two files: everything else has the settings of the study."""
    analysis = finished.study.analysis.model_copy(update=change)
    study = finished.study.model_copy(update={"analysis": analysis})
    asked = Plan(study, finished.path, fresh.results)
    for stage, pattern in (("measure", "measures/*/*/*.csv"), ("compare", "comparisons/*/*/*.csv")):
        for path in fresh.root.glob(pattern):
            *_, whose, benchmark, _ = path.parts
            old, new = (identity(plan, stage, whose, benchmark) for plan in (finished, asked))
            assert old != new
            if path != fresh.root / part:
                path.write_text(path.read_text().replace(old, new))
    for path in fresh.root.glob("measures/*/*/problems.parquet"):
        *_, whose, benchmark, _ = path.parts
        table, facts = read_table(path)
        write_table(path, table, facts | {"settings": settings(asked, "measure", whose, benchmark)})
    with pytest.raises(DataError, match=r"row 1: found .*, expected ") as fault:
        collect(asked)
    assert part in str(fault.value)


def test_report_refuses_measures_of_other_settings(fresh: Plan) -> None:
    path = fresh.root / MEASURED / "problems.parquet"
    table, facts = read_table(path)
    write_table(path, table, facts | {"settings": facts["settings"] | {"resamples": 7}})
    with pytest.raises(DataError, match=r"problems\.parquet: found settings .*'resamples': 7"):
        collect(fresh)


def test_report_refuses_measures_that_are_older_than_their_samples(fresh: Plan) -> None:
    write_samples(fresh, fresh.policy(STEP2), "countdown", [8, 8, 8, 8])
    with pytest.raises(
        DataError, match=r"problems\.parquet was made from other samples than .*; run the measure stage"
    ):
        collect(fresh)


def test_report_refuses_a_comparison_older_than_its_measures(fresh: Plan) -> None:
    write_samples(fresh, fresh.policy(STEP2), "countdown", [8, 8, 8, 8])
    stages.measure(fresh, STEP2, "countdown")
    with pytest.raises(DataError, match="as measured; run the compare stage again"):
        report(fresh)


def test_report_refuses_a_log_with_a_step_missing(fresh: Plan) -> None:
    log = fresh.checkpoint(fresh.run(RUN), 4).parent / "log.jsonl"
    log.write_text(log.read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match="found 1 steps, expected 3 to 4"):
        report(fresh)


@pytest.mark.parametrize("what", ["model", "problems"])
def test_report_refuses_samples_of_other_weights_or_problems(fresh: Plan, what: str) -> None:
    (manifest,) = fresh.samples(fresh.policy(STEP2), "countdown")
    found = json.loads(manifest.read_text())
    write_json(manifest, found | {what: "0" * 12})
    with pytest.raises(DataError, match=f"1-of-1.json was made with {what} 000"):
        report(fresh)


def test_report_refuses_samples_of_other_settings(fresh: Plan) -> None:
    (manifest,) = fresh.samples(fresh.policy(STEP2), "countdown")
    found = json.loads(manifest.read_text())
    write_json(manifest, found | {"settings": found["settings"] | {"sampling": {"temperature": 0.5}}})
    with pytest.raises(DataError, match=r"1-of-1\.json was made with settings"):
        report(fresh)


def test_report_refuses_a_checkpoint_of_other_settings(fresh: Plan) -> None:
    manifest = fresh.weights(fresh.policy(STEP2))
    found = json.loads(manifest.read_text())
    write_json(manifest, found | {"settings": found["settings"] | {"seed": 7}})
    with pytest.raises(DataError, match=r"manifest\.json was made with settings"):
        report(fresh)


@pytest.mark.parametrize("what", ["base", "problems"])
def test_report_refuses_a_checkpoint_of_another_base_or_other_problems(fresh: Plan, what: str) -> None:
    manifest = fresh.weights(fresh.policy(STEP2))
    write_json(manifest, json.loads(manifest.read_text()) | {what: "0" * 12})
    with pytest.raises(DataError, match=f"manifest.json was made with {what} 000"):
        report(fresh)


def test_report_refuses_what_was_made_of_a_base_of_before(fresh: Plan) -> None:
    """Its weights, or only its config or tokenizer, are others now."""
    manifest = fresh.model("base-model")
    write_json(manifest, json.loads(manifest.read_text()) | {"content": "0" * 12})
    with pytest.raises(DataError, match=r"was made with model .*, expected 000000000000"):
        report(fresh)


@pytest.mark.parametrize("algorithms", [["grpo"], ["grpo", "grpo-n", "gspo", "gspo-n"]])
def test_the_text_around_a_plot_is_within_the_figure(
    tmp_path: Path, algorithms: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study of one algorithm has narrow figures."""
    drawn: list[Any] = []
    monkeypatch.setattr("matplotlib.pyplot.close", drawn.append)
    run_stages(make_tree(tmp_path, algorithms=algorithms, seeds=[0], benchmarks={"countdown": {}}))
    assert len(drawn) == len(FIGURES)
    for figure in drawn:
        figure.canvas.draw()  # in its own resolution, not the file's
        labels = [axis.xaxis.label.get_window_extent() for axis in figure.axes if axis.get_visible()]
        for text in figure.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= figure.bbox.width, text.get_text()
            assert not any(box.overlaps(label) for label in labels if label.width), text.get_text()
