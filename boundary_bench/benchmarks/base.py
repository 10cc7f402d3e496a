"""The parts of a benchmark: problems with prompts and reference answers, and a grader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from boundary_bench.core import randomness
from boundary_bench.grading import Grader
from boundary_bench.records import Record

Split = Literal["train", "dev", "test"]
#: Reasons why a row becomes no problem: it has no reference, the study skips it, it repeats another word for word, it
#: is longer than ``longest``, it is not among those of ``where`` or its id not among the ``problems`` smallest.
LEFT_OUT = ("no_reference", "skipped", "repeated", "too_long", "not_chosen")


RowNumbers = Annotated[list[Annotated[int, Field(strict=True, ge=1)]], AfterValidator(lambda rows: sorted(set(rows)))]


class NoReference(ValueError):
    """A row without a right answer: it is left out, counted and reported."""


class Options(BaseModel):
    """Settings of a benchmark kind; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # excluded if empty, so that generated problems do not depend on it
    skip: RowNumbers = Field(
        [],
        exclude_if=lambda rows: not rows,
        description="rows of a set that are left out unread, by the numbers that messages give them",
    )


class RowOptions(Options):
    """Selection of problems from a set of rows."""

    problems: int | None = Field(None, ge=1, description="at most so many: those with the smallest ids, in any order")
    # excluded if empty, as above
    where: dict[str, bool | int | str] = Field(
        {},
        exclude_if=lambda wanted: not wanted,
        description="only rows with these values: {type: Algebra}, {qwen2.5-7b_unsolved: true}",
    )
    # excluded if not given, as above
    longest: int | None = Field(
        None,
        ge=1,
        exclude_if=lambda longest: longest is None,
        description="characters of a question; longer ones are left out, before problems are counted",
    )


class HubOptions(RowOptions):
    """Commit of a hub set and selection of its problems; also used if its rows come from a file or folder."""

    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$", description="commit of the set on the hub")


@dataclass(frozen=True)
class Problem:
    """One verifiable question.

    Attributes:
        prompt: the question; a template turns it into the policy's prompt (``raw`` leaves it unchanged).
        reference: the grader's reference, as text.
        solution: a response that grades correct.
        stratum: a label that groups similar problems (for countdown: how many numbers).
        chance: probability that one uniformly random valid response is correct; None if unknown.
        name: what its rows call it, "" if nothing; no part of its identity.
    """

    prompt: str
    reference: str
    solution: str
    stratum: str = ""
    chance: float | None = None
    name: str = ""

    @property
    def id(self) -> str:
        """Content hash: the same problem has the same id in any order and any file."""
        return f"{randomness.key(self.prompt, self.reference):016x}"


@dataclass(frozen=True)
class Source:
    """The origin of a set of rows on the hub.

    Attributes:
        hub: name on the Hugging Face hub.
        splits: the hub's split that serves as train, dev or test; others do not exist.
        problems: number of rows of each of these splits.
        configs: configurations of the hub set, read one after the other; empty if it has only one.
        licence: as the set's authors or its card give it.
        answer: the expected form of the answer in a response.
    """

    hub: str
    splits: dict[Split, str]
    problems: dict[Split, int]
    licence: str
    answer: str
    configs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """The problems of a set, and the record of its rows.

    Attributes:
        rows: number of rows read, or of problems generated.
        left_out: number of rows that became no problem, by reason (``LEFT_OUT``).
        other_answer, duplicates: number of problems with the question of an earlier one, up to case and white space:
            those with another answer, and all.
        notes: lines for the log, such as the rows that were left out.
    """

    problems: list[Problem]
    rows: int
    left_out: dict[str, int]
    other_answer: int = 0
    duplicates: int = 0
    notes: tuple[str, ...] = ()

    @property
    def record(self) -> dict[str, Any]:
        """All fields except the problems, for the problem file."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "problems"}


@dataclass(frozen=True)
class Kind:
    """A registry entry. ``version`` increases when a change can move a number.

    Attributes:
        options: settings with their defaults.
        generate: (split, seed, options) -> problems; None if they are read from the source or a user's file.
        parse: one row -> problem; raises NoReference for a row without answer, and ValueError or KeyError with the
            fault of a row. None if the kind reads no rows.
        columns: the columns of a row and their meaning, the question first.
        reference: columns that may hold the reference answer; one of them must.
        uniform: columns that either all rows have or none.
        read: path -> rows of files that are not read as others are; None: as others.
        grader: grades responses.
        definition: a user's file that defines problems and grades.
        second: an independent grader of the same responses; the tables show how often the two disagree.
        solutions: (seed, count, weights) -> prompt and solution texts of the train split, for pre-training.
        template: name of the prompt template if the study gives none.
        source: origin of the problems; None if they are generated, or a user's.
        stop: -> stop strings of a response; called when sampling starts, since the call may load a library.
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
    read: Callable[[Path], Iterator[Record]] | None = None
