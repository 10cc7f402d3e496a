"""What has become of a study's jobs, on results of real stages: finished, at work, killed, stopped, failed, damaged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow import finish, planned, read_until, shipped, snakemake, stage, write_study

from boundary_bench.commands import main
from boundary_bench.core.errors import EXIT_USER_ERROR
from boundary_bench.core.locks import holder
from boundary_bench.core.text import LISTED, duration
from boundary_bench.operations.status import Ended, StageStatus, Status, _after_progress, _fault, status
from boundary_bench.operations.status_text import text
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.jobs import jobs

RUN = "base--grpo--seed0"
TRAIN = ("train", "mini.yaml", "--run", RUN, "--step", "30")
SAMPLE = ("sample", "mini.yaml", "--policy", "base", "--benchmark", "countdown", "--shard", "1")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose problems, base model and first segment are ready."""
    folder, smoke = tmp_path_factory.mktemp("begun"), shipped("smoke")
    pretrain = smoke["models"]["countdown-base"]["pretrain"] | {"steps": 60, "hidden": 32}
    study = smoke | {
        "study": "mini",
        "models": {"base": {"pretrain": pretrain}},
        "algorithms": ["grpo"],
        "benchmarks": {"countdown": {"options": {"problems": {3: 6}}}},
        "training": smoke["training"] | {"segments": [2, 30]},
        "evaluate": {"steps": [0, 2]},
        "sampling": {"n_max": 64, "block": 16, "max_tokens": 24, "shards": 2},
        "probe": {"fractions": [0.6]},
    }
    write_study(folder / "mini.yaml", study)
    wanted = f"results/mini/checkpoints/{RUN}/step2/manifest.json", "results/mini/problems/countdown.parquet"
    done = snakemake(folder, *wanted, "--config", "study=mini.yaml")
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def finished(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder after the whole workflow."""
    folder = tmp_path_factory.mktemp("finished") / "copy"
    shutil.copytree(begun, folder)
    done = snakemake(folder, "-q", "--config", "study=mini.yaml")
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of one of them, to be disturbed."""
    shutil.copytree(request.getfixturevalue(request.param), tmp_path / "copy")
    return tmp_path / "copy"


def plan_of(folder: Path, **changes: Any) -> Plan:
    """The plan of the folder's study, after a change of its top-level keys."""
    file = folder / "mini.yaml"
    if changes:
        write_study(file, yaml.safe_load(file.read_text()) | changes)
    return make_plan(str(file), folder / "results")


def to_do(found: Status) -> dict[str, int]:
    return {name: each.to_do for name, each in found.stages.items() if each.to_do}


def snakemakes(folder: Path) -> dict[str, int]:
    """What a dry run would do, by stage."""
    found = planned(folder, "--config", "study=mini.yaml")
    return {name: count for name, count in found.items() if name not in ("all", "total")}


@contextmanager
def halted(folder: Path, arguments: tuple[str, ...], pattern: str) -> Iterator[subprocess.Popen[str]]:
    """A stage that stands still once it has printed such a line, and is killed in the end."""
    with stage(folder, *arguments) as process:
        try:
            read_until(process, pattern)
            process.send_signal(signal.SIGSTOP)
            yield process
        finally:
            process.kill()


def test_nothing_is_done_in_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("debate", "smoke"):
        plan = make_plan(name, tmp_path / "results")
        found = status(plan)
        planned = Counter(job.stage.name for job in jobs(plan))
        assert to_do(found) == planned == {name: each.jobs for name, each in found.stages.items()}
        assert not (found.running or found.failed or found.stopped or found.damaged)
        assert {each.seconds_left for each in found.stages.values()} == {None}
        assert main(["status", name, "--results", str(tmp_path / "results")]) == 0
        assert "time left if" not in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_faulty_study_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(write_study(tmp_path / "bad.yaml", {"study": "bad"}))]) == EXIT_USER_ERROR
    assert capsys.readouterr().err.startswith("boundary-bench: ")


def test_the_jobs_are_those_of_the_workflow(finished: Path) -> None:
    """Each output, its rule and its log as Snakemake has them."""
    told = snakemake(finished, "-D", "--config", "study=mini.yaml").stdout
    lines = [line.split("\t") for line in told.splitlines() if line.startswith("results/")]
    theirs = {(rule, output, log) for output, _, rule, log, *_ in lines}
    found = jobs(make_plan(str(finished / "mini.yaml"), Path("results")))
    assert theirs == {(job.stage.name, str(output), str(job.log)) for job in found for output in job.outputs}
    assert len({job.name for job in found}) == len(found)


def test_a_finished_study_is_done_and_left_as_it_is(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    found = status(plan_of(finished))
    assert all(each.done == each.jobs and each.seconds_left == 0 for each in found.stages.values())
    assert not (found.running or found.failed or found.stopped or found.damaged)
    assert main(["status", str(finished / "mini.yaml"), "--results", str(finished / "results"), "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["stages"]["sample"] == {
        **{"jobs": 4, "done": 4, "running": 0, "failed": 0, "to_do": 0},
        **{"seconds_left": 0.0, "side_by_side": 1},
    }
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*")}


@pytest.mark.parametrize("folder", ["finished"], indirect=True)
def test_what_is_to_do_is_what_snakemake_would_do(folder: Path) -> None:
    """After a change of the study or a loss of files; rules that Snakemake runs again are counted the same."""
    smoke, root = yaml.safe_load((folder / "mini.yaml").read_text()), plan_of(folder).root
    changes: list[dict[str, Any]] = [
        {"sampling": smoke["sampling"] | {"n_max": 128}},
        {"sampling": smoke["sampling"] | {"temperature": 0.9}},
        {"training": smoke["training"] | {"lr": 2.0e-3}},
        {"training": smoke["training"] | {"segments": [2, 30, 40]}},
        {"benchmarks": {"countdown": {"options": {"problems": {3: 7}}}}},
    ]
    for change in changes:
        found = status(plan_of(folder, **change))
        assert to_do(found) == snakemakes(folder), change
        assert not (found.running or found.failed or found.stopped), "all that was begun had ended well"
        plan_of(folder, **smoke)
    for lost in ("measures/base/countdown/cover.csv", f"samples/{RUN}--step2/countdown/2-of-2.json", "report.html"):
        (root / lost).unlink()
        assert to_do(status(plan_of(folder))) == snakemakes(folder), lost


@pytest.mark.parametrize("folder", ["begun"], indirect=True)
def test_a_trainer_is_seen_at_work_killed_stopped_and_done(folder: Path) -> None:
    plan = plan_of(folder)
    with halted(folder, TRAIN, r"step 10/30") as process:
        found = status(plan)
        (worker,) = found.running
        assert (worker.name, worker.process, worker.job) == (f"train {RUN} step30", process.pid, None)
        assert worker.host == os.uname().nodename and worker.since <= worker.heard
        assert worker.progress.done >= 10 and (worker.progress.total, worker.progress.unit) == (30, "steps")
        train = found.stages["train"]
        assert (train.done, train.running, train.to_do) == (1, 1, 0)
        rows = (next((plan.root / "store/train").iterdir()) / "steps.jsonl").read_text().splitlines()
        row, manifest = json.loads(rows[-1]), json.loads(plan.checkpoint(plan.runs[0], 2).read_text())
        left = 30 - worker.progress.done
        assert worker.seconds_left == pytest.approx(left * (row["seconds_rollout"] + row["seconds_update"]))
        assert train.seconds_left == pytest.approx(left * manifest["seconds"] / 2)
        told = text(found)
        assert f"train {RUN} step30: {worker.progress.done} of 30 steps" in told and f"process {process.pid}" in told
    found = status(plan)
    assert not found.running and not found.failed and found.stages["train"].to_do == 1
    (ended,) = found.stopped
    assert ended.name == f"train {RUN} step30" and f"process {process.pid} on " in ended.said
    with halted(folder, TRAIN, r"step 20/30") as process:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        said = process.communicate()[0]
    log = plan.root / "logs/train" / RUN / "step30.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(said)
    found = status(plan)
    assert process.returncode == 85 and not found.failed
    assert [(each.log, each.said) for each in found.stopped] == [(str(log), said.splitlines()[-1])]
    finish(stage(folder, *TRAIN))
    found = status(plan)
    assert found.stages["train"].done == 2 and not found.stopped


@pytest.mark.parametrize("folder", ["begun"], indirect=True)
def test_a_sampler_is_seen_at_work_on_its_shard(folder: Path) -> None:
    plan = plan_of(folder)
    with halted(folder, SAMPLE, r"block-000016") as process:  # the records of the blocks before are written
        found = status(plan)
        (worker,) = found.running
        assert (worker.name, worker.process) == ("sample base countdown 1-of-2", process.pid)
        assert worker.progress.total == 3 and worker.progress.samples >= 3 * 16 and worker.seconds_left is not None
        assert (found.stages["sample"].running, found.stages["sample"].to_do) == (1, 3)
        assert found.stages["sample"].seconds_left is None, "nothing has been finished that would tell"
    assert [each.name for each in status(plan).stopped] == ["sample base countdown 1-of-2"]


@pytest.mark.parametrize("folder", ["begun"], indirect=True)
def test_what_an_earlier_attempt_had_said_is_not_the_progress(folder: Path) -> None:
    plan = plan_of(folder)
    with halted(folder, SAMPLE, r"block-\d"):
        pass
    with halted(folder, SAMPLE, r"round"):  # which is said before anything is drawn
        (worker,) = status(plan).running
        assert worker.progress is None and worker.seconds_left is None
        assert "sample base countdown 1-of-2: -;" in text(status(plan))


@pytest.mark.parametrize("folder", ["begun"], indirect=True)
def test_a_holder_elsewhere_is_at_work_while_it_writes(folder: Path) -> None:
    """Where locks do not reach from one machine to another, only what it writes tells of a process."""
    plan = plan_of(folder)
    (store,) = (plan.root / "store/train").iterdir()
    (store / ".holder-1-of-1").write_text("process 7 on far-away, job 4711\n")
    (worker,) = status(plan).running
    assert (worker.process, worker.host, worker.job, worker.progress.done) == (7, "far-away", "4711", 2)
    assert "process 7 on far-away, job 4711, since" in text(status(plan))
    for path in (store, *store.glob("*.jsonl"), store / ".holder-1-of-1"):
        os.utime(path, (1, 1))
    found = status(plan)
    assert not found.running and found.stopped[0].said.startswith("process 7 on far-away, job 4711 died")
    (store / ".holder-1-of-1").write_text("")  # as it is for a moment
    assert status(plan).running[0].process is None and "unknown process, since" in text(status(plan))
    os.utime(store / ".holder-1-of-1", (1, 1))
    assert holder(store).process is None and "its process died" in status(plan).stopped[0].said


@pytest.mark.parametrize("folder", ["begun"], indirect=True)
def test_failed_jobs_are_listed_with_what_their_logs_say(folder: Path) -> None:
    plan = plan_of(folder)
    (weights,) = (plan.root / "store/pretrain").glob("*/model/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    assert snakemake(folder, "-q", "-k", "--config", "study=mini.yaml").returncode != 0
    found = status(plan)
    broken = [f"train {RUN} step30", "probe base countdown"]
    broken += [f"sample base countdown {shard}-of-2" for shard in (1, 2)]
    assert {each.name for each in found.failed} == set(broken), "the checkpoint's own weights are whole"
    assert (found.stages["train"].failed, found.stages["sample"].failed) == (1, 2)
    assert (found.stages["sample"].done, found.stages["sample"].to_do) == (2, 0)
    assert not found.stopped and not found.running
    for each in found.failed:
        assert each.said.startswith("boundary-bench: the weights in ") and "were altered or torn" in each.said
        assert f"{each.name}: {each.said[:100]}" in text(found) and each.log in text(found)


@pytest.mark.parametrize("folder", ["finished"], indirect=True)
@pytest.mark.parametrize("torn", ["", '{"step": 2, "pa', "\x00\xff", "[]"])
def test_a_torn_manifest_is_named(folder: Path, torn: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(folder)
    manifest = plan.checkpoint(plan.runs[0], 2)
    manifest.write_text(torn, encoding="latin-1")
    assert main(["status", str(plan.path), "--results", str(plan.results)]) == 0
    told = capsys.readouterr()
    assert "damaged" in told.out and str(manifest) in told.out and not told.err
    assert to_do(status(plan)) == {"train": 2, "sample": 2, "measure": 1, "compare": 1, "report": 1}
    plan.problems("countdown").write_text("torn")
    assert [str(plan.problems("countdown")) in each for each in status(plan).damaged] == [True, False]


@pytest.mark.parametrize("folder", ["finished"], indirect=True)
def test_time_left_is_that_of_the_finished_jobs(folder: Path) -> None:
    plan = plan_of(folder)
    for shard in (1, 2):
        plan.shard("base", "countdown", shard).unlink()
    took = []
    for shard in (1, 2):
        records = plan.log("sample", f"{RUN}--step2", "countdown", f"{shard}-of-2").with_suffix(".jsonl")
        last = json.loads(records.read_text().splitlines()[-1])
        took.append(last["samples"] / last["samples_per_second"])
    found = status(plan).stages
    assert found["sample"].seconds_left == pytest.approx(sum(took)), "two jobs one after another"
    assert found["measure"].to_do == 1 and found["measure"].seconds_left is None
    assert "time left if so many go on side by side: sample 1" in text(status(plan))


PROGRESS, FAILURE = "[train base] step 10/20  reward 0.1", "boundary-bench: the disk is full"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([PROGRESS, FAILURE], FAILURE),
        ([PROGRESS, FAILURE, "a library warns at its exit"], FAILURE),
        ([FAILURE, PROGRESS], None),
        (["boundary-bench train: error: argument --step: invalid int value: 'x'"], "boundary-bench train: error"),
        ([PROGRESS, "bash: line 1: /env/bin/python: No such file or directory"], "bash: line 1"),
        (["/env/bin/python: No module named boundary_bench"], "/env/bin/python: No module"),
        ([PROGRESS, "Traceback (most recent call last):", "  File", "    x", "ValueError: y", "bye"], "ValueError: y"),
        ([PROGRESS, "Traceback (most recent call last):"], "Traceback"),
        ([PROGRESS, "a library warns"], None),
        ([], None),
    ],
)
def test_the_newest_attempt_says_why_it_ended(lines: list[str], said: str | None) -> None:
    found = _fault(_after_progress("train", lines))
    assert found is None if said is None else found is not None and found.startswith(said)


@pytest.mark.parametrize("folder", ["begun"], indirect=True)
def test_what_is_not_ours_may_fail_too(folder: Path) -> None:
    plan = plan_of(folder)
    log = plan.log("sample", "base", "countdown", "1-of-2")
    log.parent.mkdir(parents=True)
    log.write_text("[sample base countdown] round 1/1\nslurmstepd: error: Detected 1 oom_kill event\n")
    (ended,) = status(plan).failed
    assert ended.said == "slurmstepd: error: Detected 1 oom_kill event"


@pytest.mark.parametrize("folder", ["begun"], indirect=True)
def test_logs_are_untrusted_text(folder: Path) -> None:
    plan = plan_of(folder)
    log = plan.log("sample", "base", "countdown", "1-of-2")
    log.parent.mkdir(parents=True)
    log.write_bytes(b"\xff" * 100_000 + b"\nboundary-bench: \x1b[2J" + b"x" * 1000 + b"\n")
    (ended,) = status(plan).failed
    assert "\x1b" not in ended.said and len(ended.said) == 16 + 4 + 1000
    told = text(status(plan))
    assert f"{'x' * 300}" in told and "x" * 1000 not in told


def test_long_lists_end_in_a_count_and_times_have_two_units() -> None:
    failed = [Ended(f"measure {i}", "log", "boundary-bench: no") for i in range(LISTED + 5)]
    told = text(Status("s", {"measure": StageStatus(25, 0, 0, 25, 0, None, 1)}, [], failed, [], []))
    assert told.count("boundary-bench: no") == LISTED and told.endswith("and 5 more")
    seconds = (0.2, 59.2, 61, 7384, 7200, 200_000)
    assert [duration(each) for each in seconds] == ["1 s", "1 min", "1 min 1 s", "2 h 3 min", "2 h", "2 d 7 h"]
