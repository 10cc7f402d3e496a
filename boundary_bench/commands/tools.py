"""The commands beside the stages, for users: before, while and after a study runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from boundary_bench.commands.workplace import logger
from boundary_bench.core.errors import EXIT_MOVED, DataError, EngineError, StudyError
from boundary_bench.plan import make_plan

if TYPE_CHECKING:
    from boundary_bench.grading.judging import Judge

Study = Annotated[str, "a study file, or the name of a shipped study"]
Results = Annotated[Path, "folder of all results"]
RESULTS = Path("results")
Json = Annotated[bool, "for programs; null is unknown"]


def forecast(
    study: Study,
    *,
    results: Results = RESULTS,
    success_rate: Annotated[float, "mean over the problems"] = 0.5,
    response_tokens: Annotated[float | None, "mean length of a response (a third of max_tokens)"] = None,
    teraflops: Annotated[float, "dense 16-bit peak of a GPU; 989 is an H100 SXM"] = 989,
    train_tokens_per_second: Annotated[float | None, "of one GPU, in updates (from the peak)"] = None,
    sample_tokens_per_second: Annotated[float | None, "of one GPU, drawing (from the peak)"] = None,
    json_: Json = False,
) -> None:
    """What a study will take: jobs, samples, tokens, GPU-hours, disk."""
    from boundary_bench.operations.forecast import Assumptions, forecast
    from boundary_bench.operations.forecast_text import text

    rates = train_tokens_per_second, sample_tokens_per_second
    found = forecast(make_plan(study, results), Assumptions(success_rate, response_tokens, teraflops, *rates))
    print(json.dumps(asdict(found), indent=2) if json_ else text(found))


def doctor(
    *,
    study: Annotated[str | None, "a study file or the name of a shipped study: what it needs, here"] = None,
    results: Results = RESULTS,
) -> None:
    """What is installed here, or whether a study can run here."""
    if study is None:
        from boundary_bench.operations.doctor import doctor

        print(doctor())
        return
    plan = make_plan(study, results)
    from boundary_bench.operations import doctor_study

    findings = list(doctor_study.examine(plan))
    print(f"{plan.path} on {os.uname().nodename}", doctor_study.text(findings), sep="\n", flush=True)
    if missing := sum(each.state == "missing" for each in findings):
        raise EngineError(
            f"doctor: {missing} line(s) say missing, each with its remedy; remarks keep no stage from running"
        )


def status(study: Study, *, results: Results = RESULTS, json_: Json = False) -> None:
    """What of a study is done, running, failed and still to do."""
    from boundary_bench.operations.status import status
    from boundary_bench.operations.status_text import text

    found = status(make_plan(study, results))
    print(json.dumps(asdict(found), indent=2) if json_ else text(found))


def claims(
    study: Study,
    *,
    results: Results = RESULTS,
    json_: Json = False,
    markdown: Annotated[bool, "the verdicts as a table, for a README or a job summary"] = False,
) -> None:
    """What a study's tables say of the claims of the literature."""
    from boundary_bench.claims import ledger_text
    from boundary_bench.claims.verdicts import ledger

    if json_ and markdown:
        raise StudyError("claims: found --json and --markdown, expected one of them")
    found = ledger(make_plan(study, results).root / "tables")
    if json_:
        print(json.dumps(ledger_text.record(found), indent=2))
    else:
        print(ledger_text.markdown(found) if markdown else ledger_text.text(found))


def publish(
    study: Study, *, results: Results = RESULTS, to: Annotated[Path, "where they are kept"] = RESULTS / "published"
) -> None:
    """Copy a study's tables, figures and page to where they are kept."""
    from boundary_bench.operations.publish import publish

    print(f"-> {publish(make_plan(study, results), to)}")


def export(
    study: Study,
    *,
    results: Results = RESULTS,
    to: Annotated[Path | None, "folder to write, replacing an earlier export (RESULTS/STUDY/export)"] = None,
    organization: Annotated[str, "whose evaluation and checkpoints these are"] = "boundary-bench",
) -> None:
    """Write a study's tables as records and cards for others."""
    from boundary_bench.operations.export import export

    folder = export(make_plan(study, results), organization, to)
    print(f"written for {organization} (--organization says whose): {folder}")


def diff(
    a: Annotated[str, "a study, or a folder of results"],
    b: Annotated[str, "another one, or the same of another commit"],
    *,
    results: Results = RESULTS,
    fail_on: Annotated[Literal["any", "verdicts", "numbers"], "what exit code 1 is for"] = "any",
    json_: Annotated[bool, "for programs, every cell; null is unknown"] = False,
) -> int:
    """What two results differ in: settings, numbers, verdicts.

    Exit code: 1 if something moved, else 0. Moved are a pass@k, or its change from the base, whose paired difference is
    not zero at a false discovery rate of 5 % over all cells; and a verdict that is another one: of differences.csv
    (change), of stages.csv (course), or on a claim. 2: the two cannot be compared.
    """
    from boundary_bench.operations.diff import contrast, locate
    from boundary_bench.operations.diff.text import record, text

    found = contrast(locate(a, results), locate(b, results))
    print(json.dumps(record(found), indent=2) if json_ else text(found))
    if fail_on == "numbers" and not found.numbers.compared:
        raise DataError(
            "diff --fail-on numbers: found no number that could be compared, expected one at least; see 'comparable' "
            "above for why, and keep measures/ of both"
        )
    return EXIT_MOVED if found.moved(fail_on) else 0


def regrade(
    study: Study,
    *,
    policy: str,
    benchmark: str,
    grader: Annotated[str, "beside the one that they were drawn with"],
    results: Results = RESULTS,
) -> None:
    """Grade a study's stored samples by another grader, beside the verdicts that they have."""
    from boundary_bench.analysis.graders import regrade
    from boundary_bench.benchmarks.problem_file import read_problems
    from boundary_bench.commands.stages import check_names
    from boundary_bench.grading.graders import grader_of
    from boundary_bench.grading.judging import Judge
    from boundary_bench.samples.grades import read_graded

    chosen, plan = grader_of(grader, "regrade --grader"), make_plan(study, results)
    check_names(plan, "regrade", {"policy": policy, "benchmark": benchmark})
    whose, problems = plan.policy(policy), read_problems(plan.problems(benchmark))
    graded = read_graded(plan.samples(whose, benchmark), problems, plan.design_of(whose, benchmark))
    with Judge(plan.judgements) as judge:
        file = regrade(graded, chosen, judge, plan.grades(policy, benchmark, chosen.name))
    logger(f"regrade {policy} {benchmark}")(
        f"-> {file}; for the tables write benchmarks.{benchmark}.graders: [{chosen.name}] into the study"
    )


def grade(
    file: Annotated[Path, "rows as JSON lines, Parquet or CSV, each with a response"],
    *,
    grader: Annotated[str, "which one"] = "math",
    columns: Annotated[str | None, "where problem, gold, response, finish_reason are: gold=answer,..."] = None,
    json_: Annotated[bool, "a JSON object a line, the last one the summary"] = False,
) -> None:
    """Grade the responses in a file, count verdicts and reasons, and estimate pass@k."""
    from boundary_bench.grading.graders import grader_of
    from boundary_bench.operations.grade_file import COLUMNS, NEEDED, grade_file
    from boundary_bench.records import SUFFIXES
    from boundary_bench.records.paths import named_places

    if not file.name.lower().endswith(SUFFIXES):
        raise StudyError(
            f"grade: found {file}, expected a file of rows ({', '.join(SUFFIXES)}); the samples of a study are graded "
            "by another grader with: boundary-bench regrade STUDY"
        )
    chosen = grader_of(grader, "grade --grader")
    said = named_places(columns, COLUMNS, "grade --columns", "problem=question")
    places = {name: name for name in NEEDED} | said
    with _judge() as judge:
        for line in grade_file(file, places, chosen, judge, json_):
            print(line)


def passk(
    base: Annotated[
        str, "stored samples or counts: a file, a pattern of several, as 'base/seed*.jsonl', or a folder of YAML files"
    ],
    other: Annotated[str | None, "those of another policy on the same problems, such as the base after RL"] = None,
    *,
    grader: Annotated[str | None, "grades the responses; by default the files' own scores count"] = None,
    columns: Annotated[str | None, "where a row has what: response=output.text,gold=answer,..."] = None,
    correct_from: Annotated[float | None, "scores from here on are correct; by default true or 1"] = None,
    policies: Annotated[str | None, "of files with several policies: BASE, or BASE,OTHER"] = None,
    by: Annotated[str | None, "a column that groups the problems, such as source"] = None,
    n: Annotated[int | None, "take the first N samples of every problem"] = None,
    ks: Annotated[str | None, "values of k, as 1,8,64 or 1-128 (powers of two)"] = None,
    level: Annotated[float, "confidence level"] = 0.95,
    report: Annotated[bool, "write the study that says the same, and make its tables and page"] = False,
    name: Annotated[str, "name of that study, which is written to NAME.yaml"] = "stored",
    results: Results = RESULTS,
    json_: Json = False,
) -> None:
    """pass@k of stored samples or counts, and the boundary between two policies."""
    from boundary_bench.benchmarks.stored import NAMES
    from boundary_bench.grading.graders import grader_of
    from boundary_bench.operations import own_study, stored_study
    from boundary_bench.operations.passk import passk, steps_of, text
    from boundary_bench.records.harnesses import files_of
    from boundary_bench.records.paths import named_places
    from boundary_bench.sampling.stored.policy import chosen_of, paired, read_policies
    from boundary_bench.study.analysis import Analysis

    if not 0 < level < 1:
        raise StudyError(f"passk --level: found {level:g}, expected a number between 0 and 1")
    by_us = grader_of(grader, "passk --grader") if grader else None
    places = named_places(columns, NAMES, "passk --columns", "response=output.text") | ({"group": by} if by else {})
    log, read = logger("passk"), []
    with _judge() as judge:
        for each in filter(None, (base, other)):
            read += read_policies(files_of(each), places, by_us, judge, correct_from, log)
    first, *rest = chosen_of(read, policies)
    if report and (json_ or not rest):
        what = "--json beside it, expected one of them" if json_ else "one policy, expected a base and another one"
        raise StudyError(f"passk --report: found {what}")
    found = passk([first, *(paired(first, each, log) for each in rest)], n, steps_of(ks), Analysis(level=level), log)
    if report:
        path, asked = Path(f"{name}.yaml"), stored_study.Asked([base, other or base], grader, places, correct_from)
        own_study.write("passk", path, stored_study.study_of(name, asked, [first, *rest], found, Analysis(level=level)))
        own_study.run("passk", path, results)
        print(f"\nthe page: {make_plan(str(path), results).root / 'report.html'}; the study: {path}\n")
    print(json.dumps(asdict(found), indent=2, default=float) if json_ else text(found))


def eval_(
    base: Annotated[str, "the base model: a folder, or ORGANISATION/NAME@COMMIT of the hub"],
    others: Annotated[list[str], "models after RL from that base, or LoRA adapters; checkpoint folders are one run"],
    *,
    benchmark: Annotated[str, "one or more: gsm8k or gsm8k,math-500"],
    n: Annotated[int, "samples of every problem, and the largest k"] = 64,
    limit: Annotated[int | None, "problems of each benchmark, the same ones for all models"] = None,
    data: Annotated[str | None, "a file with the problems, as in a study"] = None,
    template: Annotated[str | None, "prompt template (the benchmark's)"] = None,
    temperature: Annotated[float, "of the samples"] = 1.0,
    max_tokens: Annotated[int, "longest response"] = 512,
    engine: Annotated[Literal["torch", "vllm"], "what samples"] = "torch",
    device: Annotated[Literal["cpu", "cuda"], "where it samples"] = "cpu",
    name: Annotated[str, "name of the study, which is written to NAME.yaml"] = "eval",
    results: Results = RESULTS,
) -> None:
    """Sample models that exist, and find the boundary between a base and those after RL."""
    from boundary_bench.operations import evaluate, own_study
    from boundary_bench.operations.passk import of_run, text

    names = [each.strip() for each in benchmark.split(",")]
    asked = evaluate.Asked([base, *others], names, n, limit, data, template, temperature, max_tokens, engine, device)
    path = Path(f"{name}.yaml")
    own_study.write("eval", path, evaluate.study_of(name, asked))
    plan = make_plan(str(path), results)
    own_study.run("eval", path, results)
    for each in names:
        for run in plan.runs:
            print(f"\n{each}\n{text(of_run(plan, run, each))}")
    print(f"\nthe page: {plan.root / 'report.html'}; the study: {path}")


def explain(
    gold: Annotated[str, "the reference answer"],
    response: Annotated[str, "the response, or - to read it from standard input"],
    *,
    grader: Annotated[str, "its grader; all others are asked too"] = "math",
) -> None:
    """Say why a response gets its grade, step by step."""
    from boundary_bench.grading.explain import explain
    from boundary_bench.grading.graders import grader_of

    text = sys.stdin.read() if response == "-" else response
    with _judge(workers=1) as judge:
        print(explain(gold, text, grader_of(grader, "explain --grader"), judge))


def check(
    study: Annotated[str | None, "whose benchmarks are checked; by default every registered one"] = None,
    *,
    data: Annotated[Path | None, "folder with sets that are not on the hub or in its cache"] = None,
) -> None:
    """Grade the reference answers of benchmarks, in several notations."""
    from boundary_bench.benchmarks.battery import Candidate, registered, run
    from boundary_bench.grading.graders import SCORES

    if data and (study or not data.is_dir()):
        what = "a study beside it, which names its data" if study else f"no folder {data}"
        raise DataError(f"check --data: found {what}, expected a folder that holds sets")
    of_study = [
        Candidate(each.name, each.kind, each.entry.split, each.entry.seed, each.options, each.entry.data, each.columns)
        for each in (make_plan(study).problem_sets.values() if study else ())
        if each.kind.grader is not SCORES
    ]
    if study and not of_study:
        raise StudyError(f"check: no benchmark of {study} has a grader: the scores of stored samples are not checked")
    with _judge() as judge:
        sound = run(of_study or registered(data), judge, partial(print, flush=True))
    if not sound:
        raise DataError("check: a benchmark failed; what is wrong stands below its line of the table")


def schema() -> None:
    """Print the JSON schema of study files."""
    from boundary_bench.study.file import schema

    print(schema(), end="")


def new(what: Literal["benchmark", "model"], name: str) -> None:
    """Write a small file to start a benchmark or a model's study from."""
    from boundary_bench.operations import new

    print({"benchmark": new.benchmark, "model": new.model}[what](name))


def env(
    action: Literal["create"],
    name: Annotated[Literal["sample", "train"], "sample: vLLM; train: OpenRLHF and TRL"],
    *,
    path: Annotated[Path | None, "its folder (.venv-NAME)"] = None,
    device: Annotated[Literal["cpu", "cuda"] | None, "what it is for (by default what is here)"] = None,
) -> None:
    """Make an environment for sampling or training."""
    from boundary_bench.machine.environment import create, has_gpu

    python = create(name, path or Path(f".venv-{name}"), device, logger(f"env {action} {name}"))
    line = {"sample": "sampling: {engine: vllm", "train": "training: {backend: openrlhf"}[name]
    line += ", device: cuda" if (device or ("cuda" if has_gpu() else "cpu")) == "cuda" else ""
    found = "found by itself in this folder; elsewhere " if path is None else ""
    print(f"{found}write into the study:\n\n{line}, python: {python}}}")


@contextmanager
def _judge(workers: int = 2) -> Iterator[Judge]:
    """A judge with a temporary folder of judgements."""
    from tempfile import TemporaryDirectory

    from boundary_bench.grading.judging import Judge

    with TemporaryDirectory() as folder, Judge(Path(folder), workers) as judge:
        yield judge
