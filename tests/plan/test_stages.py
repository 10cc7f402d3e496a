"""Every stage is declared once: rule, command, jobs, outputs and logs are those of its declaration."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from workflow import REPOSITORY, shipped, write_study

from boundary_bench.commands import parser, stages
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.jobs import Job, jobs
from boundary_bench.plan.stages import STAGES, identity, outputs

RULES = {path: path.read_text() for path in sorted((REPOSITORY / "workflows/rules").glob("*.smk"))}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Of every stage more than one job, but for the report."""
    study = shipped("smoke") | {"seeds": [0, 1], "probe": {}, "benchmarks": {"countdown": {}, "countdown-hard": {}}}
    study["sampling"] |= {"shards": 2}
    study["models"]["other"] = study["models"]["countdown-base"]
    stored = {name: {"files": "rows.jsonl", "n": 64} for name in study["benchmarks"]}
    study["runs"] = {
        "theirs": {"model": "other", "checkpoints": {3: {"path": "x"}, 5: {"path": "y"}}},
        "stored": {"model": "other", "checkpoints": {3: {"samples": stored}, 5: {"path": "y"}}},
    }
    folder = tmp_path_factory.mktemp("plan")
    return make_plan(str(write_study(folder / "study.yaml", study)), Path("results"))


def rule(name: str) -> str:
    """The text of a rule."""
    texts = [part for text in RULES.values() for part in re.split(r"^(?=rule |\S)", text, flags=re.MULTILINE)]
    (found,) = [part for part in texts if part.startswith(f"rule {name}:")]
    return found


def test_every_stage_has_a_rule_and_every_rule_a_stage() -> None:
    named = [name for text in RULES.values() for name in re.findall(r"^rule (\w+):", text, re.MULTILINE)]
    assert sorted(named) == sorted(STAGES)
    assert all(name == stage.name for name, stage in STAGES.items())


@pytest.mark.parametrize("name", STAGES)
def test_a_rule_has_files_log_and_settings_from_its_stage_and_calls_its_command(name: str) -> None:
    text = rule(name)
    for call in (f'log_of("{name}")', f'settings_of("{name}")'):
        assert call in text
    assert f'outputs("{name}")' in text or name == "report", "whose outputs have captions"
    words = [f"--{wildcard} {{wildcards.{wildcard}:q}}" for wildcard in STAGES[name].wildcards]
    assert re.search(rf' {name} "\$STUDY" --results "\$RESULTS"', text)
    assert all(word in text for word in [*words, "--settings {params.settings:q}"])
    assert set(re.findall(r"--(\w+)", text)) == {"results", "settings", *STAGES[name].wildcards}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_a_function_of_its_wildcards(name: str) -> None:
    _, *parameters = inspect.signature(stages.function_of(name)).parameters
    assert tuple(parameters) == STAGES[name].wildcards


@pytest.mark.parametrize("name", STAGES)
def test_the_wildcards_are_in_every_output_and_in_the_log(name: str, plan: Plan) -> None:
    stage = STAGES[name]
    patterns = stage.outputs(plan, *(f"{{{wildcard}}}" for wildcard in stage.wildcards))
    for pattern in [*patterns, "/".join(stage.names)]:
        assert set(re.findall(r"\{(\w+)\}", str(pattern))) - {"shards"} == set(stage.wildcards)


@pytest.mark.parametrize("name", STAGES)
def test_outputs_and_logs_of_a_job_are_the_patterns_filled(name: str, plan: Plan) -> None:
    """What Snakemake makes of the patterns is what ``boundary-bench status`` looks for."""
    stage = STAGES[name]
    patterns = list(stage.outputs(plan, *(f"{{{wildcard}}}" for wildcard in stage.wildcards)))
    found = [job for job in jobs(plan) if job.stage.name == name]
    assert len(found) > 1 or name == "report"
    for job in found:
        values = dict(zip(stage.wildcards, job.values, strict=True))
        assert [str(pattern).format(**values) for pattern in patterns] == list(map(str, job.outputs))
        assert job.outputs == tuple(outputs(plan, job.key))
        assert job.log == plan.root.joinpath("logs", name, *job.names[:-1], f"{(job.names or [name])[-1]}.log") or (
            name == "report" and job.log == plan.root / "logs/report.log"
        )


def test_every_job_waits_for_jobs_before_it(plan: Plan) -> None:
    before: set[Any] = set()
    for job in jobs(plan):
        assert set(job.needs) <= before, job.name
        assert {key for key, _ in job.made_from.values()} <= before, job.name
        before.add(job.key)
    assert {stage for stage, *_ in before} == STAGES.keys()


def test_no_two_jobs_share_a_name_a_file_or_a_log(plan: Plan) -> None:
    found = jobs(plan)
    for each in ("name", "log", "key"):
        assert len({getattr(job, each) for job in found}) == len(found)
    files = [file for job in found for file in job.outputs]
    assert len(set(files)) == len(files) and all(file.is_relative_to(plan.root) for file in files)


def test_all_but_the_comparison_with_the_training_set_ends_in_the_report(plan: Plan) -> None:
    reached, waiting = set(), [("report",)]
    while waiting:
        job = waiting.pop()
        if job not in reached:
            reached.add(job)
            waiting += STAGES[job[0]].needs(plan, *job[1:])
    assert {job.key for job in jobs(plan)} - reached == {("overlap", name) for name in plan.study.benchmarks}


def test_stores_are_folders_of_their_stage(plan: Plan) -> None:
    for job in jobs(plan):
        held = job.stage.stores
        assert (job.store is None) == (not held)
        if job.store:
            assert job.store == plan.root / "store" / job.stage.name / "--".join(map(str, job.values[:held]))


@pytest.mark.parametrize("name", STAGES)
def test_the_command_of_a_job_reads_as_its_values(name: str, plan: Plan) -> None:
    job = next(job for job in jobs(plan) if job.stage.name == name)
    values = dict(zip(job.stage.wildcards, job.values, strict=True))
    words = [word for wildcard, value in values.items() for word in (f"--{wildcard}", str(value))]
    made_with = identity(plan, name, *job.values)
    asked = vars(parser().parse_args([name, "mine.yaml", "--results", "r", *words, "--settings", made_with]))
    assert (asked["study"], asked["results"], asked["settings"]) == ("mine.yaml", Path("r"), made_with)
    assert {wildcard: asked[wildcard] for wildcard in values} == values, "as such, not as text"


def test_a_job_is_a_stage_with_values(plan: Plan) -> None:
    job = Job(plan, STAGES["sample"], ("countdown-base", "countdown", 2))
    assert job.name == "sample countdown-base countdown 2-of-2" and job.key == ("sample", *job.values)
    assert job.shard == (2, 2) and job.records == plan.root / "logs/sample/countdown-base/countdown/2-of-2.jsonl"
    assert [fact for fact, _ in job.made_from.items()] == ["model", "problems"]
