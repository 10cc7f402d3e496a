"""Settings of the analysis: confidence level, resamples, values of k, margin; and the contamination probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from boundary_bench.statistics.intervals import INTERVAL, Resamples, resample
from boundary_bench.study.blocks import Block, Steps, ascending


class Analysis(Block):
    """How the samples are turned into statements."""

    level: float = Field(0.95, gt=0, lt=1, description="confidence level of every interval")
    resamples: int = Field(2000, ge=100, description="bootstrap resamples")
    ks: Steps | None = Field(None, min_length=1, description="values of k; by default the powers of two up to n_max")
    margin: float = Field(
        0.05, gt=0, lt=1, description="differences of pass@k that are smaller than this count as unchanged"
    )
    seed: int = Field(0, ge=0, description="seed of the bootstrap")


@dataclass(frozen=True)
class Setup:
    """The settings that turn counts into estimates and intervals.

    Attributes:
        ks: the values of k that are reported.
        analysis: level, resamples, margin and seed of the intervals.
    """

    ks: Sequence[int]
    analysis: Analysis = field(default_factory=Analysis)

    @property
    def level(self) -> float:
        """Confidence level of every interval."""
        return self.analysis.level

    def resampled(self, problems: int) -> Resamples:
        """The bootstrap resamples of a problem set: the same for every policy, so that comparisons are paired."""
        return resample(problems, self.analysis.resamples, self.analysis.seed)

    @property
    def intervals(self) -> dict[str, Any]:
        """The columns that name level and kind of the interval ``low`` to ``high``."""
        return {"level": self.level, "interval": INTERVAL}


class Probe(Block):
    """The contamination probe: every base model continues statements of which it is given a part."""

    fractions: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], AfterValidator(ascending)] = Field(
        [0.4, 0.6, 0.8], min_length=1, description="how much of each statement the model is given"
    )
