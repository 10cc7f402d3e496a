"""The tables of a report: the fragments of every stage, checked to be exactly what the study asks for."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boundary_bench import provenance
from boundary_bench.compare import COUNTS, HITS
from boundary_bench.errors import DataError
from boundary_bench.files import read_json, write_json, write_text
from boundary_bench.measure import identify, number, strata, write_csv
from boundary_bench.plan import Plan, Policy, Run
from boundary_bench.store import read_problems, read_table

Row = dict[str, str]

#: What the training table keeps of the step log: everything but the wall times, which differ between repeats.
TRAINING_COLUMNS = (
    "step",
    "reward",
    "entropy",
    "clip_fraction",
    "gradient_norm",
    "response_length",
    "truncated",
    "live_groups",
    "positive_mass",
    "negative_mass",
    "updates",
)


@dataclass(frozen=True)
class Tables:
    """Every row of a study's results, in the order of the study.

    Attributes:
        counts: columns of ``problems.parquet`` of each (policy name, benchmark).
        weights: sha256 of the weights of each policy.
        samples: sha256 of every sample file of each policy and benchmark.
    """

    pass_at_k: list[Row]
    summary: list[Row]
    differences: list[Row]
    coverage: list[Row]
    training: list[Row]
    counts: dict[tuple[str, str], dict[str, np.ndarray]]
    weights: dict[str, str]
    samples: dict[str, dict[str, dict[str, str]]]


def collect(plan: Plan) -> Tables:
    """Read all fragments of a study.

    Raises:
        DataError: a file is missing, or holds other policies, benchmarks, problems, strata, k or n than the
            study asks for.
    """
    tables = Tables([], [], [], [], [], {}, {}, {})
    for benchmark in plan.study.benchmarks:
        problems = read_problems(plan.problems(benchmark))
        names = list(strata([problem.stratum for problem in problems]))
        ids = [problem.id for problem in problems]
        for policy in plan.policies:
            tables.counts[policy.name, benchmark] = _counts(plan, policy, benchmark, ids)
            _add_measures(plan, policy, benchmark, names, tables)
        for run in plan.runs:
            _add_comparison(plan, run, benchmark, names, tables)
    _check_agreement(tables)
    for policy in plan.policies:
        tables.weights[policy.name], tables.samples[policy.name] = _declared(plan, policy)
    for run in plan.runs:
        tables.training.extend(_training(plan, run))
    return tables


def _declared(plan: Plan, policy: Policy) -> tuple[str, dict[str, dict[str, str]]]:
    """Hashes of a policy's weights and of its sample files, all made with the settings that the study has now."""
    expected = plan.train_settings(policy.run) if policy.run else plan.model_settings(policy.model)
    path = plan.weights(policy)
    _expect(path, "settings", provenance.fingerprint(_field(path, "settings")), provenance.fingerprint(expected))
    weights = _field(path, "weights_sha256")
    samples = {}
    for benchmark in plan.study.benchmarks:
        path = plan.samples(policy, benchmark)
        expected = provenance.fingerprint(plan.sample_settings(benchmark))
        _expect(path, "settings", _field(path, "settings"), expected)
        _expect(path, "weights", _field(path, "weights"), weights)
        samples[benchmark] = _field(path, "files")
    return weights, samples


def _field(path: Path, name: str) -> Any:
    found = read_json(path)
    if name not in found:
        raise DataError(f"{path}: found no {name!r}, expected a manifest; delete it and run the same command again")
    return found[name]


def _expect(path: Path, what: str, found: str, expected: str) -> None:
    if found != expected:
        raise DataError(
            f"{path} was made with {what} {found[:12]}, expected {expected[:12]}: the study has changed since; delete "
            "the file and run the same command again"
        )


def _counts(plan: Plan, policy: Policy, benchmark: str, ids: list[str]) -> dict[str, np.ndarray]:
    path = plan.measures(policy, benchmark) / "problems.parquet"
    table, facts = read_table(path)
    if facts.get("settings") != (settings := plan.analysis_settings("measure")):
        raise DataError(
            f"{path}: found settings {facts.get('settings')}, expected {settings}; run the measure stage again"
        )
    if table.column("problem_id").to_pylist() != ids:
        raise DataError(f"{path} is of other problems than {plan.problems(benchmark)}; run the measure stage again")
    return {name: table.column(name).to_numpy(zero_copy_only=False) for name in COUNTS}


def _add_measures(plan: Plan, policy: Policy, benchmark: str, names: list[str], tables: Tables) -> None:
    folder, identity = plan.measures(policy, benchmark), identify(policy, benchmark)
    expected = [{**identity, "stratum": name, "k": k} for name in names for k in plan.study.ks]
    tables.pass_at_k.extend(read_rows(folder / "pass_at_k.csv", expected))
    expected = [{**identity, "stratum": name} for name in names]
    tables.summary.extend(read_rows(folder / "summary.csv", expected))


def _add_comparison(plan: Plan, run: Run, benchmark: str, names: list[str], tables: Tables) -> None:
    places = []
    for policy in plan.policies_of(run)[1:]:
        identity = {key: value for key, value in identify(policy, benchmark).items() if key != "policy"}
        places += [{**identity, "stratum": name} for name in names]
    folder = plan.comparison(run, benchmark)
    expected = [{**place, "k": k} for place in places for k in plan.study.ks]
    tables.differences.extend(read_rows(folder / "differences.csv", expected))
    expected = [{**place, "hits": hits} for place in places for hits in HITS if hits <= plan.study.sampling.n_max]
    tables.coverage.extend(read_rows(folder / "coverage.csv", expected))


def read_rows(path: Path, expected: Sequence[dict[str, Any]]) -> list[Row]:
    """The rows of a CSV fragment, which must be for exactly the expected keys, in their order.

    Raises:
        DataError: the file is missing or its rows are others; the message names the first that differs.
    """
    try:
        with open(path, encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run the stage that makes it (snakemake does)") from None
    except (UnicodeDecodeError, csv.Error) as fault:
        raise DataError(f"{path} is torn ({fault}); delete it and run the same command again") from None
    wanted = [{name: str(value) for name, value in key.items()} for key in expected]
    found = [{name: row.get(name) for name in wanted[0]} for row in rows]
    for place, (row, key) in enumerate(zip(found, wanted, strict=False), 1):
        if row != key:
            raise DataError(
                f"{path}, row {place}: found {row}, expected {key}; the study has changed since: delete the "
                "file and run the same command again"
            )
    torn = [place for place, row in enumerate(rows, 1) if None in row or None in row.values()]
    if torn or len(rows) != len(wanted):
        raise DataError(
            f"{path}: found {len(rows)} rows, {len(torn)} of them torn, expected {len(wanted)}; "
            "delete the file and run the same command again"
        )
    return rows


def _check_agreement(tables: Tables) -> None:
    """A comparison that is older than its measures would show other numbers than they do."""
    names = ("model", "algorithm", "seed", "step", "benchmark", "stratum", "k")
    estimates = {tuple(row[name] for name in names): row["estimate"] for row in tables.pass_at_k}
    for row in tables.differences:
        key = tuple(row[name] for name in names)
        base = (row["model"], "base", "", "0", *key[4:])
        if (row["base"], row["checkpoint"]) != (estimates[base], estimates[key]):
            raise DataError(
                f"differences of {'/'.join(key)}: found base {row['base']} and checkpoint "
                f"{row['checkpoint']}, expected {estimates[base]} and {estimates[key]} as measured; run the "
                "compare stage again"
            )


def _training(plan: Plan, run: Run) -> Iterable[Row]:
    """The step log of a run, one row a step."""
    for stop in plan.study.training.segments:
        path = plan.checkpoint(run, stop).parent / "log.jsonl"
        try:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            steps = [row["step"] for row in rows]
            cells = [{name: row[name] for name in TRAINING_COLUMNS} for row in rows]
        except FileNotFoundError:
            raise DataError(f"{path} is missing; run the train stage again (snakemake does)") from None
        except (ValueError, KeyError, TypeError) as fault:
            raise DataError(f"{path} is no step log ({fault!r}); delete it and run the train stage again") from None
        expected = list(range(plan.previous(stop) + 1, stop + 1))
        if steps != expected:
            odd = sorted(set(steps) ^ set(expected))[:3] or "another order"
            raise DataError(
                f"{path}: found {len(steps)} steps, expected {expected[0]} to {expected[-1]}, each once in "
                f"order (differing: {odd}); delete it and run the train stage again"
            )
        whose = {"model": run.model, "algorithm": run.algorithm, "seed": str(run.seed)}
        yield from ({**whose, **{name: number(value) for name, value in row.items()}} for row in cells)


def record(plan: Plan, tables: Tables) -> dict[str, Any]:
    """Where the results come from: settings, code, packages, machine, and hashes of weights and samples."""
    study = plan.study
    fingerprints = {
        "problems": {name: plan.problem_settings(name) for name in plan.problem_sets},
        "models": {name: plan.model_settings(name) for name in study.models},
        "runs": {run.name: plan.train_settings(run) for run in plan.runs},
        "samples": {name: plan.sample_settings(name) for name in study.benchmarks},
        "analysis": {stage: plan.analysis_settings(stage) for stage in ("measure", "compare", "report")},
    }
    return {
        "study": study.model_dump(mode="json", exclude_none=True),
        "fingerprints": {
            kind: {name: provenance.fingerprint(settings) for name, settings in each.items()}
            for kind, each in fingerprints.items()
        },
        **provenance.record(),
        "weights_sha256": tables.weights,
        "samples_sha256": tables.samples,
    }


def write(plan: Plan, tables: Tables, pivots: dict[str, list[Pivot]]) -> None:
    """Write the CSV tables, their readable versions and ``provenance.json``: same results, same bytes."""
    folder = plan.root / "tables"
    for name, parts in pivots.items():
        write_csv(folder / f"{name}.csv", getattr(tables, name))
        write_text(folder / f"{name}.md", "\n".join(markdown(part) for part in parts))
    write_json(folder / "provenance.json", record(plan, tables))


@dataclass(frozen=True)
class Pivot:
    """A table for reading: the first ``labels`` columns name the row, the others hold numbers."""

    title: str
    header: list[str]
    rows: list[list[str]]
    labels: int


def make_pivots(plan: Plan, tables: Tables) -> dict[str, list[Pivot]]:
    """Compact versions of every table; the CSV files hold all columns and strata."""
    benchmarks = list(plan.study.benchmarks)
    who, level = ["model", "algorithm", "seed", "step"], f"{100 * plan.study.analysis.level:g} % interval"
    curves = [
        _over_k(f"pass@k on {b} [{level}, bootstrap over problems]", tables.pass_at_k, b, who, "estimate")
        for b in benchmarks
    ]
    differences = [
        _over_k(f"pass@k minus the base's on {b} [paired {level}]", tables.differences, b, who, "difference")
        for b in benchmarks
    ]
    return {
        "pass_at_k": curves,
        "summary": [_summary(tables.summary, b, who, level) for b in benchmarks],
        "differences": differences,
        "coverage": [_coverage(tables.coverage, b, who) for b in benchmarks],
        "training": [_training_means(plan, tables.training)],
    }


def _of(rows: list[Row], benchmark: str) -> list[Row]:
    return [row for row in rows if row["benchmark"] == benchmark and row["stratum"] == "all"]


def _over_k(title: str, rows: list[Row], benchmark: str, who: list[str], value: str) -> Pivot:
    chosen = _of(rows, benchmark)
    ks = list(dict.fromkeys(row["k"] for row in chosen))
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in chosen:
        lines.setdefault(tuple(row[name] for name in who), []).append(_interval(row[value], row["low"], row["high"]))
    if "null" in chosen[0] and chosen[0]["null"]:
        lines["", "random valid responses", "", ""] = [_short(row["null"]) for row in chosen[: len(ks)]]
    return Pivot(title, [*who, *(f"k={k}" for k in ks)], [[*key, *cells] for key, cells in lines.items()], len(who))


def _summary(rows: list[Row], benchmark: str, who: list[str], level: str) -> Pivot:
    columns = ["token_entropy", "nll", "answer_entropy", "distinct_responses_share", "mean_tokens"]
    shares = ["correct_share", "wrong_share", "unparsable_share", "truncated_share", "timeout_share"]
    header = [*who, f"greedy accuracy [{level}]", *columns, *shares]
    body = [
        [
            *(row[name] for name in who),
            _interval(row["greedy"], row["greedy_low"], row["greedy_high"]),
            *(_short(row[name], 3) for name in (*columns, *shares)),
        ]
        for row in _of(rows, benchmark)
    ]
    return Pivot(f"Policies on {benchmark}", [name.replace("_", " ") for name in header], body, len(who))


def _coverage(rows: list[Row], benchmark: str, who: list[str]) -> Pivot:
    columns = ["hits", "problems", "n", "detection_limit", "both", "base_only", "checkpoint_only", "neither"]
    body = [
        [row[name] if name != "detection_limit" else _short(row[name], 4) for name in (*who, *columns)]
        for row in _of(rows, benchmark)
    ]
    title = f"Problems of {benchmark} solved by whom (at least that many hits among n samples)"
    return Pivot(title, [name.replace("_", " ") for name in (*who, *columns)], body, len(who))


def _training_means(plan: Plan, rows: list[Row]) -> Pivot:
    names = [name for name in TRAINING_COLUMNS if name not in ("step", "updates")]
    body = []
    for run in plan.runs:
        mine = [row for row in rows if [row[name] for name in ("model", "algorithm", "seed")] == _run_key(run)]
        for stop in plan.study.training.segments:
            first = plan.previous(stop) + 1
            part = [row for row in mine if first <= int(row["step"]) <= stop]
            means = [str(np.mean([float(row[name] or "nan") for row in part])) for name in names]
            body.append([*_run_key(run), f"{first}-{stop}", *(_short(mean, 4) for mean in means)])
    header = ["model", "algorithm", "seed", "steps", *(name.replace("_", " ") for name in names)]
    return Pivot("Training, means over the steps of each segment", header, body, 4)


def _run_key(run: Run) -> list[str]:
    return [run.model, run.algorithm, str(run.seed)]


def _short(value: str, digits: int = 2) -> str:
    return f"{float(value):z.{digits}f}" if value else "–"


def _interval(value: str, low: str, high: str) -> str:
    return f"{_short(value)} [{_short(low)}, {_short(high)}]" if low else _short(value)


def markdown(pivot: Pivot) -> str:
    """A GitHub-flavoured table under a heading, numbers to the right."""
    numbers = len(pivot.header) - pivot.labels
    lines = [pivot.header, ["---"] * pivot.labels + ["---:"] * numbers, *pivot.rows]
    body = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines]
    return f"## {pivot.title}\n\n" + "\n".join(body) + "\n"
