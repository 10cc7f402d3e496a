"""Rows in JSON: one a line, an array, or objects one after another in any layout.

Stricter than the standard reader, which keeps the last of two equal keys and reads NaN. After an invalid line reading
goes on with the next; an array that is not valid JSON ends the reading.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Any

from boundary_bench.core.errors import DataError
from boundary_bench.records.base import Record
from boundary_bench.records.texts import BOM, LONGEST_ROW, check_size, conversion, decoded, lines, unpacked

CHUNK = 2**16  # characters
LONGEST_NUMBER = 1_000  # digits
SPACE = re.compile(r"[ \t\n\r]*")
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
DEEP = "nested too deep"


class Written(float):
    """A number of a JSON text; ``str`` gives the text as written, with all its digits."""

    def __new__(cls, text: str) -> Written:
        found = super().__new__(cls, text)
        found.text = text
        return found

    text: str

    def __str__(self) -> str:
        return self.text


class Parser:
    """A JSON reader that reads on after refused content and lists it in ``faults``, which each reading clears."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_float=self._float, parse_int=self._int, parse_constant=self._constant
        )

    def value(self, text: str, start: int = 0) -> tuple[Any, int]:
        """The value that begins at ``start``, and its end; ValueError if there is none, or it is nested too deep."""
        self.faults.clear()
        try:
            found, end = self.decoder.raw_decode(text, start)
            if SURROGATE.search(text, start, end):
                json.dumps(found, ensure_ascii=False).encode()
            return found, end
        except UnicodeEncodeError:
            self.faults.append("half a surrogate pair (\\ud800 to \\udfff alone), which is no character; mend the text")
            return found, end
        except RecursionError:
            raise ValueError(DEEP) from None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            self.faults.append(f"the key {twice!r:.80} stands twice in an object; keep one")
        return found

    def _constant(self, name: str) -> None:
        self.faults.append(f"{name} is no JSON; write null, or the number as text")

    def _float(self, text: str) -> float:
        if len(text) > LONGEST_NUMBER or math.isinf(float(text)):
            self.faults.append(f"the number {text:.40} is larger than a number can be; write it as text, in quotes")
            return math.nan
        return Written(text)

    def _int(self, text: str) -> int:
        if len(text) > LONGEST_NUMBER:
            self.faults.append(f"a number of {len(text):,} digits; write it as text, in quotes")
            return 0
        return int(text)


def structured(value: Any) -> list[Any] | dict[str, Any] | None:
    """A list or object, also from JSON text as in a cell of a CSV file; None for other values."""
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        parser, text = Parser(), value.strip()
        try:
            value, end = parser.value(text)
        except ValueError:
            return None
        if parser.faults or end < len(text):
            return None
    return value if isinstance(value, list | dict) else None


def rows(path: Path) -> Iterator[Record]:
    """The rows of a JSON file; an invalid array, or invalid objects over several lines, raise DataError."""
    begun = _begins(path)
    if begun == b"[" or (begun == b"{" and _goes_over_lines(path)):
        yield from _stream(path, array=begun == b"[")
        return
    parser, number = Parser(), 0
    for place, line in enumerate(lines(path), 1):
        if line.strip():
            number += 1
            yield _line(parser, path, line, number, f"line {place}" if place != number else "")


def _begins(path: Path) -> bytes:
    """The first byte of a file after white space."""
    with unpacked(path) as content:
        head, size = content.read(CHUNK).removeprefix(BOM), CHUNK
        while head and not head.strip():
            check_size(path, size)
            head, size = content.read(CHUNK), size + CHUNK
        return head.lstrip()[:1]


def _goes_over_lines(path: Path) -> bool:
    """Whether the first value of a file spans several lines, or would if it were not torn."""
    with unpacked(path) as content:
        text = _Text(path, content)
        try:
            text.symbol()
            text.more()  # drops the text before the value
            text.value()
        except ValueError:
            return text.text.partition("\n")[0].rstrip().endswith(("{", "[", ",", ":"))
        return "\n" in text.text[: text.place]


def _line(parser: Parser, path: Path, line: bytes, number: int, place: str) -> Record:
    """The record of a line, with a fault if it is not one object."""
    try:
        text = decoded(path, line).strip()
        value, end = parser.value(text)
        if end < len(text):
            mend = f"; run: sed 's/,[[:space:]]*$//' {quote(str(path))} > {quote('rows-' + path.name)}"
            raise ValueError(
                f"found {text[end:]!r:.40} after the row, expected one row a line{mend if text[end:] == ',' else ''}"
            )
    except json.JSONDecodeError as fault:
        hint = "; CSV files must end in .csv, tab-separated ones in .tsv" if fault.pos == 0 else ""
        return Record(number, None, place, _words(fault) + hint)
    except ValueError as fault:
        return Record(number, None, place, str(fault))
    return _record(parser, number, value, place)


def _record(parser: Parser, number: int, value: Any, place: str = "") -> Record:
    """The record of a value, with the parser's first fault."""
    if parser.faults:
        return Record(number, None, place, parser.faults[0])
    if not isinstance(value, dict):
        return Record(number, None, place, f"found {type(value).__name__}, expected an object: {{...}}")
    return Record(number, value, place)


def _words(fault: ValueError) -> str:
    if not isinstance(fault, json.JSONDecodeError):
        return str(fault)
    hint = "; json.dumps writes JSON, print does not" if fault.doc[fault.pos : fault.pos + 1] == "'" else ""
    around = fault.doc[max(fault.pos - 20, 0) : fault.pos + 20]
    return f"no JSON: {fault.msg}, in {around!r}{hint}"


class _Text:
    """A text that is read in chunks; only the current row and the rest of its chunk are in memory."""

    def __init__(self, path: Path, content: io.BufferedReader) -> None:
        self.path, self.parser = path, Parser()
        self.reader = io.TextIOWrapper(content, "utf-8-sig", newline="")
        self.text, self.place, self.size, self.ended = "", 0, 0, False

    def more(self) -> None:
        """Read on, doubling the text in memory, so that a long row is parsed only a few times."""
        self.text = self.text[self.place :]
        try:
            chunk = self.reader.read(max(CHUNK, min(len(self.text), LONGEST_ROW - len(self.text))))
        except UnicodeDecodeError:
            raise DataError(f"{self.path} is not UTF-8; {conversion(self.path, 'WINDOWS-1252')}") from None
        self.text, self.place, self.size, self.ended = self.text + chunk, 0, self.size + len(chunk), not chunk
        check_size(self.path, self.size)

    def symbol(self) -> str:
        """The next character after white space; empty at the end."""
        while True:
            self.place = SPACE.match(self.text, self.place).end()  # type: ignore[union-attr]
            if self.place < len(self.text) or self.ended:
                return self.text[self.place : self.place + 1]
            self.more()

    def take(self, symbol: str) -> None:
        """Move past a character; ValueError if another one is next."""
        if (found := self.symbol()) != symbol:
            raise ValueError(f"found {repr(found) if found else 'the end of the file'}, expected {symbol!r}")
        self.place += 1

    def value(self) -> Any:
        """The next value; ValueError if there is none."""
        self.symbol()
        while True:
            try:
                value, end = self.parser.value(self.text, self.place)
                if end < len(self.text) or self.ended:
                    self.place = end
                    return value
            except ValueError:
                if self.ended:
                    raise
                if len(self.text) - self.place > LONGEST_ROW:
                    raise ValueError(f"found no end of it within {LONGEST_ROW:,} characters") from None
            self.more()


def _stream(path: Path, *, array: bool) -> Iterator[Record]:
    """The records of the elements of an array, or of values one after another."""
    number = 0
    with unpacked(path) as content:
        text = _Text(path, content)
        try:
            if array:
                text.take("[")
            going = text.symbol() not in ("", "]")
            while going:
                number += 1
                yield _record(text.parser, number, text.value())
                going = text.symbol() == "," if array else bool(text.symbol())
                if going and array:
                    text.take(",")
            if array:
                text.take("]")
            if symbol := text.symbol():
                raise ValueError(f"found {symbol!r} after the array, expected the end of the file")
        except DataError:
            raise
        except ValueError as fault:
            raise DataError(f"{path}, row {number} or after it: {_words(fault)}; mend the file") from None
