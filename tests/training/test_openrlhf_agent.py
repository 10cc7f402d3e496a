"""The agent inside OpenRLHF: grades as responses end, rewards, and what the last response of a group carries."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openrlhf", reason="needs the training environment")
from openrlhf_parser import SHIM

sys.path.append(str(SHIM))  # last: a real flash-attn comes first where there is one

import torch
from openrlhf_runs import trained_with

from boundary_bench.algorithms.loss import advantages
from boundary_bench.core.errors import GradingError
from boundary_bench.grading import Grade, Verdict
from boundary_bench.grading.graders import GRADERS
from boundary_bench.grading.judging import Judge
from boundary_bench.training.openrlhf import agent, command, inputs
from boundary_bench.training.rewards import random_rewards

pytestmark = pytest.mark.openrlhf


def executor(folder: Path, **changes: Any) -> agent.Executor:
    """The executor that OpenRLHF makes of the agent's file."""
    job = trained_with(rollouts=4, **changes)
    start = command.Start(folder, folder, 7, 20, 0, 2)
    inputs.write(job, start, {problem.id: [1, 2] for problem in job.problems}, (1,), folder / "judgements")
    found: dict[str, Any] = {}
    exec(compile(start.agent.read_text(), str(start.agent), "exec"), found)
    return found["AgentExecutor"]()


def place(slot: int = 0, step: int = 1) -> dict[str, Any]:
    return {"step": step, "slot": slot, "problem": "p"}


RIGHT, WRONG = Grade(Verdict.CORRECT, "1", ""), Grade(Verdict.WRONG, "2", "")


def test_the_agents_file_has_what_the_prompts_name(tmp_path: Path) -> None:
    found = executor(tmp_path / "it's a folder")
    labels = [json.loads(json.loads(row)["label"]) for row in (tmp_path / "it's a folder/prompts.jsonl").open()]
    assert {label["problem"] for label in labels} <= found.ids.keys() & found.references.keys()
    assert found.ends == [1]


def test_the_last_of_a_group_carries_its_facts(tmp_path: Path) -> None:
    found = executor(tmp_path)
    told = [found._reward(place(), grade, True) for grade in (RIGHT, WRONG)]
    told += [found._reward(place(slot=1), WRONG, True)]  # responses of several prompts end in any order
    told += [found._reward(place(), grade, True) for grade in (WRONG, WRONG)]
    assert [reward for reward, _ in told] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert all(not any(facts.values()) for _, facts in told[:-1])
    advantage_G = advantages(torch.tensor([1.0, 0, 0, 0]), 4, found.objective)
    facts = told[-1][1]
    # OpenRLHF takes the mean over all responses: of this group alone, a quarter of the sums
    assert facts["live_groups"] / 4 == 1
    assert facts["positive_mass"] == pytest.approx(float(advantage_G.clamp(min=0).sum()))
    assert facts["negative_mass"] == pytest.approx(facts["positive_mass"])
    assert list(found.groups) == [(1, 1)]


def test_control_rewards_know_nothing_of_correctness(tmp_path: Path) -> None:
    found = executor(tmp_path / "random", reward={"random": 0.5})
    paid = [found._reward(place(), RIGHT, True)[0] for _ in range(4)]
    assert paid == random_rewards(0.5, found.seed, 1, 0, "p", 4).tolist()
    found = executor(tmp_path / "format", reward="format")
    cases = [(RIGHT, True), (WRONG, True), (WRONG, False), (Grade(Verdict.UNPARSABLE, None, ""), True)]
    assert [found._reward(place(), *case)[0] for case in cases] == [1.0, 1.0, 0.0, 0.0]


def test_responses_that_end_one_by_one_are_judged_by_an_isolated_grader(tmp_path: Path) -> None:
    answers = ["\\frac{1}{2}" if i % 2 else str(i) for i in range(24)]
    texts = [f"so the answer is \\boxed{{{answer}}}" for answer in answers]

    async def grade_all(grading: agent.Grading) -> list[Grade]:
        return await asyncio.gather(*(grading.grade(("0.5", text, i != 3)) for i, text in enumerate(texts)))

    with Judge(tmp_path) as judge:
        grades = asyncio.run(grade_all(agent.Grading(GRADERS["math"], judge)))
    expected = [Verdict.CORRECT if i % 2 else Verdict.WRONG for i in range(24)]
    expected[3] = Verdict.TRUNCATED
    assert [grade.verdict for grade in grades] == expected


def test_a_grader_that_fails_is_heard_of_by_all_that_wait() -> None:
    def broken(grader: Any, pairs: Any) -> Any:
        raise GradingError("no worker starts")

    async def two() -> list[Any]:
        grading = agent.Grading(GRADERS["math"], broken)
        answers = (grading.grade(("1", "\\boxed{2}", True)) for _ in range(2))
        return await asyncio.gather(*answers, return_exceptions=True)

    assert [str(fault) for fault in asyncio.run(two())] == ["no worker starts"] * 2
