"""Synthetic tables of a study whose truth is known: what is not said has not changed, and is known to +-``width``."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from boundary_bench.claims.claim import Claim, load_claims
from boundary_bench.claims.verdicts import ClaimVerdict, Judged, judge
from boundary_bench.tables.reading import read_tables

ALGORITHMS = ("grpo", "grpo-n", "gspo", "gspo-n", "nsr")
#: From, to and chance of the clearest fall, and of the clearest rise.
FLAT = ((0, 1000, 0.9), (1000, 2000, 0.9))
FALLS = ((0, 2000, 0.0), (1000, 2000, 1.0))
RISES = ((0, 1000, 1.0), (0, 2000, 0.0))
TURNS = ((0, 1000, 0.0), (1000, 2000, 0.0))
TURNS_OVER = ((1000, 2000, 0.0), (0, 1000, 0.0))
MEASURES = (("pass@k", 1), ("pass@k", 256), ("token entropy", ""), ("answer entropy", ""))


@dataclass
class World:
    """One truth for every run.

    Attributes:
        change: checkpoint minus base by k; base: of the base by k.
        strata: of some strata, the base and its change at every k.
        greedy, gap: greedy accuracy and efficiency gap by algorithm.
        courses: of some measures, the clearest fall and rise.
        ends: of some measures, the last checkpoint minus the base; where it is not said, 1 up or down where the base
            and the last checkpoint are the clearest rise or fall.
        sets: problems solved by both, the base alone, the checkpoint alone; luck: ``null_at_half``.
    """

    algorithms: tuple[str, ...] = ALGORITHMS
    steps: tuple[int, ...] = (1000, 2000)
    width: float = 0.1
    change: dict[int, float] = field(default_factory=lambda: {1: 0.0, 128: 0.0, 256: 0.0})
    base: dict[int, float] = field(default_factory=dict)
    strata: dict[str, tuple[float, float]] = field(default_factory=dict)
    greedy: dict[str, float] = field(default_factory=dict)
    gap: dict[str, float] = field(default_factory=dict)
    courses: dict[Any, Any] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    sets: tuple[int, int, int] = (9, 1, 1)
    luck: float = 0.0
    training: dict[str, Any] = field(default_factory=dict)
    benchmark: str = "countdown"
    n: int = 1024
    problems: int = 400
    level: float = 0.95

    def write(self, folder: Path) -> Path:
        """Write all tables and the provenance; returns the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        study = {"study": "synthetic", "analysis": {"level": self.level, "resamples": 2000}}
        study |= {"training": self.training, "benchmarks": {self.benchmark: {}}}
        (folder / "provenance.json").write_text(json.dumps({"study": study}))
        tables: dict[str, list[dict[str, Any]]] = {name: [] for name in ("differences", "boundary", "coverage")}
        tables |= {name: [] for name in ("stages", "summary")}
        for algorithm, step in product(self.algorithms, self.steps):
            self._add_checkpoint(tables, algorithm, step)
        for algorithm, (measure, k) in product(self.algorithms, MEASURES):
            fall, rise = self.courses.get((measure, k), self.courses.get(measure, FLAT))
            moves = {
                f"{name}_{end}": value
                for name, move in (("fall", fall), ("rise", rise))
                for end, value in zip(("from", "to", "p"), move, strict=True)
            }
            change = self.ends.get(measure, (rise == RISES[1]) - (fall == FALLS[0]))
            row = {**self._run(algorithm), "stratum": "all", "measure": measure, "k": k, "first": 1, "last": 1 + change}
            row |= {**self._around("change", change), "level": self.level}
            tables["stages"].append({**row, **moves, "problems": self.problems})
        whole = {**self._run("base"), "seed": "", "step": 0, "stratum": "all", "level": self.level}
        base = {**whole, **self._around("greedy", self.greedy.get("base", 0.4))}
        tables["summary"].append({**base, "problems": self.problems, "n_max": self.n})
        checkpoint = [*self._run("grpo"), "step", "stratum"]
        for name, columns in (("pass_at_k", [*checkpoint, "k"]), ("cover", [*checkpoint, "threshold"])):
            (folder / f"{name}.csv").write_text(",".join(columns) + "\n")
        for name, rows in tables.items():
            write(folder / f"{name}.csv", rows)
        return folder

    def _run(self, algorithm: str) -> dict[str, Any]:
        return {"model": "base", "algorithm": algorithm, "seed": 0, "benchmark": self.benchmark}

    def _add_checkpoint(self, tables: dict[str, list[dict[str, Any]]], algorithm: str, step: int) -> None:
        where = {**self._run(algorithm), "step": step}
        counted = {"level": self.level, "problems": self.problems, "n_max": self.n}
        strata = {"all": (None, None), **self.strata}
        for (stratum, (base, change)), k in product(strata.items(), self.change):
            value = self.change[k] if change is None else change
            row = {**where, "stratum": stratum, "k": k, "base": self.base.get(k, 0.4) if base is None else base}
            row |= {"difference": value, "low": value - self.width, "high": value + self.width, **counted}
            samples = {"samples_only_low": value - self.width / 2, "samples_only_high": value + self.width / 2}
            tables["differences"].append({**row, **samples})
        whole = {**where, "stratum": "all"}
        tables["boundary"].append({**whole, **self._around("efficiency_gap", self.gap.get(algorithm, 0.4)), **counted})
        tables["summary"].append({**whole, **self._around("greedy", self.greedy.get(algorithm, 0.4)), **counted})
        both, lost, gained = self.sets
        sets = {"both": both, "base_only": lost, "checkpoint_only": gained, "neither": 5, "null_at_half": self.luck}
        tables["coverage"] += [{**whole, "hits": hits, **sets, **counted} for hits in (1, 3)]

    def _around(self, name: str, value: float) -> dict[str, float]:
        return {name: value, f"{name}_low": value - self.width, f"{name}_high": value + self.width}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def edit(path: Path, place: int, **cells: Any) -> None:
    """Change cells of one row of a table."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[place] |= cells
    write(path, rows)


CLAIMS = {claim.id: claim for claim in load_claims()}
SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE = ClaimVerdict
SURE = 0.01
CLEAN = {"training": {"reward": {"random": 0.5}}}


def world(**changes: Any) -> dict[str, Any]:
    return {"width": SURE, **changes}


def token(course: Any, answer: Any = FLAT) -> dict[str, Any]:
    return {"courses": {"token entropy": course, "answer entropy": answer}}


def change(once: float, many: float) -> dict[str, Any]:
    return world(change={1: once, 128: many, 256: many})


def judged(folder: Path, claim: Claim, drop: tuple[str, dict[str, str]] | None = None, **changes: Any) -> Judged:
    tables = read_tables(World(**changes).write(folder))
    if drop:
        table, cells = drop
        kept = {key: row for key, row in tables.rows[table].items() if not cells.items() <= row.items()}
        tables.rows[table].clear()
        tables.rows[table].update(kept)
    (found,) = judge([claim], tables).claims
    return found
