"""From claims and tables to verdicts: one for each run and benchmark, and one for the study.

The false discovery rate is controlled over all claims, runs and benchmarks together (Benjamini and Hochberg, JRSS B
1995), the side included (Benjamini and Yekutieli, JASA 2005).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import false_discovery_control

from boundary_bench.claims.claim import Claim, ValuePart, load_claims
from boundary_bench.claims.evidence import Evidence, gather
from boundary_bench.tables.reading import Subject, Tables, Untestable, read_tables
from boundary_bench.tables.table import BASE


class ClaimVerdict(StrEnum):
    """The verdict of a study on a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_TESTABLE = "not testable here"


@dataclass(frozen=True)
class Finding:
    """The verdict on a claim for one run and benchmark.

    Attributes:
        evidence: evidence on every part of the claim; empty if not testable.
        corrected: for each part, the interval at the level corrected for all tests of the ledger.
        q: smallest false discovery rate at which this would be decided; None if not testable.
        note: the sample size that would decide it, or the reason why it is not testable.
    """

    unit: Subject
    verdict: ClaimVerdict
    evidence: list[Evidence]
    corrected: list[tuple[float, float] | None]
    q: float | None
    note: str

    @property
    def numbers(self) -> list[tuple[Evidence, tuple[float, float] | None]]:
        """Every part with its corrected interval."""
        return list(zip(self.evidence, self.corrected, strict=True))


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict on the study and its findings, as text, page and record show them."""

    claim: Claim
    verdict: ClaimVerdict
    findings: list[Finding]
    missing: list[str]

    def count(self, verdict: ClaimVerdict) -> int:
        """The number of findings with a verdict."""
        return sum(finding.verdict == verdict for finding in self.findings)

    @property
    def counts(self) -> dict[ClaimVerdict, int]:
        """The number of findings by verdict, without zeros."""
        return {verdict: self.count(verdict) for verdict in ClaimVerdict if self.count(verdict)}

    @property
    def tested(self) -> list[Finding]:
        """The findings of runs and benchmarks on which the claim is testable."""
        return [finding for finding in self.findings if finding.verdict != ClaimVerdict.NOT_TESTABLE]

    @property
    def lacking(self) -> dict[str, int]:
        """The number of findings that are not testable, by reason."""
        return Counter(each.note for each in self.findings if each.verdict == ClaimVerdict.NOT_TESTABLE)


@dataclass(frozen=True)
class Ledger:
    """Every claim on one study.

    Attributes:
        rate: false discovery rate over all tests.
        tested, decided: numbers of claims x runs x benchmarks that are testable, and supported or contradicted.
        level: level of the corrected intervals.
    """

    study: str
    folder: str
    rate: float
    tested: int
    decided: int
    level: float
    claims: list[Judged]


@dataclass(frozen=True)
class _Test:
    """The test of a claim on a unit, before the correction for all tests."""

    unit: Subject
    evidence: list[Evidence]
    p_for: float
    p_against: float
    missing: str = ""

    @property
    def p(self) -> float:
        return min(1.0, 2 * min(self.p_for, self.p_against))


def ledger(tables: Path) -> Ledger:
    """The verdicts on all shipped claims, from the tables in a folder.

    Raises:
        DataError: a table is missing or damaged.
    """
    return judge(load_claims(), read_tables(tables))


def judge(claims: Sequence[Claim], tables: Tables) -> Ledger:
    """The verdict on every claim.

    Raises:
        DataError: a number in the tables is damaged.
    """
    tests = [[_test(claim, tables, unit) for unit in _units(claim, tables)] for claim in claims]
    p_T = np.array([test.p for each in tests for test in each if not test.missing])
    q_T = false_discovery_control(p_T)
    rate, tested = round(1 - tables.level, 12), len(p_T)
    decided = int((q_T <= rate).sum())
    # an interval of this level excludes a threshold exactly if the test is decided; if none is, the level of the first
    level = 1 - rate * max(decided, 1) / max(tested, 1)
    waiting = iter(q_T)
    judged = []
    for claim, each in zip(claims, tests, strict=True):
        findings = [_finding(test, None if test.missing else float(next(waiting)), rate, level) for test in each]
        judged.append(Judged(claim, overall([f.verdict for f in findings]), findings, _missing(claim, tables)))
    return Ledger(str(tables.study.get("study")), str(tables.folder), rate, tested, decided, level, judged)


def overall(verdicts: Sequence[ClaimVerdict]) -> ClaimVerdict:
    """The verdict of a study: supported or contradicted, if some findings are and none says the opposite."""
    found = set(verdicts) & {ClaimVerdict.SUPPORTED, ClaimVerdict.CONTRADICTED}
    if len(found) == 1:
        return found.pop()
    return ClaimVerdict.UNDECIDED if found or ClaimVerdict.UNDECIDED in verdicts else ClaimVerdict.NOT_TESTABLE


def _units(claim: Claim, tables: Tables) -> list[Subject]:
    if claim.beyond or any(not _has(tables.study, path) for path in claim.needs.settings):
        return []
    needs, units = claim.needs, tables.units()
    units = [unit for unit in units if not needs.algorithms or unit.algorithm in needs.algorithms]
    return [unit for unit in units if not needs.benchmarks or set(needs.benchmarks) & _names(tables, unit.benchmark)]


def _names(tables: Tables, benchmark: str) -> set[str]:
    """The name of a benchmark and its kind."""
    return {benchmark, str(tables.study["benchmarks"].get(benchmark, {}).get("kind") or benchmark)}


def _has(settings: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(settings, dict) or name not in settings:
            return False
        settings = settings[name]
    return True


def _missing(claim: Claim, tables: Tables) -> list[str]:
    """What the study as a whole lacks for a claim."""
    if claim.beyond:
        return [claim.beyond]
    units, needs = tables.units(), claim.needs
    found = [f"setting {path}" for path in needs.settings if not _has(tables.study, path)]
    there = {BASE, *(unit.algorithm for unit in units)}
    named = [*needs.algorithms, *(part.minus for part in claim.parts if isinstance(part, ValuePart) and part.minus)]
    found += [f"algorithm {name}" for name in dict.fromkeys(named) if name not in there]
    benchmarks = {unit.benchmark for unit in units}
    if needs.benchmarks and not any(set(needs.benchmarks) & _names(tables, name) for name in benchmarks):
        found.append(f"one of the benchmarks {', '.join(sorted(needs.benchmarks))}")
    return found


def _test(claim: Claim, tables: Tables, unit: Subject) -> _Test:
    try:
        needs = claim.needs
        if needs.steps and unit.step < needs.steps:
            raise Untestable(f"{needs.steps} training steps; this run has {unit.step}")
        if needs.n and needs.n > (n := tables.number("boundary", tables.find("boundary", unit), "n_max")):
            raise Untestable(f"{needs.n} samples a problem; this study draws {n:g}")
        evidence = [gather(tables, part, unit) for part in claim.parts]
    except Untestable as lack:
        return _Test(unit, [], 1.0, 1.0, str(lack))
    # support needs all parts; one failing part contradicts, with a Bonferroni correction for the pick among them
    p_for = max(each.p_for for each in evidence)
    p_against = min(1.0, len(evidence) * min(each.p_against for each in evidence))
    return _Test(unit, evidence, p_for, 1.0 if claim.possible else p_against)


def _finding(test: _Test, q: float | None, rate: float, level: float) -> Finding:
    if q is None:
        return Finding(test.unit, ClaimVerdict.NOT_TESTABLE, [], [], None, test.missing)
    corrected = [each.spread.interval(level) if each.spread else None for each in test.evidence]
    if q > rate:
        return Finding(test.unit, ClaimVerdict.UNDECIDED, test.evidence, corrected, q, _power(test, 1 - level))
    verdict = ClaimVerdict.SUPPORTED if test.p_for < test.p_against else ClaimVerdict.CONTRADICTED
    return Finding(test.unit, verdict, test.evidence, corrected, q, "")


def _power(test: _Test, needed: float) -> str:
    """A note on the number of problems, or samples, that would decide a test if the estimates stayed the same.

    The half-width falls with the square root of the problems, so P (z needed / z found)^2 problems suffice. More
    samples reduce only their own share of the squared width.
    """
    towards = test.p_for <= test.p_against
    weakest = (
        max(test.evidence, key=lambda each: each.p_for)
        if towards
        else min(test.evidence, key=lambda each: each.p_against)
    )
    if test.p >= 1:
        return f"no number of problems decides this at such numbers ({weakest.what})"
    ratio = float(ndtri(needed / 2) / ndtri(test.p / 2)) ** 2
    side = "support" if towards else "contradict"
    note = f"about {math.ceil(weakest.problems * ratio):,} problems would {side} it, if the numbers stayed (P is "
    note += f"{weakest.problems})"
    if weakest.samples is None or weakest.n is None:
        return note
    left = 1 / ratio - (1 - weakest.samples)
    share = f"samples are {weakest.samples:.0%} of the squared width"
    if left <= 0:
        return f"{note}; {share}: more of them alone would not"
    return f"{note}; or n of about {math.ceil(weakest.n * weakest.samples / left):,} ({share}; n is {weakest.n:,})"
