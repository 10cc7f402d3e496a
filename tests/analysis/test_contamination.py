"""The contamination probe: what is memorised scores near 1, what is generated does not, and nothing breaks it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from expected import CORRECT, ONE_RUN
from hypothesis import given
from hypothesis import strategies as st
from workflow import finish, planned, snakemake, stage, write_study

from boundary_bench.analysis import contamination
from boundary_bench.analysis.contamination import ProbeJob, Score, longest_common_subsequence, origin, score
from boundary_bench.analysis.rows import identify
from boundary_bench.benchmarks import KINDS
from boundary_bench.benchmarks.base import Problem
from boundary_bench.benchmarks.countdown import COUNTDOWN
from boundary_bench.core.errors import DataError, Interrupted, ModelError, StudyError
from boundary_bench.core.parquet import read_table, write_table
from boundary_bench.core.provenance import fingerprint
from boundary_bench.grading import judge_here
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.identities import intervals
from boundary_bench.plan.stages import identity, settings
from boundary_bench.report.tables import collect
from boundary_bench.sampling import continuations
from boundary_bench.sampling.continuations import Part, divide
from boundary_bench.sampling.engine import Responses, Work
from boundary_bench.study.policies import Policy
from boundary_bench.study.sampling import Sampling
from boundary_bench.study.training import Pretrain
from boundary_bench.tables.writing import write_rows
from results import PROBLEMS, made_from, make_tree, run_stages

STATEMENT = "If $x+1 = 3$, what is the value of $x^2 - 4x + 7$ in simplest form?"
TEXTS = st.text(max_size=60) | st.lists(st.text("abc .,", min_size=1), max_size=30).map(" ".join)
FRACTIONS = st.floats(0.01, 0.99)


def test_a_statement_is_divided_between_words() -> None:
    half = "If $x+1 = 3$, what is the value"
    assert divide(f" {STATEMENT}\n", 0.5) == Part(half, STATEMENT.removeprefix(half), by_characters=False)
    assert divide(STATEMENT, 0.99).rest == " form?" and divide(STATEMENT, 0.01).given == "If"


def test_a_short_statement_is_divided_between_characters() -> None:
    assert divide("3852=27:", 0.4) == Part("385", "2=27:", by_characters=True)
    assert divide("a b c d e f g h i", 0.5).by_characters and not divide("a b c d e f g h i j", 0.5).by_characters
    assert divide("", 0.5) is divide(" \n", 0.5) is divide("x", 0.5) is None


@given(TEXTS, FRACTIONS)
def test_the_parts_of_a_statement_are_the_statement(text: str, fraction: float) -> None:
    part = divide(text, fraction)
    if part is None:
        assert len(text.strip()) < 2
        return
    assert part.given + part.rest == text.strip() and part.given.strip() and part.rest.strip()
    assert score(part, part.rest + " and 42") == Score(True, 1.0, " and 42")


@given(TEXTS, FRACTIONS, st.text(max_size=60))
def test_scores_are_shares_and_only_the_whole_rest_is_exact(text: str, fraction: float, response: str) -> None:
    part = divide(text, fraction)
    if part is not None:
        found = score(part, response)
        assert 0 <= found.rouge_l <= 1 and found.exact == (found.rouge_l == 1)
        assert found.reply == response or found.exact


def test_rouge_l_by_hand() -> None:
    """Seven tokens, the full stop one of them."""
    part = Part("Once", " the cat sat on the mat.", by_characters=False)
    assert score(part, "the cat sat on the mat. The end").reply == " The end"
    assert score(part, " the  cat\nsat on the mat .") == Score(True, 1.0, "")
    assert score(part, "the dog sat on a mat. And more words") == Score(
        False, 5 / 7, "the dog sat on a mat. And more words"
    )
    assert score(part, "mat the on sat cat the").rouge_l == pytest.approx(2 * 3 / (7 + 6)), "the, sat, the"
    assert score(part, "the cats sat on the mat.").rouge_l == pytest.approx(6 / 7), "a longer word is another word"
    assert score(part, "") == Score(False, 0.0, "")
    assert score(Part("38", "5=27:", by_characters=True), "5=72:").rouge_l == pytest.approx(4 / 5)


def table_of(one: str, other: str) -> int:
    """The textbook's table."""
    length = np.zeros((len(one) + 1, len(other) + 1), int)
    for i, a in enumerate(one, 1):
        for j, b in enumerate(other, 1):
            length[i, j] = length[i - 1, j - 1] + 1 if a == b else max(length[i - 1, j], length[i, j - 1])
    return int(length[-1, -1])


@given(st.text("abcd", max_size=70), st.text("abcde", max_size=70))
def test_the_longest_common_subsequence_is_the_textbooks(one: str, other: str) -> None:
    assert longest_common_subsequence(one, other) == table_of(one, other)


@pytest.mark.parametrize(
    "statement",
    ["x" * 10**6, "ab " * 10**6, "(" * 10**6, "\0" * 50, "👩‍👩‍👧‍👦" * 9, "\u202eright to left " * 9, "سؤال " * 30],
)
def test_hostile_statements_are_divided_and_scored(statement: str) -> None:
    part = divide(statement, 0.4)
    assert 0 < len(part.rest) <= continuations.LONGEST
    assert score(part, f"{part.rest} {statement}").exact
    assert not score(part, "9" * 10**6).exact


# the stage


@pytest.fixture
def tree(tmp_path: Path) -> Plan:
    return make_tree(tmp_path, CORRECT, probe={"fractions": [0.4, 0.6]}, **ONE_RUN)


def job_of(plan: Plan, benchmark: str, problems: list[Problem] = PROBLEMS, **changes: Any) -> ProbeJob:
    job = ("probe", "base-model", benchmark)
    facts = {"settings": identity(plan, *job), **made_from(plan, *job)}
    folder, fractions, sampling = plan.root / "store" / benchmark, plan.study.probe.fractions, Sampling(max_tokens=8)
    made = ProbeJob(problems, fractions, COUNTDOWN.grader, sampling, folder, judge_here, facts)
    return replace(made, **changes)


def go_on() -> bool:
    return False


def whose(plan: Plan, policy: Policy, benchmark: str) -> dict[str, Any]:
    return {**identify(policy, benchmark), "origin": origin(plan.problem_sets[benchmark])}


def run(plan: Plan, engine: Any, **changes: Any) -> list[dict[str, Any]]:
    """Probe every base model, as the stage does."""
    found = []
    for policy, benchmark in plan.probes:
        job, folder = job_of(plan, benchmark, **changes), plan.probe(policy, benchmark)
        table, rows = contamination.probe(plan.setup, whose(plan, policy, benchmark), job, engine, go_on)
        write_table(folder / "problems.parquet", table, job.facts)
        made_with = fingerprint({**settings(plan, "probe", policy.name, benchmark), **intervals(plan)})
        write_rows(folder, "contamination", ({**row, "settings": made_with} for row in rows))
        found += rows
    return found


def test_only_base_models_are_probed_and_only_where_the_study_asks(tree: Plan) -> None:
    assert [(policy.name, benchmark) for policy, benchmark in tree.probes] == [("base-model", "countdown")]
    assert replace(tree, study=tree.study.model_copy(update={"probe": None})).probes == []


def test_the_report_holds_the_probes(tree: Plan, engine: Any) -> None:
    found = run(tree, engine)
    run_stages(tree)
    (path,) = (tree.root / "tables").glob("contamination.csv")
    rows = list(csv.DictReader(path.open()))
    assert [row["fraction"] for row in rows] == ["0.4", "0.6"] and len(found) == 2
    for row in rows:
        assert (row["problems"], row["too_short"], row["origin"]) == ("4", "0", "generated")
        assert sum(int(row[name]) for name in ("correct", "wrong", "unparsable", "truncated", "timeout")) == 4
        for name in ("exact", "rouge_l", "accuracy"):
            assert 0 <= float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"]) < 1
    text = (tree.root / "tables/contamination.md").read_text()
    assert "| base-model | countdown | generated | 40% |" in text
    assert "Contamination: base models" in (tree.root / "report.html").read_text()
    source = json.loads((tree.root / "tables/provenance.json").read_text())
    assert source["fingerprints"]["probe"] == {"countdown": rows and job_of(tree, "countdown").facts["settings"]}


@pytest.mark.parametrize("what", ["model", "problems", "settings"])
def test_probes_of_other_weights_problems_or_settings_are_refused(tree: Plan, engine: Any, what: str) -> None:
    run(tree, engine, facts=job_of(tree, "countdown").facts | {what: "f" * 12})
    with pytest.raises(DataError, match=f"{what} ffff"):
        run_stages(tree)


def test_a_study_without_a_probe_has_no_such_table(tmp_path: Path) -> None:
    plan = make_tree(tmp_path, CORRECT, **ONE_RUN)
    run_stages(plan)
    assert not list((plan.root / "tables").glob("contamination*")) and not collect(plan).rows["contamination"]


def test_statements_that_cannot_be_divided_are_counted(tree: Plan, engine: Any) -> None:
    short = [Problem(text, "1", "") for text in ("", "3", "\n")]
    rows = run(tree, engine, problems=[*short, Problem("385=27:", "1", "")])
    assert [(row["problems"], row["too_short"], row["by_characters"]) for row in rows] == [(1, 3, 1)] * 2


def test_a_set_without_one_long_statement_has_empty_numbers(tree: Plan, engine: Any) -> None:
    rows = run(tree, engine, problems=[Problem("3", "1", "")])
    assert [(row["problems"], row["too_short"]) for row in rows] == [(0, 1)] * 2
    assert all(np.isnan([row["exact"], row["rouge_l_low"], row["accuracy_high"]]).all() for row in rows)


def test_a_statement_beyond_the_context_is_a_message(tree: Plan, engine: Any) -> None:
    huge = Problem("1" * 10**5, "1", "")
    with pytest.raises(ModelError, match=huge.id):
        run(tree, engine, problems=[huge])


@dataclass(frozen=True)
class Saying:
    """An engine that says one text to every prompt, and never ends."""

    text: str
    tokenizer: Any
    ends: tuple[int, ...]
    context: int | None = None
    file_samples: int | None = None

    def start(self) -> None:
        pass

    def stream(self, work: Iterator[Work | None]) -> Iterator[tuple[Work, Responses] | None]:
        for item in filter(None, work):
            yield None
            count, ids = len(item.prompts), self.tokenizer.encode(self.text).ids
            token_ST, none_ST = np.tile(ids, (count, 1)), np.zeros((count, len(ids)), np.float32)
            length_S, finished_S = np.full(count, len(ids)), np.zeros(count, bool)
            yield item, Responses(np.arange(count), token_ST, none_ST, none_ST, length_S, finished_S)


def test_what_follows_the_rest_is_graded_up_to_a_stop_string(tree: Plan, engine: Any) -> None:
    (problem,) = distinct(1)
    rest = divide(problem.prompt, 0.4).rest
    endless = Saying(rest + problem.solution + ":385", engine.tokenizer, engine.ends)
    first, second = run(tree, endless, problems=[problem])
    assert (first["exact"], first["truncated"]) == (1, 1) and second["exact"] == 0
    shutil.rmtree(tree.root / "store/countdown")
    first, second = run(tree, endless, problems=[problem], stop=(":",))
    assert (first["correct"], first["accuracy"], first["problems"]) == (1, 1, 1)
    assert second["unparsable"] == 1, "a response that does not repeat the rest is graded whole"


def test_a_stop_string_that_is_a_special_token_ends_a_continuation(engine: Any) -> None:
    """It stands in no text, which special tokens are left out of."""
    from tokenizers import Tokenizer

    parts = [divide(problem.prompt, 0.6) for problem in COUNTDOWN.generate("test", 0, COUNTDOWN.options)[:8]]
    ids, sampling = [str(place) for place in range(len(parts))], Sampling(max_tokens=16)
    plain, _ = continuations.ask(engine, parts, ids, sampling, go_on)
    tokenizer = Tokenizer.from_str(engine.tokenizer.to_str())
    tokenizer.add_special_tokens(["="])
    found, ended = continuations.ask(replace(engine, tokenizer=tokenizer), parts, ids, sampling, go_on, ["=", ","])
    assert any("=" in text for text in plain)
    assert found == [text.split("=")[0] for text in plain]
    assert all(end for end, text in zip(ended, plain, strict=True) if "=" in text)


def test_any_of_several_end_tokens_ends_a_continuation(engine: Any) -> None:
    parts = [divide(problem.prompt, 0.6) for problem in COUNTDOWN.generate("test", 0, COUNTDOWN.options)[:8]]
    ids, sampling = [str(place) for place in range(len(parts))], Sampling(max_tokens=16)
    plain, _ = continuations.ask(engine, parts, ids, sampling, go_on)
    equals = engine.tokenizer.token_to_id("=")
    found, ended = continuations.ask(replace(engine, ends=(*engine.ends, equals)), parts, ids, sampling, go_on)
    assert any("=" in text for text in plain)
    assert found == ["".join(text.partition("=")[:2]) for text in plain]
    assert all(end for end, text in zip(ended, plain, strict=True) if "=" in text)


def test_what_is_drawn_is_kept(tree: Plan, engine: Any) -> None:
    ((policy, benchmark),), job = tree.probes, job_of(tree, "countdown")
    calls = iter([False])
    with pytest.raises(Interrupted, match="whole fractions are kept"):
        contamination.probe(tree.setup, whose(tree, policy, benchmark), job, engine, lambda: next(calls, True))
    assert [file.name for file in job.folder.iterdir()] == ["0.4.parquet"]
    written = (job.folder / "0.4.parquet").stat().st_mtime_ns
    first = run(tree, engine)
    assert run(tree, engine) == first and (job.folder / "0.4.parquet").stat().st_mtime_ns == written
    with pytest.raises(DataError, match="of other problems"):
        run(tree, engine, problems=PROBLEMS[::-1])
    (job.folder / "0.6.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="torn or not ours"):
        run(tree, engine)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"fractions": [0.6, 1.0]}, "less than 1"),
        ({"fractions": [0.0]}, "greater than 0"),
        ({"fractions": [0.6, 0.4]}, r"expected ascending numbers without repeats: \[0.4, 0.6\]"),
        ({"fractons": [0.6]}, "did you mean 'fractions'"),
        ({"fractions": []}, "at least 1"),
    ],
)
def test_a_fault_of_the_block_is_a_message(tmp_path: Path, block: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        make_tree(tmp_path, CORRECT, probe=block, **ONE_RUN)


def test_an_empty_block_asks_for_the_usual_fractions(tmp_path: Path) -> None:
    assert make_tree(tmp_path, CORRECT, probe=None, **ONE_RUN).study.probe.fractions == [0.4, 0.6, 0.8]


# a model that has read a benchmark, through the workflow


def distinct(count: int) -> list[Problem]:
    """Problems of three numbers, no two with the same ones."""
    options = COUNTDOWN.options.model_copy(update={"problems": {3: 60}})
    by_numbers = {problem.prompt[:3]: problem for problem in COUNTDOWN.generate("train", 0, options)}
    return list(islice(by_numbers.values(), count))


@pytest.fixture(scope="module")
def memorised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study over a model that has read one of two benchmarks, after its probes."""
    from boundary_bench.training.pretrain import pretrain, save

    folder, known = tmp_path_factory.mktemp("memorised"), distinct(12)
    texts = [(problem.prompt[:1], problem.prompt[1:] + problem.solution) for problem in known]
    kind = replace(COUNTDOWN, solutions=lambda seed, count, weights: islice(cycle(texts), count))
    settings = Pretrain(benchmark="countdown", steps=150, batch=24, hidden=32, layers=2, heads=2)
    save(*pretrain(kind, settings, folder / "store", lambda line: None), folder / "reader")
    (folder / "known.jsonl").write_text("".join(problem.reference + "\n" for problem in known))
    study = {
        "study": "mini",
        "models": {"reader": {"path": "reader"}},
        "algorithms": ["grpo"],
        "seeds": [0],
        "training": {"benchmark": "countdown", "options": {"problems": {3: 20}}, "segments": [2]},
        "evaluate": {"steps": [0, 2]},
        "benchmarks": {
            "known": {"kind": "countdown", "data": "known.jsonl"},
            "fresh": {"kind": "countdown", "options": {"problems": {3: 12}}},
        },
        "sampling": {"n_max": 16, "stop_after": None, "max_tokens": 24},
        "probe": {"fractions": [0.4, 0.6]},
    }
    write_study(folder / "mini.yaml", study)
    targets = [f"results/mini/probes/reader/{name}/contamination.csv" for name in ("known", "fresh")]
    done = snakemake(folder, *targets, "-q", "--config", "study=mini.yaml")
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def rows_of(memorised: Path) -> Callable[[str], list[dict[str, str]]]:
    root = memorised / "results/mini/probes/reader"
    return lambda name: list(csv.DictReader((root / name / "contamination.csv").open()))


def test_what_was_read_scores_near_one_and_the_control_low(rows_of: Callable[[str], list[dict[str, str]]]) -> None:
    known, fresh = rows_of("known"), rows_of("fresh")
    assert [row["origin"] for row in known + fresh] == ["file", "file", "generated", "generated"]
    for row in known:
        assert min(float(row[name]) for name in ("exact", "rouge_l", "accuracy")) > 0.8
    for row in fresh:
        assert float(row["exact_high"]) < 0.5 and float(row["rouge_l"]) < 0.7 and float(row["accuracy"]) < 0.3
    assert max(float(row["exact_high"]) for row in fresh) < min(float(row["exact_low"]) for row in known)


def test_the_rule_runs_once_and_a_further_fraction_keeps_the_others(memorised: Path) -> None:
    plan = make_plan(str(memorised / "mini.yaml"), memorised / "results")
    jobs = planned(memorised, "--config", "study=mini.yaml")
    assert "probe" not in jobs and jobs["report"] == 1
    write_study(
        memorised / "more.yaml", plan.study.model_dump(exclude_none=True) | {"probe": {"fractions": [0.4, 0.8]}}
    )
    assert planned(memorised, "--config", "study=more.yaml")["probe"] == 2
    files = list((memorised / "results/mini/store/probe").glob("reader--known--*"))
    written = (files[0] / "0.4.parquet").stat().st_mtime_ns
    arguments = ("--policy", "reader", "--benchmark", "known")
    text = finish(stage(memorised, "probe", "more.yaml", *arguments))
    assert "first 40% of 12 statements: exact 1.000" in text and "first 80%" in text
    assert sorted(file.name for file in files[0].glob("*.parquet")) == ["0.4.parquet", "0.6.parquet", "0.8.parquet"]
    assert (files[0] / "0.4.parquet").stat().st_mtime_ns == written
    table, facts = read_table(plan.probe(plan.policy("reader"), "known") / "problems.parquet")
    assert sorted(set(table.column("fraction").to_pylist())) == [0.4, 0.8] and facts["engine"] == "torch"
    assert facts["provenance"]["packages"]["torch"] and facts["grader"] == list(KINDS["countdown"].grader.identity)


def test_without_a_probe_the_command_says_what_to_write(memorised: Path) -> None:
    study = make_plan(str(memorised / "mini.yaml")).study.model_dump(exclude_none=True, exclude={"probe"})
    write_study(memorised / "without.yaml", study)
    assert "probe" not in planned(memorised, "--config", "study=without.yaml")
    process = stage(memorised, "probe", "without.yaml", "--policy", "reader", "--benchmark", "known")
    assert "write probe: {} into it" in process.communicate()[0] and process.returncode == 2


def test_the_table_of_the_probe_knows_no_design_and_no_k(tmp_path: Path) -> None:
    def found(**changes: Any) -> tuple[str, dict[str, Any]]:
        plan = make_tree(tmp_path, probe={}, **changes)
        return identity(plan, "probe", "base-model", "countdown"), intervals(plan)

    before = found()
    assert found(sampling={"n_max": 32, "stop_after": None, "unscored": ["timeout", "truncated"]}) == before
    assert found(analysis={"resamples": 300, "ks": [1]})[0] == before[0], "what was continued is kept"
    assert found(analysis={"resamples": 300}) != before
