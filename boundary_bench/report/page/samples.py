"""The sample browser: its responses as data of the page, and in full in ``samples.zip`` beside the page.

Responses are read one after another and written to the archive; the page keeps only an excerpt of a long one.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import TextIOWrapper
from typing import Any

import numpy as np

from boundary_bench.benchmarks.base import Problem
from boundary_bench.benchmarks.problem_file import read_problems
from boundary_bench.benchmarks.templates import QUESTION
from boundary_bench.core.files import atomic
from boundary_bench.core.text import rounded
from boundary_bench.plan import Plan
from boundary_bench.report.page.cases import CaseKind, RunChange, change, choose, most_of_kind, success_interval
from boundary_bench.report.page.stored import SAMPLES_EACH, Dispute, Sample, disputes, files_here, read_shown
from boundary_bench.report.tables import Tables
from boundary_bench.statistics.posterior import Counts
from boundary_bench.study.policies import Policy, Run

ARCHIVE = "samples.zip"
#: Most seeds with shown responses for a problem and algorithm: the first for which the problem was chosen.
MOST_SEEDS = 3
#: Characters of a text that are shown; half of them from the beginning and half from the end of a longer text.
EXCERPT = 1000
#: The earliest date of a ZIP archive, so that the same samples give the same bytes.
DAY = (1980, 1, 1, 0, 0, 0)
README = """The samples of report.html's sample browser, whole; the page shows excerpts of long ones.

BENCHMARK/problems.jsonl   one problem a line: id, question, reference answer, a solution, stratum, chance of guessing
BENCHMARK/samples.jsonl    one response a line: policy, problem_id, sample (its index in the sample store; null: the
                           greedy response), response, tokens, logprob and entropy (sums over the tokens, in nats),
                           verdict, answer (what the grader extracted), reason (why the verdict); null is unknown

They are text that models wrote: do not run it, and do not put it on a web page unescaped.
"""


@dataclass(frozen=True)
class Compared:
    """The base models and the last checkpoints of a study, on one benchmark.

    Attributes:
        counts, disputed: by policy name; disputes with other graders also by problem.
        silent: policies and benchmarks whose stored samples have no responses.
    """

    plan: Plan
    benchmark: str
    problems: list[Problem]
    counts: dict[str, Counts]
    disputed: dict[str, dict[str, list[Dispute]]]
    silent: set[tuple[str, str]]


def write(plan: Plan, tables: Tables) -> dict[str, Any]:
    """Write ``samples.zip`` with the samples in full; returns the page's data for JSON.

    Responses of deleted sample files are missing on the page, which lists them and still shows the counts.

    Raises:
        DataError: a manifest or table is missing, a file is torn, or the samples differ from those that were measured.
    """
    study = plan.study
    most = most_of_kind(len(study.benchmarks) * len(plan.courses))
    data: dict[str, Any] = {
        "archive": ARCHIVE,
        "level": study.analysis.level,
        "rate": rounded(1 - study.analysis.level, 6),
        "excerpt": EXCERPT,
        "most": most,
        "each": SAMPLES_EACH,
        "kinds": list(CaseKind),
        "problems": {},
        "groups": [],
        "samples": {},
        "absent": [],
        "silent": [],
    }
    with atomic(plan.root / ARCHIVE) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with _text(archive, "README.txt") as text:
            text.write(README)
        for benchmark in study.benchmarks:
            found = _compared(plan, tables, benchmark)
            groups = [_group(found, *whose, runs, most) for whose, runs in plan.courses.items()]
            data["groups"] += groups
            data["problems"] |= _problems(found, groups)
            _read(found, groups, archive, data)
    return data


def _compared(plan: Plan, tables: Tables, benchmark: str) -> Compared:
    policies = dict.fromkeys(plan.policies_of(run)[place] for run in plan.runs for place in (0, -1))
    rows = {policy.name: tables.counts[policy.name, benchmark] for policy in policies}
    counts = {name: each.counts for name, each in rows.items()}
    disputed = {policy.name: disputes(plan, policy, benchmark) for policy in policies}
    problems = read_problems(plan.problems(benchmark))
    return Compared(plan, benchmark, problems, counts, disputed, tables.silent)


def _group(found: Compared, model: str, algorithm: str, runs: list[Run], most: int) -> dict[str, Any]:
    """The changes by an algorithm's runs: totals of every kind, and the problems to show."""
    last = [found.plan.policies_of(run)[-1] for run in runs]
    changes, rows = [_change(found, policy) for policy in last], [_count_rows(found, policy.name) for policy in last]
    places, cases, totals = choose(changes, most), [], {}
    for place in places:
        kinds = [[kind for kind in CaseKind if each.held[kind][place]] for each in changes]
        shown = [i for i, held in enumerate(kinds) if held][:MOST_SEEDS]
        seeds = [
            {
                "kinds": kinds[i],
                "counts": rows[i][place],
                "p": rounded(each.p_P[place], 6),
                "q": rounded(each.q_P[place], 6),
                "shown": i in shown,
            }
            for i, each in enumerate(changes)
        ]
        cases.append({"problem": found.problems[place].id, "seeds": seeds})
    for kind in CaseKind:
        held_P = np.any([each.held[kind] for each in changes], axis=0)
        totals[kind] = [int(held_P[places].sum()), int(held_P.sum())]
    return {
        "model": model,
        "benchmark": found.benchmark,
        "algorithm": algorithm,
        "step": last[0].step,
        "seeds": [run.seed for run in runs],
        "policies": [policy.name for policy in last],
        "totals": totals,
        "cases": cases,
    }


def _change(found: Compared, policy: Policy) -> RunChange:
    names = (policy.model, policy.name)
    disputed_P = np.array(
        [
            sum(case.samples for name in names for case in found.disputed[name].get(problem.id, ()))
            for problem in found.problems
        ]
    )
    counts = [found.counts[name] for name in names]
    return change(*counts, disputed_P, 1 - found.plan.study.analysis.level)


def _count_rows(found: Compared, policy: str) -> list[list[Any]]:
    """Samples, correct samples, success rate and the ends of its interval, for every problem."""
    counts = found.counts[policy]
    rate_P = counts.pass_at([1])[:, 0]
    ends = success_interval(counts, found.plan.study.analysis.level)
    rates = [[rounded(value, 6) for value in each_P] for each_P in (rate_P, *ends)]
    return [list(row) for row in zip(counts.samples_P.tolist(), counts.correct_P.tolist(), *rates, strict=True)]


def excerpt(text: str) -> str | list[Any]:
    """A text; if it is long, its beginning, length and end."""
    return text if len(text) <= EXCERPT else [text[: EXCERPT // 2], len(text), text[-EXCERPT // 2 :]]


def _problems(found: Compared, groups: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The problems to show with the base's counts, by model and benchmark."""
    made: dict[str, Any] = {}
    for model in dict.fromkeys(group["model"] for group in groups):
        shown = {case["problem"] for group in groups if group["model"] == model for case in group["cases"]}
        template = found.plan.template(model, found.benchmark)
        of = {
            problem.id: {
                "prompt": excerpt(template.text.replace(QUESTION, problem.prompt)),
                "reference": excerpt(problem.reference),
                "stratum": excerpt(problem.stratum),
                "chance": rounded(problem.chance, 6),
                "base": row,
            }
            for problem, row in zip(found.problems, _count_rows(found, model), strict=True)
            if problem.id in shown
        }
        made[f"{model}/{found.benchmark}"] = {"template": template.name, "chat": template.chat, "of": of}
    return made


def _read(found: Compared, groups: Sequence[dict[str, Any]], archive: zipfile.ZipFile, data: dict[str, Any]) -> None:
    """Read the samples to show, policy by policy, into the archive and as excerpts into the data of the page."""
    wanted: dict[str, set[str]] = {}
    for group in groups:
        for case in group["cases"]:
            for name, seed in zip(group["policies"], case["seeds"], strict=True):
                for policy in (group["model"], name) if seed["shown"] else ():
                    wanted.setdefault(policy, set()).add(case["problem"])
    shown = set().union(*wanted.values())
    with _text(archive, f"{found.benchmark}/problems.jsonl") as text:
        for problem in found.problems:
            if problem.id in shown:
                _write_line(text, {"id": problem.id, **asdict(problem)})
    with _text(archive, f"{found.benchmark}/samples.jsonl") as text:
        for name, chosen in wanted.items():
            policy = found.plan.policy(name)
            if (policy.name, found.benchmark) in found.silent:
                data["silent"].append(f"{name}/{found.benchmark}")
                continue
            files, gone = files_here(found.plan, policy, found.benchmark)
            if gone:
                data["absent"].append((name, found.benchmark, gone, len(files)))
                continue
            counts, cases = found.counts[name], found.disputed[name]
            each_P = zip(found.problems, counts.samples_P.tolist(), counts.correct_P.tolist(), strict=True)
            pairs = {problem.id: (n, correct) for problem, n, correct in each_P if problem.id in chosen}
            asked = {id_: [case.sample for case in cases.get(id_, ())][:SAMPLES_EACH] for id_ in pairs}
            kept = data["samples"][f"{name}/{found.benchmark}"] = {id_: [] for id_ in pairs}
            for sample in read_shown(found.plan.design_of(policy, found.benchmark), files, pairs, asked):
                _write_line(text, {"policy": name, **asdict(sample)})
                kept[sample.problem_id].append(_row(sample, cases.get(sample.problem_id, ())))


def _row(sample: Sample, cases: Sequence[Dispute]) -> list[Any]:
    return [
        sample.sample,
        sample.verdict,
        sample.tokens,
        rounded(sample.logprob, 6),
        rounded(sample.entropy, 6),
        sample.answer and excerpt(sample.answer),
        excerpt(sample.response),
        [[case.grader, case.verdict, case.samples] for case in cases if case.sample == sample.sample],
        sample.reason,
    ]


def _text(archive: zipfile.ZipFile, name: str) -> TextIOWrapper:
    """A new text file in the archive, open for writing."""
    entry = zipfile.ZipInfo(name, DAY)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return TextIOWrapper(archive.open(entry, "w", force_zip64=True), encoding="utf-8", newline="\n")


def _write_line(text: TextIOWrapper, row: dict[str, Any]) -> None:
    """Write a row as a line of ASCII, so that no character can steer a terminal."""
    cells = {name: rounded(value, 6) if isinstance(value, float) else value for name, value in row.items()}
    text.write(json.dumps(cells, allow_nan=False) + "\n")
