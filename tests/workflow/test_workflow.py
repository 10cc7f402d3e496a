"""The whole chain as a user runs it: it plans, it runs, and it never repeats or hides anything."""

from __future__ import annotations

import base64
import csv
import json
import re
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from workflow import REPOSITORY, planned, shipped, snakemake, tables, write_study

from boundary_bench.operations import forecast
from boundary_bench.plan import make_plan
from boundary_bench.plan.jobs import jobs as every_job
from boundary_bench.plan.outputs import report_files

SMOKE = ("--config", "study=smoke")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the smoke study has run; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("smoke")
    done = snakemake(folder, *SMOKE)
    assert done.returncode == 0, done.stdout
    assert "results/smoke/report.html (" in done.stdout.splitlines()[-1] or "report.html (" in done.stdout
    return folder


@pytest.fixture
def finished(smoke: Path, tmp_path: Path) -> Path:
    """A copy of the finished folder, to be changed."""
    folder = tmp_path / "copy"
    shutil.copytree(smoke, folder, copy_function=shutil.copy2)
    return folder


@pytest.fixture
def rows(smoke: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of the smoke study's tables."""
    return {path.stem: list(csv.DictReader(path.open())) for path in (smoke / "results/smoke/tables").glob("*.csv")}


def variant(folder: Path, **changes: object) -> tuple[str, str]:
    """Arguments for the smoke study with some top-level keys replaced; the results folder stays the same."""
    path = write_study(folder / "variant.yaml", {**shipped("smoke"), **changes})
    return "--config", f"study={path}"


@pytest.mark.parametrize("study", sorted(path.stem for path in (REPOSITORY / "workflows/studies").glob("*.yaml")))
def test_every_shipped_study_plans(study: str, tmp_path: Path) -> None:
    jobs, content = planned(tmp_path, "--config", f"study={study}"), shipped(study)
    trained = len(content.get("algorithms", [])) * len(content.get("seeds", [])) * len(content["models"])
    given = sum(len(run["checkpoints"]) for run in content.get("runs", {}).values())
    policies = len(content["models"]) + given + trained * (len(content.get("evaluate", {"steps": [0]})["steps"]) - 1)
    assert jobs.get("adopt", 0) == given
    assert jobs.get("train", 0) == trained * len(content.get("training", {"segments": []})["segments"])
    assert jobs["measure"] == policies * len(content["benchmarks"])
    assert jobs["sample"] == jobs["measure"] * content["sampling"].get("shards", 1)
    stages = Counter(job.stage.name for job in every_job(make_plan(study, tmp_path / "results")))
    assert jobs == {**stages, "all": 1, "total": sum(stages.values()) + 1}, "what `boundary-bench forecast` says"


def test_the_longest_chain_of_jobs_is_that_of_the_graph(tmp_path: Path) -> None:
    """The last kept step is not always evaluated: then its chain ends earlier."""
    for steps in ([0, 2, 4], [0, 2]):
        training = shipped("smoke")["training"] | {"segments": [2, 4, 6, 8, 10][: len(steps) + 2]}
        study = variant(tmp_path, training=training, evaluate={"steps": steps})
        done = snakemake(tmp_path, "--dag", *study)
        after = defaultdict(list)
        for job, waiting in re.findall(r"(\d+) -> (\d+)", done.stdout):
            after[waiting].append(job)

        def length(job: str, after: dict[str, list[str]] = after) -> int:
            return 1 + max((length(other) for other in after.get(job, [])), default=0)

        chain = forecast.chain(every_job(make_plan(study[1].removeprefix("study="))))
        assert len(after) > 10 and len(chain) == max(map(length, list(after))) - 1, "`all` is no job"


def test_the_forecast_holds_for_what_ran(smoke: Path, rows: dict[str, list[dict[str, str]]]) -> None:
    whole = [row for row in rows["summary"] if row["stratum"] == "all"]
    drawn, correct = sum(int(row["drawn"]) for row in whole), sum(int(row["correct"]) for row in whole)
    tokens = sum(float(row["mean_tokens"]) for row in whole) / len(whole)
    told = forecast.Assumptions(success_rate=correct / drawn, response_tokens=tokens)
    found = forecast.forecast(make_plan("smoke", smoke / "results"), told)
    (policy,), (model,) = found.benchmarks.values(), found.models.values()
    assert policy.least * len(whole) < drawn < policy.most * len(whole)
    assert policy.expected * len(whole) == pytest.approx(drawn, rel=0.1)
    assert model.sampled_tokens == pytest.approx(drawn * tokens, rel=0.1)
    store = smoke / "results/smoke/store"
    for name, pattern, within in [
        ("checkpoints", "train/*/step-*/*", 0.25),
        ("trainer states", "train/*/state/*/*", 0.25),
        ("base model", "pretrain/*/*/**/*", 0.25),
        # how alike the responses are, and so how small their files, is a matter of how a machine rounds in training
        ("samples", "sample/*/*.parquet", 0.4),
    ]:
        taken = sum(path.stat().st_size for path in store.glob(pattern) if path.is_file())
        assert model.disk[name] == pytest.approx(taken, rel=within), name


def test_pass_at_k_is_a_curve(rows: dict[str, list[dict[str, str]]]) -> None:
    curves = defaultdict(list)
    for row in rows["pass_at_k"]:
        assert 0 <= float(row["low"]) <= float(row["estimate"]) <= float(row["high"]) <= 1
        assert 0 < float(row["null"]) <= 1
        curves[row["policy"], row["benchmark"], row["stratum"]].append((int(row["k"]), float(row["estimate"])))
    assert len({policy for policy, _, _ in curves}) == 1 + 4 * 2
    for curve in curves.values():
        assert [k for k, _ in curve] == [1, 2, 4, 8, 16, 32, 64]
        assert [p for _, p in curve] == sorted(p for _, p in curve)
    assert max(p for curve in curves.values() for _, p in curve) > 0.2, "the smoke study's base must solve something"


def test_every_sample_has_one_verdict(rows: dict[str, list[dict[str, str]]]) -> None:
    for row in rows["summary"]:
        counted = sum(int(row[name]) for name in ("correct", "wrong", "unparsable", "truncated", "timeout"))
        assert counted == int(row["drawn"]) and counted - int(row["timeout"]) == int(row["samples"])
        assert int(row["problems"]) * 16 <= int(row["samples"]) <= int(row["problems"]) * 64
    assert any(int(row["samples"]) < int(row["problems"]) * 64 for row in rows["summary"]), "some problem stops early"


def test_differences_are_checkpoint_minus_base(rows: dict[str, list[dict[str, str]]]) -> None:
    estimate = {(r["algorithm"], r["step"], r["stratum"], r["k"]): float(r["estimate"]) for r in rows["pass_at_k"]}
    assert rows["differences"]
    for row in rows["differences"]:
        base = estimate["base", "0", row["stratum"], row["k"]]
        checkpoint = estimate[row["algorithm"], row["step"], row["stratum"], row["k"]]
        assert float(row["difference"]) == pytest.approx(checkpoint - base, abs=2e-6)


def test_training_moved_every_algorithm(rows: dict[str, list[dict[str, str]]]) -> None:
    updates = defaultdict(int)
    for row in rows["training"]:
        updates[row["algorithm"]] += int(row["updates"])
        if row["algorithm"].endswith("-n"):
            assert float(row["positive_mass"]) == 0
    assert set(updates) == {"grpo", "grpo-n", "gspo", "gspo-n"} and min(updates.values()) > 0


def test_a_second_run_does_nothing(smoke: Path) -> None:
    assert planned(smoke, *SMOKE) == {}


def test_the_report_of_snakemake_holds_every_result_with_its_caption(smoke: Path, tmp_path: Path) -> None:
    done = snakemake(smoke, *SMOKE, "--report", str(tmp_path / "run.html"))
    assert done.returncode == 0, done.stdout
    page = (tmp_path / "run.html").read_text()
    results = json.JSONDecoder().raw_decode(page, page.index('var results = {"') + len("var results = "))[0]
    captions = {Path(name).name: re.sub(r"<.*?>|\s+", " ", result["caption"]) for name, result in results.items()}
    declared = report_files(make_plan("smoke", smoke / "results"))
    assert captions.keys() == {file.name for file in declared if file.suffix not in (".png", ".zip")}
    # written and filled in, and no markup or template left over
    assert all(len(caption) > 40 and not re.search(r"[{}`\\]", caption) for caption in captions.values())
    assert "its interval over problems and samples at one k" in captions["pass_at_k.csv"]
    table = results["results/smoke/tables/pass_at_k.csv"]
    assert table["labels"] == {"table": "pass_at_k", "format": "csv"}
    written = (smoke / "results/smoke/tables/pass_at_k.csv").read_bytes()
    assert base64.b64decode(table["data_uri"].partition("base64,")[2]) == written
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=.?https?:", page), "it needs no network"


def test_adding_an_algorithm_runs_only_what_is_new(finished: Path) -> None:
    algorithms = {name: {} for name in shipped("smoke")["algorithms"]} | {"wide": {"like": "grpo", "clip_high": 0.4}}
    jobs = planned(finished, *variant(finished, algorithms=algorithms))
    assert jobs == {"train": 2, "sample": 2, "measure": 2, "compare": 1, "report": 1, "all": 1, "total": 9}


def test_adding_a_seed_trains_only_that_seed(finished: Path) -> None:
    jobs = planned(finished, *variant(finished, seeds=[0, 1]))
    assert (jobs["train"], jobs["sample"], jobs["compare"]) == (8, 8, 4)
    assert "pretrain" not in jobs and "prepare" not in jobs


def test_adding_a_benchmark_trains_nothing(finished: Path) -> None:
    benchmarks = shipped("smoke")["benchmarks"] | {"more": {"kind": "countdown", "options": {"problems": {3: 2}}}}
    jobs = planned(finished, *variant(finished, benchmarks=benchmarks))
    assert (jobs["prepare"], jobs["sample"]) == (1, 9) and "train" not in jobs


def test_an_algorithm_may_have_its_own_updates_per_rollout(finished: Path) -> None:
    own = {"like": "grpo", "updates_per_rollout": 1}
    changed = variant(finished, algorithms={"grpo": {}, "grpo-onpolicy": own})
    assert planned(finished, *changed)["train"] == 2
    names = ("grpo", "grpo-onpolicy")
    files = {name: f"results/smoke/checkpoints/countdown-base--{name}--seed0/step2/log.jsonl" for name in names}
    done = snakemake(finished, *files.values(), *changed)
    assert done.returncode == 0, done.stdout
    logs = {name: (finished / file).read_text() for name, file in files.items()}
    updates, clipped = (
        {name: [json.loads(line)[key] for line in log.splitlines()] for name, log in logs.items()}
        for key in ("updates", "clip_fraction")
    )
    assert updates["grpo"] == [2, 2] and updates["grpo-onpolicy"] == [1, 1]
    assert clipped["grpo-onpolicy"] == [0, 0], "strictly on-policy, every ratio is 1"


def test_a_further_segment_trains_only_that_segment(finished: Path) -> None:
    training = shipped("smoke")["training"] | {"segments": [2, 4, 6]}
    jobs = planned(finished, *variant(finished, training=training, evaluate={"steps": [0, 2, 4, 6]}))
    assert (jobs["train"], jobs["sample"]) == (4, 4)


def test_another_training_setting_trains_every_segment_at_once(finished: Path) -> None:
    """Snakemake asks nothing else of a job whose ancient() input is made anew: half a run would keep the old lr."""
    changed = variant(finished, training=shipped("smoke")["training"] | {"lr": 3e-4})
    jobs = planned(finished, *changed)
    assert (jobs["train"], jobs["sample"]) == (8, 8) and "pretrain" not in jobs
    done = snakemake(finished, "-q", *changed)
    assert done.returncode == 0, done.stdout
    assert planned(finished, *changed) == {}
    assert len(list((finished / "results/smoke/store/train").iterdir())) == 8, "the old runs are kept"


def test_other_evaluated_steps_train_nothing(finished: Path) -> None:
    jobs = planned(finished, *variant(finished, evaluate={"steps": [0, 4]}))
    assert set(jobs) <= {"compare", "report", "all", "total"}


def test_raising_n_keeps_every_block(finished: Path) -> None:
    store = finished / "results/smoke/store/sample"
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*.parquet")}
    done = snakemake(finished, "-q", *variant(finished, sampling=shipped("smoke")["sampling"] | {"n_max": 128}))
    assert done.returncode == 0, done.stdout
    after = {path: path.stat().st_mtime_ns for path in store.rglob("*.parquet")}
    assert {path: after[path] for path in before} == before
    drawn = sorted(path.name for path in after.keys() - before.keys())
    assert drawn == ["block-000064-000096.parquet"] * 9 + ["block-000096-000128.parquet"] * 9


def test_another_design_trains_nothing_and_samples_every_policy(finished: Path) -> None:
    jobs = {"sample": 9, "measure": 9, "compare": 4, "report": 1, "all": 1, "total": 24}
    for change in ({"stop_after": 16}, {"stop_after": None}, {"rounds": [20, 64]}):
        assert planned(finished, *variant(finished, sampling=shipped("smoke")["sampling"] | change)) == jobs


def test_another_block_changes_nothing_that_is_there(finished: Path) -> None:
    assert planned(finished, *variant(finished, sampling=shipped("smoke")["sampling"] | {"block": 7})) == {}


def test_a_blank_in_a_rule_trains_nothing(finished: Path) -> None:
    copy = finished / "repository"
    shutil.copytree(REPOSITORY / "workflows", copy / "workflows")
    shutil.copy(REPOSITORY / "Snakefile", copy)
    rule = copy / "workflows/rules/train.smk"
    text = rule.read_text()
    assert ' train "$STUDY"' in text
    rule.write_text(text.replace(' train "$STUDY"', '  train "$STUDY"'))
    root = finished / "results/smoke"
    weights = {path: path.stat().st_mtime_ns for path in root.glob("store/train/**/*.safetensors")}
    before = tables(root)
    study = f"study={REPOSITORY / 'workflows/studies/smoke.yaml'}"
    done = snakemake(finished, "-q", "--config", study, snakefile=copy / "Snakefile")
    assert done.returncode == 0, done.stdout
    assert {path: path.stat().st_mtime_ns for path in root.glob("store/train/**/*.safetensors")} == weights
    assert tables(root) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithms": ["grop"]}, "did you mean 'grpo'"),
        ({"sampling": {"n_max": 65, "rounds": [32, 64]}}, "expected n_max: 65 as the last"),
        ({"evaluate": {"steps": [0, 8]}}, "training.segments keeps"),
        ({"sampel": {}}, "did you mean 'sampling'"),
    ],
)
def test_a_fault_in_the_study_is_never_nothing_to_be_done(finished: Path, changes: dict, message: str) -> None:
    done = snakemake(finished, *variant(finished, **changes))
    assert done.returncode != 0 and message in done.stdout
    assert "Nothing to be done" not in done.stdout and "Traceback" not in done.stdout


def test_a_missing_input_is_never_nothing_to_be_done(finished: Path) -> None:
    data = finished / "mine.jsonl"
    data.write_text('{"numbers": [1, 2, 3], "target": 6}\n')
    arguments = variant(
        finished,
        algorithms=["grpo"],
        benchmarks=shipped("smoke")["benchmarks"] | {"mine": {"kind": "countdown", "data": str(data)}},
    )
    assert snakemake(finished, "-q", *arguments).returncode == 0
    before = tables(finished / "results/smoke")["pass_at_k.csv"]
    data.write_text('{"numbers": [1, 2, 4], "target": 8}\n')
    assert snakemake(finished, "-q", *arguments).returncode == 0
    assert tables(finished / "results/smoke")["pass_at_k.csv"] != before, "an edited file must be sampled again"
    data.unlink()
    done = snakemake(finished, *arguments)
    assert done.returncode != 0 and "mine.jsonl" in done.stdout and "Nothing to be done" not in done.stdout


def test_a_results_folder_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = snakemake(tmp_path, "--config", "study=smoke", f"results={tmp_path / 'file' / 'results'}")
    assert done.returncode != 0 and "Not a directory" in done.stdout
    done = snakemake(tmp_path, "--config", "study=smoke", f"results={tmp_path / 'file'}")
    assert done.returncode != 0 and "expected a folder" in done.stdout and "Traceback" not in done.stdout


EXTENSION = """
rule my_model:
    output:
        directory("my-model"),
    input:
        "{model}",
    log:
        "my-model.log",
    shell:
        "cp -r {{input}} {{output}} 2> {{log}}"


rule my_problems:
    output:
        "my-problems.jsonl",
    log:
        "my-problems.log",
    shell:
        \"\"\"echo '{{{{"numbers": [2, 3, 4], "target": 24}}}}' > {{output}} 2> {{log}}\"\"\"
"""


def extended_study(folder: Path) -> Path:
    """A study whose model and benchmark are made by a user's own rules."""
    study = shipped("smoke") | {
        "study": "extended",
        "models": {"mine": {"path": "my-model"}},
        "algorithms": ["grpo"],
        "benchmarks": {"mine": {"kind": "countdown", "data": "my-problems.jsonl"}},
    }
    study["training"] |= {"segments": [2]}
    return write_study(folder / "extended.yaml", study | {"evaluate": {"steps": [0, 2]}})


def test_rules_in_the_local_folder_extend_the_workflow(smoke: Path, tmp_path: Path) -> None:
    copy = tmp_path / "repository"
    shutil.copytree(REPOSITORY / "workflows", copy / "workflows")
    shutil.copy(REPOSITORY / "Snakefile", copy)
    model = next((smoke / "results/smoke/store/pretrain").glob("*/model"))
    (copy / "workflows/rules/local/mine.smk").write_text(EXTENSION.format(model=model))
    study = extended_study(tmp_path)
    done = snakemake(tmp_path, "-q", "--config", f"study={study}", snakefile=copy / "Snakefile")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "results/extended/report.html").is_file() and (tmp_path / "my-model").is_dir()


def test_the_workflow_can_be_imported_as_a_module(smoke: Path, tmp_path: Path) -> None:
    study = extended_study(tmp_path)
    model = next((smoke / "results/smoke/store/pretrain").glob("*/model"))
    importing = f"""
module boundary:
    snakefile:
        "{REPOSITORY / "Snakefile"}"
    config:
        {{"study": "{study}"}}


use rule * from boundary


{EXTENSION.format(model=model)}


rule mine:
    default_target: True
    input:
        rules.all.input,
"""
    (tmp_path / "Snakefile").write_text(importing)
    done = snakemake(tmp_path, "-q", snakefile=tmp_path / "Snakefile")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "results/extended/report.html").is_file()
