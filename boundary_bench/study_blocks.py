"""What every part of a study is made of: names, steps, and blocks of settings that refuse unknown keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

#: Names become file names and Snakemake wildcards; "--" separates the parts of a run's name.
NAME = r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$"
Name = Annotated[str, Field(pattern=NAME)]
#: A benchmark kind: a name of the registry, or ``FAMILY:NAME``, where NAME may be a path and end in ``@FILTER``.
KIND = NAME.replace("$", r"(:[^\s:]+)?$")
KindName = Annotated[str, Field(pattern=KIND)]


def ascending(steps: list[Any]) -> list[Any]:
    """The numbers, if they ascend."""
    if sorted(set(steps)) != steps:
        raise ValueError(f"found {steps}, expected ascending numbers without repeats: {sorted(set(steps))}")
    return steps


Steps = Annotated[list[int], AfterValidator(ascending)]


class Block(BaseModel):
    """A part of the study; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Launched(Block):
    """A part of the study whose stage may run in an environment of its own."""

    python: str | None = Field(
        None,
        description="Python of its environment; by default that of .venv-train or .venv-sample, where needed",
    )
    container: str | None = Field(
        None, description="instead of python: an image for apptainer whose python3 has the packages"
    )

    @model_validator(mode="after")
    def _one_environment(self) -> Launched:
        if self.python and self.container:
            raise ValueError(f"found python: {self.python} and container: {self.container}; drop one of them")
        return self
