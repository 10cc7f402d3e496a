"""Multiple choice in its usual forms: the options of a row, and the right one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from boundary_bench.benchmarks.answers import Row, listed, written
from boundary_bench.benchmarks.base import NoReference

LETTERS = "ABCDEFGHIJ"  # as in the grader ``choice``
LETTER = re.compile(r"\(?([A-Za-z])\)?[.:]?")
INDEX = re.compile(r"[0-9]{1,3}(?:\.0+)?")


@dataclass(frozen=True)
class Choices:
    """The options of a question, in order.

    Attributes:
        texts: with None at a place without an option.
        labels: names of the options, if the row gives them.
    """

    texts: list[str | None]
    labels: list[str] | None

    @property
    def there(self) -> list[int]:
        """The places with an option."""
        return [place for place, text in enumerate(self.texts) if text is not None]


def options_in(row: Row, name: str, none: tuple[str, ...] = ()) -> Choices | None:
    """The options in a column: a list of texts, two lists (text, label), a list of objects with these, or a mapping of
    letters to texts; None if the row has none.

    Args:
        none: texts that mark the absence of an option.
    """
    value = row.get(name)
    if value in (None, "", [], {}):
        return None
    labels: Any = None
    texts = value["text"] if isinstance(value, dict) and isinstance(value.get("text"), list) else listed(value)
    if isinstance(value, dict):
        labels = value.get("label") if texts is not None else list(value)
        texts = texts if texts is not None else list(value.values())
    elif texts is not None and all(isinstance(each, dict) and "text" in each for each in texts):
        labels = [each["label"] for each in texts] if all("label" in each for each in texts) else None
        texts = [each["text"] for each in texts]
    wrong = f'{name}: found {value!r:.80}, expected a list of texts, in a CSV file as JSON: ["...", "..."]'
    if texts is None or not (labels is None or (isinstance(labels, list) and len(labels) == len(texts))):
        raise ValueError(wrong)
    try:
        found = Choices([_option(each, none) for each in texts], labels and [written(each) for each in labels])
    except ValueError:
        raise ValueError(wrong) from None
    if not 2 <= len(found.there) <= len(LETTERS):
        raise ValueError(f"{name}: found {len(found.there)} options, expected 2 to {len(LETTERS)}")
    if found.labels and len(set(found.labels)) < len(found.labels):
        raise ValueError(f"{name}: found the labels {found.labels}, expected each once")
    return found


def _option(value: Any, none: tuple[str, ...]) -> str | None:
    text = written(value)
    return None if not text or text in none else text


def letter(row: Row, names: tuple[str, ...], options: Choices | None) -> str:
    """The letter of the right option, counting only existing options, as the prompt does.

    Args:
        names: columns; the first that names the right option counts.
        options: None if the question contains them; then the column must hold a letter.
    """
    for name in names:
        value = row.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        if options is None:
            match = LETTER.fullmatch(written(value)) if isinstance(value, str) else None
            if match is None or match[1].upper() not in LETTERS:
                raise ValueError(f"{name}: found {value!r:.80} and no options, expected a letter, or options")
            return match[1].upper()
        places = [place for place in _places(value, options, by_index="index" in name) if place in options.there]
        if len(places) != 1:
            known = ", ".join(options.labels or LETTERS[: len(options.texts)])
            found = "meant by it: " + (", ".join(f"option {place + 1}" for place in places) or "none of the options")
            raise ValueError(
                f"{name}: found {value!r:.80}, {found}; expected one of {known}, an index from 0 to "
                f"{len(options.texts) - 1}, or the text of one option"
            )
        return LETTERS[options.there.index(places[0])]
    raise NoReference(f"no answer in {' or '.join(names)}")


def _places(value: Any, options: Choices, *, by_index: bool) -> list[int]:
    """The places that a label, a letter, an index or a text may mean; one of the row's own labels is unambiguous.

    Args:
        by_index: whether the column holds indices, which CSV files write as text.
    """
    count, labels = len(options.texts), options.labels or list(LETTERS)
    try:
        text = written(value)
    except ValueError:
        return []
    index = [int(float(text))] if INDEX.fullmatch(text) and float(text) < count else []
    if by_index and index:
        return index
    if options.labels and text in options.labels:
        return [options.labels.index(text)]
    if not isinstance(value, str):
        return index
    found = {place for place, option in enumerate(options.texts) if option == text}
    match = LETTER.fullmatch(text)
    if match and match[1].upper() in labels[:count]:
        found.add(labels.index(match[1].upper()))
    return sorted(found) or index
