"""docs/models.md says what the torch engine and the reference trainer make of every architecture of transformers."""

from __future__ import annotations

import architectures
import pytest
from architectures import COMMAND, LARGER, LIMIT, PAGE, documented, names, row_of

SAID = documented(PAGE.read_text(encoding="utf-8"))
#: What studies are made of, and one of each outcome: no cache, a cache that fails, a recurrence, no decoder.
DOZEN = ["bloom", "gemma2", "gpt2", "llama", "mamba", "mistral", "mixtral", "phi3", "qwen2", "qwen3", "qwen3_next"]
DOZEN += ["roberta", "rwkv", "xlnet"]


def check(name: str) -> None:
    """Compare a model type with its row of the page."""
    import transformers

    architectures.quiet()
    row = row_of(name)
    found = f"{row.decoder}, {row.difference} nats in the engine, {row.trainer} in the trainer, {row.reason}"
    sizes = [size for size in (row.difference, row.trainer) if isinstance(size, float)]
    limit = LARGER.get(name, LIMIT)
    assert row.decoder == SAID.get(name) and all(size < limit for size in sizes), (
        f"{name}: docs/models.md says {SAID.get(name)!r} (differences below {limit} nats), found {found}, with "
        f"transformers {transformers.__version__}. If that is right, write the tables anew: {COMMAND}"
    )


@pytest.mark.parametrize("name", DOZEN)
def test_an_architecture_is_decoded_and_trained_as_the_page_says(name: str) -> None:
    check(name)


@pytest.mark.architectures
@pytest.mark.parametrize("name", sorted(set(SAID) - set(DOZEN)))
def test_every_architecture_is_decoded_and_trained_as_the_page_says(name: str) -> None:
    check(name)


@pytest.mark.architectures
def test_the_page_has_every_architecture() -> None:
    missing, gone = sorted(set(names()) - set(SAID)), sorted(set(SAID) - set(names()))
    assert not missing and not gone, f"not in docs/models.md: {missing}; there and not known: {gone}; {COMMAND}"


def test_a_difference_between_page_and_model_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SAID, "gpt2", "fast")
    with pytest.raises(AssertionError, match=r"gpt2: .* says 'fast'.*found plain, .*transformers 5.*--write"):
        check("gpt2")
