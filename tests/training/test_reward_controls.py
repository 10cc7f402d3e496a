"""Control rewards: what they pay for, that they repeat, and that the usual reward leaves old runs their names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from training import SETTINGS, problems

from boundary_bench.benchmarks.countdown import GRADER
from boundary_bench.core.errors import StudyError
from boundary_bench.grading import judge_here
from boundary_bench.plan import make_plan
from boundary_bench.plan.stages import settings
from boundary_bench.study.file import find_study
from boundary_bench.study.training import Training
from boundary_bench.training.rewards import rewards

PROBLEMS = problems()[:2]
RIGHT, WRONG, NONSENSE = PROBLEMS[0].solution, "1+1=2", "what?"


def paid(reward: object, *, seed: int = 0, step: int = 1, rollouts: int = 4, chosen: list | None = None) -> np.ndarray:
    chosen = PROBLEMS if chosen is None else chosen
    training = Training.model_validate({**SETTINGS, "reward": reward, "rollouts": rollouts})
    texts = ([RIGHT, WRONG, NONSENSE, RIGHT] * rollouts)[:rollouts] * len(chosen)
    finished = ([True, True, True, False] * rollouts)[:rollouts] * len(chosen)
    found = rewards(training, seed, step, chosen, GRADER, texts, finished, judge_here)
    return np.array(found).reshape(len(chosen), rollouts)


def test_the_usual_reward_pays_for_correct_responses_of_each_problem() -> None:
    assert paid("correct").tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]], "the solution of one problem is wrong for the next"


def test_the_format_reward_pays_for_any_answer_of_a_response_that_ended() -> None:
    assert paid("format").tolist() == [[1, 1, 0, 0]] * 2


def test_the_random_reward_pays_at_its_rate_whatever_is_said() -> None:
    found = paid({"random": 0.3}, rollouts=4096)
    assert abs(found.mean() - 0.3) < 4 * (0.21 / found.size) ** 0.5
    by_text = [found[:, place::4].mean() for place in range(4)]
    assert max(by_text) - min(by_text) < 0.06, "right, wrong, nonsense and cut off are paid alike"


def test_the_random_reward_repeats_and_depends_on_every_part_of_its_name() -> None:
    first = paid({"random": 0.5}, rollouts=64)
    assert (first == paid({"random": 0.5}, rollouts=64)).all()
    assert (first == paid({"random": 0.5}, rollouts=128)[:, :64]).all(), "a larger group begins with the smaller"
    others = [paid({"random": 0.5}, rollouts=64, seed=1), paid({"random": 0.5}, rollouts=64, step=2), first[::-1]]
    assert all(40 < (first != other).sum() < 88 for other in others)


def test_random_and_format_rewards_judge_nothing() -> None:
    def refuse(*_: object) -> list:
        raise AssertionError

    isolated = replace(GRADER, isolated=True)
    for reward, expected in (("format", [1.0, 1.0]), ({"random": 0.999}, [1.0, 1.0])):
        training = Training.model_validate({**SETTINGS, "reward": reward, "rollouts": 2})
        assert rewards(training, 0, 1, PROBLEMS[:1], isolated, [RIGHT, WRONG], [True, True], refuse) == expected


def settings_with(tmp_path: Path, **training: object) -> dict:
    study = yaml.safe_load(find_study("smoke").read_text())
    study["training"] |= training
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    plan = make_plan(str(path))
    return settings(plan, "train", plan.runs[0].name, 2)


def test_only_a_control_reward_is_part_of_a_runs_identity(tmp_path: Path) -> None:
    usual = settings_with(tmp_path)
    assert "reward" not in usual["training"]
    assert settings_with(tmp_path, reward="correct") == usual
    assert settings_with(tmp_path, reward="format")["training"]["reward"] == "format"
    assert settings_with(tmp_path, reward={"random": 0.5})["training"]["reward"] == {"random": 0.5}


@pytest.mark.parametrize("wrong", ["lucky", {"random": 0}, {"random": 1.0}, {"random": 0.5, "seed": 1}])
def test_other_rewards_are_refused(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(StudyError, match="reward"):
        settings_with(tmp_path, reward=wrong)


def test_a_control_trains(tmp_path: Path, tiny_model: Path) -> None:
    from training import job, quiet, steps

    from boundary_bench.training.reference import train

    train(job(reward={"random": 0.5}), tiny_model, tmp_path / "store", 1, quiet)
    assert 0 < steps(tmp_path / "store")[0]["reward"] < 1
