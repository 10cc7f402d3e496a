"""OpenRLHF's agent: vLLM answers a prompt, the benchmark's own grader grades the response, and the log gets counts.

OpenRLHF loads it from a file of two lines (``inputs``). We use OpenRLHF's agent hook because its reward hook receives
neither the token ids nor the finish reason.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from openrlhf.utils.agent import AgentExecutorBase

from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.benchmarks import kind_of
from boundary_bench.core.files import read_json
from boundary_bench.grading import VERDICTS, Grade, Grader, JudgeAll, grade_many
from boundary_bench.grading.judging import Judge
from boundary_bench.models.tokenizer import load_tokenizer, shown
from boundary_bench.study.training import Training
from boundary_bench.training.rewards import of_group

#: (reference, response, whether it ended by itself)
Response = tuple[str, str, bool]


def executor(facts: str) -> type[AgentExecutorBase]:
    """The class that OpenRLHF expects in an agent's file."""

    class AgentExecutor(Executor):
        def __init__(self) -> None:
            super().__init__(Path(facts))

    return AgentExecutor


class Group:
    """Grades of the responses to one prompt of one step as they end; ``facts`` is set when the last has ended."""

    def __init__(self) -> None:
        self.grades: list[Grade] = []
        self.facts: asyncio.Future[list[dict[str, float]]] = asyncio.get_running_loop().create_future()


class Executor(AgentExecutorBase):
    """Answers prompts with vLLM and rewards the responses; one in every process with an engine.

    OpenRLHF requests all responses to a prompt at once from one engine, so each can wait for the others, and OpenRLHF
    receives the advantage as the reward of a response.
    """

    def __init__(self, path: Path) -> None:
        facts = read_json(path)
        self.training = Training.model_validate(facts["training"])
        self.algorithm = Algorithm.model_validate(facts["algorithm"])
        self.seed, self.ids, self.ends = facts["seed"], facts["ids"], facts["ends"]
        self.references = facts["references"]
        self.tokenizer = load_tokenizer(Path(facts["base"]))
        grader = kind_of(self.training.benchmark, "training.benchmark").grader
        self.grading = Grading(grader, Judge(Path(facts["judgements"])))
        self.groups: dict[tuple[int, int], Group] = defaultdict(Group)

    async def execute(
        self,
        prompt: str,
        label: str,
        sampling_params: Any,
        max_length: int,
        hf_tokenizer: Any,
        llm_engine: Any,
        images: Any = None,
    ) -> dict[str, Any]:
        """One response to one prompt, in the form of OpenRLHF's own executor for single turns.

        Args:
            label: step, place in the step and problem id, as JSON.
        """
        place = json.loads(label)
        ids = self.ids[place["problem"]]
        parameters = copy.deepcopy(sampling_params)
        parameters.logprobs = parameters.logprobs or 0  # at least the drawn token's log-probability
        # OpenRLHF forbids EOS at the first token, which the log-probabilities do not reflect
        parameters.min_tokens, parameters.ignore_eos, parameters.stop_token_ids = 0, True, self.ends
        answer = (await llm_engine.generate(ids, parameters)).outputs[0]
        drawn = list(answer.token_ids)
        logprobs = [each[token].logprob for token, each in zip(drawn, answer.logprobs, strict=True)]
        ended = answer.finish_reason != "length"
        # not OpenRLHF's tokenizer, which may be of a class that its model type implies, and may tidy blanks up
        (text,) = shown(self.tokenizer, [drawn], [ended])
        grade = await self.grading.grade((self.references[place["problem"]], text, ended))
        facts = await self.facts(place, grade)
        return {
            "prompt": prompt,
            "label": label,
            "images": None,
            "mm_train_inputs": None,
            "observation_tokens": [*ids, *drawn],
            "action_ranges": [(len(ids), len(ids) + len(drawn))],
            "rollout_log_probs": [0.0] * len(ids) + logprobs if sampling_params.logprobs is not None else None,
            "truncated": not ended,
            "reward": facts["advantage"],
            "scores": facts["paid"],
            "extra_logs": {**facts, "surprisal": -sum(logprobs), "step": float(place["step"])},
        }

    async def facts(self, place: dict[str, Any], grade: Grade) -> dict[str, float]:
        """The log entries of a response, available when its group has ended; their means are those of the step log."""
        key = place["step"], place["slot"]
        group = self.groups[key]
        index = len(group.grades)
        group.grades.append(grade)
        if len(group.grades) == self.training.rollouts:
            del self.groups[key]
            group.facts.set_result(self._of_group(place, group.grades))
        return (await group.facts)[index]

    def _of_group(self, place: dict[str, Any], grades_G: list[Grade]) -> list[dict[str, float]]:
        at = self.seed, place["step"], place["slot"], place["problem"]
        reward_G = of_group(self.training.reward, grades_G, at)
        advantage_G = self.algorithm.advantages(torch.tensor(reward_G, dtype=torch.float64), len(reward_G)).tolist()
        return [
            {
                "paid": reward,
                "advantage": advantage,
                "live_groups": float(len(set(reward_G)) > 1),
                "positive_mass": max(advantage, 0.0),
                "negative_mass": max(-advantage, 0.0),
                **{f"verdict_{name}": float(grade.verdict == name) for name in VERDICTS},
            }
            for reward, advantage, grade in zip(reward_G, advantage_G, grades_G, strict=True)
        ]


class Grading:
    """Grades responses as they end, all waiting ones together in a thread, so that they fill the grader's processes."""

    def __init__(self, grader: Grader, judge: JudgeAll) -> None:
        self.grader, self.judge = grader, judge
        self.waiting: list[tuple[Response, asyncio.Future[Grade]]] = []
        self.busy = asyncio.Lock()

    async def grade(self, response: Response) -> Grade:
        """The grade of a response; OpenRLHF ends with any error of the grader."""
        grade: asyncio.Future[Grade] = asyncio.get_running_loop().create_future()
        self.waiting.append((response, grade))
        async with self.busy:
            if self.waiting:
                taken, self.waiting = self.waiting, []
                await self._grade_all(taken)
        return await grade

    async def _grade_all(self, taken: list[tuple[Response, asyncio.Future[Grade]]]) -> None:
        references, texts, ended = zip(*(response for response, _ in taken), strict=True)
        try:
            grades = await asyncio.to_thread(grade_many, self.grader, references, texts, ended, self.judge)
        except Exception as fault:  # every waiting response must receive the error
            for _, grade in taken:
                grade.set_exception(fault)
        else:
            for (_, grade), found in zip(taken, grades, strict=True):
                grade.set_result(found)
