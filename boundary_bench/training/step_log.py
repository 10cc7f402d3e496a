"""The step log of a run: one JSON line a step, with the same keys from every backend."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boundary_bench.core.errors import DataError
from boundary_bench.core.files import append_line, write_text


@dataclass(frozen=True)
class StepRow:
    """One line of the step log; every backend writes the same keys.

    Attributes:
        reward: mean reward of the rollouts.
        entropy: mean token entropy (nats) of the rollouts, at the rollout temperature; None if the backend does not
            know it. Exact in the reference trainer; the other backends document their estimate.
        clip_fraction: share of tokens (sequence ratio: of sequences) where the clip is active, over all updates.
        gradient_norm: mean global norm before clipping.
        response_length: mean tokens of a response.
        truncated: share of responses cut off at max_tokens.
        live_groups: share of prompts with rollouts of different rewards.
        positive_mass: mean over samples of max(A, 0), after the algorithm's signs.
        negative_mass: the same of max(-A, 0).
        updates: optimizer updates made.
        seconds_rollout: wall time of sampling and grading.
        seconds_update: wall time of the updates.
    """

    step: int
    reward: float
    entropy: float | None
    clip_fraction: float
    gradient_norm: float
    response_length: float
    truncated: float
    live_groups: float
    positive_mass: float
    negative_mass: float
    updates: int
    seconds_rollout: float
    seconds_update: float

    def __str__(self) -> str:
        entropy = "unknown" if self.entropy is None else f"{self.entropy:.3f}"
        return (
            f"reward {self.reward:.3f}  entropy {entropy}  clip {self.clip_fraction:.4f}  length "
            f"{self.response_length:.1f}  {self.seconds_rollout + self.seconds_update:.2f} s/step"
        )


def rounded(**facts: Any) -> StepRow:
    """A row with numbers rounded to six decimals."""
    return StepRow(**{key: round(value, 6) if isinstance(value, float) else value for key, value in facts.items()})


def _file(store: Path) -> Path:
    return store / "steps.jsonl"


def append(store: Path, row: StepRow) -> None:
    """Append a step."""
    append_line(_file(store), json.dumps(asdict(row), allow_nan=False))


def read(store: Path, until: int) -> list[dict[str, Any]]:
    """The step log up to a step; a torn last line is dropped, as its step was never saved.

    Raises:
        DataError: another line does not belong to a step log.
    """
    path = _file(store)
    lines = path.read_bytes().splitlines() if path.exists() else []
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line.decode())
        except ValueError:
            if number == len(lines):
                break
            row = None
        if not isinstance(row, dict) or type(row.get("step")) is not int:
            raise DataError(
                f"{path}, line {number}: found {line[:80]!r}, expected a JSON object with the key step; put the line "
                f"back (kept segments have theirs in checkpoints/*/step*/log.jsonl), or delete {store} to train this "
                "run again"
            )
        if row["step"] <= until:
            rows.append(row)
    return rows


def write(store: Path, rows: Iterable[StepRow]) -> None:
    """Replace the step log by these rows."""
    write_text(_file(store), "".join(json.dumps(asdict(row), allow_nan=False) + "\n" for row in rows))


def rewind(store: Path, until: int) -> None:
    """Drop the lines after a step; the resumed run writes them again."""
    write_text(_file(store), "".join(json.dumps(row) + "\n" for row in read(store, until)))
