"""``provenance.json``: the provenance of a study's tables, as the report writes it and others read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from boundary_bench.core.errors import DataError
from boundary_bench.core.files import read_json
from boundary_bench.core.provenance import Code
from boundary_bench.study.file import explain

#: Below the folder of a study's results.
PROVENANCE = Path("tables") / "provenance.json"


class Machine(BaseModel):
    """The machine that made the report."""

    cpu: str
    cores: int | None
    memory_gib: float
    system: str


class Record(BaseModel):
    """The provenance of results.

    Attributes:
        study: the study with every default written out.
        fingerprints: by stage, of all that the results depend on; see ``plan.stages.fingerprints``.
        code, packages, machine, environment: of the report stage.
        problems: content hash of every problem set.
        weights_sha256: by policy.
        samples_sha256: by policy, benchmark and sample file.
        proofs: by policy that was not trained here, how its engine compared with transformers; None if it was not.
        differs: by given checkpoint, what it has otherwise than its base, beside the weights.
        imported: sha256 of the files that stored samples come from, by policy, benchmark and file.
    """

    study: dict[str, Any]
    fingerprints: dict[str, dict[str, str]]
    code: Code
    packages: dict[str, str]
    machine: Machine
    environment: list[str]
    problems: dict[str, str]
    weights_sha256: dict[str, str]
    samples_sha256: dict[str, dict[str, dict[str, str]]]
    proofs: dict[str, dict[str, Any] | None]
    differs: dict[str, list[str]] = {}
    imported: dict[str, dict[str, dict[str, str]]] = {}


def read_record(root: Path) -> Record:
    """The record in a folder of results.

    Raises:
        DataError: the record is missing, torn, or lacks a part.
    """
    path = root / PROVENANCE
    try:
        return Record.model_validate(read_json(path))
    except ValidationError as fault:
        raise DataError(f"{explain(fault, str(path))}\nrun the report stage again, with this version") from None
