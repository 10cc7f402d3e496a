"""Published pass@k as data: the source of a number, its policy and benchmark, and the settings behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from boundary_bench.claims.literature import LITERATURE
from boundary_bench.core.errors import DataError
from boundary_bench.core.yaml_files import read_yaml
from boundary_bench.study.blocks import Block
from boundary_bench.tables.table import BASE


class PublishedSettings(Block):
    """The settings behind a pass@k, as far as they are known; those up to ``reward`` are of training."""

    trained_on: str | None = Field(None, description="benchmark kind of the training set, or what it is")
    framework: str | None = None
    steps: int | str | None = Field(None, description="training steps; said here where a number has no step of its own")
    prompts: int | None = Field(None, description="prompts a step")
    rollouts: int | None = Field(None, description="responses a prompt")
    updates_per_rollout: int | None = None
    lr: float | None = None
    kl: float | None = Field(None, description="coefficient; 0: no KL")
    training_temperature: float | None = None
    training_max_tokens: int | None = None
    reward: str | None = Field("correct", description="as in training.reward")
    model: str | None = Field(None, description="name on the Hugging Face hub")
    problems: int | None = None
    samples: int | str | None = Field(None, description="samples a problem")
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    template: str | None = Field(None, description="one of ours, or what it is")
    grader: str | None = None


class PublishedValue(Block):
    """The pass@k of one policy on one benchmark."""

    benchmark: str = Field(min_length=1, description="benchmark kind, or the name of a study's own")
    algorithm: str = Field(min_length=1, description="a name of the algorithm table, base, or its own")
    step: int | None = Field(None, ge=1, description="training step; where there is none, ours is the last")
    percent: dict[int, float] = Field(min_length=1, description="k: pass@k in percent, as printed")
    deviation: dict[int, float] = Field({}, description="k: standard deviation over repeats, where one is given")
    problems: int | None = Field(None, ge=1)
    settings: PublishedSettings = Field(PublishedSettings(), description="where they are others than the entry's")

    @model_validator(mode="after")
    def _possible(self) -> PublishedValue:
        for k, percent in self.percent.items():
            if k < 1 or not 0 <= percent <= 100:
                raise ValueError(f"percent: found {percent} at k = {k}, expected 0 to 100 at a k of at least 1")
        if odd := sorted(self.deviation.keys() - self.percent.keys()):
            raise ValueError(f"deviation: found k = {odd}, expected those of percent")
        if self.algorithm == BASE and self.step is not None:
            raise ValueError(f"found step {self.step} of the base, expected none")
        return self


class PublishedEntry(Block):
    """The numbers from one place in one paper."""

    paper: str = Field(min_length=1, description="authors and year")
    arxiv: str = Field(pattern=r"^\d{4}\.\d{5}$")
    where: str = Field(min_length=1, description="table or figure, as far as it is known")
    form: Literal["table", "figure", "text", "unknown"] = Field(description="a number read from a figure is inexact")
    read: Literal["paper", "repository", "notes"] = Field(description="where the numbers were read")
    note: str | None = Field(None, description="what else to know of them")
    settings: PublishedSettings = PublishedSettings()
    values: list[PublishedValue] = Field(min_length=1)

    def settings_of(self, value: PublishedValue) -> PublishedSettings:
        """The settings behind a number: the entry's, overridden by its own."""
        own = {name: getattr(value.settings, name) for name in value.settings.model_fields_set}
        said = {"problems": value.problems, "steps": value.step}
        return self.settings.model_copy(update=own | {name: each for name, each in said.items() if each is not None})


def load_published(path: Path = LITERATURE["published"]) -> list[PublishedEntry]:
    """Read and check a file of published numbers.

    Raises:
        DataError: the file is missing, is no list, or has a wrong key or value; every fault is listed with its place.
    """
    found = read_yaml(path, f"no file of published numbers at {path}", DataError)
    try:
        return TypeAdapter(list[PublishedEntry]).validate_python(found)
    except ValidationError as fault:
        lines = (f"  {'.'.join(map(str, error['loc']))}: {error['msg']}" for error in fault.errors(include_url=False))
        message = f"{path} has {fault.error_count()} fault(s), by entry, counted from 0:"
        raise DataError("\n".join([message, *lines])) from None
