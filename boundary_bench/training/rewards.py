"""Rewards of rollouts: for being correct, or by one of two controls that show whether correctness matters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core import randomness
from boundary_bench.grading import Grade, Grader, JudgeAll, Pair, Ruling, Verdict, grade_many
from boundary_bench.study.training import RandomReward, Training

Reward = Literal["correct", "format"] | RandomReward


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
    """The rewards of one step's rollouts, ``training.rollouts`` of each problem in turn; see ``of_group``."""
    kind, each, paid = training.reward, training.rollouts, []
    references = [problem.reference for problem in problems for _ in range(each)]
    grades = grade_many(grader, references, responses, finished, judge if kind == "correct" else _nobody)
    for slot, problem in enumerate(problems):
        paid += of_group(kind, grades[slot * each :][:each], (seed, step, slot, problem.id))
    return paid


def of_group(kind: Reward, grades_G: Sequence[Grade], place: tuple[int, int, int, str]) -> list[float]:
    """The rewards, 0 or 1, of the responses to one problem.

    ``correct``: the verdict is correct. ``format``: the response ended and contains an answer, right or wrong.
    ``{random: p}``: 1 with probability p independently of the response, drawn by place and rollout index.

    Args:
        place: run seed, step, place in the step and problem id.
    """
    if isinstance(kind, RandomReward):
        seed_G = randomness.sample_seeds(randomness.key("random reward", *place), np.arange(len(grades_G)))
        return (randomness.uniforms(seed_G, 0) < kind.random).astype(float).tolist()
    if kind == "format":
        return [float(grade.answer is not None) for grade in grades_G]
    return [float(grade.verdict is Verdict.CORRECT) for grade in grades_G]


def _nobody(grader: Grader, pairs: Sequence[Pair]) -> list[Ruling]:
    """Rulings without judging, since the controls ignore them."""
    return [Ruling(Verdict.WRONG, "not judged")] * len(pairs)
