"""The tables of a study: which there are, what names their rows."""

from __future__ import annotations

BASE = "base"
ALL = "all"
Row = dict[str, str]
_RUN = ("model", "algorithm", "seed")
_CHECKPOINT = (*_RUN, "step", "benchmark", "stratum")
#: The columns that name a row of each table.
KEYS: dict[str, tuple[str, ...]] = {
    "differences": (*_CHECKPOINT, "k"),
    "boundary": _CHECKPOINT,
    "coverage": (*_CHECKPOINT, "hits"),
    "stages": (*_RUN, "benchmark", "stratum", "measure", "k"),
    "summary": _CHECKPOINT,
    "pass_at_k": (*_CHECKPOINT, "k"),
    "cover": (*_CHECKPOINT, "threshold"),
}
#: Those of them that a run, its last checkpoint and a benchmark settle.
UNIT = frozenset(_CHECKPOINT)
