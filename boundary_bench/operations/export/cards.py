"""Cards in Markdown with a YAML header: one of the study, and one of each checkpoint, for the hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import yaml

from boundary_bench.claims.claim import load_claims
from boundary_bench.claims.verdicts import ClaimVerdict, judge
from boundary_bench.core.text import attempts, decimals, interval
from boundary_bench.operations.export.every_eval_ever import Record, of_policy
from boundary_bench.operations.export.source import Exported, unit_of
from boundary_bench.report.limits import limits
from boundary_bench.statistics.intervals import INTERVAL
from boundary_bench.study.policies import Policy
from boundary_bench.study.study import Model
from boundary_bench.tables.formats import Pivot, markdown
from boundary_bench.tables.reading import Subject, base_of

TAGS = ["boundary-bench", "rlvr", "pass-at-k"]


def result_card(source: Exported) -> str:
    """The study on one page: what was compared, how, the results, their limits, and how to repeat it."""
    plan, code = source.plan, source.provenance.code
    name = plan.study.study
    date = datetime.fromtimestamp(source.made, UTC).date().isoformat()
    found = judge(load_claims(), source.tables)
    verdicts = {str(verdict): sum(each.verdict == verdict for each in found.claims) for verdict in ClaimVerdict}
    claims = {**verdicts, "tests": found.tested, "decided": found.decided, "false_discovery_rate": found.rate}
    front = {**_what(source), "date": date, "commit": code.commit, "claims": claims, "headline": [*_headline(source)]}
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, default_flow_style=None, width=1000, allow_unicode=True)}---",
        f"# {name}: does reinforcement learning shrink or expand what the model can solve?",
        "The last checkpoint of every run against its base, paired over the same problems, with "
        f"{100 * source.tables.level:g} % intervals: {INTERVAL}. Ahead is who solves more "
        "at small k, and until which k; gained and lost are problems whose success rate changed for sure.",
        *(markdown(_table(source, benchmark)) for benchmark in plan.study.benchmarks),
        "## Claims of the literature",
        f"Of {len(found.claims)} claims: {', '.join(f'{count} {verdict}' for verdict, count in verdicts.items())}. Of "
        f"the {found.decided} decided among {found.tested} tests at most {found.rate:.2%} are false, on average. "
        "`boundary-bench claims` prints every number.",
        "## What this cannot show",
        "\n".join(f"- {each.text}" for each in limits(plan)),
        "## How to repeat it",
        f"At commit {code.commit or 'unknown'}{', which had local changes' if code.dirty else ''}:",
        f"```sh\nsnakemake --cores all --config study={name}\nboundary-bench export {name}\n```",
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _what(source: Exported) -> dict[str, Any]:
    """The header of the result card: what was compared, and settings of sampling and statistics."""
    study, designs = source.plan.study, source.plan.designs
    analysis = study.analysis.model_dump(mode="json", exclude={"ks"})
    drawn: dict[str, Any] = {"n_max": [design.n_max for design in designs]}
    if source.plan.design in designs:
        drawn = {"n_max": source.plan.design.n_max, "stop_after": source.plan.design.stop_after}
        drawn["temperature"] = study.sampling.temperature
    return {
        "pretty_name": f"boundary-bench: {study.study}",
        "tags": TAGS,
        "study": study.study,
        "models": {name: model.hub or _source(model) for name, model in study.models.items()},
        "algorithms": source.plan.labels,
        "seeds": source.plan.seeds,
        "steps": source.plan.steps,
        "benchmarks": {name: source.plan.problem_sets[name].kind.name for name in study.benchmarks},
        "version": source.provenance.packages.get("boundary-bench"),
        "statistics": {**analysis, **drawn},
    }


def _source(model: Model) -> str:
    """Which of its sources a model has."""
    return next(name for name in model.sources if getattr(model, name) is not None).replace("pretrain", "pretrained")


def _ks(source: Exported) -> list[int]:
    """The smallest, the middle and the largest k."""
    ks = source.plan.study.ks
    return sorted({ks[0], ks[len(ks) // 2], ks[-1]})


def _units(source: Exported) -> list[Subject]:
    """Every run at its last evaluated step, on every benchmark."""
    plan = source.plan
    last = [plan.policies_of(run)[-1] for run in plan.runs]
    return [unit_of(policy, benchmark) for benchmark in plan.study.benchmarks for policy in last]


def _headline(source: Exported) -> Iterator[dict[str, Any]]:
    for unit in _units(source):
        for k in _ks(source):
            row = source.row("differences", unit, k=k)
            names = ("base", "checkpoint", "difference", "low", "high")
            numbers = {name: source.value("differences", row, name) for name in names}
            change = source.cell("differences", row, "change")
            yield {**vars(unit), "seed": int(unit.seed), "k": k, **numbers, "change": change}


def _table(source: Exported, benchmark: str) -> Pivot:
    ks = _ks(source)
    changes = [f"pass@{k}, minus the base's" for k in ks]
    header = ["model", "algorithm", "seed", "step", *changes, "ahead", "gained", "lost", "greedy", "the base's"]
    rows = [_line(source, unit, ks) for unit in _units(source) if unit.benchmark == benchmark]
    return Pivot(benchmark, header, rows, 4)


def _line(source: Exported, unit: Subject, ks: list[int]) -> list[str]:
    boundary = source.row("boundary", unit)
    leader, crossing = (source.cell("boundary", boundary, name) for name in ("leader", "crossover"))
    if crossing != "inf":
        crossing = attempts(source.value("boundary", boundary, "crossover"))
    return [
        *(unit.model, unit.algorithm, unit.seed, str(unit.step)),
        *(_interval(source, "differences", source.row("differences", unit, k=k), "difference", "+") for k in ks),
        leader and (f"{leader} always" if crossing == "inf" else f"{leader} until k = {crossing}"),
        *(source.cell("boundary", boundary, name) for name in ("gained", "lost")),
        *(_greedy(source, of) for of in (unit, base_of(unit))),
    ]


def _greedy(source: Exported, unit: Subject) -> str:
    """Accuracy of the greedy responses, which stored samples do not have."""
    if source.plan.stored(source.plan.policy(unit.policy)):
        return ""
    return _interval(source, "summary", source.row("summary", unit), "greedy")


def _interval(source: Exported, table: str, row: dict[str, str], column: str, sign: str = "") -> str:
    ends = ("low", "high") if table == "differences" else (f"{column}_low", f"{column}_high")
    return interval(*(decimals(source.value(table, row, name), 3, sign) for name in (column, *ends)))


def model_card(source: Exported, policy: Policy, records: Mapping[str, Record]) -> str:
    """A checkpoint's card; the hub shows its ``model-index`` as evaluation results."""
    from huggingface_hub import EvalResult, ModelCardData

    assert policy.run
    mine = of_policy(records, policy)
    results = []
    for result in (result for record in mine for result in record["evaluation_results"]):
        data, metric, score = (result[name] for name in ("source_data", "metric_config", "score_details"))
        interval = score["uncertainty"]["confidence_interval"]
        results.append(
            EvalResult(
                task_type="text-generation",
                dataset_type=data["dataset_name"],
                dataset_name=result["evaluation_name"],
                dataset_config=result["evaluation_name"],
                dataset_split=data["additional_details"]["split"],
                metric_type=metric["metric_id"],
                metric_name=metric["metric_name"],
                metric_value=score["score"],
                metric_args={
                    **metric.get("metric_parameters", {}),
                    "low": interval["lower"],
                    "high": interval["upper"],
                },
            )
        )
    base = source.plan.study.models[policy.model].hub
    front = ModelCardData(
        base_model=base,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=[*TAGS, policy.run.algorithm],
        model_name=policy.name,
        eval_results=results,
    )
    text = (
        f"{policy.run.algorithm} with seed {policy.run.seed}, step {policy.step}, from {base or policy.model}; a "
        f"checkpoint of the study {source.plan.study.study} of boundary-bench. sha256 of the weights: "
        f"{mine[0]['model_info']['additional_details']['weights_sha256']}. The numbers above are shares of problems "
        f"with {100 * source.tables.level:g} % intervals (low, high) by {INTERVAL}."
    )
    return f"---\n{front.to_yaml()}\n---\n\n# {policy.name}\n\n{text}\n"
