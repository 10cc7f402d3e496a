"""What names a result: the settings that it depends on, and content; not where things are, nor how they run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from fingerprints import BASE, BENCHMARK, CONTINUED, RUNS, Prints, moved
from pydantic.fields import FieldInfo

from boundary_bench.algorithms.advantage import Normalized, Signs
from boundary_bench.algorithms.aggregation import ConstantLength
from boundary_bench.algorithms.algorithm import Algorithm, kinds
from boundary_bench.algorithms.penalties import KL, EntropyBonus
from boundary_bench.algorithms.surrogate import Clipped
from boundary_bench.benchmarks import KINDS
from boundary_bench.benchmarks.countdown import COUNTDOWN, CountdownOptions
from boundary_bench.plan import make_plan
from boundary_bench.plan.stages import STAGES, fingerprints, settings
from boundary_bench.study.analysis import Analysis, Probe
from boundary_bench.study.backends import BACKENDS, OpenRLHF, Trl
from boundary_bench.study.blocks import _EXECUTION, Block
from boundary_bench.study.engines import ENGINES, Vllm
from boundary_bench.study.sampling import DESIGN, Sampling
from boundary_bench.study.stored import StoredSamples
from boundary_bench.study.study import Benchmark, Model, Origin
from boundary_bench.study.training import OF_PROBLEMS, Pretrain, Training

RUN = f"{BASE}--mine--seed0"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
DRAWN = {"sample"}
NUMBERS = {"measure", "compare", "report"}


# every setting: what it names, or that it only says where and how something runs

TRAINING, SAMPLING, ANALYSIS, MINE = "training.", "sampling.", "analysis.", "algorithms.mine."
MODEL = f"models.{BASE}."
PRETRAIN, GIVEN = f"{MODEL}pretrain.", "runs.theirs.checkpoints.3."
VLLM = {"sampling.engine": "vllm"}
OPENRLHF = {"training.backend": "openrlhf", "training.device": "cuda", "training.openrlhf": {"gpus": 1}}
TRL = {"training.backend": "trl", "training.device": "cuda"}
PENALTY = {f"{MINE}kl": {"kind": "k3", "kl_coefficient": 0.1}}
#: Stored samples take the place of weights: of a given checkpoint, or of every policy.
FILES = {"files": "rows.jsonl", "n": 16}
STORED = {GIVEN[:-1]: {"samples": {"countdown": FILES}}}
ALL_STORED = {
    MODEL[:-1]: {"samples": {"countdown": FILES}},
    "runs.theirs.checkpoints": {3: {"samples": {"countdown": FILES}}},
    **dict.fromkeys(("training", "evaluate", "algorithms", "seeds", "probe")),
    "algorithms": [],
    "seeds": [],
}
OF_STORED, MEASURED = f"{GIVEN}samples.countdown.", {"measure", "compare", "report"}
CONSTANT = {f"{MINE}aggregation": {"kind": "constant_length", "constant_length": 12}}
#: Of every block: where it stands in the study; of its settings another value, the stages whose results it names, and
#: where it needs some, the changes that it is a change from.
CHANGES: dict[type[Block], tuple[str, dict[str, tuple[Any, ...]]]] = {
    Training: (
        TRAINING,
        {
            "backend": ("trl", RUNS),
            "openrlhf": ({"gpus": 1, "flags": {"actor.adam.eps": 1e-6}}, RUNS, OPENRLHF),
            "trl": ({"dtype": "bfloat16"}, RUNS, TRL),
            # the training problems are named by content; how they are made, and graded, names more
            "benchmark": ("countdown-hard", {"prepare", "train"}),
            "options": ({"problems": {3: 7}}, {"prepare"}),
            "data": ("rows.jsonl", set()),
            "columns": (
                {"question": "q"},
                {"prepare"},
                {"training.benchmark": "qa-math", "training.options": {}, "training.data": "rows.jsonl"},
            ),
            "template": ("simple", RUNS),
            "prompts": (8, RUNS),
            "rollouts": (4, RUNS),
            "updates_per_rollout": (1, RUNS),
            "epochs": (2, RUNS),
            "lr": (1e-4, RUNS),
            "warmup": (2, RUNS),
            "weight_decay": (0.1, RUNS),
            "max_grad_norm": (0.5, RUNS),
            "reward": ({"random": 0.5}, RUNS),
            "temperature": (0.5, RUNS),
            "max_tokens": (25, RUNS),
            "segments": ([2, 4, 6], set()),
            "state_every": (3, set()),
            "device": ("cuda", set()),
            "python": (sys.executable, set()),
        },
    ),
    OpenRLHF: (
        "training.openrlhf.",
        {
            "flags": ({"actor.adam.eps": 1e-6}, RUNS, OPENRLHF),
            "nodes": (2, set(), OPENRLHF),
            "gpus": (4, set(), OPENRLHF),
            "engines": (1, set(), OPENRLHF),
            "tensor_parallel": (2, set(), {**OPENRLHF, "training.openrlhf": {"gpus": 2}}),
            "colocate": (False, set(), OPENRLHF),
            "gpu_memory_utilization": (0.5, set(), OPENRLHF),
            "zero_stage": (3, set(), OPENRLHF),
            "micro_batch": (2, set(), OPENRLHF),
            "gradient_checkpointing": (False, set(), OPENRLHF),
            "adam_offload": (True, set(), OPENRLHF),
            "attention": ("sdpa", set(), OPENRLHF),
            "stall_minutes": (5, set(), OPENRLHF),
            "mismatch": (0.5, set(), OPENRLHF),
        },
    ),
    Trl: (
        "training.trl.",
        {
            "dtype": ("bfloat16", RUNS, TRL),
            "micro_batch": (4, set(), TRL),
            "vllm": (True, set(), TRL),
            "gpu_memory_utilization": (0.5, set(), TRL),
            "gradient_checkpointing": (False, set(), TRL),
        },
    ),
    Normalized: (
        f"{MINE}advantage.",
        {"std": ("population", RUNS), "epsilon": (1e-5, RUNS)},
    ),
    Signs: (f"{MINE}signs.", {"kind": ("negative", RUNS), "others": ("drop", RUNS)}),
    Clipped: (
        f"{MINE}surrogate.",
        {
            "ratio": ("sequence", RUNS),
            "clip_low": (0.1, RUNS),
            "clip_high": (0.3, RUNS),
            "dual_clip": (3.0, RUNS),
        },
    ),
    ConstantLength: (f"{MINE}aggregation.", {"constant_length": (24, RUNS, CONSTANT)}),
    KL: (f"{MINE}kl.", {"kind": ("k2", RUNS, PENALTY), "kl_coefficient": (0.2, RUNS, PENALTY)}),
    EntropyBonus: (f"{MINE}entropy.", {"entropy_coefficient": (0.1, RUNS)}),
    Sampling: (
        SAMPLING,
        {
            "engine": ("vllm", CONTINUED),
            "vllm": ({"dtype": "bfloat16"}, CONTINUED, VLLM),
            "n_max": (128, NUMBERS),
            "stop_after": (None, NUMBERS),
            "rounds": ([10, 64], NUMBERS),
            "unscored": (["timeout", "truncated"], NUMBERS),
            "batch": (7, CONTINUED),
            "temperature": (0.5, DRAWN),
            "top_p": (0.9, DRAWN),
            "seed": (1, DRAWN),
            "max_tokens": (25, CONTINUED),
            "shards": (2, set()),
            "block": (7, set()),
            "device": ("cuda", set()),
            "python": (sys.executable, set()),
        },
    ),
    Vllm: (
        "sampling.vllm.",
        {
            "dtype": ("bfloat16", CONTINUED, VLLM),
            "max_model_len": (128, CONTINUED, VLLM),
            "tensor_parallel": (2, set(), VLLM),
            "gpu_memory_utilization": (0.5, set(), VLLM),
            "kv_cache_gib": (2.0, set(), VLLM),
            "max_num_seqs": (8, set(), VLLM),
            "enforce_eager": (True, set(), VLLM),
        },
    ),
    Analysis: (
        ANALYSIS,
        {
            "level": (0.9, NUMBERS),
            "resamples": (300, NUMBERS),
            "ks": ([1, 64], NUMBERS),
            "margin": (0.1, NUMBERS),
            "seed": (1, NUMBERS),
        },
    ),
    # what is continued with one fraction is kept where another is asked for; its rows are named by it
    Probe: ("probe.", {"fractions": ([0.5], set())}),
    Benchmark: (
        BENCHMARK,
        {
            "kind": ("countdown-hard", {"prepare", "sample", "probe"}),
            "split": ("dev", {"prepare"}),
            "seed": (1, {"prepare"}),
            "options": ({"problems": {3: 7}}, {"prepare"}),
            "data": ("rows.jsonl", set()),
            "columns": ({"question": "q"}, {"prepare"}, {BENCHMARK[:-1]: {"kind": "qa-math", "data": "rows.jsonl"}}),
            "template": ("simple", DRAWN),
            "stop": (["\n\n"], DRAWN),
            "graders": (["exact"], {"measure"}),
        },
    ),
    Model: (
        MODEL,
        {
            "pretrain": ({"benchmark": "countdown"}, {"pretrain"}),
            "hub": ("a/b", {"pretrain"}, {MODEL[:-1]: {"hub": "a/a", "revision": COMMIT}}),
            "revision": (COMMIT, {"pretrain"}, {MODEL[:-1]: {"hub": "a/b", "revision": COMMIT[::-1]}}),
            "path": ("there", set(), {MODEL[:-1]: {"path": "here"}}),
            "template": ("simple", {"train", "sample"}),
            "samples": ({"countdown": FILES | {"n": 17}}, {"import", *MEASURED}, ALL_STORED),
        },
    ),
    Origin: (
        GIVEN,
        {
            "hub": ("a/b", {"adopt"}, {GIVEN[:-1]: {"hub": "a/a", "revision": COMMIT}}),
            "revision": (COMMIT, {"adopt"}, {GIVEN[:-1]: {"hub": "a/b", "revision": COMMIT[::-1]}}),
            "path": ("elsewhere", set(), {GIVEN[:-1]: {"path": "here"}}),
            "samples": ({"countdown": FILES | {"n": 17}}, {"import", *MEASURED}, STORED),
        },
    ),
    StoredSamples: (
        OF_STORED,
        {
            "files": ("others.jsonl", set(), STORED),
            "n": (17, {"import", *MEASURED}, STORED),
            "grades": ("scores", {"import"}, STORED),
            "correct_from": (1.0, {"import"}, STORED),
            "columns": ({"gold": "a"}, {"import"}, STORED),
            "policy": ("rl", {"import"}, STORED),
            "temperature": (0.6, {"import"}, STORED),
            "top_p": (0.9, {"import"}, STORED),
            "max_tokens": (100, {"import"}, STORED),
            "template": ("simple", {"import"}, STORED),
        },
    ),
    Pretrain: (
        PRETRAIN,
        {
            "benchmark": ("countdown-hard", {"pretrain"}),
            "steps": (301, {"pretrain"}),
            "batch": (65, {"pretrain"}),
            "numbers": ({3: 1, 4: 1}, {"pretrain"}),
            "architecture": ("qwen2", {"pretrain"}),
            "hidden": (96, {"pretrain"}),
            "layers": (3, {"pretrain"}),
            "heads": (3, {"pretrain"}),
            "lr_muon": (0.03, {"pretrain"}),
            "lr_adamw": (0.02, {"pretrain"}),
            "seed": (1, {"pretrain"}),
        },
    ),
}
EVERY = [(block, name) for block, (_, changes) in CHANGES.items() for name in changes]


def test_every_part_backend_and_engine_with_settings_is_among_them() -> None:
    parts = {each for part in Algorithm.model_fields for each in kinds(part).values()}
    others = {each.settings for each in (*BACKENDS.values(), *ENGINES.values()) if each.settings}
    assert {each for each in parts | others if each.model_fields.keys() - {"kind"}} <= CHANGES.keys()


@pytest.mark.parametrize("block", CHANGES, ids=lambda block: block.__name__)
def test_every_setting_names_a_result_or_only_executes(block: type[Block]) -> None:
    """A new setting needs a place in ``CHANGES``: which results does it change?"""
    _, changes = CHANGES[block]
    one_kind = {"kind"} if len(get_args(block.model_fields.get("kind", FieldInfo()).annotation)) == 1 else set()
    assert changes.keys() == block.model_fields.keys() - one_kind
    executing = {name for name, field in block.model_fields.items() if _EXECUTION in field.metadata}
    named = {name for name, (_, stages, *_) in changes.items() if stages}
    by_content = {(Model, "path"), (Origin, "path"), (Training, "data"), (Benchmark, "data"), (Probe, "fractions")}
    assert executing == {name for name in changes.keys() - named if (block, name) not in by_content}
    assert set(OF_PROBLEMS) <= Training.model_fields.keys() and set(DESIGN) <= Sampling.model_fields.keys()


@pytest.mark.parametrize(
    ("block", "name"), EVERY, ids=lambda value: value if isinstance(value, str) else value.__name__
)
def test_a_setting_names_what_it_changes_and_nothing_else(
    block: type[Block], name: str, prints: Callable[..., Prints]
) -> None:
    where, changes = CHANGES[block]
    value, stages, *start = changes[name]
    before, after = prints(*start), prints(*start, {f"{where}{name}": value})
    assert moved(before, after) == stages
    assert prints(*start) == before, "of the same study they are the same"


@pytest.mark.parametrize("part", [("advantage", "centered"), ("aggregation", "sequence_mean")])
def test_another_kind_of_a_part_names_other_runs(part: tuple[str, str], prints: Callable[..., Prints]) -> None:
    assert moved(prints(), prints({MINE + part[0]: part[1]})) == RUNS


def test_what_the_smoke_study_is_named_by() -> None:
    """In words, so that what names results is read and not only compared."""
    plan = make_plan("smoke")
    design = {"rounds": [16, 32, 64], "stop_after": 8, "unscored": ["timeout"]}
    analysis = {"design": design, "ks": [1, 2, 4, 8, 16, 32, 64], "resamples": 200}
    pretrain = {"benchmark": "countdown", "steps": 300, "batch": 64, "numbers": {"3": 1.0}}
    training = {"prompts": 4, "rollouts": 8, "lr": 0.001, "warmup": 1, "max_tokens": 24}
    found = {
        ("prepare", "training"): {"kind": ["countdown", 2], "split": "train", "options": {"problems": {"3": 60}}},
        ("overlap", "countdown"): {},
        ("pretrain", BASE): {"pretrain": {**pretrain, "hidden": 48, "layers": 2, "heads": 2}},
        ("train", f"{BASE}--gspo-n--seed0", 4): {
            "algorithm": {
                "signs": {"kind": "negative"},
                "surrogate": {"kind": "clipped", "ratio": "sequence", "clip_low": 0.0003, "clip_high": 0.0004},
                "aggregation": {"kind": "sequence_mean"},
            },
            "seed": 0,
            "training": training,
            "backend_version": 2,
        },
        ("measure", BASE, "countdown"): {**analysis, "graders": [["countdown", 2]]},
        ("compare", f"{BASE}--grpo--seed0", "countdown"): analysis,
        ("report",): analysis,
    }
    for job, named in found.items():
        told = settings(plan, *job)
        assert {name: told[name] for name in named} == named and told["version"] == STAGES[job[0]].version, job
        assert json.loads(json.dumps(told)) == told, "as it is read from a file again"


# new settings, and versions


def test_a_new_setting_at_its_default_names_no_result(prints: Callable[..., Prints], tmp_path: Path) -> None:
    before = prints()

    class MoreTraining(Training):
        more: int = 3

    class MoreSampling(Sampling):
        more: int = 3

    class MoreAlgorithm(Algorithm):
        more: int = 3

    class MoreAnalysis(Analysis):
        more: int = 3

    plan = make_plan(str(tmp_path / "study.yaml"))

    def more(made: type[Block], of: Block, **changes: Any) -> Block:
        return made.model_validate({**of.model_dump(), **changes})

    def changed(**changes: Any) -> Prints:
        sampling = more(MoreSampling, plan.study.sampling, **changes)
        analysis = more(MoreAnalysis, plan.study.analysis, **changes)
        made = replace(plan, study=plan.study.model_copy(update={"sampling": sampling, "analysis": analysis}))
        made.algorithms["mine"] = more(MoreAlgorithm, plan.algorithms["mine"], **changes)
        made.trainings["mine"] = more(MoreTraining, plan.trainings["mine"], **changes)
        return fingerprints(made)

    assert changed() == changed(more=3) == before
    assert moved(before, changed(more=4)) == RUNS | CONTINUED | NUMBERS


def test_a_new_option_of_a_kind_at_its_default_names_no_result(
    prints: Callable[..., Prints], monkeypatch: pytest.MonkeyPatch
) -> None:
    class More(CountdownOptions):
        more: int = 3

    before = prints()
    monkeypatch.setitem(KINDS, "countdown", replace(COUNTDOWN, options=More()))
    assert prints() == prints({"benchmarks.countdown.options.more": 3}) == before
    assert moved(before, prints({"benchmarks.countdown.options.more": 4})) == {"prepare"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_raised_version_names_the_results_of_its_stage_anew(
    stage: str, prints: Callable[..., Prints], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = prints(STORED)
    monkeypatch.setitem(STAGES, stage, replace(STAGES[stage], version=STAGES[stage].version + 1))
    assert moved(before, prints(STORED)) == {stage}
