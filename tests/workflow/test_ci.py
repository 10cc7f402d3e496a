"""The workflows of GitHub Actions: of the published schema, and their scripts do here what they do there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow import ENVIRONMENT, REPOSITORY

from boundary_bench.commands import parser
from boundary_bench.operations.publish import SUMS, faults

FILES = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
PUBLISHED = REPOSITORY / "results/published/quickstart-seeds"


def jobs(name: str) -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / f".github/workflows/{name}.yml").read_text())["jobs"]


def steps() -> list[dict[str, Any]]:
    return [step for path in FILES for job in jobs(path.stem).values() for step in job["steps"]]


def script(name: str, words: str) -> str:
    """The script of the one step of a workflow whose name has these words."""
    (found,) = (step["run"] for job in jobs(name).values() for step in job["steps"] if words in step.get("name", ""))
    return found


def bash(text: str, folder: Path, **environment: str) -> None:
    """Run a step as the runner does: bash that ends at the first error."""
    # the command of these tests' environment, whether or not that is activated
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", text]
    subprocess.run(command, cwd=folder, env={**ENVIRONMENT, "PATH": path, **environment}, check=True)


def test_the_workflows_are_of_the_published_schema() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        *map(str, FILES),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.stem for path in FILES} == {"ci", "release"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_jobs_end_and_actions_have_a_version(path: Path) -> None:
    for name, job in jobs(path.stem).items():
        assert job["timeout-minutes"] <= 360, name
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v0"))
            # text of an event or an input in a script would be run; as a variable of the environment it is data
            assert "${{" not in step.get("run", "")


def test_every_command_is_one() -> None:
    lines = [line for step in steps() for line in step.get("run", "").splitlines()]
    commands = [line.partition(" > ")[0] for line in lines if line.startswith("boundary-bench ")]
    assert commands
    for command in commands:
        parser().parse_args(shlex.split(command)[1:])  # an unknown one exits
    for study in re.findall(r"study=(\S+)", "\n".join(lines)):
        known = [*(path.stem for path in (REPOSITORY / "workflows/studies").glob("*.yaml")), '"$STUDY"']
        assert study in known or (REPOSITORY / study).is_file()
    markers = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
    used = re.findall(r"pytest -m (\w+)", "\n".join(lines))
    assert used and set(used) <= {marker.partition(":")[0] for marker in markers}


def test_the_job_summary_opens_with_verdicts_and_stays_small(tmp_path: Path) -> None:
    shutil.copytree(PUBLISHED, tmp_path / "results/quickstart-seeds")
    differences = tmp_path / "results/quickstart-seeds/tables/differences.md"
    differences.write_text(differences.read_text() + "| é" * 2**20)
    place = tmp_path / "summary"
    bash(script("ci", "job summary"), tmp_path, STUDY="quickstart-seeds", GITHUB_STEP_SUMMARY=str(place))
    assert 500_000 < place.stat().st_size < 2**20
    text = place.read_bytes().decode(errors="ignore")
    assert text.startswith("## Claims of the literature on study quickstart-seeds\n\n| Verdict | Claim | Paper |")
    assert "## pass@k minus the base's on countdown " in text


def test_a_release_carries_every_published_study(tmp_path: Path) -> None:
    shutil.copytree(PUBLISHED.parent, tmp_path / "results/published")
    build = script("release", "one archive a study")
    bash(build, tmp_path, GITHUB_REF_NAME="v1.2.3")
    name, other = (f"{study}-v1.2.3.tar.gz" for study in ("quickstart-seeds", "deepscaler-1.5b"))
    assert {path.name for path in (tmp_path / "assets").iterdir()} == {SUMS, name, other}
    bash(f"sha256sum --strict -c {SUMS} && tar -xzf {name}", tmp_path / "assets")
    assert faults(tmp_path / "assets/quickstart-seeds") == []
    shutil.rmtree(tmp_path / "assets")
    (tmp_path / "results/published/quickstart-seeds/report.html").write_text("another")
    with pytest.raises(subprocess.CalledProcessError):
        bash(build, tmp_path, GITHUB_REF_NAME="v1.2.3")
    assert not (tmp_path / "assets" / name).exists(), "what was changed is not released"
