"""Which problem of a benchmark a stored row is about: by question, by name, or by a prompt that holds a question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from boundary_bench.benchmarks.base import Problem
from boundary_bench.benchmarks.overlap import normal
from boundary_bench.core.errors import DataError
from boundary_bench.sampling.stored.reading import Placed

SHOWN = 3  # examples in a message
#: Names of problems without a partner that are kept for a message.
MOST_STRANGERS = 1000


@dataclass
class Matcher:
    """Finds the problems of rows.

    A question names its problem, up to case and white space; else what the benchmark's own rows call the problem; else
    the one question that a prompt holds; else the number of the benchmark's row, if the reference answers are equal.

    Attributes:
        names_of: by the place of a problem, what the files call it.
        strangers: rows of problems that the benchmark does not have, by the problem.
        other_gold: rows whose reference answer is written in another way than the benchmark's.
        named: rows without a question that have a reference answer, and those of them where it is another one.
    """

    problems: Sequence[Problem]
    names_of: dict[int, str] = field(default_factory=dict)
    strangers: Counter[str] = field(default_factory=Counter)
    other_gold: int = 0
    named: tuple[int, int] = (0, 0)
    _found: dict[tuple[str, str], int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._questions: dict[str, list[int]] = {}
        self._names: dict[str, list[int]] = {}
        for place, problem in enumerate(self.problems):
            self._questions.setdefault(normal(problem.prompt), []).append(place)
            if problem.name:
                self._names.setdefault(problem.name, []).append(place)

    def place(self, file: Path, each: Placed) -> int | None:
        """The place of a row's problem among the problems; None if it is none of them.

        Raises:
            DataError: a problem has two names in the files.
        """
        row, key = each.row, (each.name, each.row.question)
        if key not in self._found:
            self._found[key] = found = self._search(each)
            if found is not None and self.names_of.setdefault(found, each.name) != each.name:
                raise DataError(
                    f"{file}: row {row.row}: problem {each.name!r:.80} is the same as {self.names_of[found]!r:.80} "
                    f"before, expected one name of each problem ({self.problems[found].prompt[:60]!r})"
                )
        found = self._found[key]
        if found is None:
            if len(self.strangers) < MOST_STRANGERS or each.name in self.strangers:
                self.strangers[each.name] += 1
        elif row.gold:
            other = row.gold != self.problems[found].reference
            self.other_gold += other
            if not row.question:
                self.named = self.named[0] + 1, self.named[1] + other
        return found

    def _search(self, each: Placed) -> int | None:
        question = normal(each.row.question)
        for places in (self._questions.get(question or normal(each.name)), self._names.get(each.name)):
            if places and len(places) == 1 and not (question and self._other(places[0], each)):
                return places[0]
        return self._held(question) if question else self._numbered(each)

    def _other(self, place: int, each: Placed) -> bool:
        """Whether a problem that was found by its name has another question that says so."""
        asked, said = normal(self.problems[place].prompt), normal(each.row.question)
        return asked != normal(self.problems[place].name) and asked not in said

    def _held(self, prompt: str) -> int | None:
        """The problem whose question a prompt holds; None if it holds several that do not hold each other, or none."""
        held = [text for text, places in self._questions.items() if len(places) == 1 and text and text in prompt]
        longest = max(held, key=len, default="")
        return self._questions[longest][0] if held and all(text in longest for text in held) else None

    def _numbered(self, each: Placed) -> int | None:
        """The problem at the number that names a row without a question, if its reference answer is the row's."""
        number = int(each.name) if each.name.isdecimal() and len(each.name) < 9 else -1
        for place in (number, number - 1):
            if 0 <= place < len(self.problems) and each.row.gold == self.problems[place].reference != "":
                return place
        return None

    def check(self, what: str) -> None:
        """Refuse rows without a problem, problems without a row, and names of mostly other problems.

        Raises:
            DataError: there are some; the message counts them and has examples.
        """
        named, others = self.named
        if 2 * others > named:
            raise DataError(
                f"{what}: {others:,} of {named:,} rows without a question have the name of a problem with another "
                "reference answer; are they of another benchmark?"
            )
        alone = [problem for place, problem in enumerate(self.problems) if place not in self.names_of]
        if not self.strangers and not alone:
            return
        count = "1,000 or more" if len(self.strangers) >= MOST_STRANGERS else f"{len(self.strangers):,}"
        raise DataError(
            f"{what}: {count} problems of the files are not in the benchmark{_such_as(list(self.strangers))}, and "
            f"{len(alone):,} of its {len(self.problems):,} have no sample{_such_as([each.prompt for each in alone])}; "
            "expected the same problems on both sides, by question, by name, or by a prompt that holds the question. "
            "A benchmark of kind stored:GRADER (data: one of the files) takes its problems from the files"
        )


def _such_as(names: Sequence[str]) -> str:
    return f", such as {', '.join(f'{name[:60]!r}' for name in names[:SHOWN])}" if names else ""
