"""Patches inside OpenRLHF's processes, applied by Ray's own hooks; OpenRLHF's files stay unchanged.

Prompts are taken in the order of the prompt file: OpenRLHF shuffles them with an unseeded generator, so no two runs
would meet the same prompts, and a longer prompt file would not continue a shorter one. Advantages are the agent's:
every OpenRLHF estimator subtracts a mean, which excludes advantages that do not sum to 0, such as negative ones alone.
The metrics of a step go to a file as well as to the screen.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

#: Environment variables that carry the step file and the device into every process, on every machine.
STEPS, DEVICE = "BOUNDARY_BENCH_STEPS", "BOUNDARY_BENCH_DEVICE"
#: First words of a step's line in OpenRLHF's log.
SIGN = "✨ Global step "

Patch = Callable[[ModuleType], None]


def runtime_env(given: dict[str, Any] | None) -> dict[str, Any]:
    """The runtime environment: RAY_RUNTIME_ENV_HOOK calls this in the driver, and every worker calls ``install``."""
    install()
    found = dict(given or {})
    passed = {name: os.environ[name] for name in os.environ.get("BOUNDARY_BENCH_PASS", "").split(",") if name}
    found["env_vars"] = {**found.get("env_vars", {}), **passed}
    found["worker_process_setup_hook"] = f"{__name__}.install"
    return found


def install() -> None:
    """Patch modules now if imported, else when they are imported, since most of Ray's processes need none of them."""
    patches: dict[str, Patch] = {
        "openrlhf.utils.deepspeed.deepspeed": in_file_order,
        "openrlhf.trainer.ppo_utils.experience_maker": as_given,
        "openrlhf.trainer.ppo_trainer": tell_steps,
    }
    if os.environ.get(DEVICE) == "cpu":
        from boundary_bench.training import cpu_shim

        patches |= cpu_shim.PATCHES
    when_imported(patches)


def in_file_order(module: ModuleType) -> None:
    """Take prompts in the order of their file."""
    original = module.DeepspeedStrategy.setup_dataloader

    def setup_dataloader(
        self: Any, rows: Any, batch: int, pin: bool = False, shuffle: bool = True, *rest: Any, **named: Any
    ) -> Any:
        return original(self, rows, batch, pin, False, *rest, **named)

    module.DeepspeedStrategy.setup_dataloader = setup_dataloader


def as_given(module: ModuleType) -> None:
    """Use the reward of a response as its advantage: nothing is subtracted or divided; compare its log-probability.

    OpenRLHF compares vLLM with the trainer for the token ratio alone. Where vLLM reports the log-probabilities that it
    draws from, at temperature 1, the agent's sum is compared for every ratio.
    """
    original = module.RemoteExperienceMaker.compute_advantages_and_returns

    def compute_advantages_and_returns(self: Any, experiences: Any) -> Any:
        chosen = self.strategy.args.algo.advantage
        # the estimator selects means and deviations; the sum of returns over tokens is fixed before
        kept, chosen.estimator = chosen.estimator, None
        try:
            found = original(self, experiences)
        finally:
            chosen.estimator = kept
        if self.strategy.args.rollout.temperature == 1.0:
            for experience in found:
                mask_NT, own_NT = experience.action_mask, experience.action_log_probs.float()
                sampled_N = -experience.info["surprisal"].to(own_NT)
                experience.info["vllm_kl"] = (sampled_N - (own_NT * mask_NT).sum(1)) / mask_NT.sum(1).clamp(min=1)
        return found

    module.RemoteExperienceMaker.compute_advantages_and_returns = compute_advantages_and_returns


def tell_steps(module: ModuleType) -> None:
    """Write the line of every step to the run's file too, since Ray may lose the last printed lines."""
    handler = logging.FileHandler(os.environ[STEPS], encoding="utf-8")
    handler.addFilter(lambda record: record.getMessage().startswith(SIGN))
    module.logger.addHandler(handler)


def when_imported(patches: dict[str, Patch]) -> None:
    """Apply each patch to its module: now, or right after it has been imported."""
    waiting = {}
    for name, patch in patches.items():
        if name in sys.modules:
            patch(sys.modules[name])
        else:
            waiting[name] = patch
    sys.meta_path.insert(0, _Finder(waiting))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, waiting: dict[str, Patch]) -> None:
        self.waiting = waiting

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        patch = self.waiting.pop(name, None)
        spec = importlib.util.find_spec(name) if patch else None
        if spec is None or spec.loader is None or patch is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
