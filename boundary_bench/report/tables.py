"""The tables of a report: the fragments of all stages, checked to be exactly those of the study."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from boundary_bench.analysis.compare import COLUMNS, ENTROPIES, countable
from boundary_bench.analysis.graders import grader_ks
from boundary_bench.analysis.means import Boundaries, Boundary, boundary, boundary_means, difference_means
from boundary_bench.analysis.measure import THRESHOLDS
from boundary_bench.analysis.rows import identify, strata
from boundary_bench.benchmarks.problem_file import read_prepared, read_problems
from boundary_bench.core import provenance
from boundary_bench.core.errors import DataError
from boundary_bench.core.files import read_json
from boundary_bench.core.parquet import read_table
from boundary_bench.core.text import cell
from boundary_bench.plan import Plan
from boundary_bench.plan.stages import STAGES, Key, fingerprints, identity, intervals, outputs, settings
from boundary_bench.samples.manifest import files_of
from boundary_bench.study.policies import Policy, Run
from boundary_bench.tables.reading import read_csv
from boundary_bench.tables.registry import TABLES
from boundary_bench.tables.table import ALL, RUN_KEYS

Row = dict[str, str]

#: Columns of the step log in the training table: all but the wall times, which differ between repeats.
TRAINING_COLUMNS = TABLES["training"].columns[len(RUN_KEYS) :]


@dataclass(frozen=True)
class Tables:
    """Every row of a study's results, in the order of the study.

    Attributes:
        rows: rows of every table of the registry, by table name.
        counts: ``compare.COLUMNS`` of ``problems.parquet``, by (policy name, benchmark).
        contents: content hash of each set of problems.
        weights: sha256 of the weights of each policy.
        samples: sha256 of every sample file of each policy and benchmark.
        boundaries: means over the training seeds, for the figures and the tables of means.
    """

    rows: dict[str, list[Row]]
    counts: dict[tuple[str, str], dict[str, np.ndarray]]
    contents: dict[str, str]
    weights: dict[str, str]
    samples: dict[str, dict[str, dict[str, str]]]
    boundaries: Boundaries


def collect(plan: Plan) -> Tables:
    """Read all fragments of a study.

    Raises:
        DataError: a file is missing, has other settings, or has other policies, benchmarks, problems, strata, k or
            columns than the study.
    """
    tables = Tables({name: [] for name in TABLES}, {}, {}, {}, {}, {})
    for name in plan.problem_sets:
        tables.rows["problems"].append(_prepared(plan, name))
    for benchmark in plan.study.benchmarks:
        problems = read_problems(plan.problems(benchmark))
        names = list(strata([problem.stratum for problem in problems]))
        ids = [problem.id for problem in problems]
        for policy in plan.policies:
            tables.counts[policy.name, benchmark] = _counts(plan, policy, benchmark, ids)
            places = _measured(plan, policy, benchmark, names)
            _add(plan, tables, "measure", (policy.name, benchmark), places)
        for run in plan.runs:
            _add(plan, tables, "compare", (run.name, benchmark), _compared(plan, run, benchmark, names))
    _check_agreement(tables)
    contents = _contents(plan)
    tables.contents.update((name, contents["prepare", name]) for name in plan.problem_sets)
    for policy in plan.policies:
        tables.weights[policy.name], tables.samples[policy.name] = _declared(plan, policy, contents)
    for policy, benchmark in plan.probes:
        _add(plan, tables, "probe", (policy.name, benchmark), _probed(plan, policy, benchmark))
    for run in plan.runs:
        tables.rows["training"].extend(_training(plan, run))
    last = {"settings": identity(plan, "report")}
    tables.boundaries.update(_boundaries(plan, tables.counts))
    for (model, benchmark), curves in tables.boundaries.items():
        for algorithm, found in curves.items():
            place = model, algorithm, benchmark
            tables.rows["mean_differences"].extend(
                _written(row | last) for row in difference_means(plan.setup, place, found)
            )
            tables.rows["mean_boundary"].extend(
                _written(row | last) for row in boundary_means(plan.setup, place, found)
            )
    return tables


def _boundaries(plan: Plan, measured: dict[tuple[str, str], dict[str, np.ndarray]]) -> Boundaries:
    """All boundaries of a study, in its order."""
    study = plan.study

    def of(model: str, algorithm: str, benchmark: str) -> Boundary:
        runs = [Run(model, algorithm, seed) for seed in study.seeds]
        steps = study.evaluate.steps[1:]
        policies = {step: [Policy(model, run, step).name for run in runs] for step in steps}
        found = {step: [measured[name, benchmark] for name in names] for step, names in policies.items()}
        return boundary(plan.setup, measured[model, benchmark], found)

    places = ((model, benchmark) for benchmark in study.benchmarks for model in study.models)
    return {
        (model, benchmark): {name: of(model, name, benchmark) for name in study.algorithms}
        for model, benchmark in places
    }


def _written(row: dict[str, Any]) -> Row:
    """A row with its values as cells of a table."""
    return {name: cell(value) for name, value in row.items()}


def _prepared(plan: Plan, name: str) -> Row:
    """The row of table ``problems`` for a benchmark or the training set."""
    path, chosen = plan.problems(name), plan.problem_sets[name]
    problems, facts = read_prepared(path)
    made_with = identity(plan, "prepare", name)
    _expect(path, "settings", provenance.fingerprint(facts.get("settings")), made_with)
    if "left_out" not in facts:
        raise DataError(f"{path} does not say what became of its rows; delete it and run the same command again")
    cells = {
        "benchmark": name,
        "kind": chosen.kind.name,
        "split": chosen.entry.split,
        "rows": facts["rows"],
        "problems": len(problems),
        **facts["left_out"],
        "other_answer": facts["other_answer"],
        "duplicates": facts["duplicates"],
        "grader": chosen.kind.grader.label,
        "settings": made_with,
    }
    return {column: str(value) for column, value in cells.items()}


def _contents(plan: Plan) -> dict[Key, str]:
    """The content hash of every problem file and of every model, by the job that made it."""
    found: dict[Key, str] = {}
    for name in plan.problem_sets:
        found["prepare", name] = str(read_table(plan.problems(name), ["id"])[1].get("content"))
    made: list[Key] = [("pretrain", model) for model in plan.study.models]
    made += [("train", policy.run.name, policy.step) for policy in plan.policies if policy.run]
    return found | {key: str(_field(next(iter(outputs(plan, key))), "content")) for key in made}


def _declared(plan: Plan, policy: Policy, contents: dict[Key, str]) -> tuple[str, dict[str, dict[str, str]]]:
    """Hashes of a policy's weights and sample files, all checked against the study's present settings and inputs."""
    path = plan.weights(policy)
    made_by = ("train", policy.run.name, policy.step) if policy.run else ("pretrain", policy.model)
    _check(plan, path, made_by, contents)
    samples = {}
    for benchmark in plan.study.benchmarks:
        manifests = plan.samples(policy, benchmark)
        for shard, manifest in zip(plan.shards, manifests, strict=True):
            _check(plan, manifest, ("sample", policy.name, benchmark, shard), contents)
        samples[benchmark] = files_of(manifests)
    return _field(path, "weights_sha256"), samples


def _check(plan: Plan, path: Path, job: Key, contents: dict[Key, str]) -> None:
    """Refuse a manifest with other settings, or made from other models or problems than the present ones."""
    stage, *values = job
    _expect(path, "settings", provenance.fingerprint(_field(path, "settings")), identity(plan, stage, *values))
    for fact, (made_by, _) in STAGES[stage].made_from(plan, *values).items():
        _expect(path, fact, str(_field(path, fact)), contents[made_by])


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
    if facts.get("settings") != (expected := settings(plan, "measure", policy.name, benchmark)):
        raise DataError(
            f"{path}: found settings {facts.get('settings')}, expected {expected}; run the measure stage again"
        )
    manifests = plan.samples(policy, benchmark)
    if facts.get("samples") != provenance.fingerprint(files_of(manifests)):
        raise DataError(
            f"{path} was made from other samples than {manifests[0].parent} declares; run the measure stage again"
        )
    if table.column("problem_id").to_pylist() != ids:
        raise DataError(f"{path} is of other problems than {plan.problems(benchmark)}; run the measure stage again")
    return {name: table.column(name).to_numpy(zero_copy_only=False) for name in COLUMNS}


def _add(plan: Plan, tables: Tables, stage: str, names: tuple[str, str], places: Sequence[dict[str, Any]]) -> None:
    """Add the fragments of a job, which must have exactly the rows of these places along each table's further keys."""
    for path in outputs(plan, (stage, *names)):
        if path.suffix == ".csv" and path.stem in TABLES:
            columns = TABLES[path.stem].columns
            found = [
                {name: value for name, value in {**place, **further}.items() if name in columns}
                for place in places
                for further in _further(plan, names[1], path.stem)
            ]
            expected = list({tuple(row.items()): row for row in found}.values())
            tables.rows[path.stem].extend(read_rows(path, expected, columns))


def _further(plan: Plan, benchmark: str, table: str) -> list[dict[str, Any]]:
    """The values of a table's keys other than policy or run, benchmark and stratum."""
    ks, labels = plan.study.ks, [grader.label for grader in plan.graders(benchmark)]
    if table == "graders":
        return [{"stratum": ALL, "grader": name, "k": k} for name in labels for k in grader_ks(plan.setup)]
    if table == "stages":
        return [{"measure": "pass@k", "k": k} for k in ks] + [{"measure": name, "k": ""} for name in ENTROPIES]
    fractions = plan.study.probe.fractions if plan.study.probe else ()
    axes = {"k": ks, "threshold": THRESHOLDS, "hits": countable(plan.design), "fraction": [*map(cell, fractions)]}
    own = [name for name in TABLES[table].keys if name in axes]
    return [dict(zip(own, values, strict=True)) for values in product(*(axes[name] for name in own))]


def _measured(plan: Plan, policy: Policy, benchmark: str, strata: Sequence[str]) -> list[dict[str, Any]]:
    last = {"settings": identity(plan, "measure", policy.name, benchmark)}
    return [{**identify(policy, benchmark), "stratum": name, **last} for name in strata]


def _compared(plan: Plan, run: Run, benchmark: str, strata: Sequence[str]) -> list[dict[str, Any]]:
    last = {"settings": identity(plan, "compare", run.name, benchmark)}
    whose = {"model": run.model, "algorithm": run.algorithm, "seed": run.seed}
    steps = [policy.step for policy in plan.policies_of(run)[1:]]
    return [
        {**whose, "step": step, "benchmark": benchmark, "stratum": name, **last} for step in steps for name in strata
    ]


def _probed(plan: Plan, policy: Policy, benchmark: str) -> list[dict[str, Any]]:
    path = plan.probe(policy, benchmark) / "problems.parquet"
    _, facts = read_table(path, ["problem_id"])
    _expect(path, "settings", str(facts.get("settings")), identity(plan, "probe", policy.name, benchmark))
    _expect(path, "model", str(facts.get("model")), _field(plan.weights(policy), "content"))
    there = read_table(plan.problems(benchmark), ["id"])[1].get("content")
    _expect(path, "problems", str(facts.get("problems")), str(there))
    made_with = provenance.fingerprint({**settings(plan, "probe", policy.name, benchmark), **intervals(plan)})
    return [{**identify(policy, benchmark), "settings": made_with}]


def read_rows(path: Path, expected: Sequence[dict[str, Any]], columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV fragment, which must have exactly the expected columns and keys, in order."""
    rows = read_csv(path, columns)
    if rows and list(rows[0]) != list(columns):
        odd = sorted(rows[0].keys() ^ set(columns)) or "another order"
        raise DataError(
            f"{path}: found other columns than expected (differing: {odd}); delete the file and run the same command "
            "again"
        )
    wanted = [{name: str(value) for name, value in key.items()} for key in expected]
    found = [{name: row.get(name) for name in wanted[0]} for row in rows]
    for place, (row, key) in enumerate(zip(found, wanted, strict=False), 1):
        if row != key:
            raise DataError(
                f"{path}, row {place}: found {row}, expected {key}; the study has changed since: delete the "
                "file and run the same command again"
            )
    if len(rows) != len(wanted):
        raise DataError(
            f"{path}: found {len(rows)} rows, expected {len(wanted)}; delete the file and run the same command again"
        )
    return rows


def _check_agreement(tables: Tables) -> None:
    """Refuse a comparison that is older than its measures and shows other numbers."""
    names = ("model", "algorithm", "seed", "step", "benchmark", "stratum", "k")
    estimates = {tuple(row[name] for name in names): row["estimate"] for row in tables.rows["pass_at_k"]}
    for row in tables.rows["differences"]:
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
            cells = [{name: _cell(name, row[name]) for name in TRAINING_COLUMNS} for row in rows]
        except FileNotFoundError:
            raise DataError(f"{path} is missing; run the train stage again (snakemake does)") from None
        except (ValueError, KeyError, TypeError, OverflowError) as fault:
            raise DataError(f"{path} is no step log ({fault!r}); delete it and run the train stage again") from None
        expected = list(range(plan.previous(stop) + 1, stop + 1))
        if steps != expected:
            odd = sorted(set(steps) ^ set(expected))[:3] or "another order"
            raise DataError(
                f"{path}: found {len(steps)} steps, expected {expected[0]} to {expected[-1]}, each once in "
                f"order (differing: {odd}); delete it and run the train stage again"
            )
        whose = {"model": run.model, "algorithm": run.algorithm, "seed": str(run.seed)}
        yield from ({**whose, **row} for row in cells)


def _cell(name: str, found: Any) -> str:
    """A number of a step log as a cell, empty if the backend does not know it; refuses other values."""
    known = isinstance(found, int | float) and math.isfinite(found)
    if not known and (found is not None or name == "step"):
        raise ValueError(f"{name}: {found!r}")
    return cell(found)


def record(plan: Plan, tables: Tables) -> dict[str, Any]:
    """The provenance of the results: settings, code, packages, machine, and hashes of weights and samples."""
    return {
        "study": plan.study.model_dump(mode="json", exclude_none=True),
        "fingerprints": fingerprints(plan),
        **provenance.record(),
        "environment": provenance.environment(),
        "problems": tables.contents,
        "weights_sha256": tables.weights,
        "samples_sha256": tables.samples,
    }
