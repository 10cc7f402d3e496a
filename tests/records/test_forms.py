"""The rows of harnesses in the form of their writers: what each says, and its traps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_files import Row, Write, read, read_or_refused, verdicts

from boundary_bench.core.errors import DataError
from boundary_bench.grading import judge_here
from boundary_bench.grading.graders import GRADERS
from boundary_bench.records.forms import Notes, plain
from boundary_bench.records.harnesses import files_of
from boundary_bench.sampling.stored.policy import paired, read_policies

NUMERIC = GRADERS["numeric"]

# the batch interface of OpenAI and vLLM


def batch(custom_id: str, *texts: Any, finish: str = "stop", **more: Any) -> Row:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": finish}
        for i, text in enumerate(texts)
    ]
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": choices, "usage": {}}
    response = {"status_code": 200, "request_id": "req-1", "body": body}
    return {"id": f"vllm-{custom_id}", "custom_id": custom_id, "response": response, "error": None, **more}


def test_lines_of_a_batch_are_samples_in_any_order(write: Write) -> None:
    file = write(
        [batch("p0#2", "#### 3", gold="2"), batch("p1#0", "#### 5", gold="5"), batch("p0#0", "#### 2", gold="2")]
    )
    found = read(file, grader=NUMERIC)
    assert verdicts(found) == {"p0": "cw", "p1": "c"} and list(found.problems["p0"].verdicts) == [2, 0]
    with pytest.raises(DataError, match="found sample 0 of problem 'p0' again"):
        read(write([batch("p0#0", "#### 2", gold="2")] * 2), grader=NUMERIC)


def test_the_choices_of_a_request_are_samples_too(write: Write) -> None:
    backwards = batch("p#1", "#### 1", "#### 2", gold="2")
    backwards["response"]["body"]["choices"].reverse()
    text = batch("q#0", gold="7")
    text["response"]["body"]["choices"] = [
        {"index": i, "text": f"#### {7 + i}", "finish_reason": "stop"} for i in (0, 1)
    ]
    found = read(write([backwards, text, batch("a-b-12", "#### 2", "#### 2.0", gold="2")]), grader=NUMERIC)
    assert verdicts(found) == {"p": "wc", "q": "cw", "a-b-12": "cc"}
    assert sorted(found.problems["p"].verdicts) == [2, 3]


def test_errors_of_a_batch_are_missing_and_said(write: Write) -> None:
    none = batch("p#1") | {"response": None, "error": {"code": "batch_expired", "message": "late"}}
    refused = batch("p#2") | {
        "response": {"status_code": 400, "request_id": "", "body": {"error": {"message": "long"}}}
    }
    said: list[str] = []
    found = read(write([batch("p#0", "#### 2", gold="2"), none, refused]), grader=NUMERIC, said=said)
    assert verdicts(found) == {"p": "c"} and "2 rows ended in an error and are missing" in said[0]


def test_a_response_of_a_batch_may_be_cut_off_or_empty(write: Write) -> None:
    rows = [batch("p#0", None, finish="length", gold="2"), batch("p#1", None, gold="2")]
    rows.append(batch("p#2", [{"type": "text", "text": "#### 2"}], gold="2"))
    assert verdicts(read(write(rows), grader=NUMERIC)) == {"p": "tuc"}


def test_a_batch_without_indices_or_without_gold_is_said(write: Write) -> None:
    said: list[str] = []
    found = read(write([batch(f"gsm8k-12-{i}", f"#### {i}", gold="1") for i in range(3)]), grader=NUMERIC, said=said)
    assert len(found.problems) == 3 and "3 rows have a custom_id without #INDEX at its end" in said[0]
    with pytest.raises(DataError, match=r"row 1 has no reference answer \(gold\), expected one to grade"):
        read(write([batch("p#0", "#### 2")]), grader=NUMERIC)


# evalscope


def asked(text: Any) -> list[Row]:
    return [{"id": "1", "content": "be brief", "role": "system"}, {"id": "2", "content": text, "role": "user"}]


def prediction(index: int, question: Any, text: str, stop: str = "stop", error: str | None = None) -> Row:
    message = {"id": "3", "content": text, "source": "generate", "role": "assistant", "tool_calls": None}
    output = {"id": "c", "model": "m", "choices": [{"message": message, "stop_reason": stop, "logprobs": None}]}
    return {
        "index": index,
        "model": "m",
        "model_output": {**output, "usage": None, "time": 1.0, "metadata": None, "error": error},
        "messages": [*asked(question), message],
        "metadata": {},
    }


def review(index: int, group: int | None, text: str, value: Row, target: str = "2", **more: Any) -> Row:
    score = {"value": value, "extracted_prediction": text[-1], "prediction": text, "main_score_name": None, **more}
    sample = {"score": score, "sample_id": index, "group_id": group, "sample_metadata": {}}
    messages = [*asked(f"question {group}"), {"content": text, "role": "assistant"}]
    return {"index": index, "target": target, "messages": messages, "sample_score": sample}


def test_reviews_of_evalscope_have_the_scores(write: Write) -> None:
    # an index counts samples, 2 of each problem here, and threads write in any order
    rows = [review(i, i // 2, f"#### {i}", {"acc": float(i in (0, 2))}) for i in (2, 0, 3, 1)]
    file = write(rows)
    assert verdicts(read(file)) == {"1": "cw", "0": "cw"} and read(file).problems["1"].question == "question 1"
    graded = read(file, grader=NUMERIC)
    assert verdicts(graded) == {"1": "cw", "0": "ww"} and graded.problems["0"].disputed == 1
    rows[1]["sample_score"]["generation_index"] = 1  # newer versions number the samples of a problem
    assert list(read(write(rows[1:2])).problems["0"].verdicts) == [1]
    del rows[1]["sample_score"]["generation_index"]
    with pytest.raises(DataError, match="found sample 2 of problem '1' again"):
        read(write([*rows, rows[0]]))


def test_a_score_of_evalscope_is_the_main_one_or_the_only_one(write: Write) -> None:
    def score(value: Row, **more: Any) -> Any:
        return (plain(review(0, None, "a", value, **more), Notes()) or {})["score"]

    assert score({"acc": 1.0, "f1": 0.5}) == 1.0 and score({"f1": 0.5}) == 0.5
    assert score({"acc": 1.0, "f1": 0.5}, main_score_name="f1") == 0.5
    assert score({"f1": 1, "em": 1}) is None and score({"f1": 1}, main_score_name="em") is None


def test_predictions_of_evalscope_are_samples_of_their_question(write: Write) -> None:
    rows = [prediction(0, "1+1?", "#### 2"), prediction(1, "1+1?", "#### 2", stop="max_tokens")]
    rows += [prediction(2, [{"type": "text", "text": "2+2?"}], "#### 4"), prediction(3, "2+2?", "", error="429")]
    said: list[str] = []
    found = read(write([row | {"gold": "2"} for row in rows]), grader=NUMERIC, said=said)
    assert verdicts(found) == {"1+1?": "ct", "2+2?": "w"} and "1 rows ended in an error" in said[0]
    with pytest.raises(DataError, match="row 1 has no score"):
        read(write(rows[:2]))


# trainers: verl and TRL


def verl(step: int, question: str, text: str, score: float, gts: Any = "2", **more: Any) -> Row:
    asked = f"system\nbe brief\nuser\n{question}\nassistant\n"
    return {"input": asked, "output": text, "gts": gts, "score": score, "step": step, "reward": score, **more}


def validation(step: int) -> list[Row]:
    return [verl(step, q, f"{step} {q} {i}: #### {2 + i}", float(i == 0)) for q in ("1+1?", "4-2?") for i in range(2)]


def test_two_steps_of_a_verl_validation_are_compared(write: Write) -> None:
    base, later = read(write(validation(0), "0.jsonl")), read(write(validation(200)[::-1], "200.jsonl"))
    found = paired(base, later, print)
    assert list(found.problems) == list(base.problems) and len(base.problems) == 2
    assert (base.name, found.name) == ("0", "200") and set(verdicts(base).values()) == {"cw"}
    assert set(verdicts(read(write(validation(0)), grader=NUMERIC)).values()) == {"cw"}


def test_several_steps_are_no_policy_but_can_be_named(write: Write, tmp_path: Path) -> None:
    files = [write(validation(step), f"{step}.jsonl") for step in (0, 200)]
    with pytest.raises(
        DataError, match=r"200.jsonl: row 1: found step 200 after 0.*--columns policy=step --policies 0,200"
    ):
        read(*files)
    with pytest.raises(DataError, match="row 5: found step 200 after 0"):
        read(write(validation(0) + validation(200)))
    named = read_policies(files, {"policy": "step"}, None, judge_here, None, print)
    assert [policy.name for policy in named] == ["0", "200"]
    with pytest.raises(
        DataError, match=r"is a folder without YAML files, .*give a file in it, as that of a step, or a pattern"
    ):
        files_of(str(tmp_path))


def test_acc_of_verl_says_what_is_correct_and_else_a_rule_is_asked_for(write: Write) -> None:
    rows = [verl(5, "?", "a", 1.0, acc=True), verl(5, "?", "b", -1.0, acc=False), verl(5, "?", "c", 0.3, acc="False")]
    assert list(verdicts(read(write(rows))).values()) == ["cww"]
    for row in rows:
        del row["acc"]
    with pytest.raises(DataError, match=r"row 2: found the score -1, .*--correct-from 1 counts scores of 1 and more"):
        read(write(rows))


def test_a_gold_of_verl_that_is_an_object_is_no_answer_but_has_places(write: Write) -> None:
    file = write([verl(0, "?", "#### 98", 1, gts=json.dumps({"target": 98, "numbers": [44, 19, 35]}))])
    assert list(verdicts(read(file)).values()) == ["c"]
    with pytest.raises(
        DataError, match=r"no reference answer \(gold\), expected one to grade; --columns names its place"
    ):
        read(file, grader=NUMERIC)
    assert list(verdicts(read(file, grader=NUMERIC, places={"gold": "gts.target"})).values()) == ["c"]


def test_rollouts_of_training_are_refused_or_said(write: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows.jsonl: row 1: found rollouts of verl, .*trainer.validation_data_dir"):
        read(write([verl(5, "?", "a", 1, request_id="4bf9")]))
    said: list[str] = []
    row = verl(5, "?", "a", 1)
    del row["reward"]
    assert read(write([row]), said=said) and "1 rows have no reward, which verl's validations have" in said[0]
    columns = {"step": [5, 5], "prompt": ["?", "?"], "completion": ["a", "b"], "accuracy_reward": [1.0, 0.0]}
    for name, more in (("completions_00005.parquet", {}), ("mine.parquet", {"advantage": [1.0, -1.0]})):
        pq.write_table(pa.table(columns | more), tmp_path / name)
        with pytest.raises(DataError, match=rf"{name}.*found completions of TRL, .*sample the checkpoints"):
            read(tmp_path / name)


# Every Eval Ever


def instance(sample: str, text: Any, correct: bool, **more: Any) -> Row:
    """A row by instance_level_eval.schema.json 0.3.0, with all that it requires."""
    return {
        "schema_version": "0.3.0",
        "evaluation_id": "gsm8k/org_m/1750000000",
        "model_id": "org/m",
        "evaluation_name": "gsm8k",
        "evaluation_result_id": "gsm8k/exact",
        "sample_id": sample,
        "interaction_type": "single_turn",
        "input": {"raw": f"{sample}?", "reference": ["2"]},
        "output": {"raw": text if isinstance(text, list) else [text]},
        "answer_attribution": [],
        "evaluation": {"score": float(correct), "is_correct": correct},
        **more,
    }


def test_rows_of_every_eval_ever_are_samples_by_epoch(write: Write) -> None:
    rows = [instance("a", f"#### {i}", i == 2, metadata={"epoch": str(i), "stop_reason": "stop"}) for i in (2, 1)]
    rows.append(instance("b", "#### 2", True, metadata={"epoch": "1", "stop_reason": "max_tokens"}))
    file = write(rows, "x_samples.jsonl")
    assert verdicts(read(file)) == {"a": "wc", "b": "c"} and read(file).name == "org/m"
    assert verdicts(read(file, grader=NUMERIC)) == {"a": "wc", "b": "t"}


def test_a_sample_of_every_eval_ever_counts_once(write: Write) -> None:
    rows = [instance("a", "#### 2", True), instance("a", "#### 2", False, evaluation_result_id="gsm8k/strict")]
    rows += [
        instance("a", "#### 3", False),
        instance("b", "", False, error="429"),
        instance("c", ["#### 2", "#### 3"], True),
    ]
    said: list[str] = []
    found = read(write(rows), grader=NUMERIC, said=said)
    assert verdicts(found) == {"a": "cw", "c": "cw"} and found.problems["c"].compared == 0
    assert "1 rows repeat samples for other results" in said[0] and "1 rows ended in an error" in said[1]
    agent = instance("a", "", True) | {"output": None, "messages": [], "interaction_type": "agentic"}
    assert verdicts(read(write([agent]))) == {"a": "c"}


def test_a_record_of_every_eval_ever_has_no_samples(tmp_path: Path) -> None:
    record = {"schema_version": "0.3.0", "evaluation_id": "gsm8k/org_m/1", "evaluation_results": [{"score": 1}]}
    (tmp_path / "x.json").write_text(json.dumps(record, indent=1))
    with pytest.raises(DataError, match=r"found a record of Every Eval Ever with results alone, .*_samples.jsonl"):
        read(tmp_path / "x.json")


# any row

COLUMNS = [
    *("resps", "filter", "doc", "model_response", "epoch", "output", "custom_id", "response", "index", "model_output"),
    *("messages", "sample_score", "evaluation_id", "sample_id", "input", "evaluation", "evaluation_results", "error"),
    *("score", "step", "prompt", "completion", "advantage", "acc", "gts", "request_id", "metadata", "target"),
]
INNER = [
    "choices",
    "message",
    "content",
    "text",
    "role",
    "value",
    "score",
    "raw",
    "reference",
    "body",
    "index",
    "epoch",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "user", "p#1", '{"a": 1}']),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(INNER), each, max_size=4),
    max_leaves=12,
)
WHOLE = [
    batch("p#0", "a"),
    prediction(0, "?", "a"),
    review(0, 0, "a", {"acc": 1}),
    verl(0, "?", "a", 1),
    instance("a", "b", True),
]


@given(st.sampled_from(WHOLE), st.dictionaries(st.sampled_from(COLUMNS), VALUES, max_size=5), st.data())
def test_any_row_is_read_or_refused_with_a_reason(row: Row, changed: Row, data: st.DataObject) -> None:
    row = {**row, **changed}
    inner = [name for name, value in row.items() if isinstance(value, dict) and value]
    if inner:
        name = data.draw(st.sampled_from(inner))
        row[name] = {**row[name], data.draw(st.sampled_from(sorted(row[name]))): data.draw(VALUES)}
    read_or_refused(row)
