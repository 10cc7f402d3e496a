"""The matrix of docs/models.md: what the torch engine and the reference trainer make of every architecture.

``python tests/models/architectures.py --write`` makes it anew (three minutes on one core), and keeps what it says of
vLLM: see ``architectures_vllm.py``.
"""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_models import NOT_MADE, VARIANTS, VOCABULARY, make

from boundary_bench.core import randomness
from boundary_bench.core.errors import BoundaryBenchError
from boundary_bench.models.folder import load_model
from boundary_bench.models.forward import plain_logprobs
from boundary_bench.sampling.engine import Decoding
from boundary_bench.sampling.proof import prove
from boundary_bench.sampling.torch.decoder import HubDecoder, LlamaDecoder
from boundary_bench.sampling.torch.engine import TorchEngine, load_engine, sample
from boundary_bench.sampling.torch.hub import WholeDecoder
from boundary_bench.study.sampling import Sampling
from boundary_bench.training.reference import response_logprobs
from boundary_bench.training.rollouts import _pack, join

PAGE = Path(__file__).parents[2] / "docs/models.md"
COMMAND = "python tests/models/architectures.py --write"
BEGIN, END = f"<!-- made by {COMMAND} -->", "<!-- end of what is made -->"
#: Largest difference (nats) of a model that is supported; rounding gives 1e-5.
LIMIT = 1e-4
#: A step of transformers with a cache does not bound the step size of its state from below, the whole sequence does.
LARGER = {"nemotron_h": 2e-3}
DECODERS = {LlamaDecoder: "fast", HubDecoder: "plain", WholeDecoder: "whole"}
#: Tokens of two prompts, and of three responses to each: unequal, and longer than the windows of the models.
PROMPTS, RESPONSES = (3, 12), (3, 11, 8, 1, 5, 10)
REFUSED, TRACEBACK, ABSENT = "refused", "TRACEBACK", "not made"
#: What a cell of vLLM holds before it was tried, and the sentence that counts them.
UNTRIED, VLLM_SAID = "?", re.compile(r"^vLLM .*$", re.MULTILINE)
#: A row of the table of what works, up to its last cell, which is vLLM's.
ROW = re.compile(r"^(\| `([^`]+)` \| [^|]+ \| [^|]+ \| [^|]+ \|) ([^|]+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """What was found of one architecture.

    Attributes:
        decoder: ``fast``, ``plain`` or ``whole``; or ``refused``, ``not made``, ``TRACEBACK``.
        difference: largest one (nats) between the engine and the plain forward pass.
        trainer: the same of the reference trainer; or ``refused``.
        reason: why it is refused.
    """

    decoder: str
    difference: float | None = None
    trainer: float | str = REFUSED
    reason: str | None = None


def names() -> list[str]:
    """Every model type with a causal language model, and the variants."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KNOWN

    return sorted({*KNOWN, *VARIANTS})


def row_of(name: str) -> Row:
    """Make the tiny model of a name, and examine it."""
    if name in NOT_MADE:
        return Row(ABSENT, reason=NOT_MADE[name])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make(name, Path(folder))
        return examine(Path(folder))


def examine(folder: Path) -> Row:
    """What the torch engine and the reference trainer make of a model folder."""
    try:
        engine = load_engine(folder, "cpu")
        largest = prove(engine, folder, Sampling()).largest
        return Row(DECODERS[type(engine.decoder)], largest, trained(engine, load_model(folder, "cpu")))
    except BoundaryBenchError as fault:
        return Row(REFUSED, reason=in_short(str(fault), folder))
    except Exception as fault:
        place = traceback.extract_tb(fault.__traceback__)[-1]
        return Row(TRACEBACK, reason=f"{type(fault).__name__}: {fault} ({Path(place.filename).name}:{place.lineno})")


def in_short(message: str, folder: Path) -> str:
    """The part of a message that says why, in one line without the folder."""
    text = " ".join(message.replace(str(folder), "").split()).lstrip(": ")
    text = re.split(r"; choose|, expected| for this kind of AutoModel", text)[0]
    return text.replace("|", r"\|").replace("<", r"\<")[:200]


def trained(engine: TorchEngine, model: Any) -> float:
    """The largest difference between the trainer's log-probabilities of a padded batch and those of each sequence.

    The gradient is computed too, since some models can be read and not trained.
    """
    ordinary = np.random.default_rng(1).integers(2, 30, max(PROMPTS)).tolist()
    prompts = [ordinary[:length] for length in PROMPTS]
    seed_PN = np.stack([randomness.sample_seeds(randomness.key("architectures", i), np.arange(3)) for i in range(2)])
    drawn = join(list(sample(engine.decoder, prompts, seed_PN, Decoding(1.0, 1.0, max(RESPONSES), ends=()))))
    entropy = float(drawn.entropy_ST.mean())
    assert 0.05 < entropy < 0.97 * math.log(VOCABULARY), f"the tiny model says nothing: its entropy is {entropy:.3g}"
    count = len(RESPONSES)
    drawn = dataclasses.replace(drawn, length_S=np.array(RESPONSES), finished_S=np.zeros(count, dtype=bool))
    rollouts = _pack(drawn, prompts, torch.zeros(count), engine.decoder.device)
    found_NT, _ = response_logprobs(model, rollouts, torch.arange(count), 1.0)
    found_NT[rollouts.mask_NT].sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters()), "a gradient is not finite"
    largest = 0.0
    for ids_T, start, length, found_T in zip(rollouts.ids, rollouts.start_N, rollouts.length_N, found_NT, strict=True):
        alone_T = plain_logprobs(model, ids_T[None, : start + length], int(start))[0]
        largest = max(largest, float((alone_T - found_T[:length]).abs().max()))
    return float(f"{largest:.2g}")


def cells(name: str, row: Row) -> str:
    """A row of the page's tables."""
    if row.decoder in (REFUSED, ABSENT, TRACEBACK):
        return f"| `{name}` | {row.decoder} | {row.reason} |"
    assert row.difference is not None and not isinstance(row.trainer, str)
    return f"| `{name}` | {row.decoder} | {row.difference:.0e} | {row.trainer:.0e} | {UNTRIED} |"


def tables(rows: dict[str, Row]) -> str:
    """What is made of the page: how many there are of each outcome, and the two tables."""
    import transformers

    counts = {kind: sum(row.decoder == kind for row in rows.values()) for kind in (*DECODERS.values(), REFUSED, ABSENT)}
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    works = [cells(name, row) for name, row in rows.items() if row.difference is not None]
    others = [cells(name, row) for name, row in rows.items() if row.difference is None]
    return "\n".join(
        [
            f"transformers {transformers.__version__}, {len(rows)} model types and variants: {said}.",
            "vLLM was not tried.",
            "",
            "| model type | torch engine | largest difference (nats) | trainer (nats) | vLLM (nats) |",
            "|---|---|---|---|---|",
            *works,
            "",
            "## Which do not",
            "",
            "| model type | torch engine and trainer | why |",
            "|---|---|---|",
            *others,
        ]
    )


def with_vllm(page: str, cells: dict[str, str], said: str) -> str:
    """The page with these cells in the column of vLLM, and with the sentence that counts them."""
    page = ROW.sub(lambda found: f"{found[1]} {cells.get(found[2], UNTRIED)} |", page)
    return VLLM_SAID.sub(said, page, count=1)


def documented(page: str) -> dict[str, str]:
    """The outcome of every model type in the page's tables."""
    made = page.partition(BEGIN)[2].partition(END)[0]
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", made, re.MULTILINE))


def examined() -> Iterator[tuple[str, Row]]:
    """All rows, with a line of progress each."""
    for name in names():
        row = row_of(name)
        print(name, row.decoder, row.difference, row.trainer, row.reason or "", flush=True)
        yield name, row


def quiet() -> None:
    """No progress bars and no warnings of transformers."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)


def main() -> None:
    """Print the matrix; with ``--write`` write it into the page."""
    quiet()
    rows = dict(examined())
    if "--write" in sys.argv:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        made, _, after = rest.partition(END)
        known, said = {found[2]: found[3] for found in ROW.finditer(made)}, VLLM_SAID.search(made)
        anew = tables(rows) if not said else with_vllm(tables(rows), known, said[0])
        PAGE.write_text(f"{before}{BEGIN}\n{anew}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
