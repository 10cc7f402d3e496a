"""Published numbers beside ours: the right cell, the right distance, every setting that differs, what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from boundary_bench.analysis.means import Boundaries
from boundary_bench.analysis.rows import Tally
from boundary_bench.claims.published import PublishedEntry, load_published
from boundary_bench.core.errors import DataError
from boundary_bench.grading.graders import MATH
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.stages import identity
from boundary_bench.report import beside
from boundary_bench.report.tables import _boundaries

#: Shaped as a study of the debate: real names, two seeds, and steps that published ones are near to.
STUDY: dict[str, Any] = {
    "study": "debate-like",
    "models": {"qwen": {"hub": "Qwen/Qwen2.5-Math-7B", "revision": "a" * 40}},
    "algorithms": {"grpo": {}, "my-n": {"like": "grpo-n", "clip_high": 0.3}},
    "seeds": [0, 1],
    "training": {
        "benchmark": "math",
        "segments": [70, 140],
        "prompts": 1024,
        "rollouts": 8,
        "updates_per_rollout": 4,
        "lr": 1e-6,
        "max_tokens": 3072,
    },
    "evaluate": {"steps": [0, 70, 140]},
    "benchmarks": {"math-500": {}, "aime": {"kind": "aime-2025"}, "amc-2023": {"options": {"revision": "b" * 40}}},
    "sampling": {"n_max": 256, "stop_after": None, "temperature": 0.6, "top_p": 0.95, "max_tokens": 4096},
    "analysis": {"resamples": 100, "ks": [1, 256]},
}
#: Correct of 256 samples: pass@1 is 5/8 of the base, and 3/8 and 7/8 of the seeds; pass@256 3/4, and 1/2 and 1.
BASE, SEEDS = [0, 128, 256, 256], ([0, 0, 128, 256], [128, 256, 256, 256])
SETTINGS: dict[str, Any] = {
    "model": "Qwen/Qwen2.5-Math-7B",
    "trained_on": "math",
    "framework": "reference",
    "prompts": 1024,
    "rollouts": 8,
    "updates_per_rollout": 4,
    "lr": 1e-6,
    "kl": 0,
    "training_temperature": 1,
    "training_max_tokens": 3072,
    "samples": 256,
    "temperature": 0.6,
    "top_p": 0.95,
    "max_tokens": 4096,
    "template": "qwen-boxed",
    "grader": f"math {MATH.version}",
}


NONE = {"truncated": np.zeros(4, int), "timeout": np.zeros(4, int)}


def planned(folder: Path, **changes: Any) -> Plan:
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY | changes, sort_keys=False))
    return make_plan(str(file), folder)


def made(folder: Path, **changes: Any) -> tuple[Plan, Boundaries]:
    """A plan, and its curves by counts that are the same for every checkpoint and benchmark."""
    plan, counts = planned(folder, **changes), {}
    for benchmark in plan.study.benchmarks:
        for policy in plan.policies:
            correct = SEEDS[policy.run.seed] if policy.run else BASE
            n, chance = np.full(4, 256), np.full(4, np.nan)
            rows = {"n": n, "correct": np.array(correct), "chance": chance, **NONE}
            counts[policy.name, benchmark] = Tally(plan.design, rows)
    return plan, _boundaries(plan, counts)


def entry(values: list[dict[str, Any]], **settings: Any) -> PublishedEntry:
    source = {"paper": "A & B 2025", "arxiv": "2501.00010", "where": "table 1", "form": "table", "read": "paper"}
    return PublishedEntry.model_validate({**source, "settings": SETTINGS | settings, "values": values})


def value(algorithm: str = "grpo", benchmark: str = "math-500", **keys: Any) -> dict[str, Any]:
    return {"benchmark": benchmark, "algorithm": algorithm, "percent": {1: 60.0}, "problems": 4, **keys}


def ours(pair: beside.Beside) -> beside.Ours:
    assert isinstance(pair.ours, beside.Ours)
    return pair.ours


def test_ours_is_the_mean_over_seeds_with_its_interval(tmp_path: Path) -> None:
    plan, found_here = made(tmp_path)
    published = [value("base", percent={1: 62.5, 256: 0.0}), value(step=140, percent={1: 60.0, 256: 75.0})]
    found = beside.pairs(plan, found_here, [entry(published, template="raw")])
    numbers = [(ours(pair).cell.step, pair.k, ours(pair).estimate) for pair in found]
    assert numbers == [(0, 1, 0.625), (0, 256, 0.75), (140, 1, pytest.approx(0.625)), (140, 256, pytest.approx(0.75))]
    rows = beside.rows(plan, found)
    assert [row["difference"] for row in rows] == pytest.approx([0, 0.75, 0.025, 0])
    assert [row["inside"] for row in rows] == ["yes", "no", "yes", "yes"]
    assert [row["inside_samples_only"] for row in rows] == ["yes", "no", "no", "yes"]
    last = found_here["qwen", "math-500"]["grpo"].checkpoints[1].curve
    assert (rows[2]["low"], rows[2]["high"]) == (last.low_K[0], last.high_K[0])
    assert {row["settings"] for row in rows} == {identity(plan, "report")}
    assert [(row["seeds"], row["problems"], row["arxiv"]) for row in rows[1:3]] == [
        ("", 4, "arXiv:2501.00010"),
        (2, 4, "arXiv:2501.00010"),
    ]


@pytest.mark.parametrize(
    ("asked", "cell"),
    [
        (value("base"), ("qwen", "base", "math-500", 0)),
        (value(), ("qwen", "grpo", "math-500", 140)),
        (value(step=70), ("qwen", "grpo", "math-500", 70)),
        (value(step=150), ("qwen", "grpo", "math-500", 140)),
        (value(step=112), ("qwen", "grpo", "math-500", 140)),
        (value(benchmark="aime-2025"), ("qwen", "grpo", "aime", 140)),
        (value("grpo-n", step=140), ("qwen", "my-n", "math-500", 140)),
        (value("my-n", step=140), ("qwen", "my-n", "math-500", 140)),
        (value(step=111), ("step", "111")),
        (value(step=300), ("step", "300")),
        (value(step=50), ("step", "50")),
        (value(benchmark="aime"), ("benchmark", "aime")),
        (value(benchmark="math"), ("benchmark", "math")),
        (value("nsr"), ("algorithm", "nsr")),
        (value(percent={3: 50.0}), ("k", "3")),
    ],
    ids=str,
)
def test_the_counterpart_of_a_published_number(tmp_path: Path, asked: dict[str, Any], cell: tuple[Any, ...]) -> None:
    plan, found_here = made(tmp_path)
    (pair,) = beside.pairs(plan, found_here, [entry([asked])])
    assert (pair.ours.cell if isinstance(pair.ours, beside.Ours) else pair.ours) == cell
    (row,) = beside.rows(plan, [pair])
    assert row["missing"] == ("" if len(cell) == 4 else f"{cell[0]} {cell[1]}") and (row["ours"] == "") == (
        len(cell) == 2
    )


def test_the_settings_that_differ_are_exactly_those(tmp_path: Path) -> None:
    plan, found_here = made(tmp_path)
    (same,) = beside.pairs(plan, found_here, [entry([value(step=140)])])
    assert (same.differs, same.unknown) == ({}, [])
    changes = {
        "temperature": 1,
        "lr": 2e-6,
        "kl": 0.001,
        "model": "Qwen/Qwen2.5-7B",
        "prompts": None,
        "reward": "format",
    }
    (other,) = beside.pairs(plan, found_here, [entry([value(step=150, problems=500)], **changes)])
    assert other.differs == {
        "temperature": ("1", "0.6"),
        "lr": ("2e-06", "1e-06"),
        "kl": ("0.001", "0"),
        "model": ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-Math-7B"),
        "reward": ("format", "correct"),
        "steps": ("150", "140"),
        "problems": ("500", "4"),
    }
    assert other.unknown == ["prompts"]
    assert "lr: 2e-06 vs 1e-06" in beside.rows(plan, [other])[0]["differs"]
    (base,) = beside.pairs(plan, found_here, [entry([value("base")], **changes)])
    assert sorted(base.differs) == ["model", "temperature"], "a base is not trained"
    (near,) = beside.pairs(plan, found_here, [entry([value("grpo-n", step=140)])])
    assert near.differs == {"algorithm": ("grpo-n", "my-n (like grpo-n, clip_high 0.3)")}
    own = value(step=140, settings={"kl": 0.1})
    (its,) = beside.pairs(plan, found_here, [entry([own])])
    assert its.differs == {"kl": ("0.1", "0")}


def test_an_algorithm_that_is_changed_under_its_own_name_differs(tmp_path: Path) -> None:
    changed = {"grpo": {"clip_high": 0.3, "updates_per_rollout": 2}}
    plan, found_here = made(tmp_path, algorithms=changed)
    (pair,) = beside.pairs(plan, found_here, [entry([value(step=140)])])
    assert pair.differs == {"algorithm": ("grpo", "grpo (clip_high 0.3)"), "updates_per_rollout": ("4", "2")}


def test_the_sampling_design_is_a_setting(tmp_path: Path) -> None:
    plan = planned(tmp_path, sampling=STUDY["sampling"] | {"stop_after": 3, "rounds": [4, 256]})
    cell = beside.OwnCell("qwen", "base", "math-500", 0)
    mine = beside._settings(plan, cell, 4)
    assert beside._compare(entry([value()]).settings, mine)[0] == {"samples": ("256", "4, 256, until 3 are correct")}


def test_a_model_of_the_same_name_is_the_only_one_beside_it(tmp_path: Path) -> None:
    models = {**STUDY["models"], "llama": {"path": "somewhere"}}
    plan, found_here = made(tmp_path, models=models)
    asked = [entry([value("base")]), entry([value("base")], model="Qwen/Qwen2.5-7B")]
    cells = [[ours(pair).cell.model for pair in beside.pairs(plan, found_here, [each])] for each in asked]
    assert cells == [["qwen"], ["qwen", "llama"]]


def test_shipped_numbers_beside_a_study_of_the_debate(tmp_path: Path) -> None:
    plan, found_here = made(tmp_path, algorithms=["grpo", "grpo-n"])
    found = beside.pairs(plan, found_here, load_published())
    there = [pair for pair in found if isinstance(pair.ours, beside.Ours)]
    amc = [(pair.entry.paper, pair.published) for pair in there if pair.value.benchmark == "amc-2023" and pair.k == 256]
    assert amc[:2] == [("Zhu et al. 2025", 1.0), ("Yao et al. 2025", 0.975)], "two papers, one base model"
    assert [(pair.k, pair.value.step, pair.value.percent[pair.k]) for pair in there if pair.value.step] == [
        (1, 150, 74.4),
        (256, 150, 97.2),
    ]
    assert all("model" in pair.differs for pair in there if pair.entry.paper == "Yue et al. 2025")
    numbers, sources, settings, absent = beside.pivots(plan, found)
    assert len(numbers.rows) == len(there) and "mean over 2 training seeds" in numbers.title
    row = next(line for line in numbers.rows if line[4] == "150/140" and line[2] == "256")
    assert row[:3] == ["math-500", "grpo", "256"] and row[5] == "97.2" and row[6].startswith("75.0 [")
    assert row[-2] == "-22.2"
    cited = {line[0]: line for line in sources.rows}
    assert {line[3] for line in numbers.rows} == set(cited) == {line[0] for line in settings.rows} - {""}
    yao = next(line for line in sources.rows if "2510.04028" in line[1])
    assert "read in notes on the paper" in yao[3] and "97.5" in yao[3] and "lr" in yao[4]
    assert ["", "steps", "150", "140", "grpo"] in settings.rows
    missing = {line[0]: line[3] for line in absent.rows}
    assert "step 300, 450" in missing["Yue et al. 2025"]
    assert missing["Zhu et al. 2025"] == "benchmark math; algorithm ppo, psr, nsr, w-reinforce"
    assert missing["Hochlehnert et al. 2025"] == "benchmark aime-2024"


def test_a_study_without_counterparts_has_one_line_a_paper(tmp_path: Path) -> None:
    plan, found_here = made(tmp_path, benchmarks={"countdown": {}})
    found = beside.pairs(plan, found_here, load_published())
    (absent,) = beside.pivots(plan, found)
    assert len(absent.rows) == len({pair.entry.arxiv for pair in found}) == 4
    assert {line[2].split(" of ")[0] == line[2].split(" of ")[1] for line in absent.rows} == {True}
    assert all(line[3].startswith("benchmark ") and ";" not in line[3] for line in absent.rows)


def test_shipped_numbers_are_each_said_once() -> None:
    entries = load_published()
    keys = [
        (entry.arxiv, entry.settings_of(value).model, value.benchmark, value.algorithm, value.step, k)
        for entry in entries
        for value in entry.values
        for k in value.percent
    ]
    assert len(set(keys)) == len(keys)
    grpo = {(v.benchmark, v.step): v.percent for v in entries[0].values if v.algorithm == "grpo"}
    assert [grpo["math-500", step] for step in (150, 300, 450)] == [
        {1: 74.4, 256: 97.2},
        {1: 75.4, 256: 96.0},
        {1: 76.3, 256: 95.4},
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"percent": {1: 101}}, r"found 101.* at k = 1, expected 0 to 100"),
        ({"percent": {0: 10}}, "at k = 0"),
        ({"deviation": {2: 1.0}}, r"deviation: found k = \[2\]"),
        ({"algorithm": "base", "step": 3}, "found step 3 of the base"),
        ({"bench": "x"}, r"0\.values\.0\.bench: Extra inputs"),
        ({"settings": {"temprature": 1}}, r"0\.values\.0\.settings\.temprature: Extra"),
    ],
)
def test_a_fault_in_the_file_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    good = entry([value()]).model_dump(mode="json", exclude_none=True)
    good["values"][0] |= change
    path = tmp_path / "published.yaml"
    path.write_text(yaml.safe_dump([good]))
    with pytest.raises(DataError, match=message) as fault:
        load_published(path)
    assert str(path) in str(fault.value)


@pytest.mark.parametrize("text", ["a: [", "- {a: 1, a: 2}", "[" * 5000])
def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "published.yaml"
    with pytest.raises(DataError, match="no file of published numbers"):
        load_published(path)
    path.write_text(text)
    with pytest.raises(DataError, match="not readable as YAML"):
        load_published(path)
