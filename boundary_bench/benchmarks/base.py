"""What a benchmark is: problems with prompts and reference answers, and a grader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from boundary_bench.core import randomness
from boundary_bench.grading import Grader

Split = Literal["train", "dev", "test"]
#: Why a row becomes no problem: it has no reference, the study skips it, it repeats another word for word, it is longer
#: than ``longest``, its id is not among the ``problems`` smallest.
LEFT_OUT = ("no_reference", "skipped", "repeated", "too_long", "not_chosen")


RowNumbers = Annotated[list[Annotated[int, Field(strict=True, ge=1)]], AfterValidator(lambda rows: sorted(set(rows)))]


class NoReference(ValueError):
    """A row that says of no answer that it is right: it is left out, counted, and said."""


class Options(BaseModel):
    """Settings of a benchmark kind; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # not said where it is not given, so that generated problems do not depend on it
    skip: RowNumbers = Field(
        [],
        exclude_if=lambda rows: not rows,
        description="rows of a set that are left out unread, by the numbers that messages give them",
    )


class RowOptions(Options):
    """Which problems of a set of rows."""

    problems: int | None = Field(None, ge=1, description="at most so many: those with the smallest ids, in any order")
    # not said where it is not given, as above
    longest: int | None = Field(
        None,
        ge=1,
        exclude_if=lambda longest: longest is None,
        description="characters of a question; longer ones are left out, before problems are counted",
    )


class HubOptions(RowOptions):
    """Which commit of a hub set, and which of its problems; also where its rows come from a file or folder."""

    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$", description="commit of the set on the hub")


@dataclass(frozen=True)
class Problem:
    """One verifiable question.

    Attributes:
        prompt: the question; what the policy is given is made of it by a template (``raw`` gives it as it is).
        reference: what the grader needs to know, as text.
        solution: a response that grades correct.
        stratum: a label that groups like problems (for countdown: how many numbers).
        chance: probability that one uniformly random valid response is correct; None where unknown.
    """

    prompt: str
    reference: str
    solution: str
    stratum: str = ""
    chance: float | None = None

    @property
    def id(self) -> str:
        """Content hash: the same problem has the same id in any order and any file."""
        return f"{randomness.key(self.prompt, self.reference):016x}"


@dataclass(frozen=True)
class Source:
    """Where the rows of a set that is not generated come from.

    Attributes:
        hub: name on the Hugging Face hub.
        splits: the hub's split that serves as train, dev or test; others do not exist.
        problems: rows of each of these splits.
        configs: configurations of the hub set that are read one after the other; none where it has only one.
        licence: as the set's authors or its card give it.
        answer: what a response is expected to end in.
    """

    hub: str
    splits: dict[Split, str]
    problems: dict[Split, int]
    licence: str
    answer: str
    configs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """The problems of a set, and what became of its rows.

    Attributes:
        rows: how many were read, or how many problems were made.
        left_out: how many of them became no problem, by reason (``LEFT_OUT``).
        other_answer, duplicates: problems that ask what an earlier one asks, but for case and white space: those with
            another answer, and all.
        notes: what a reader of the log should know: of what was left out, the places.
    """

    problems: list[Problem]
    rows: int
    left_out: dict[str, int]
    other_answer: int = 0
    duplicates: int = 0
    notes: tuple[str, ...] = ()

    @property
    def record(self) -> dict[str, Any]:
        """All but the problems, as a problem file keeps it."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "problems"}


@dataclass(frozen=True)
class Kind:
    """A registry entry. ``version`` grows when a change can move a number.

    Attributes:
        options: settings with their defaults.
        generate: (split, seed, options) -> problems; None where they are read: from the source, or a user's file.
        parse: one row -> problem; raises NoReference where it has no answer, and ValueError or KeyError that says what
            is wrong. None where the rows of a file could not be understood.
        columns: what a row must hold, the question first.
        reference: those of which one must hold the reference answer.
        uniform: those that all rows must have, or none.
        grader: says whether a response is right.
        definition: a file of the user's that says what the problems and grades are.
        second: an independent grader of the same responses; how often the two disagree stands in the tables.
        solutions: (seed, count, weights) -> prompt and solution texts of the train split, for pre-training.
        template: name of the prompt template, where the study gives none.
        source: where the problems are loaded from; None where they are generated, or a user's.
        stop: -> strings that end a response; asked when sampling starts, since asking may load a library.
    """

    name: str
    version: int
    options: Options
    generate: Callable[[Split, int, Any], list[Problem]] | None
    parse: Callable[[dict[str, Any]], Problem] | None
    columns: dict[str, str]
    grader: Grader
    solutions: Callable[[int, int, dict[int, float]], Iterator[tuple[str, str]]] | None = None
    template: str = "raw"
    source: Source | None = None
    stop: Callable[[], tuple[str, ...]] = tuple
    second: Grader | None = None
    definition: Path | None = None
    reference: tuple[str, ...] = ()
    uniform: tuple[str, ...] = ()
