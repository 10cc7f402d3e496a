"""The column of vLLM in the matrix of docs/models.md, in the sampling environment.

``PYTHON_OF_THE_SAMPLING_ENVIRONMENT tests/models/architectures_vllm.py --write`` makes it anew; names of model types
in front of ``--write`` try these alone.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from architectures import PAGE, ROW, UNTRIED, with_vllm

from boundary_bench.core.errors import BoundaryBenchError
from boundary_bench.sampling.vllm.engine import ENVIRONMENT
from boundary_bench.study.sampling import Sampling

SETTINGS = Sampling.model_validate({"engine": "vllm", "vllm": {"kv_cache_gib": 0.1, "max_num_seqs": 8}})
#: Seconds for one model type.
PATIENCE = 240
UNKNOWN, FAILS, DIFFERS = "no", "not on a CPU", "refused"


def cell_of(name: str) -> tuple[str, str]:
    """The cell of a model type, and the reason where vLLM does not work; in a process of its own, which may die."""
    here, there = get_context("fork").Pipe()
    process = get_context("fork").Process(target=_tried, args=(name, there))
    process.start()
    there.close()
    try:
        return here.recv() if here.poll(PATIENCE) else (FAILS, f"nothing after {PATIENCE} s")
    except EOFError:
        process.join()
        return FAILS, f"the process ended with {process.exitcode}"
    finally:
        with suppress(ProcessLookupError):  # with what vLLM has started
            os.killpg(process.pid, signal.SIGKILL)
        process.join()


def _tried(name: str, answer: Connection) -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    answer.send(tried(name))


def tried(name: str) -> tuple[str, str]:
    """The largest difference (nats) between vLLM and a plain forward pass of transformers; or why there is none."""
    from tiny_models import make
    from vllm import ModelRegistry

    from boundary_bench.models.config import read_config
    from boundary_bench.sampling.proof import prove
    from boundary_bench.sampling.vllm.engine import load_engine

    with tempfile.TemporaryDirectory() as folder:
        try:
            make(name, Path(folder))
        except Exception as fault:
            return UNTRIED, f"cannot be made: {type(fault).__name__}: {fault}"
        known = set(ModelRegistry.get_supported_archs()) & set(read_config(Path(folder)).get("architectures") or [])
        try:
            engine = load_engine(Path(folder), SETTINGS)
            engine.start()
        except BoundaryBenchError as fault:
            return FAILS if known else UNKNOWN, str(fault)
        try:
            return f"{prove(engine, Path(folder), SETTINGS).largest:.0e}", ""
        except BoundaryBenchError as fault:
            return DIFFERS if "differ" in str(fault) else FAILS, str(fault)


def main() -> None:
    """Print the cells of every model type that the torch engine reads; with ``--write`` write them into the page."""
    import torch
    import transformers
    import vllm

    os.environ.update(ENVIRONMENT, VLLM_ENABLE_V1_MULTIPROCESSING="0")
    # imported once, and not again in the process of each model type
    from vllm import LLM  # noqa: F401
    from vllm.v1.worker import cpu_model_runner  # noqa: F401

    torch.set_num_threads(1)
    page = PAGE.read_text(encoding="utf-8")
    cells = {found[2]: found[3] for found in ROW.finditer(page)}
    asked = [name for name in sys.argv[1:] if not name.startswith("--")]
    for name in asked or list(cells):
        cells[name], reason = cell_of(name)
        print(name, cells[name], " ".join(reason.split())[:300], flush=True)
    words = {word: sum(cell == word for cell in cells.values()) for word in (DIFFERS, FAILS, UNKNOWN, UNTRIED)}
    counts = {"as transformers": len(cells) - sum(words.values()), **words}
    said = (
        f"vLLM {vllm.__version__} (CPU build, with transformers {transformers.__version__}): "
        + ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        + "."
    )
    if "--write" in sys.argv:
        # read anew, since half an hour has passed
        PAGE.write_text(with_vllm(PAGE.read_text(encoding="utf-8"), cells, said), encoding="utf-8")
    print(said)


if __name__ == "__main__":
    main()
