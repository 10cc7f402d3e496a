"""The battery of every registered benchmark; hub sets run it on self-written rows in their own columns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary_bench.benchmarks import KINDS, PLAIN, kind_of, options_of, problems_of
from boundary_bench.benchmarks.base import Kind, Problem, Split
from boundary_bench.benchmarks.battery import CHECKS, Check, data_of, registered, run
from boundary_bench.benchmarks.overlap import normal
from boundary_bench.benchmarks.problem_file import read_problems, write_problems
from boundary_bench.benchmarks.rows import without_network
from boundary_bench.core import randomness
from boundary_bench.core.errors import StudyError
from boundary_bench.grading import Grader, Ruling, Verdict, grade_all
from boundary_bench.grading.graders import GRADERS
from boundary_bench.grading.judging import Judge

HUB = Path(__file__).parent.parent / "data" / "hub"
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
#: One generator of each library, the first of its kind that is quick.
GYM = "reasoning_gym:leg_counting"
NAMES = [*sorted(KINDS), GYM]


def _kind(name: str) -> Kind:
    if name == GYM:
        pytest.importorskip("reasoning_gym")
    return kind_of(name, "here")


def splits_of(kind: Kind) -> list[Split]:
    return list(kind.source.splits) if kind.source else list(SPLITS) if kind.generate else ["test"]


def data_for(kind: Kind) -> str | None:
    """Self-written rows, where the kind reads its problems."""
    return None if kind.generate else str(HUB / kind.name)


@cache
def problems(name: str, split: Split, seed: int = 0) -> list[Problem]:
    """Through the code that prepares problems for a study."""
    kind = kind_of(name, "here")
    return problems_of(kind, split, seed, kind.options, data_for(kind)).problems


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest) -> Kind:
    return _kind(request.param)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with Judge(tmp_path_factory.mktemp("judgements"), 1) as found:
        yield found


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_the_battery(kind: Kind, check: Check, judge: Judge) -> None:
    for split in splits_of(kind):
        found = problems(kind.name, split)
        assert len(found) >= 3 and check(kind, found, judge) == []


def test_problems_are_decided_by_split_and_seed(kind: Kind) -> None:
    for split in splits_of(kind):
        again = problems_of(kind, split, 0, kind.options, data_for(kind)).problems
        assert again == problems(kind.name, split)
        if kind.generate:
            assert again != problems(kind.name, split, 1)


def test_ids_are_content_hashes(kind: Kind) -> None:
    found = problems(kind.name, "test")
    assert all(each.id == f"{randomness.key(each.prompt, each.reference):016x}" for each in found)
    first = found[0]
    changed = [Problem(first.prompt + " ", first.reference, ""), Problem(first.prompt, first.reference + " ", "")]
    assert first.id not in {each.id for each in changed}


def test_splits_share_no_question(kind: Kind) -> None:
    asked = {
        split: {normal(each.prompt) for seed in (0, 1) for each in problems(kind.name, split, seed)}
        for split in splits_of(kind)
    }
    every = [question for questions in asked.values() for question in questions]
    assert len(set(every)) == len(every)


def test_problems_survive_the_file(kind: Kind, tmp_path: Path) -> None:
    found = problems(kind.name, "test")
    write_problems(tmp_path / "p.parquet", found, "test", {})
    assert read_problems(tmp_path / "p.parquet") == found


def test_the_registry_agrees_with_itself(kind: Kind) -> None:
    assert kind.version >= 1 and options_of(kind, {}, "here") == kind.options
    assert (kind.parse is None) == (not kind.columns) and kind.columns.keys() >= {*kind.reference, *kind.uniform}
    assert kind.generate or (kind.parse and kind.reference)
    if kind.source:
        assert kind.source.splits.keys() == kind.source.problems.keys() and kind.source.licence and kind.source.answer


@given(text=st.text(max_size=40))
def test_any_text_gets_a_verdict(text: str) -> None:
    for name in sorted(KINDS):
        assert KINDS[name].grader.grade(problems(name, "test")[0].reference, text).verdict in Verdict


def test_the_battery_sees_what_it_is_there_for(judge: Judge) -> None:
    kind, good = KINDS["random-calculation"], problems("random-calculation", "test")[0]
    lax = replace(
        kind, grader=Grader("lax", 1, lambda text: text, lambda _reference, _answer: Ruling(Verdict.CORRECT, ""))
    )
    spoilt = Problem(good.prompt, "1/7777", good.solution)
    (said,) = CHECKS["gold is correct"](kind, [spoilt], judge)
    assert (
        said.startswith(f"{spoilt.id} {spoilt.prompt[:40]!r}, answer '1/7777': ") and "unequal numbers: read as" in said
    )
    assert CHECKS["garbage is not"](lax, [good], judge)
    assert CHECKS["ids differ"](kind, [good, good], judge) == [good.id]
    assert CHECKS["chances"](kind, [Problem("q", "1", "1", chance=0.0)], judge)
    assert CHECKS["prompts"](kind, [Problem(" ", "1", "1")], judge)


def test_the_battery_sees_a_reference_that_other_notations_do_not_reach(judge: Judge) -> None:
    """Its own text is correct whatever it is: the reference alone would hide it."""
    odd = Problem("How much?", "4.5e33", "\\boxed{4.5e33}")
    assert CHECKS["other notations"](KINDS["math-500"], [odd], judge) == []
    strict = replace(KINDS["math-500"], grader=replace(GRADERS["exact"], name="math", extract=GRADERS["boxed"].extract))
    assert CHECKS["gold is correct"](strict, [odd], judge) == []
    said = CHECKS["other notations"](strict, [odd], judge)
    assert any("scientific" in line and "4.5 \\\\times 10^{33}" in line for line in said)


def test_nonsense_that_is_the_answer_is_not_asked(judge: Judge) -> None:
    """The last number of some nonsense is 73918, and a problem may have that answer."""
    for reference in ("73918", "nan", "9", "1"):
        assert CHECKS["garbage is not"](KINDS["gsm8k"], [Problem("q", reference, f"#### {reference}")], judge) == []


def checked(folder: Path | None, judge: Judge) -> tuple[str, bool]:
    lines: list[str] = []
    sound = run(registered(folder), judge, lines.append)
    return "\n".join(lines), sound


def test_the_table_names_every_kind_and_what_is_missing(judge: Judge) -> None:
    text, sound = checked(HUB, judge)
    assert sound and all(name in text for name in KINDS) and "fault" not in text and "no data" not in text
    assert data_of(HUB, KINDS["countdown"]) is None


def test_a_hub_set_without_its_hub_says_how_to_go_on(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text, sound = checked(None, judge)
    assert sound, "what is out of reach is no failure"
    assert text.startswith("the hub is out of reach (HF_HUB_OFFLINE is set): of its sets only those in its cache")
    assert text.count("no data") >= 10 and "no commit is known; give --data FOLDER" in text
    assert "its problems are a user's; give --data FOLDER with qa-math" in text


def test_a_missing_network_is_noticed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens
    assert "refused" in (without_network() or "")
    assert os.environ["HF_HUB_OFFLINE"] == "1" and without_network() == "HF_HUB_OFFLINE is set"


def test_what_cannot_be_loaded_is_refused_by_the_plan() -> None:
    from boundary_bench.benchmarks import check

    math, amc = KINDS["math"], KINDS["amc-2023"]
    with pytest.raises(StudyError, match="math has no dev split; it has train, test"):
        check(math, "dev", math.options, None, "here")
    with pytest.raises(StudyError, match=r"amc-2023 has no commit .*revision: COMMIT.* data: FOLDER"):
        check(amc, "test", amc.options, None, "here")
    check(amc, "test", amc.options, "folder", "here")
    for kind in PLAIN:
        with pytest.raises(StudyError, match=rf"{kind.name} has no problems of its own; write data: FILE, .*question"):
            check(kind, "test", kind.options, None, "here")
    check(amc, "test", options_of(amc, {"revision": "0" * 40}, "here"), None, "here")
    for revision in ("main", "abc123"):
        with pytest.raises(StudyError, match=rf"revision: .*\[0-9a-f\]\{{40\}}.*found '{revision}'"):
            options_of(amc, {"revision": revision}, "here")
    with pytest.raises(StudyError, match="cannot be read from a file"):
        check(kind_of(GYM, "here"), "test", kind_of(GYM, "here").options, "x.jsonl", "here")


@pytest.mark.parametrize("name", ["nope", "lm_eval:", "lm_evil:gsm8k", ":x"])
def test_unknown_kinds_are_refused_with_what_is_known(name: str) -> None:
    with pytest.raises(StudyError, match=r"not a benchmark kind; .*lm_eval:NAME"):
        kind_of(name, "here")


def test_a_file_of_ones_own_is_told_the_plain_kinds() -> None:
    with pytest.raises(
        StudyError, match=r"'ours' is not a benchmark kind; .* kind: qa-math or qa-numeric or qa-choice; "
    ):
        kind_of("ours", "here", data=True)
    with pytest.raises(StudyError, match=r"'ours' is not a benchmark kind; Known: ") as caught:
        kind_of("ours", "here")
    assert "of your own" not in str(caught.value)


def test_a_scorer_that_would_take_for_ever_is_given_up_and_knows_the_settings(tmp_path: Path) -> None:
    """Fraction("1e999999999") has a billion digits; a decimal is right where it is as near as its settings say."""
    pytest.importorskip("reasoning_gym")
    coin = kind_of("reasoning_gym:coin_flip", "here")
    (problem,) = coin.generate("test", 0, coin.options.model_copy(update={"problems": 1}))
    hasty = replace(coin.grader, deadline=15.0)  # the library is loaded within it
    with Judge(tmp_path) as judge:
        grades = grade_all(hasty, problem.reference, ["1e999999999", problem.solution], [True, True], judge)
    assert [grade.verdict for grade in grades] == [Verdict.TIMEOUT, Verdict.CORRECT]
    decimal = kind_of("reasoning_gym:decimal_arithmetic", "here")
    verdicts = []
    for places in (3, 6):
        settings = {"min_num_decimal_places": places, "max_num_decimal_places": places}
        (problem,) = decimal.generate("test", 0, options_of(decimal, {"problems": 1, "settings": settings}, "here"))
        near = Decimal(problem.solution.split(">")[1].split("<")[0]) + Decimal("0.0005")
        verdicts.append(decimal.grader.grade(problem.reference, f"<answer>{near}</answer>").verdict)
    assert verdicts == [Verdict.CORRECT, Verdict.WRONG]


@pytest.mark.parametrize("name", ["seed", "size"])
def test_a_generator_is_not_given_what_the_benchmark_decides(name: str) -> None:
    gym = _kind(GYM)
    with pytest.raises(StudyError, match=rf"settings\.{name}.*options\.problems"):
        gym.generate("test", 0, options_of(gym, {"settings": {name: 5}}, "here"))
