"""The command line of OpenRLHF: everything that bites is on it, and the real parser reads it as it was meant."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from openrlhf_parser import parse
from training import grpo

from boundary_bench.algorithms import ALGORITHMS
from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.translate import refusal
from boundary_bench.core.errors import StudyError
from boundary_bench.plan import make_plan
from boundary_bench.study.file import SHIPPED
from boundary_bench.study.training import Training
from boundary_bench.training.openrlhf.command import Flags, Start, arguments, flags

STUDIES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
SETTINGS = {"benchmark": "countdown", "segments": [2], "prompts": 4, "rollouts": 8, "backend": "openrlhf"}
OWN = {"backend", "openrlhf", "trl"}
GRPO = ALGORITHMS["grpo"]


def training(**changes: Any) -> Training:
    return Training.model_validate({**SETTINGS, "openrlhf": {"gpus": 1}, **changes})


def segment(stop: int) -> Start:
    return Start(Path("/models/base"), Path("/store/run"), seed=0, longest=10, done=0, stop=stop)


@pytest.fixture(scope="module")
def lines() -> dict[str, Flags]:
    """The flags of every algorithm of the table in every shipped study that trains."""
    found = {}
    for study in STUDIES:
        if (given := make_plan(study).study.training) is None:
            continue
        chosen = given if given.backend == "openrlhf" else training(**given.model_dump(exclude=OWN))
        for name, algorithm in ALGORITHMS.items():
            if refusal("openrlhf", algorithm) is None:
                found[f"{study} {name}"] = flags(chosen, algorithm, segment(chosen.segments[-1]))
    return found


def value(parsed: Any, flag: str) -> Any:
    for part in flag.split("."):
        parsed = getattr(parsed, part)
    return parsed


@pytest.fixture(scope="module")
def unknown() -> dict[str, list[str]]:
    """Command lines that OpenRLHF must refuse, by a part of its complaint."""
    usual = arguments(flags(training(), GRPO, segment(2)))
    misspelt = training(openrlhf={"gpus": 1, "flags": {"actor.adam.epsilon": 1e-6}})
    return {
        "unrecognized arguments: --actor.adam.epsilon": arguments(flags(misspelt, GRPO, segment(2))),
        "unrecognized arguments: --advantage_estimator": [*usual, "--advantage_estimator", "group_norm"],
        "requires n_samples_per_prompt > 1": [*usual, "--rollout.n_samples_per_prompt", "1"],
    }


@pytest.mark.openrlhf
def test_the_real_parser_reads_what_was_meant_for_every_algorithm_and_study(
    lines: dict[str, Flags], unknown: dict[str, list[str]]
) -> None:
    pytest.importorskip("openrlhf", reason="needs the training environment")
    parsed = parse([*map(arguments, lines.values()), *unknown.values()])
    for (name, meant), read in zip(lines.items(), parsed, strict=False):
        assert not isinstance(read, str), f"{name}: {read}"
        assert {flag: value(read, flag) for flag in meant} == meant, name
        # off by default in 0.11.2, and each would change what is learned
        assert not read.algo.dynamic_filtering_enable and not read.train.async_enable
        assert read.reward.overlong_buffer_len is read.reward.stop_properly_penalty_coef is None
        assert not read.train.dynamic_batch_enable and not read.train.enable_ema
        assert read.actor.optim == "adam" and read.actor.adam.eps == 1e-8 and read.ds.lora.rank == 0
    for part, complaint in zip(unknown, parsed[len(lines) :], strict=True):
        assert isinstance(complaint, str) and part in complaint


def test_every_batch_is_whole(lines: dict[str, Flags]) -> None:
    """A rest would be dropped, or kept back for the next step's update."""
    for name, found in lines.items():
        samples = found["rollout.batch_size"] * found["rollout.n_samples_per_prompt"]
        world = found["actor.num_nodes"] * found["actor.num_gpus_per_node"]
        assert samples % found["train.batch_size"] == 0, name
        assert found["train.batch_size"] % (found["train.micro_batch_size"] * world) == 0, name
        assert samples % (found["rollout.micro_batch_size"] * world) == 0, name


@given(st.integers(0, 60), st.integers(1, 400), st.sampled_from([1, 2, 8]), st.integers(1, 3))
def test_the_warm_up_is_the_whole_number_of_updates_that_openrlhf_makes_of_it(
    warmup: int, stop: int, updates: int, epochs: int
) -> None:
    chosen = training(warmup=warmup, updates_per_rollout=updates, epochs=epochs)
    found = flags(chosen, GRPO, segment(stop))
    every = stop * chosen.prompts * chosen.rollouts // found["train.batch_size"] * found["train.max_epochs"]
    assert math.ceil(every * found["actor.lr_warmup_ratio"]) == warmup * updates * epochs


ALL = st.builds(
    lambda kl, std, **settings: grpo(
        kl=kl,
        kl_coefficient=0.0 if kl == "none" else 0.1,
        **({"constant_length": 48} if settings["aggregation"] == "constant_length" else {}),
        **({"std": std} if settings["advantage"] == "normalized" else {}),
        **settings,
    ),
    kl=st.sampled_from(["none", "k1", "k2", "k3"]),
    advantage=st.sampled_from(["normalized", "centered"]),
    std=st.sampled_from(["unbiased", "population"]),
    signs=st.sampled_from(["all", "negative", "positive"]),
    others=st.sampled_from(["mask", "drop"]),
    ratio=st.sampled_from(["token", "sequence"]),
    dual_clip=st.sampled_from([None, 3.0]),
    aggregation=st.sampled_from(["token_mean", "sequence_mean", "constant_length"]),
    entropy_coefficient=st.sampled_from([0.0, 0.01]),
)


@given(ALL)
def test_whatever_is_not_refused_has_a_command_line(algorithm: Algorithm) -> None:
    assume(refusal("openrlhf", algorithm) is None)
    words = arguments(flags(training(), algorithm, segment(2)))
    assert all(isinstance(word, str) for word in words)
    assert "None" not in words and "True" not in words


def test_a_flag_of_the_study_comes_last_and_may_not_repeat_another() -> None:
    further = training(openrlhf={"gpus": 1, "flags": {"actor.adam.eps": 1e-6, "ds.overlap_comm": True}})
    assert arguments(flags(further, GRPO, segment(2)))[-3:] == ["--actor.adam.eps", "1e-06", "--ds.overlap_comm"]
    again = training(openrlhf={"gpus": 1, "flags": {"actor.max_norm": 5.0}})
    with pytest.raises(StudyError) as caught:
        flags(again, GRPO, segment(2))
    assert all(part in str(caught.value) for part in ["actor.max_norm", "1.0", "drop this line"])
