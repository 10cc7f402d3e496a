"""Tokens per CPU second of a vLLM campaign against bare ``LLM.generate`` on the same prompts, in one run.

All draw n responses at temperature 1 to the same countdown dev problems from the same weights: ``generate`` in a vLLM
without our drawing, the campaign in the vLLM engine, beside each other in one process. The campaign also grades
responses and writes them to a store, and every one has its own seed, its log-probability and its entropy. vLLM takes
longer for seeds and log-probabilities, so that ``generate`` is measured without and with them. A token is a response
token, the end token included.

    PYTHON_OF_THE_SAMPLING_ENVIRONMENT benchmarks/campaign.py             # a model that is made here
    PYTHON_OF_THE_SAMPLING_ENVIRONMENT benchmarks/campaign.py --model FOLDER --n 256 --problems 16
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import contenders
import numpy as np
from contenders import PLAIN_VLLM, Drawn

from boundary_bench.sampling.vllm import engine as vllm_engine
from boundary_bench.statistics.design import Design
from boundary_bench.study.sampling import Sampling

BARE = "generate, n in one request"
ALIKE = "generate, n in one request, seed and log-probabilities"
CAMPAIGN = "campaign: graded and stored, n fixed"


def generating(llm: Any, prompts: list[list[int]], n: int, **options: Any) -> Drawn:
    """Draw with ``generate``."""
    from vllm import SamplingParams

    inputs: list[Any] = [{"prompt_token_ids": prompt} for prompt in prompts]
    parameters = SamplingParams(n=n, temperature=1.0, detokenize=False, **options)
    found = llm.generate(inputs, parameters, use_tqdm=False)
    return Drawn(lambda: np.array([len(output.token_ids) for request in found for output in request.outputs]))


def campaigning(engine: Any, problems: list[Any], design: Design) -> Drawn:
    """Draw with a campaign."""
    folder = tempfile.TemporaryDirectory()
    store = contenders.campaign(engine, engine.sampling, problems, design, Path(folder.name))

    def lengths() -> np.ndarray:
        with folder:
            return contenders.stored_lengths(store)

    return Drawn(lengths)


def main() -> None:
    """Measure all contenders and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="model folder (a small Qwen2 that is made)")
    parser.add_argument("--n", type=int, default=256, help="responses per problem (256)")
    parser.add_argument("--problems", type=int, default=16, help="problems (16)")
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--turns", type=int, default=4)
    given = parser.parse_args()
    folder = given.model or contenders.small_model(Path(tempfile.mkdtemp()))
    settings = {"engine": "vllm", "n_max": given.n, "stop_after": None, "max_tokens": given.max_tokens}
    engine = vllm_engine.load_engine(folder, Sampling.model_validate({**settings, "block": given.n}))
    contenders.prepare_vllm()
    from vllm import LLM

    llm = LLM(str(folder), max_model_len=engine.context, skip_tokenizer_init=True, **PLAIN_VLLM)
    engine.start()
    problems = contenders.some_problems(given.problems)
    prompts = [engine.tokenizer.encode(problem.prompt).ids for problem in problems]
    limit = {"max_tokens": given.max_tokens}
    alike = {**limit, "seed": 0, "logprobs": 0, "flat_logprobs": True}
    sides: dict[str, Callable[[], Drawn]] = {
        BARE: partial(generating, llm, prompts, given.n, **limit),
        ALIKE: partial(generating, llm, prompts, given.n, **alike),
        CAMPAIGN: partial(campaigning, engine, problems, Design((given.n,))),
    }
    for options in (limit, alike):  # what is compiled when it is first used is no speed of a sampler
        generating(llm, prompts, 64, **options)
    campaigning(engine, problems[:2], Design((given.n,)))
    spent = contenders.take_turns(sides, given.turns)
    head = ["sampler", "tokens", "CPU s", "s", "tokens/CPU s", "ratio", "ratio to alike"]
    rows = []
    for name, one in spent.items():
        ratios = [f"{one.speed / spent[other].speed:.2f}" for other in (BARE, ALIKE)]
        rows.append([name, f"{one.tokens:,}", f"{one.cpu:.1f}", f"{one.seconds:.1f}", f"{one.speed:,.0f}", *ratios])
    contenders.print_table(head, rows)


if __name__ == "__main__":
    main()
