"""The verdict ledger as rows for the page: what is decided first, and each number with the table it is from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from boundary_bench.claims.claim import Claim, CoursePart, Needs, Part, SharePart, ValuePart
from boundary_bench.claims.evidence import Evidence
from boundary_bench.claims.verdicts import ClaimVerdict, Finding, Judged, Ledger
from boundary_bench.tables.writing import number

#: A sign for every verdict, for those who do not see its colour.
SIGNS = {
    ClaimVerdict.SUPPORTED: "\N{CHECK MARK}",
    ClaimVerdict.CONTRADICTED: "\N{MULTIPLICATION X}",
    ClaimVerdict.UNDECIDED: "?",
    ClaimVerdict.NOT_TESTABLE: "\N{EN DASH}",
}


@dataclass(frozen=True)
class Line:
    """One number of a finding, in words.

    Attributes:
        place: the table and the row that it can be looked up in.
    """

    what: str
    claimed: str
    estimate: str
    interval: str
    corrected: str
    problems: int
    samples: str
    place: str


@dataclass(frozen=True)
class LedgerVerdict:
    """The verdict on one run and benchmark, and its numbers."""

    unit: str
    verdict: ClaimVerdict
    q: str
    lines: list[Line]
    note: str


@dataclass(frozen=True)
class LedgerEntry:
    """One row of the ledger.

    Attributes:
        counts: of the runs and benchmarks, how many have each verdict.
        rules: what must hold, each with the reason of its threshold.
        missing: what the study lacks, each with the number of runs and benchmarks that lack it, where it is not all.
    """

    claim: Claim
    verdict: ClaimVerdict
    counts: list[tuple[ClaimVerdict, int]]
    needs: str
    rules: list[tuple[str, str]]
    missing: list[str]
    found: list[LedgerVerdict]


def entries(ledger: Ledger) -> list[LedgerEntry]:
    """The claims: supported and contradicted first, then undecided, then those that this study cannot test."""
    order = list(ClaimVerdict)
    several = len({finding.unit.model for judged in ledger.claims for finding in judged.findings}) > 1
    return [_entry(judged, several) for judged in sorted(ledger.claims, key=lambda judged: order.index(judged.verdict))]


def _entry(judged: Judged, several: bool) -> LedgerEntry:
    lacking = Counter(each.note for each in judged.findings if each.verdict == ClaimVerdict.NOT_TESTABLE)
    runs = "run and benchmark", "runs and benchmarks"
    missing = [*judged.missing, *(f"in {count} {runs[count > 1]}: {note}" for note, count in lacking.items())]
    tested = [finding for finding in judged.findings if finding.verdict != ClaimVerdict.NOT_TESTABLE]
    return LedgerEntry(
        judged.claim,
        judged.verdict,
        [(verdict, judged.count(verdict)) for verdict in ClaimVerdict if judged.count(verdict)],
        _needs(judged.claim.needs),
        [(rule(part), part.reason) for part in judged.claim.parts],
        missing,
        [_found(finding, several) for finding in tested],
    )


def _needs(needs: Needs) -> str:
    """What a claim speaks of alone."""
    said = [
        ", ".join(needs.algorithms),
        f"{needs.steps} training steps or more" if needs.steps else "",
        f"n of {needs.n} or more" if needs.n else "",
        " or ".join(needs.benchmarks),
        " and ".join(needs.settings),
    ]
    return "; ".join(part for part in said if part)


def rule(part: Part) -> str:
    """What must hold, as the statistic and what it is held against."""
    if isinstance(part, CoursePart):
        at = "" if part.k is None else f" at k = {part.k}"
        return f"stages.csv: {part.measure}{at} {part.shape}"
    if isinstance(part, SharePart):
        luck = ", beyond what luck does" if part.luck else ""
        among = " + ".join(part.among)
        return f"coverage.csv: {part.of} / ({among}) {part.side} {number(part.threshold)}, hits {part.hits}{luck}"
    return f"{part.table}.csv: {_statistic(part)} {part.side} {number(part.threshold)}"


def _statistic(part: ValuePart) -> str:
    said = [part.column, *(f"{name} = {number(value)}" for name, value in part.where.items())]
    if part.minus:
        said.append(f"less that of {part.minus}, same seed")
    if part.across_strata:
        said.append("of the stratum with the highest base less that with the lowest")
    if part.base_at_most is not None:
        said.append(f"where the base has at most {number(part.base_at_most)}")
    return ", ".join(said)


def _found(finding: Finding, several: bool) -> LedgerVerdict:
    assert finding.q is not None
    unit = finding.unit
    named = [unit.model] * several + [unit.algorithm, f"seed {unit.seed}", unit.benchmark]
    lines = [_line(*pair) for pair in zip(finding.evidence, finding.corrected, strict=True)]
    return LedgerVerdict(", ".join(named), finding.verdict, f"{finding.q:.2g}", lines, finding.note)


def _line(each: Evidence, corrected: tuple[float, float] | None) -> Line:
    own = None if each.low is None or each.high is None else (each.low, each.high)
    estimate = "" if each.estimate is None else short(each.estimate)
    samples = "" if each.n is None else str(each.n)
    numbers = (estimate, _ends(own), _ends(corrected), each.problems, samples)
    return Line(each.what, each.expected, *numbers, f"{each.table}.csv: {each.row}")


def _ends(pair: tuple[float, float] | None) -> str:
    return f"[{short(pair[0])}, {short(pair[1])}]" if pair else ""


def short(value: float) -> str:
    """A number with three decimals at most.

    >>> [short(x) for x in (0.12345, -0.5, 0.0)]
    ['.123', '−.5', '0']
    """
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if float(text) == 0 else text.replace("0.", ".", 1).replace("-", "\N{MINUS SIGN}")
