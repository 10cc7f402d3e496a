"""Tokens per CPU second of the torch engine against ``generate`` of transformers, on one thread, in one run.

Both draw n responses at temperature 1 to the same countdown dev problems from the same weights, for a base policy and
for one that training has collapsed. generate gets whichever batch size serves it best. A token is a response token,
the end token included; padding is not counted. The contenders take turns problem by problem, so that whatever else
the machine does falls on all of them alike.

    python speed/sampler.py                                      # after: snakemake --cores all
    python speed/sampler.py --base FOLDER --collapsed FOLDER     # any two model folders
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from boundary_bench.benchmarks.countdown import COUNTDOWN
from boundary_bench.core import randomness
from boundary_bench.models.folder import read_manifest
from boundary_bench.sampling.engine import Decoding
from boundary_bench.sampling.torch.engine import TorchEngine, load_engine, sample

QUICKSTART = Path(__file__).resolve().parents[1] / "results/quickstart"
BASE = QUICKSTART / "models/countdown-base/manifest.json"
COLLAPSED = QUICKSTART / "checkpoints/countdown-base--grpo--seed0/step200/manifest.json"
BATCHES = (64, 128, 256, 512, 1024)
MAX_TOKENS = 48
PLAIN, TREE = "torch engine, every sample its own row", "torch engine, prefix tree"
BOUNDS = {PLAIN: 2.0, TREE: 4.0}

#: Draws some responses to one prompt and returns how many tokens they have.
Contender = Callable[[list[int]], int]


@dataclass
class Spent:
    """What one contender has done."""

    tokens: int = 0
    seconds: float = 0.0

    def take(self, contender: Contender, prompt: list[int]) -> None:
        """Run one contender on one prompt, on the CPU clock of this process."""
        begun = time.process_time()
        self.tokens += contender(prompt)
        self.seconds += time.process_time() - begun

    @property
    def rate(self) -> float:
        """Tokens per CPU second."""
        return self.tokens / self.seconds


def generating(model: Any, ends: tuple[int, ...], batch: int, n: int) -> Contender:
    """``generate`` in batches of one prompt, so that nothing is padded; n must be a multiple of the batch."""

    @torch.inference_mode()
    def draw(prompt: list[int]) -> int:
        ids = torch.tensor([prompt])
        tokens = 0
        for _ in range(n // batch):
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=MAX_TOKENS,
                num_return_sequences=batch,
            )
            end_ST = torch.isin(out[:, len(prompt) :], torch.tensor(ends)).long()
            tokens += int((end_ST.cumsum(1) - end_ST == 0).sum())
        return tokens

    return draw


def engine_draw(engine: TorchEngine, n: int, share_prefixes: bool) -> Contender:
    """The torch engine with or without its prefix tree."""
    decoding = Decoding(1.0, 1.0, MAX_TOKENS, engine.ends)

    def draw(prompt: list[int]) -> int:
        seed_PN = randomness.sample_seeds(randomness.key("speed", *prompt), np.arange(n))[None]
        parts = sample(engine.decoder, [prompt], seed_PN, decoding, share_prefixes)
        return sum(int(part.length_S.sum()) for part in parts)

    return draw


def best_batch(model: Any, ends: tuple[int, ...], n: int, prompts: list[list[int]]) -> tuple[int, dict[int, float]]:
    """The batch size with the highest rate on a few prompts, and all rates."""
    rates = {}
    for batch in [size for size in BATCHES if size <= n]:
        spent = Spent()
        for prompt in prompts:
            spent.take(generating(model, ends, batch, max(batch, min(n, BATCHES[-1]))), prompt)
        rates[batch] = spent.rate
    return max(rates, key=lambda size: rates[size]), rates


def measure(folder: Path, n: int, count: int) -> tuple[dict[str, Spent], str]:
    """All contenders on one policy; the first is generate at its best batch size."""
    engine = load_engine(folder, "cpu")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    problems = COUNTDOWN.generate("dev", 0, COUNTDOWN.options)
    chosen = problems[:: max(1, len(problems) // count)][:count]
    prompts = [engine.tokenizer.encode(problem.prompt).ids for problem in chosen]
    for warm_up in (generating(model, engine.ends, 64, 64), engine_draw(engine, 64, True)):
        warm_up(prompts[0])
    batch, rates = best_batch(model, engine.ends, n, [prompts[0], prompts[-1]])
    contenders = {
        f"transformers generate, batch {batch}": generating(model, engine.ends, batch, n),
        PLAIN: engine_draw(engine, n, False),
        TREE: engine_draw(engine, n, True),
    }
    spent = {name: Spent() for name in contenders}
    for prompt in prompts:
        for name, contender in contenders.items():
            spent[name].take(contender, prompt)
    return spent, ", ".join(f"{size}: {rate:,.0f}" for size, rate in rates.items())


def table(policy: str, spent: dict[str, Spent]) -> str:
    """Rows of the Markdown table."""
    first = next(iter(spent.values())).rate
    rows = []
    for name, one in spent.items():
        bound = f"{BOUNDS[name]:.0f}" if name in BOUNDS else ""
        ratio = one.rate / first
        verdict = "" if name not in BOUNDS else "yes" if ratio >= BOUNDS[name] else "no"
        rows.append(
            f"| {policy} | {name} | {one.tokens:,} | {one.seconds:.2f} | {one.rate:,.0f} "
            f"| {ratio:.2f} | {bound} | {verdict} |"
        )
    return "\n".join(rows)


def folder_of(given: Path | None, manifest: Path) -> Path:
    """The given model folder, or the one that the quickstart has made."""
    if given is not None:
        return given
    if not manifest.is_file():
        sys.exit(f"no {manifest}: run the quickstart first (snakemake --cores all), or give --base and --collapsed")
    return read_manifest(manifest)[0]


def main() -> None:
    """Measure both policies and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="model folder (of the quickstart)")
    parser.add_argument("--collapsed", type=Path, help="model folder (grpo at step 200 of the quickstart)")
    parser.add_argument("--n", type=int, default=1024, help="responses per problem, a multiple of 1024 or less (1024)")
    parser.add_argument("--problems", type=int, default=8, help="problems (8)")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    folders = {"base": folder_of(chosen.base, BASE), "collapsed": folder_of(chosen.collapsed, COLLAPSED)}
    print("| policy | sampler | tokens | CPU s | tokens/CPU s | ratio | at least | holds |")
    print("|---|---|---|---|---|---|---|---|")
    notes = []
    for policy, folder in folders.items():
        spent, rates = measure(folder, chosen.n, chosen.problems)
        print(table(policy, spent), flush=True)
        notes.append(f"generate on the {policy} policy, tokens/CPU s by batch size: {rates}")
    print("", *notes, sep="\n")


if __name__ == "__main__":
    main()
