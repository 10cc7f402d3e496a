"""The command line: a command for each stage, and a few beside them.

Exit codes: 0 done; 1 ``compare A B`` found that something moved; 2 a message for the user; 85 stopped by a signal with
everything saved, run the same again; 130 ended by Ctrl-C; 141 nobody reads the output any more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from boundary_bench import __version__
from boundary_bench.commands.stages import STAGES, logger
from boundary_bench.core.errors import (
    EXIT_MOVED,
    EXIT_RUN_AGAIN,
    EXIT_USER_ERROR,
    BoundaryBenchError,
    DataError,
    EngineError,
    Interrupted,
    StudyError,
)
from boundary_bench.plan import make_plan

if TYPE_CHECKING:
    from boundary_bench.grading.judging import Judge


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    top = argparse.ArgumentParser(
        prog="boundary-bench",
        description="Does RL with verifiable rewards shrink or expand what a language model can solve? "
        "The stages below are called by the workflow (run: snakemake --cores all); each also runs alone.",
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (stage, names) in STAGES.items():
        sub = commands.add_parser(name, help=(stage.__doc__ or "").strip(), description=stage.__doc__)
        sub.add_argument("study", help="a study file, or the name of a shipped study")
        sub.add_argument("--results", type=Path, default=Path("results"), help="folder of all results (results)")
        sub.add_argument("--settings", help=argparse.SUPPRESS)
        for option in names:
            needed = name not in ("compare", "grade")  # which need them without B, and where a study is graded
            sub.add_argument(f"--{option}", required=needed, type=int if option == "step" else str)
        if name == "compare":
            _contrast_parser(sub)
        if name == "grade":
            _grade_parser(sub)
        if name == "sample":
            sub.add_argument("--shard", type=int, default=1, help="which of sampling.shards jobs this is (1)")
    _plan_parser(commands.add_parser("plan", help="What a study will take: jobs, samples, tokens, GPU-hours, disk."))
    examined = commands.add_parser("doctor", help="What is installed here, or whether a study can run here.")
    examined.add_argument("--study", help="a study file, or the name of a shipped study: what it needs, here")
    examined.add_argument("--results", type=Path, default=Path("results"), help="folder of all results (results)")
    _status_parser(commands.add_parser("status", help="What of a study is done, running, failed and still to do."))
    judged = commands.add_parser("claims", help="What a study's tables say of the claims of the literature.")
    judged.add_argument("study", help="a study file, or the name of a shipped study")
    judged.add_argument("--results", type=Path, default=Path("results"), help="folder of all results (results)")
    form = judged.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs; null is unknown")
    form.add_argument("--markdown", action="store_true", help="the verdicts as a table, for a README or a job summary")
    _export_parser(commands.add_parser("export", help="Write a study's tables as records and cards for others."))
    published = commands.add_parser("publish", help="Copy a study's tables, figures and page to where they are kept.")
    published.add_argument("study", help="a study file, or the name of a shipped study")
    published.add_argument("--results", type=Path, default=Path("results"), help="folder of all results (results)")
    published.add_argument("--to", type=Path, default=Path("results/published"), help="(results/published)")
    commands.add_parser("schema", help="Print the JSON schema of study files.")
    check = commands.add_parser("check", help="Grade the reference answers of benchmarks, in several notations.")
    check.add_argument(
        "study", nargs="?", help="a study, of which the benchmarks are checked; by default every registered one"
    )
    check.add_argument("--data", type=Path, help="folder with sets that are not on the hub or in its cache")
    explained = commands.add_parser("explain", help="Say why a response gets its grade, step by step.")
    explained.add_argument("gold", help="the reference answer")
    explained.add_argument("response", help="the response, or - to read it from standard input")
    explained.add_argument("--grader", default="math", help="its grader; all others are asked too (math)")
    new = commands.add_parser("new", help="Write a small file to start a benchmark or a model's study from.")
    new.add_argument("what", choices=["benchmark", "model"])
    new.add_argument("name")
    _environment_parser(commands.add_parser("env", help="Make an environment for sampling or training."))
    return top


def _contrast_parser(top: argparse.ArgumentParser) -> None:
    """What ``compare A B`` has beside the stage."""
    top.usage = "%(prog)s [--results RESULTS] (A B [--fail-on WHAT] [--json] | STUDY --run RUN --benchmark BENCHMARK)"
    top.add_argument("other", nargs="?", metavar="B", help="compare two results: studies, or folders of results")
    top.add_argument("--fail-on", choices=["any", "verdicts", "numbers"], help="with B: what exit code 1 is for (any)")
    top.add_argument("--json", action="store_true", help="with B: for programs, every cell; null is unknown")
    top.description = (
        "The stage: compare every checkpoint of a run with its base model, problem by problem. With B: what two "
        "studies, or the results of two commits, differ in: settings, numbers, verdicts."
    )
    top.epilog = (
        "Exit code with B: 1 if something moved, else 0. Moved are a pass@k, or its change from the base, whose paired "
        "difference is not zero at a false discovery rate of 5 % over all cells; and a verdict that is another one: "
        "of differences.csv (change), of stages.csv (course), or on a claim. 2: the two cannot be compared."
    )


def _grade_parser(top: argparse.ArgumentParser) -> None:
    """What ``grade FILE`` has beside the stage."""
    top.usage = (
        "%(prog)s (FILE [--grader GRADER] [--columns COLUMN=PLACE,...] [--json] | STUDY --policy POLICY --benchmark "
        "BENCHMARK --grader GRADER [--results RESULTS])"
    )
    top.add_argument(
        "--columns", help="of a file: where its problem, gold, response, finish_reason are: gold=answer,..."
    )
    top.add_argument("--json", action="store_true", help="of a file: a JSON object a line, the last one the summary")
    top.description = (
        "A study: grade stored samples by another grader, beside the verdicts that they have. A file of rows (JSON "
        "lines, Parquet, CSV): grade its responses, count verdicts and reasons, and estimate pass@k."
    )


def _plan_parser(top: argparse.ArgumentParser) -> None:
    top.add_argument("study", help="a study file, or the name of a shipped study")
    top.add_argument("--results", type=Path, default=Path("results"), help="folder of all results (results)")
    top.add_argument("--success-rate", type=float, default=0.5, help="mean over the problems (0.5)")
    top.add_argument("--response-tokens", type=float, help="mean length of a response (a third of max_tokens)")
    top.add_argument("--teraflops", type=float, default=989, help="dense 16-bit peak of a GPU (989, an H100 SXM)")
    top.add_argument("--train-tokens-per-second", type=float, help="of one GPU, in updates (from the peak)")
    top.add_argument("--sample-tokens-per-second", type=float, help="of one GPU, drawing (from the peak)")
    top.add_argument("--json", action="store_true", help="for programs; null is unknown")


def _status_parser(top: argparse.ArgumentParser) -> None:
    top.add_argument("study", help="a study file, or the name of a shipped study")
    top.add_argument("--results", type=Path, default=Path("results"), help="folder of all results (results)")
    top.add_argument("--json", action="store_true", help="for programs; null is unknown")


def _export_parser(top: argparse.ArgumentParser) -> None:
    top.add_argument("study", help="a study file, or the name of a shipped study")
    top.add_argument("--results", type=Path, default=Path("results"), help="folder of all results (results)")
    top.add_argument("--to", type=Path, help="folder to write, replacing an earlier export (RESULTS/STUDY/export)")
    top.add_argument(
        "--organization", default="boundary-bench", help="whose evaluation and checkpoints these are (boundary-bench)"
    )


def _environment_parser(top: argparse.ArgumentParser) -> None:
    create = top.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser("create")
    create.add_argument("name", choices=["sample", "train"], help="sample: vLLM; train: OpenRLHF and TRL")
    create.add_argument("--path", type=Path, help="its folder (.venv-NAME)")
    create.add_argument("--device", choices=["cpu", "cuda"], help="what it is for (by default what is here)")


def _plan(arguments: argparse.Namespace) -> None:
    from boundary_bench.operations import forecast, forecast_text

    names = (field.name for field in fields(forecast.Assumptions))
    assumptions = forecast.Assumptions(**{name: getattr(arguments, name) for name in names})
    found = forecast.forecast(make_plan(arguments.study, arguments.results), assumptions)
    print(json.dumps(asdict(found), indent=2) if arguments.json else forecast_text.text(found))


def _doctor(arguments: argparse.Namespace) -> None:
    if arguments.study is None:
        from boundary_bench.operations.doctor import doctor

        print(doctor())
        return
    plan = make_plan(arguments.study, arguments.results)
    from boundary_bench.operations import doctor_study

    findings = list(doctor_study.examine(plan))
    print(f"{plan.path} on {os.uname().nodename}", doctor_study.text(findings), sep="\n", flush=True)
    if missing := sum(each.state == "missing" for each in findings):
        raise EngineError(
            f"doctor: {missing} line(s) say missing, each with its remedy; remarks keep no stage from running"
        )


def _status(arguments: argparse.Namespace) -> None:
    from boundary_bench.operations import status, status_text

    found = status.status(make_plan(arguments.study, arguments.results))
    print(json.dumps(asdict(found), indent=2) if arguments.json else status_text.text(found))


def _claims(arguments: argparse.Namespace) -> None:
    from boundary_bench.claims import ledger, ledger_text

    found = ledger(make_plan(arguments.study, arguments.results).root / "tables")
    if arguments.json:
        print(json.dumps(ledger_text.record(found), indent=2))
    else:
        print(ledger_text.markdown(found) if arguments.markdown else ledger_text.text(found))


def _publish(arguments: argparse.Namespace) -> None:
    from boundary_bench.operations.publish import publish

    print(f"-> {publish(make_plan(arguments.study, arguments.results), arguments.to)}")


def _export(arguments: argparse.Namespace) -> None:
    from boundary_bench.operations.export import export

    folder = export(make_plan(arguments.study, arguments.results), arguments.organization, arguments.to)
    print(f"written for {arguments.organization} (--organization says whose): {folder}")


def _contrast(arguments: argparse.Namespace) -> int:
    """Run ``compare A B``; returns its exit code."""
    from boundary_bench.operations.diff import contrast, locate
    from boundary_bench.operations.diff.text import record, text

    found = contrast(*(locate(name, arguments.results) for name in (arguments.study, arguments.other)))
    print(json.dumps(record(found), indent=2) if arguments.json else text(found))
    if arguments.fail_on == "numbers" and not found.numbers.compared:
        raise DataError(
            "compare --fail-on numbers: found no number that could be compared, expected one at least; see "
            "'comparable' above for why, and keep measures/ of both"
        )
    return EXIT_MOVED if found.moved(arguments.fail_on or "any") else 0


def _is_file(arguments: argparse.Namespace) -> bool:
    """Whether it is ``grade FILE``, and not the stage.

    Raises:
        StudyError: it is half of one and half of the other.
    """
    from boundary_bench.records import SUFFIXES

    if arguments.command != "grade":
        return False
    of_file = Path(arguments.study).name.lower().endswith(SUFFIXES)
    given = {name for name in ("policy", "benchmark", "columns", "json") if getattr(arguments, name)}
    if given - {"columns", "json"} if of_file else given != {"policy", "benchmark"} or not arguments.grader:
        options = ", ".join(f"--{name}" for name in sorted(given)) or "no option"
        raise StudyError(
            f"grade: found {arguments.study}, with {options}; expected a file of rows ({', '.join(SUFFIXES)}), or a "
            "study with --policy, --benchmark and --grader"
        )
    return of_file


def _grade_file(arguments: argparse.Namespace) -> None:
    from boundary_bench.grading.graders import grader_of
    from boundary_bench.operations.grade_file import columns_of, grade_file

    grader, columns = grader_of(arguments.grader or "math", "grade --grader"), columns_of(arguments.columns)
    with _judge() as judge:
        for line in grade_file(Path(arguments.study), columns, grader, judge, arguments.json):
            print(line)


def _compares_two(arguments: argparse.Namespace) -> bool:
    """Whether it is ``compare A B``, and not the stage.

    Raises:
        StudyError: it is half of one and half of the other.
    """
    if arguments.command != "compare":
        return False
    given = {name for name in (*STAGES["compare"][1], "fail_on", "json") if getattr(arguments, name)}
    two, of_stage = arguments.other is not None, given & set(STAGES["compare"][1])
    if bool(of_stage) if two else given != set(STAGES["compare"][1]):
        what = f"{arguments.study} and {arguments.other}" if two else f"{arguments.study} alone"
        options = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(given)) or "no option"
        raise StudyError(
            f"compare: found {what}, with {options}; expected two results, compare A B, or the stage, compare STUDY "
            "--run RUN --benchmark BENCHMARK"
        )
    return two


def _schema(arguments: argparse.Namespace) -> None:
    from boundary_bench.study.file import schema

    print(schema(), end="")


def _check(arguments: argparse.Namespace) -> None:
    from boundary_bench.benchmarks.battery import Candidate, registered, run

    if arguments.data and (arguments.study or not arguments.data.is_dir()):
        what = "a study beside it, which names its data" if arguments.study else f"no folder {arguments.data}"
        raise DataError(f"check --data: found {what}, expected a folder that holds sets")
    sets = make_plan(arguments.study).problem_sets.values() if arguments.study else ()
    of_study = [
        Candidate(each.name, each.kind, each.entry.split, each.entry.seed, each.options, each.entry.data, each.columns)
        for each in sets
    ]
    with _judge() as judge:
        sound = run(of_study or registered(arguments.data), judge, partial(print, flush=True))
    if not sound:
        raise DataError("check: a benchmark failed; what is wrong stands below its line of the table")


def _explain(arguments: argparse.Namespace) -> None:
    from boundary_bench.grading.explain import explain
    from boundary_bench.grading.graders import grader_of

    response = sys.stdin.read() if arguments.response == "-" else arguments.response
    with _judge(workers=1) as judge:
        print(explain(arguments.gold, response, grader_of(arguments.grader, "explain --grader"), judge))


@contextmanager
def _judge(workers: int = 2) -> Iterator[Judge]:
    """A judge that keeps nothing."""
    from tempfile import TemporaryDirectory

    from boundary_bench.grading.judging import Judge

    with TemporaryDirectory() as folder, Judge(Path(folder), workers) as judge:
        yield judge


def _new(arguments: argparse.Namespace) -> None:
    from boundary_bench.operations import new

    print({"benchmark": new.benchmark, "model": new.model}[arguments.what](arguments.name))


def _environment(arguments: argparse.Namespace) -> None:
    from boundary_bench.machine.environment import create, has_gpu

    name, path = arguments.name, arguments.path or Path(f".venv-{arguments.name}")
    python = create(name, path, arguments.device, logger(f"env create {name}"))
    line = {"sample": "sampling: {engine: vllm", "train": "training: {backend: openrlhf"}[name]
    line += ", device: cuda" if (arguments.device or ("cuda" if has_gpu() else "cpu")) == "cuda" else ""
    found = "found by itself in this folder; elsewhere " if arguments.path is None else ""
    print(f"{found}write into the study:\n\n{line}, python: {python}}}")


#: The commands that are no stage of a study.
COMMANDS = {
    "plan": _plan,
    "doctor": _doctor,
    "status": _status,
    "claims": _claims,
    "export": _export,
    "publish": _publish,
    "schema": _schema,
    "check": _check,
    "explain": _explain,
    "new": _new,
    "env": _environment,
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; errors a user can cause are printed without a traceback."""
    arguments, done = parser().parse_args(argv), 0
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # the stages print their own progress
    try:
        if _compares_two(arguments):
            done = _contrast(arguments)
        elif _is_file(arguments):
            _grade_file(arguments)
        elif arguments.command in STAGES:
            STAGES[arguments.command][0](make_plan(arguments.study, arguments.results), arguments)
        else:
            COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
    except Interrupted as stop:
        print(f"boundary-bench: {stop}", file=sys.stderr)
        return EXIT_RUN_AGAIN
    except BoundaryBenchError as fault:
        print(f"boundary-bench: {fault}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever reads has seen enough, as in `boundary-bench plan STUDY | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return done


if __name__ == "__main__":
    sys.exit(main())
