"""Asking another Python what it has: it is tried there, since what is installed may be broken."""

from __future__ import annotations

import inspect
import json
import subprocess
from dataclasses import dataclass
from typing import Any

from boundary_bench.core.errors import EngineError

#: Longest that the imports may take; those of vLLM from a cold network disk take minutes.
SECONDS = 600
MARK = "found by boundary-bench doctor: "


@dataclass(frozen=True)
class Installed:
    """What a Python has.

    Attributes:
        python: its version.
        version, folder, code: of the boundary_bench that it imports: as installed, where, and a hash of its files.
        gpus: how many torch sees; None where torch was not imported.
        faults: of the statements that were tried, by their names.
    """

    python: str
    version: str
    folder: str
    code: str
    gpus: int | None
    faults: dict[str, str]


def ask(words: list[str], statements: dict[str, str]) -> Installed:
    """Run statements of ours in the Python that a command line starts.

    Raises:
        EngineError: it does not start, or has no boundary_bench.
    """
    program = f"from __future__ import annotations\nfrom typing import Any\n{inspect.getsource(look)}"
    program += f"\nimport json\nprint({MARK!r} + json.dumps(look({statements!r})), flush=True)"
    try:
        done = subprocess.run(
            [*words, "-c", program], capture_output=True, text=True, check=False, timeout=SECONDS, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise EngineError(f"{words[0]} does not run: {fault}") from None
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if not lines:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise EngineError(f"{' '.join(words)} fails: {last}")
    return Installed(**json.loads(lines[-1].removeprefix(MARK)))


def look(statements: dict[str, str]) -> dict[str, Any]:
    """The fields of ``Installed``, in the Python that runs this: its text is sent there, and needs nothing of here."""
    import hashlib
    import platform
    import sys
    from pathlib import Path

    import boundary_bench

    faults = {}
    for name, statement in statements.items():
        try:
            exec(statement, {})
        except BaseException as fault:  # an import may raise anything, SystemExit among it
            faults[name] = " ".join(f"{type(fault).__name__}: {fault}".split())
    folder = Path(boundary_bench.__file__).resolve().parent
    code = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        code.update(f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return {
        "python": platform.python_version(),
        "version": boundary_bench.__version__,
        "folder": str(folder.parent),
        "code": code.hexdigest(),
        "gpus": sys.modules["torch"].cuda.device_count() if "torch" in sys.modules else None,
        "faults": faults,
    }
