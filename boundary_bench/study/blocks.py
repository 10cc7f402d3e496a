"""What every part of a study is made of: names, steps, and blocks of settings that refuse unknown keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

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


def _places(value: Any) -> Any:
    """What says where columns are, if it is a name or names places by names."""
    names = [*value, *value.values()] if isinstance(value, dict) else [value]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"found {value!r:.80}, expected texts: {{COLUMN: place in a row}}, e.g. {{question: problem}}, or the name "
            "of a layout, e.g. verl"
        )
    return value


#: Where rows have a kind's columns: places by column, with dots (``reward_model.ground_truth``), or a known layout.
Columns = Annotated[str | dict[str, str], BeforeValidator(_places)]


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
