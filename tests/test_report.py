"""A small results tree through the real measure, compare and report stages, and hand-worked numbers."""

from __future__ import annotations

import csv
import json
import shutil
from math import log
from pathlib import Path

import pyarrow as pa
import pytest

from boundary_bench.compare import compare
from boundary_bench.errors import DataError, StatisticsError, StoreError
from boundary_bench.files import write_json
from boundary_bench.measure import measure
from boundary_bench.plan import Plan
from boundary_bench.provenance import file_sha256
from boundary_bench.report import report
from boundary_bench.report.tables import TRAINING_COLUMNS
from boundary_bench.store import SAMPLES, read_table, write_problems, write_table
from results import HOSTILE, PROBLEMS, RUN, STEP2, N, make_tree, run_stages, write_samples


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = make_tree(tmp_path_factory.mktemp("finished"))
    run_stages(plan)
    return plan


@pytest.fixture
def fresh(finished: Plan, tmp_path: Path) -> Plan:
    """A copy of the finished results that a test may damage."""
    shutil.copytree(finished.results, tmp_path / "results")
    return Plan(finished.study, finished.path, tmp_path / "results")


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as lines:
        return list(csv.DictReader(lines))


def one(rows: list[dict[str, str]], **key: object) -> dict[str, str]:
    (found,) = [row for row in rows if all(row[name] == str(value) for name, value in key.items())]
    return found


def alter(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# numbers


def test_pass_at_k_table(finished: Plan) -> None:
    rows = read(finished.root / "tables" / "pass_at_k.csv")
    ks, names = [1, 2, 4, 8], 3  # "all" and two strata
    assert len(rows) == len(finished.policies) * 2 * names * len(ks)
    base = one(rows, policy="base-model", benchmark="countdown", stratum="all", k=2)
    expected = (0 + (1 - (6 * 5) / (8 * 7)) + 1 + (1 - (7 * 6) / (8 * 7))) / 4
    assert float(base["estimate"]) == pytest.approx(expected, abs=1e-6)
    assert (base["algorithm"], base["seed"], base["step"], base["n"]) == ("base", "", "0", "8")
    assert (base["problems"], base["samples_correct"]) == ("4", "11")
    null = sum(1 - (1 - p) ** 2 for p in (0.1, 0.2, 0.3, 0.4)) / 4
    assert float(base["null"]) == pytest.approx(null, abs=1e-6)
    assert float(base["low"]) <= float(base["estimate"]) <= float(base["high"])
    three = one(rows, policy="base-model", benchmark="countdown", stratum="three", k=8)
    assert (three["estimate"], three["problems"]) == ("0.5", "2")


def test_summary_table_counts_what_is_missing_apart(finished: Plan) -> None:
    rows = read(finished.root / "tables" / "summary.csv")
    row = one(rows, policy="base-model", benchmark="countdown", stratum="all")
    counts = {name: row[name] for name in ("correct", "wrong", "unparsable", "truncated", "timeout")}
    assert counts == {"correct": "11", "wrong": "18", "unparsable": "0", "truncated": "3", "timeout": "0"}
    assert row["truncated_share"] == "0.09375"  # 3 / 32
    assert (row["greedy"], row["greedy_wrong"]) == ("0.75", "1")
    assert (row["token_entropy"], row["nll"], row["mean_tokens"]) == ("0.25", "0.5", "2")
    # texts: wrong 0, wrong 1, None; right too where something is correct
    assert row["distinct_responses_share"] == number_of((3 + 4 + 1 + 4) / 32)


def number_of(value: float) -> str:
    return f"{value:.6g}"


def test_answer_entropy_leaves_out_responses_without_an_answer(finished: Plan) -> None:
    rows = read(finished.root / "tables" / "summary.csv")
    row = one(rows, policy=STEP2, benchmark="countdown", stratum="three")
    # problem 0: 4 wrong 0, 3 wrong 1 (and one truncated); problem 1: 4 right, 2 wrong 0, 1 wrong 1
    first = -(4 / 7 * log(4 / 7) + 3 / 7 * log(3 / 7))
    second = -(4 / 7 * log(4 / 7) + 2 / 7 * log(2 / 7) + 1 / 7 * log(1 / 7))
    assert float(row["answer_entropy"]) == pytest.approx((first + second) / 2, abs=1e-5)
    assert float(row["answer_entropy_miller_madow"]) == pytest.approx((first + second + 3 / 14) / 2, abs=1e-5)


def test_differences_and_coverage(finished: Plan) -> None:
    key = {"algorithm": "grpo", "seed": 1, "step": 4, "benchmark": "countdown-hard", "stratum": "all"}
    row = one(read(finished.root / "tables" / "differences.csv"), **key, k=1)
    assert (row["base"], row["checkpoint"], row["difference"]) == ("0.34375", "0.375", "0.03125")
    assert float(row["low"]) < 0 < float(row["high"])
    sets = ("both", "base_only", "checkpoint_only", "neither")
    rows = read(finished.root / "tables" / "coverage.csv")
    assert [one(rows, **key, hits=1)[name] for name in sets] == ["2", "1", "0", "1"]
    assert [one(rows, **key, hits=3)[name] for name in sets] == ["1", "0", "1", "2"]
    assert float(one(rows, **key, hits=1)["detection_limit"]) == pytest.approx(1 - 0.05 ** (1 / 8), abs=1e-6)


def test_training_table_joins_the_segments_without_wall_times(finished: Plan) -> None:
    rows = read(finished.root / "tables" / "training.csv")
    mine = [row for row in rows if (row["algorithm"], row["seed"]) == ("grpo", "1")]
    assert [row["step"] for row in mine] == ["1", "2", "3", "4"]
    assert mine[2]["reward"] == "0.3"
    assert not [name for name in rows[0] if name.startswith("seconds")]


def test_training_columns_are_those_of_the_trainer() -> None:
    reference = pytest.importorskip("boundary_bench.training.reference")
    kept = [name for name in reference.StepRow.__annotations__ if not name.startswith("seconds")]
    assert kept == list(TRAINING_COLUMNS)


# reproducible, whole, safe


def test_the_same_results_give_the_same_bytes(fresh: Plan) -> None:
    folders = [fresh.root / "tables", fresh.root / "figures"]
    before = {file: file.read_bytes() for folder in folders for file in folder.iterdir()}
    for file in before:
        file.unlink()
    run_stages(fresh)
    assert {file: file.read_bytes() for file in before} == before
    assert len(before) == 11 + 2 * 5  # five tables as CSV and text, provenance; five figures as SVG and PNG


def test_page_is_whole_and_escapes_names(finished: Plan) -> None:
    page = (finished.root / "report.html").read_text()
    assert "<script" not in page
    assert page.count("<svg") == 5
    for outside in ("src=", 'href="http', "url(http", "@import"):
        assert outside not in page
    assert len(page) < 3e6
    ids = [part.split('"', 1)[0] for part in page.split(' id="')[1:]]
    assert len(set(ids)) == len(ids)
    for section in ("boundary_map", "pass_at_k", "dynamics", "limits", "tables", "settings", "provenance"):
        assert f'id="{section}"' in page


def test_hostile_text_is_escaped_wherever_it_ends_up(finished: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    from boundary_bench.report import page, tables

    record = tables.record(finished, tables.collect(finished))
    record["machine"]["cpu"] = record["study"]["models"]["base-model"]["path"] = HOSTILE
    pivot = tables.Pivot(HOSTILE, ["policy", HOSTILE], [[HOSTILE, "1"]], 1)
    written: list[str] = []
    monkeypatch.setattr(page, "write_text", lambda path, text: written.append(text))
    page.write(finished, record, {"pass_at_k": [pivot]}, [])
    assert "<script" not in written[0]
    assert written[0].count("&lt;script&gt;") == 5
    assert "\\|" in tables.markdown(pivot).splitlines()[4]


def test_readable_tables_hold_estimate_and_interval(finished: Plan) -> None:
    text = (finished.root / "tables" / "pass_at_k.md").read_text()
    row = one(
        read(finished.root / "tables" / "pass_at_k.csv"),
        policy="base-model",
        benchmark="countdown",
        stratum="all",
        k=1,
    )
    assert f"| {float(row['estimate']):.2f} [{float(row['low']):.2f}, {float(row['high']):.2f}]" in text


def test_provenance_leads_to_weights_and_samples(finished: Plan) -> None:
    found = json.loads((finished.root / "tables" / "provenance.json").read_text())
    assert found["weights_sha256"][STEP2] == f"{2:064x}"
    declared = json.loads(finished.samples(finished.policy(STEP2), "countdown").read_text())["files"]
    assert found["samples_sha256"][STEP2]["countdown"] == declared
    assert {"code", "packages", "machine", "study", "fingerprints"} <= set(found)


# refusals


@pytest.mark.parametrize(
    "part",
    [
        f"measures/{STEP2}/countdown/problems.parquet",
        f"measures/{STEP2}/countdown/pass_at_k.csv",
        f"measures/{STEP2}/countdown/summary.csv",
        f"comparisons/{RUN}/countdown-hard/differences.csv",
        f"comparisons/{RUN}/countdown-hard/coverage.csv",
        f"checkpoints/{RUN}/step4/log.jsonl",
        f"checkpoints/{RUN}/step4/manifest.json",
        f"samples/{STEP2}/countdown.json",
        "problems/countdown.parquet",
    ],
)
def test_report_refuses_a_missing_fragment(fresh: Plan, part: str) -> None:
    (fresh.root / part).unlink()
    with pytest.raises(DataError, match="is missing") as fault:
        report(fresh)
    assert part in str(fault.value)


def test_report_refuses_rows_of_another_study(fresh: Plan) -> None:
    file = fresh.measures(fresh.policy(STEP2), "countdown") / "pass_at_k.csv"
    alter(file, f"{STEP2},countdown,all,4", f"{STEP2},countdown,all,3")
    with pytest.raises(DataError, match=r"row 3: found .*'k': '3'.*, expected .*'k': '4'"):
        report(fresh)


def test_report_refuses_a_row_too_few(fresh: Plan) -> None:
    file = fresh.measures(fresh.policy(STEP2), "countdown") / "summary.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match="found 2 rows, 0 of them torn, expected 3"):
        report(fresh)


def test_report_refuses_a_comparison_older_than_its_measures(fresh: Plan) -> None:
    write_samples(fresh, fresh.policy(STEP2), "countdown", [8, 8, 8, 8])
    measure(fresh, fresh.policy(STEP2), "countdown")
    with pytest.raises(DataError, match="as measured; run the compare stage again"):
        report(fresh)


def test_report_refuses_a_log_with_a_step_missing(fresh: Plan) -> None:
    log = fresh.checkpoint(fresh.run(RUN), 4).parent / "log.jsonl"
    log.write_text(log.read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match="found 1 steps, expected 3 to 4"):
        report(fresh)


def block_of(plan: Plan) -> tuple[Path, Path]:
    """The manifest and the second block of a policy."""
    manifest = plan.samples(plan.policy(STEP2), "countdown")
    return manifest, manifest.parent / json.loads(manifest.read_text())["folder"] / "block-000001.parquet"


def redeclare(manifest: Path, block: Path) -> None:
    """Let the manifest declare what the block is now."""
    found = json.loads(manifest.read_text())
    found["files"][block.name] = file_sha256(block)
    write_json(manifest, found)


def test_measure_refuses_an_altered_block(fresh: Plan) -> None:
    _, block = block_of(fresh)
    block.write_bytes(block.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match=r"block-000001.parquet has hash .* altered or torn; delete"):
        measure(fresh, fresh.policy(STEP2), "countdown")


def test_measure_refuses_a_missing_block(fresh: Plan) -> None:
    _, block = block_of(fresh)
    block.unlink()
    with pytest.raises(StoreError, match=r"block-000001.parquet is missing"):
        measure(fresh, fresh.policy(STEP2), "countdown")


def rewrite(fresh: Plan, change: dict[str, object]) -> None:
    """Change cells of the second block's first row, and declare the result."""
    manifest, block = block_of(fresh)
    rows = read_table(block)[0].to_pylist()
    rows[0].update(change)
    write_table(block, pa.Table.from_pylist(rows, SAMPLES), {})
    redeclare(manifest, block)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample": 5}, r"has sample 4 0 times, expected once"),
        ({"sample": 2}, r"has sample 2 2 times, expected once \(2 such samples\)"),
        ({"sample": N}, r"found sample index 8, expected 0 to 7"),
        ({"sample": -1}, r"found sample index -1"),
        ({"problem_id": "stranger"}, r"found problem stranger, which is not in the problem file"),
        ({"verdict": "maybe"}, r"found verdict 'maybe', expected one of correct, wrong"),
    ],
)
def test_measure_refuses_samples_that_are_not_the_expected_ones(
    fresh: Plan, change: dict[str, object], message: str
) -> None:
    rewrite(fresh, change)
    with pytest.raises(DataError, match=message):
        measure(fresh, fresh.policy(STEP2), "countdown")


def test_measure_never_pads_a_short_problem(fresh: Plan) -> None:
    manifest, block = block_of(fresh)
    found = json.loads(manifest.read_text())
    del found["files"][block.name]
    write_json(manifest, found)
    with pytest.raises(DataError, match=r"has sample 4 0 times"):
        measure(fresh, fresh.policy(STEP2), "countdown")


@pytest.mark.parametrize("what", ["weights", "settings"])
def test_report_refuses_samples_of_other_weights_or_settings(fresh: Plan, what: str) -> None:
    manifest, _ = block_of(fresh)
    found = json.loads(manifest.read_text())
    write_json(manifest, found | {what: "0" * 64})
    with pytest.raises(DataError, match=f"countdown.json was made with {what} 000"):
        report(fresh)


def test_report_refuses_a_checkpoint_of_other_settings(fresh: Plan) -> None:
    manifest = fresh.weights(fresh.policy(STEP2))
    found = json.loads(manifest.read_text())
    write_json(manifest, found | {"settings": found["settings"] | {"seed": 7}})
    with pytest.raises(DataError, match=r"manifest\.json was made with settings"):
        report(fresh)


def test_measure_refuses_a_manifest_of_another_n(fresh: Plan) -> None:
    manifest, _ = block_of(fresh)
    alter(manifest, '"n": 8', '"n": 4')
    with pytest.raises(DataError, match=r"found n = 4 .* expected n = 8"):
        measure(fresh, fresh.policy(STEP2), "countdown")


def test_compare_refuses_other_problems(fresh: Plan) -> None:
    kept = PROBLEMS[:3]
    write_problems(fresh.problems("countdown"), kept, "test", {})
    manifest, _ = block_of(fresh)
    for file in [
        manifest.parent / json.loads(manifest.read_text())["folder"] / name
        for name in json.loads(manifest.read_text())["files"]
    ]:
        rows = [row for row in read_table(file)[0].to_pylist() if row["problem_id"] != PROBLEMS[3].id]
        write_table(file, pa.Table.from_pylist(rows, SAMPLES), {})
        redeclare(manifest, file)
    measure(fresh, fresh.policy(STEP2), "countdown")
    with pytest.raises(StatisticsError, match=f"1 differ, e.g. {PROBLEMS[3].id}"):
        compare(fresh, fresh.run(RUN), "countdown")
