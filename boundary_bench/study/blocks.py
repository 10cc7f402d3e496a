"""The parts of a study file: names, steps, and blocks of settings that refuse unknown keys."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

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
    """The value, if it is the name of a layout or maps columns to places."""
    names = [*value, *value.values()] if isinstance(value, dict) else [value]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"found {value!r:.80}, expected texts: {{COLUMN: place in a row}}, e.g. {{question: problem}}, or the name "
            "of a layout, e.g. verl"
        )
    return value


#: Places of a kind's columns in a row: a dotted path for each (``reward_model.ground_truth``), or a known layout.
Columns = Annotated[str | dict[str, str], BeforeValidator(_places)]


T = TypeVar("T")
_EXECUTION = object()
#: Marks a setting of where and how something runs: no number depends on it.
Execution = Annotated[T, _EXECUTION]


class Block(BaseModel):
    """A part of the study; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def identity(self, usual: bool = False) -> dict[str, Any]:
        """The settings that a result depends on: those not at their defaults, without those marked ``Execution``.

        So a new setting at its default changes no identity. Defaults are kept in tests/data/defaults.json: to change
        one, raise the version of every stage that reads it.

        Args:
            usual: include settings at their defaults, for readers.
        """
        whole, found = self.model_dump(mode="json"), {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if _EXECUTION in field.metadata:
                continue
            if not usual and value == field.get_default(call_default_factory=True):
                continue
            found[name] = value.identity(usual) if isinstance(value, Block) else whole[name]
            if isinstance(value, Block) and not found[name]:
                del found[name]
        return found


class Launched(Block):
    """A part of the study whose stage may run in an environment of its own."""

    python: Execution[str | None] = Field(
        None,
        description="Python of its environment; by default that of .venv-train or .venv-sample, where needed",
    )
