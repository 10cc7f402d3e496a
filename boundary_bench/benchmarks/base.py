"""What a benchmark is: problems with prompts and reference answers, and a grader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from boundary_bench import seeds
from boundary_bench.grading import Grader

Split = Literal["train", "dev", "test"]


class Options(BaseModel):
    """Settings of a benchmark kind; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Problem:
    """One verifiable question.

    Attributes:
        prompt: the text that is given to the policy.
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
        return f"{seeds.key(self.prompt, self.reference):016x}"


@dataclass(frozen=True)
class Kind:
    """A registry entry. ``version`` grows when a change can move a number.

    Attributes:
        options: settings with their defaults.
        generate: (split, seed, options) -> problems.
        parse: one row of a user's file -> problem; raises ValueError or KeyError that says what is wrong.
        columns: what a row of a user's file must hold.
        grader: says whether a response is right.
        solutions: (seed, count, weights) -> prompt and solution texts of the train split, for pre-training.
    """

    name: str
    version: int
    options: Options
    generate: Callable[[Split, int, Any], list[Problem]]
    parse: Callable[[dict[str, Any]], Problem]
    columns: dict[str, str]
    grader: Grader
    solutions: Callable[[int, int, dict[int, float]], Iterator[tuple[str, str]]] | None = None
