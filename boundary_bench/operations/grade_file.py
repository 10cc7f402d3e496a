"""``boundary-bench grade FILE``: grades of anybody's responses, a line each, and pass@k over their problems.

Axes: P problems, K values of k.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from boundary_bench.analysis.rows import mean_interval
from boundary_bench.benchmarks.answers import reference, written
from boundary_bench.benchmarks.base import NoReference
from boundary_bench.benchmarks.columns import ANSWERS, QUESTIONS
from boundary_bench.core.errors import DataError
from boundary_bench.core.text import plain
from boundary_bench.grading import VERDICTS, Grade, Grader, JudgeAll, Verdict, counted, grade_many
from boundary_bench.records import Record, read
from boundary_bench.records.paths import find, places
from boundary_bench.statistics.intervals import resample
from boundary_bench.statistics.passk import pass_at_k

COLUMNS = ("problem", "gold", "response", "finish_reason")
NEEDED = ("gold", "response")
#: Other names of the columns, the likeliest first.
SYNONYMS = {
    "problem": QUESTIONS,
    "gold": ANSWERS,
    "response": ("response", "completion", "generation", "output", "prediction", "model_output", "code", "text"),
}
TOGETHER = 256  # rows graded at a time
LEVEL, RESAMPLES = 0.95, 2000
SHOWN = 5  # most faults in a message
NAMED = 30  # most places of a row in a message
LONGEST_ANSWER = 40  # characters of an answer in a line for a reader


@dataclass(frozen=True)
class Response:
    """A response of a file, with its problem, its reference answer, and whether it ended by itself."""

    row: int
    problem: str
    gold: str
    text: str
    ended: bool


@dataclass
class Tally:
    """Counts of grades: reasons by verdict; samples and correct ones by problem and reference."""

    grader: str
    reasons: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in VERDICTS})
    samples: Counter[tuple[str, str]] = field(default_factory=Counter)
    correct: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, response: Response, grade: Grade) -> None:
        """Count a grade; a timeout says nothing about the response and is no sample."""
        key = response.problem, response.gold
        self.reasons[grade.verdict][counted(grade.reason)] += 1
        self.samples[key] += grade.verdict is not Verdict.TIMEOUT
        self.correct[key] += grade.verdict is Verdict.CORRECT


def responses(path: Path, columns: dict[str, str]) -> Iterator[list[Response]]:
    """The responses of a file, ``TOGETHER`` rows at a time, until a row cannot be graded.

    Raises:
        DataError: the file cannot be read, or rows cannot be graded; the message names the first of them.
    """
    found: list[Response] = []
    faults: list[str] = []
    rows, first = 0, None
    for record in read(path):
        rows, first = rows + 1, first or record.row
        try:
            found += _of_row(record, columns)
        except KeyError as fault:
            faults.append(f"  row {record}: no column {fault}")
        except ValueError as fault:
            faults.append(f"  row {record}: {fault}")
        if not faults and rows % TOGETHER == 0:
            yield found
            found = []
    if faults or not rows:
        head = f"{path}: {len(faults):,} of {rows:,} rows cannot be graded" if rows else f"{path} holds no row"
        more = [f"  and {len(faults) - SHOWN:,} more"] if len(faults) > SHOWN else []
        raise DataError("\n".join([head, *faults[:SHOWN], *more, *_remedy(columns, first or {})]))
    yield found


def _remedy(columns: dict[str, str], row: dict[str, Any]) -> list[str]:
    """Lines with the expected and the found columns, and the option to write if a column has another name."""
    there = places(row)
    wanted = " and ".join(columns[name] for name in NEEDED)
    likely = {
        name: next((place for word in words for place in there if place.lower() == word), "...")
        for name, words in SYNONYMS.items()
        if not _stands(row, columns.get(name, name))
    }
    likely = {name: place for name, place in likely.items() if place != "..." or name in NEEDED}
    right = {name: place for name, place in columns.items() if name != place and name not in likely}
    line = ",".join(f"{name}={place}" for name, place in (right | likely).items())
    lines = [f"expected rows with {wanted}; the columns are: {', '.join(list(there)[:NAMED]) or 'none'}"]
    return [*lines, f"write: --columns {line}"] if likely else lines


def _of_row(record: Record, columns: dict[str, str]) -> list[Response]:
    if record.row is None:
        raise ValueError(record.fault)
    row = {name: find(record.row, place) for name, place in columns.items()}
    for name in COLUMNS:
        row.setdefault(name, find(record.row, name) if _stands(record.row, name) else None)
    try:
        gold = reference(("gold",), row)[0]
    except NoReference as fault:
        raise ValueError(f"{fault}, expected a reference answer") from None
    texts, ends = (row[name] if isinstance(row[name], list) else [row[name]] for name in ("response", "finish_reason"))
    if len(ends) == 1:
        ends = ends * len(texts)
    if not texts or not all(isinstance(text, str) for text in texts) or len(ends) != len(texts):
        raise ValueError(
            f"response: found {row['response']!r:.80}, expected a text or a list of some, as long as finish_reason"
        )
    problem = written(row["problem"]) or f"row {record.number}"
    return [
        Response(record.number, problem, gold, text, end != "length") for text, end in zip(texts, ends, strict=True)
    ]


def _stands(row: dict[str, Any], place: str) -> bool:
    try:
        find(row, place)
    except KeyError:
        return False
    return True


def grade_file(path: Path, columns: dict[str, str], grader: Grader, judge: JudgeAll, as_json: bool) -> Iterator[str]:
    """The lines to print: one per response, then the summary.

    Raises:
        DataError: as ``responses``, after the lines of the batches before.
        GradingError: a process of the grader does not start.
    """
    tally = Tally(grader.label)
    for some in responses(path, columns):
        golds, texts, ended = ([getattr(each, name) for each in some] for name in ("gold", "text", "ended"))
        for response, grade in zip(some, grade_many(grader, golds, texts, ended, judge), strict=True):
            tally.add(response, grade)
            yield _json_line(response, grade) if as_json else _line(response, grade)
    found = summary(tally)
    yield json.dumps(found, allow_nan=False) if as_json else "\n" + "\n".join(_text(found))


def summary(tally: Tally) -> dict[str, Any]:
    """The summary of graded responses: counts by verdict and reason, and pass@k with its intervals.

    pass@k is the estimator of Chen et al. 2021 with each problem's own number of samples, for k up to the fewest: its
    mean over the problems, with the interval over problems (docs/statistics.md).
    """
    keys = [key for key, n in tally.samples.items() if n]
    n_P, correct_P = (np.array([counts[key] for key in keys]) for counts in (tally.samples, tally.correct))
    ks = [2**i for i in range(int(n_P.min()).bit_length())] if keys else []
    pass_PK = pass_at_k(n_P, correct_P, ks) if keys else np.zeros((0, 0))
    drawn = resample(max(1, len(keys)), RESAMPLES, 0)
    estimates = [mean_interval(value_P, drawn, LEVEL) for value_P in pass_PK.T]
    names = ("estimate", "low", "high")
    return {
        "grader": tally.grader,
        "problems": len(tally.samples),
        "fewest": int(n_P.min()) if keys else 0,
        "most": int(n_P.max()) if keys else 0,
        "verdicts": {name: dict(reasons.most_common()) for name, reasons in tally.reasons.items()},
        "level": LEVEL,
        "pass_at_k": [
            {"k": k, **{name: round(value, 6) for name, value in zip(names, found, strict=True)}}
            for k, found in zip(ks, estimates, strict=True)
        ],
    }


def _json_line(response: Response, grade: Grade) -> str:
    return json.dumps({"row": response.row, "problem": response.problem, "gold": response.gold, **asdict(grade)})


def _line(response: Response, grade: Grade) -> str:
    """A grade as one line without control characters."""
    answer = "" if grade.answer is None else f"{grade.answer!r:.{LONGEST_ANSWER}}"
    reason = plain(grade.reason)
    return f"{response.row:>6}  {grade.verdict:<10}  {answer:<{LONGEST_ANSWER}}  {reason}"


def _text(found: dict[str, Any]) -> list[str]:
    """The lines of a summary, for a reader."""
    total = sum(sum(reasons.values()) for reasons in found["verdicts"].values())
    lines = [f"{total:,} responses to {found['problems']:,} problems, by {found['grader']}", ""]
    for verdict, reasons in found["verdicts"].items():
        why = "; ".join(f"{count} {reason}" for reason, count in reasons.items())
        lines.append(f"{verdict:<11}{sum(reasons.values()):>8}  {why}".rstrip())
    if not found["pass_at_k"]:
        return lines
    n = f"{found['fewest']}" if found["fewest"] == found["most"] else f"{found['fewest']} to {found['most']}"
    lines += ["", f"pass@k, mean over the problems (n = {n}, timeouts left out)"]
    lines += [f"{'k':>6}{'estimate':>10}   {found['level']:.0%} interval, over problems like these"]
    for row in found["pass_at_k"]:
        lines.append(f"{row['k']:>6}{row['estimate']:>10.3f}   {row['low']:.3f} to {row['high']:.3f}")
    if found["fewest"] != found["most"]:
        lines += ["", "The numbers of responses differ: if sampling stopped at successes, pass@k is biased."]
    return lines
