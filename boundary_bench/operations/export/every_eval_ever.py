"""Records for Every Eval Ever (evalevalai.com): one file for each policy and benchmark, in its datastore's layout.

The tests check them against the schema of the package every-eval-ever 0.3.0. Its validator also requires a UUID of
version 4 as file name, and portable names of folders.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from boundary_bench.core.errors import DataError
from boundary_bench.core.provenance import fingerprint
from boundary_bench.operations.export.source import Exported, unit_of
from boundary_bench.plan.stages import STAGES
from boundary_bench.report.drawing import drawn
from boundary_bench.study.policies import Policy, Run
from boundary_bench.tables.reading import KEYS
from boundary_bench.tables.table import Row

SCHEMA_VERSION = "0.3.0"

Record = dict[str, Any]

GREEDY = {
    "evaluation_description": "share of the problems that the greedy response solves",
    "metric_id": "accuracy",
    "metric_name": "greedy accuracy",
    "metric_kind": "accuracy",
}
#: Folders of the datastore: portable names that neither Windows nor the datastore reserves.
FOLDER = re.compile(r"(?!(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$))(?!(?:data|unknown)$)\w(?:[\w.-]*[\w-])?", re.I | re.A)


def records(source: Exported, organization: str) -> dict[str, Record]:
    """Every record by its path below the datastore's root."""
    found = {}
    _check_folder(organization, "the organization")
    for policy in source.plan.policies:
        for benchmark in source.plan.study.benchmarks:
            record = _record(source, policy, benchmark, organization)
            found[_path(record, benchmark)] = record
    return found


def of_policy(found: Mapping[str, Record], policy: Policy) -> list[Record]:
    """The records of a policy, one per benchmark."""
    return [record for record in found.values() if record["model_info"]["name"] == policy.name]


def _path(record: Record, benchmark: str) -> str:
    model, name = record["model_info"]["id"], record["model_info"]["name"]
    developer, _, rest = model.partition("/")
    folders = (f"boundary-bench-{benchmark}", developer, rest.replace("/", "_"))
    for folder in folders:
        _check_folder(folder, f"{name}, called {model!r}")
    # in the form of version 4, which the datastore requires, but the same for the same results
    identity = uuid.UUID(bytes=sha256(record["evaluation_id"].encode()).digest()[:16], version=4)
    return "/".join(("data", *folders, f"{identity}.json"))


def _check_folder(name: str, what: str) -> None:
    if not FOLDER.fullmatch(name):
        raise DataError(
            f"{what}: found {name!r}, expected a portable folder name (letters, digits, '.', '_', '-', none that is "
            "reserved); name a hub model as org/name, rename another, or give another --organization"
        )


def _record(source: Exported, policy: Policy, benchmark: str, organization: str) -> Record:
    plan, code = source.plan, source.provenance.code
    model, measured = _model_info(source, policy, organization), STAGES["measure"].about(plan, policy.name, benchmark)
    made_of = {
        "policy": policy.name,
        "weights": model["additional_details"].get("weights_sha256"),
        "samples": source.fact("samples_sha256", policy.name, benchmark),
        "measure": source.fact("fingerprints", "measure", "--".join(measured)),
    }
    theirs = policy.run is None and plan.study.models[policy.model].hub
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"boundary-bench-{benchmark}/{model['id']}/{fingerprint(made_of)}",
        "retrieved_timestamp": str(source.made),
        "source_metadata": {
            "source_name": "boundary-bench",
            "source_type": "evaluation_run",
            "source_organization_name": organization,
            "evaluator_relationship": "third_party" if theirs else "first_party",
            "additional_details": _strings({"study": plan.study.study}),
        },
        "eval_library": {
            "name": "boundary-bench",
            "version": source.provenance.packages.get("boundary-bench", "unknown"),
            "additional_details": _strings({"commit": code.commit, "local_changes": code.dirty}),
        },
        "model_info": model,
        "evaluation_results": _results(source, policy, benchmark),
    }


def _model_info(source: Exported, policy: Policy, organization: str) -> Record:
    plan = source.plan
    base = plan.study.models[policy.model]
    details: dict[str, Any] = {
        "deployment_type": "self_deployed",
        "model_availability": "unknown" if policy.run or not base.hub else "open_weights",
        "weights_sha256": None if plan.stored(policy) else source.fact("weights_sha256", policy.name),
        "base_model": base.hub or f"{organization}/{policy.model}",
        "base_model_revision": base.revision,
        "pretrained_with": base.pretrain and base.pretrain.model_dump(mode="json"),
        "training_step": policy.step,
    }
    if policy.run:
        details |= _trained(source, policy.run, policy.step)
    engine = "unknown" if plan.stored(policy) else plan.study.sampling.engine
    version = source.provenance.packages.get(engine)
    return {
        "name": policy.name,
        "id": f"{organization}/{policy.name}" if policy.run else details["base_model"],
        "developer": organization if policy.run else details["base_model"].partition("/")[0],
        "inference_engine": {"name": engine, **({"version": version} if version else {})},
        "additional_details": _strings(details),
    }


def _trained(source: Exported, run: Run, step: int) -> dict[str, Any]:
    plan, problems = source.plan, source.plan.study.training
    if run in plan.given or problems is None:
        given = plan.given[run].checkpoints[step]
        return {
            "algorithm": run.algorithm,
            "training_seed": run.seed,
            "weights": given.hub or ("none, samples alone" if given.samples else "folder"),
            "revision": given.revision,
        }
    training = plan.trainings[run.algorithm].course(usual=True)
    if own := training.get("openrlhf"):
        # never published: OpenRLHF takes the key of a logger's account as a flag
        own["flags"] = {name: value for name, value in own["flags"].items() if not name.startswith("logger.")}
    return {
        "algorithm": run.algorithm,
        "parts": plan.algorithms[run.algorithm].identity(usual=True),
        "training_seed": run.seed,
        "training": training,
        "trained_on": {"benchmark": problems.benchmark, "options": problems.options},
        "training_fingerprint": source.fact("fingerprints", "train", run.name),
    }


def _results(source: Exported, policy: Policy, benchmark: str) -> list[Record]:
    """pass@k at every k, then greedy accuracy."""
    plan, unit, design = source.plan, unit_of(policy, benchmark), source.plan.design_of(policy, benchmark)
    said = drawn(plan, policy, benchmark)
    shared = {"execution_command": f"snakemake --cores all --config study={plan.study.study}"}
    shared |= {"max_tokens": said["max_tokens"]} if said["max_tokens"] else {}
    known = {name: said[name] for name in ("temperature", "top_p") if said[name] is not None}
    how = {"stored": said} if plan.stored(policy) else plan.study.sampling.drawing(usual=True)
    at_random = {
        "generation_args": known | shared,
        "additional_details": _strings({"sampling": how, "design": design.record()}),
    }
    greedy = {"generation_args": {"temperature": 0.0, **shared}, "additional_details": {"decoding": "greedy"}}
    found = []
    for k in plan.study.ks:
        row = source.row("pass_at_k", unit, k=k)
        metric = {
            "evaluation_description": "share of the problems that k attempts solve, estimated from n samples of each",
            "metric_id": "pass_at_k",
            "metric_name": f"pass@{k}",
            "metric_kind": "pass_rate",
            "metric_parameters": {
                "k": k,
                "n": design.n_max,
                "stop_after": design.stop_after,
                "estimator": "unbiased" if design.stop_after is None else "unbiased under sequential stopping",
            },
        }
        score = _score(source, "pass_at_k", row, ("estimate", "low", "high"))
        found.append((f"pass@{k}", metric, score, at_random))
    row = source.row("summary", unit)
    if not plan.stored(policy):
        found.append(
            ("greedy", GREEDY, _score(source, "summary", row, ("greedy", "greedy_low", "greedy_high")), greedy)
        )
    data = _source_data(source, benchmark, int(source.value("summary", row, "problems")))
    bounds = {"metric_unit": "proportion", "lower_is_better": False, "score_type": "continuous"}
    bounds |= {"min_score": 0.0, "max_score": 1.0}
    return [
        {
            "evaluation_result_id": name,
            "evaluation_name": benchmark,
            "source_data": data,
            "metric_config": {**metric, **bounds},
            "score_details": score,
            "generation_config": generation,
        }
        for name, metric, score, generation in found
    ]


def _score(source: Exported, table: str, row: Row, columns: tuple[str, str, str]) -> Record:
    """A number with its interval; ``details`` holds the other cells of its row as text."""
    score, low, high = (source.value(table, row, column) for column in columns)
    shown = {*KEYS[table], *columns, "policy", "level", "interval"}
    return {
        "score": score,
        "details": {name: cell for name, cell in row.items() if name not in shown and cell},
        "uncertainty": {
            "confidence_interval": {
                "lower": low,
                "upper": high,
                "confidence_level": source.value(table, row, "level"),
                "method": source.cell(table, row, "interval"),
            },
            "num_samples": int(source.value(table, row, "problems")),
            "num_bootstrap_samples": source.tables.resamples,
        },
    }


def _source_data(source: Exported, benchmark: str, problems: int) -> Record:
    chosen = source.plan.problem_sets[benchmark]
    entry, hub = chosen.entry, chosen.kind.source
    details = {
        "benchmark": chosen.kind.name,
        "split": entry.split,
        "options": chosen.options.model_dump(mode="json"),
        "fingerprint": source.fact("fingerprints", "prepare", benchmark),
    }
    if hub and not entry.data:
        where = {"source_type": "hf_dataset", "hf_repo": hub.hub, "hf_split": hub.splits[entry.split]}
        name, details["configurations"] = hub.hub, list(hub.configs)
        where["samples_number"] = problems
    else:
        where, name = {"source_type": "other"}, chosen.kind.name
        details |= {"seed": entry.seed, "problems": problems, "from_a_file": bool(entry.data)}
    return {"dataset_name": name, **where, "additional_details": _strings(details)}


def _strings(values: Mapping[str, Any]) -> dict[str, str]:
    """Further details as text, which the schema requires: other values as JSON, without unknown ones."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if values[name] is not None}
