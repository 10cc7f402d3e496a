"""Progress of a campaign: one line for a reader, the same as one JSON object for a program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from boundary_bench.grading import VERDICTS, Verdict
from boundary_bench.samples.grades import NOT_DRAWN, progress_of, scored
from boundary_bench.statistics.design import Design


@dataclass(frozen=True)
class Pace:
    """Samples and tokens that a process has drawn since its engine was ready.

    Attributes:
        flying: samples that are drawn but not stored yet.
    """

    samples: int
    tokens: int
    flying: int
    seconds: float


@dataclass(frozen=True)
class CampaignProgress:
    """The state of one sampling job.

    Attributes:
        problems: problems of this job.
        done: those that have reached their stopping point.
        solved: those with a correct sample in a stored file.
        samples: stored samples of this job, those of earlier processes included.
        truncated, unscored: stored samples that were cut off, or have no score.
        samples_per_second, tokens_per_second: rates of this process, since its engine was ready.
        seconds_left: time at this rate until every problem has the samples for its next decision; problems with too few
            correct samples then go on.
    """

    problems: int
    done: int
    solved: int
    samples: int
    truncated: int
    unscored: int
    samples_per_second: float
    tokens_per_second: float
    seconds_left: float

    def line(self) -> str:
        """The progress as one line for a reader."""
        return (
            f"{self.done}/{self.problems} problems  solved {self.solved}  {self.samples_per_second:.0f} samples/s  "
            f"{self.tokens_per_second:.0f} tokens/s  truncated {self.truncated}  unscored {self.unscored}  "
            f"left {self.seconds_left:.0f} s or more"
        )

    def record(self) -> dict[str, Any]:
        """The progress as a JSON object for a program, with a time stamp."""
        numbers = {name: round(value, 3) for name, value in asdict(self).items()}
        return {"time": datetime.now(UTC).isoformat(timespec="seconds"), **numbers}


def progress_at(design: Design, verdict_PN: np.ndarray, pace: Pace) -> CampaignProgress:
    """The progress of a job from the verdicts of its problems."""
    found, have_P = progress_of(design, verdict_PN)
    needed = int((found.needed_P - have_P)[found.going_P].sum()) - pace.flying

    def are(verdict: Verdict) -> np.ndarray:
        return verdict_PN == VERDICTS.index(verdict)

    return CampaignProgress(
        problems=len(verdict_PN),
        done=int((~found.going_P).sum()),
        solved=int(are(Verdict.CORRECT).any(1).sum()),
        samples=int((verdict_PN != NOT_DRAWN).sum()),
        truncated=int(are(Verdict.TRUNCATED).sum()),
        unscored=int(((verdict_PN != NOT_DRAWN) & ~scored(design, verdict_PN)).sum()),
        samples_per_second=pace.samples / pace.seconds,
        tokens_per_second=pace.tokens / pace.seconds,
        seconds_left=max(needed, 0) * pace.seconds / max(pace.samples, 1),
    )
