"""Tokenizers of model folders, read as transformers reads them, and the text of a response."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from boundary_bench.core.errors import ModelError

#: Stands in a text for a token that is none: Unicode's replacement character, as for bytes that are no character.
MARK = "\N{REPLACEMENT CHARACTER}"


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


def shown(tokenizer: Tokenizer, rows: Sequence[Sequence[int]], ended: Sequence[bool]) -> list[str]:
    """The text of responses, with ``MARK`` where a special token stood or one that the tokenizer does not know.

    Left out, they would join what they divide: ``4<pad>2`` would read 42.

    Args:
        ended: whether each response ends with an EOS token, which stands in its text only if it is an ordinary one.
    """
    special = {token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special}
    rows = [row[:-1] if end and row[-1] in special else row for row, end in zip(rows, ended, strict=True)]
    used = set().union(*rows)
    hidden = {token for token in used if token in special or tokenizer.id_to_token(token) is None}
    if not hidden:
        return tokenizer.decode_batch(rows, skip_special_tokens=True)
    pieces: list[list[int]] = []
    last = []
    for row in rows:
        pieces.append([])
        for token in row:
            if token in hidden:
                pieces.append([])
            else:
                pieces[-1].append(token)
        last.append(len(pieces))
    texts = tokenizer.decode_batch(pieces, skip_special_tokens=True)
    return [MARK.join(texts[first:stop]) for first, stop in zip([0, *last], last, strict=False)]
