"""Study files: what is shipped loads, and what a study means; faults are in test_study_faults.py."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from workflow import shipped, write_study

from boundary_bench.benchmarks.problem_sets import TRAINING_SET
from boundary_bench.commands import main
from boundary_bench.core.errors import StudyError
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.stages import settings
from boundary_bench.statistics.design import Design
from boundary_bench.study.file import SHIPPED, load_study, schema
from boundary_bench.study.study import Study

STUDIES = sorted(SHIPPED.glob("*.yaml"))


@pytest.fixture
def smoke() -> dict[str, Any]:
    """The smoke study, to be changed."""
    return shipped("smoke")


def write(folder: Path, study: dict[str, Any]) -> Path:
    return write_study(folder / "mine.yaml", study)


def test_there_are_shipped_studies() -> None:
    assert {path.stem for path in STUDIES} >= {"quickstart", "smoke"}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_load_under_their_own_name(path: Path) -> None:
    plan = make_plan(path.stem)
    assert plan.study == load_study(path) and plan.study.study == path.stem and plan.path == path
    assert len({run.name for run in plan.runs}) == len(plan.runs) > 0
    assert len({policy.name for policy in plan.policies}) == len(plan.policies) > len(plan.runs)


def test_the_debate_is_the_published_study_past_its_end() -> None:
    plan = make_plan("debate")
    study = plan.study
    assert {model.hub for model in study.models.values()} == {
        "Qwen/Qwen2.5-Math-7B",
        "meta-llama/Llama-3.2-3B-Instruct",
    }
    kinds = {chosen.kind.name for name, chosen in plan.problem_sets.items() if name != TRAINING_SET}
    assert kinds == {"math-500", "aime-2024", "aime-2025", "amc-2023", "arc-challenge", "mmlu-pro"}
    assert plan.problem_sets[TRAINING_SET].kind.name == "math"
    assert study.training.prompts == 1024 and {256, 1024} <= set(study.ks)
    assert 0 < study.evaluate.steps[1] < 50 < study.evaluate.steps[-1], "published curves end before step 50"
    updates = {name: training.updates_per_rollout for name, training in plan.trainings.items()}
    arms = {(chosen.surrogate.ratio, chosen.signs.kind, updates[name]) for name, chosen in plan.algorithms.items()}
    assert arms == {(ratio, sign, n) for ratio in ("token", "sequence") for sign in ("all", "negative") for n in (4, 1)}


@pytest.mark.parametrize("name", ["debate", "debate-1gpu"])
def test_paper_scale_studies_name_commits_and_fit_the_context(name: str) -> None:
    plan = make_plan(name)
    assert all(re.fullmatch("[0-9a-f]{40}", model.revision or "") for model in plan.study.models.values())
    assert all(re.fullmatch("[0-9a-f]{40}", chosen.options.revision) for chosen in plan.problem_sets.values())
    assert plan.study.training.backend == "openrlhf" and plan.study.training.device == "cuda"
    # Qwen2.5-Math holds 4,096 tokens; NSR leaves prompts of MATH beyond 1,024 out, as we do by their characters
    assert all(plan.problem_sets[name].options.longest for name in (TRAINING_SET, "mmlu-pro"))
    assert max(plan.study.training.max_tokens, plan.study.sampling.max_tokens) + 1024 <= 4096


def test_updates_per_rollout_of_an_algorithm_is_that_of_a_study(smoke: dict[str, Any], tmp_path: Path) -> None:
    def found(name: str) -> Any:
        plan = make_plan(str(write(tmp_path, smoke)))
        return settings(plan, "train", f"countdown-base--{name}--seed0", 2)

    usual = found("grpo")
    smoke["algorithms"] = {"grpo": {}, "on": {"like": "grpo", "updates_per_rollout": 1}}
    assert found("grpo") == usual
    own = found("on")
    assert own != usual and own["algorithm"] == usual["algorithm"]
    smoke["training"]["updates_per_rollout"] = 1
    assert found("grpo") == own, "so that an arm keeps its runs where it becomes a study"


def test_the_schema_file_is_the_schema_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert printed == schema()
    stale = (
        "workflows/studies/schema.json is stale; write it with: boundary-bench schema > workflows/studies/schema.json"
    )
    assert (SHIPPED / "schema.json").read_text() == printed, stale


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_editors_that_use_the_schema_accept_the_shipped_studies(path: Path) -> None:
    found = list(jsonschema.Draft202012Validator(json.loads(schema())).iter_errors(yaml.safe_load(path.read_text())))
    assert not found, [f"{list(fault.path)}: {fault.message}" for fault in found]


def test_a_list_of_algorithms_and_a_mapping_mean_the_same(smoke: dict[str, Any]) -> None:
    smoke["algorithms"] = ["grpo", "gspo-n"]
    listed = Study.model_validate(smoke)
    smoke["algorithms"] = {"grpo": {}, "gspo-n": {}}
    assert Study.model_validate(smoke) == listed


def test_values_of_k_are_powers_of_two_up_to_n_unless_given(smoke: dict[str, Any]) -> None:
    assert Study.model_validate(smoke).ks == [1, 2, 4, 8, 16, 32, 64]
    smoke["analysis"]["ks"] = [1, 10, 64]
    assert Study.model_validate(smoke).ks == [1, 10, 64]


def sampled(plan: Plan) -> Any:
    """What the samples of the base are named by."""
    return settings(plan, "sample", "countdown-base", "countdown", 1)


def designed(study: dict[str, Any], folder: Path, **sampling: Any) -> Design:
    """The design of a study with these keys of ``sampling``."""
    study["sampling"] = sampling
    return make_plan(str(write(folder, study))).design


def test_rounds_double_unless_given(smoke: dict[str, Any], tmp_path: Path) -> None:
    assert designed(smoke, tmp_path) == Design((64, 128, 256, 512, 1024), 32)
    assert designed(smoke, tmp_path, n_max=64, stop_after=8) == Design((16, 32, 64), 8)
    assert designed(smoke, tmp_path, n_max=64, stop_after=8, rounds=[10, 64]) == Design((10, 64), 8)
    assert designed(smoke, tmp_path, n_max=1000, block=64, stop_after=None) == Design((1000,), None)


def test_how_many_samples_and_in_which_files_is_no_identity_of_a_sample(smoke: dict[str, Any], tmp_path: Path) -> None:
    def found(**sampling: Any) -> tuple[Any, Any]:
        smoke["sampling"] = sampling
        plan = make_plan(str(write(tmp_path, smoke)))
        return sampled(plan), settings(plan, "measure", "countdown-base", "countdown")

    sample, measure = found()
    for design in ({"n_max": 2048}, {"stop_after": 5}, {"stop_after": None}, {"rounds": [512, 1024]}):
        assert found(**design)[0] == sample and found(**design)[1] != measure, design
    assert found(block=7) == (sample, measure)
    assert found(temperature=0.5)[0] != sample and found(batch=7)[0] != sample
    assert found(python="python3", device="cuda")[0] == sample
    design = {"rounds": [64, 128, 256, 512, 1024], "stop_after": 32, "unscored": ["timeout"]}
    assert measure["design"] == design and "margin" not in measure, "it is at its default"


def test_verdicts_that_count_as_missing_are_part_of_the_design_alone(smoke: dict[str, Any], tmp_path: Path) -> None:
    usual = make_plan(str(write(tmp_path, smoke)))
    smoke["sampling"] |= {"unscored": ["timeout", "truncated"]}
    other = make_plan(str(write(tmp_path, smoke)))
    assert usual.design.unscored == ("timeout",) and usual.design.record()["unscored"] == ["timeout"]
    assert other.design.unscored == ("timeout", "truncated")
    assert other.design.record() == usual.design.record() | {"unscored": ["timeout", "truncated"]}
    assert sampled(other) == sampled(usual)


def test_what_vllm_computes_is_identity_and_how_it_is_run_is_none(smoke: dict[str, Any], tmp_path: Path) -> None:
    def found(batch: int = 1024, **vllm: Any) -> Any:
        smoke["sampling"] = {"n_max": 64, "engine": "vllm", "batch": batch, "vllm": vllm}
        return sampled(make_plan(str(write(tmp_path, smoke))))

    sample = found()
    execution = {"tensor_parallel": 2, "max_num_seqs": 8, "enforce_eager": True, "kv_cache_gib": 2.0}
    assert found(batch=7, gpu_memory_utilization=0.5, **execution) == sample
    assert found(dtype="bfloat16") != sample and found(max_model_len=128) != sample
    assert sample["sampling"]["engine_version"] == 2, "samples of vLLM's own generators are others"


def test_the_python_that_samples_is_looked_for_at_once(smoke: dict[str, Any], tmp_path: Path) -> None:
    def command(**sampling: Any) -> list[str]:
        smoke["sampling"] = sampling
        return make_plan(str(write(tmp_path, smoke))).command("sampling")

    assert command() == ["boundary-bench"]
    assert command(python=sys.executable) == [sys.executable, "-m", "boundary_bench"]
    with pytest.raises(StudyError, match=r"found no Python at nowhere/python; .* boundary-bench env create sample"):
        command(python="nowhere/python")


def test_environments_are_found_in_their_usual_folders(
    smoke: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("train", "sample"):
        place = tmp_path / f".venv-{name}" / "bin"
        place.mkdir(parents=True)
        (place / "python").symlink_to(sys.executable)
    plan = make_plan(str(write(tmp_path, smoke)))
    assert plan.command("training") == plan.command("sampling") == ["boundary-bench"], "they need none"
    smoke["training"] |= {"backend": "trl"}
    smoke["sampling"] |= {"engine": "vllm"}
    plan = make_plan(str(write(tmp_path, smoke)))
    assert plan.command("training")[0] == str(tmp_path / ".venv-train/bin/python")
    assert plan.command("sampling")[0] == str(tmp_path / ".venv-sample/bin/python")
    smoke["training"] |= {"python": "no/such/python"}
    with pytest.raises(StudyError, match=r"training\.python: found no Python at no/such/python; .*env create train"):
        make_plan(str(write(tmp_path, smoke))).command("training")
