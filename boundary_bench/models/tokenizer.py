"""Tokenizers of model folders, read as transformers reads them."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from boundary_bench.core.errors import ModelError


def load_tokenizer(folder: Path) -> Tokenizer:
    """The fast tokenizer of a model folder.

    Truncation and padding that are stored in the file are switched off, as transformers does for every call that asks
    for neither: ``save_pretrained`` stores what the last call before it asked for.

    Raises:
        ModelError: tokenizer.json is missing or unreadable.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelError(f"{folder} has no tokenizer.json; save the tokenizer beside the model (save_pretrained)")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as fault:  # the tokenizers library raises bare Exception
        raise ModelError(f"{file} is not a tokenizer: {fault}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
