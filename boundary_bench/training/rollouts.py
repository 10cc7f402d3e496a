"""The rollouts of one training step: prompts, responses and rewards.

Axes: P prompts, G responses of a prompt, N = P x G rollouts, T tokens of a prompt and its response (padded), S samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.benchmarks.base import Kind, Problem
from boundary_bench.benchmarks.templates import RAW, Prompting
from boundary_bench.core import randomness
from boundary_bench.grading import JudgeAll, judge_here
from boundary_bench.sampling.block import texts
from boundary_bench.sampling.engine import Decoding, Responses
from boundary_bench.sampling.torch.decoder import Decoder, LlamaDecoder, supports
from boundary_bench.sampling.torch.engine import sample
from boundary_bench.sampling.torch.hub import hub_decoder
from boundary_bench.study.training import Training
from boundary_bench.training.rewards import rewards


@dataclass(frozen=True)
class TrainingJob:
    """A training run: everything that its numbers depend on, and the judge that runs the grader.

    A benchmark with an isolated grader needs a ``grading.judging.Judge``.
    """

    algorithm: Algorithm
    training: Training
    kind: Kind
    problems: list[Problem]
    seed: int
    prompting: Prompting = RAW
    judge: JudgeAll = judge_here


@dataclass(frozen=True)
class Rollouts:
    """One step's responses with their rewards. Axes: N = prompts x rollouts samples, T tokens (padded).

    ``start_N`` is the prompt length of each sample; ``ids`` holds prompt and response tokens, right-padded.
    """

    ids: Tensor
    start_N: Tensor
    length_N: Tensor
    old_logprob_NT: Tensor
    mask_NT: Tensor
    reward_N: Tensor
    facts: dict[str, float]


def prompts_of_step(job: TrainingJob, step: int) -> list[Problem]:
    """The problems of a step, as the algorithm chooses them."""
    chosen = job.algorithm.data(job.seed, step, job.training.prompts, len(job.problems))
    return [job.problems[place] for place in chosen]


def roll_out(job: TrainingJob, decoder: Decoder, tokenizer: Tokenizer, ends: tuple[int, ...], step: int) -> Rollouts:
    """Sample and reward one step's responses."""
    settings, problems = job.training, prompts_of_step(job, step)
    prompts = [job.prompting.ids(tokenizer, problem.prompt) for problem in problems]
    index_G = np.arange(settings.rollouts)
    seed_PG = np.stack(
        [
            randomness.sample_seeds(randomness.key("rollout", job.seed, step, slot), index_G)
            for slot in range(len(prompts))
        ]
    )
    decoding = Decoding(settings.temperature, 1.0, settings.max_tokens, ends)
    drawn = join(list(sample(decoder, prompts, seed_PG, decoding)))
    said = texts(tokenizer, drawn)
    reward_N = rewards(settings, job.seed, step, problems, job.kind.grader, said, drawn.finished_S, job.judge)
    return _pack(drawn, prompts, torch.tensor(reward_N), decoder.device)


def masses(reward_N: Tensor, advantage_N: Tensor, group: int) -> dict[str, float]:
    """The step log's share of groups with a learning signal, and its positive and negative advantage mass."""
    reward_PG = reward_N.view(-1, group)
    return {
        "live_groups": float((reward_PG != reward_PG[:, :1]).any(1).float().mean()),
        "positive_mass": float(advantage_N.clamp(min=0).mean()),
        "negative_mass": float((-advantage_N).clamp(min=0).mean()),
    }


def join(parts: list[Responses]) -> Responses:
    """Several groups of responses as one."""
    fields = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Responses.__annotations__}
    return Responses(**fields)


def _pack(drawn: Responses, prompts: list[list[int]], reward_N: Tensor, device: torch.device) -> Rollouts:
    length_N = torch.from_numpy(drawn.length_S)
    start_N = torch.tensor([len(prompts[p]) for p in drawn.prompt_S])
    width = int(length_N.max())
    ids = torch.zeros(len(start_N), int((start_N + length_N).max()), dtype=torch.long)
    for i, (p, n) in enumerate(zip(drawn.prompt_S, drawn.length_S, strict=True)):
        ids[i, : len(prompts[p])] = torch.tensor(prompts[p])
        ids[i, len(prompts[p]) : len(prompts[p]) + n] = torch.from_numpy(drawn.token_ST[i, :n])
    mask_NT = torch.arange(width)[None] < length_N[:, None]
    facts = {
        "reward": float(reward_N.mean()),
        "entropy": float(drawn.entropy_ST.sum(dtype=np.float64) / drawn.length_S.sum()),
        "response_length": float(drawn.length_S.mean()),
        "truncated": float(1 - drawn.finished_S.mean()),
    }
    old_logprob_NT = torch.from_numpy(drawn.logprob_ST[:, :width])
    return Rollouts(*(x.to(device) for x in (ids, start_N, length_N, old_logprob_NT, mask_NT, reward_N)), facts)


def decoder_of(model: nn.Module) -> Decoder:
    """The fastest decoder that computes this model exactly, with its current weights."""
    config = model.config.to_dict()
    return LlamaDecoder(config, dict(model.named_parameters())) if supports(config) else hub_decoder(model)
