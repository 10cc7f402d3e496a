"""Published results: the files of the report stage, their provenance and checksums, in a folder to commit."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from boundary_bench.claims import ledger_text
from boundary_bench.claims.verdicts import ledger
from boundary_bench.core.errors import DataError
from boundary_bench.core.files import atomic
from boundary_bench.core.provenance import Code, file_sha256
from boundary_bench.plan import Plan
from boundary_bench.plan.outputs import report_files
from boundary_bench.plan.stages import STAGES, fingerprints
from boundary_bench.study.file import SHIPPED
from boundary_bench.tables.record import PROVENANCE, Record, read_record

SUMS = "SHA256SUMS"


def publish(plan: Plan, to: Path) -> Path:
    """Copy a study's report, tables and figures to ``to/<study>``, beside files with their provenance.

    Those are ``study.yaml``, ``publication.json``, ``environment.txt``, ``README.md`` and ``SHA256SUMS``. The folder is
    replaced whole or not at all, and only if an earlier call wrote all its files.

    Raises:
        DataError: a result is missing, outdated, or made by uncommitted code; or the folder holds other files.
        StoreError: the folder cannot be written to.
    """
    files, found = report_files(plan), read_record(plan.root)
    again = _command(plan, _name(plan, str(plan.path))) + " --forcerun report"
    if missing := [str(file) for file in files if not file.is_file()]:
        raise DataError(f"publish: {_some(missing)} missing; make them: {again}")
    if changed := outdated(plan, found):
        raise DataError(
            f"publish: {plan.root / PROVENANCE} was made otherwise than the study and the code make it now: "
            f"{_some(changed)}; make the results again: {again}"
        )
    commit = _commit(found.code, again)
    target = to / plan.study.study
    if target.exists() and (others := faults(target)):
        raise DataError(
            f"publish: {target} holds what no publish wrote: {_some(others)}; it is replaced whole, so "
            "move the folder, or what is yours in it, elsewhere"
        )
    with atomic(target) as folder:
        for file in files:
            copy = folder / file.relative_to(plan.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        shutil.copyfile(plan.path, folder / "study.yaml")
        for name, text in _beside(plan, found, commit).items():
            (folder / name).write_text(text, encoding="utf-8")
        sums = {str(file.relative_to(folder)): file_sha256(file) for file in folder.rglob("*") if file.is_file()}
        lines = (f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
        (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return target


def outdated(plan: Plan, made: Record) -> list[str]:
    """The fingerprints and policies of a record that differ from the study and the stages' versions now."""
    before = {f"{kind} {name}": value for kind, each in made.fingerprints.items() for name, value in each.items()}
    now = {f"{kind} {name}": value for kind, each in fingerprints(plan).items() for name, value in each.items()}
    changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    policies = made.samples_sha256.keys() ^ {policy.name for policy in plan.policies}
    return sorted(changed | {f"policy {name}" for name in policies})


def faults(folder: Path) -> list[str]:
    """The deviations of a published folder from its checksums: files without one, missing, or changed."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return [f"{SUMS} is missing or no text"]
    parts = [re.fullmatch(r"([0-9a-f]{64})  (.+)", line) for line in lines]
    said = {part[2]: part[1] for part in parts if part}
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()} - {SUMS}
    return [
        *(f"{SUMS}, line {place} is no checksum" for place, part in enumerate(parts, 1) if not part),
        *(f"{name} has no checksum" for name in sorted(there - said.keys())),
        *(f"{name} is missing" for name in sorted(said.keys() - there)),
        *(f"{name} was changed" for name in sorted(there & said.keys()) if file_sha256(folder / name) != said[name]),
    ]


def _some(names: Sequence[str]) -> str:
    """The first three names, and the number of the others."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _commit(code: Code, again: str) -> str:
    if code.commit is None or code.dirty:
        what = "code with changes that no commit holds" if code.commit else "an installation without its repository"
        raise DataError(
            f"publish: the report was made by {what}, so that nobody could make it again; run a committed "
            f"checkout: {again}"
        )
    return code.commit


def _name(plan: Plan, elsewhere: str) -> str:
    """The study in a command: a shipped one by its name, another by the given path."""
    return plan.path.stem if plan.path.resolve().parent == SHIPPED else elsewhere


def _command(plan: Plan, name: str) -> str:
    """The command that makes the results in their folder."""
    elsewhere = "" if plan.results == Path("results") else f" results={quote(str(plan.results))}"
    return f"snakemake --cores all --config study={quote(name)}{elsewhere}"


def _beside(plan: Plan, found: Record, commit: str) -> dict[str, str]:
    """The texts of the files with the results' provenance, by file name."""
    facts = {
        "study": plan.study.study,
        "published": datetime.now(UTC).date().isoformat(),
        "command": f"snakemake --cores all --config study={_name(plan, 'study.yaml')}",
        "commit": commit,
        "versions": {stage.name: stage.version for stage in STAGES.values()},
        "packages": found.packages,
        "machine": found.machine.model_dump(),
    }
    machine = "{cpu}, {cores} cores, {memory_gib} GiB, {system}".format(**facts["machine"])
    readme = f"""# {facts["study"]}

Published on {facts["published"]}. The report was made at commit `{commit}`, on {machine}, by

    {facts["command"]}

`study.yaml` is the study, `environment.txt` what was installed, `publication.json` the same for programs, and
`tables/provenance.json` leads from every row to its settings, weights and samples.
`sha256sum -c {SUMS}` checks the files. Another machine rounds differently, and training amplifies it: numbers move,
what is clear of its interval should hold.

{ledger_text.markdown(ledger(plan.root / "tables"))}
"""
    python = f"# python {found.packages.get('python', 'unknown')}, boundary-bench at commit {commit}"
    return {
        "README.md": readme,
        "publication.json": json.dumps(facts, indent=2) + "\n",
        "environment.txt": "\n".join([python, *found.environment]) + "\n",
    }
