"""The input files of OpenRLHF: the prompts of every step, in order, and the agent that answers and rewards them."""

from __future__ import annotations

import json
from pathlib import Path

from boundary_bench.benchmarks.templates import apply
from boundary_bench.core.files import atomic, write_json, write_text
from boundary_bench.training.openrlhf.command import Start
from boundary_bench.training.rollouts import TrainingJob, prompts_of_step


def write(job: TrainingJob, start: Start, ids: dict[str, list[int]], ends: tuple[int, ...], judgements: Path) -> None:
    """Write the prompt file and the agent's two files.

    Args:
        ids: token ids of every problem's prompt, by problem id.
        ends: EOS token ids.
        judgements: folder of the grader's cached judgements.
    """
    _write_prompts(job, start)
    facts = start.agent.with_suffix(".json")
    write_json(
        facts,
        {
            "training": job.training.model_dump(mode="json"),
            "algorithm": job.algorithm.model_dump(mode="json"),
            "seed": job.seed,
            "base": str(start.base),
            "judgements": str(judgements.absolute()),
            "ids": ids,
            "ends": list(ends),
            "references": {problem.id: problem.reference for problem in job.problems},
        },
    )
    text = "from boundary_bench.training.openrlhf.agent import executor\n\nAgentExecutor = executor({!r})\n"
    write_text(start.agent, text.format(str(facts.absolute())))


def _write_prompts(job: TrainingJob, start: Start) -> None:
    """One line a prompt of a step: steps x prompts lines, since OpenRLHF ends with the file.

    All steps from the first: a state stores the number of prompts taken, and a longer file begins as a shorter one.
    """
    text_of = {
        problem.id: apply(job.prompting.template, problem.prompt, job.prompting.chat) for problem in job.problems
    }
    with atomic(start.prompts) as temporary, open(temporary, "w", encoding="utf-8") as lines:
        for step in range(1, start.stop + 1):
            for slot, problem in enumerate(prompts_of_step(job, step)):
                label = json.dumps({"step": step, "slot": slot, "problem": problem.id})
                lines.write(json.dumps({"prompt": text_of[problem.id], "label": label}) + "\n")
