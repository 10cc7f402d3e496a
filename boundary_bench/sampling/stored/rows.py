"""A row of somebody's file as responses to a problem, or as its counts.

A reader knows what evaluation harnesses call a column; a name that it does not know is given as a place in the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from boundary_bench.benchmarks.answers import written
from boundary_bench.benchmarks.stored import NAMES, first_at, gold_in, question_in
from boundary_bench.records import Record

#: Finish reasons of a response that ran into the token limit.
CUT = ("length", "max_tokens", "model_length")


@dataclass(frozen=True)
class Stored:
    """One response as a file has it.

    Attributes:
        row: number of its row, for messages.
        problem: what names its problem in the file; None: its question does.
        gold: the reference answer, "" where there is none.
        text: the response; None where only a score is stored.
        score: what the file says of it: a truth value or a number; None where it says nothing.
        index: its sample index; None: its place in the file. Responses in one list have their places in it.
        ended: False if it ran into the token limit; None where the row does not say.
        policy: the name of its policy, "" where the file has one policy.
        step: the training step of its policy, "" where the file does not say.
        group: a label of similar problems.
    """

    row: str
    problem: str | None
    question: str
    gold: str
    text: str | None
    score: bool | float | None
    index: int | None
    ended: bool | None
    policy: str
    step: str
    group: str


@dataclass(frozen=True)
class Counted:
    """The counts of a problem: n samples, c of them correct."""

    row: str
    problem: str | None
    question: str
    gold: str
    policy: str
    group: str
    n: int
    c: int


def stored(record: Record, places: Mapping[str, str]) -> Iterator[Stored | Counted]:
    """What a row says: the counts of a problem, or one or more responses to it.

    Args:
        places: where some of ``NAMES`` are; the others are looked for under the names there.

    Raises:
        ValueError: the row is invalid, has neither responses nor scores nor counts, or lists of different lengths.
    """
    if record.row is None:
        raise ValueError(record.fault)
    there = _there(tuple(record.row), tuple(places.items()))
    said = {name: first_at(record.row, known) for name, known in there}
    problem = written(said["problem"]) or None
    question, policy, group = written(question_in(said["question"])), written(said["policy"]), written(said["group"])
    if said["n"] is not None and said["response"] is None:
        n, c = (_whole(name, said[name]) for name in ("n", "c"))
        if not 0 <= c <= n or n < 1:
            raise ValueError(f"found {c} correct of {n} samples, expected 0 <= c <= n and one sample or more")
        yield Counted(str(record), problem, question, gold_in(said["gold"]), policy, group, n, c)
        return
    texts, scores = _listed(said["response"]), _listed(said["score"])
    count = max(len(texts), len(scores))
    if not count:
        raise ValueError("found neither a response nor a score nor counts (n and c)")
    parts = {"response": texts, "score": scores, "index": _listed(said["index"]), "finish": _listed(said["finish"])}
    for name, values in parts.items():
        if len(values) not in (0, 1, count) or (len(values) == 1 < count and name != "finish"):
            raise ValueError(f"found {len(values)} values of {name} and {count} responses, expected one for each")
    in_list = isinstance(said["response"], list) or isinstance(said["score"], list)
    row, gold, step = str(record), gold_in(said["gold"]), _step(said["step"])
    for place in range(count):
        text, score, index, finish = (_at(values, place, count) for values in parts.values())
        if text is not None and not isinstance(text, str):
            raise ValueError(f"response: found {text!r:.80}, expected a text or a list of texts")
        number = place if index is None and in_list else _index(index)
        ended = None if finish is None else written(finish).lower() not in CUT
        yield Stored(row, problem, question, gold, text, _score(score), number, ended, policy, step, group)


@lru_cache(maxsize=64)
def _there(columns: tuple[str, ...], given: tuple[tuple[str, str], ...]) -> list[tuple[str, tuple[str, ...]]]:
    """For everything a row may say, the places that a row of these columns can have."""
    chosen, found = dict(given), []
    for name, names in NAMES.items():
        known = (chosen[name],) if name in chosen else names
        if name in chosen and known[0].partition(".")[0] not in columns and known[0] not in columns:
            raise ValueError(f"no column {known[0]!r} ({name}); the columns are {', '.join(columns)}"[:300])
        found.append((name, tuple(each for each in known if each in columns or each.partition(".")[0] in columns)))
    return found


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _at(values: list[Any], place: int, count: int) -> Any:
    if len(values) == count:
        return values[place]
    return values[0] if values else None


def _whole(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool) or float(value) != int(float(value)):
            raise ValueError
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name}: found {value!r:.80}, expected a whole number") from None


def _step(value: Any) -> str:
    """A training step; a column of this name may hold other things."""
    try:
        return written(value)
    except ValueError:
        return ""


def _index(value: Any) -> int | None:
    return None if value is None else _whole("index", value)


def _score(value: Any) -> bool | float | None:
    """A score as a truth value or a number; texts are read as CSV writes them."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"score: found {value!r:.80}, expected true, false or a number") from None
