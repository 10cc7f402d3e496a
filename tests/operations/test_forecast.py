"""What a study will take: counts by hand, samples against draws, and unknowns that stay unknown."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from workflow import shipped, write_study

from boundary_bench.commands import main
from boundary_bench.core.errors import EXIT_USER_ERROR, StudyError
from boundary_bench.core.text import aligned, number
from boundary_bench.operations.forecast import (
    Assumptions,
    Forecast,
    assumed,
    chain,
    forecast,
    parameters,
    samples_of_a_problem,
)
from boundary_bench.operations.forecast_text import text
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.jobs import jobs
from boundary_bench.statistics.design import Design, progress

DEBATE_RUNS = 2 * 8 * 3
DEBATE_POLICIES = 2 + DEBATE_RUNS * 4


def changed(folder: Path, name: str, **keys: Any) -> Plan:
    """A shipped study with some top-level keys replaced."""
    return make_plan(str(write_study(folder / "changed.yaml", {**shipped(name), **keys})), folder / "results")


def debate(**assumptions: float) -> Forecast:
    return forecast(make_plan("debate", Path("nowhere")), Assumptions(**assumptions))


def counted(plan: Plan) -> dict[str, int]:
    return Counter(job.stage.name for job in jobs(plan))


def test_the_debate_has_the_jobs_that_its_design_says() -> None:
    plan = make_plan("debate")
    expected = {
        "prepare": 6 + 1,
        "overlap": 6,
        "pretrain": 2,
        "train": DEBATE_RUNS * 7,
        "sample": DEBATE_POLICIES * 6,
        "probe": 2 * 6,
        "measure": DEBATE_POLICIES * 6,
        "compare": DEBATE_RUNS * 6,
        "report": 1,
    }
    assert counted(plan).items() >= expected.items()
    assert chain(jobs(plan)) == ["pretrain", *["train"] * 7, "sample", "measure", "compare", "report"]


def test_shards_are_jobs_and_stages_without_work_are_left_out(tmp_path: Path) -> None:
    plan = changed(tmp_path, "smoke", sampling={"n_max": 64, "shards": 3})
    assert (counted(plan)["sample"], counted(plan)["measure"]) == (27, 9) and "probe" not in counted(plan)


def test_the_chain_is_that_of_the_last_segment_where_it_is_not_evaluated(tmp_path: Path) -> None:
    training = shipped("smoke")["training"] | {"segments": [2, 4, 6, 8, 10, 12, 14]}
    plan = changed(tmp_path, "smoke", training=training)
    assert chain(jobs(plan)) == ["pretrain", *["train"] * 7, "report"]


@pytest.mark.parametrize(("name", "rate"), [("smoke", 0.1), ("smoke", 0.5), ("debate-1gpu", 0.3)])
def test_expected_samples_are_those_of_drawn_problems(name: str, rate: float) -> None:
    plan, rng = make_plan(name), np.random.default_rng(0)
    p_P = rng.beta(rate, 1 - rate, 4000)
    correct_PN = rng.random((len(p_P), plan.design.n_max)) < p_P[:, None]
    drawn_P = np.full(len(p_P), plan.design.n_max)
    drawn = progress(plan.design, drawn_P, np.ones_like(correct_PN), correct_PN).samples_P.mean()
    least, expected, most = samples_of_a_problem(plan, rate)
    assert (least, most) == (plan.design.rounds[0], plan.design.n_max)
    assert expected == pytest.approx(drawn, rel=0.03)


@given(st.floats(0.01, 0.99), st.integers(1, 40))
def test_expected_samples_are_within_the_bounds(rate: float, stop_after: int) -> None:
    plan = make_plan("smoke")
    plan.__dict__["design"] = Design((16, 32, 64), stop_after)
    least, expected, most = samples_of_a_problem(plan, rate)
    assert (least, most) == (16, 64) and least <= expected <= most


def test_without_a_stop_all_bounds_are_one(tmp_path: Path) -> None:
    plan = changed(tmp_path, "smoke", sampling={"n_max": 64, "stop_after": None})
    assert samples_of_a_problem(plan, 0.5) == pytest.approx((64, 64, 64))


def test_tokens_and_hours_follow_from_given_throughputs() -> None:
    found = debate(response_tokens=1000, train_tokens_per_second=500, sample_tokens_per_second=2000)
    model = found.models["qwen2.5-math-7b"]
    responses = 24 * 140 * 1024 * 8
    assert (model.runs, model.policies) == (24, 1 + 24 * 4)
    assert model.rolled_tokens == responses * 1000 and model.trained_tokens == responses * 1200
    assert model.train_hours == pytest.approx(responses * (1000 / 2000 + 1200 / 500) / 3600)
    problems = 500 + 30 + 30 + 40 + 500 + 500
    expected = sum(each.expected for each in found.benchmarks.values())
    assert sum(each.problems.value for each in found.benchmarks.values()) == problems
    sampled = (97 * (expected + problems) + 3 * problems) * 1000  # with greedy responses, and three fractions probed
    assert model.sampled_tokens == pytest.approx(sampled)
    assert model.sample_hours == pytest.approx(sampled / 2000 / 3600)
    longest = (found.benchmarks["math-500"].expected + 500) * 1000 / 2000 / 3600
    assert model.chain_hours == pytest.approx(model.train_hours / 24 / 8 + longest)


def test_throughputs_follow_from_the_peak_and_the_parameters() -> None:
    once, twice = debate(), debate(teraflops=2 * 989)
    small, large = (once.models[name] for name in ("llama-3.2-3b-instruct", "qwen2.5-math-7b"))
    assert large.update_rate.value == pytest.approx(989e12 * 0.2 / (10 * 7e9))
    assert large.sample_rate.value == large.rollout_rate.value == pytest.approx(989e12 * 0.05 / (2 * 7e9))
    assert small.train_hours / large.train_hours == pytest.approx(3 / 7)
    assert twice.models["qwen2.5-math-7b"].train_hours == pytest.approx(large.train_hours / 2)


def test_published_hours_are_of_the_order_of_the_forecast(tmp_path: Path) -> None:
    """SimpleRL-Zoo, 7B: some 100 steps of 1,024 x 8 responses in some 15 hours of 16 H100."""
    training = shipped("debate")["training"] | {"segments": [100]}
    plan = changed(tmp_path, "debate", training=training, evaluate={"steps": [0, 100]})
    model = forecast(plan, Assumptions(response_tokens=700)).models["qwen2.5-math-7b"]
    assert 240 / 4 < model.train_hours / model.runs < 240


def test_a_response_is_no_longer_than_max_tokens() -> None:
    assert debate(response_tokens=1e6).models == debate(response_tokens=3072).models


@pytest.mark.parametrize(
    ("training", "checkpoint", "state"),
    [
        ({"backend": "reference"}, 4, 12),
        ({"backend": "openrlhf"}, 2, 14),
        ({"backend": "trl"}, 4, 12),
        ({"backend": "trl", "trl": {"dtype": "bfloat16"}}, 4, 12),
    ],
)
def test_disk_of_a_training_backend(
    training: dict[str, Any], checkpoint: int, state: int, tmp_path: Path, tiny_model: Path
) -> None:
    own = {"training": shipped("smoke")["training"] | training, "models": {"tiny": {"path": str(tiny_model)}}}
    model = forecast(changed(tmp_path, "smoke", **own), Assumptions(response_tokens=10)).models["tiny"]
    size = sum(tensor.size for tensor in load_file(tiny_model / "model.safetensors").values())
    assert model.parameters.value == size and model.parameters.source == "its files"
    assert model.disk == {
        "base model": 0,
        "checkpoints": 4 * 2 * checkpoint * size,
        "trainer states": 4 * 2 * state * size,
        "samples": pytest.approx(3.5 * model.sampled_tokens),
    }


@pytest.mark.parametrize(
    ("hub", "expected"),
    [
        ("Qwen/Qwen2.5-Math-1.5B", 1.5e9),
        ("meta-llama/Llama-3.2-3B-Instruct", 3e9),
        ("Qwen/Qwen3-30B-A3B", 30e9),
        ("org/model-0.5B", 0.5e9),
        ("mistralai/Mixtral-8x7B-v0.1", None),
        ("org/7Bees", None),
        ("openai-community/gpt2", None),
    ],
)
def test_parameters_are_read_in_a_name_that_says_them(hub: str, expected: float | None, tmp_path: Path) -> None:
    models = {"base": {"hub": hub, "revision": "0" * 40}}
    found = parameters(changed(tmp_path, "smoke", models=models), "base")
    assert found.value == expected and (expected or "boundary-bench pretrain" in found.source)


def test_what_is_unknown_says_what_would_tell(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"numbers": [1, 2], "target": 3}) + "\n")
    benchmarks = {"ours": {"kind": "countdown", "data": str(rows)}, "countdown": {"options": {"problems": {3: 5}}}}
    models = {name: {"hub": f"org/{name}", "revision": "0" * 40} for name in ("one", "other")}
    plan = changed(tmp_path, "smoke", benchmarks=benchmarks, models=models)
    found = forecast(plan, Assumptions())
    assert found.benchmarks["ours"].expected is None and found.benchmarks["countdown"].problems.value == 5
    model = found.models["one"]
    assert model.sampled_tokens is None and model.train_hours is None and set(model.disk.values()) == {None}
    told = text(found)
    for part in (
        f"problems of ours: run: boundary-bench prepare {plan.path} --benchmark ours",
        f"parameters of one: run: boundary-bench pretrain {plan.path} --model one",
        "tokens/s of one in updates, tokens/s of other in updates: known",
        "hours of the longest chain, one run and its longest sample: unknown, see below",
    ):
        assert part in told
    for option in ("--train-tokens-per-second", "--sample-tokens-per-second"):
        assert told.count(f"measure it on your machine and give {option}") == 1, "a reason is given once"
    assert main(["prepare", str(plan.path), "--results", str(plan.results), "--benchmark", "ours"]) == 0
    assert forecast(plan, Assumptions()).benchmarks["ours"].problems.value == 1


@pytest.mark.parametrize("name", ["smoke", "quickstart", "qwen2"])
def test_parameters_of_a_model_made_here_follow_from_its_settings(name: str, tmp_path: Path) -> None:
    from boundary_bench.training.pretrain import build

    models = shipped("smoke" if name == "qwen2" else name)["models"]
    if name == "qwen2":
        models["countdown-base"]["pretrain"] |= {"architecture": "qwen2", "hidden": 40, "layers": 2, "heads": 4}
    plan = changed(tmp_path, "smoke", models=models)
    settings = plan.study.models["countdown-base"].pretrain
    assert settings is not None
    found = parameters(plan, "countdown-base")
    assert found.value == sum(weight.numel() for weight in build(settings).parameters())
    assert found.source == "its settings"


def test_only_what_something_follows_from_is_assumed(tmp_path: Path) -> None:
    def names(plan: Plan, **assumptions: float) -> set[str]:
        return assumed(plan, Assumptions(**assumptions)).keys() & {"GPU", "updates", "drawing"}

    cpu, half = make_plan("smoke"), {"engine": "vllm", "vllm": {"dtype": "bfloat16"}}
    assert names(cpu) == set()
    assert names(cpu, train_tokens_per_second=5) == {"updates"}
    assert names(changed(tmp_path, "smoke", sampling=half)) == set()
    assert names(changed(tmp_path, "smoke", sampling=half | {"device": "cuda"})) == {"GPU", "drawing"}
    assert names(make_plan("debate")) == {"GPU", "updates", "drawing"}
    assert names(make_plan("debate"), train_tokens_per_second=5, sample_tokens_per_second=5) == {"updates", "drawing"}


def test_damaged_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"torn")
    plan = changed(tmp_path, "smoke", models={"mine": {"path": str(folder)}})
    command = ["forecast", str(plan.path), "--results", str(plan.results)]
    assert main(command) == EXIT_USER_ERROR
    assert "model.safetensors is damaged" in capsys.readouterr().err
    plan.problems("countdown").parent.mkdir(parents=True)
    plan.problems("countdown").write_bytes(b"torn")
    assert main(command) == EXIT_USER_ERROR
    assert "countdown.parquet is torn" in capsys.readouterr().err


def test_the_command_prints_tables_or_json_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    assert main(["forecast", "debate-1gpu", "--results", str(results), "--teraflops", "312"]) == 0
    told = capsys.readouterr().out
    assert "longest chain: 9 jobs (pretrain, 4 x train, sample, measure, compare, report)" in told
    assert "312 TFLOP/s" in told and "unknown" not in told
    assert main(["forecast", "smoke", "--results", str(results), "--json", "--success-rate", "0.2"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["jobs"]["sample"] == 9 and read["models"]["countdown-base"]["train_hours"] is None
    assert "Beta(0.2, 0.8)" in read["assumed"]["success rates"] and not results.exists()


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1"])
def test_impossible_assumptions_are_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forecast", "smoke", "--success-rate", value]) == EXIT_USER_ERROR
    assert capsys.readouterr().err == (
        f"boundary-bench: --success-rate: found {float(value)}, expected a number above 0 and below 1\n"
    )
    for option in ("response_tokens", "teraflops", "train_tokens_per_second", "sample_tokens_per_second"):
        if value != "1":
            with pytest.raises(StudyError, match=option.replace("_", "-")):
                Assumptions(**{option: float(value)})


def test_numbers_have_three_digits_and_columns_align() -> None:
    assert [number(n) for n in (0.0, 7, 99.96, 1234, 999_499, 999_900, 1.5e12)] == [
        *("0", "7", "100", "1,234", "999,499", "1 M", "1.5 T")
    ]
    assert number(2.5e9, "B") == "2.5 GB" and number(12, "B") == "12 B" and number(None, "B") == "unknown"
    assert aligned([["a", "bb", ""], ["ccc", "d", "5"]]) == ["a    bb", "ccc   d  5"]
