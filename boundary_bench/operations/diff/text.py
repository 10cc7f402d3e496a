"""A comparison as text for people, and as a record for programs.

What comes from a file is shown with its control characters written out.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from typing import Any

from boundary_bench.core.text import aligned, listed, plain
from boundary_bench.operations.diff import Contrast
from boundary_bench.operations.diff.numbers import ANALYSIS, RATE, Cell, Numbers, State
from boundary_bench.operations.diff.settings import SettingsDiff
from boundary_bench.operations.diff.sides import Side
from boundary_bench.operations.diff.verdicts import Verdicts
from boundary_bench.statistics.paired import ROUNDING

#: Cells that are shown although they did not move.
LARGEST = 5
#: Characters of a value.
LONGEST = 60
HINT = "; --json has all"


def record(found: Contrast) -> dict[str, Any]:
    """The comparison for JSON: every cell and verdict, and what the exit code says."""
    numbers = found.numbers
    return {
        "a": str(found.a.folder),
        "b": str(found.b.folder),
        "moved": found.moved(),
        # NaN, which other programs may have written, is no JSON
        "settings": json.loads(json.dumps(asdict(found.settings)), parse_constant=str),
        "numbers": {
            "level": ANALYSIS.level,
            "false_discovery_rate": RATE,
            "margin": ANALYSIS.margin,
            **{name: len(getattr(numbers, name)) for name in ("compared", "equal", "moved")},
            **asdict(numbers),
            "cells": [{**asdict(cell), "moved": cell.moved} for cell in numbers.cells],
        },
        "verdicts": asdict(found.verdicts),
    }


def text(found: Contrast) -> str:
    """The whole comparison; its last line says what moved."""
    sides = [_side("A", found.a), _side("B", found.b)]
    parts = [sides, _settings(found.settings), _comparable(found.numbers), _numbers(found.numbers)]
    parts += [_verdicts(found.verdicts), [_summary(found)]]
    return "\n\n".join("\n".join(map(plain, part)) for part in parts if part)


def _summary(found: Contrast) -> str:
    numbers, verdicts = found.numbers, found.verdicts
    states = Counter(cell.state for cell in numbers.cells)
    unpaired = f"; {states[State.UNPAIRED]:,} not paired, of which nothing is said" if states[State.UNPAIRED] else ""
    return (
        f"{len(numbers.compared):,} cells compared, {len(numbers.moved):,} moved at FDR {RATE:.0%}, "
        f"{states[State.IDENTICAL]:,} identical, {len(numbers.equal):,} the same to -+{ANALYSIS.margin}{unpaired}; "
        f"{sum(verdicts.compared.values()):,} verdicts compared, {len(verdicts.moved):,} moved"
    )


def _side(name: str, side: Side) -> str:
    code = side.provenance.code
    commit = str(code.commit or "unknown")[:12] + (" with changes" if code.dirty else "")
    return f"{name}: {side.folder} (study {side.tables.study.get('study')}, commit {commit})"


def _settings(found: SettingsDiff) -> list[str]:
    kinds = [f"  settings of {kind}: {_names(names)}" for kind, names in found.kinds.items()]
    values = [f"{each.path}: {_value(each.a)} -> {_value(each.b)}" for each in found.values]
    return ["made with, A -> B", *kinds, *listed(values, HINT)]


def _names(names: dict[str, list[str]]) -> str:
    words = {"other": "other", "only in A": "only_a", "only in B": "only_b"}
    parts = [f"{len(names['same'])} the same"] if names["same"] else []
    return "; ".join([*parts, *(f"{word}: {_few(names[key])}" for word, key in words.items() if names[key])])


def _few(names: list[str]) -> str:
    more = f" and {len(names) - LARGEST} more" if len(names) > LARGEST else ""
    return f"{', '.join(names[:LARGEST])}{more}"


def _value(value: Any) -> str:
    shown = "(none)" if value is None else json.dumps(value)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} ..."


def _comparable(found: Numbers) -> list[str]:
    states, weights = Counter(pair.state for pair in found.pairs), sum(pair.weights for pair in found.pairs)
    lines = [
        f"  {len(found.pairs):,} policies x benchmarks in both: {states[State.IDENTICAL]:,} identical, "
        f"{states[State.PAIRED]:,} paired over the same problems; {weights:,} of the same weights"
    ]
    reasons = Counter((pair.place.benchmark, pair.reason) for pair in found.pairs if pair.reason)
    lines += [f"  not paired: {count:,} on {benchmark}: {reason}" for (benchmark, reason), count in reasons.items()]
    for name, only in (("A", found.only_a), ("B", found.only_b)):
        values = "; ".join(f"{column} {_few(values)}" for column, values in only.values.items())
        shown = f"{only.cells:,} cells ({values or 'combinations that the other side has not'})"
        lines += [f"  only in {name}: {shown}"] if only.cells else []
    return ["comparable", *lines]


def _numbers(found: Numbers) -> list[str]:
    differing = [cell for cell in found.cells if cell.state != State.IDENTICAL]
    differing.sort(key=lambda cell: -abs(cell.difference))
    if not differing:
        return []
    rows = [["B minus A of pass@k", "cells", "tested", "same", "moved", "largest", "at"]]
    whose = attrgetter("place.benchmark", "place.algorithm")
    for names, cells in ((names, list(group)) for names, group in groupby(sorted(differing, key=whose), whose)):
        flags = [(True, cell.q is not None, bool(cell.equal), cell.moved) for cell in cells]
        counts = [f"{sum(column):,}" for column in zip(*flags, strict=True)]
        rows.append([f"  {' '.join(names)}", *counts, f"{cells[0].difference:+.3f}", _at(cells[0])])
    outside = sum(bool(cell.outside) for cell in differing)
    note = [f"  {outside:,} not paired lie outside of A's own interval, which is no test"] if outside else []
    moved = [_cell(cell) for cell in differing if cell.moved]
    others = [_cell(cell) for cell in differing if not cell.moved and abs(cell.difference) > ROUNDING]
    return [
        *aligned(rows),
        *note,
        *_titled(f"moved, largest first: B minus A [paired interval at {ANALYSIS.level:.0%}]", moved),
        *_titled("largest of the others", others[:LARGEST]),
    ]


def _titled(title: str, entries: list[str]) -> list[str]:
    return [title, *listed(entries, HINT)] if entries else []


def _at(cell: Cell) -> str:
    place = f"seed {cell.place.seed} step {cell.place.step} " if cell.place.seed else ""
    return f"{cell.place.model} {place}{_what(cell)}"


def _what(cell: Cell) -> str:
    return f"{'change of ' if cell.what == 'change' else ''}pass@{cell.k}"


def _cell(cell: Cell) -> str:
    ends = f"{cell.a:.3f} -> {cell.b:.3f}"
    line = f"{cell.place}, {_what(cell)}: {cell.difference:+.3f}"
    if cell.low is not None and cell.high is not None and cell.q is not None:
        return f"{line} [{cell.low:+.3f} to {cell.high:+.3f}], q {cell.q:.2g} ({ends})"
    return f"{line}, not paired ({ends}, {'outside of' if cell.outside else 'in'} A's interval)"


def _verdicts(found: Verdicts) -> list[str]:
    moved: dict[str, list[str]] = {kind: [] for kind in found.compared}
    for m in found.moved:
        moved[m.kind].append(f"{m.where}: {m.a} -> {m.b}{f' ({m.note})' if m.note else ''}")
    rows = [[f"  {kind}", f"{count:,}", f"{len(moved[kind]):,}"] for kind, count in found.compared.items()]
    lines = aligned([["verdicts", "compared", "moved"], *rows])
    if found.left_out:
        lines.append(f"  {found.left_out:,} courses are not compared: their runs were evaluated at other steps")
    return [*lines, *(line for kind, entries in moved.items() for line in _titled(f"moved: {kind}", entries))]
