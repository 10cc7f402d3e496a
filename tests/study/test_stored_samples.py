"""Stored samples in a study: where they may stand, what is refused, and what follows from their n."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from workflow import write_study

from boundary_bench.core.errors import StudyError
from boundary_bench.operations.forecast import Assumptions, forecast
from boundary_bench.operations.forecast_text import text
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.jobs import jobs

BENCHMARKS = {"a": {"kind": "stored:numeric", "data": "a.jsonl"}, "b": {"kind": "stored:scores", "data": "b.jsonl"}}


def samples(n: int = 64, **more: Any) -> dict[str, Any]:
    return {"samples": {name: {"files": f"{name}.jsonl", "n": n, **more} for name in BENCHMARKS}}


def planned(folder: Path, base: dict[str, Any], *checkpoints: dict[str, Any], **changes: Any) -> Plan:
    runs = {"rl": {"model": "base", "checkpoints": dict(enumerate(checkpoints, 1))}}
    study = {"study": "stored", "models": {"base": base}, "runs": runs, "benchmarks": BENCHMARKS, **changes}
    return make_plan(str(write_study(folder / "study.yaml", study)), folder / "results")


#: Benchmarks whose responses a grader of ours can grade.
GRADED = {"benchmarks": BENCHMARKS | {"b": {"kind": "stored:math", "data": "b.jsonl"}}}


def test_where_all_samples_are_stored_nothing_is_sampled(tmp_path: Path) -> None:
    plan = planned(tmp_path, samples(), samples(24))
    counts = {job.stage.name: sum(each.stage is job.stage for each in jobs(plan)) for job in jobs(plan)}
    assert counts == {"prepare": 2, "overlap": 2, "import": 4, "measure": 4, "compare": 2, "report": 1}
    assert plan.study.n == 24 and plan.study.ks == [1, 2, 4, 8, 16] and not plan.probes
    assert [design.n_max for design in plan.designs] == [64, 24]
    said = text(forecast(plan, Assumptions()))
    assert "import" in said and "GPU" not in said


def test_k_goes_up_to_the_smallest_n(tmp_path: Path) -> None:
    sampling = {"n_max": 32, "stop_after": None}
    assert planned(tmp_path, {"path": "x"}, samples(64), sampling=sampling, **GRADED).study.n == 32
    assert planned(tmp_path, {"path": "x"}, samples(8), sampling=sampling, **GRADED).study.n == 8
    with pytest.raises(StudyError, match=r"analysis.ks.*\[16\] is outside 1..8"):
        planned(tmp_path, {"path": "x"}, samples(8), sampling=sampling, analysis={"ks": [1, 16]}, **GRADED)


def test_patterns_tell_stored_policies_from_sampled_ones(tmp_path: Path) -> None:
    import re

    plan = planned(tmp_path, {"path": "x"}, samples(), {"path": "y"}, **GRADED)
    stored = [policy.name for policy in plan.policies if plan.stored(policy)]
    assert stored == ["base--rl--seed0--step1"]
    for policy in plan.policies:
        assert bool(re.fullmatch(plan.stored_pattern, policy.name)) == (policy.name in stored)
        assert bool(re.fullmatch(plan.sampled_pattern, policy.name)) != (policy.name in stored)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "of no benchmark": (
        samples(),
        {"samples": {"c": {"files": "c", "n": 2}}},
        {},
        r"checkpoints.1.samples: 'c' is none",
    ),
    "not of every benchmark": (
        samples(),
        {"samples": {"a": {"files": "a", "n": 2}}},
        {},
        "checkpoints.1.samples: found none on b, expected some on every",
    ),
    "weights on samples": (samples(), {"path": "x"}, {}, "found weights, and samples alone of its base"),
    "one sample": (samples(1), samples(), {}, r"samples.a.n: .*greater than or equal to 2"),
    "two sources": (samples() | {"path": "x"}, samples(), {}, r"found \['path', 'samples'\]"),
    "an unknown column": (
        samples(columns={"respnse": "x"}),
        samples(),
        {},
        "'respnse' is nothing.*did you mean 'response'",
    ),
    "an unknown grader": (
        samples(),
        samples(),
        {"benchmarks": BENCHMARKS | {"b": {"kind": "stored:maths", "data": "b"}}},
        "no grader 'maths'; did you mean 'math'",
    ),
    "nothing to grade with": ({"path": "x"}, samples(), {}, "benchmarks.b: stored:scores has .* no grader, .*(base)"),
    "nothing to train from": (
        samples(),
        samples(),
        {
            "algorithms": ["grpo"],
            "seeds": [0],
            "training": {"benchmark": "countdown", "segments": [1]},
            "evaluate": {"steps": [0, 1]},
        },
        "training: found models with samples alone",
    ),
    "no data": (samples(), samples(), {"benchmarks": BENCHMARKS | {"b": {"kind": "stored:math"}}}, "write data: FILE"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused(name: str, tmp_path: Path) -> None:
    base, other, changes, said = REFUSED[name]
    with pytest.raises(StudyError, match=said):
        planned(tmp_path, base, other, **changes)
