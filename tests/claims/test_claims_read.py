"""What claims are read from: their file, and the tables; every fault is told with its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from claim_tables import CLAIMS, NOT_TESTABLE, SUPPORTED, World, change, edit, judged
from workflow import REPOSITORY

from boundary_bench.claims.claim import SHIPPED, load_claims
from boundary_bench.claims.verdicts import judge, ledger
from boundary_bench.core.errors import DataError
from boundary_bench.tables.reading import read_tables

# the file of claims

NEW = """
- id: mine
  sentence: The boundary shrinks at k = 128.
  source: {paper: Me 2026, arxiv: "2601.00001"}
  parts:
    - {kind: value, table: differences, column: difference, where: {k: 128}, side: below, threshold: 0, reason: a loss}
"""


def test_a_new_claim_is_one_entry(tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text(SHIPPED.read_text() + NEW)
    claim = load_claims(tmp_path / "claims.yaml")[-1]
    assert judged(tmp_path / "tables", claim, **change(0, -0.1)).verdict == SUPPORTED


def test_the_entry_of_the_docs_is_a_claim(tmp_path: Path) -> None:
    (entry,) = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs" / "claims.md").read_text(), re.DOTALL)
    (tmp_path / "claims.yaml").write_text(entry)
    assert len(load_claims(tmp_path / "claims.yaml")) == 1


FAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "mine.sentense: Extra inputs": lambda entry: entry.update(sentense="?"),
    "mine.source.arxiv: ": lambda entry: entry["source"].update(arxiv="last year"),
    "mine.parts.0.value: where: found": lambda entry: entry["parts"][0].update(where={}),
    "mine.parts.0.value.side": lambda entry: entry["parts"][0].update(side="beside"),
    "mine.parts.0.value.reason: Field required": lambda entry: entry["parts"][0].pop("reason"),
    "mine.parts.0: Input tag 'magic'": lambda entry: entry["parts"][0].update(kind="magic"),
    "mine: found parts and beyond": lambda entry: entry.update(beyond="all"),
    "entry 1.id": lambda entry: entry.pop("id"),
    "mine.parts.0.value.threshold: Input should be a finite number": lambda entry: entry["parts"][0].update(
        threshold=float("nan")
    ),
}


@pytest.mark.parametrize("said", FAULTS)
def test_a_fault_in_a_claim_is_told_with_its_place(said: str, tmp_path: Path) -> None:
    (entry,) = yaml.safe_load(NEW)
    FAULTS[said](entry)
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump([entry]))
    with pytest.raises(DataError) as fault:
        load_claims(tmp_path / "claims.yaml")
    assert "claims.yaml has" in str(fault.value) and f"  {said}" in str(fault.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- id: a\n  id: b\n", "'id' is written twice"),
        ("{}", "found dict, expected a list"),
        ("[]", "expected a list"),
        ("- [", "not readable as YAML"),
        ("[" * 5000, "nested too deeply"),
        ("- 3\n", "entry 1"),
        (NEW + NEW, "'mine' twice"),
        ("- !!python/object/apply:os.system [true]\n", "not readable as YAML"),
    ],
)
def test_no_file_of_claims(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text(text)
    with pytest.raises(DataError, match=re.escape(said)):
        load_claims(tmp_path / "claims.yaml")


# damage

DAMAGE: dict[str, Callable[[Path], Any]] = {
    "provenance.json is missing": lambda folder: (folder / "provenance.json").unlink(),
    "provenance.json: found no study": lambda folder: (folder / "provenance.json").write_text('{"study": []}'),
    "found no study with analysis.level": lambda folder: (folder / "provenance.json").write_text(
        '{"study": {"analysis": {"level": NaN, "resamples": 2000}, "benchmarks": {}}}'
    ),
    "stages.csv is missing": lambda folder: (folder / "stages.csv").unlink(),
    "coverage.csv: found no column": lambda folder: (folder / "coverage.csv").write_text("model,seed\na,b\n"),
    "summary.csv is torn": lambda folder: (folder / "summary.csv").write_bytes(b"\xff\xfe\n"),
    "differences.csv: found no row": lambda folder: (folder / "differences.csv").write_text(
        (folder / "differences.csv").read_text().split("\n")[0]
    ),
    "differences.csv: found step 'x'": lambda folder: edit(folder / "differences.csv", 0, step="x"),
    "summary.csv: found model '../x', expected what": lambda folder: edit(folder / "summary.csv", 0, model="../x"),
    "differences.csv, row 4: found": lambda folder: edit(folder / "differences.csv", 3, k=1, step=1000),
    "boundary.csv, row 10 is torn": lambda folder: (folder / "boundary.csv").write_text(
        (folder / "boundary.csv").read_text()[:-20]
    ),
    "low: found 'nan', expected a finite number": lambda folder: edit(folder / "differences.csv", 5, low="nan"),
    "difference: found '<script>'": lambda folder: edit(folder / "differences.csv", 5, difference="<script>"),
    "expected an interval around it": lambda folder: edit(folder / "differences.csv", 5, low="0.4"),
    "at level 2.0": lambda folder: edit(folder / "differences.csv", 5, level="2"),
    "both: found -3": lambda folder: edit(folder / "coverage.csv", 2, both="-3"),
    "change: found 'up', expected a finite number": lambda folder: edit(folder / "stages.csv", 6, change="up"),
    "found fall_p 7": lambda folder: edit(folder / "stages.csv", 2, fall_p="7"),
}


@pytest.mark.parametrize("said", DAMAGE)
def test_damage_is_named(said: str, tmp_path: Path) -> None:
    folder = World().write(tmp_path)
    DAMAGE[said](folder)
    with pytest.raises(DataError, match=re.escape(said)) as fault:
        ledger(folder)
    assert str(folder) in str(fault.value)


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [
        ("yao-greedy-competitive", "summary.csv", "greedy_low"),
        ("yao-grpo-n-entropy-ends-above-base", "stages.csv", "change_low"),
    ],
)
def test_a_missing_column_is_what_is_missing(name: str, table: str, column: str, tmp_path: Path) -> None:
    folder = World(**change(0, 0)).write(tmp_path)
    path = folder / table
    path.write_text(path.read_text().replace(column, "from"))
    (found,) = judge([CLAIMS[name]], read_tables(folder)).claims
    assert found.verdict == NOT_TESTABLE and found.findings[0].note == f"column {column} of {table}"
