"""The forecast as text: aligned tables, then every assumption, then the unknown quantities."""

from __future__ import annotations

from itertools import groupby

from boundary_bench.core.text import UNKNOWN, aligned, number
from boundary_bench.operations.forecast import Forecast, total


def text(found: Forecast) -> str:
    """The whole forecast; of stored samples alone, which cost nothing, the jobs."""
    parts = [_jobs(found)]
    if found.models:
        parts += [_samples(found), _models(found), _disk(found), _assumptions(found), _unknown(found)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _jobs(found: Forecast) -> list[str]:
    steps = [(stage, len(list(group))) for stage, group in groupby(found.chain)]
    way = ", ".join(f"{count} x {stage}" if count > 1 else stage for stage, count in steps)
    rows = [[stage, number(count)] for stage, count in found.jobs.items()]
    rows = [["jobs", ""], *rows, ["all", number(sum(found.jobs.values()))]]
    return [*aligned(rows), f"longest chain: {len(found.chain)} jobs ({way})"]


def _samples(found: Forecast) -> list[str]:
    rows = [["samples of a policy", "problems", "at least", "expected", "at most"]]
    columns = [[s.problems.value, s.least, s.expected, s.most] for s in found.benchmarks.values()]
    rows += [[name, *map(number, cells)] for name, cells in zip(found.benchmarks, columns, strict=True)]
    sums = [total(*column) for column in zip(*columns, strict=True)]
    policies = sum(model.policies for model in found.models.values())
    rows.append(["all benchmarks", *map(number, sums)])
    every = [None if each is None else each * policies for each in sums[1:]]
    return aligned([*rows, [f"all {number(policies)} policies", "", *map(number, every)]])


def _models(found: Forecast) -> list[str]:
    columns = ["parameters", "runs", "drawn in", "updated on", "hours", "policies", "sampled", "hours"]
    rows = [["tokens, GPU-hours", *columns]]
    for name, model in found.models.items():
        trained = [model.runs, model.rolled_tokens, model.trained_tokens, model.train_hours]
        sampled = [model.policies, model.sampled_tokens, model.sample_hours]
        rows.append([name, *map(number, (model.parameters.value, *trained, *sampled))])
    models = found.models.values()
    added = ["runs", "rolled_tokens", "trained_tokens", "train_hours", "policies", "sampled_tokens", "sample_hours"]
    sums = [total(*(getattr(model, name) for model in models)) for name in added]
    rows.append(["all", "", *map(number, sums)])
    hours = [model.chain_hours for model in models if model.chain_hours is not None]
    longest = f"{number(max(hours))} at least" if len(hours) == len(models) else f"{UNKNOWN}, see below"
    return [*aligned(rows), f"hours of the longest chain, one run and its longest sample: {longest}"]


def _disk(found: Forecast) -> list[str]:
    parts = list(next(iter(found.models.values())).disk)
    rows = [["disk", *parts, "all"]]
    sizes = [list(model.disk.values()) for model in found.models.values()]
    for name, row in zip(found.models, sizes, strict=True):
        rows.append([name, *(number(size, "B") for size in (*row, total(*row)))])
    sums = [total(*column) for column in zip(*sizes, strict=True)]
    return aligned([*rows, ["all", *(number(size, "B") for size in (*sums, total(*sums)))]])


def _assumptions(found: Forecast) -> list[str]:
    lines = [f"{name}: {value}" for name, value in found.assumed.items()]
    sources: dict[str, list[str]] = {}
    for name, each in found.benchmarks.items():
        if each.problems.value is not None:
            sources.setdefault(each.problems.source, []).append(name)
    lines += [f"problems of {', '.join(names)}: {source}" for source, names in sources.items()]
    for name, model in found.models.items():
        if model.parameters.value is not None:
            lines.append(f"parameters of {name}: {model.parameters.source}")
        rates = {"updates": model.update_rate, "rollouts": model.rollout_rate, "sampling": model.sample_rate}
        known = [f"{number(rate.value)} in {label}" for label, rate in rates.items() if rate.value]
        if known:
            lines.append(f"tokens/s of a GPU, {name}: {', '.join(known)}")
    return ["assumed", *(f"  {line}" for line in lines)]


def _unknown(found: Forecast) -> list[str]:
    figures = {f"problems of {name}": each.problems for name, each in found.benchmarks.items()}
    for name, model in found.models.items():
        figures[f"parameters of {name}"] = model.parameters
        rates = {"updates": model.update_rate, "rollouts": model.rollout_rate, "sampling": model.sample_rate}
        figures |= {f"tokens/s of {name} in {label}": rate for label, rate in rates.items()}
    sources: dict[str, list[str]] = {}
    for name, figure in figures.items():
        if figure.value is None:
            sources.setdefault(figure.source, []).append(name)
    lines = [f"  {', '.join(names)}: {source}" for source, names in sources.items()]
    return ["unknown", *lines] if lines else []
