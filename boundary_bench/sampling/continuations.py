"""Greedy continuations of partially given statements (the contamination probe)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core.errors import Interrupted
from boundary_bench.sampling.block import texts
from boundary_bench.sampling.engine import Decoding, Engine, Work
from boundary_bench.sampling.stops import cut
from boundary_bench.study.sampling import Sampling

#: Statements of fewer words are divided between characters.
WORDS = 10


#: Characters of a rest that are compared: a model that continues a statement so far has read it.
LONGEST = 2_000


@dataclass(frozen=True)
class Part:
    """A statement in two parts.

    Attributes:
        given, rest: the part that the model sees, and the part that it should write (at most ``LONGEST`` characters).
        by_characters: whether the statement is divided and compared by characters instead of words.
    """

    given: str
    rest: str
    by_characters: bool


@dataclass(frozen=True)
class Probed:
    """Problems and their divided statements, for one fraction; ``too_short`` counts those that cannot be divided."""

    problems: list[Problem]
    parts: list[Part]
    too_short: int


def divide(statement: str, fraction: float) -> Part | None:
    """The first ``fraction`` of a statement, to the nearest word or character, and its rest.

    Each part has at least one character; None if the statement has fewer than two.

    >>> divide("3852=27:", 0.6)
    Part(given='3852=', rest='27:', by_characters=True)
    """
    text = statement.strip()
    ends: Sequence[int] = [word.end() for word in re.finditer(r"\S+", text)]
    by_characters = len(ends) < WORDS
    if by_characters:
        ends = range(1, len(text) + 1)
    if len(ends) < 2:
        return None
    cut = ends[min(max(round(fraction * len(ends)), 1), len(ends) - 1) - 1]
    rest = text[cut:]
    if len(rest) > LONGEST:
        rest = rest[:LONGEST].rsplit(maxsplit=1)[0]  # the last word may be cut in two
    return Part(text[:cut], rest, by_characters)


def probed(problems: Sequence[Problem], fraction: float, encode: Callable[[str], list[int]]) -> Probed:
    """The problems with a statement that can be divided into parts, the first of at least one token."""
    parts = [(problem, divide(problem.prompt, fraction)) for problem in problems]
    kept = [(problem, part) for problem, part in parts if part and encode(part.given)]
    return Probed([problem for problem, _ in kept], [part for _, part in kept], len(problems) - len(kept))


def ask(
    engine: Engine,
    parts: Sequence[Part],
    ids: Sequence[str],
    sampling: Sampling,
    stopped: Callable[[], bool],
    stop: Sequence[str] = (),
) -> tuple[list[str], list[bool]]:
    """The greedy continuation of every part, and whether it ended by itself.

    A continuation may have ``sampling.max_tokens`` more tokens than the longest rest, since the answer follows the
    statement. Only strings of ``stop`` that are special tokens end it; a statement may contain the others.

    Raises:
        ModelError: a part and its continuation do not fit the context.
        EngineError: the engine does not start, or broke down.
        Interrupted: ``stopped`` returned True; nothing of this fraction is kept.
    """
    from boundary_bench.models.config import check_context

    if not parts:
        return [], []
    prompts = [engine.tokenizer.encode(part.given).ids for part in parts]
    limit = sampling.max_tokens + max(len(engine.tokenizer.encode(part.rest).ids) for part in parts)
    check_context(
        engine.context, dict(zip(ids, prompts, strict=True)), limit, "the longest rest and sampling.max_tokens"
    )
    text_P, finished_P = [""] * len(parts), [False] * len(parts)
    greedy = Decoding(0.0, 1.0, limit, engine.ends, sampling.batch)
    added = engine.tokenizer.get_added_tokens_decoder().values() if stop else []
    special = [token.content for token in added if token.special and token.content in stop]
    engine.start()
    with closing(engine.stream(iter([Work(prompts, np.zeros((len(parts), 1), np.uint64), greedy)]))) as stream:
        for finished in stream:
            if stopped():
                raise Interrupted("stopped by a signal; whole fractions are kept, run the same command again")
            if finished is None:
                continue
            _, found = finished
            said = texts(engine.tokenizer, found)
            if special:
                found, said = cut(found, said, special, engine.tokenizer)
            for place, text, ended in zip(found.prompt_S, said, found.finished_S, strict=True):
                text_P[place], finished_P[place] = text, bool(ended)
    return text_P, finished_P
