"""Published results: what is committed is whole and current; what publish copies, refuses and keeps."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow import REPOSITORY, stage, write_study

from boundary_bench.commands import main
from boundary_bench.core.errors import EXIT_USER_ERROR, DataError
from boundary_bench.core.files import read_json, write_json
from boundary_bench.operations.publish import SUMS, faults, outdated, publish
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.figures import FIGURES
from boundary_bench.plan.outputs import report_files
from boundary_bench.plan.stages import STAGES
from boundary_bench.study.file import SHIPPED
from boundary_bench.tables.record import read_record
from results import make_tree, run_stages

FOLDERS = sorted(path for path in (REPOSITORY / "results/published").iterdir() if path.is_dir())
STUDIES = [folder for folder in FOLDERS if (folder / "publication.json").is_file()]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BESIDE = {"README.md", "SHA256SUMS", "environment.txt", "publication.json", "study.yaml"}


# what is committed


def test_something_is_published() -> None:
    assert [folder.name for folder in FOLDERS] == ["deepscaler-1.5b", "quickstart-seeds"]
    assert [folder.name for folder in STUDIES] == ["quickstart-seeds"], "the other was made from stored counts"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_published_files_are_as_they_were_written(folder: Path) -> None:
    assert faults(folder) == [], f"{folder} is not as boundary-bench publish wrote it: publish the study anew"
    assert (folder / "README.md").read_text().startswith(f"# {folder.name}\n")


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_published_tables_are_of_the_codes_statistics(folder: Path) -> None:
    shipped = SHIPPED / f"{folder.name}.yaml"
    plan = make_plan(str(shipped if shipped.is_file() else folder / "study.yaml"), folder.parent)
    changed = outdated(plan, read_record(folder))
    assert changed == [], (
        f"{folder} was made with other settings or versions of stages than the code has now; run the study again and "
        f"publish it anew: boundary-bench publish {folder.name}"
    )
    code = read_json(folder / "tables/provenance.json")["code"]
    assert code["dirty"] is False and code["commit"] == read_json(folder / "publication.json")["commit"]
    assert {str(file.relative_to(plan.root)) for file in report_files(plan)} | BESIDE == names(folder)


# the command


def names(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()}


def made_by(plan: Plan, commit: str | None = COMMIT, dirty: bool | None = False) -> None:
    """Say that the report was made by a commit, whatever the state of the checkout that runs the tests."""
    path = plan.root / "tables/provenance.json"
    write_json(path, {**read_json(path), "code": {"commit": commit, "committed": None, "dirty": dirty}})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    plan = make_tree(folder)
    run_stages(plan)
    made_by(plan)
    return folder


@pytest.fixture
def plan(finished: Path, tmp_path: Path) -> Plan:
    """A finished study, to be changed."""
    shutil.copytree(finished, tmp_path / "study")
    return make_plan(str(tmp_path / "study/toy.yaml"), tmp_path / "study/results")


def test_exactly_the_report_is_copied_with_what_made_it(plan: Plan, tmp_path: Path) -> None:
    (plan.root / "tables/older.csv").write_text("of a study that was changed since")
    folder = publish(plan, tmp_path / "published")
    copied = {str(file.relative_to(plan.root)) for file in report_files(plan)}
    assert folder == tmp_path / "published/toy" and names(folder) == copied | BESIDE
    assert all((folder / name).read_bytes() == (plan.root / name).read_bytes() for name in copied)
    assert (folder / "study.yaml").read_text() == plan.path.read_text()
    subprocess.run(["sha256sum", "--strict", "-c", SUMS], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    facts = json.loads((folder / "publication.json").read_text())
    assert facts["commit"] == COMMIT and facts["versions"] == {name: stage.version for name, stage in STAGES.items()}
    assert facts["command"] == "snakemake --cores all --config study=study.yaml"
    python, *packages = (folder / "environment.txt").read_text().splitlines()
    assert python.startswith("# python 3.") and f"numpy=={facts['packages']['numpy']}" in packages
    assert not any(str(tmp_path) in path.read_text() for path in map(folder.joinpath, BESIDE))
    readme = (folder / "README.md").read_text()
    assert COMMIT in readme and "| undecided |" in readme and "tests (claims x runs x benchmarks)" in readme


def test_a_shipped_study_is_named_in_its_command(finished: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("boundary_bench.operations.publish.SHIPPED", finished)
    plan = make_plan(str(finished / "toy.yaml"), finished / "results")
    facts = read_json(publish(plan, tmp_path) / "publication.json")
    assert facts["command"] == "snakemake --cores all --config study=toy"


def test_published_anew_leaves_nothing_of_before(plan: Plan, tmp_path: Path) -> None:
    folder = publish(plan, tmp_path)
    content = plan.path.read_text()
    plan.path.write_text(content.replace("  countdown-hard: {}\n", ""))
    fewer = make_plan(str(plan.path), plan.results)
    run_stages(fewer)
    made_by(fewer)
    before = names(folder)
    assert publish(fewer, tmp_path) == folder and faults(folder) == []
    assert {name for name in before - names(folder)} == {
        f"figures/{figure.name}-countdown-hard.{kind}"
        for figure in FIGURES
        for kind in ("svg", "png")
        if figure.scope == "benchmark"
    }


def incomplete(plan: Plan) -> None:
    (plan.root / "figures/dynamics.svg").unlink()


def other_margin(plan: Plan) -> None:
    plan.path.write_text(plan.path.read_text().replace("resamples: 200", "resamples: 200\n  margin: 0.1"))


def other_steps(plan: Plan) -> None:
    write_study(plan.path, {**yaml.safe_load(plan.path.read_text()), "evaluate": {"steps": [0, 4]}})


def older(plan: Plan) -> None:
    path = plan.root / "tables/provenance.json"
    write_json(path, {name: value for name, value in read_json(path).items() if name != "environment"})


def damaged(plan: Plan, **changes: Any) -> None:
    path = plan.root / "tables/provenance.json"
    write_json(path, {**read_json(path), **changes})


REFUSED = {
    "dynamics.svg missing; make them: snakemake": incomplete,
    "compare all, measure countdown, measure countdown-hard and 1 more; make the results again": other_margin,
    "policy base-model--grpo--seed0--step2, ": other_steps,
    "code with changes that no commit holds": lambda plan: made_by(plan, dirty=True),
    "an installation without its repository": lambda plan: made_by(plan, None, None),
    "environment: missing; this key is required": older,
    "code: Input should be a valid dictionary": lambda plan: damaged(plan, code=None),
    "code.commit: String should match pattern": lambda plan: made_by(plan, "main\n\n# better numbers"),
    "machine.cpu: missing; this key is required": lambda plan: damaged(plan, machine={}),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_nobody_could_make_again_is_refused(said: str, plan: Plan, tmp_path: Path) -> None:
    folder = publish(plan, tmp_path)
    before = (folder / SUMS).read_bytes()
    REFUSED[said](plan)
    with pytest.raises(DataError) as fault:
        publish(make_plan(str(plan.path), plan.results), tmp_path)
    assert said in str(fault.value)
    assert faults(folder) == [] and (folder / SUMS).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name != "study"] == ["toy"]


def test_another_version_of_a_stage_is_seen(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = publish(plan, tmp_path)
    provenance = read_record(folder)
    assert outdated(plan, provenance) == []
    stage = STAGES["compare"]
    monkeypatch.setitem(STAGES, "compare", replace(stage, version=stage.version + 1))
    now = replace(plan)
    assert outdated(now, provenance) == ["compare all"]
    with pytest.raises(DataError, match="compare all; make the results again"):
        publish(now, tmp_path)


@pytest.mark.parametrize("what", ["edited", "added", "removed", "no sums", "torn sums", "another's"])
def test_what_no_publish_wrote_is_never_replaced(what: str, plan: Plan, tmp_path: Path) -> None:
    folder = publish(plan, tmp_path)
    if what == "edited":
        (folder / "README.md").write_text("my notes")
    elif what == "added":
        (folder / "tables/mine.csv").write_text("mine")
    elif what == "removed":
        (folder / "report.html").unlink()
    elif what == "no sums":
        (folder / SUMS).unlink()
    elif what == "torn sums":
        (folder / SUMS).write_bytes((folder / SUMS).read_bytes()[:-200])
    else:
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "thesis.tex").write_text("years of work")
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    said = {"edited": "README.md was changed", "added": "tables/mine.csv has no checksum"}
    said |= {"removed": "report.html is missing", "torn sums": "is no checksum"}
    with pytest.raises(DataError, match=said.get(what, "SHA256SUMS is missing")):
        publish(plan, tmp_path)
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before


def test_a_killed_publish_leaves_the_old_one(plan: Plan, tmp_path: Path) -> None:
    to = tmp_path / "to"
    folder = publish(plan, to)
    before = (folder / SUMS).read_bytes()
    page = plan.root / "report.html"
    os.truncate(page, 2**29)  # long enough to copy that the kill falls into it
    process = stage(tmp_path, "publish", str(plan.path), "--results", str(plan.results), "--to", str(to))
    until = time.monotonic() + 60
    while not list(to.glob(".toy.*/report.html")):
        assert process.poll() is None and time.monotonic() < until
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert faults(folder) == [] and (folder / SUMS).read_bytes() == before
    os.truncate(page, 1000)
    assert publish(plan, to) == folder and faults(folder) == []


def test_the_command_says_where_and_what_is_wrong(plan: Plan, tmp_path: Path, capsys: Any) -> None:
    command = ["publish", str(plan.path), "--results", str(plan.results), "--to", str(tmp_path / "to")]
    assert main(command) == 0
    assert capsys.readouterr().out == f"-> {tmp_path / 'to/toy'}\n"
    (plan.root / "report.html").unlink()
    assert main(command) == EXIT_USER_ERROR
    said = capsys.readouterr().err
    assert "report.html missing" in said and f"results={plan.results} --forcerun report" in said
    shutil.rmtree(plan.root)
    assert main(command) == EXIT_USER_ERROR
    assert "provenance.json is missing; run the stage that makes it" in capsys.readouterr().err
