"""The sample browser: which responses it shows, as data of the page, and whole in ``samples.zip`` beside it.

Responses are read one after another and written to the archive; of a long one only an excerpt is kept for the page.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
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
from boundary_bench.statistics.sequential import sequential_pass_at_k
from boundary_bench.study.policies import Policy, Run

ARCHIVE = "samples.zip"
#: Seeds of a problem and algorithm whose responses are shown: of those that it was chosen for, the first.
MOST_SEEDS = 3
#: Characters of a text that are shown, from its beginning and its end: the first number with which the page's data
#: takes at most so many bytes.
EXCERPTS = (2000, 1000, 500, 250, 120, 60)
MOST_BYTES = 2_000_000
#: The earliest date that an archive can name: the same samples give the same bytes.
DAY = (1980, 1, 1, 0, 0, 0)
README = """The samples of report.html's sample browser, whole; the page shows excerpts of long ones.

BENCHMARK/problems.jsonl   one problem a line: id, question, reference answer, a solution, stratum, chance of guessing
BENCHMARK/samples.jsonl    one response a line: policy, problem_id, sample (its index in the sample store; null: the
                           greedy response), response, tokens, logprob and entropy (sums over the tokens, in nats),
                           verdict, answer (what the grader extracted), reason (why the verdict); null is unknown

They are text that models wrote: do not run it, and do not put it on a web page unescaped.
"""


@dataclass(frozen=True)
class Excerpt:
    """The ends of a text."""

    head: str
    tail: str
    length: int

    @classmethod
    def of(cls, text: str) -> Excerpt:
        """As much of a text as is shown at most."""
        if len(text) <= EXCERPTS[0]:
            return cls(text, "", len(text))
        return cls(text[: EXCERPTS[0] // 2], text[-EXCERPTS[0] // 2 :], len(text))

    def within(self, limit: int) -> str | list[Any]:
        """The text; or where it is longer than the limit [its beginning, its length, its end]."""
        if self.length <= limit:
            return self.head
        return [self.head[: limit // 2], self.length, (self.tail or self.head)[-(limit // 2) :]]


@dataclass(frozen=True)
class Kept:
    """What the page may show of a sample, whose own texts are empty."""

    sample: Sample
    response: Excerpt
    answer: Excerpt | None


@dataclass(frozen=True)
class Shown:
    """A problem whose responses are shown, on one benchmark, for one algorithm: its place in the problem file.

    Attributes:
        seeds: indices of the runs whose responses are shown.
    """

    place: int
    kinds: list[list[CaseKind]]
    seeds: list[int]


@dataclass(frozen=True)
class Group:
    """The runs of an algorithm on a benchmark: what they changed, and which problems are shown of that."""

    benchmark: str
    runs: list[Run]
    changes: list[RunChange]
    shown: list[Shown]


@dataclass
class Collected:
    """What the page shows, before long texts are shortened to one length.

    Attributes:
        samples: by policy, benchmark and problem.
        absent: policies whose sample files are no longer there: name, benchmark, files missing, files declared.
    """

    problems: dict[str, list[Problem]]
    disputed: dict[tuple[Policy, str], dict[str, list[Dispute]]]
    groups: list[Group] = field(default_factory=list)
    samples: dict[tuple[Policy, str], dict[str, list[Kept]]] = field(default_factory=dict)
    absent: list[tuple[str, str, int, int]] = field(default_factory=list)


def write(plan: Plan, tables: Tables) -> dict[str, Any]:
    """Write ``samples.zip`` with the whole samples; returns the data of the page, as JSON knows it.

    Where sample files were deleted, their responses are missing on the page, which names them: the counts are shown.

    Raises:
        DataError: a file is torn, or the samples are others than those that were measured.
    """
    compared = [(policy, name) for policy in _compared(plan) for name in plan.study.benchmarks]
    found = Collected(
        {name: read_problems(plan.problems(name)) for name in plan.study.benchmarks},
        {(policy, name): disputes(plan, policy, name) for policy, name in compared},
    )
    found.groups += _groups(plan, tables, found)
    with atomic(plan.root / ARCHIVE) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with _text(archive, "README.txt") as text:
            text.write(README)
        for benchmark in plan.study.benchmarks:
            _read_benchmark(plan, tables, benchmark, found, archive)
    return fitted(lambda limit: _page_data(plan, tables, found, limit))


def fitted(data: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """Data with the longest excerpts that let it take at most ``MOST_BYTES``; with the shortest where none do."""
    for limit in EXCERPTS:
        made = data(limit)
        if len(json.dumps(made, ensure_ascii=False, allow_nan=False).encode()) <= MOST_BYTES:
            break
    return made


def _compared(plan: Plan) -> list[Policy]:
    """The base models, and the last checkpoint of every run."""
    return list(dict.fromkeys(plan.policies_of(run)[place] for run in plan.runs for place in (0, -1)))


def _counts(tables: Tables, policy: Policy, benchmark: str) -> Counts:
    rows = tables.counts[policy.name, benchmark]
    return Counts(rows["n"], rows["correct"])


def _groups(plan: Plan, tables: Tables, found: Collected) -> list[Group]:
    """Every algorithm of every model on every benchmark, with what is shown of it."""
    study, made = plan.study, []
    names = [(m, b, a) for m in study.models for b in study.benchmarks for a in study.algorithms]
    for model, benchmark, algorithm in names:
        runs = [run for run in plan.runs if (run.model, run.algorithm) == (model, algorithm)]
        pairs = [(plan.policies_of(run)[0], plan.policies_of(run)[-1]) for run in runs]
        changes = []
        for pair in pairs:
            counts = [_counts(tables, policy, benchmark) for policy in pair]
            times = [found.disputed[policy, benchmark] for policy in pair]
            disputed_P = np.array(
                [sum(case.samples for each in times for case in each.get(p.id, ())) for p in found.problems[benchmark]]
            )
            changes.append(change(plan.design, *counts, disputed_P, 1 - study.analysis.level))
        places = choose(changes, most_of_kind(len(names)))
        made.append(Group(benchmark, runs, changes, [_shown(place, changes) for place in places]))
    return made


def _shown(place: int, changes: Sequence[RunChange]) -> Shown:
    kinds = [[kind for kind in CaseKind if each.held[kind][place]] for each in changes]
    return Shown(place, kinds, [i for i, held in enumerate(kinds) if held][:MOST_SEEDS])


def _read_benchmark(plan: Plan, tables: Tables, benchmark: str, found: Collected, archive: zipfile.ZipFile) -> None:
    """Read the samples to show on a benchmark, policy by policy, into the archive and as excerpts."""
    problems, places = found.problems[benchmark], {}
    for group in (group for group in found.groups if group.benchmark == benchmark):
        for shown in group.shown:
            for seed in shown.seeds:
                policies = plan.policies_of(group.runs[seed])
                for policy in (policies[0], policies[-1]):
                    places.setdefault(policy, set()).add(shown.place)
    with _text(archive, f"{benchmark}/problems.jsonl") as text:
        for place in sorted(set().union(*places.values())):
            _write_line(text, {"id": problems[place].id, **asdict(problems[place])})
    with _text(archive, f"{benchmark}/samples.jsonl") as text:
        for policy, chosen in places.items():
            files, gone = files_here(plan, policy, benchmark)
            if gone:
                found.absent.append((policy.name, benchmark, gone, len(files)))
                continue
            counts = _counts(tables, policy, benchmark)
            pairs = {problems[i].id: (int(counts.samples_P[i]), int(counts.correct_P[i])) for i in sorted(chosen)}
            cases = found.disputed[policy, benchmark]
            asked = {name: [case.sample for case in cases.get(name, ())][:SAMPLES_EACH] for name in pairs}
            kept = found.samples.setdefault((policy, benchmark), {name: [] for name in pairs})
            for sample in read_shown(plan.design, files, pairs, asked):
                _write_line(text, {"policy": policy.name, **asdict(sample)})
                answer = None if sample.answer is None else Excerpt.of(sample.answer)
                bare = replace(sample, response="", answer=None)
                kept[sample.problem_id].append(Kept(bare, Excerpt.of(sample.response), answer))


def _text(archive: zipfile.ZipFile, name: str) -> TextIOWrapper:
    """A text file of the archive, to write to."""
    entry = zipfile.ZipInfo(name, DAY)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return TextIOWrapper(archive.open(entry, "w", force_zip64=True), encoding="utf-8", newline="\n")


def _write_line(text: TextIOWrapper, row: dict[str, Any]) -> None:
    """A row as a line of ASCII: no character in it can steer a terminal."""
    cells = {name: _number(value) if isinstance(value, float) else value for name, value in row.items()}
    text.write(json.dumps(cells, allow_nan=False) + "\n")


def _number(value: float | None) -> float | None:
    return rounded(value, 6)


def _page_data(plan: Plan, tables: Tables, found: Collected, limit: int) -> dict[str, Any]:
    """What the page embeds. A text is a string, or a list where it is an excerpt; see ``Excerpt.within``."""
    analysis = plan.study.analysis
    return {
        "archive": ARCHIVE,
        "level": analysis.level,
        "rate": _number(1 - analysis.level),
        "excerpt": limit,
        "most": most_of_kind(len(found.groups)),
        "each": SAMPLES_EACH,
        "kinds": [str(kind) for kind in CaseKind],
        "problems": _problem_data(plan, tables, found, limit),
        "groups": [_group_data(plan, tables, group, found) for group in found.groups],
        "samples": {
            f"{policy.name}/{benchmark}": {
                name: [_sample_data(kept, found.disputed[policy, benchmark].get(name, ()), limit) for kept in each]
                for name, each in of_problem.items()
            }
            for (policy, benchmark), of_problem in found.samples.items()
        },
        "absent": found.absent,
    }


def _problem_data(plan: Plan, tables: Tables, found: Collected, limit: int) -> dict[str, Any]:
    """The problems that are shown and the base's counts, by model and benchmark."""
    made: dict[str, Any] = {}
    for group in found.groups:
        base, problems = plan.policies_of(group.runs[0])[0], found.problems[group.benchmark]
        template = plan.template(base.model, group.benchmark)
        rows = _count_rows(plan, _counts(tables, base, group.benchmark))
        place = made.setdefault(
            f"{base.model}/{group.benchmark}", {"template": template.name, "chat": template.chat, "of": {}}
        )
        for shown in group.shown:
            problem = problems[shown.place]
            texts = {
                "prompt": template.text.replace(QUESTION, problem.prompt),
                "reference": problem.reference,
                "stratum": problem.stratum,
            }
            place["of"][problem.id] = {
                **{name: Excerpt.of(text).within(limit) for name, text in texts.items()},
                "chance": _number(problem.chance),
                "base": rows[shown.place],
            }
    return made


def _group_data(plan: Plan, tables: Tables, group: Group, found: Collected) -> dict[str, Any]:
    """What the runs of an algorithm changed on a benchmark: every kind's totals, and the problems shown."""
    last = [plan.policies_of(run)[-1] for run in group.runs]
    rows = [_count_rows(plan, _counts(tables, policy, group.benchmark)) for policy in last]
    totals = {}
    for kind in CaseKind:
        held_P = np.any([each.held[kind] for each in group.changes], axis=0)
        totals[str(kind)] = [sum(bool(held_P[shown.place]) for shown in group.shown), int(held_P.sum())]
    cases = [
        {
            "problem": found.problems[group.benchmark][shown.place].id,
            "seeds": [
                {
                    "kinds": [str(kind) for kind in shown.kinds[i]],
                    "counts": rows[i][shown.place],
                    "p": _number(each.p_P[shown.place]),
                    "q": _number(each.q_P[shown.place]),
                    "shown": i in shown.seeds,
                }
                for i, each in enumerate(group.changes)
            ],
        }
        for shown in group.shown
    ]
    return {
        "model": group.runs[0].model,
        "benchmark": group.benchmark,
        "algorithm": group.runs[0].algorithm,
        "step": last[0].step,
        "seeds": [run.seed for run in group.runs],
        "policies": [policy.name for policy in last],
        "totals": totals,
        "cases": cases,
    }


def _count_rows(plan: Plan, counts: Counts) -> list[list[Any]]:
    """Samples, correct ones, success rate and the ends of its interval, of every problem."""
    rate_P = sequential_pass_at_k(plan.design, counts.samples_P, counts.correct_P, [1])[:, 0]
    low_P, high_P = success_interval(counts, plan.study.analysis.level)
    whole = [counts.samples_P.tolist(), counts.correct_P.tolist()]
    return [
        list(row) for row in zip(*whole, *([_number(x) for x in each] for each in (rate_P, low_P, high_P)), strict=True)
    ]


def _sample_data(kept: Kept, cases: Sequence[Dispute], limit: int) -> list[Any]:
    sample = kept.sample
    return [
        sample.sample,
        sample.verdict,
        sample.tokens,
        _number(sample.logprob),
        _number(sample.entropy),
        kept.answer and kept.answer.within(limit),
        kept.response.within(limit),
        [[case.grader, case.verdict, case.samples] for case in cases if case.sample == sample.sample],
        sample.reason,
    ]
