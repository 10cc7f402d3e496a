"""The commit that a result says it is of holds the code that made it."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from boundary_bench.core import provenance


def git(folder: Path, *arguments: str) -> str:
    name = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *name, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Somebody's repository with this package in a folder of it that no commit holds."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(".venv\n")
    git(tmp_path, "add", ".gitignore")
    git(tmp_path, "commit", "-qm", "theirs")
    (tmp_path / ".venv").mkdir()
    shutil.copy(provenance.__file__, tmp_path / ".venv")
    return tmp_path


def version(repository: Path) -> dict[str, Any]:
    return runpy.run_path(str(repository / ".venv/provenance.py"))["code_version"]()


def test_a_package_in_the_repository_of_another_has_no_commit(repository: Path) -> None:
    assert version(repository) == {"commit": None, "committed": None, "dirty": None}


def test_a_package_in_its_repository_has_the_commit_that_holds_it(repository: Path) -> None:
    git(repository, "add", "--force", ".venv")
    git(repository, "commit", "-qm", "ours")
    commit, time = git(repository, "rev-parse", "HEAD"), int(git(repository, "show", "-s", "--format=%ct", "HEAD"))
    assert version(repository) == {"commit": commit, "committed": time, "dirty": False}
    (repository / ".gitignore").write_text("changed\n")
    assert version(repository) == {"commit": commit, "committed": time, "dirty": True}
