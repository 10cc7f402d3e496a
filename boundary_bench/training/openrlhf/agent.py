"""What OpenRLHF calls for every response: vLLM answers, the benchmark's own grader judges, the log gets its counts.

OpenRLHF loads it from a file of two lines (``inputs``). Its hook for agents was taken, not that for reward
functions, since the latter is told neither the token ids nor whether a response ended.
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

from boundary_bench.algorithms.algorithm import Objective
from boundary_bench.algorithms.loss import advantages
from boundary_bench.benchmarks import kind_of
from boundary_bench.core.files import read_json
from boundary_bench.grading import VERDICTS, Grade, Grader, JudgeAll, grade_many
from boundary_bench.grading.judging import Judge
from boundary_bench.study.training import RandomReward, Training
from boundary_bench.training.rewards import random_rewards

#: (reference, response, whether it ended by itself)
Response = tuple[str, str, bool]


def executor(facts: str) -> type[AgentExecutorBase]:
    """The class that OpenRLHF asks an agent's file for."""

    class AgentExecutor(Executor):
        def __init__(self) -> None:
            super().__init__(Path(facts))

    return AgentExecutor


class Executor(AgentExecutorBase):
    """Answers prompts with vLLM and rewards the responses; one in every process that holds an engine.

    Attributes:
        groups: rewards of the responses to one prompt of one step, as they come in.
    """

    def __init__(self, path: Path) -> None:
        facts = read_json(path)
        self.training = Training.model_validate(facts["training"])
        self.objective = Objective.model_validate(facts["objective"])
        self.seed, self.ids, self.ends = facts["seed"], facts["ids"], facts["ends"]
        self.references = facts["references"]
        grader = kind_of(self.training.benchmark, "training.benchmark").grader
        self.grading = Grading(grader, Judge(Path(facts["judgements"])))
        self.groups: dict[tuple[int, int], list[float]] = defaultdict(list)

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
        parameters.logprobs = parameters.logprobs or 0  # that of the drawn token at least
        # OpenRLHF forbids an end at the first token, which the log-probabilities know nothing of
        parameters.min_tokens, parameters.ignore_eos, parameters.stop_token_ids = 0, True, self.ends
        answer = (await llm_engine.generate(ids, parameters)).outputs[0]
        drawn = list(answer.token_ids)
        logprobs = [each[token].logprob for token, each in zip(drawn, answer.logprobs, strict=True)]
        ended = answer.finish_reason != "length"
        # some tokenizers tidy blanks up; the samplers' text is as it was drawn
        text = hf_tokenizer.decode(drawn, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        grade = await self.grading.grade((self.references[place["problem"]], text, ended))
        reward, group = self._reward(place, grade, ended)
        told = {f"verdict_{name}": float(grade.verdict == name) for name in VERDICTS}
        return {
            "prompt": prompt,
            "label": label,
            "images": None,
            "mm_train_inputs": None,
            "observation_tokens": [*ids, *drawn],
            "action_ranges": [(len(ids), len(ids) + len(drawn))],
            "rollout_log_probs": [0.0] * len(ids) + logprobs if sampling_params.logprobs is not None else None,
            "truncated": not ended,
            "reward": reward,
            "scores": reward,
            "extra_logs": {**told, **group, "surprisal": -sum(logprobs), "step": float(place["step"])},
        }

    def _reward(self, place: dict[str, Any], grade: Grade, ended: bool) -> tuple[float, dict[str, float]]:
        """The reward, and the facts of the group, which the last of its responses carries for all."""
        kind, group = self.training.reward, self.groups[place["step"], place["slot"]]
        if isinstance(kind, RandomReward):
            drawn_G = random_rewards(
                kind.random, self.seed, place["step"], place["slot"], place["problem"], self.training.rollouts
            )
            group.append(float(drawn_G[len(group)]))
        elif kind == "format":
            group.append(float(ended and grade.answer is not None))
        else:
            group.append(float(grade.verdict == "correct"))
        reward = group[-1]
        told = {"live_groups": 0.0, "positive_mass": 0.0, "negative_mass": 0.0}
        if len(group) == self.training.rollouts:
            del self.groups[place["step"], place["slot"]]
            advantage_G = advantages(torch.tensor(group), len(group), self.objective)
            told = {
                "live_groups": float(len(group) * (len(set(group)) > 1)),
                "positive_mass": float(advantage_G.clamp(min=0).sum()),
                "negative_mass": float((-advantage_G).clamp(min=0).sum()),
            }
        return reward, told


class Grading:
    """Grades responses as they end: whoever comes first grades, in a thread, all that wait by then.

    An engine finishes responses one at a time; graded together, they fill the grader's processes.
    """

    def __init__(self, grader: Grader, judge: JudgeAll) -> None:
        self.grader, self.judge = grader, judge
        self.waiting: list[tuple[Response, asyncio.Future[Grade]]] = []
        self.busy = asyncio.Lock()

    async def grade(self, response: Response) -> Grade:
        """The grade of a response.

        Raises:
            GradingError: see ``grade_many``; OpenRLHF then ends, with this error.
        """
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
        except Exception as fault:  # whatever it is, every waiting response has to hear of it
            for _, grade in taken:
                grade.set_exception(fault)
        else:
            for (_, grade), found in zip(taken, grades, strict=True):
                grade.set_result(found)
