"""The page: whole, true to the tables, and sealed. What a browser makes of it is in test_browser.py."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claim_tables import TURNS, World
from expected import CORRECT, one
from hostile import HOSTILE, hostile_page
from sample_pages import made_up

from boundary_bench.benchmarks.base import Problem
from boundary_bench.claims.claim import load_claims
from boundary_bench.claims.verdicts import ClaimVerdict, judge, ledger
from boundary_bench.core.text import rounded, small
from boundary_bench.plan import Plan
from boundary_bench.report import page
from boundary_bench.report.drawing import designs
from boundary_bench.report.figures.style import settings
from boundary_bench.report.limits import limits
from boundary_bench.report.page import panels
from boundary_bench.report.page.answer import answers, largest_decided
from boundary_bench.report.page.panels import PANELS
from boundary_bench.report.page.power import power
from boundary_bench.report.tables import collect
from boundary_bench.statistics.estimate import Estimate
from boundary_bench.statistics.intervals import INTERVAL
from boundary_bench.tables.reading import read_tables
from results import N, make_tree, run_stages

SECTIONS = (
    "ledger",
    *(panel.id for panel in PANELS),
    "limits",
    "tables",
    "settings",
    "provenance",
)
OURS = sorted(file.name for file in page.ASSETS.glob("*.js"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = make_tree(tmp_path_factory.mktemp("finished"))
    run_stages(plan)
    return plan


@pytest.fixture(scope="module")
def text(finished: Plan) -> str:
    return (finished.root / "report.html").read_text()


def block(text: str, name: str) -> Any:
    """What the page embeds under an id."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


# whole


def test_page_is_whole_and_small(text: str) -> None:
    ids = re.findall(r'\bid="([^"]*)"', re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))
    ids += re.findall(r'<script type="application/json" id="([^"]*)"', text)
    assert len(set(ids)) == len(ids)
    assert {*SECTIONS, "controls", "hatch"} <= set(ids)
    for name in (
        "pass_at_k",
        "differences",
        "boundary",
        "stages",
        "coverage",
        "cover",
        "summary",
        "graders",
        "training",
    ):
        assert f"<summary>{name}.csv</summary>" in text
    assert len(text) < 2e6


def test_page_says_where_the_figures_are_without_scripts(finished: Plan, text: str) -> None:
    said, _samples = re.findall(r"<noscript>(.*?)</noscript>", text, re.DOTALL)
    assert "<code>figures/</code>" in said and list((finished.root / "figures").glob("*.svg"))


def test_every_panel_says_how_to_read_it_and_what_it_depends_on(finished: Plan, text: str) -> None:
    line = " · ".join(settings(finished))
    assert unescape(text).count(line) == len(PANELS)
    for panel in PANELS:
        assert panel.reading in unescape(text) and panel.reading.endswith(".")


@pytest.mark.parametrize(
    ("changes", "design"),
    [
        ({}, "n = 4, 8 samples a problem, until 3 are correct"),
        ({"analysis": {"resamples": 100, "level": 0.9}}, ""),
        ({"sampling": {"n_max": N, "stop_after": None}}, "n = 8 samples a problem"),
    ],
)
def test_page_names_intervals_design_and_limits(
    tmp_path: Path, changes: dict[str, dict[str, object]], design: str
) -> None:
    one_run = {"algorithms": ["grpo"], "seeds": [0], "benchmarks": {"countdown": {}}}
    plan = make_tree(tmp_path, **one_run, **changes)
    run_stages(plan)
    text = unescape((plan.root / "report.html").read_text())
    assert f"{100 * plan.study.analysis.level:g} % intervals over {INTERVAL}" in text
    assert design in designs(plan) and designs(plan) in text
    stated = [*(limit.text for limit in limits(plan)), *power(plan, collect(plan))]
    assert len(stated) >= 5 and all(f"<li>{limit}</li>" in text for limit in stated)
    assert all(limit.short in text for limit in limits(plan))
    for what in ("below 0.31 (95 %", "rates up to 0.6 ", "One training seed", "null line", "not solved in pass@k"):
        assert any(what in limit for limit in stated)


# true


def test_embedded_curves_are_those_of_the_tables(tmp_path: Path) -> None:
    other = {f"base-model--grpo--seed1--step{step}": [4, 1, 0, 8] for step in (2, 4)}
    plan = make_tree(tmp_path, CORRECT | other, algorithms=["grpo"], benchmarks={"countdown": {}})
    run_stages(plan)
    tables = collect(plan)
    (view,) = panels.curves(plan, tables)
    assert [(course["algorithm"], course["seed"]) for course in view["courses"]] == [
        ("grpo", s) for s in ("", "0", "1")
    ]
    mean, *seeds = view["courses"]
    columns = {"band_low": "band_low", "problems_high": "high", "samples_low": "samples_only_low"}
    for i, step in enumerate((2, 4)):
        drawn = [course["checkpoints"][i]["difference"] for course in seeds]
        for j, k in enumerate(plan.study.ks):
            rows = [one(tables.rows["differences"], seed=seed, step=step, stratum="all", k=k) for seed in (0, 1)]
            assert [each["estimate"][j] for each in drawn] == [rounded(row["difference"], 5) for row in rows]
            for key, column in columns.items():
                assert drawn[0][key][j] == rounded(rows[0][column], 5)
            at_both = np.mean([float(row["difference"]) for row in rows])
            assert mean["checkpoints"][i]["difference"]["estimate"][j] == pytest.approx(at_both, abs=1e-5)
        assert drawn[0] != drawn[1]


def test_one_seed_is_embedded_once(tmp_path: Path) -> None:
    plan = make_tree(tmp_path, algorithms=["grpo"], seeds=[0], benchmarks={"countdown": {}})
    run_stages(plan)
    (view,) = block((plan.root / "report.html").read_text(), "data-panels")["curves"]
    assert [course["seed"] for course in view["courses"]] == [""]


def test_a_long_training_is_embedded_in_few_points(finished: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = collect(finished)
    whole = panels.training(finished, tables)["runs"][0]
    assert whole["step"] == [1, 2, 3, 4] and whole["reward"] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    monkeypatch.setattr(panels, "POINTS", 2)
    assert panels.training(finished, tables)["runs"][0]["step"] == [1, 3]


def test_the_answer_says_more_fewer_and_undecided_by_the_band(tmp_path: Path) -> None:
    """Of 24 problems, grpo solves each more often and 8 of them no longer; gspo-n is the base again."""
    base, trained = [2] * 24, [0] * 8 + [7] * 16
    correct = {f"base-model--grpo--seed0--step{step}": trained for step in (2, 4)}
    same = {f"base-model--gspo-n--seed0--step{step}": base for step in (2, 4)}
    problems = [problem(i) for i in range(24)]
    changes = {"seeds": [0], "benchmarks": {"countdown": {}}, "sampling": {"n_max": N, "stop_after": None}}
    plan = make_tree(tmp_path, {"base-model": base, **correct, **same}, problems, **changes)
    run_stages(plan)
    tables = collect(plan)
    found = tables.boundaries
    (answer,) = answers(plan, found)
    assert [(clause.word, clause.algorithms[0].split()[0]) for clause in answer.once] == [
        ("more", "grpo"),
        ("undecided", "gspo-n"),
    ]
    assert [clause.word for clause in answer.often] == ["fewer", "undecided"]
    difference = found["base-model", "countdown"]["grpo"].checkpoints[-1].difference
    ends = [f"{100 * end[-1]:+.1f}" for end in (difference.estimate_K, difference.band_low_K, difference.band_high_K)]
    numbers = "{} [{}, {}]".format(*ends).replace("-", "\N{MINUS SIGN}")
    assert answer.often[0].algorithms == [f"grpo {numbers} (k = {plan.study.ks[-1]})"]
    shown = unescape((plan.root / "report.html").read_text())
    assert "at k = 1 <b>more</b> with grpo" in shown and f"at large k <b>fewer</b> with grpo {numbers}" in shown


@pytest.mark.parametrize(("decided", "place"), [([0, 1], 3), ([0, 2], 2), ([2, 3], 3), ([], 3)])
def test_the_answer_at_large_k_is_of_no_small_k(decided: list[int], place: int) -> None:
    """Where the band excludes 0 at small k alone, nothing is decided at large k."""
    low_K = np.where(np.isin(range(4), decided), 0.1, -0.1)
    ends = [low_K, low_K + 0.2]
    found = Estimate(np.empty((1, 4)), low_K + 0.1, *ends, *ends, *ends, np.empty((0, 4)))
    assert largest_decided(found) == place


def problem(i: int) -> Problem:
    return Problem(f"problem {i}", str(i), "1", stratum="", chance=0.1)


# the ledger


def test_the_ledger_shows_every_claim_and_every_number(finished: Plan, tmp_path: Path) -> None:
    folder = World(width=0.01, change={1: 0.2, 128: -0.2, 256: -0.2}, courses={"token entropy": TURNS}).write(tmp_path)
    judged = judge(load_claims(), read_tables(folder))
    page.write(replace(finished, results=tmp_path), collect(finished), {}, judged, made_up())
    text = unescape((tmp_path / "toy" / "report.html").read_text())
    rows = {name: row for name, row in re.findall(r'id="claim-([^"]*)">(.*?)</details>', text, re.DOTALL)}
    claims = {each.claim.id: each for each in judged.claims}
    assert {each.verdict for each in judged.claims} == set(ClaimVerdict) and rows.keys() == claims.keys()
    places = [list(ClaimVerdict).index(claims[name].verdict) for name in rows]
    assert places == sorted(places)
    for name, row in rows.items():
        each = claims[name]
        assert all(part.rule in row and part.reason in row for part in each.claim.parts)
        assert all(f"Missing {what}." in row for what in each.missing)
        assert all(f"Missing in {count} run" in row and note in row for note, count in each.lacking.items())
        assert row.count('<tr class="number">') == sum(len(finding.evidence) for finding in each.tested)
        assert each.tested or each.missing or each.lacking
    crossed = " ".join(re.sub("<.*?>", " ", rows["yue-above-at-1-below-at-large-k"]).split())
    assert "grpo, seed 0, countdown .2 [.19, .21] [" in crossed and " \N{MINUS SIGN}.2 [" in crossed
    assert "(differences.csv: base grpo seed 0 step 2000 countdown, all, k 256)" in crossed
    assert "Rule: differences.csv: difference, k = 256 below 0." in crossed


def test_the_page_holds_the_ledger_of_its_tables(finished: Plan, text: str) -> None:
    found = ledger(finished.root / "tables")
    shown = unescape(text)
    assert f"{found.decided} of {found.tested} tests" in shown
    for judged in found.claims:
        row = shown[shown.index(f'id="claim-{judged.claim.id}"') :]
        row = row[: row.index("</details>")]
        assert judged.claim.sentence in row and judged.claim.source.arxiv in row
        assert all(finding.note in row for finding in judged.findings)


@pytest.mark.parametrize(
    ("value", "words"), [(0.12345, ".123"), (-0.5, "\N{MINUS SIGN}.5"), (10.0, "10"), (10.5, "10.5"), (1e-9, "0")]
)
def test_numbers_are_short(value: float, words: str) -> None:
    assert small(value) == words


def test_every_panel_has_its_function_and_no_other() -> None:
    found = [name for script in page.scripts() for name in re.findall(r"^panels\.(\w+) = ", script, re.MULTILINE)]
    assert sorted(found) == sorted(panel.id for panel in PANELS)


# sealed


def test_page_runs_its_own_scripts_and_asks_for_nothing(text: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert scripts == page.scripts()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    allowed = unescape(policy).split("script-src ")[1].split()
    assert allowed == [f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts]
    assert unescape(policy).startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    for way in ("src=", 'href="http', "url(http", "@import", "<link"):
        assert way not in outside


@pytest.mark.parametrize("name", OURS)
def test_our_scripts_make_no_markup_of_text(name: str) -> None:
    source = page.asset(name)
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "srcdoc",
        "fetch(",
    ):
        assert way not in source
    assert source.startswith('"use strict";') and source.count("\n") < 400


def test_embedded_data_cannot_end_its_element() -> None:
    name = "</script><!--<script>&\u2028\u2029'\""
    embedded = page.embed({name: [name, None, 0.5]})
    assert json.loads(embedded) == {name: [name, None, 0.5]}
    assert not set(embedded) & set("<>&\u2028\u2029")


def test_embedded_data_refuses_what_is_no_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        page.embed({"value": float("nan")})


def test_hostile_text_is_escaped_wherever_it_ends_up(finished: Plan, tmp_path: Path) -> None:
    text = hostile_page(finished, tmp_path).read_text()
    scripts = page.scripts()
    assert re.findall(r"<script>(.*?)</script>", text, re.DOTALL) == scripts
    for script in scripts:
        text = text.replace(script, "")
    assert text.count("<script") == text.count("</script>") == len(scripts) + 3
    assert text.count("</style>") == 1 and "<img" not in text and "<b onclick" not in text
    assert unescape(text).count(HOSTILE) > 20
