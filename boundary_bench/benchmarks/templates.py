r"""Prompt templates: the text around a question, as data. Samples depend on the text.

Base and trained policies of a model share a template. ``simple`` and ``qwen-boxed`` are the wordings of SimpleRL-Zoo
and of the Qwen2.5-Math evaluation, which the published pass@k curves use.
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
#: Of the chat templates of Qwen and SmolLM, Llama, Gemma, Phi, and DeepSeek.
ENDS_OF_TURNS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<｜end▁of▁sentence｜>")
#: The date for chat templates that use today's, as Llama's do; Llama's own default.
TODAY = date(2024, 7, 26)


@dataclass(frozen=True)
class Template:
    """A prompt text that contains ``{question}`` once.

    Attributes:
        chat: whether the text is a user's message, from which the tokenizer's own chat template makes the prompt.
        stop: strings with which a response begins another question, for benchmarks that ask for ``stop: template``.
    """

    name: str
    text: str
    chat: bool = False
    stop: tuple[str, ...] = ()

    @property
    def settings(self) -> list[str]:
        """The name and the hash of the prompt, on which samples depend."""
        return [self.name, fingerprint([self.text, self.chat and str(TODAY)])]


TEMPLATES = {
    template.name: template
    for template in (
        Template("raw", QUESTION),
        Template("simple", f"Question:\n{QUESTION}\nAnswer:\nLet's think step by step.\n", stop=("\nQuestion:",)),
        Template(
            "qwen-boxed",
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            f"<|im_start|>user\n{QUESTION}\n{INSTRUCTION}<|im_end|>\n<|im_start|>assistant\n",
            stop=("<|im_end|>", "<|im_start|>"),
        ),
        Template("chat", f"{QUESTION}\n{INSTRUCTION}", chat=True, stop=ENDS_OF_TURNS),
    )
}


def template_of(name: str, where: str) -> Template:
    """The template ``name``.

    Raises:
        StudyError: there is no such template.
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
    """How questions become token ids: a template, and for ``chat`` the tokenizer with a model's own chat template."""

    template: Template = TEMPLATES["raw"]
    chat: Any = None

    def identity(self, folder: Path) -> str:
        """A hash of tokenizer and chat template, on which token ids depend besides the template."""
        return fingerprint([file_sha256(folder / "tokenizer.json"), self.chat and self.chat.chat_template])

    def ids(self, tokenizer: Any, question: str) -> list[int]:
        """The token ids of a question's prompt, by the fast tokenizer of the model's folder.

        A chat template writes the BOS token itself, so that the tokenizer must not add it again.
        """
        text = apply(self.template, question, self.chat)
        return tokenizer.encode(text, add_special_tokens=not self.template.chat).ids


#: Questions unchanged.
RAW = Prompting()


def prompting(template: Template, folder: Path) -> Prompting:
    """The prompting of the model in a folder.

    Raises:
        ModelError: a chat template is needed, but there is none or the tokenizer cannot be loaded.
    """
    return Prompting(template, load_chat_tokenizer(folder) if template.chat else None)


def apply(template: Template, question: str, tokenizer: Any = None) -> str:
    """The prompt text of a question.

    A chat template is text of the model folder, rendered by transformers in a sandbox with ``TODAY`` as the date.

    Args:
        tokenizer: from ``load_chat_tokenizer``; only for templates with ``chat``.

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
    """A chat template with ``strftime_now`` fixed to ``TODAY``; a template without it stays unchanged.

    It is a macro, since transformers passes no function of ours to a template.
    """
    if "strftime_now" not in chat:
        return chat
    codes = "".join(f"|replace('%{code}', '{TODAY.strftime('%' + code)}')" for code in "aAbBdHIjmMpSyY")
    return f"{{% macro strftime_now(format) %}}{{{{ format{codes} }}}}{{% endmacro %}}{chat}"
