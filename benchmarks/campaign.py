"""Tokens per CPU second of a vLLM campaign against bare ``LLM.generate`` on the same prompts, in one run.

All draw n responses at temperature 1 to the same countdown dev problems from the same weights in one vLLM. The campaign
also grades them and writes them to a store. A token is a response token, the end token included. The contenders take
turns, so that whatever else the machine does falls on all of them alike.

    PYTHON_OF_THE_SAMPLING_ENVIRONMENT benchmarks/campaign.py             # a model that is made here
    PYTHON_OF_THE_SAMPLING_ENVIRONMENT benchmarks/campaign.py --model FOLDER --n 256 --problems 16
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from boundary_bench.benchmarks.base import Problem
from boundary_bench.benchmarks.countdown import COUNTDOWN
from boundary_bench.sampling import vllm_engine
from boundary_bench.sampling.campaign import Campaign, Tell, run
from boundary_bench.statistics.design import Design
from boundary_bench.store import SampleStore
from boundary_bench.study import Pretrain, Sampling

BARE = "generate, n in one request"
ALIKE = "generate, n in one request, seed and log-probabilities"
SINGLE = "generate, one request a response, seed and log-probabilities"
CAMPAIGN = "campaign: graded and stored, n fixed"


def small_model(folder: Path) -> Path:
    """A Qwen2 of 0.8 million parameters, trained enough that it ends its responses."""
    from boundary_bench.training.pretrain import pretrain, save

    shape = {"benchmark": "countdown", "steps": 150, "architecture": "qwen2", "hidden": 128, "layers": 4, "heads": 4}
    settings = Pretrain.model_validate({**shape, "batch": 64})
    model, tokenizer = pretrain(COUNTDOWN, settings, folder / "store", lambda line: None)
    save(model, tokenizer, folder / "model")
    return folder / "model"


def generating(llm: Any, prompts: list[list[int]], n: int, single: bool, **options: Any) -> int:
    """Draw with ``generate``; how many tokens the responses have."""
    from vllm import SamplingParams

    common = {"temperature": 1.0, "max_tokens": options.pop("max_tokens"), "detokenize": False, **options}
    inputs: list[Any] = [{"prompt_token_ids": prompt} for prompt in prompts]
    parameters: Any = SamplingParams(n=n, **common)
    if single:
        inputs = [one for one in inputs for _ in range(n)]
        parameters = [SamplingParams(**{**common, "seed": i}) for i in range(len(inputs))]
    found = llm.generate(inputs, parameters, use_tqdm=False)
    return sum(len(output.token_ids) for request in found for output in request.outputs)


def campaigning(engine: vllm_engine.VllmEngine, problems: list[Problem], design: Design) -> int:
    """Draw with a campaign into an empty store; how many tokens the responses have."""
    import pyarrow.compute as pc

    from boundary_bench.store import read_table

    with tempfile.TemporaryDirectory() as folder:
        store = SampleStore(Path(folder))
        store.greedy.touch()  # the others draw no greedy responses
        chosen = Campaign(COUNTDOWN, problems, engine.sampling, design, ("policy", "benchmark"))
        run(chosen, engine, store, {}, Tell(lambda line: None))
        lengths = [pc.list_value_length(read_table(file, ["tokens"])[0]["tokens"]) for file in store.blocks()]
        return sum(pc.sum(length).as_py() for length in lengths)


def measure(contenders: dict[str, Callable[[], int]], turns: int) -> dict[str, tuple[int, float, float]]:
    """Tokens, CPU seconds and seconds of every contender."""
    spent = dict.fromkeys(contenders, (0, 0.0, 0.0))
    for _ in range(turns):
        for name, contender in contenders.items():
            cpu, clock = time.process_time(), time.perf_counter()
            tokens = contender()
            here = tokens, time.process_time() - cpu, time.perf_counter() - clock
            spent[name] = tuple(a + b for a, b in zip(spent[name], here, strict=True))  # type: ignore[assignment]
    return spent


def main() -> None:
    """Measure all contenders and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="model folder (a small Qwen2 that is made)")
    parser.add_argument("--n", type=int, default=256, help="responses per problem (256)")
    parser.add_argument("--problems", type=int, default=16, help="problems (16)")
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--turns", type=int, default=2)
    given = parser.parse_args()
    folder = given.model or small_model(Path(tempfile.mkdtemp()))
    settings = {"engine": "vllm", "n_max": given.n, "stop_after": None, "max_tokens": given.max_tokens}
    sampling = Sampling.model_validate({**settings, "block": given.n})
    engine = vllm_engine.load_engine(folder, sampling)
    llm = vllm_engine.start(folder, sampling, engine.context)
    engine.llm = llm.llm_engine
    problems = COUNTDOWN.generate("dev", 0, COUNTDOWN.options)
    problems = problems[:: max(1, len(problems) // given.problems)][: given.problems]
    prompts = [engine.tokenizer.encode(problem.prompt).ids for problem in problems]
    limit, said = {"max_tokens": given.max_tokens}, {"logprobs": 0, "seed": 0}
    contenders: dict[str, Callable[[], int]] = {
        BARE: lambda: generating(llm, prompts, given.n, False, **limit),
        ALIKE: lambda: generating(llm, prompts, given.n, False, **limit, **said),
        SINGLE: lambda: generating(llm, prompts, given.n, True, **limit, **said),
        CAMPAIGN: lambda: campaigning(engine, problems, Design((given.n,))),
    }
    generating(llm, prompts[:2], 64, False, **limit)
    spent = measure(contenders, given.turns)
    first = spent[BARE][0] / spent[BARE][1]
    print("| sampler | tokens | CPU s | s | tokens/CPU s | ratio |\n|---|---|---|---|---|---|")
    for name, (tokens, cpu, clock) in spent.items():
        print(f"| {name} | {tokens:,} | {cpu:.1f} | {clock:.1f} | {tokens / cpu:,.0f} | {tokens / cpu / first:.2f} |")


if __name__ == "__main__":
    main()
