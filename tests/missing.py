"""A small results tree whose step logs and samples do not say all that they could."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from expected import CORRECT, ONE_RUN

from boundary_bench.plan import Plan
from boundary_bench.training.step_log import StepRow
from results import PROBLEMS, RUN, make_tree, rewrite

#: What a line of the step log may leave open.
UNTOLD = [field.name for field in fields(StepRow) if "None" in str(field.type)]
#: What a sample may leave open, and the cells of ``summary.csv`` that are empty then.
EMPTY = {
    "tokens": {"mean_tokens", "token_entropy", "nll"},
    "logprob": {"nll", "sequence_entropy"},
    "entropy": {"token_entropy"},
}


def made(folder: Path) -> Plan:
    folder.mkdir()
    return make_tree(folder, CORRECT, **ONE_RUN)


def forget_steps(plan: Plan, gone: list[int]) -> None:
    for stop in plan.study.training.segments:
        log = plan.checkpoint(plan.run(RUN), stop).parent / "log.jsonl"
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        rows = [row | (dict.fromkeys(UNTOLD) if row["step"] in gone else {}) for row in rows]
        log.write_text("".join(json.dumps(row) + "\n" for row in rows))


def forget_samples(plan: Plan, names: set[str], one: bool) -> None:
    """Samples do not say these numbers: all of them, or of every policy the first one of a problem."""

    def forgotten(row: dict[str, Any]) -> dict[str, Any]:
        chosen = not one or (row["problem_id"], row["sample"]) == (PROBLEMS[0].id, 0)
        return row | (dict.fromkeys(names) if chosen else {})

    for policy in plan.policies:
        rewrite(plan, policy, forgotten)
