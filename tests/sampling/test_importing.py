"""The import stage: which problem a row is about, which samples count, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_files import Row, Write, written

from boundary_bench.benchmarks.base import Problem
from boundary_bench.core.errors import DataError
from boundary_bench.core.parquet import read_table
from boundary_bench.grading import VERDICTS, Grader, Ruling, Verdict, judge_here
from boundary_bench.grading.graders import GRADERS, SCORES
from boundary_bench.samples.grades import NOT_DRAWN, SPARE, read_verdicts, sample_rows
from boundary_bench.samples.manifest import IMPORT, check_others, graders_of
from boundary_bench.sampling.stored import importing
from boundary_bench.study.stored import StoredSamples

NUMERIC = GRADERS["numeric"]
PROBLEMS = [
    Problem("What is 1 + 1?", "2", "#### 2"),
    Problem("What is 2 + 3?", "5", "#### 5", name="sum-5"),
    Problem("What is 3 + 4?", "7", "#### 7"),
]
Imports = Callable[..., dict[str, Any]]


@pytest.fixture
def imports(tmp_path: Path) -> Imports:
    """Imports files, by default into a new store; the result and the folder of blocks are in one mapping."""

    def imports(
        *files: Path,
        problems: Sequence[Problem] = PROBLEMS,
        grader: Grader | None = NUMERIC,
        store: str = "",
        **said: Any,
    ) -> dict[str, Any]:
        block = StoredSamples.model_validate({"files": "any", "n": 2, **said})
        heard: list[str] = []
        job = importing.Import(block, files, problems, grader, judge_here, {"settings": "s"}, heard.append)
        target = tmp_path / (store or f"store-{len(list(tmp_path.iterdir()))}")
        return {**importing.run(job, target), "folder": target, "heard": heard}

    return imports


def verdicts(found: dict[str, Any], problems: Sequence[Problem] = PROBLEMS, n: int = 2) -> list[str]:
    """The first letters of every problem's verdicts, in the order of the sample indices."""
    blocks = [found["folder"] / name for name in found["files"]]
    verdict_PN = read_verdicts(blocks, [problem.id for problem in problems], n)
    return ["".join(VERDICTS[code][0] for code in row if code != NOT_DRAWN) for row in verdict_PN]


def rows_of(*answers: tuple[Row, str]) -> list[Row]:
    """Rows of two responses each: what names the problem, and their answers as two digits."""
    return [{**who, "response": [f"#### {digit}" for digit in digits]} for who, digits in answers]


def by_question(place: int, digits: str) -> tuple[Row, str]:
    return {"question": PROBLEMS[place].prompt}, digits


RIGHT = [by_question(0, "22"), by_question(1, "51"), by_question(2, "99")]

# which problem


def test_rows_find_their_problems_by_question_name_prompt_and_number(write: Write, imports: Imports) -> None:
    shot = f"Q: Who?\nA: Nobody.\n\nQ: {PROBLEMS[2].prompt} Think.\nA:"
    rows = rows_of(
        ({"question": " what is  1 + 1? "}, "23"),
        ({"id": "sum-5"}, "55"),
        ({"prompt": shot}, "77"),
    )
    assert verdicts(imports(write(rows))) == ["cw", "cc", "cc"]


def test_a_number_names_a_row_where_the_answers_are_equal(write: Write, imports: Imports) -> None:
    rows = rows_of(*(({"idx": i, "gold": problem.reference}, "25") for i, problem in enumerate(PROBLEMS)))
    assert verdicts(imports(write(rows))) == ["cw", "wc", "ww"]
    with pytest.raises(
        DataError, match="1 problems of the files are not in the benchmark, such as '1', and 1 of its 3"
    ):
        imports(write([{**row, "gold": "8"} if row["idx"] == 1 else row for row in rows], "other.jsonl"))


def test_strangers_and_problems_without_a_sample_are_one_message(write: Write, imports: Imports) -> None:
    rows = rows_of(RIGHT[0], ({"question": "Who is it?"}, "11"), ({"question": "Where is it?"}, "11"))
    with pytest.raises(DataError) as caught:
        imports(write(rows))
    for part in ("2 problems of the files", "'who is it?'", "2 of its 3 have no sample", "'What is 2 + 3?'", "stored:"):
        assert part in str(caught.value)


def test_a_prompt_with_two_questions_is_about_neither(write: Write, imports: Imports) -> None:
    both = f"{PROBLEMS[0].prompt} {PROBLEMS[1].prompt}"
    with pytest.raises(DataError, match="1 problems of the files are not in the benchmark"):
        imports(write(rows_of({"prompt": both} and ({"prompt": both}, "25"), *RIGHT[1:])))
    # of two questions that hold each other the longer is meant
    longer = Problem("What is 1 + 1? And why?", "2", "#### 2")
    rows = rows_of(({"prompt": f"Say: {longer.prompt}"}, "22"), *RIGHT)
    assert verdicts(imports(write(rows, "b.jsonl"), problems=[*PROBLEMS, longer]), [*PROBLEMS, longer])[-1] == "cc"


def test_one_problem_under_two_names_is_refused(write: Write, imports: Imports) -> None:
    rows = rows_of(*RIGHT, ({"id": "again", "question": PROBLEMS[0].prompt}, "22"))
    with pytest.raises(DataError, match=r"rows.jsonl: row 4: problem 'again' is the same as 'what is 1 \+ 1\?' before"):
        imports(write(rows))


def test_a_name_with_another_question_is_another_problem(write: Write, imports: Imports) -> None:
    rows = rows_of(RIGHT[0], ({"id": "sum-5", "question": "What is 9 + 9?"}, "55"), RIGHT[2])
    with pytest.raises(DataError, match="such as 'sum-5', and 1 of its 3 have no sample, such as 'What is 2"):
        imports(write(rows))


# which samples


def test_the_first_samples_count_by_index_whatever_the_order(write: Write, imports: Imports) -> None:
    answers = {0: "2", 1: "3", 2: "2"}  # by index, for every problem
    rows = [
        {"question": problem.prompt, "response": f"#### {answers[index]}", "sample": index + 10}
        for index in (2, 0, 1)
        for problem in PROBLEMS
    ]
    found = imports(write(rows))
    assert verdicts(found)[0] == "cwc", "the third is spare, for a sample that times out"
    assert found["heard"] == found["notes"] == ["the first 2 samples of every problem count; the files have 3 to 3"]
    blocks = [sample_rows(found["folder"] / name, ["sample"]) for name in found["files"]]
    assert sorted({index for block in blocks for index in block.column("sample").to_pylist()}) == [0, 1, 2]


@pytest.mark.parametrize("first", [0, 1])
def test_of_many_samples_those_are_kept_that_can_count(first: int, write: Write, imports: Imports) -> None:
    rows = [
        {"question": each.prompt, "response": f"#### {i % 2 and each.reference}", "index": first + i}
        for each in PROBLEMS
        for i in range(10)
    ]
    assert verdicts(imports(write(rows))) == ["wcwc"] * 3


def test_names_of_mostly_other_problems_are_refused(write: Write, imports: Imports) -> None:
    problems = [replace(each, name=str(i)) for i, each in enumerate(PROBLEMS)]
    rows = rows_of(*(({"idx": i, "gold": gold}, "25") for i, gold in enumerate(["2", "6", "8"])))
    with pytest.raises(DataError, match="4 of 6 rows without a question have the name of a problem with another"):
        imports(write(rows), problems=problems)
    some = imports(
        write(rows_of(*(({"idx": i, "gold": gold}, "25") for i, gold in enumerate("258")))), problems=problems
    )
    assert some["notes"] == ["2 rows write their reference answer otherwise than the benchmark"]


def test_too_few_samples_are_refused_with_the_number_that_is_there(write: Write, imports: Imports) -> None:
    rows = [*rows_of(*RIGHT[:2]), {"question": PROBLEMS[2].prompt, "response": "#### 7"}]
    with pytest.raises(DataError, match=r"fewer than n: 2 samples, such as 'What is 3 \+ 4\?' with 1.*write n: 1"):
        imports(write(rows))


def test_a_sample_that_times_out_is_replaced_by_a_spare_one(write: Write, imports: Imports) -> None:
    def judge(reference: str, answer: str) -> Ruling:
        late = answer == "0"
        return Ruling(Verdict.TIMEOUT if late else Verdict.WRONG, "late" if late else "other")

    slow = Grader("slow", 1, lambda text: text[-1], judge)
    rows = [{"question": each.prompt, "response": ["#### 0", "#### 1", "#### 3"]} for each in PROBLEMS]
    assert verdicts(imports(write(rows), grader=slow)) == ["tww"] * 3
    rows[1]["response"][1] = "#### 0"
    with pytest.raises(DataError, match=r"such as 'What is 2.*' with 1; of all samples 4 timed out"):
        imports(write(rows, "late.jsonl"), grader=slow)


def test_counts_are_samples_without_responses(write: Write, imports: Imports) -> None:
    rows = [{"question": each.prompt, "n": 4, "c": c} for each, c in zip(PROBLEMS, (0, 1, 4), strict=True)]
    found = imports(write(rows), n=4, grader=None)
    assert verdicts(found, n=4) == ["wwww", "cwww", "cccc"] and not found["scored"] and not found["texts"]
    with pytest.raises(DataError, match="row 1: found counts of 4 samples, expected n: 2"):
        imports(write(rows, "other.jsonl"), grader=None)


@given(st.data())
def test_any_rows_become_their_verdicts(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """In any order and any files, with or without indices: as many of each verdict as the rows say."""
    n = data.draw(st.integers(2, 4))
    correct_PN = data.draw(st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=3, max_size=3))
    indexed = data.draw(st.booleans())
    rows = [
        {"question": problem.prompt, "response": f"#### {problem.reference if right else 0} ({i}{place})"}
        | ({"index": i} if indexed else {})
        for place, (problem, correct_N) in enumerate(zip(PROBLEMS, correct_PN, strict=True))
        for i, right in enumerate(correct_N)
    ]
    rows = data.draw(st.permutations(rows))
    folder = tmp_path_factory.mktemp("rows")
    said = StoredSamples(files="any", n=n)
    files = [written(folder / "rows.jsonl", rows)]
    first = Grader(
        "first", 1, lambda text: text.split()[1], lambda a, b: Ruling(Verdict.CORRECT if a == b else Verdict.WRONG, "")
    )
    job = importing.Import(said, files, PROBLEMS, first, judge_here, {}, lambda line: None)
    found = {**importing.run(job, folder / "store"), "folder": folder / "store"}
    expected = ["".join("c" if right else "w" for right in correct_N) for correct_N in correct_PN]
    same = (lambda text: text) if indexed else sorted
    assert [*map(same, verdicts(found, n=n))] == [*map(same, expected)]


# grades


def test_the_files_own_scores_stand_beside_our_grades(write: Write, imports: Imports) -> None:
    rows = [{**row, "score": [True, False]} for row in rows_of(*RIGHT)]
    found = imports(write(rows))
    assert found["scored"] and verdicts(found) == ["cc", "cw", "ww"]
    table, _ = read_table(found["folder"] / next(iter(found["files"])))
    assert table.column("score").to_pylist() == ["correct", "wrong"] * 3
    assert verdicts(imports(write(rows), grader=None)) == ["cw"] * 3


def test_scores_of_some_rows_alone_are_no_second_grader(write: Write, imports: Imports) -> None:
    rows = rows_of(*RIGHT)
    rows[0]["score"] = [True, True]
    assert not imports(write(rows))["scored"]


def test_without_responses_there_is_nothing_to_grade(write: Write, imports: Imports) -> None:
    rows = [{"question": each.prompt, "score": [1, 0]} for each in PROBLEMS]
    with pytest.raises(DataError, match=r"row 1 has no response.*grades: scores"):
        imports(write(rows))
    assert verdicts(imports(write(rows, "b.jsonl"), grader=None)) == ["cw"] * 3
    rows[1]["score"] = [1, -1]
    with pytest.raises(DataError, match=r"row 2: found the score -1.*correct_from: 1"):
        imports(write(rows, "c.jsonl"), grader=None)


def test_the_graders_of_imported_samples(tmp_path: Path) -> None:
    file, math = tmp_path / "imported.json", GRADERS["math"]

    def found(**said: Any) -> list[Grader]:
        file.write_text(json.dumps({"engine": IMPORT, "scored": False, "texts": True, **said}))
        return graders_of([file], [NUMERIC, math])

    assert found(grader=NUMERIC.identity) == [NUMERIC, math]
    assert found(grader=NUMERIC.identity, scored=True) == [NUMERIC, math, SCORES]
    assert found(grader=SCORES.identity) == [SCORES, NUMERIC, math]
    assert found(grader=SCORES.identity, texts=False) == [SCORES]
    assert found(engine="torch", grader=NUMERIC.identity) == [NUMERIC, math]


def test_one_policy_is_not_compared_with_itself(write: Write, imports: Imports, tmp_path: Path) -> None:
    """The same rows in another order and file, without indices, are no other samples of a problem."""
    files = (
        write(rows_of(*RIGHT)),
        write(rows_of(*reversed(RIGHT)), "b.jsonl"),
        write(rows_of(*RIGHT[:2], by_question(2, "98")), "c.jsonl"),
    )
    manifests = {}
    for name, file in zip("abc", files, strict=True):
        manifests[name] = tmp_path / f"{name}.json"
        manifests[name].write_text(json.dumps({"content": imports(file)["content"]}))
    check_others({name: manifests[name] for name in "ac"})
    with pytest.raises(DataError, match="b and a have the same samples"):
        check_others(manifests)


def test_a_truncated_response_is_truncated(write: Write, imports: Imports) -> None:
    rows = [{**row, "finish_reason": "length"} if i == 1 else row for i, row in enumerate(rows_of(*RIGHT))]
    assert verdicts(imports(write(rows))) == ["cc", "tt", "ww"]


def test_what_no_row_tells_is_known_to_be_unknown(write: Write, imports: Imports) -> None:
    """Without finish reasons nobody knows what was cut off; a score tells no wrong answer from none at all."""
    rows = [{**row, "score": [1, 0]} for row in rows_of(*RIGHT)]
    ended = [{**row, "finish_reason": "stop"} for row in rows]
    of_scores = ["unparsable", "timeout"]
    assert imports(write(rows))["untold"] == ["truncated"] and imports(write(ended, "b.jsonl"))["untold"] == []
    assert imports(write(rows, "c.jsonl"), grader=None)["untold"] == ["truncated", *of_scores]
    assert imports(write(ended, "d.jsonl"), grader=None)["untold"] == of_scores
    counts = [{"question": each.prompt, "n": 2, "c": 1} for each in PROBLEMS]
    assert imports(write(counts, "e.jsonl"), grader=None)["untold"] == ["truncated", *of_scores]


def test_rows_of_which_some_have_no_response_are_read_by_their_scores_alone(write: Write, imports: Imports) -> None:
    rows = [{"question": each.prompt, "response": "#### 2", "score": i} for each in PROBLEMS for i in (0, 1)]
    assert imports(write(rows), grader=None)["texts"]
    rows[3].pop("response")
    assert not imports(write(rows, "b.jsonl"), grader=None)["texts"]


def test_equal_responses_are_said(write: Write, imports: Imports) -> None:
    rows = [{"question": each.prompt, "response": ["#### 2", "#### 2"]} for each in PROBLEMS]
    assert "at temperature 0 they are no samples" in imports(write(rows))["notes"][0]


# several policies, and imports that stop


def test_one_of_several_policies_is_named(write: Write, imports: Imports) -> None:
    rows = [
        {**row, "policy": policy}
        for policy, answers in (("a", "22"), ("b", "57"))
        for row in rows_of(*(by_question(i, answers) for i in range(3)))
    ]
    file = write(rows)
    with pytest.raises(DataError, match=r"found samples of the policies 'a', 'b', expected those of one.*policy: NAME"):
        imports(file)
    assert verdicts(imports(file, policy="b")) == ["ww", "cw", "wc"]
    with pytest.raises(DataError, match="found no policy 'c'"):
        imports(file, policy="c")


def test_an_import_that_fails_leaves_nothing_and_goes_on_when_mended(
    write: Write, imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BLOCK_ROWS", 2)
    rows = rows_of(*RIGHT)
    torn = write(rows)
    torn.write_text(torn.read_text() + '{"question": "What is')
    with pytest.raises(DataError, match=r"rows.jsonl: row 4"):
        imports(torn, store="one")
    found = imports(write(rows), store="one")
    assert len(found["files"]) == 3 and verdicts(found) == ["cc", "cw", "ww"]
    assert {path.name for path in found["folder"].iterdir()} == {*found["files"], "import.json"}
    again = imports(write([], "gone.jsonl"), store="one")
    assert again["files"] == found["files"], "what was imported is not read again"
    next(found["folder"].glob("block*")).write_bytes(b"torn")
    mended = imports(write(rows), store="one")
    assert verdicts(mended) == ["cc", "cw", "ww"], "but what was altered since is imported anew"


def test_two_files_of_one_seed_and_a_sample_twice_are_refused(write: Write, imports: Imports) -> None:
    rows = rows_of(*RIGHT)
    with pytest.raises(DataError, match="holds the same responses as"):
        imports(write(rows), write(rows, "again.jsonl"))
    twice = [{"question": PROBLEMS[0].prompt, "response": "#### 2", "index": 0}] * 2
    with pytest.raises(DataError, match=r"found sample 0 of problem .* again"):
        imports(write(twice, "twice.jsonl"))


def test_rows_of_another_benchmark_by_the_million_are_one_message(write: Write, imports: Imports) -> None:
    strangers = [({"question": f"What is {i}?"}, "11") for i in range(3000)]
    with pytest.raises(DataError, match="1,000 or more problems of the files are not in the benchmark") as caught:
        imports(write(rows_of(*strangers)))
    assert len(str(caught.value)) < 700


def test_texts_of_any_kind_are_kept_as_they_are(write: Write, imports: Imports) -> None:
    hostile = ["</script>\u2028$(rm -rf)\x00\x1b[2J #### 2", "=cmd() \U0001f600 #### 2"]
    found = imports(write([{"question": each.prompt, "response": hostile} for each in PROBLEMS]))
    kept = [sample_rows(found["folder"] / name, ["response"]).column("response").to_pylist() for name in found["files"]]
    assert [*np.concatenate(kept)] == hostile * 3
    assert SPARE * 2 == 4
