"""The tally: what is stored becomes counts, and nothing that is missing, repeated or altered becomes one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from boundary_bench.analysis.tallies import tally
from boundary_bench.core.errors import DataError, StoreError
from boundary_bench.core.files import write_json
from boundary_bench.core.parquet import read_table, write_table
from boundary_bench.core.provenance import file_sha256
from boundary_bench.plan import Plan
from boundary_bench.samples.store import SAMPLES
from boundary_bench.statistics.entropy import chao_shen, majority_at_k, miller_madow
from results import BLOCKS, FIRST, PROBLEMS, STEP2, graded, make_tree, write_samples

VERDICTS = ("correct", "wrong", "unparsable", "truncated", "timeout")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_tree(tmp_path)


def tallied(plan: Plan) -> pa.Table:
    return tally(graded(plan, plan.policy(STEP2), "countdown"), plan.study.ks)


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    return tallied(plan).to_pylist()


def manifest_of(plan: Plan) -> tuple[Path, Path]:
    """The manifest and the folder of a policy's samples."""
    (manifest,) = plan.samples(plan.policy(STEP2), "countdown")
    return manifest, manifest.parent / json.loads(manifest.read_text())["folder"]


def declare(plan: Plan, **blocks: list[dict[str, Any]]) -> None:
    """Write blocks (``b0_4`` is samples 0 to 3), and let the manifest declare them and the greedy responses."""
    manifest, folder = manifest_of(plan)
    found = json.loads(manifest.read_text())
    found["files"] = {"greedy.parquet": file_sha256(folder / "greedy.parquet")}
    for key, rows in blocks.items():
        first, stop = key.removeprefix("b").split("_")[:2]
        file = folder / f"block-{int(first):06d}-{int(stop):06d}{'-1' if key.endswith('_again') else ''}.parquet"
        write_table(file, pa.Table.from_pylist(rows, SAMPLES), {})
        found["files"][file.name] = file_sha256(file)
    write_json(manifest, found)


def stored(plan: Plan) -> list[dict[str, Any]]:
    """All samples of the policy."""
    _, folder = manifest_of(plan)
    return [row for name in BLOCKS for row in read_table(folder / f"{name}.parquet")[0].to_pylist()]


def test_counts_are_up_to_the_stopping_point(plan: Plan) -> None:
    """Correct samples 0, 4, 8 and 0; a problem with three of them among the first four has no others."""
    rows = rows_of(plan)
    assert [row["problem_id"] for row in rows] == [problem.id for problem in PROBLEMS]
    assert [row["chance"] for row in rows] == [problem.chance for problem in PROBLEMS]
    assert [row["stratum"] for row in rows] == [problem.stratum for problem in PROBLEMS]
    assert [(row["n"], row["drawn"], *(row[name] for name in VERDICTS)) for row in rows] == [
        (8, 8, 0, 7, 0, 1, 0),
        (4, 4, 4, 0, 0, 0, 0),
        (4, 4, 4, 0, 0, 0, 0),
        (8, 8, 0, 7, 0, 1, 0),
    ]
    assert [row["greedy"] for row in rows] == ["wrong", "correct", "correct", "wrong"]


def test_the_first_round_is_alike_for_every_problem(plan: Plan) -> None:
    rows = rows_of(plan)
    for row in rows:
        assert (row["first"], row["tokens"], row["entropy"], row["logprob"]) == (FIRST, 2 * FIRST, 2.0, -4.0)
    assert [(row["distinct_responses"], row["distinct_answers"]) for row in rows] == [(2, 2), (1, 1), (1, 1), (2, 2)]
    assert rows[0]["answer_entropy"] == pytest.approx(math.log(2)) and rows[1]["answer_entropy"] == 0
    assert rows[0]["answer_entropy_miller_madow"] == pytest.approx(miller_madow([2, 2]))
    assert rows[0]["answer_entropy_chao_shen"] == pytest.approx(chao_shen([2, 2]))
    assert [row["majority"] for row in rows] == [[0, 0, 0], [1, 1, 1], [1, 1, 1], [0, 0, 0]], "k = 1, 2, 4"


def test_the_columns_are_these(plan: Plan) -> None:
    found = tallied(plan)
    assert found.column_names == [
        "problem_id",
        "stratum",
        "chance",
        "n",
        "correct",
        "drawn",
        "wrong",
        "unparsable",
        "truncated",
        "timeout",
        "first",
        "tokens",
        "entropy",
        "logprob",
        "distinct_responses",
        "distinct_answers",
        "answer_entropy",
        "answer_entropy_miller_madow",
        "answer_entropy_chao_shen",
        "majority",
        "greedy",
    ]
    assert found.schema.field("chance").type == pa.float64()
    assert found.schema.field("majority").type == pa.list_(pa.float64())


def test_how_samples_lie_in_files_does_not_matter(plan: Plan) -> None:
    rows, samples = rows_of(plan), stored(plan)
    first, others = samples[:1], samples[1:]
    halves = [row for row in others if row["sample"] % 2], [row for row in others if not row["sample"] % 2]
    declare(plan, b0_8=halves[0][::-1], b0_8_again=halves[1], b0_1=first)
    assert rows_of(plan) == rows


def test_how_greedy_responses_lie_in_their_file_does_not_matter(plan: Plan) -> None:
    rows, samples = rows_of(plan), stored(plan)
    _, folder = manifest_of(plan)
    greedy = read_table(folder / "greedy.parquet")[0].to_pylist()
    write_table(folder / "greedy.parquet", pa.Table.from_pylist(greedy[1:] + greedy[:1], SAMPLES), {})
    declare(plan, b0_8=samples)
    assert rows_of(plan) == rows


def test_samples_beyond_the_stopping_point_are_not_counted(plan: Plan) -> None:
    rows, samples = rows_of(plan), stored(plan)
    beyond = [
        {**samples[0], "problem_id": PROBLEMS[1].id, "sample": i, "response": f"more {i}", "verdict": "correct"}
        for i in (4, 5, 7, 40)
    ]
    declare(plan, b0_8=samples, b4_41=beyond)
    assert rows_of(plan) == rows


def with_answers(plan: Plan, answers: list[str | None], verdicts: list[str]) -> dict[str, Any]:
    """The row of the first problem when its samples have these answers and verdicts; the others stay."""
    others = [row for row in stored(plan) if row["problem_id"] != PROBLEMS[0].id]
    cell = {"tokens": [1], "entropy": 0.25, "problem_id": PROBLEMS[0].id}
    mine = [
        {**cell, "sample": i, "logprob": -float(i), "response": f"text {i}", "answer": answer, "verdict": verdict}
        for i, (answer, verdict) in enumerate(zip(answers, verdicts, strict=True))
    ]
    declare(plan, b0_20=others + mine[::-1])
    return rows_of(plan)[0]


def test_samples_without_a_score_are_replaced_in_every_count(plan: Plan) -> None:
    """Indices 1 and 5 timed out: the first round is 0, 2, 3 and 4, and 10 indices give the 8 samples."""
    answers = ["a", None, "b", "a", None, None, "c", "c", "d", "d", "d"]
    verdicts = ["correct", "timeout", "wrong", "wrong", "truncated", "timeout", *["wrong"] * 3, "correct", "correct"]
    row = with_answers(plan, answers, verdicts)
    assert (row["n"], row["drawn"], *(row[name] for name in VERDICTS)) == (8, 10, 2, 5, 0, 1, 2)
    assert (row["first"], row["tokens"], row["entropy"], row["logprob"]) == (4, 4, 1.0, -(0 + 2 + 3 + 4))
    assert (row["distinct_responses"], row["distinct_answers"]) == (4, 2)
    expected = majority_at_k([0, 1, 0, -1], [True, False, False, False], [1, 2, 4])
    assert row["majority"] == expected.tolist() == [0.25, 0.25, 0.5]


def test_a_problem_without_answers_has_no_entropy(plan: Plan) -> None:
    row = with_answers(plan, [None] * 8, ["unparsable"] * 8)
    assert row["distinct_answers"] == 0 and row["majority"] == [0, 0, 0]
    assert np.isnan([row[f"answer_entropy{name}"] for name in ("", "_miller_madow", "_chao_shen")]).all()


def test_an_empty_answer_is_an_answer(plan: Plan) -> None:
    row = with_answers(plan, ["", None, "", "x", *[None] * 4], ["wrong"] * 8)
    assert row["distinct_answers"] == 2
    assert row["answer_entropy"] == pytest.approx(math.log(3) - 2 / 3 * math.log(2))


# what is refused


def change_row(plan: Plan, **change: object) -> None:
    """Change cells of the last block's first row, which is sample 4 of the first problem."""
    samples = stored(plan)
    at = next(i for i, row in enumerate(samples) if row["sample"] == 4)
    samples[at] = samples[at] | change
    declare(plan, b0_8=samples)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample": 2}, rf"found sample 2 of problem {PROBLEMS[0].id} in this block and once more"),
        ({"sample": 8}, r"found sample index 8, expected 0 to 7 as its name says"),
        ({"sample": -1}, r"found sample index -1"),
        ({"problem_id": "stranger"}, r"found problem stranger, which is not in the problem file"),
        ({"verdict": "maybe"}, r"found verdict 'maybe', expected one of correct, wrong"),
        ({"verdict": "timeout"}, rf"found 8 samples of problem {PROBLEMS[0].id} without a gap, expected at least 9"),
    ],
)
def test_samples_that_are_not_the_expected_ones_are_refused(
    plan: Plan, change: dict[str, object], message: str
) -> None:
    change_row(plan, **change)
    with pytest.raises(DataError, match=message):
        rows_of(plan)


def test_a_sample_in_two_files_is_refused(plan: Plan) -> None:
    samples = stored(plan)
    declare(plan, b0_8=samples, b0_8_again=samples[5:6])
    with pytest.raises(DataError, match=r"block-000000-000008-1\.parquet: found sample \d of problem \w+ in this"):
        rows_of(plan)


def test_a_missing_sample_is_never_padded(plan: Plan) -> None:
    declare(plan, b0_8=[row for row in stored(plan) if (row["problem_id"], row["sample"]) != (PROBLEMS[3].id, 5)])
    message = rf"found 5 samples of problem {PROBLEMS[3].id} .* at least 8 \(1 problems lack some\); run the sample"
    with pytest.raises(DataError, match=message):
        rows_of(plan)


def spoil(change: Callable[[Path, Path], object]) -> Callable[[Plan], None]:
    return lambda plan: change(*manifest_of(plan)) and None


def edit(old: str, new: str) -> Callable[[Plan], None]:
    def change(manifest: Path, _folder: Path) -> None:
        text = manifest.read_text()
        assert old in text
        manifest.write_text(text.replace(old, new))

    return spoil(change)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil(lambda _, folder: (folder / f"{BLOCKS[1]}.parquet").unlink()), rf"{BLOCKS[1]}\.parquet is missing"),
        (
            spoil(lambda _, folder: (folder / f"{BLOCKS[1]}.parquet").write_bytes(b"PAR1")),
            rf"{BLOCKS[1]}\.parquet has hash .* altered or torn; delete",
        ),
        (spoil(lambda manifest, _: manifest.unlink()), r"1-of-1\.json is missing; run the stage"),
        (spoil(lambda manifest, _: manifest.write_text("{}")), r"is no sample manifest \('folder'\); delete it"),
        (edit('"stop_after": 3', '"stop_after": 4'), r"'stop_after': 4, .*} and 3 files, expected .*'stop_after': 3, "),
        (edit("greedy.parquet", "block-greedy.parquet"), r"the greedy responses and at least one block"),
        (edit("000004-000008", "rows"), r"block-rows\.parquet is missing"),
    ],
)
def test_a_store_that_is_not_as_declared_is_refused(plan: Plan, spoil: Callable[[Plan], None], message: str) -> None:
    spoil(plan)
    with pytest.raises((DataError, StoreError), match=message):
        rows_of(plan)


def test_another_design_asks_for_the_sample_stage(plan: Plan) -> None:
    write_samples(plan, plan.policy(STEP2), "countdown", [0, 0, 0, 0])
    manifest, _ = manifest_of(plan)
    found = json.loads(manifest.read_text())
    write_json(manifest, found | {"design": {"rounds": [8], "stop_after": None}})
    with pytest.raises(DataError, match=r"found the design .*\[8\].*expected .*\[4, 8\].* keeps every stored block"):
        rows_of(plan)


@pytest.mark.parametrize(("kept", "times"), [(slice(3), "no"), (slice(None), "more than one")])
def test_every_problem_has_one_greedy_response(plan: Plan, kept: slice, times: str) -> None:
    manifest, folder = manifest_of(plan)
    rows = read_table(folder / "greedy.parquet")[0].to_pylist()
    write_table(folder / "greedy.parquet", pa.Table.from_pylist(rows[kept] + rows[kept][3:], SAMPLES), {})
    found = json.loads(manifest.read_text())
    found["files"]["greedy.parquet"] = file_sha256(folder / "greedy.parquet")
    write_json(manifest, found)
    with pytest.raises(DataError, match=f"found {times} greedy response to problem {PROBLEMS[3].id}"):
        rows_of(plan)
