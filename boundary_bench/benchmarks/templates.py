r"""Prompt templates: what is written around a question, as data. The text is part of what samples depend on.

Base and trained policies of a model share one. ``simple`` and ``qwen-boxed`` are the wordings of SimpleRL-Zoo and of
the Qwen2.5-Math evaluation, which the published pass@k curves use.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from boundary_bench.core.errors import ModelError, StudyError, did_you_mean
from boundary_bench.core.provenance import file_sha256, fingerprint

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
QUESTION = "{question}"
#: The day that a chat template is told where it asks for today's, as Llama's do; their own default.
TODAY = date(2024, 7, 26)


@dataclass(frozen=True)
class Template:
    """A prompt text with ``{question}`` in it, once.

    Attributes:
        chat: the text is what a user says; the tokenizer's own chat template makes the prompt of it.
    """

    name: str
    text: str
    chat: bool = False

    @property
    def settings(self) -> list[str]:
        """The name, and the hash of all else: what samples depend on."""
        return [self.name, fingerprint([self.text, self.chat and str(TODAY)])]


TEMPLATES = {
    template.name: template
    for template in (
        Template("raw", QUESTION),
        Template("simple", f"Question:\n{QUESTION}\nAnswer:\nLet's think step by step.\n"),
        Template(
            "qwen-boxed",
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            f"<|im_start|>user\n{QUESTION}\n{INSTRUCTION}<|im_end|>\n<|im_start|>assistant\n",
        ),
        Template("chat", f"{QUESTION}\n{INSTRUCTION}", chat=True),
    )
}


def template_of(name: str, where: str) -> Template:
    """The template of that name.

    Raises:
        StudyError: there is none.
    """
    if name not in TEMPLATES:
        raise StudyError(f"{where}: {name!r} is no prompt template; {did_you_mean(name, TEMPLATES)}")
    return TEMPLATES[name]


def load_chat_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder with its chat template, for ``apply``."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as fault:
        if "trust_remote_code" in str(fault):
            raise ModelError(
                f"{folder}: the tokenizer needs code that tokenizer_config.json names (auto_map), which is never run; "
                "expected a tokenizer_class of transformers: save it as a PreTrainedTokenizerFast, or choose another "
                "template than chat"
            ) from None
        raise ModelError(f"{folder}: the tokenizer cannot be loaded ({fault}); save it beside the model") from None
    if not tokenizer.chat_template:
        raise ModelError(
            f"{folder}: the tokenizer has no chat template, which the prompt template chat needs; "
            f"choose another one: {', '.join(name for name in TEMPLATES if name != 'chat')}"
        )
    return tokenizer


@dataclass(frozen=True)
class Prompting:
    """How questions become token ids: a template, and the tokenizer that knows a model's own chat template."""

    template: Template = TEMPLATES["raw"]
    chat: Any = None

    def identity(self, folder: Path) -> str:
        """A hash of what makes token ids of a question, besides the template: tokenizer and chat template."""
        return fingerprint([file_sha256(folder / "tokenizer.json"), self.chat and self.chat.chat_template])

    def ids(self, tokenizer: Any, question: str) -> list[int]:
        """The prompt of a question, by the fast tokenizer of the model's folder.

        A chat template writes the beginning token itself, so that the tokenizer must not add it again.
        """
        text = apply(self.template, question, self.chat)
        return tokenizer.encode(text, add_special_tokens=not self.template.chat).ids


#: Questions as they are.
RAW = Prompting()


def prompting(template: Template, folder: Path) -> Prompting:
    """How questions are put to the model in a folder.

    Raises:
        ModelError: see ``load_chat_tokenizer``.
    """
    return Prompting(template, load_chat_tokenizer(folder) if template.chat else None)


def apply(template: Template, question: str, tokenizer: Any = None) -> str:
    """The prompt text of a question.

    A chat template is text of the model folder, rendered by transformers in a sandbox; its today is ``TODAY``.

    Args:
        tokenizer: what ``load_chat_tokenizer`` returned; only for templates with ``chat``.

    Raises:
        ModelError: the tokenizer's chat template does not render.

    >>> apply(TEMPLATES["raw"], "3852=27:")
    '3852=27:'
    """
    text = template.text.replace(QUESTION, question)
    if not template.chat:
        return text
    from jinja2 import TemplateError

    try:
        messages = [{"role": "user", "content": text}]
        chat = _with_a_fixed_day(tokenizer.get_chat_template())
        return tokenizer.apply_chat_template(messages, chat_template=chat, tokenize=False, add_generation_prompt=True)
    except (TemplateError, TypeError, ValueError) as fault:
        raise ModelError(f"the tokenizer's chat template does not render ({fault}); choose another template") from None


def _with_a_fixed_day(chat: str) -> str:
    """A chat template whose ``strftime_now`` is of ``TODAY``; a template that does not ask stays as it is.

    A macro, since transformers hands no function of ours to a template.
    """
    if "strftime_now" not in chat:
        return chat
    codes = "".join(f"|replace('%{code}', '{TODAY.strftime('%' + code)}')" for code in "aAbBdHIjmMpSyY")
    return f"{{% macro strftime_now(format) %}}{{{{ format{codes} }}}}{{% endmacro %}}{chat}"
