r"""Common code of sets of rows, from the Hugging Face hub or a user's files; ``sets.py`` lists the sets.

Answer form: the last ``\boxed{...}`` of a response, unless the set's grader says otherwise.
Trap: a hub set can change under its name, so that every load names a commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from boundary_bench.benchmarks.answers import Row, reference, text
from boundary_bench.benchmarks.base import HubOptions, Kind, Problem, RowOptions, Source, Split
from boundary_bench.benchmarks.choices import LETTERS, letter, options_in
from boundary_bench.core.errors import StudyError
from boundary_bench.grading.graders import GRADERS


@dataclass(frozen=True)
class Fields:
    """The meaning of a row's columns.

    Attributes:
        columns: the columns that are read, and their content, the question first.
        answers: columns that may hold the reference; the first that does counts.
        strata: columns that make the stratum.
        several: whether a reference may be a list of answers.
        context: column of a text before the question, may be empty.
        options: column of the options of a multiple-choice question.
        none: texts that mark the absence of an option.
    """

    columns: dict[str, str]
    answers: tuple[str, ...]
    strata: tuple[str, ...] = ()
    several: bool = False
    context: str | None = None
    options: str | None = None
    none: tuple[str, ...] = ()


def parse(fields: Fields, grader: str, row: Row) -> Problem:
    """The problem in a row."""
    question, chance = text(row, next(iter(fields.columns))), None
    if fields.context and str(row.get(fields.context) or "").strip():
        question = f"{text(row, fields.context)}\n{question}"
    stratum = ", ".join(text(row, name) for name in fields.strata if row.get(name) not in (None, ""))
    if not fields.options:
        gold = reference(fields.answers, row, several=fields.several, numeric=grader == "numeric")
        return Problem(question, *gold, stratum)
    options = options_in(row, fields.options, fields.none)
    right = letter(row, fields.answers, options)
    if options:
        lines = (f"{name}. {options.texts[place]}" for name, place in zip(LETTERS, options.there, strict=False))
        question, chance = "\n".join((question, *lines)), 1 / len(options.there)
    return Problem(question, right, f"\\boxed{{{right}}}", stratum, chance)


def check(kind: Kind, split: Split, options: HubOptions, where: str) -> None:
    """Refuse a split that the hub set does not have and a set without a commit, before any work."""
    assert kind.source is not None
    if split not in kind.source.splits:
        raise StudyError(f"{where}: {kind.name} has no {split} split; it has {', '.join(kind.source.splits)}")
    if options.revision is None:
        raise StudyError(
            f"{where}: {kind.name} has no commit of its own here; write options: {{revision: COMMIT}} with the 40 "
            f"digits that https://huggingface.co/datasets/{kind.source.hub}/commits/main shows, or data: FOLDER"
        )


def row_kind(name: str, fields: Fields, *, grader: str = "math", source: Source | None = None, **hub: str) -> Kind:
    """The registry entry of a set of rows, from the hub if it has a source, else from a user's file."""
    return Kind(
        name,
        2 if source else 1,
        HubOptions(**hub) if source else RowOptions(),
        None,
        partial(parse, fields, grader),
        fields.columns,
        GRADERS[grader],
        template="qwen-boxed",
        source=source,
        second=GRADERS["boxed"] if grader == "math" else None,
        reference=fields.answers,
        uniform=(*fields.strata, *filter(None, [fields.options])),
    )
