"""The cost of a study before anything runs: jobs, samples, tokens, GPU-hours, disk.

Counts come from the plan. Everything else follows from assumptions, which are printed with their values. An unknown
quantity is None, and its source names the command or option that supplies it.

Axes: P success rates of problems.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote

from boundary_bench.core.errors import StudyError
from boundary_bench.core.files import read_json
from boundary_bench.plan import Plan
from boundary_bench.plan.jobs import Job, jobs
from boundary_bench.plan.stages import Key
from boundary_bench.study.backends import BACKENDS, STATES_KEPT
from boundary_bench.study.training import Training

#: Quantiles at which the success rates of problems are taken.
RATES = 400
#: Tokens of a prompt with its template; at most ``max_tokens``.
PROMPT_TOKENS = 200
#: Mean length of a response as a share of ``max_tokens``.
RESPONSE_SHARE = 1 / 3
#: Bytes of a stored token with its text, measured on a million synthetic responses of 200 tokens (speed/storage.py).
SAMPLE_BYTES = 3.5
#: Dense bfloat16 peak of an H100 SXM by its data sheet, in TFLOP/s.
TERAFLOPS = 989.0
#: Shares of the peak that updates and drawing reach; drawing is limited by memory and waits for the longest response.
#: SimpleRL-Zoo (arXiv 2503.18892), 7B, some 100 steps of 8,192 responses, took 240 hours of an H100 with its
#: evaluations; this forecasts half of that at 700 tokens a response.
UPDATE_UTILISATION, DRAW_UTILISATION = 0.2, 0.05
#: Operations per parameter and token, two per pass. Update: one pass for the old log-probabilities, one forward, two
#: backward, one more if activations are recomputed. Drawing: one pass.
OLD_LOGPROBS, FORWARD_BACKWARD, RECOMPUTED, DRAWN = 2, 6, 2, 2
#: Bytes per parameter in a state of ``pretrain``: Muon has one moment.
PRETRAIN_STATE_BYTES = 8


@dataclass(frozen=True)
class Quantity:
    """A value and its source. If the value is unknown (None), ``source`` tells how to find it."""

    value: float | None
    source: str


@dataclass(frozen=True)
class Assumptions:
    """The assumptions of a forecast, on quantities that the study does not settle.

    Attributes:
        success_rate: mean success rate m of the problems, which are spread as Beta(m, 1 - m): most are nearly always
            or nearly never solved.
        response_tokens: mean length of a response, in sampling and in training; None: a third of ``max_tokens``.
        teraflops: dense 16-bit peak of a GPU, in TFLOP/s; it determines the throughputs that are not given.
        train_tokens_per_second, sample_tokens_per_second: throughput of one GPU, for every model: of prompts and
            responses in updates, and of drawn tokens.

    Raises:
        StudyError: a number is not positive, or ``success_rate`` is not below 1.
    """

    success_rate: float = 0.5
    response_tokens: float | None = None
    teraflops: float = TERAFLOPS
    train_tokens_per_second: float | None = None
    sample_tokens_per_second: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            most = 1 if name == "success_rate" else math.inf
            if value is not None and not 0 < value < most:
                below = " and below 1" if most == 1 else ""
                raise StudyError(f"--{name.replace('_', '-')}: found {value}, expected a number above 0{below}")


@dataclass(frozen=True)
class SetForecast:
    """The samples of one policy on one benchmark, without the greedy response to each problem."""

    problems: Quantity
    least: float | None
    expected: float | None
    most: float | None


@dataclass(frozen=True)
class ModelForecast:
    """A base model, all its runs and all its policies.

    Attributes:
        trained_tokens: tokens in the updates of all runs, prompts included.
        rolled_tokens: tokens drawn in training.
        sampled_tokens: tokens drawn by ``sample`` and ``probe``.
        train_hours, sample_hours: GPU-hours; rollouts count as training.
        chain_hours: wall time of one whole run and the longest ``sample`` job after it.
        disk: bytes by kind of file.
    """

    parameters: Quantity
    update_rate: Quantity
    rollout_rate: Quantity
    sample_rate: Quantity
    runs: int
    policies: int
    trained_tokens: float
    rolled_tokens: float
    sampled_tokens: float | None
    train_hours: float | None
    sample_hours: float | None
    chain_hours: float | None
    disk: dict[str, float | None]


@dataclass(frozen=True)
class Forecast:
    """The forecast of a study."""

    study: str
    jobs: dict[str, int]
    chain: list[str]
    benchmarks: dict[str, SetForecast]
    models: dict[str, ModelForecast]
    assumed: dict[str, str]


def forecast(plan: Plan, assumptions: Assumptions) -> Forecast:
    """The forecast of a whole study, even if parts of it are done.

    Raises:
        DataError, ModelError: an existing file of problems or weights is damaged.
    """
    per_problem = samples_of_a_problem(plan, assumptions.success_rate)
    benchmarks = {name: _set(plan, name, per_problem) for name in plan.study.benchmarks}
    models = {name: _model(plan, name, assumptions, benchmarks) for name in plan.weighed}
    found = jobs(plan)
    counts = dict(Counter(job.stage.name for job in found))
    return Forecast(plan.study.study, counts, chain(found), benchmarks, models, assumed(plan, assumptions))


def chain(found: Sequence[Job]) -> list[str]:
    """The stages of the longest chain of jobs that wait for each other.

    Args:
        found: jobs, each after those that it waits for.
    """
    longest: dict[Key, tuple[int, Key | None]] = {}
    for job in found:
        before = max(job.needs, key=lambda key: longest[key][0], default=None)
        longest[job.key] = (1 + longest[before][0] if before else 1, before)
    stages, last = [], max(longest, key=lambda key: longest[key][0], default=None)
    while last:
        stages.append(last[0])
        last = longest[last][1]
    return stages[::-1]


def samples_of_a_problem(plan: Plan, success_rate: float) -> tuple[float, float, float]:
    """The least, expected and largest number of samples of a problem under the plan's design.

    Expected: the mean over the quantiles of Beta(m, 1 - m) of the exact expectation at each success rate. Samples
    without a score, which others replace, are not counted.
    """
    import numpy as np
    from scipy.special import betaincinv

    from boundary_bench.statistics.sequential import expected_samples

    p_P = betaincinv(success_rate, 1 - success_rate, (np.arange(RATES) + 0.5) / RATES)
    expected = float(expected_samples(plan.design, p_P).mean())
    return float(plan.design.stops[0]), expected, float(plan.design.n_max)


def problems(plan: Plan, name: str) -> Quantity:
    """The number of problems of a benchmark or the training set: from its file if prepared, else from its settings."""
    path, chosen = plan.problems(name), plan.problem_sets[name]
    if path.is_file():
        from boundary_bench.benchmarks.problem_file import read_problems

        return Quantity(len(read_problems(path)), "prepared")
    asked, source = getattr(chosen.options, "problems", None), chosen.kind.source
    if chosen.entry.data is None:
        if isinstance(asked, dict):
            return Quantity(sum(asked.values()), "its options")
        if source:
            rows = source.problems[chosen.entry.split]
            return Quantity(min(rows, asked or rows), "rows of the set, before repeats and long ones are left out")
        if asked:
            return Quantity(asked, "at most, as its options say")
    return Quantity(None, f"run: boundary-bench prepare {quote(str(plan.path))} --benchmark {name}")


def parameters(plan: Plan, name: str) -> Quantity:
    """The number of parameters of a base model: from its files if they are here, else from its settings or name."""
    model, manifest = plan.study.models[name], plan.model(name)
    folder = Path(model.path) if model.path else None
    if folder is None and manifest.is_file():
        folder = manifest.parent / read_json(manifest)["path"]
    if folder and any(folder.glob("*.safetensors")):
        from boundary_bench.models.folder import parameters

        return Quantity(parameters(folder), "its files")
    if model.pretrain:
        return Quantity(model.pretrain.parameters, "its settings")
    if model.hub and (named := re.search(r"(?<![\w.])(\d+(?:\.\d+)?)B(?![A-Za-z])", model.hub)):
        return Quantity(float(named[1]) * 1e9, "its name, right to a tenth")
    return Quantity(None, f"run: boundary-bench pretrain {quote(str(plan.path))} --model {name}")


def _product(*factors: float | None) -> float | None:
    return None if None in factors else math.prod(factors)  # type: ignore[arg-type]


def total(*terms: float | None) -> float | None:
    """The sum; None if a term is None."""
    return None if None in terms else sum(terms)  # type: ignore[arg-type]


def _hours(tokens: float | None, rate: Quantity) -> float | None:
    if tokens == 0:
        return 0
    return None if tokens is None or rate.value is None else tokens / rate.value / 3600


def _set(plan: Plan, name: str, per_problem: tuple[float, float, float]) -> SetForecast:
    found = problems(plan, name)
    return SetForecast(found, *(_product(found.value, each) for each in per_problem))


def response_tokens(max_tokens: int, assumptions: Assumptions) -> float:
    """The assumed mean length of a response."""
    return min(assumptions.response_tokens or max_tokens * RESPONSE_SHARE, max_tokens)


def prompt_tokens(max_tokens: int) -> int:
    """The assumed length of a prompt: at most ``max_tokens``, as short responses go with short prompts."""
    return min(PROMPT_TOKENS, max_tokens)


def update_operations(training: Training) -> int:
    """Operations of an update per parameter and token."""
    chosen = {"openrlhf": training.openrlhf, "trl": training.trl}.get(training.backend)
    again = chosen is not None and chosen.gradient_checkpointing
    return OLD_LOGPROBS + FORWARD_BACKWARD + RECOMPUTED * again


def estimable(plan: Plan) -> tuple[bool, bool, bool]:
    """Whether updates, rollouts and sampling are 16-bit work on a GPU: only its throughput can be estimated."""
    training, sampling = plan.study.training, plan.study.sampling
    sample = sampling.engine == "vllm" and sampling.vllm.dtype != "float32" and sampling.device == "cuda"
    if training is None:
        return False, False, sample
    half = training.backend == "openrlhf" or (training.backend == "trl" and training.trl.dtype == "bfloat16")
    update = half and training.device == "cuda"
    rollout = update and (training.backend == "openrlhf" or training.trl.vllm)
    return update, rollout, sample


def _rates(plan: Plan, size: Quantity, assumptions: Assumptions) -> tuple[Quantity, Quantity, Quantity]:
    """Tokens per second of one GPU, in updates, rollouts and sampling."""
    gpu, (updates, rollouts, samples) = assumptions.teraflops * 1e12, estimable(plan)

    def rate(given: float | None, option: str, known: bool, flops: int, share: float) -> Quantity:
        if given:
            return Quantity(given, option)
        if not known:
            return Quantity(None, f"known for 16-bit GPU work alone; measure it on your machine and give {option}")
        if size.value is None:
            return Quantity(None, f"follows from the parameters ({size.source}); or give {option}")
        return Quantity(
            gpu * share / (flops * size.value), f"{share:.0%} of the peak, {flops} operations a parameter and token"
        )

    train, sample = assumptions.train_tokens_per_second, assumptions.sample_tokens_per_second
    drawing = rate(sample, "--sample-tokens-per-second", samples, DRAWN, DRAW_UTILISATION)
    if plan.study.training is None:
        nothing = Quantity(0, "nothing is trained")
        return nothing, nothing, drawing
    operations = update_operations(plan.study.training)
    return (
        rate(train, "--train-tokens-per-second", updates, operations, UPDATE_UTILISATION),
        rate(sample, "--sample-tokens-per-second", rollouts, DRAWN, DRAW_UTILISATION),
        drawing,
    )


def _run(training: Training | None, assumptions: Assumptions) -> tuple[float, float, int]:
    """Tokens drawn and tokens processed in the updates of one run, and its GPUs."""
    if training is None:
        return 0, 0, 1
    responses = training.segments[-1] * training.prompts * training.rollouts
    drawn = responses * response_tokens(training.max_tokens, assumptions)
    processed = (responses * prompt_tokens(training.max_tokens) + drawn) * training.epochs
    gpus = training.openrlhf.nodes * training.openrlhf.gpus if training.backend == "openrlhf" else 1
    return drawn, processed, gpus


def _model(plan: Plan, name: str, assumptions: Assumptions, benchmarks: dict[str, SetForecast]) -> ModelForecast:
    study = plan.study
    runs = [run for run in plan.trained if run.model == name]
    policies = sum(policy.model == name and not plan.stored(policy) for policy in plan.policies)
    size = parameters(plan, name)
    update, rollout, sample = _rates(plan, size, assumptions)
    drawn, processed, gpus = _run(study.training, assumptions)
    run_hours = total(_hours(drawn, rollout), _hours(processed, update))
    # of one policy; one greedy response a problem is drawn beside the samples
    length = response_tokens(study.sampling.max_tokens, assumptions)
    tokens = [_product(total(each.expected, each.problems.value), length) for each in benchmarks.values()]
    continued = len(study.probe.fractions) if study.probe else 0
    probed = [_product(each.problems.value, continued, length) for each in benchmarks.values()]
    sampled = total(_product(policies, total(*tokens)), *probed)
    longest = None if None in tokens else max(each for each in tokens if each is not None) / study.sampling.shards
    return ModelForecast(
        parameters=size,
        update_rate=update,
        rollout_rate=rollout,
        sample_rate=sample,
        runs=len(runs),
        policies=policies,
        trained_tokens=processed * len(runs),
        rolled_tokens=drawn * len(runs),
        sampled_tokens=sampled,
        train_hours=_product(run_hours, len(runs)),
        sample_hours=_hours(sampled, sample),
        chain_hours=total(
            _product(run_hours, 1 / gpus), _product(_hours(longest, sample), 1 / study.sampling.vllm.tensor_parallel)
        ),
        disk=_disk(plan, name, size, len(runs), sampled),
    )


def _disk(plan: Plan, name: str, size: Quantity, runs: int, sampled_tokens: float | None) -> dict[str, float | None]:
    training = plan.study.training
    bytes_of = {"hub": 2, "pretrain": 4 + STATES_KEPT * PRETRAIN_STATE_BYTES, "path": 0}
    given = [each for run, entry in plan.given.items() if run.model == name for each in entry.checkpoints.values()]
    base, *others = [
        sum(bytes_of[s] for s in bytes_of if getattr(each, s, None)) for each in (plan.study.models[name], *given)
    ]
    kept, states = sum(others), 0
    if training:
        backend = BACKENDS[training.backend]
        kept += runs * len(training.segments) * backend.checkpoint_bytes
        states = runs * STATES_KEPT * backend.state_bytes
    return {
        "base model": _product(size.value, base),
        "checkpoints": _product(size.value, kept),
        "trainer states": _product(size.value, states),
        "samples": _product(sampled_tokens, SAMPLE_BYTES),
    }


def assumed(plan: Plan, assumptions: Assumptions) -> dict[str, str]:
    """The assumptions in use, each with its value and the option that changes it."""
    study, m = plan.study, assumptions.success_rate
    share = ", a third of max_tokens" if assumptions.response_tokens is None else ""
    lengths, prompt = [f"{response_tokens(study.sampling.max_tokens, assumptions):,.0f} tokens sampling"], {}
    disk = [f"a sampled token takes {SAMPLE_BYTES} bytes"]
    if training := study.training:
        backend = BACKENDS[training.backend]
        lengths.append(f"{response_tokens(training.max_tokens, assumptions):,.0f} training")
        tokens = prompt_tokens(training.max_tokens)
        prompt = {"prompt": f"{tokens} tokens, its template included; counted in updates alone"}
        states = f"{backend.state_bytes} in each of {STATES_KEPT} states a run"
        disk.append(f"a parameter {backend.checkpoint_bytes} in a checkpoint, {states}")
    return {
        "success rates": f"spread over problems as Beta({m:g}, {1 - m:g}), mean {m:g} (--success-rate)",
        "response": f"{', '.join(lengths)}{share} (--response-tokens)",
        **prompt,
        **_assumed_rates(plan, assumptions),
        "disk": "; ".join(disk),
        "not counted": "starts of jobs, a KL term's pass, samples that replace timeouts, the stages on the CPU",
    }


def _assumed_rates(plan: Plan, assumptions: Assumptions) -> dict[str, str]:
    update, *draws = estimable(plan)
    train, sample = assumptions.train_tokens_per_second, assumptions.sample_tokens_per_second
    rates = {"drawing": (sample, any(draws), DRAW_UTILISATION, DRAWN, "--sample-tokens-per-second")}
    if training := plan.study.training:
        operations = update_operations(training)
        updates = (train, update, UPDATE_UTILISATION, operations, "--train-tokens-per-second")
        rates = {"updates": updates, **rates}
    found = {}
    for name, (given, known, share, flops, option) in rates.items():
        if given:
            found[name] = f"{given:g} tokens/s of a GPU ({option})"
        elif known:
            peak = f"{assumptions.teraflops:g} TFLOP/s dense 16-bit (H100 SXM: 989, A100: 312; --teraflops)"
            found["GPU"] = peak
            found[name] = f"{share:.0%} of that, {flops} operations a parameter and token ({option})"
    return found
