"""The tables of a report: the fragments of all stages, checked to be exactly those of the study."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any

from boundary_bench.analysis.compare import COLUMNS, ENTROPIES, countable
from boundary_bench.analysis.graders import grader_ks
from boundary_bench.analysis.means import Boundaries, boundary, boundary_means, difference_means
from boundary_bench.analysis.measure import THRESHOLDS
from boundary_bench.analysis.rows import Tally, identify, strata
from boundary_bench.benchmarks.problem_file import read_prepared, read_problems
from boundary_bench.core import provenance
from boundary_bench.core.errors import DataError
from boundary_bench.core.files import read_json
from boundary_bench.core.parquet import read_table
from boundary_bench.core.text import cell
from boundary_bench.plan import Plan
from boundary_bench.plan.identities import intervals
from boundary_bench.plan.stages import (
    STAGES,
    Key,
    fingerprints,
    identity,
    outputs,
    samples_made_by,
    settings,
    weights_made_by,
)
from boundary_bench.samples.manifest import files_of, graders_of
from boundary_bench.study.policies import Policy, Run
from boundary_bench.tables.reading import read_csv
from boundary_bench.tables.registry import TABLES
from boundary_bench.tables.table import ALL, BASE, RUN_KEYS, Row

#: Columns of the step log in the training table: all but the wall times, which differ between repeats.
TRAINING_COLUMNS = TABLES["training"].columns[len(RUN_KEYS) :]


@dataclass(frozen=True)
class Tables:
    """Every row of a study's results, in the order of the study.

    Attributes:
        rows: rows of every table of the registry, by table name.
        counts: what was counted of each policy (``compare.COLUMNS``), by (policy name, benchmark).
        contents: content hash of each set of problems.
        weights: sha256 of the weights of each policy.
        samples: sha256 of every sample file of each policy and benchmark.
        proofs: what ``sampling.proof`` found of the engine on each policy that was not trained here.
        differs: what each given checkpoint has otherwise than its base, beside the weights.
        notes: what is to be known of stored samples, by (policy name, benchmark).
        silent: policy names and benchmarks whose stored samples have no responses.
        imported: sha256 of the files that stored samples come from, by policy name and benchmark.
        boundaries: means over the training seeds, for the figures and the tables of means.
    """

    rows: dict[str, list[Row]]
    counts: dict[tuple[str, str], Tally] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    samples: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    proofs: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    differs: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    silent: set[tuple[str, str]] = field(default_factory=set)
    imported: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    boundaries: Boundaries = field(default_factory=Boundaries)

    def whole(self, table: str, benchmark: str | None = None) -> list[Row]:
        """The rows of a table that are of all strata together, on a benchmark or on every one."""
        rows = (row for row in self.rows[table] if row["stratum"] == ALL)
        return [row for row in rows if benchmark in (None, row["benchmark"])]


def collect(plan: Plan) -> Tables:
    """Read all fragments of a study.

    Raises:
        DataError: a file is missing, has other settings, or has other policies, benchmarks, problems, strata, k or
            columns than the study.
    """
    tables = Tables({name: [] for name in TABLES})
    tables.rows["problems"] += [_prepared(plan, name) for name in plan.problem_sets]
    for benchmark in plan.study.benchmarks:
        problems = read_problems(plan.problems(benchmark))
        names = list(strata([problem.stratum for problem in problems]))
        ids = [problem.id for problem in problems]
        for policy in plan.policies:
            tables.counts[policy.name, benchmark] = _counts(plan, policy, benchmark, ids)
            _add(plan, tables, ("measure", policy.name, benchmark), [policy], names)
        for run in plan.runs:
            _add(plan, tables, ("compare", run.name, benchmark), plan.policies_of(run)[1:], names)
    _check_agreement(tables)
    contents = _contents(plan)
    tables.contents.update((name, contents["prepare", name]) for name in plan.problem_sets)
    for policy in plan.policies:
        tables.samples[policy.name] = _declared(plan, policy, contents)
        if plan.stored(policy):
            _add_imported(plan, tables, policy)
        else:
            tables.weights[policy.name] = _field(plan.weights(policy), "weights_sha256")
    own = [policy for policy in plan.policies if not plan.trained_here(policy) and not plan.stored(policy)]
    tables.proofs.update((policy.name, _proof(plan, policy)) for policy in own)
    given = [policy for policy in own if policy.run]
    tables.differs.update((policy.name, _field(plan.weights(policy), "differs")) for policy in given)
    for policy, benchmark in plan.probes:
        made_with = _probed(plan, policy, benchmark)
        _add(plan, tables, ("probe", policy.name, benchmark), [policy], [ALL], made_with)
    for run in plan.trained:
        tables.rows["training"].extend(_training(plan, run))
    last = {"settings": identity(plan, "report")}
    tables.boundaries.update(_boundaries(plan, tables.counts))
    for (model, benchmark), curves in tables.boundaries.items():
        for algorithm, found in curves.items():
            for name, make in {"mean_differences": difference_means, "mean_boundary": boundary_means}.items():
                rows = make(plan.setup, (model, algorithm, benchmark), found)
                tables.rows[name] += [{column: cell(value) for column, value in (row | last).items()} for row in rows]
    return tables


def _boundaries(plan: Plan, measured: dict[tuple[str, str], Tally]) -> Boundaries:
    """Every boundary of a study, in its order."""
    found = Boundaries()
    for benchmark, ((model, algorithm), runs) in product(plan.study.benchmarks, plan.courses.items()):
        steps = plan.steps_of(runs[0])[1:]
        runs_of = {step: [measured[Policy(model, run, step).name, benchmark] for run in runs] for step in steps}
        curve = boundary(plan.setup, measured[model, benchmark], runs_of)
        found.setdefault((model, benchmark), {})[algorithm] = curve
    return found


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
    made = [weights_made_by(plan, policy.name) for policy in plan.policies if not plan.stored(policy)]
    return found | {key: str(_field(next(iter(outputs(plan, key))), "content")) for key in made}


def _declared(plan: Plan, policy: Policy, contents: dict[Key, str]) -> dict[str, dict[str, str]]:
    """Hashes of a policy's sample files; these and its weights checked against the study's present settings."""
    if not plan.stored(policy):
        _check(plan, plan.weights(policy), weights_made_by(plan, policy.name), contents)
    samples = {}
    for benchmark in plan.study.benchmarks:
        manifests = plan.samples(policy, benchmark)
        for job, manifest in zip(samples_made_by(plan, policy.name, benchmark), manifests, strict=True):
            _check(plan, manifest, job, contents)
        samples[benchmark] = files_of(manifests)
    return samples


def _add_imported(plan: Plan, tables: Tables, policy: Policy) -> None:
    """The files that a policy's stored samples come from, and what is to be known of them."""
    for benchmark in plan.study.benchmarks:
        (manifest,) = plan.samples(policy, benchmark)
        tables.imported.setdefault(policy.name, {})[benchmark] = _field(manifest, "from")
        tables.notes[policy.name, benchmark] = _field(manifest, "notes")
        if not _field(manifest, "texts"):
            tables.silent.add((policy.name, benchmark))


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


def _counts(plan: Plan, policy: Policy, benchmark: str, ids: list[str]) -> Tally:
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
    return Tally(
        plan.design_of(policy, benchmark), {name: table.column(name).to_numpy(zero_copy_only=False) for name in COLUMNS}
    )


def _add(plan: Plan, tables: Tables, job: Key, policies: list[Policy], strata: list[str], made_with: str = "") -> None:
    """The fragments of a job: of every table that it makes exactly the rows of these policies and strata, along its
    further keys."""
    last = {"settings": made_with or identity(plan, *job)}
    for path in outputs(plan, job):
        if path.suffix == ".csv" and path.stem in TABLES:
            columns = TABLES[path.stem].columns
            found = [
                {**identify(policy, job[-1]), "stratum": name, **last, **each}
                for policy, name in product(policies, strata)
                for each in _further(plan, policy, job[-1], path.stem)
            ]
            found = [{name: value for name, value in row.items() if name in columns} for row in found]
            expected = list({tuple(row.items()): row for row in found}.values())
            tables.rows[path.stem].extend(read_rows(path, expected, columns))


def _further(plan: Plan, policy: Policy, benchmark: str, table: str) -> list[dict[str, Any]]:
    """The values of a table's keys other than policy or run, benchmark and stratum."""
    ks, design = plan.study.ks, plan.design_of(policy, benchmark)
    if table == "graders":
        graders = graders_of(plan.samples(policy, benchmark), plan.graders(benchmark))
        at = list(product([each.label for each in graders], grader_ks(plan.setup, design)))
        return [{"stratum": ALL, "grader": name, "k": k} for name, k in at]
    if table == "stages":
        return [{"measure": "pass@k", "k": k} for k in ks] + [{"measure": name, "k": ""} for name in ENTROPIES]
    fractions = plan.study.probe.fractions if plan.study.probe else ()
    designs = design, plan.design_of(Policy(policy.model, None, 0), benchmark)
    axes = {"k": ks, "threshold": THRESHOLDS, "hits": countable(*designs), "fraction": [*map(cell, fractions)]}
    own = [name for name in TABLES[table].keys if name in axes]
    return [dict(zip(own, values, strict=True)) for values in product(*(axes[name] for name in own))]


def _probed(plan: Plan, policy: Policy, benchmark: str) -> str:
    """What the probe of a base model was made with, which is what it would be made with now."""
    path = plan.probe(policy, benchmark) / "problems.parquet"
    _, facts = read_table(path, ["problem_id"])
    there = {
        "settings": identity(plan, "probe", policy.name, benchmark),
        "model": _field(plan.weights(policy), "content"),
        "problems": str(read_table(plan.problems(benchmark), ["id"])[1].get("content")),
    }
    for fact, expected in there.items():
        _expect(path, fact, str(facts.get(fact)), expected)
    return provenance.fingerprint({**settings(plan, "probe", policy.name, benchmark), **intervals(plan)})


def read_rows(path: Path, expected: Sequence[dict[str, Any]], columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV fragment, which must have exactly the expected columns and keys, in order."""
    rows = read_csv(path, columns)
    if rows and list(rows[0]) != list(columns):
        odd = sorted(rows[0].keys() ^ set(columns)) or "another order"
        raise DataError(
            f"{path}: found other columns than expected (differing: {odd}); delete the file and run the same command "
            "again"
        )
    for place, (row, key) in enumerate(zip(rows, expected, strict=False), 1):
        wanted = {name: str(value) for name, value in key.items()}
        if (found := {name: row[name] for name in wanted}) != wanted:
            raise DataError(
                f"{path}, row {place}: found {found}, expected {wanted}; the study has changed since: delete the "
                "file and run the same command again"
            )
    if len(rows) != len(expected):
        raise DataError(
            f"{path}: found {len(rows)} rows, expected {len(expected)}; delete the file and run the same command again"
        )
    return rows


def _check_agreement(tables: Tables) -> None:
    """A comparison that is older than its measures would show other numbers than they do."""
    key_of = itemgetter(*TABLES["differences"].keys)
    estimates = {key_of(row): row["estimate"] for row in tables.rows["pass_at_k"]}
    for row in tables.rows["differences"]:
        key = key_of(row)
        base = (row["model"], BASE, "", "0", *key[4:])
        if (row["base"], row["checkpoint"]) != (estimates[base], estimates[key]):
            raise DataError(
                f"differences of {'/'.join(key)}: found base {row['base']} and checkpoint "
                f"{row['checkpoint']}, expected {estimates[base]} and {estimates[key]} as measured; run the "
                "compare stage again"
            )


def _training(plan: Plan, run: Run) -> Iterable[Row]:
    """The step log of a run, one row a step."""
    for stop in plan.segments:
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
        yield from ({**{name: str(value) for name, value in vars(run).items()}, **row} for row in cells)


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
        "proofs": tables.proofs,
        "differs": tables.differs,
        "imported": tables.imported,
    }


def _proof(plan: Plan, policy: Policy) -> dict[str, Any] | None:
    """The proof of the sampling engine on a policy, from its adoption or from its first samples."""
    told = [plan.weights(policy), *(path for name in plan.study.benchmarks for path in plan.samples(policy, name))]
    proofs = (read_json(path).get("proof") for path in told)
    return next((proof for proof in proofs if proof and proof["engine"] == plan.study.sampling.engine), None)
