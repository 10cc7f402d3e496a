"""What a rollout is rewarded for: being correct, or one of two controls that tell whether correctness matters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core import randomness
from boundary_bench.grading import Grader, JudgeAll, Nothing, Verdict, grade_many
from boundary_bench.study.training import RandomReward, Training


def rewards(
    training: Training,
    seed: int,
    step: int,
    problems: Sequence[Problem],
    grader: Grader,
    responses: Sequence[str],
    finished: Sequence[bool],
    judge: JudgeAll,
) -> list[float]:
    """The rewards, 0 or 1, of one step's rollouts, ``training.rollouts`` of each problem in turn.

    ``correct``: the verdict is correct. ``format``: the response ended and holds an answer, right or not.
    ``{random: p}``: 1 with probability p whatever the response says, drawn by run seed, step, place in the step,
    problem and rollout index.
    """
    kind, each = training.reward, training.rollouts
    if isinstance(kind, RandomReward):
        places = enumerate(problem.id for problem in problems)
        drawn_P = [random_rewards(kind.random, seed, step, slot, name, each) for slot, name in places]
        return np.concatenate(drawn_P).tolist()
    if kind == "format":
        pairs = zip(responses, finished, strict=True)
        return [float(bool(ended) and not isinstance(grader.extract(text), Nothing)) for text, ended in pairs]
    references = [problem.reference for problem in problems for _ in range(each)]
    grades = grade_many(grader, references, responses, finished, judge)
    return [float(grade.verdict is Verdict.CORRECT) for grade in grades]


def random_rewards(probability: float, seed: int, step: int, slot: int, problem: str, each: int) -> np.ndarray:
    """The rewards, 0.0 or 1.0, of ``each`` rollouts of one problem at one place of a step."""
    index_G = np.arange(each)
    seed_G = randomness.sample_seeds(randomness.key("random reward", seed, step, slot, problem), index_G)
    return (randomness.uniforms(seed_G, 0) < probability).astype(float)
