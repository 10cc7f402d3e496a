"""Fingerprints of the smoke study after changes of single keys."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from workflow import shipped, write_study

from boundary_bench.plan import make_plan
from boundary_bench.plan.stages import fingerprints

Prints = dict[str, dict[str, str]]
BASE = "countdown-base"
BENCHMARK = "benchmarks.countdown."
GIVEN = {"model": BASE, "checkpoints": {"3": {"path": "there"}, "5": {"path": "there too"}}}
RUNS, CONTINUED = {"train"}, {"sample", "probe"}


def put(study: dict[str, Any], where: str, value: Any) -> None:
    """Change one key, given by its path with dots; a block that is not there yet is made."""
    *parents, last = where.split(".")
    for parent in parents:
        study = study.setdefault(parent, {})
    study[last] = copy.deepcopy(value)


def prints_of(file: Path, *changes: dict[str, Any]) -> Prints:
    """Those of the study with one algorithm, a given run and a probe, written to a file."""
    study = shipped("smoke") | {
        "algorithms": {"mine": {"like": "grpo"}},
        "probe": {},
        "runs": {"theirs": copy.deepcopy(GIVEN)},
    }
    for each in changes:
        for where, value in each.items():
            put(study, where, value)
    return fingerprints(make_plan(str(write_study(file, study))))


def moved(before: Prints, after: Prints) -> set[str]:
    """The stages of which a result that both have is called otherwise."""
    assert all(before[stage].keys() == after[stage].keys() for stage in before)
    return {stage for stage in before if before[stage] != after[stage]}
