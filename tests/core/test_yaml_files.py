"""YAML of others: data as written, and nothing in it that grows, runs or hangs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from boundary_bench.core.errors import DataError
from boundary_bench.core.yaml_files import read_plain_yaml


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read(text: str, largest: int = 10**7) -> Any:
        (tmp_path / "x.yaml").write_text(text)
        return read_plain_yaml(tmp_path / "x.yaml", largest, DataError)

    return read


def test_texts_come_back_as_they_were_dumped(read: Any) -> None:
    data = {
        "samples": ["a: b\n  'c' \"d\"", "12", "true", "~", "é\u2028\t x", ""],
        "is_corrects": [True, False],
        "n": None,
    }
    assert read(yaml.dump(data)) == data
    assert read("{a: 012, b: 1e3, c: 2001-01-01}") == {"a": "012", "b": "1e3", "c": "2001-01-01"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", r"found the alias \*a, expected data without aliases"),
        ("- " * 30 + "x", "more than 20 levels"),
        ("[" * 100_000, "not readable as YAML"),
        ("a: 1\na: 2", "'a' is written twice"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("'", "not readable as YAML"),
        ("a: 'xxxxxxxxxxxxxxxx'", "found 21 bytes, expected at most 20"),
    ],
)
def test_what_is_no_plain_data_is_refused(read: Any, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(text, 20 if "xxxx" in text else 10**7)


def test_a_number_of_many_parts_takes_no_time(read: Any) -> None:
    text = "1" + ":00" * 300_000  # PyYAML computes its value to the base of 60
    assert read(f"a: {text}") == {"a": text} and read(f"!!int {text}") == text


def test_a_missing_file_and_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_plain_yaml(tmp_path / "none.yaml", 10, DataError)
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="not readable as YAML"):
        read_plain_yaml(tmp_path / "x.yaml", 10, DataError)
