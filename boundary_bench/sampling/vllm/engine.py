"""The vLLM engine (Kwon et al. 2023): one request a sample, with enough problems in flight to fill its batch.

Every sample is its own request, since it has its own seed and the missing samples of a problem need not start at 0.
vLLM itself turns a request for n responses into n requests, so the batch is equally full, and computes a shared prompt
once (prefix caching, in whole blocks of tokens). The tokens are drawn by our code in vLLM's worker: see
``sampling.vllm.drawing``.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from boundary_bench.core.errors import EngineError, ModelError
from boundary_bench.models.config import context_of, end_tokens
from boundary_bench.models.folder import check_weights
from boundary_bench.models.tokenizer import load_tokenizer
from boundary_bench.sampling.engine import NO_NUMBERS, Decoding, Responses, Work
from boundary_bench.study.sampling import Sampling

INSTALL = (
    "make an environment for it with: boundary-bench env create sample, and write the line that it prints "
    "(sampling.python) into the study"
)
#: vLLM prints only errors and reports no usage. Its second model runner, the default on GPUs, has another interface for
#: logits processors. A variable that is already set stays.
ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_USE_V2_MODEL_RUNNER": "0",
}
#: By name, since the worker that imports it can be another process.
DRAWING = "boundary_bench.sampling.vllm.drawing"
CPU_CACHE_GIB = 1.0
GIB = 2**30

Result = TypeVar("Result")


def load_engine(folder: Path, sampling: Sampling, log: Callable[[str], None] = lambda line: None) -> VllmEngine:
    """The policy in a model folder, every tensor checked; vLLM itself is not started yet."""
    if find_spec("vllm") is None:
        remedy = f"start this command with {sampling.python} -m boundary_bench" if sampling.python else INSTALL
        raise EngineError(f"engine: vllm, but this Python ({sys.executable}) has no vLLM; {remedy}")
    config = check_weights(folder)
    tokenizer, ends = load_tokenizer(folder), end_tokens(folder)
    limits = [sampling.vllm.max_model_len, context_of(config)]
    context = min((limit for limit in limits if limit), default=None)
    # files of at most one full batch: while the successor of one is decided, others keep the batch full
    file_samples = min(sampling.batch, sampling.vllm.max_num_seqs)
    return VllmEngine(tokenizer, ends, context, file_samples, folder, sampling, log)


@dataclass(frozen=True)
class _Response:
    """One finished response, without vLLM's other fields, which take a hundred bytes a token."""

    token_T: np.ndarray
    logprob_T: np.ndarray
    entropy_T: np.ndarray
    finished: bool


@dataclass(eq=False)
class _Asked:
    """The samples of one problem that are in flight; ``responses`` in the order of their indices."""

    work: Work
    place: int
    responses: list[_Response | None]
    left: int


@dataclass(eq=False)
class VllmEngine:
    """A policy in vLLM: see ``engine.Engine``."""

    tokenizer: Any
    ends: tuple[int, ...]
    context: int | None
    file_samples: int | None
    folder: Path
    sampling: Sampling
    log: Callable[[str], None]
    llm: Any = field(default=None, init=False)
    names: Iterator[int] = field(default_factory=count, init=False)

    def start(self) -> None:
        """See ``engine.Engine.start``."""
        if self.llm is None:
            begun = time.perf_counter()
            self.log("starting vLLM, which takes a while")
            self.llm = start(self.folder, self.sampling, self.context).llm_engine
            self.log(f"vLLM is ready after {time.perf_counter() - begun:.0f} s")

    def stream(self, work: Iterator[Work | None]) -> Iterator[tuple[Work, Responses] | None]:
        """See ``engine.Engine.stream``: several pieces of work in flight; a problem is yielded with its last sample."""
        asked: dict[str, tuple[_Asked, int]] = {}
        # a full batch and another one in the queue, so that a row that ends is replaced in the same step
        room = 2 * self.sampling.vllm.max_num_seqs
        try:
            while True:
                while len(asked) < room and (item := next(work, None)) is not None:
                    self._add(item, asked)
                if not asked:
                    return
                whole = []
                for name, response in self._ended(self._do(self.llm.step)):
                    problem, index = asked.pop(name)
                    problem.responses[index] = response
                    problem.left -= 1
                    if not problem.left:
                        whole.append(problem)
                for problem in whole:
                    yield problem.work, _responses(problem)
                if not whole:
                    yield None
        finally:
            if asked:
                with suppress(Exception):  # an engine that broke down has nothing left to abandon
                    self.llm.abort_request(list(asked))
                    self.llm.collective_rpc("forget_drawn", args=(list(map(int, asked)),))

    def _add(self, work: Work, asked: dict[str, tuple[_Asked, int]]) -> None:
        """Queue every sample of a piece of work."""
        from vllm.inputs import tokens_input

        common, decoding = _parameters(work.decoding), work.decoding
        for place, (prompt, seed_B) in enumerate(zip(work.prompts, work.seed_GB, strict=True)):
            problem = _Asked(work, place, [None] * len(seed_B), len(seed_B))
            for index, seed in enumerate(seed_B.tolist()):
                name, parameters = next(self.names), copy(common)
                drawn = {"name": name, "seed": seed, "temperature": decoding.temperature, "top_p": decoding.top_p}
                parameters.extra_args = drawn
                self._do(partial(self.llm.add_request, str(name), tokens_input(prompt), parameters))
                asked[str(name)] = problem, index

    def _ended(self, outputs: Sequence[Any]) -> Iterator[tuple[str, _Response]]:
        """The requests that ended in a step, by name."""
        if not outputs:
            return
        found = [(output.request_id, *_tokens(output.outputs[0])) for output in outputs]
        names, lengths = [int(name) for name, _, _ in found], [len(token_T) for _, token_T, _ in found]
        # every worker drew the same tokens
        drawn, *_ = self._do(partial(self.llm.collective_rpc, "take_drawn", args=(names, lengths)))
        logprob_A, entropy_A = np.frombuffer(drawn, np.float32).reshape(2, -1)
        if not np.isfinite(logprob_A).all():
            raise ModelError(NO_NUMBERS)
        ends = np.cumsum(lengths)[:-1]
        kept = zip(found, np.split(logprob_A, ends), np.split(entropy_A, ends), strict=True)
        for (name, token_T, finished), logprob_T, entropy_T in kept:
            yield name, _Response(token_T, logprob_T, entropy_T, finished)

    def _do(self, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except Exception as fault:  # vLLM raises whatever its parts raise
            raise EngineError(
                f"vLLM broke down while it sampled {self.folder}: {type(fault).__name__}: {fault}. What was drawn is "
                "kept: run the same command again; what vLLM printed above names the cause (memory: lower "
                "sampling.vllm.max_num_seqs or gpu_memory_utilization)"
            ) from fault


def start(folder: Path, sampling: Sampling, context: int | None) -> Any:
    """vLLM (``vllm.LLM``) on the weights of a folder.

    Raises:
        EngineError: vLLM cannot be imported, was built for another device than the study's, or does not start.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"vllm\.")
    try:
        from vllm import LLM
        from vllm.platforms import current_platform
    except Exception as fault:  # a broken install fails with errors of any kind
        raise EngineError(
            f"vLLM in this Python ({sys.executable}) cannot be imported: {type(fault).__name__}: {fault}; {INSTALL}. "
            "On a machine without GPU the CUDA builds of torchvision, torchaudio and torchcodec break it: remove them"
        ) from fault
    check_platform(current_platform.device_type, sampling.device)
    alone = sampling.device == "cpu"
    if alone:
        # a separate engine process would mean two more processes on a CPU, and would survive if this one is killed
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    chosen = sampling.vllm
    cache = chosen.kv_cache_gib or (CPU_CACHE_GIB if alone else None)
    try:
        return LLM(
            str(folder),
            trust_remote_code=False,
            skip_tokenizer_init=True,
            load_format="safetensors",
            generation_config="vllm",
            dtype=chosen.dtype,
            max_model_len=context,
            tensor_parallel_size=chosen.tensor_parallel,
            gpu_memory_utilization=chosen.gpu_memory_utilization,
            kv_cache_memory_bytes=None if cache is None else int(cache * GIB),
            max_num_seqs=chosen.max_num_seqs,
            enforce_eager=alone if chosen.enforce_eager is None else chosen.enforce_eager,
            enable_prefix_caching=True,
            logits_processors=[f"{DRAWING}:Drawing"],
            worker_extension_cls=f"{DRAWING}.DrawingWorker",
            use_tqdm_on_load=False,
        )
    except Exception as fault:  # vLLM raises whatever its parts raise
        raise EngineError(
            f"vLLM does not start on {folder}: {type(fault).__name__}: {fault}; what it printed above names the cause. "
            "For memory, lower sampling.vllm.max_model_len, max_num_seqs or gpu_memory_utilization"
        ) from fault


def check_platform(found: str, device: str) -> None:
    """Refuse a study's device that differs from the one vLLM was built for, which alone decides."""
    if found == device:
        return
    where = f"this vLLM computes on: {found}" if found else "this vLLM finds no device that it was built for"
    other = f"write sampling.device: {found}, or " if found in ("cpu", "cuda") else ""
    raise EngineError(
        f"sampling.device: {device}, but {where} ({sys.executable}); {other}make an environment with: "
        f"boundary-bench env create sample --device {device}"
    )


def _parameters(decoding: Decoding) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=0.0,  # the drawing leaves one token
        max_tokens=decoding.max_tokens,
        # the same EOS tokens as the torch engine; vLLM would add those of its own reading of the folder
        ignore_eos=True,
        stop_token_ids=list(decoding.ends),
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
    )


def _tokens(output: Any) -> tuple[np.ndarray, bool]:
    """The tokens of a finished response, and whether it ended by itself."""
    if output.finish_reason not in ("stop", "length"):
        raise EngineError(
            f"vLLM ended a response with {output.finish_reason!r}, expected 'stop' or 'length'; what was drawn "
            "is kept: run the same command again"
        )
    return np.array(output.token_ids, np.int32), output.finish_reason == "stop"


def _responses(problem: _Asked) -> Responses:
    """The samples of one problem in the order of their indices."""
    length_S = np.array([len(response.token_T) for response in problem.responses])
    shape = len(length_S), int(length_S.max())
    token_ST, logprob_ST, entropy_ST = (np.zeros(shape, kind) for kind in (np.int32, np.float32, np.float32))
    for row, (response, length) in enumerate(zip(problem.responses, length_S, strict=True)):
        token_ST[row, :length], logprob_ST[row, :length] = response.token_T, response.logprob_T
        entropy_ST[row, :length] = response.entropy_T
    finished_S = np.array([response.finished for response in problem.responses])
    prompt_S = np.full(len(length_S), problem.place)
    return Responses(prompt_S, token_ST, logprob_ST, entropy_ST, length_S, finished_S)
