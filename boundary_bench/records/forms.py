"""The rows that evaluation harnesses nest, as rows of plain columns: a function and a test for each.

Written by lm-eval (``--log_samples``), lighteval (details), inspect_ai, evalscope, the batch interface of OpenAI and
vLLM, verl (validation) and Every Eval Ever. What trainers write of their rollouts is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from boundary_bench.core.errors import DataError
from boundary_bench.records.jsons import structured

Row = dict[str, Any]
#: What inspect_ai's scorers write: correct, incorrect, partly correct, no answer.
LETTERS = {"C": True, "I": False, "P": False, "N": False}
#: The index of a sample at the end of a ``custom_id``.
NUMBERED = re.compile(r"(.+)#([0-9]{1,9})", re.S)
ERROR = "ended in an error and are missing"
ROLLOUTS = "of the prompts that a step trained on, expected samples of a benchmark, whose problems stay the same"


@dataclass
class Notes:
    """What the rows of a file have said so far.

    Attributes:
        said: rows by what is to be said of them, for the user.
        kept: the filter of lm-eval whose rows are read.
        results: the result of Every Eval Ever whose rows are read, by sample and question.
    """

    said: Counter[str] = field(default_factory=Counter)
    kept: Any = None
    results: dict[tuple[Any, Any], tuple[Any, Any]] = field(default_factory=dict)


def _lm_eval(row: Row, notes: Notes) -> Row | None:
    """A row of lm-eval, which writes the same responses once for each of its filters."""
    notes.kept = notes.kept or row["filter"]
    if row["filter"] == notes.kept:
        return row
    notes.said[f"repeat responses for other filters than {notes.kept!r:.40}"] += 1
    return None


def _lighteval(row: Row, notes: Notes) -> Row:
    """A row of lighteval's details. Its metrics are of all responses together, so they are no scores."""
    doc = row["doc"]
    gold, choices = doc.get("gold_index"), doc.get("choices") or []
    gold = gold[0] if isinstance(gold, list) and gold else gold
    known = isinstance(gold, int) and 0 <= gold < len(choices)
    return {
        "problem_id": doc.get("id"),
        "question": doc.get("query"),
        "gold": choices[gold] if known and isinstance(gold, int) else None,
        "response": row["model_response"].get("text"),
    }


def _inspect(sample: Row, notes: Notes) -> Row | None:
    """A sample of an inspect_ai log; its score where it has a single scorer."""
    if sample.get("error"):
        notes.said[ERROR] += 1
        return None
    choices = sample["output"].get("choices") or [{}]
    scores = sample.get("scores") or {}
    value = next(iter(scores.values())).get("value") if len(scores) == 1 else None
    return {
        "problem_id": sample.get("id"),
        "question": _text(sample.get("input")),
        "gold": _single(sample.get("target")),
        "epoch": sample["epoch"],
        "response": sample["output"].get("completion") or _text(choices[0].get("message", {}).get("content")),
        "finish_reason": choices[0].get("stop_reason"),
        "score": LETTERS.get(value, value) if isinstance(value, str) else value,
    }


def _batch(row: Row, notes: Notes) -> Row | None:
    """A line of a batch's output. It has no gold: columns that were joined to it stay."""
    choices = ((row["response"] or {}).get("body") or {}).get("choices")
    if row.get("error") or not choices:
        notes.said[ERROR] += 1
        return None
    numbered = NUMBERED.fullmatch(row["custom_id"])
    if not numbered and len(choices) == 1:
        notes.said["have a custom_id without #INDEX at its end: each counts as a problem of its own"] += 1
    joined = _without(row, "id", "response", "error")
    problem, request = (numbered[1], int(numbered[2])) if numbered else (row["custom_id"], 0)
    return {**joined, "problem_id": problem, **_chosen(choices, request, "finish_reason")}


def _chosen(choices: list[Row], request: int, ended: str) -> Row:
    """The columns of the choices of a request, the samples from ``request`` times their number on."""
    texts = [each["message"].get("content") if "message" in each else each["text"] for each in choices]
    return {
        "index": [request * len(choices) + each.get("index", place) for place, each in enumerate(choices)],
        "response": [_text(text) or "" for text in texts],
        "finish_reason": [each.get(ended) for each in choices],
    }


def _evalscope_prediction(row: Row, notes: Notes) -> Row | None:
    """A line of evalscope's predictions; as ``_batch``. Its index is of the sample: the question names the problem."""
    output = row["model_output"] or {}
    if output.get("error") or not output.get("choices"):
        notes.said[ERROR] += 1
        return None
    joined = _without(row, "model", "model_output", "messages", "metadata")
    return {**joined, "question": _text(row["messages"]), **_chosen(output["choices"], row["index"], "stop_reason")}


def _evalscope_review(row: Row, notes: Notes) -> Row:
    """A line of evalscope's reviews. The samples of a problem are a group; the index is of the sample."""
    sample = row["sample_score"]
    score, values = sample["score"], sample["score"]["value"]
    metric = score.get("main_score_name") or ("acc" if "acc" in values else _single(list(values)))
    group, attempt = sample.get("group_id"), sample.get("generation_index")
    return {
        "problem_id": row["index"] if group is None else group,
        "question": _text(row.get("input") or row.get("messages")),
        "gold": _single(row.get("target")),
        "index": row["index"] if attempt is None else attempt,
        "response": score.get("prediction"),
        "score": values.get(metric),
    }


def _verl(row: Row, notes: Notes) -> Row:
    """A line of a verl validation. ``acc`` says whether it is correct where the reward says more than that."""
    if "request_id" in row:
        raise DataError(f"rollouts of verl, {ROLLOUTS}; give a file of trainer.validation_data_dir")
    if "reward" not in row:
        notes.said["have no reward, which verl's validations have; rollouts of training are no samples of pass@k"] += 1
    found = structured(row.get("gts"))
    correct = {"is_correct": row["acc"]} if row.get("acc") is not None else {}
    return {**correct, **row, "gts": found if isinstance(found, dict) else row.get("gts")}


def _trl(row: Row, notes: Notes) -> Row:
    raise DataError(f"completions of TRL, {ROLLOUTS}; sample the checkpoints on a benchmark")


def _every_eval_ever(row: Row, notes: Notes) -> Row | None:
    """A row of Every Eval Ever, which has one for each result that a sample is part of: the first result counts."""
    asked, told, more = row["input"], row.get("output") or {}, row.get("metadata") or {}
    if row.get("error"):
        notes.said[ERROR] += 1
        return None
    result = row.get("evaluation_name"), row.get("evaluation_result_id")
    if notes.results.setdefault((row["sample_id"], asked["raw"]), result) != result:
        notes.said["repeat samples for other results"] += 1
        return None
    texts = told.get("raw") or []
    return {
        "problem_id": row["sample_id"],
        "question": asked["raw"],
        "gold": _single(asked.get("reference")),
        "response": texts if len(texts) > 1 else _single(texts),
        "score": None if len(texts) > 1 else row["evaluation"]["is_correct"],  # it is of all responses together
        "index": more.get("epoch"),
        "finish_reason": more.get("stop_reason"),
        "policy": row["model_id"],
    }


def _aggregate(row: Row, notes: Notes) -> Row:
    raise DataError(
        "a record of Every Eval Ever with results alone, expected samples; give its ..._samples.jsonl, where it has one"
    )


def _text(content: Any) -> Any:
    """A message as text: of a list of parts the texts, of a list of messages the user's last."""
    if not isinstance(content, list):
        return content
    if said := [each.get("content") for each in content if isinstance(each, dict) and each.get("role") == "user"]:
        return _text(said[-1])
    return "".join(each["text"] for each in content if isinstance(each, dict) and isinstance(each.get("text"), str))


def _single(values: Any) -> Any:
    """The value of a list of one; None for one of several or none, and any other value as it is."""
    return values if not isinstance(values, list) else values[0] if len(values) == 1 else None


def _without(row: Row, *names: str) -> Row:
    return {name: value for name, value in row.items() if name not in names}


#: The columns that a row of a harness has, some of them of a type, and what it says: a row of plain columns, or None.
FORMS: tuple[tuple[dict[str, type], Callable[[Row, Notes], Row | None]], ...] = (
    ({"resps": object, "filter": object}, _lm_eval),
    ({"doc": dict, "model_response": dict}, _lighteval),
    ({"epoch": object, "output": dict}, _inspect),
    ({"custom_id": object, "response": object}, _batch),
    ({"index": object, "model_output": object, "messages": object}, _evalscope_prediction),
    ({"index": object, "sample_score": dict}, _evalscope_review),
    ({"evaluation_id": object, "sample_id": object, "input": dict, "evaluation": dict}, _every_eval_ever),
    ({"evaluation_id": object, "evaluation_results": object}, _aggregate),
    ({"input": object, "output": object, "score": object, "step": object}, _verl),
    ({"step": object, "prompt": object, "completion": object, "advantage": object}, _trl),
)


@lru_cache(maxsize=64)
def _likely(columns: tuple[str, ...]) -> list[tuple[dict[str, type], Callable[[Row, Notes], Row | None]]]:
    """The forms whose columns a row has; the rows of a file mostly have the same."""
    return [form for form in FORMS if form[0].keys() <= {*columns}]


def plain(row: Row, notes: Notes) -> Row | None:
    """A row with plain columns; None for one that is no sample of its own, which the notes count.

    Raises:
        DataError: the file is of no samples; the message has no file.
        ValueError: the row is not of the harness that it looks like.
    """
    for kinds, read in _likely(tuple(row)):
        if all(isinstance(row[name], kind) for name, kind in kinds.items()):
            try:
                return read(row, notes)
            except DataError:
                raise
            except (AttributeError, TypeError, KeyError, IndexError, ValueError) as fault:
                said = f"no row of the harness that it looks like ({type(fault).__name__}: {fault})"[:200]
                raise ValueError(said) from None
    return row
