"""A page whose every name, claim and setting tries to run code."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sample_pages import made_up

from boundary_bench.claims.verdicts import Ledger, ledger
from boundary_bench.plan import Plan
from boundary_bench.report import page
from boundary_bench.report.tables import collect, record
from boundary_bench.tables.formats import Pivot

#: Sets a mark on the page if any of it is run.
HOSTILE = (
    "</script><script>hacked=1</script></style><img src=x onerror=\"hacked=1\"><b onclick='hacked=1'>\"';hacked=1//"
    "\N{LINE SEPARATOR}${hacked=1}"
)


def hostile_page(plan: Plan, folder: Path) -> Path:
    """Write the page of a finished study anew, with a hostile text for most of its words."""
    tables = collect(plan)
    names = {"grpo": f"grpo {HOSTILE}", "base-model": f"model {HOSTILE}", "countdown": f"countdown {HOSTILE}"}

    def renamed(text: Any) -> Any:
        return names.get(text, text)

    rows = {
        table: [{name: renamed(cell) for name, cell in row.items()} for row in found]
        for table, found in tables.rows.items()
    }
    renamed_found = {
        (renamed(model), renamed(benchmark)): {renamed(algorithm): curve for algorithm, curve in curves.items()}
        for (model, benchmark), curves in tables.boundaries.items()
    }
    changed = dataclasses.replace(tables, rows=rows, boundaries=renamed_found)
    study = plan.study.model_copy(
        update={"study": HOSTILE}
        | {
            what: {renamed(name): entry for name, entry in getattr(plan.study, what).items()}
            for what in ("models", "algorithms", "benchmarks")
        }
    )
    sets = {renamed(name): chosen for name, chosen in plan.problem_sets.items()}
    courses = {tuple(map(renamed, whose)): runs for whose, runs in plan.courses.items()}
    labels = [renamed(label) for label in plan.labels]
    other = _Renamed(plan, study=study, root=folder, problem_sets=sets, courses=courses, labels=labels)
    pivot = Pivot(HOSTILE, ["policy", HOSTILE], [[HOSTILE, "1"]], 1)
    source = record(plan, tables)
    source["machine"]["cpu"] = source["study"]["models"]["base-model"]["path"] = HOSTILE
    source["weights_sha256"] = {HOSTILE: HOSTILE}
    judged = _hostile_ledger(ledger(plan.root / "tables"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "record", lambda plan, tables: source)
        page.write(other, changed, {HOSTILE: [pivot]}, judged, made_up())
    return folder / "report.html"


class _Renamed(SimpleNamespace):
    """A plan with some attributes replaced."""

    def __init__(self, plan: Plan, **changes: Any) -> None:
        super().__init__(**changes)
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plan, name)


def _hostile_ledger(found: Ledger) -> Ledger:
    claims = []
    for judged in found.claims:
        source = judged.claim.source.model_copy(update={"paper": HOSTILE, "where": HOSTILE, "quote": HOSTILE})
        parts = [part.model_copy(update={"reason": HOSTILE}) for part in judged.claim.parts]
        claim = judged.claim.model_copy(update={"sentence": HOSTILE, "source": source, "parts": parts})
        findings = [
            dataclasses.replace(
                finding,
                note=HOSTILE,
                unit=dataclasses.replace(finding.unit, algorithm=HOSTILE),
                evidence=[dataclasses.replace(each, what=HOSTILE, row=HOSTILE) for each in finding.evidence],
            )
            for finding in judged.findings
        ]
        claims.append(dataclasses.replace(judged, claim=claim, findings=findings, missing=[HOSTILE]))
    return dataclasses.replace(found, claims=claims)
