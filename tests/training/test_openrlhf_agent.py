"""The agent inside OpenRLHF: grades as responses end, and gives each its advantage once its group has ended."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openrlhf", reason="needs the training environment")
from openrlhf_parser import SHIM

sys.path.append(str(SHIM))  # last: a real flash-attn comes first where there is one

import torch
from openrlhf_runs import trained_with

from boundary_bench.algorithms import ALGORITHMS
from boundary_bench.core.errors import GradingError
from boundary_bench.grading import TRUNCATED, Grade, Verdict
from boundary_bench.grading.graders import GRADERS
from boundary_bench.grading.judging import Judge
from boundary_bench.training.openrlhf import agent, command, inputs
from boundary_bench.training.pretrain import character_tokenizer
from boundary_bench.training.rewards import of_group

pytestmark = pytest.mark.openrlhf


def executor(folder: Path, name: str = "grpo", **changes: Any) -> agent.Executor:
    """The executor that OpenRLHF makes of the agent's file."""
    job = replace(trained_with(rollouts=4, **changes), algorithm=ALGORITHMS[name])
    folder.mkdir(exist_ok=True)
    character_tokenizer().save(str(folder / "tokenizer.json"))
    start = command.Start(folder, folder, 7, 20, 0, 2)
    inputs.write(job, start, {problem.id: [1, 2] for problem in job.problems}, (1,), folder / "judgements")
    found: dict[str, Any] = {}
    exec(compile(start.agent.read_text(), str(start.agent), "exec"), found)
    return found["AgentExecutor"]()


def place(slot: int = 0, step: int = 1) -> dict[str, Any]:
    return {"step": step, "slot": slot, "problem": "p"}


def facts(found: agent.Executor, *ended: tuple[int, Grade]) -> list[dict[str, float]]:
    """What is told of responses that end in this order, each with the place of its prompt."""

    async def all_of_them() -> list[dict[str, float]]:
        return await asyncio.gather(*(found.facts(place(slot), grade) for slot, grade in ended))

    return asyncio.run(all_of_them())


RIGHT, WRONG = Grade(Verdict.CORRECT, "1", ""), Grade(Verdict.WRONG, "2", "")


def test_the_agents_file_has_what_the_prompts_name(tmp_path: Path) -> None:
    found = executor(tmp_path / "it's a folder")
    labels = [json.loads(json.loads(row)["label"]) for row in (tmp_path / "it's a folder/prompts.jsonl").open()]
    assert {label["problem"] for label in labels} <= found.ids.keys() & found.references.keys()
    assert found.ends == [1]


@pytest.mark.parametrize("name", ["grpo", "grpo-n"])
def test_a_response_gets_its_advantage_when_its_group_has_ended(name: str, tmp_path: Path) -> None:
    found = executor(tmp_path, name)
    # responses of several prompts end in any order
    told = facts(found, (0, RIGHT), (0, WRONG), (1, WRONG), (0, WRONG), (1, WRONG), (0, WRONG), (1, WRONG), (1, WRONG))
    mixed, equal = [told[i] for i in (0, 1, 3, 5)], [told[i] for i in (2, 4, 6, 7)]
    assert [fact["paid"] for fact in mixed] == [1.0, 0.0, 0.0, 0.0]
    advantage_G = ALGORITHMS[name].advantages(torch.tensor([1.0, 0, 0, 0], dtype=torch.float64), 4)
    assert [fact["advantage"] for fact in mixed] == advantage_G.tolist()
    assert [fact["positive_mass"] - fact["negative_mass"] for fact in mixed] == advantage_G.tolist()
    assert all(min(fact["positive_mass"], fact["negative_mass"]) == 0 for fact in told)
    assert all(fact["live_groups"] == 1 for fact in mixed)
    assert not any(fact[name] for fact in equal for name in ("paid", "advantage", "live_groups", "positive_mass"))
    assert not found.groups


def test_no_response_is_given_back_before_its_group_has_ended(tmp_path: Path) -> None:
    found = executor(tmp_path)

    async def three_of_four() -> None:
        async with asyncio.timeout(0.1):
            await asyncio.gather(*(found.facts(place(), WRONG) for _ in range(3)))

    with pytest.raises(TimeoutError):
        asyncio.run(three_of_four())


def test_control_rewards_know_nothing_of_correctness(tmp_path: Path) -> None:
    found = executor(tmp_path / "random", reward={"random": 0.5})
    paid = [fact["paid"] for fact in facts(found, *[(0, RIGHT)] * 4)]
    assert paid == of_group(found.training.reward, [WRONG] * 4, (found.seed, 1, 0, "p")) and 0 < sum(paid) < 4
    found = executor(tmp_path / "format", reward="format")
    cases = (RIGHT, WRONG, TRUNCATED, Grade(Verdict.UNPARSABLE, None, ""))
    assert [fact["paid"] for fact in facts(found, *((0, case) for case in cases))] == [1.0, 1.0, 0.0, 0.0]


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
