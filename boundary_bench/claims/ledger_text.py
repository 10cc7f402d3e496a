"""The ledger as text for people, and as a record for programs."""

from __future__ import annotations

from typing import Any

from boundary_bench.claims.evidence import Evidence
from boundary_bench.claims.verdicts import Finding, Judged, Ledger
from boundary_bench.core.text import significant


def record(found: Ledger) -> dict[str, Any]:
    """The ledger for JSON: the claims as in the file, and every number with its table and row."""
    claims = []
    for judged in found.claims:
        entry = judged.claim.model_dump(mode="json", exclude_none=True)
        findings = [_record(finding) for finding in judged.findings]
        claims.append({**entry, "verdict": judged.verdict, "missing": judged.missing, "findings": findings})
    return {**{name: value for name, value in vars(found).items() if name != "claims"}, "claims": claims}


def _record(finding: Finding) -> dict[str, Any]:
    kept = {name: value for name, value in vars(finding).items() if name != "corrected"}
    return {**kept, "unit": vars(finding.unit), "evidence": [_evidence(*pair) for pair in finding.numbers]}


def _evidence(each: Evidence, corrected: tuple[float, float] | None) -> dict[str, Any]:
    low, high = corrected or (None, None)
    numbers = {name: value for name, value in vars(each).items() if name != "spread"}
    return {**numbers, "corrected_low": low, "corrected_high": high}


def text(found: Ledger) -> str:
    """The whole ledger: the verdicts, then every claim with its numbers."""
    head = [
        f"claims on study {found.study}, by {found.folder}",
        _trust(found),
        f"numbers: estimate [interval of the table; interval corrected for all tests, level {found.level:.4f}]",
    ]
    width = max(len(judged.claim.id) for judged in found.claims)
    ledger = [f"  {each.verdict:<17} {each.claim.id:<{width}}  {_counts(each)}".rstrip() for each in found.claims]
    return "\n".join([*head, "", *ledger, *(line for each in found.claims for line in ["", *_claim(each)])])


#: Characters that would end a cell of a Markdown table, or be markup in it.
MARKUP = str.maketrans({mark: f"&#{ord(mark)};" for mark in "|<>&`*_[]\\\n"})


def markdown(found: Ledger) -> str:
    """The verdicts as a table for a README or a job's summary, and their false discovery rate."""
    lines = [f"## Claims of the literature on study {_plain(found.study)}", ""]
    lines += ["| Verdict | Claim | Paper | Runs x benchmarks |", "|---|---|---|---|"]
    for each in found.claims:
        source = each.claim.source
        paper = f"[{_plain(source.paper)}](https://arxiv.org/abs/{source.arxiv})"
        lines.append(f"| {each.verdict} | {_plain(each.claim.sentence)} | {paper} | {_counts(each)} |")
    return "\n".join([*lines, "", f"{_trust(found)}."])


def _plain(text: str) -> str:
    return text.translate(MARKUP)


def _trust(found: Ledger) -> str:
    return (
        f"{found.tested} tests (claims x runs x benchmarks), {found.decided} decided; of the decided at most "
        f"{found.rate:.2g} are false, on average"
    )


def _counts(judged: Judged) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in judged.counts.items())


def _claim(judged: Judged) -> list[str]:
    claim, source = judged.claim, judged.claim.source
    where = ", ".join(part for part in (source.paper, f"arXiv {source.arxiv}", source.where) if part)
    lines = [f"{claim.id}: {judged.verdict}", f"  {claim.sentence}", f"  {where}"]
    if source.quote:
        lines.append(f'  "{source.quote}"')
    lines += [f"  missing: {each}" for each in judged.missing]
    lines += [f"  missing in {count} run(s) x benchmark(s): {note}" for note, count in judged.lacking.items()]
    return lines + [line for finding in judged.tested for line in _finding(finding)]


def _finding(finding: Finding) -> list[str]:
    lines = [f"    {finding.unit}: {finding.verdict}, q {finding.q:.2g}"]
    lines += [f"      {_numbers(*pair)}" for pair in finding.numbers]
    return lines + ([f"      {finding.note}"] if finding.note else [])


def _numbers(each: Evidence, corrected: tuple[float, float] | None) -> str:
    parts = [f"{each.table}.csv: {each.what}"]
    if corrected is not None and each.estimate is not None:
        estimate, *ends = map(significant, (each.estimate, each.low, each.high, *corrected))
        parts[0] += " {} [{} to {}; {} to {}]".format(estimate, *ends)
    parts.append(f"claimed {each.expected}")
    parts.append(f"P {each.problems}" + (f", n {each.n}" if each.n is not None else ""))
    return "; ".join(parts)
