"""The format of a claim: a sentence of the literature, its source, and the statistics of a study that decide it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from boundary_bench.claims.literature import LITERATURE
from boundary_bench.core.errors import DataError, did_you_mean
from boundary_bench.core.text import cell
from boundary_bench.core.yaml_files import read_yaml
from boundary_bench.study.blocks import Block, Name
from boundary_bench.tables.reading import KEYS
from boundary_bench.tables.registry import TABLES
from boundary_bench.tables.table import CHECKPOINT_KEYS

SHIPPED = LITERATURE["claims"]

Set = Literal["both", "base_only", "checkpoint_only", "neither"]


class Paper(Block):
    """The source of a claim."""

    paper: str = Field(min_length=1, description="authors and year")
    arxiv: str = Field(pattern=r"^\d{4}\.\d{5}$")
    where: str | None = Field(None, description="section, figure or table, as far as it is known")
    quote: str | None = Field(None, max_length=160, description="its own words, a line at most")


class ValuePart(Block):
    """A number with an interval, against a threshold."""

    kind: Literal["value"]
    table: str = Field(description="of the registry; one that has a row of every checkpoint")
    column: str = Field(description="the estimate; its interval is in the columns beside it")
    where: dict[str, int | float] = Field({}, description="the further keys of the row, e.g. {k: 256}")
    minus: Name | None = Field(None, description="less the same of this algorithm, same seed; or of the base")
    across_strata: bool = Field(
        False, description="of the stratum with the highest base, less that with the lowest (differences alone)"
    )
    base_at_most: float | None = Field(None, description="only where the base has no more (differences alone)")
    side: Literal["above", "below", "within"] = Field(description="of the threshold; within: of -+ the threshold")
    threshold: float
    reason: str = Field(min_length=1, description="why this threshold")

    @model_validator(mode="after")
    def _row_is_named(self) -> ValuePart:
        whole = [name for name, keys in KEYS.items() if set(CHECKPOINT_KEYS) <= set(keys)]
        if self.table not in whole:
            raise ValueError(f"table: found {self.table!r}; {did_you_mean(self.table, whole)}")
        if self.column not in TABLES[self.table].columns:
            raise ValueError(f"column: found {self.column!r}; {did_you_mean(self.column, TABLES[self.table].columns)}")
        further = [name for name in KEYS[self.table] if name not in CHECKPOINT_KEYS]
        if sorted(self.where) != sorted(further):
            raise ValueError(f"where: found {sorted(self.where)}, expected the keys of {self.table}: {further}")
        if (self.across_strata or self.base_at_most is not None) and self.table != "differences":
            raise ValueError(f"found across_strata or base_at_most with table: {self.table}, expected differences")
        if self.across_strata and self.minus:
            raise ValueError("found across_strata and minus, expected one of them")
        if self.side == "within" and self.threshold <= 0:
            raise ValueError(f"found side: within and threshold: {self.threshold}, expected a margin above 0")
        return self

    @property
    def statistic(self) -> str:
        """The column and the further keys of its row."""
        return ", ".join([self.column, *(f"{name} = {cell(value)}" for name, value in self.where.items())])

    @property
    def rule(self) -> str:
        """What must hold, in words."""
        said = [self.statistic]
        if self.minus:
            said.append(f"less that of {self.minus}, same seed")
        if self.across_strata:
            said.append("of the stratum with the highest base less that with the lowest")
        if self.base_at_most is not None:
            said.append(f"where the base has at most {cell(self.base_at_most)}")
        return f"{self.table}.csv: {', '.join(said)} {self.side} {cell(self.threshold)}"


class SharePart(Block):
    """The share of one set of ``coverage`` among several, against a threshold."""

    kind: Literal["share"]
    of: Set
    among: list[Set] = Field(min_length=2)
    hits: int = Field(1, ge=1, description="correct samples that make a problem solved")
    luck: bool = Field(
        description="whether two equal policies would not have this share at the threshold: a contradiction must then "
        "be beyond what luck does"
    )
    side: Literal["above", "below"]
    threshold: float = Field(gt=0, lt=1)
    reason: str = Field(min_length=1, description="why this threshold")

    @model_validator(mode="after")
    def _part_of_them(self) -> SharePart:
        if self.of not in self.among or len(set(self.among)) != len(self.among):
            raise ValueError(f"found of: {self.of} and among: {self.among}, expected it there, and each set once")
        return self

    @property
    def rule(self) -> str:
        """What must hold, in words."""
        share = f"{self.of} / ({' + '.join(self.among)}) {self.side} {cell(self.threshold)}"
        return f"coverage.csv: {share}, hits {self.hits}{', beyond what luck does' if self.luck else ''}"


class CoursePart(Block):
    """The course of a measure of ``stages`` over training; that table's own test tells steps apart."""

    kind: Literal["course"]
    measure: Literal["pass@k", "token entropy", "answer entropy"]
    k: int | None = None
    shape: Literal["falls", "rises", "falls, then rises", "rises, then falls", "ends above", "ends below"]
    reason: str = Field(min_length=1, description="why this measure")

    @model_validator(mode="after")
    def _k_where_there_is_one(self) -> CoursePart:
        if (self.measure == "pass@k") != (self.k is not None):
            raise ValueError(f"found k: {self.k} with measure: {self.measure}; pass@k has one, entropies have none")
        return self

    @property
    def rule(self) -> str:
        """What must hold, in words."""
        return f"stages.csv: {self.measure}{'' if self.k is None else f' at k = {self.k}'} {self.shape}"


Part = Annotated[ValuePart | SharePart | CoursePart, Field(discriminator="kind")]


class Needs(Block):
    """The requirements of a claim; to a study without them it does not apply."""

    algorithms: list[Name] = Field([], description="whose runs it speaks of; none named: all")
    steps: int | None = Field(None, ge=1, description="fewest training steps")
    n: int | None = Field(None, ge=1, description="fewest samples a problem, at most drawn")
    benchmarks: list[str] = Field([], description="names or kinds it speaks of; none named: all")
    settings: list[str] = Field([], description="settings the study must have, e.g. training.reward.random")

    def __str__(self) -> str:
        said = [
            ", ".join(self.algorithms),
            f"{self.steps} training steps or more" if self.steps else "",
            f"n of {self.n} or more" if self.n else "",
            " or ".join(self.benchmarks),
            " and ".join(self.settings),
        ]
        return "; ".join(part for part in said if part)


class Claim(Block):
    """One claim. All of its parts must hold; one that fails contradicts it."""

    id: Name
    sentence: str = Field(min_length=1)
    source: Paper
    needs: Needs = Needs()
    possible: bool = Field(False, description="it says that something can happen: where it does not, it still may")
    parts: list[Part] = Field([], description="what must hold, each by itself")
    beyond: str | None = Field(None, description="instead of parts: why no single study can decide it")

    @model_validator(mode="after")
    def _decided_or_not(self) -> Claim:
        if bool(self.parts) == bool(self.beyond):
            raise ValueError("found parts and beyond, or neither; expected one of them")
        return self

    @field_validator("beyond")
    @classmethod
    def _said(cls, text: str | None) -> str | None:
        if text is not None and not text.strip():
            raise ValueError("found no text, expected what is missing")
        return text


def load_claims(path: Path = SHIPPED) -> list[Claim]:
    """Read and check a file of claims.

    Raises:
        DataError: the file is missing, is no list, has a wrong key or value, or an id twice; every fault is listed
            with its claim and key.
    """
    found = read_yaml(path, f"no file of claims at {path}", DataError)
    if not isinstance(found, list) or not found:
        raise DataError(f"{path}: found {type(found).__name__}, expected a list of claims, each with its id")
    try:
        claims = TypeAdapter(list[Claim]).validate_python(found)
    except ValidationError as fault:
        raise DataError(_explain(path, found, fault)) from None
    ids = [claim.id for claim in claims]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        raise DataError(f"{path}: found the id {repeated[0]!r} twice, expected each once; rename one")
    return claims


def _explain(path: Path, found: list[Any], fault: ValidationError) -> str:
    lines = [f"{path} has {fault.error_count()} fault(s):"]
    for error in fault.errors(include_url=False):
        place, *keys = error["loc"]
        entry = found[int(place)]
        name = entry.get("id", f"entry {int(place) + 1}") if isinstance(entry, dict) else f"entry {int(place) + 1}"
        message = error["msg"].removeprefix("Value error, ")
        shown = "" if isinstance(error["input"], dict | list) else f", found {error['input']!r}"
        lines.append(f"  {'.'.join(map(str, [name, *keys]))}: {message}{shown}")
    return "\n".join(lines)
