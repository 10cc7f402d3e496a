"""Manifests of samples: the files that each declares, checked against their hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boundary_bench.core.errors import DataError, StoreError
from boundary_bench.core.files import read_json
from boundary_bench.core.provenance import file_sha256
from boundary_bench.grading import Grader
from boundary_bench.grading.graders import SCORES

GREEDY = "greedy"
#: The engine of samples that others drew.
IMPORT = "import"


def sample_files(manifests: Sequence[Path], design: dict[str, Any]) -> tuple[list[Path], list[Path]]:
    """The greedy responses and the blocks that sample manifests declare, every one checked against its hash."""
    found: dict[Path, str] = {}
    for manifest in manifests:
        files = declared_files(manifest, design)
        for file, expected in files.items():
            if not file.is_file():
                raise StoreError(
                    f"{file} is missing; delete {manifest}, which declares it, and run the same command again"
                )
            if file not in found:
                found[file] = file_sha256(file)
            if found[file] != expected:
                raise StoreError(
                    f"{file} has hash {found[file][:12]}, {manifest} declares {expected[:12]}: it was altered or "
                    "torn; delete the manifest and run the same command again, which draws the samples of that file"
                )
    # an order independent of the number of manifests, since other graders' verdicts are stored in it
    files = sorted(found, key=lambda file: (len(file.name), file))
    greedy = [file for file in files if file.name.startswith(GREEDY)]
    return greedy, [file for file in files if file not in greedy]


def declared_files(manifest: Path, design: dict[str, Any]) -> dict[Path, str]:
    """The hash of every file that a sample manifest declares, by path. Whether the files exist is not checked.

    Raises:
        DataError: it is no manifest, has another design, or declares no block, or no greedy responses where the
            samples were drawn here.
    """
    found = read_json(manifest)
    try:
        folder, hashes, declared = manifest.parent / found["folder"], dict(found["files"]), found["design"]
        drawn_here = found.get("engine") != IMPORT
    except (KeyError, TypeError, ValueError) as fault:
        raise DataError(
            f"{manifest} is no sample manifest ({fault}); delete it and run the sample stage again"
        ) from None
    greedy = [name for name in hashes if name.startswith(GREEDY)]
    if declared != design or (drawn_here and not greedy) or len(greedy) == len(hashes):
        raise DataError(
            f"{manifest}: found the design {declared} and {len(hashes)} files, expected {design}, the greedy "
            "responses and at least one block; run the sample stage again, which keeps every stored block"
        )
    return {folder / name: str(expected) for name, expected in hashes.items()}


def graders_of(manifests: Sequence[Path], graders: Sequence[Grader]) -> list[Grader]:
    """The graders of a policy's samples: first the one that they were drawn with, then the others.

    The files' own scores of imported samples are the last of those of the benchmark, or the only one where no grader
    of ours was asked or there is no text.
    """
    said = read_json(manifests[0])
    if said.get("engine") != IMPORT:
        return list(graders)
    if said["grader"] == SCORES.identity:
        return [SCORES, *(each for each in graders if each is not SCORES and said["texts"])]
    return [*graders, *([SCORES] if said["scored"] else [])]


def check_others(imported: Mapping[str, Path]) -> None:
    """Refuse two policies with the same stored samples: compared with itself no policy changes.

    Args:
        imported: the manifest of each policy.

    Raises:
        DataError: two say the same.
    """
    first_of: dict[str, str] = {}
    for policy, manifest in imported.items():
        if (other := first_of.setdefault(read_json(manifest)["content"], policy)) != policy:
            raise DataError(f"{policy} and {other} have the same samples, expected those of two policies: {manifest}")


def files_of(manifests: Sequence[Path]) -> dict[str, str]:
    """The hash of every file that sample manifests declare, by name.

    Raises:
        DataError: a file is no manifest.
    """
    found: dict[str, str] = {}
    for manifest in manifests:
        content = read_json(manifest)
        if "files" not in content:
            raise DataError(f"{manifest}: found no 'files', expected a manifest; delete it and run the sample stage")
        found |= content["files"]
    return found
