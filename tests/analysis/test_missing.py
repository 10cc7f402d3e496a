"""Numbers that a backend, an engine or somebody's stored samples do not say stay missing wherever they are read."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from expected import analysed
from missing import EMPTY, UNTOLD, forget_samples, forget_steps, made
from workflow import REPOSITORY

from boundary_bench.claims.verdicts import ClaimVerdict, ledger
from boundary_bench.commands import main
from boundary_bench.core.errors import DataError
from boundary_bench.plan import Plan
from boundary_bench.report.figures.dynamics import running_mean
from boundary_bench.report.tables import TRAINING_COLUMNS, Tables, collect
from boundary_bench.tables.table import Row
from results import RUN, run_stages


def finish(plan: Plan) -> Tables:
    """Run the stages on a tree; no number may come from what is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_stages(plan)
    return collect(plan)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Tables]:
    """The tree with every number."""
    plan = made(tmp_path_factory.mktemp("whole") / "tree")
    return plan, finish(plan)


def texts(plan: Plan) -> str:
    """All that a reader of the results sees."""
    files = [*(plan.root / "tables").glob("*.*"), *(plan.root / "figures").glob("*.svg")]
    page = re.sub(r"<script>.*?</script>", "", (plan.root / "report.html").read_text(), flags=re.DOTALL)
    return page + "".join(path.read_text() for path in files if path.name != "provenance.json")


def page_data(plan: Plan, block: str) -> Any:
    (found,) = re.findall(rf'id="{block}">(.*?)</script>', (plan.root / "report.html").read_text(), re.DOTALL)
    return json.loads(found)


def read_by_others(plan: Plan, whole: Plan) -> None:
    """Every command that reads tables, step logs or measures."""
    place = [str(plan.path), "--results", str(plan.results)]
    assert main(["status", *place]) == main(["claims", *place]) == main(["export", *place]) == 0
    assert not re.search(r"\bnan\b|\bNone\b", "".join(path.read_text() for path in plan.root.rglob("export/**/*.*")))
    for other in (plan, whole):
        assert main(["diff", str(plan.root), str(other.root), "--fail-on", "numbers"]) == 0


@pytest.mark.parametrize("gone", [[1, 2, 3, 4], [3]], ids=["at every step", "at one step"])
def test_a_step_log_that_lacks_a_number(
    gone: list[int], tmp_path: Path, whole: tuple[Plan, Tables], capsys: pytest.CaptureFixture[str]
) -> None:
    assert UNTOLD == ["entropy"]
    plan = made(tmp_path / "tree")
    forget_steps(plan, gone)
    tables = finish(plan)
    for row, before in zip(tables.rows["training"], whole[1].rows["training"], strict=True):
        assert row == before | (dict.fromkeys(UNTOLD, "") if int(row["step"]) in gone else {})
    for name in ("pass_at_k", "summary", "differences", "stages", "coverage"):
        assert tables.rows[name] == whole[1].rows[name]
    lines = [line.split("|") for line in (plan.root / "tables/training.md").read_text().splitlines()]
    header = [cell.strip() for cell in next(line for line in lines if len(line) > 5)]
    segments = {cells["steps"]: cells for line in lines[-2:] for cells in [dict(zip(header, line, strict=True))]}
    dashes = {steps.strip(): "\N{EN DASH}" in cells["entropy"] for steps, cells in segments.items()}
    assert dashes == {"1-2": 1 in gone, "3-4": True}
    (run,) = page_data(plan, "data-panels")["training"]["runs"]
    assert [value is None for value in run["entropy"]] == [step in gone for step in run["step"]]
    assert None not in run["reward"]
    assert not re.search(r"\bnan\b|\bNone\b", texts(plan))
    drawn = (plan.root / "figures/dynamics.svg").read_text()
    assert drawn.count("<!-- unknown -->") == (len(gone) == 4)
    read_by_others(plan, whole[0])
    capsys.readouterr()


def test_a_line_through_unknown_values_has_a_gap() -> None:
    values = np.array([1.0, 1.0, np.nan, 1.0, 1.0, 1.0])
    assert np.isnan(running_mean(values, 3)).tolist() == [False, True, True, True, False, False]


def test_the_step_log_of_openrlhf_without_entropies(tmp_path: Path) -> None:
    case = REPOSITORY.parent / "shared/cases/data/d1-step-log-entropy-null.jsonl"
    if not case.exists():
        pytest.skip(f"needs {case}")
    plan, row = made(tmp_path / "tree"), json.loads(case.read_text())
    for stop in plan.study.training.segments:
        rows = [row | {"step": step} for step in (stop - 1, stop)]
        log = plan.checkpoint(plan.run(RUN), stop).parent / "log.jsonl"
        log.write_text("".join(json.dumps(each) + "\n" for each in rows))
    assert [row["entropy"] for row in finish(plan).rows["training"]] == [""] * 4


@pytest.mark.parametrize("found", ["1e999", '"many"', "[]", "1" + "0" * 400])
@pytest.mark.parametrize("name", ["step", "reward"])
def test_what_is_no_number_in_a_step_log_is_a_message(name: str, found: str, tmp_path: Path) -> None:
    plan = made(tmp_path / "tree")
    log = plan.checkpoint(plan.run(RUN), 4).parent / "log.jsonl"
    row = {column: 3 for column in TRAINING_COLUMNS} | {name: "FOUND"}
    log.write_text(json.dumps(row).replace('"FOUND"', found) + "\n" + log.read_text().splitlines()[1] + "\n")
    with pytest.raises(DataError, match=r"log\.jsonl is no step log"):
        finish(plan)


def differing(row: Row, before: Row) -> set[str]:
    return {name for name in row if row[name] != before[name]}


@pytest.mark.parametrize("one", [False, True], ids=["of all samples", "of one sample"])
@pytest.mark.parametrize("names", [*({name} for name in EMPTY), set(EMPTY)], ids=lambda names: "+".join(sorted(names)))
def test_tables_of_samples_that_lack_a_number(
    names: set[str], one: bool, tmp_path: Path, whole: tuple[Plan, Tables]
) -> None:
    plan = made(tmp_path / "tree")
    forget_samples(plan, names, one)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tables = analysed(plan)
    empty = set().union(*(EMPTY[name] for name in names))
    for row, before in zip(tables.rows["summary"], whole[1].rows["summary"], strict=True):
        # the sample is of a problem of this stratum
        assert differing(row, before) == (empty if not one or row["stratum"] in ("all", "three") else set())
        assert {row[name] for name in differing(row, before)} <= {""}
    for row, before in zip(tables.rows["stages"], whole[1].rows["stages"], strict=True):
        if row["measure"] != "token entropy" or not names & {"tokens", "entropy"}:
            assert row == before
        elif one:
            lost = row["stratum"] in ("all", "three")
            assert int(row["problems"]) == int(before["problems"]) - lost and row["course"] != "unknown"
        else:
            assert (row["course"], row["problems"], row["first"], row["change"]) == ("unknown", "0", "", "")
    for name in ("pass_at_k", "cover", "differences", "boundary", "coverage", "graders", "training"):
        assert tables.rows[name] == whole[1].rows[name]


@pytest.fixture(scope="module", params=[False, True], ids=["of all samples", "of one sample"])
def silent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, bool]:
    """A finished tree whose samples say nothing but text and verdict."""
    plan = made(tmp_path_factory.mktemp("silent") / "tree")
    forget_samples(plan, set(EMPTY), request.param)
    finish(plan)
    return plan, request.param


def test_no_reader_takes_what_is_missing_for_a_number(
    silent: tuple[Plan, bool], whole: tuple[Plan, Tables], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not re.search(r"\bnan\b|\bNone\b|-?2\.?1\d*e\+?0?9", texts(silent[0]))
    read_by_others(silent[0], whole[0])
    capsys.readouterr()


def test_a_claim_that_needs_what_is_missing_is_not_testable(
    silent: tuple[Plan, bool], whole: tuple[Plan, Tables]
) -> None:
    found, before = (
        {each.claim.id: each.verdict for each in ledger(plan.root / "tables").claims} for plan in (silent[0], whole[0])
    )
    needing = {"yao-grpo-entropy-collapses", "leash-token-entropy-up-answer-entropy-down"}
    assert {name: found[name] for name in found.keys() - needing} == {
        name: before[name] for name in found.keys() - needing
    }
    assert before["yao-grpo-entropy-collapses"] != ClaimVerdict.NOT_TESTABLE
    assert silent[1] or found["yao-grpo-entropy-collapses"] == ClaimVerdict.NOT_TESTABLE


def test_the_sample_browser_says_that_a_number_is_unknown(silent: tuple[Plan, bool]) -> None:
    plan, one = silent
    rows = [row for of in page_data(plan, "data-samples")["samples"].values() for each in of.values() for row in each]
    assert {tuple(row[2:5]) for row in rows} == {(None, None, None), *([(2, -1.0, 0.5)] if one else [])}
    with zipfile.ZipFile(plan.root / "samples.zip") as archive:
        lines = [json.loads(line) for line in archive.read("countdown/samples.jsonl").decode().splitlines()]
    assert {tuple(line[name] for name in EMPTY) for line in lines} == {tuple(row[2:5]) for row in rows}
