"""The claims on the published study: what the README says, every number in its table, the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from claim_tables import CLAIMS, CONTRADICTED, SUPPORTED, UNDECIDED
from workflow import REPOSITORY

from boundary_bench.claims import ledger_text
from boundary_bench.claims.claim import Claim
from boundary_bench.claims.verdicts import ClaimVerdict, Judged, Ledger, ledger
from boundary_bench.commands import main
from boundary_bench.core.errors import EXIT_USER_ERROR

PUBLISHED = REPOSITORY / "results" / "published" / "quickstart-seeds" / "tables"


@pytest.fixture(scope="module")
def published() -> Ledger:
    return ledger(PUBLISHED)


def test_the_published_study_says_what_the_readme_says(published: Ledger) -> None:
    assert {each.claim.id: str(each.verdict) for each in published.claims[:8]} == {
        "yao-grpo-entropy-collapses": "supported",  # shown in direction, every seed
        "yao-entropy-falls-then-rises": "undecided",  # not shown
        "yao-grpo-n-entropy-ends-above-base": "contradicted",  # contradicted here
        "yao-greedy-competitive": "undecided",  # cannot be told apart
        "yao-exploitation-then-exploration": "undecided",  # not shown
        "yao-negative-keeps-boundary": "contradicted",  # by six runs
        "yue-above-at-1-below-at-large-k": "supported",  # shown for GRPO and GSPO
        "yue-solved-is-a-subset": "undecided",  # not contradicted
    }
    yue = published.claims[6]
    assert all(each.unit.algorithm in ("grpo", "gspo") for each in yue.findings if each.verdict == SUPPORTED)
    assert yue.count(CONTRADICTED) == 0
    negative = published.claims[5]
    leaning = [each for each in negative.findings if each.verdict != CONTRADICTED]
    assert leaning and all("contradict" in each.note for each in leaning), "its numbers lean that way"


def test_every_number_is_in_the_table_that_is_named(published: Ledger) -> None:
    texts = {path.stem: path.read_text() for path in PUBLISHED.glob("*.csv")}
    seen = 0
    for entry in published.claims:
        whole = [part.kind == "value" and not part.minus and not part.across_strata for part in entry.claim.parts]
        for finding in entry.findings:
            for each in (each for each, plain in zip(finding.evidence, whole, strict=False) if plain):
                assert f",{each.estimate:g},{each.low:g},{each.high:g}," in texts[each.table]
                seen += 1
    assert seen > 50


def test_the_ledger_of_a_decided_claim_shows_its_interval(published: Ledger) -> None:
    """The corrected interval of every decided number excludes its threshold; of an undecided one part does not."""
    for entry in published.claims:
        if any(part.kind != "value" or part.side == "within" for part in entry.claim.parts):
            continue
        for each in (each for each in entry.findings if each.evidence):
            outside = [
                low > part.threshold or high < part.threshold
                for part, (low, high) in zip(entry.claim.parts, each.corrected, strict=True)
            ]
            assert all(outside) == (each.verdict != UNDECIDED)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    results = str(REPOSITORY / "results" / "published")
    assert main(["claims", "quickstart-seeds", "--results", results]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  supported +yue-above-at-1-below-at-large-k +\d+ supported", out, re.MULTILINE)
    assert "differences.csv: difference, k = 1 0.0866 [0.0326 to 0.143; " in out
    assert "missing: algorithm nsr" in out
    assert main(["claims", "quickstart-seeds", "--results", results, "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [each["id"] for each in found["claims"]] == list(CLAIMS)
    first = found["claims"][6]["findings"][0]["evidence"][0]
    assert first["corrected_low"] < first["low"] < first["estimate"] == 0.0866325


def test_the_verdicts_as_a_table(published: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    results = str(REPOSITORY / "results" / "published")
    assert main(["claims", "quickstart-seeds", "--results", results, "--markdown"]) == 0
    head, _, labels, _, *body = capsys.readouterr().out.splitlines()
    assert (head, labels.count("|")) == ("## Claims of the literature on study quickstart-seeds", 5)
    rows = [line for line in body if line.startswith("| ")]
    assert [row.split(" | ")[0][2:] for row in rows] == [str(entry.verdict) for entry in published.claims]
    assert all(row.count("|") == 5 and "](https://arxiv.org/abs/" in row for row in rows)
    assert body[-1].startswith(f"{published.tested} tests (claims x runs x benchmarks), {published.decided} decided")


def test_hostile_words_stay_in_their_cell() -> None:
    words = "[a](b) | <script>alert(1)</script> `x` *y* _z_ \\ & &amp;\n| c |"
    source = {"paper": words, "arxiv": "2601.00001"}
    claim = Claim.model_validate({"id": "x", "sentence": words, "source": source, "beyond": "it is a test"})
    lines = ledger_text.markdown(
        Ledger("study", "folder", 0.05, 0, 0, 0.95, [Judged(claim, ClaimVerdict.NOT_TESTABLE, [], [])])
    ).splitlines()
    (row,) = (line for line in lines if "script" in line)
    assert row.count("|") == 5 and not set("<>*_`\\") & set(row)
    assert row.count("](") == row.count("[") == 1, "the paper's link alone"


def test_a_study_without_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "quickstart", "--results", str(tmp_path)]) == EXIT_USER_ERROR
    assert "provenance.json is missing; run the stage that makes it" in capsys.readouterr().err
