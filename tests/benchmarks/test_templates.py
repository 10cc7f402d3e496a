"""Prompt templates: what a policy is given, and when the choice is part of what samples depend on."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from boundary_bench.benchmarks import templates
from boundary_bench.benchmarks.problem_sets import TRAINING_SET
from boundary_bench.benchmarks.templates import TEMPLATES, Template, apply, load_chat_tokenizer, prompting
from boundary_bench.core.errors import ModelError, StudyError
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.stages import settings
from boundary_bench.training.pretrain import character_tokenizer

CHAT = (
    "{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


def tokenizer_folder(folder: Path, chat: str | None) -> Path:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=character_tokenizer(), eos_token="</s>")
    tokenizer.chat_template = chat
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "question", ["3852=27:", "What is $\\frac{1}{2}$ {of} 3%?", "{question}", "a\n\nb", "{{ 7*7 }}"]
)
def test_a_question_stands_in_its_prompt_as_it_is(question: str, tmp_path: Path) -> None:
    assert apply(TEMPLATES["raw"], question) == question
    assert apply(TEMPLATES["simple"], question) == f"Question:\n{question}\nAnswer:\nLet's think step by step.\n"
    assert apply(TEMPLATES["qwen-boxed"], question) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        f"{question}\nPlease reason step by step, and put your final answer within \\boxed{{}}.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    tokenizer = load_chat_tokenizer(tokenizer_folder(tmp_path, CHAT))
    assert apply(TEMPLATES["chat"], question, tokenizer) == (
        f"[user] {question}\nPlease reason step by step, and put your final answer within \\boxed{{}}.\n[assistant] "
    )


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no chat template.*choose another one: raw, simple, qwen-boxed"):
        load_chat_tokenizer(tokenizer_folder(tmp_path, None))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_chat_tokenizer(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "chat", ["{% for", "{{ messages.nothing.at.all }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}"]
)
def test_a_chat_template_that_is_broken_or_hostile_does_not_run(chat: str, tmp_path: Path) -> None:
    tokenizer = load_chat_tokenizer(tokenizer_folder(tmp_path, chat))
    with pytest.raises(ModelError, match="does not render"):
        apply(TEMPLATES["chat"], "q", tokenizer)


def test_a_chat_template_that_writes_the_date_writes_the_same_one_every_day(tmp_path: Path) -> None:
    """As Llama 3.2's does; else prompts would change from day to day within one store."""
    asks = "{%- if strftime_now is defined %}{%- set day = strftime_now('%d %b %Y') %}{%- endif %}"
    told = " Today: {{ day }} ({{ strftime_now('%Y-%m-%d, %B') }})\n"
    tokenizer = load_chat_tokenizer(tokenizer_folder(tmp_path, asks + told + CHAT))
    assert apply(TEMPLATES["chat"], "q", tokenizer).startswith(" Today: 26 Jul 2024 (2024-07-26, July)\n[user] q\n")


def test_the_date_is_identity_of_prompts_that_may_hold_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: template.settings for name, template in TEMPLATES.items()}
    monkeypatch.setattr(templates, "TODAY", date(2031, 1, 1))
    assert [name for name, template in TEMPLATES.items() if template.settings != before[name]] == ["chat"]


def test_prompts_are_encoded_with_one_beginning_token(tmp_path: Path) -> None:
    from tokenizers import processors

    from boundary_bench.models.tokenizer import load_tokenizer

    begin = ("</s>", 1)
    chat = "</s>{% for message in messages %}{{ message['content'][:3] }}{% endfor %}"
    folder = tokenizer_folder(tmp_path, chat)
    tokenizer = load_tokenizer(folder)
    tokenizer.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[begin])
    assert prompting(TEMPLATES["raw"], folder).ids(tokenizer, "1+2") == [1, 3, 12, 4]
    assert prompting(TEMPLATES["chat"], folder).ids(tokenizer, "1+2") == [1, 3, 12, 4]
    assert prompting(TEMPLATES["simple"], folder).ids(tokenizer, "1+2")[0] == 1
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        prompting(TEMPLATES["chat"], folder)


def test_every_template_holds_the_question_once_and_has_settings_of_its_own() -> None:
    assert all(template.text.count("{question}") == 1 for template in TEMPLATES.values())
    assert len({tuple(template.settings) for template in TEMPLATES.values()}) == len(TEMPLATES)
    assert Template("raw", "{question} ").settings != TEMPLATES["raw"].settings


def plan(tmp_path: Path, model: dict[str, Any] | None = None, training: Any = None, benchmark: Any = None) -> Plan:
    smoke = yaml.safe_load(Path("workflows/studies/smoke.yaml").read_text())
    smoke["models"]["countdown-base"].update(model or {})
    smoke["models"]["other"] = smoke["models"]["countdown-base"] | {"template": None}
    smoke["training"].update(training or {})
    smoke["benchmarks"]["countdown"].update(benchmark or {})
    smoke["benchmarks"]["gsm8k"] = {"data": "gsm8k.jsonl"}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(smoke))
    return make_plan(str(path))


def test_the_study_chooses_and_base_and_trained_policies_share(tmp_path: Path) -> None:
    found = plan(tmp_path)
    assert found.template("other", "countdown").name == "raw" and found.template("other", "gsm8k").name == "qwen-boxed"
    found = plan(tmp_path, {"template": "simple"}, {"template": "qwen-boxed"}, {"template": "chat"})
    names = ("countdown", "gsm8k", TRAINING_SET)
    assert [found.template("countdown-base", name).name for name in names] == ["simple"] * 3
    assert [found.template("other", name).name for name in names] == ["chat", "qwen-boxed", "qwen-boxed"]


def test_a_template_is_identity_of_samples_and_runs_and_of_nothing_else(tmp_path: Path) -> None:
    def found(**changes: Any) -> tuple[Any, ...]:
        chosen = plan(tmp_path, **changes)
        run = next(run for run in chosen.runs if run.model == "countdown-base")
        return (
            settings(chosen, "sample", "countdown-base", "countdown", 1),
            settings(chosen, "train", run.name, 2),
            settings(chosen, "sample", "other", "countdown", 1),
            settings(chosen, "prepare", "countdown"),
            settings(chosen, "pretrain", "countdown-base"),
        )

    raw = found()
    assert "template" not in raw[0] and "template" not in raw[1]
    assert found(model={"template": "raw"}, training={"template": "raw"}, benchmark={"template": "raw"}) == raw
    changed = found(model={"template": "simple"})
    assert changed[0]["template"] == TEMPLATES["simple"].settings == changed[1]["template"]
    assert changed[2:] == raw[2:]
    sampled = found(benchmark={"template": "simple"})
    assert sampled[0] == changed[0] and sampled[1] == raw[1] and sampled[2] != raw[2] and sampled[3:] == raw[3:]
    trained = found(training={"template": "simple"})
    assert trained[1] == changed[1] and trained[0] == raw[0]


@pytest.mark.parametrize("change", ["model", "training", "benchmark"])
def test_an_unknown_template_is_refused_at_once(tmp_path: Path, change: str) -> None:
    with pytest.raises(StudyError, match=r"'qwen-box' is no prompt template; did you mean 'qwen-boxed'"):
        plan(tmp_path, **{change: {"template": "qwen-box"}})
