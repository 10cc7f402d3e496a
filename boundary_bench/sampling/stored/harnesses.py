"""The rows of evaluation harnesses that nest their columns, as rows of plain ones (``rows.NAMES``).

Written by lm-eval (``--log_samples``), lighteval (details), inspect_ai (``.eval`` and ``.json``).
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from boundary_bench.core.errors import DataError
from boundary_bench.records import Record, read

#: Bytes of a sample of an inspect_ai log, unpacked.
LARGEST = 2**26
#: What inspect_ai's scorers write: correct, incorrect, partly correct, no answer.
LETTERS = {"C": True, "I": False, "P": False, "N": False}
#: zstd, which newer logs are packed with and zipfile of Python cannot unpack before 3.14.
ZSTD = 93


@dataclass
class Harness:
    """Reads a file; counts the rows that are no samples, by reason.

    Attributes:
        kept: the filter of lm-eval whose rows are read.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    kept: Any = None

    def records(self, file: Path) -> Iterator[Record]:
        """The rows of a file with plain columns; invalid ones as they are.

        Raises:
            DataError: the file cannot be read.
        """
        for record in inspect_samples(file) if file.suffix == ".eval" else read(file):
            row = record.row
            if row is None:
                yield record
            elif isinstance(row.get("samples"), list) and isinstance(row.get("eval"), dict):
                for number, sample in enumerate(row["samples"], 1):
                    yield from self._plain(Record(number, sample, f"sample {number}"))
            else:
                yield from self._plain(record)

    def _plain(self, record: Record) -> Iterator[Record]:
        try:
            yield from self._known(record)
        except (AttributeError, TypeError, KeyError, IndexError, ValueError) as fault:
            said = f"no row of the harness that it looks like ({type(fault).__name__}: {fault})"[:200]
            yield replace(record, row=None, fault=said)

    def _known(self, record: Record) -> Iterator[Record]:
        row = record.row or {}
        if "resps" in row and "filter" in row:  # lm-eval writes the same responses once for each of its filters
            self.kept = self.kept or row["filter"]
            if row["filter"] == self.kept:
                yield record
            else:
                self.left_out[f"repeat responses for other filters than {self.kept!r:.40}"] += 1
        elif isinstance(row.get("doc"), dict) and isinstance(row.get("model_response"), dict):
            yield replace(record, row=_lighteval(row["doc"], row["model_response"]))
        elif "epoch" in row and isinstance(row.get("output"), dict):
            if row.get("error"):
                self.left_out["ended in an error and are missing"] += 1
            else:
                yield replace(record, row=_inspect(row))
        else:
            yield record


def _lighteval(doc: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    """A row of lighteval's details. Its metrics are of all responses together, so they are no scores."""
    gold, choices = doc.get("gold_index"), doc.get("choices") or []
    gold = gold[0] if isinstance(gold, list) and gold else gold
    known = isinstance(gold, int) and 0 <= gold < len(choices)
    return {
        "problem_id": doc.get("id"),
        "question": doc.get("query"),
        "gold": choices[gold] if known and isinstance(gold, int) else None,
        "response": response.get("text"),
    }


def _inspect(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample of an inspect_ai log; its score where it has a single scorer."""
    choices = sample["output"].get("choices") or [{}]
    scores = sample.get("scores") or {}
    value = next(iter(scores.values())).get("value") if len(scores) == 1 else None
    target = sample.get("target")
    return {
        "problem_id": sample.get("id"),
        "question": _text(sample.get("input")),
        "gold": target[0] if isinstance(target, list) and len(target) == 1 else target,
        "epoch": sample["epoch"],
        "response": sample["output"].get("completion") or _text(choices[0].get("message", {}).get("content")),
        "finish_reason": choices[0].get("stop_reason"),
        "score": LETTERS.get(value, value) if isinstance(value, str) else value,
    }


def _text(content: Any) -> Any:
    """A message as text: of a list of parts the texts, of a list of messages the user's last."""
    if not isinstance(content, list):
        return content
    if said := [each.get("content") for each in content if isinstance(each, dict) and each.get("role") == "user"]:
        return _text(said[-1])
    return "".join(each["text"] for each in content if isinstance(each, dict) and isinstance(each.get("text"), str))


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
