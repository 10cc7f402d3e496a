"""Places of a kind's columns in a row: under their own names, as the study says, or as in a known layout."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

from boundary_bench.benchmarks.answers import SOLUTION, Row, listed
from boundary_bench.benchmarks.base import Kind
from boundary_bench.core.errors import StudyError, did_you_mean
from boundary_bench.records.jsons import structured
from boundary_bench.records.paths import find, flow, places

#: Other names of the same column, the likeliest first.
QUESTIONS = ("question", "problem", "prompt", "query", "input", "instruction", "task", "statement", "stem")
ANSWERS = ("answer", "final_answer", "ground_truth", "gt", "gold", "target", "reference", "expected_answer")
ANSWERS += ("reference_answer", "correct_answer", "answerkey", "answer_key", "answer_index", "answer_idx", "correct")
ANSWERS += ("label", "answers", "output", SOLUTION)
OPTIONS = ("options", "choices", "candidates", "endings")
SYNONYMS = (QUESTIONS, ANSWERS, OPTIONS, ("numbers", "nums"), ("expression", *QUESTIONS))
LOOKED_AT = 20  # rows from which messages list the places
NAMED = 40  # places that a message lists
LONGEST_NAME = 100  # characters of a place; longer ones are ignored, since names are compared letter by letter


@dataclass(frozen=True)
class Columns:
    """How the columns of a kind are read from a row.

    Attributes:
        given: the study's setting.
        ways: column and function: row -> value of the column; KeyError if the row has none.
        hidden: columns of the row to ignore.
    """

    given: str | dict[str, str] | None = None
    ways: tuple[tuple[str, Callable[[Row], Any]], ...] = ()
    hidden: frozenset[str] = frozenset()

    def called(self, name: str) -> str:
        """The name of a column in a message."""
        if isinstance(self.given, dict) and name in self.given:
            return f"{self.given[name]!r} (columns.{name})"
        return f"{name!r} as {self.given} has it" if name in self.hidden else repr(name)

    def lost(self, seen: set[str]) -> list[str]:
        """The columns with a place that is in no row.

        Args:
            seen: the columns that any row has.
        """
        names = self.given if isinstance(self.given, dict) else [name for name, _ in self.ways]
        return [name for name, (meant, _) in zip(names, self.ways, strict=True) if meant not in seen]

    def of(self, row: Row) -> Row:
        """A row with the kind's columns, as far as they exist, and the row's other columns.

        Raises:
            ValueError: the row does not have the named layout.
        """
        found = {name: value for name, value in row.items() if name not in self.hidden} if self.hidden else row
        for name, way in self.ways:
            try:
                found[name] = way(row)
            except KeyError:
                continue
        return found


#: Every column under its own name.
OWN = Columns()


def columns_of(kind: Kind, given: str | dict[str, str] | None, data: str | None, where: str) -> Columns:
    """The study's setting of columns, checked against the kind.

    Raises:
        StudyError: no rows are read, a name is no column of the kind or no layout, a path is empty, or two columns
            share a path.
    """
    if given is None:
        return OWN
    where = f"{where}.columns"
    if kind.parse is None or not (data or kind.source):
        raise StudyError(f"{where}: problems of {kind.name} are not read from rows here; drop columns, or name data")
    if isinstance(given, str):
        if given not in LAYOUTS:
            raise StudyError(f"{where}: {given!r} is no known layout; {did_you_mean(given, LAYOUTS)}; or name columns")
        if not kind.reference:
            raise StudyError(f"{where}: {kind.name} has no column of answers for {given}; name its columns one by one")
        names = (next(iter(kind.columns)), kind.reference[0])
        return Columns(given, tuple(zip(names, LAYOUTS[given], strict=True)), frozenset(names))
    unknown = [name for name in given if name not in kind.columns]
    if unknown:
        raise StudyError(
            f"{where}: {unknown[0]!r} is no column of {kind.name}; {did_you_mean(unknown[0], kind.columns)}; write "
            "{COLUMN OF THE KIND: place in a row}"
        )
    for name, path in given.items():
        if not all(part.strip() for part in path.split(".")):
            raise StudyError(
                f"{where}.{name}: found {path!r}, expected a column, or a path as reward_model.ground_truth"
            )
    twice = [name for name, path in given.items() if list(given.values()).count(path) > 1]
    if twice:
        raise StudyError(f"{where}: {' and '.join(twice)} are both {given[twice[0]]!r}, expected a place for each")
    ways = tuple((_meant(kind, name, path), partial(find, path=path)) for name, path in given.items())
    return Columns(given, ways, frozenset({*given, *(name for name, _ in ways)}))


def _meant(kind: Kind, name: str, path: str) -> str:
    """The intended column: an answer in a column named solution is a worked solution."""
    worked = SOLUTION in kind.reference and name in kind.reference and path.rpartition(".")[2] == SOLUTION
    return SOLUTION if worked else name


# layouts


def _last_question(row: Row) -> Any:
    """The user's last message; a prompt that is text is the question."""
    prompt = row["prompt"]
    messages = listed(prompt)
    if messages is None:
        return prompt
    said = [each for each in messages if isinstance(each, dict) and each.get("role") == "user"]
    if not said:
        raise ValueError(f"prompt: found {prompt!r:.80}, expected messages, one of them of the user")
    return said[-1].get("content")


def _ground_truth(row: Row) -> Any:
    """The answer: the value itself, the target of an object, or the only item of a list."""
    found = find(row, "reward_model.ground_truth")
    if isinstance(held := structured(found), dict):
        if "target" not in held:
            raise ValueError(f"reward_model.ground_truth: found {found!r:.80}, expected an answer, or one in target")
        found = held["target"]
    return found[0] if isinstance(found, list) and len(found) == 1 else found


#: For every known layout, the functions for question and answer.
LAYOUTS: dict[str, tuple[Callable[[Row], Any], Callable[[Row], Any]]] = {"verl": (_last_question, _ground_truth)}


# remedies


def named(rows: Iterable[Row]) -> str:
    """The places of some rows, as a list for a message."""
    found = [place for place, value in _places(rows).items() if not isinstance(value, dict)]
    names = [name if name.isprintable() else repr(name) for name in found]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more if names else "none"


def likely(kind: Kind, columns: Columns, rows: list[Row], wanted: list[str], *, guess: bool) -> str:
    """The study line that likely names the wanted columns of some rows; empty if none is known.

    Args:
        guess: whether to guess if no place is known.
    """
    there = _places(rows)
    messages = isinstance(there.get("prompt"), list) and "reward_model.ground_truth" in there
    if messages and kind.reference and columns.given != "verl":
        return "columns: verl"
    before = columns.given if isinstance(columns.given, dict) else {}
    given = {name: path for name, path in before.items() if name not in wanted}
    others = set(kind.columns) - {*wanted, *given, *kind.reference}
    used = {*given.values(), *others}
    for name in wanted:
        left = {place: value for place, value in there.items() if place not in used}
        near = difflib.get_close_matches(before[name], left, n=1) if name in before else []
        place = next(iter(near), None) or _known(name, left) or (_guessed(name, left) if guess else None)
        if place and place != before.get(name, name):
            given[name] = place
            used.add(place)
    return f"columns: {flow(given)}" if given.keys() & wanted else ""


def overlooked(kind: Kind, columns: Columns, rows: list[Row]) -> bool:
    """Whether rows have options under an unread name that their questions do not contain."""
    name = next((name for name in kind.uniform if name in OPTIONS), None)
    place = _known(name, _places(rows)) if name else None
    if place is None or any(columns.of(row).get(name) for row in rows):
        return False
    value = next(found for row in rows if (found := places(row).get(place)))
    question = columns.of(rows[0]).get(next(iter(kind.columns)))
    return not isinstance(question, str) or not all(
        str(each) in question for each in listed(value) or [*value.values()]
    )


def nested(path: Path, rows: list[Row]) -> str:
    """The command that extracts the rows of a file with one object around them; empty for other files."""
    for name, value in rows[0].items() if len(rows) == 1 and path.is_file() else ():
        first = value[0] if isinstance(value, list) and value else None
        if isinstance(first, dict) and _known("question", places(first)):
            rows_in = quote(f".[{json.dumps(name)}][]")
            return f"its rows are in {name!r:.80}; run: jq -c {rows_in} {quote(str(path))} > rows.jsonl"
    return ""


def _places(rows: Iterable[Row]) -> dict[str, Any]:
    """Every place of some rows, with a non-empty value from it if there is one."""
    found: dict[str, Any] = {}
    for row in rows:
        for place, value in places(row).items():
            if len(place) <= LONGEST_NAME and found.get(place) in (None, "", [], {}):
                found[place] = value
    return found


def _guessed(name: str, there: dict[str, Any]) -> str:
    """A place that could be a column, by the nearest name, else by its value."""
    fitting = [place for place, value in there.items() if _fits(name, value)]
    if near := difflib.get_close_matches(name, fitting, n=1):
        return near[0]
    if fitting and name.lower() in QUESTIONS:
        return max(fitting, key=lambda place: len(there[place]))
    texts = [place for place in fitting if isinstance(there[place], str)]
    return (texts or fitting)[-1] if fitting and name.lower() in ANSWERS else f"NAME-OF-THE-{name.upper()}"


def _known(name: str, there: dict[str, Any]) -> str | None:
    """The place with one of the names of a column, the likeliest first; None without one."""
    group = next((names for names in SYNONYMS if name.lower() in names), (name.lower(),))
    found = [place for place, value in there.items() if _last(place) in group and _fits(name, value)]
    return min(found, key=lambda place: (group.index(_last(place)), place.count(".")), default=None)


def _last(place: str) -> str:
    """The last name of a place; for the content of a last message, the name of the messages."""
    parts = place.removesuffix(".-1.content").split(".")
    return parts[-1].lower()


def _fits(name: str, value: Any) -> bool:
    """Whether a value may belong to a column."""
    if name.lower() in QUESTIONS:
        return isinstance(value, str) and bool(value.strip())
    if name.lower() in OPTIONS:
        return isinstance(value, dict) or listed(value) is not None
    if isinstance(value, list) and name != "final_answer" and name.lower() in ANSWERS:
        return False
    return value not in (None, "", [], {}) and not isinstance(value, dict | bool)
