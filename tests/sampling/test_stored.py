"""Stored samples and counts: what a row says, by the names of harnesses, and what is refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_files import read_or_refused

from boundary_bench.benchmarks.stored import NAMES
from boundary_bench.core.errors import DataError, StudyError
from boundary_bench.grading import Verdict, judge_here
from boundary_bench.grading.graders import GRADERS
from boundary_bench.records import Record
from boundary_bench.records.harnesses import files_of
from boundary_bench.records.paths import named_places
from boundary_bench.sampling.stored.policy import StoredPolicy, chosen_of, paired, read_policies
from boundary_bench.sampling.stored.rows import Counted, stored

NUMERIC = GRADERS["numeric"]
Rows = Sequence[dict[str, Any]]


def columns_of(given: str | None) -> dict[str, str]:
    return named_places(given, NAMES, "--columns", "response=output.text")


def quiet(line: str) -> None:
    raise AssertionError(line)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(rows: Rows, name: str = "rows.jsonl") -> Path:
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path / name

    return write


def read(*files: Path, grader: Any = None, columns: str | None = None, at_least: float | None = None) -> StoredPolicy:
    (found,) = read_policies(files, columns_of(columns), grader, judge_here, at_least, quiet)
    return found


def verdicts(policy: StoredPolicy) -> dict[str, list[str]]:
    return {name: [str(each) for _, each in sorted(of.verdicts.items())] for name, of in policy.problems.items()}


# a row


@pytest.mark.parametrize(
    "row",
    [
        {"problem_id": "p", "prompt": "1+1?", "gold": "2", "index": 0, "response": "2", "finish_reason": "stop"},
        {"idx": "p", "question": "1+1?", "gt": "2", "answer": "so 2", "code": ["2"], "score": [True]},  # Qwen2.5-Math
        {"question_id": "p", "question": "1+1?", "answer": "so", "gold_answer": "2", "response": "2", "label": True},
        {"task_id": "p", "completion": "2", "passed": True},  # human-eval
        {"id": "p", "problem": "1+1?", "expected_answer": "2", "generation": "2", "symbolic_correct": True},
        {"doc_id": "p", "target": "2", "resps": [["2"]], "filter": "none"},  # lm-eval
        {"question": "1+1?", "prompt": "1+1?", "samples": ["2"], "is_corrects": [True], "id": "p"},  # Monkeys
        {"input": "user\n1+1?\nassistant\n", "output": "2", "gts": "2", "score": 1.0, "id": "p", "step": 3},  # verl
    ],
)
def test_the_names_of_harnesses_are_known(row: dict[str, Any]) -> None:
    (found,) = stored(Record(1, row), {})
    assert not isinstance(found, Counted)
    assert found.problem == "p" and found.text == "2" and found.gold in ("2", "") and found.ended in (True, None)
    assert found.score in (True, 1.0, None)


def test_a_list_is_one_sample_each() -> None:
    row = {"idx": 7, "question": "?", "gt": 2, "code": ["a", "b", "c"], "score": [True, False, "true"]}
    found = list(stored(Record(1, row | {"finish_reason": ["stop", "length", "eos"]}), {}))
    assert [(each.index, each.text, each.score, each.ended) for each in found if not isinstance(each, Counted)] == [
        (0, "a", True, True),
        (1, "b", False, False),
        (2, "c", True, True),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "?"}, "neither a response nor a score nor counts"),
        ({"id": "p", "response": ["a", "b"], "score": [True, False, True]}, "2 values of response and 3 responses"),
        ({"id": "p", "response": ["a", "b"], "score": True}, "1 values of score and 2 responses"),
        ({"id": "p", "response": 3}, "response: found 3"),
        ({"id": "p", "response": "a", "score": "good"}, "score: found 'good'"),
        ({"id": "p", "n": 4, "c": 5}, "found 5 correct of 4"),
        ({"id": "p", "n": 4.5, "c": 1}, "n: found 4.5"),
        ({"id": "p", "n": 4}, "c: found None"),
        ({"id": "p", "response": "a", "index": "x"}, "index: found 'x'"),
    ],
)
def test_a_row_without_a_meaning_is_refused(row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(stored(Record(1, row), {}))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.sampled_from(["", "a", "length", "C", "1"]),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["text", "value", "content", "role"]), each)
    ),
    max_leaves=6,
)
COLUMNS = [name for names in NAMES.values() for name in names] + ["doc", "model_response", "epoch", "scores", "target"]


@given(st.dictionaries(st.sampled_from([*COLUMNS, "resps", "filter", "error", "samples", "eval"]), VALUES))
def test_any_row_has_a_meaning_or_a_fault(row: dict[str, Any]) -> None:
    read_or_refused(row)


def test_columns_name_places(write: Callable[..., Path]) -> None:
    file = write([{"who": {"id": 1}, "out": [{"text": "3"}], "right": "3"}] * 1)
    found = read(file, grader=NUMERIC, columns="problem=who.id,response=out.0.text,gold=right")
    assert verdicts(found) == {"1": ["correct"]}
    with pytest.raises(DataError, match=r"no column 'answers' \(gold\); the columns are who, out, right"):
        read(file, grader=NUMERIC, columns="problem=who.id,response=out.0.text,gold=answers")
    with pytest.raises(StudyError, match="found 'gold', expected COLUMN=PLACE"):
        columns_of("gold")
    with pytest.raises(StudyError, match="did you mean 'response'"):
        columns_of("respons=x")


# the grades


def test_our_grade_counts_and_theirs_is_compared(write: Callable[..., Path]) -> None:
    rows = [{"id": "p", "gold": "2", "response": f"#### {value}", "correct": value == 2} for value in (2, 3, 4)]
    rows[2]["correct"] = True
    found = read(write(rows), grader=NUMERIC)
    assert verdicts(found) == {"p": ["correct", "wrong", "wrong"]}
    assert (found.problems["p"].compared, found.problems["p"].disputed) == (3, 1)
    assert verdicts(read(write(rows))) == {"p": ["correct", "wrong", "correct"]}


def test_a_response_that_was_cut_off_is_truncated(write: Callable[..., Path]) -> None:
    rows = [
        {"id": "p", "gold": "2", "response": f"{why}: #### 2", "score": 0, "finish_reason": why}
        for why in ("length", "stop")
    ]
    assert verdicts(read(write(rows), grader=NUMERIC)) == {"p": ["truncated", "correct"]}
    assert verdicts(read(write(rows), columns="problem=id")) == {"p": ["truncated", "wrong"]}


@pytest.mark.parametrize("score", [-1, 0.5, 2])
def test_a_score_that_is_no_truth_value_asks_for_a_rule(write: Callable[..., Path], score: float) -> None:
    file = write([{"id": "p", "score": 1}, {"id": "p", "score": score}])
    with pytest.raises(DataError, match=rf"row 2.*found the score {score:g}, .*--correct-from 1"):
        read(file)
    assert verdicts(read(file, at_least=1))["p"] == ["correct", "correct" if score >= 1 else "wrong"]


# what is refused


def test_samples_and_counts_once_each(write: Callable[..., Path]) -> None:
    one = {"id": "p", "index": 0, "response": "a", "score": 1}
    with pytest.raises(DataError, match=r"row 2.*found sample 0 of problem 'p' again"):
        read(write([one, one]))
    with pytest.raises(DataError, match=r"row 2.*found counts of problem 'p' again"):
        read(write([{"id": "p", "n": 4, "c": 1}] * 2))
    with pytest.raises(DataError, match=r"row 2.*found sample 0 of problem 'p' again"):  # a rerun that was appended
        read(write([{"id": "p", "response": ["a", "b"], "score": [1, 0]}] * 2))


def test_files_are_seeds_and_none_counts_twice(write: Callable[..., Path]) -> None:
    one = write([{"id": "p", "response": text, "score": 0} for text in "ab"], "seed1.jsonl")
    other = write([{"id": "p", "response": text, "score": 1} for text in "cd"], "seed2.jsonl")
    assert verdicts(read(one, other)) == {"p": ["wrong", "wrong", "correct", "correct"]}
    again = write([{"id": "p", "response": text, "score": 0} for text in "ab"], "seed3.jsonl")
    with pytest.raises(DataError, match=r"seed3.jsonl holds the same responses as .*seed1.jsonl"):
        read(one, other, again)


def test_two_benchmarks_in_one_file_are_seen(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"another question than before.*two benchmarks"):
        read(write([{"id": 1, "question": q, "response": "a", "score": 0} for q in ("1+1?", "2+2?")]))


def test_samples_without_chance_are_said(write: Callable[..., Path]) -> None:
    rows, said = [{"id": name, "response": name, "score": 0} for name in "ppqq"], list[str]()
    read_policies([write(rows)], {}, None, judge_here, None, said.append)
    assert "every response to a problem is the same text: at temperature 0" in said[0]
    assert read(write([*rows, {"id": "q", "response": "other", "score": 0}])).problems.keys() == {"p", "q"}


def test_lm_eval_repeats_responses_for_every_filter(write: Callable[..., Path]) -> None:
    rows = [{"doc_id": 0, "target": "2", "resps": [["2", "3"]], "filter": name} for name in ("strict", "flexible")]
    said: list[str] = []
    (found,) = read_policies([write(rows)], {}, NUMERIC, judge_here, None, said.append)
    assert verdicts(found) == {"0": ["correct", "wrong"]} and "1 rows repeat" in said[0]


def sample(number: int, epoch: int, text: str, value: Any, **more: Any) -> dict[str, Any]:
    """A sample of inspect_ai 0.3, as it stands in its logs."""
    message = {"content": text, "source": "generate", "role": "assistant"}
    output = {"model": "m", "choices": [{"message": message, "stop_reason": more.pop("stop", "stop")}]}
    asked = [{"content": "be brief", "role": "system"}, {"content": f"{number}+1?", "role": "user"}]
    scores = {"match": {"value": value, "answer": text}}
    said = {"id": number, "epoch": epoch, "input": asked, "target": [str(number + 1)], "output": output}
    return {**said, "scores": scores, **more}


def test_logs_of_inspect_ai_are_read_in_both_forms(tmp_path: Path) -> None:
    samples = [sample(i, epoch, f"{i + epoch}", "C" if epoch == 1 else "I") for epoch in (2, 1) for i in (1, 2)]
    samples.append(sample(3, 1, "", "I", error={"message": "no answer"}))
    samples.append(sample(1, 3, "9", "N", stop="max_tokens"))
    with zipfile.ZipFile(tmp_path / "log.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", "{}")
        for each in samples:
            archive.writestr(f"samples/{each['id']}_epoch_{each['epoch']}.json", json.dumps(each))
    (tmp_path / "log.json").write_text(json.dumps({"version": 2, "eval": {"model": "m"}, "samples": samples}))
    for name in ("log.eval", "log.json"):
        said: list[str] = []
        (found,) = read_policies([tmp_path / name], {}, NUMERIC, judge_here, None, said.append)
        assert verdicts(found) == {"1": ["correct", "wrong", "truncated"], "2": ["correct", "wrong"]}
        assert found.problems["1"].question == "1+1?" and found.problems["1"].disputed == 0
        assert "1 rows ended in an error and are missing" in said[0]
        (theirs,) = read_policies([tmp_path / name], {}, None, judge_here, None, said.append)
        assert verdicts(theirs) == verdicts(found)


def test_of_several_scorers_none_is_chosen(write: Callable[..., Path]) -> None:
    two = sample(1, 1, "2", "C", scores={"match": {"value": "C"}, "model": {"value": "I"}})
    file = write([two])
    with pytest.raises(DataError, match="row 1 has no score"):
        read(file)
    assert verdicts(read(file, grader=NUMERIC)) == {"1": ["correct"]}


@pytest.mark.parametrize("damage", ["torn", "empty", "text", "no object", "zstd", "deflated", "encrypted"])
def test_a_damaged_log_of_inspect_ai_is_said(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "log.eval"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if damage == "deflated" else zipfile.ZIP_STORED) as archive:
        content = {"text": "{", "no object": "[1]"}.get(damage, json.dumps(sample(1, 1, "2", "C")))
        archive.writestr("samples/1_epoch_1.json", content)
    whole = file.read_bytes()
    if damage == "zstd":  # the method stands in the local header and in the directory
        directory = whole.index(b"PK\x01\x02")
        whole = whole[:8] + b"\x5d\0" + whole[10 : directory + 10] + b"\x5d\0" + whole[directory + 12 :]
    if damage == "encrypted":  # a flag in both
        directory = whole.index(b"PK\x01\x02")
        whole = whole[:6] + b"\1" + whole[7 : directory + 8] + b"\1" + whole[directory + 9 :]
    if damage == "deflated":
        whole = whole[:60] + bytes(reversed(whole[60:90])) + whole[90:]
    file.write_bytes({"torn": whole[: len(whole) // 2], "empty": b""}.get(damage, whole))
    with pytest.raises(DataError, match=r"no whole log|expected an object|inspect log convert --to json"):
        read(file)


def test_details_of_lighteval_are_read(write: Callable[..., Path]) -> None:
    doc = {"id": "7", "query": "1+1?", "choices": ["2"], "gold_index": 0, "task_name": "lighteval|x|0"}
    row = {"doc": doc, "model_response": {"text": ["2", "3"], "output_tokens": [[1], [2]]}, "metric": {"maj": 1.0}}
    assert verdicts(read(write([row]), grader=NUMERIC)) == {"7": ["correct", "wrong"]}
    with pytest.raises(DataError, match="row 1 has no score"):
        read(write([row]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no row"),
        ('{"id": 1, "score": 1}\n{"id": 1, "sc', "row 2"),
        ('{"id": "p", "response": "a"}', "no score"),
    ],
)
def test_a_file_that_says_too_little_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "rows.jsonl")
    assert "rows.jsonl" in str(caught.value)


def test_a_pattern_names_files_in_order(write: Callable[..., Path], tmp_path: Path) -> None:
    files = [write([], f"seed{i}.jsonl") for i in (2, 1)]
    assert files_of(str(tmp_path / "seed*.jsonl")) == files[::-1] and files_of(str(files[0])) == files[:1]
    with pytest.raises(DataError, match="found no file"):
        files_of(str(tmp_path / "none*.jsonl"))


# two policies


def test_problems_are_matched_by_name_or_by_question(write: Callable[..., Path]) -> None:
    base = read(write([{"id": f"a{i}", "question": f"{i} + {i}?", "score": 1} for i in range(3)], "base.jsonl"))
    rows = [{"id": f"b{i}", "question": f" {i} +  {i}? ", "score": 0} for i in (2, 0, 1)]
    said: list[str] = []
    found = paired(base, read(write(rows, "rl.jsonl")), said.append)
    assert list(found.problems) == ["a0", "a1", "a2"] and "3 problems have other names in rl" in said[0]
    with pytest.raises(
        DataError, match=r"3 and 2 problems, 2 of them the same.*1 of the first and 0 of the second.*'a1'"
    ):
        paired(base, read(write(rows[:2], "fewer.jsonl")), quiet)
    with pytest.raises(DataError, match="hold the same samples"):
        paired(
            base,
            read(write([{"id": f"a{i}", "question": f"{i} + {i}?", "score": 1} for i in range(3)], "x.jsonl")),
            quiet,
        )


def test_equal_names_of_other_problems_are_seen(write: Callable[..., Path]) -> None:
    def policy(name: str, **columns: Sequence[str]) -> StoredPolicy:
        rows = [{"id": i, "response": f"{name}{i}", "score": 0} for i in range(3)]
        for column, values in columns.items():
            rows = [row | {column: value} for row, value in zip(rows, values, strict=True)]
        return read(write(rows, f"{name}.jsonl"))

    with pytest.raises(DataError, match=r"other questions .2 of 3, such as '0'.*two benchmarks"):
        paired(policy("a", question="123"), policy("b", question="213"), quiet)
    with pytest.raises(DataError, match=r"other reference answers .2 of 3, such as '1'"):
        paired(policy("a", gold="123"), policy("b", gold="145"), quiet)
    assert paired(policy("a", gold="123"), policy("b", gold=["1", "2", "3.0"]), quiet).problems.keys() == {
        "0",
        "1",
        "2",
    }
    assert paired(policy("a", question="123"), policy("b", gold="145"), quiet)


def test_one_file_can_hold_two_policies(write: Callable[..., Path]) -> None:
    rows = [{"id": "p", "policy": name, "n": n, "correct": 3} for name, n in (("base", 8), ("rl", 4), ("other", 4))]
    policies = read_policies([write(rows)], {}, None, judge_here, None, quiet)
    assert [each.name for each in chosen_of(policies, "rl, other")] == ["rl", "other"]
    assert [each.problems["p"].counts for each in chosen_of(policies[:2], None)] == [(8, 3), (4, 3)]
    with pytest.raises(StudyError, match="found the policies base, rl, other, expected one, or a base and another"):
        chosen_of(policies, None)
    with pytest.raises(StudyError, match="no policy 'lr' in the files"):
        chosen_of(policies, "base,lr")


def test_verdicts_are_counted(write: Callable[..., Path]) -> None:
    found = read(write([{"id": "p", "score": score, "response": str(score)} for score in (1, 0, 0)]))
    assert found.verdicts == {Verdict.CORRECT: 1, Verdict.WRONG: 2} and found.graded is None
