"""Samples of a policy that others drew and stored, as a study names them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from boundary_bench.study.blocks import Block, Execution, Name


class StoredSamples(Block):
    """The samples of a policy on a benchmark, in somebody's files. No weights are needed."""

    # content identifies them, as it does given weights
    files: Execution[str] = Field(
        min_length=1, description="a file, a pattern of several (base/seed*.jsonl), or a folder of YAML files"
    )
    n: int = Field(ge=2, description="samples of every problem that count: the first n")
    grades: Literal["ours", "scores"] = Field(
        "ours", description="ours: the benchmark's grader, and the files' scores beside it; scores: those alone"
    )
    correct_from: float | None = Field(None, description="scores from here on are correct; by default true or 1")
    columns: dict[str, str] = Field({}, description="where a row has what: {response: output.text, gold: answer}")
    policy: str | None = Field(None, description="which of several policies in the files")
    temperature: float | None = Field(None, ge=0, description="at which they were drawn, for the report")
    top_p: float | None = Field(None, gt=0, le=1, description="the same")
    max_tokens: int | None = Field(None, ge=1, description="the same: the longest response")
    template: Name | None = Field(None, description="the same: a name of the prompt template")

    @property
    def drawn(self) -> dict[str, object]:
        """How they were drawn, as far as the study says."""
        return {name: getattr(self, name) for name in ("temperature", "top_p", "max_tokens", "template")}
