"""Inspection of another Python: imports are tried there, since an installed package may be broken."""

from __future__ import annotations

import inspect
import json
import subprocess
from dataclasses import dataclass
from typing import Any

from boundary_bench.core.errors import EngineError

#: Timeout of the imports; from a cold network disk vLLM takes minutes.
SECONDS = 600
MARK = "found by boundary-bench doctor: "


@dataclass(frozen=True)
class Installed:
    """The findings about a Python.

    Attributes:
        python: version of Python.
        version, folder, code: version, place and hash of the files of the boundary_bench that it imports.
        gpus: number of GPUs that torch sees; None if torch was not imported.
        faults: errors of the statements that failed, by name.
    """

    python: str
    version: str
    folder: str
    code: str
    gpus: int | None
    faults: dict[str, str]


def ask(words: list[str], statements: dict[str, str]) -> Installed:
    """Try statements, given by name, in the Python that a command line starts.

    Raises:
        EngineError: the Python does not start, or lacks boundary_bench.
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
    """The fields of ``Installed`` for the Python that runs this: ``ask`` sends the source, which must stand alone."""
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
