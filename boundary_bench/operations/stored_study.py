"""The study that says the same as ``boundary-bench passk BASE RL``: two policies whose samples are in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boundary_bench.benchmarks.stored import OF_PROBLEMS
from boundary_bench.grading.graders import SCORES
from boundary_bench.operations.evaluate import STEP, label
from boundary_bench.operations.passk import Passk
from boundary_bench.sampling.stored.policy import StoredPolicy
from boundary_bench.study.analysis import Analysis
from boundary_bench.tables.table import BASE

#: The name of the benchmark whose problems are those of the files.
PROBLEMS = "problems"


@dataclass(frozen=True)
class Asked:
    """How stored samples are read.

    Attributes:
        patterns: the files of the base and of the other policy, as the command names them.
        grader: None: the files' own scores count.
        columns: where a row has what.
    """

    patterns: list[str]
    grader: str | None
    columns: dict[str, str]
    correct_from: float | None


def study_of(name: str, asked: Asked, policies: list[StoredPolicy], found: Passk, analysis: Analysis) -> dict[str, Any]:
    """The study of a base and another policy.

    Args:
        policies: as ``passk`` has read them, the base first.
        found: what they say, which has the values of k.
    """
    base, other = _labels(policies)
    # one pattern may hold both
    patterns = dict(zip(("base", "other"), (asked.patterns[0], asked.patterns[-1]), strict=True))
    samples = {
        who: _samples(patterns[who], asked, policy, said["n"])
        for who, policy, said in zip(patterns, policies, found.policies, strict=True)
    }
    step = STEP.search(other)
    named = {"problem": "problem_id"}
    columns = {named.get(each, each): place for each, place in asked.columns.items() if each in OF_PROBLEMS}
    return {
        "study": name,
        "models": {base: {"samples": {PROBLEMS: samples["base"]}}},
        "runs": {
            other: {
                "model": base,
                "checkpoints": {int(step[1]) if step else 1: {"samples": {PROBLEMS: samples["other"]}}},
            }
        },
        "benchmarks": {
            PROBLEMS: {
                "kind": f"stored:{asked.grader or SCORES.name}",
                "data": _data(policies[0]),
                **({"columns": columns} if columns else {}),
            }
        },
        "analysis": {"ks": sorted({int(row["k"]) for row in found.curves}), "level": analysis.level},
    }


def _samples(pattern: str, asked: Asked, policy: StoredPolicy, n: int) -> dict[str, Any]:
    found: dict[str, Any] = {"files": pattern, "n": n}
    if asked.columns:
        found["columns"] = asked.columns
    if asked.correct_from is not None:
        found["correct_from"] = asked.correct_from
    if policy.policy:
        found["policy"] = policy.policy
    return found


def _data(policy: StoredPolicy) -> str:
    """A file with all problems of a policy: the first of several, or the folder of YAML files, one for a problem."""
    first = policy.files[0]
    return str(first.parent if first.suffix.lower() in (".yaml", ".yml") else first)


def _labels(policies: Sequence[StoredPolicy]) -> list[str]:
    """Names for tables: what the files call a policy, else that of its file, or of its folder where files are alike."""
    found = [label(policy.policy or policy.files[0].name.partition(".")[0]) for policy in policies]
    if len(set(found)) < len(found):
        found = [label(str(policy.files[0].absolute().parent)) for policy in policies]
    base, other = found
    return [base, f"{other}-2" if other == base else "other" if other == BASE else other]
