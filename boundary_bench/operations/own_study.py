"""The study that a command writes: a file that grows from there, run with Snakemake to its page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from boundary_bench.core.errors import EXIT_RUN_AGAIN, Interrupted, StudyError
from boundary_bench.core.files import write_text
from boundary_bench.machine.launcher import REPOSITORY
from boundary_bench.plan import Plan
from boundary_bench.study.file import checked


def write(command: str, path: Path, study: dict[str, Any]) -> None:
    """Write the study of a command, or find it there already.

    Raises:
        StudyError: it is no study, and nothing is written; or the file holds another one.
    """
    Plan(checked(study, f"{command}: what was asked for"), path, path.parent)
    text = f"# written by boundary-bench {command}; add benchmarks, checkpoints or samples, and run it as a study\n"
    text += yaml.safe_dump(study, sort_keys=False, allow_unicode=True, default_flow_style=None)
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise StudyError(
                f"{command}: {path} is there and says something else; choose another --name, or run it as it is: "
                f"snakemake --cores all --config study={path}"
            )
        return
    write_text(path, text)


def run(command: str, path: Path, results: Path) -> None:
    """Run the study with Snakemake; its progress goes where this process writes.

    Raises:
        Interrupted: it was stopped by a signal.
        StudyError: a job failed; Snakemake has said which.
    """
    words = ["-s", str(REPOSITORY / "Snakefile"), "--cores", "all", "-q", "rules", "host"]
    words += ["--config", f"study={path}", f"results={results}"]
    code = subprocess.call([sys.executable, "-m", "snakemake", *words])
    if code in (EXIT_RUN_AGAIN, 130) or code < 0:
        raise Interrupted("stopped by a signal; run the same command again to go on")
    if code:
        raise StudyError(
            f"{command}: the study did not come to its end; what failed stands above. The same command goes on"
        )
