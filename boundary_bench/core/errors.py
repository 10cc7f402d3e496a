"""The errors a user can cause or meet, one tree, shown without a traceback by the command line.

Every message says what failed, what was found, what was expected and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: "Compared, and something moved."
EXIT_MOVED = 1
EXIT_USER_ERROR = 2
#: "Stopped by a signal with everything saved: run the same command again."
EXIT_RUN_AGAIN = 85


class BoundaryBenchError(Exception):
    """Base of every error that is reported to the user as a message."""


class StudyError(BoundaryBenchError, ValueError):
    """The study file, or a name or number in it, is not usable."""


class DataError(BoundaryBenchError, ValueError):
    """A problem set or a result file is missing, torn or of another shape."""


class ModelError(BoundaryBenchError, ValueError):
    """A model folder cannot be used: files missing, torn, not finite, or not safetensors."""


class EngineError(BoundaryBenchError, RuntimeError):
    """A sampling engine is not installed here, does not start, or broke down; what was drawn is kept."""


class GradingError(BoundaryBenchError, RuntimeError):
    """The grader processes do not start; grades already given are kept."""


class ClusterError(BoundaryBenchError, RuntimeError):
    """The cluster does not answer, or lacks what the jobs need."""


class StoreError(BoundaryBenchError, OSError):
    """A stored file cannot be written, is missing or damaged, or belongs to other settings."""


class TrainingError(BoundaryBenchError, RuntimeError):
    """Training had to stop; the last good checkpoint is kept."""


class StatisticsError(BoundaryBenchError, ValueError):
    """No estimate can be computed from the given numbers."""


class GpuError(BoundaryBenchError, RuntimeError):
    """This machine lacks the GPUs that a job needs, or they cannot be locked."""


class Interrupted(BoundaryBenchError):
    """SIGTERM or SIGINT arrived; the state is saved, and the same command resumes from it."""


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """A sentence with the known words, after the nearest one if one is near.

    >>> did_you_mean("grop", ["grpo", "gspo"])
    "did you mean 'grpo'? Known: grpo, gspo"
    """
    names = sorted(known)
    near = difflib.get_close_matches(found, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}Known: {', '.join(names)}"
