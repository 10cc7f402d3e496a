"""Problems of stored rows: evaluation files that hold responses, scores or counts beside the question.

Data set: the rows of somebody's samples, ``kind: stored:GRADER``, or ``kind: stored:scores`` where the files' own
scores count. Rows of one problem repeat it; its question names it, or what the file calls it where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from boundary_bench.benchmarks.answers import Row, reference, written
from boundary_bench.benchmarks.base import Kind, NoReference, Problem, RowOptions
from boundary_bench.grading.graders import SCORES, grader_of
from boundary_bench.records import Record
from boundary_bench.records.harnesses import Harness, files_of
from boundary_bench.records.paths import find

#: What a row may say, of its problem and of a sample, and the names of it, the likeliest first.
NAMES = {
    "problem": ("problem_id", "question_id", "task_id", "doc_id", "idx", "id", "uid"),
    "question": ("question", "problem", "prompt", "query", "input", "instruction"),
    "gold": (
        "gold",
        "gold_answer",
        "gt",
        "ground_truth",
        "expected_answer",
        "reference",
        "target",
        "gts",
        "gt_answer",
        "answer",
    ),
    "group": (),
    "response": ("response", "responses", "completion", "generation", "code", "samples", "resps.0", "output", "text"),
    "score": ("is_correct", "is_corrects", "passed", "correct", "symbolic_correct", "label", "score", "reward", "acc"),
    "index": ("index", "sample", "sample_index", "generation_id", "epoch"),
    "finish": ("finish_reason", "stop_reason"),
    "policy": ("policy",),
    "step": ("step",),
    "n": ("n", "num_samples"),
    "c": ("c", "correct", "num_correct"),
}
#: Those of the problem.
OF_PROBLEMS = ("problem", "question", "gold", "group")
COLUMNS = {
    "question": "text",
    "gold": "the reference answer",
    "problem_id": "what the rows call the problem",
    "group": "a label of similar problems",
}


def first_at(row: Row, places: Iterable[str]) -> Any:
    """The first value at one of these places, None without one."""
    for place in places:
        try:
            value = row[place] if place in row else find(row, place)
        except KeyError:
            continue
        if value is not None:
            return value
    return None


def question_in(value: Any) -> Any:
    """The last message of a user, where a prompt is a list of messages."""
    if isinstance(value, list):
        said = [each.get("content") for each in value if isinstance(each, dict) and each.get("role") == "user"]
        return said[-1] if said else None
    return value


def gold_in(value: Any) -> str:
    """The reference answer, "" without one; texts repeat from sample to sample, and an object has no answer."""
    if isinstance(value, dict):
        return ""
    return _gold_of_text(value) if isinstance(value, str) else _gold_of(value)


def _gold_of(value: Any) -> str:
    try:
        return reference(("gold",), {"gold": value})[0]
    except NoReference:
        return ""


_gold_of_text = lru_cache(maxsize=1024)(_gold_of)


def parse(graded: bool, row: Row) -> Problem:
    """The problem in a row.

    Raises:
        NoReference: it has no reference answer, and its responses are to be graded.
        ValueError: nothing names the problem.
    """
    said = {name: first_at(row, dict.fromkeys((name, *NAMES[name]))) for name in ("question", "gold", "group")}
    # a column named problem may hold the question
    name = written(first_at(row, NAMES["problem"]))
    question, gold = written(question_in(said["question"])) or name, gold_in(said["gold"])
    if not question:
        raise ValueError("found neither a question nor a name of the problem")
    if graded and not gold:
        raise NoReference("no reference answer (gold)")
    return Problem(question, gold, f"\\boxed{{{gold}}}", written(said["group"]), name=name)


def rows(path: Path) -> Iterator[Record]:
    """The rows of the files at a path, or of a pattern, with plain columns."""
    for file in files_of(str(path)):
        yield from Harness().records(file)


def kind(name: str) -> Kind:
    """The kind ``stored:NAME``: of a grader of ours that grades the responses, or of the files' own scores.

    Raises:
        StudyError: there is no such grader.
    """
    grader = SCORES if name == SCORES.name else grader_of(name, f"kind: stored:{name} (or stored:{SCORES.name})")
    read = partial(parse, grader is not SCORES)
    return Kind(f"stored:{name}", 1, RowOptions(), None, read, COLUMNS, grader, reference=("gold",), read=rows)
