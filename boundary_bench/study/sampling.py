"""How policies are sampled."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from boundary_bench.study.blocks import Execution, Launched, Steps
from boundary_bench.study.engines import ENGINES, Vllm

#: Settings of how many samples are drawn: measures depend on them, a single sample does not.
DESIGN = ("n_max", "stop_after", "rounds", "unscored")


class Sampling(Launched):
    """How every policy is sampled."""

    engine: Literal["torch", "vllm"] = Field("torch", description="sampling engine")
    vllm: Vllm = Field(Vllm(), description="settings of the engine vllm")
    n_max: int = Field(1024, ge=2, description="most samples per problem: the largest k")
    stop_after: int | None = Field(
        32, ge=1, description="correct samples after which a problem stops; null: n_max samples of every problem"
    )
    rounds: Steps | None = Field(
        None, min_length=1, description="sizes at which a problem can stop, n_max the last; by default doubling"
    )
    unscored: list[Literal["timeout", "truncated", "unparsable"]] = Field(
        ["timeout"],
        description="verdicts that count as missing, so that further samples replace theirs; the others are not solved",
    )
    shards: Execution[int] = Field(1, ge=1, description="jobs that share the problems of one policy on one benchmark")
    block: Execution[int] = Field(1024, ge=1, description="most sample indices per stored block: the unit of resuming")
    batch: int = Field(
        1024,
        ge=1,
        description="engine torch: responses decoded together, memory against speed; vllm: most samples of a file",
    )
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(64, ge=1, description="longest response, in tokens")
    seed: int = Field(0, ge=0, description="every sample's own seed derives from this one and its name")
    device: Execution[Literal["cpu", "cuda"]] = Field("cpu", description="where the engine computes")

    @field_validator("unscored")
    @classmethod
    def _timeouts_are_missing(cls, verdicts: list[str]) -> list[str]:
        if "timeout" not in verdicts or len(set(verdicts)) != len(verdicts):
            raise ValueError(f"found {verdicts}, expected timeout, which says nothing of a response, and others once")
        return sorted(verdicts)

    @model_validator(mode="after")
    def _rounds_fit(self) -> Sampling:
        if self.rounds and self.stop_after is None:
            raise ValueError(
                f"found rounds: {self.rounds} with stop_after: null, which samples every problem n_max times; "
                "drop rounds, or say after how many correct samples a problem stops, e.g. stop_after: 32"
            )
        if self.rounds and self.rounds[-1] != self.n_max:
            raise ValueError(
                f"found rounds: {self.rounds}, expected n_max: {self.n_max} as the last; "
                f"write n_max: {self.rounds[-1]}, or other rounds"
            )
        if self.rounds and self.rounds[0] < 2:
            raise ValueError(
                f"found rounds: {self.rounds}, expected 2 samples or more in the first: coverage is compared with its "
                "luck between two halves; write rounds: [2, ...]"
            )
        return self

    @model_validator(mode="after")
    def _engine_fits(self) -> Sampling:
        for name, engine in ENGINES.items():
            if self.engine != name and engine.settings and getattr(self, name) != engine.settings():
                raise ValueError(
                    f"found settings of {name} with engine: {self.engine}; drop them, or write engine: {name}"
                )
        return self

    @property
    def needs_environment(self) -> bool:
        """Whether the engine lives in an environment of its own."""
        return ENGINES[self.engine].environment is not None

    @property
    def gpus(self) -> int:
        """GPUs of one job."""
        if self.device == "cpu":
            return 0
        return self.vllm.tensor_parallel if self.engine == "vllm" else 1

    def drawing(self, unused: Collection[str] = (), usual: bool = False) -> dict[str, Any]:
        """The identity of a single response: ``identity`` without the design and the unused settings."""
        engine = ENGINES[self.engine]
        left_out = {*DESIGN, *unused, *engine.execution}
        found = {name: value for name, value in self.identity(usual).items() if name not in left_out}
        return {"engine_version": engine.version, **found}
