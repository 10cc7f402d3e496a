"""The files of evaluation harnesses as rows of plain columns; those that are no files of rows are read here.

These are inspect_ai's logs (``.eval`` and ``.json``), evalplus' results, and Large Language Monkeys' YAML files.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path
from typing import Any

from boundary_bench.core.errors import DataError
from boundary_bench.core.yaml_files import read_plain_yaml
from boundary_bench.records import Record, read
from boundary_bench.records.forms import ROLLOUTS, Notes, plain
from boundary_bench.records.jsons import Parser
from boundary_bench.records.texts import unpacked

#: Bytes of a sample of an inspect_ai log, unpacked, and of a YAML file.
LARGEST = 2**26
#: Bytes of the results of evalplus, one line for all samples: 164 problems x 200 samples have some 30 million.
LARGEST_RESULTS = 2**28
#: zstd, which newer logs are packed with and zipfile of Python cannot unpack before 3.14.
ZSTD = 93
#: What evalplus says of a program: it passes the tests, fails one, or runs out of time, as a wrong one may.
STATUSES = ("pass", "fail", "timeout")
#: The files of TRL, of any version.
COMPLETIONS = re.compile(r"completions_[0-9]+\.parquet")


def files_of(pattern: str) -> list[Path]:
    """The files of a path or pattern, or the YAML files of a folder, in the order of their names.

    Raises:
        DataError: there is none.
    """
    if Path(pattern).is_file():
        return [Path(pattern)]
    if Path(pattern).is_dir():
        if found := sorted(path for path in Path(pattern).glob("*.y*ml") if path.is_file()):
            return found
        raise DataError(
            f"{pattern} is a folder without YAML files, expected one for each problem; give a file in it, as that of a "
            f"step, or a pattern of the files of one policy, as '{Path(pattern) / 'seed*.jsonl'}'"
        )
    if found := [Path(name) for name in sorted(glob(pattern, recursive=True)) if Path(name).is_file()]:
        return found
    raise DataError(f"found no file {pattern}, expected one with samples or counts, or a pattern of several")


@dataclass
class Harness:
    """Reads a file; its notes say what happened to rows that are no samples."""

    notes: Notes = field(default_factory=Notes)

    def records(self, file: Path) -> Iterator[Record]:
        """The rows of a file with plain columns; invalid ones as they are.

        Raises:
            DataError: the file cannot be read, or holds no samples of a benchmark.
        """
        for record in self._parts(file):
            if record.row is None:
                yield record
                continue
            try:
                row = plain(record.row, self.notes)
            except DataError as fault:
                raise DataError(f"{file}: row {record}: found {fault}") from None
            except ValueError as fault:
                yield replace(record, row=None, fault=str(fault))
                continue
            if row is not None:
                yield record if row is record.row else replace(record, row=row)

    def _parts(self, file: Path) -> Iterator[Record]:
        """The rows of a file as the harness wrote them."""
        name = file.name.lower()
        if COMPLETIONS.fullmatch(name):
            raise DataError(f"{file}: found completions of TRL, {ROLLOUTS}; sample the checkpoints on a benchmark")
        if name.endswith((".yaml", ".yml")):
            yield monkeys_problem(file)
        elif name.endswith("eval_results.json") and (tasks := _evalplus_tasks(file)) is not None:
            for number, (task, samples) in enumerate(tasks.items(), 1):
                yield _evalplus(number, task, samples)
        else:
            for record in inspect_samples(file) if name.endswith(".eval") else read(file):
                row = record.row
                if row and isinstance(row.get("samples"), list) and isinstance(row.get("eval"), dict):
                    for number, sample in enumerate(row["samples"], 1):
                        yield _record(number, sample, f"sample {number}")
                else:
                    yield record


def _record(number: int, row: Any, place: str = "") -> Record:
    whole = isinstance(row, dict)
    return Record(
        number, row if whole else None, place, "" if whole else f"found {type(row).__name__}, expected an object"
    )


def monkeys_problem(file: Path) -> Record:
    """The problem of a YAML file of Large Language Monkeys, which is named after it, with all its samples.

    Raises:
        DataError: the file cannot be read.
    """
    found = read_plain_yaml(file, LARGEST, DataError)
    if not isinstance(found, dict):
        return _record(1, found)
    return Record(1, {**found, "problem_id": file.stem}, file.name)


def _evalplus_tasks(file: Path) -> dict[str, Any] | None:
    """The samples of evalplus by task; None for another file, which may have the same name."""
    with unpacked(file) as content:
        text = content.read(LARGEST_RESULTS + 1)
    if len(text) > LARGEST_RESULTS:
        raise DataError(f"{file} has more than {LARGEST_RESULTS:,} bytes, expected fewer; take a part of it")
    parser = Parser()
    try:
        found, _ = parser.value(text.decode(), 0)
    except ValueError:  # the reader of rows says where
        return None
    tasks = found.get("eval") if isinstance(found, dict) else None
    if not isinstance(tasks, dict) or not all(isinstance(samples, list) for samples in tasks.values()):
        return None
    if parser.faults:
        raise DataError(f"{file}: {parser.faults[0]}")
    return tasks


def _evalplus(number: int, task: str, samples: list[Any]) -> Record:
    """The programs of a task, in order. One is correct if it passes the base tests and, where they ran, those added."""
    said = [
        [each.get(f"{tests}_status") for tests in ("base", "plus")] if isinstance(each, dict) else [None, None]
        for each in samples
    ]
    for base, plus in said:
        if base not in STATUSES or plus not in (*STATUSES, None):
            fault = f"found the status {base!r:.40} and {plus!r:.40}, expected {', '.join(STATUSES)}"
            return Record(number, None, task, fault)
    return Record(
        number,
        {
            "problem_id": task,
            "response": [each.get("solution") for each in samples],
            "score": [base == "pass" and plus in ("pass", None) for base, plus in said],
        },
        task,
    )


def inspect_samples(file: Path) -> Iterator[Record]:
    """The samples of an inspect_ai log in its ``.eval`` format, a ZIP archive with a file for each.

    Raises:
        DataError: it is no such archive, is torn, or is packed in a way that this Python cannot unpack.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            # of entries of one name the last holds
            entries = {each.filename: each for each in archive.infolist() if each.filename.startswith("samples/")}
            if any(each.compress_type == ZSTD for each in entries.values()):
                raise DataError(
                    f"{file} is packed with zstd, which this Python cannot read; run: inspect log convert --to json "
                    "--output-dir FOLDER, and give the .json file"
                )
            for number, entry in enumerate(entries.values(), 1):
                if entry.file_size > LARGEST:
                    yield Record(number, None, entry.filename, f"found {entry.file_size:,} bytes, expected {LARGEST:,}")
                    continue
                with archive.open(entry) as packed:
                    sample = json.loads(packed.read(LARGEST))
                whole = isinstance(sample, dict)
                fault = "" if whole else f"found {type(sample).__name__}, expected an object"
                yield Record(number, sample if whole else None, entry.filename, fault)
    except FileNotFoundError:
        raise DataError(f"found no file {file}, expected a log of inspect_ai") from None
    # RuntimeError: nested too deep, encrypted, or packed in a way that zipfile does not know
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as fault:
        raise DataError(f"{file} is no whole log of inspect_ai ({type(fault).__name__}: {fault})"[:300]) from None
