"""The command line of OpenRLHF for one segment of a run, with every setting that matters written out.

For ``python -m openrlhf.cli.train_ppo_ray``, version 0.11.2. docs/backends.md has the same as a table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.translate import words
from boundary_bench.core import randomness
from boundary_bench.core.errors import StudyError
from boundary_bench.study.backends import STATES_KEPT, Flag
from boundary_bench.study.training import Training

MODULE = "openrlhf.cli.train_ppo_ray"
Flags = dict[str, Flag]
#: Further flags that would break our use of OpenRLHF, with the reason.
REFUSED = {
    "ckpt.disable_ds": "would leave no state to go on from",
    "ckpt.save_hf": "would fill the disk: every segment leaves its own checkpoint",
    "algo.dynamic_filtering_enable": "would replace prompts, so that a step no longer has those of the study",
    "train.async_enable": "would train on prompts of other steps",
    "reward.overlong_buffer_len": "would change advantages, which are those of the study's algorithm",
    "reward.stop_properly_penalty_coef": "would change advantages, which are those of the study's algorithm",
}


@dataclass(frozen=True)
class Start:
    """One start of OpenRLHF.

    Attributes:
        base: model folder of step 0.
        store: folder of the run; everything OpenRLHF writes goes below it.
        longest: most tokens of a prompt.
        done: the step of the newest sound state.
        stop: the last step.
    """

    base: Path
    store: Path
    seed: int
    longest: int
    done: int
    stop: int

    @property
    def state(self) -> Path:
        """The folder of OpenRLHF's states."""
        return self.store / "state"

    @property
    def final(self) -> Path:
        """The folder of OpenRLHF's model of the last step."""
        return self.store / "final"

    @property
    def prompts(self) -> Path:
        """The file with the prompts of all steps up to the last, in order."""
        return self.store / "prompts.jsonl"

    @property
    def agent(self) -> Path:
        """The Python file from which OpenRLHF loads the agent."""
        return self.store / "agent.py"


def flags(training: Training, algorithm: Algorithm, start: Start) -> Flags:
    """All flags of a start. True stands for a flag without a value.

    Raises:
        StudyError: ``training.openrlhf.flags`` repeats a flag or a prefix of its name, or names a refused flag.
    """
    own = {
        **_places(training, algorithm),
        **words("openrlhf", algorithm),
        **_steps(training, start),
        **_files(training, start),
    }
    for name in training.openrlhf.flags:
        if name in REFUSED or not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", name):
            raise StudyError(
                f"training.openrlhf.flags: {name!r} {REFUSED.get(name, 'is no name of a flag, such as actor.adam.eps')}"
            )
        # OpenRLHF's parser accepts a prefix for the whole name
        if (set_elsewhere := next((flag for flag in own if flag.startswith(name)), None)) is not None:
            raise StudyError(
                f"training.openrlhf.flags: {name} is set by other settings of the study ({set_elsewhere} "
                f"{own[set_elsewhere]}); change those, or drop this line"
            )
    return {**own, **training.openrlhf.flags}


def arguments(flags: Flags) -> list[str]:
    """Flags as words of a command line."""
    words: list[str] = []
    for name, value in flags.items():
        if value is False:
            continue
        words.append(f"--{name}")
        if value is not True:
            words += [str(part) for part in (value if isinstance(value, list) else [value])]
    return words


def state_every(training: Training, stop: int) -> int:
    """Steps between two states: the divisor of ``stop`` nearest to ``training.state_every``, by ratio.

    OpenRLHF saves at multiples of one number, and the last step needs a state from which a longer run can continue.
    """
    wanted = training.state_every
    divisors = [step for step in range(1, stop + 1) if stop % step == 0]
    return min(divisors, key=lambda step: (max(step / wanted, wanted / step), step))


def _places(training: Training, algorithm: Algorithm) -> Flags:
    own, gpu = training.openrlhf, training.device == "cuda"
    return {
        "actor.num_nodes": own.nodes,
        "actor.num_gpus_per_node": own.gpus,
        "ref.num_nodes": own.nodes,
        "ref.num_gpus_per_node": own.gpus,
        "vllm.num_engines": own.vllm_engines,
        "vllm.tensor_parallel_size": own.tensor_parallel,
        "vllm.gpu_memory_utilization": own.gpu_memory_utilization,
        "vllm.sync_backend": "nccl" if gpu else "gloo",
        "vllm.enforce_eager": not gpu,
        "vllm.enable_prefix_caching": True,
        "train.colocate_all": own.colocate,
        "train.colocate_actor_ref": not own.colocate and algorithm.kl.active,
        "vllm.enable_sleep": own.colocate and gpu,
        "ds.enable_sleep": own.colocate and gpu,
        "ds.zero_stage": own.zero_stage,
        "ds.param_dtype": "bf16",
        "ds.adam_offload": own.adam_offload,
        "ds.attn_implementation": own.attention if gpu else "eager",
        "actor.gradient_checkpointing_enable": own.gradient_checkpointing,
    }


def _steps(training: Training, start: Start) -> Flags:
    every = training.updates_per_rollout * training.epochs
    micro = training.openrlhf.micro_batch_of(training.per_update)
    warmup = training.warmup * every
    return {
        "rollout.batch_size": training.prompts,
        "rollout.n_samples_per_prompt": training.rollouts,
        "rollout.micro_batch_size": micro,
        "rollout.max_new_tokens": training.max_tokens,
        "rollout.temperature": training.temperature,
        "rollout.top_p": 1.0,
        "data.max_len": start.longest + training.max_tokens,
        "train.batch_size": training.per_update,
        "train.micro_batch_size": micro,
        "train.max_epochs": training.epochs,
        "train.num_episodes": 1,
        "actor.adam.lr": training.lr,
        "actor.adam.betas": [0.9, 0.95],
        "actor.adam.weight_decay": training.weight_decay,
        "actor.lr_scheduler": "constant_with_warmup",
        # OpenRLHF expects a share of all updates, and rounds up
        "actor.lr_warmup_ratio": max(0.0, warmup - 0.5) / (start.stop * every),
        "actor.max_norm": training.max_grad_norm,
        # nominal, as no bits are repeated; it changes at a resume, or vLLM would draw the same numbers again
        "train.seed": randomness.key("openrlhf", start.seed, start.done) % 2**31,
    }


def _files(training: Training, start: Start) -> Flags:
    return {
        "actor.model_name_or_path": str(start.base),
        "data.prompt_dataset": str(start.prompts),
        "data.input_key": "prompt",
        "data.label_key": "label",
        "train.agent_func_path": str(start.agent),
        "ckpt.path": str(start.state),
        "ckpt.output_dir": str(start.final),
        "ckpt.save_steps": state_every(training, start.stop),
        "ckpt.max_num": STATES_KEPT,
        "ckpt.load_enable": True,
        "ckpt.best_metric_key": "none",
        "logger.tensorboard_dir": str(start.store / "tensorboard"),
        "logger.wandb.run_name": "run",
    }
