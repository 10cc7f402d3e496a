"""The reader of rows: what was written is read in whatever form, and what is broken is named with its remedy."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary_bench.core.errors import DataError
from boundary_bench.records import Record, joined, read
from boundary_bench.records.paths import find, flow, places

Rows = list[dict[str, Any]]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBER = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUE = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
#: Cells of a CSV file; its reader takes a lone carriage return for the end of a line, as others do.
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=12)


def as_lines(rows: Rows, end: str = "\n") -> str:
    return "".join(json.dumps(row) + end for row in rows)


FORMS: dict[str, tuple[str, Callable[[Rows], bytes]]] = {
    "lines": ("r.jsonl", lambda rows: as_lines(rows).encode()),
    "lines, unescaped": ("r.jsonl", lambda rows: "\n".join(json.dumps(r, ensure_ascii=False) for r in rows).encode()),
    "lines of Windows": ("r.jsonl", lambda rows: b"\xef\xbb\xbf" + as_lines(rows, "\r\n").encode()),
    "lines with blank ones": ("r.jsonl", lambda rows: as_lines(rows, "\n \n\n").encode()),
    "array in one line": ("r.json", lambda rows: json.dumps(rows).encode()),
    "array over lines": ("r.json", lambda rows: b"\xef\xbb\xbf\n " + json.dumps(rows, indent=2).encode() + b"\n"),
    "array in lines": ("r.txt", lambda rows: b"[\n" + b",\n".join(json.dumps(r).encode() for r in rows) + b"\n]"),
    "objects over lines": ("r", lambda rows: "\n".join(json.dumps(row, indent=1) for row in rows).encode()),
    "packed lines": ("r.jsonl.gz", lambda rows: gzip.compress(as_lines(rows).encode())),
    "packed array": ("r.json", lambda rows: gzip.compress(json.dumps(rows, indent=2).encode())),
}


@pytest.mark.parametrize("form", FORMS)
@given(rows=st.lists(st.dictionaries(TEXT, VALUE, min_size=1, max_size=4), min_size=1, max_size=4))
def test_json_is_read_as_it_was_written(form: str, rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> None:
    name, write = FORMS[form]
    path = tmp_path_factory.mktemp("r") / name
    path.write_bytes(write(rows))
    found = list(read(path))
    assert [record.row for record in found] == rows
    assert [record.number for record in found] == list(range(1, len(rows) + 1))


@given(
    names=st.lists(CELL.map(str.strip).filter(bool), min_size=2, max_size=4, unique=True),
    data=st.data(),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    form=st.sampled_from(["plain", "BOM", "packed"]),
)
def test_csv_is_read_as_it_was_written(
    names: list[str], data: st.DataObject, delimiter: str, end: str, form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Names hold no other separator: then the header says which one it is."""
    names = [name.translate(dict.fromkeys(map(ord, ",;\t|\n"), "x")) for name in names]
    if len(set(names)) < len(names):
        return
    rows = data.draw(st.lists(st.lists(CELL, min_size=len(names), max_size=len(names)), max_size=4))
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows([names, *rows])
    content = text.getvalue().encode()
    content = {"plain": content, "BOM": b"\xef\xbb\xbf" + content, "packed": gzip.compress(content)}[form]
    suffix = ("tsv" if delimiter == "\t" else "csv") + ".gz" * (form == "packed")
    path = tmp_path_factory.mktemp("r") / f"r.{suffix}"
    path.write_bytes(content)
    assert [record.row for record in read(path)] == [dict(zip(names, row, strict=True)) for row in rows]


@given(rows=st.lists(st.fixed_dictionaries({"a": TEXT, "b": NUMBER, "c": st.lists(TEXT, max_size=3)}), min_size=1))
def test_parquet_is_read_as_it_was_written(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = [{**row, "b": float(row["b"]), "d": {"e": row["a"]}} for row in rows]
    path = tmp_path_factory.mktemp("r") / "named-as-anything"
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert [record.row for record in read(path)] == rows


def test_more_rows_than_are_held_together_are_all_read(tmp_path: Path) -> None:
    rows = [{"number": number, "text": "x" * (number % 700)} for number in range(1_000)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "r.parquet")
    (tmp_path / "r.json").write_text(json.dumps(rows))
    for name in ("r.parquet", "r.json"):
        assert [record.row for record in read(tmp_path / name)] == rows


def test_a_row_that_is_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    rows = [{"a": "x" * 300_000}, {"a": "y"}, {"a": "z" * 1_000_000}]
    (tmp_path / "r.json").write_text(json.dumps(rows))
    assert [record.row for record in read(tmp_path / "r.json")] == rows


def test_a_number_is_not_cut_where_reading_stops(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps([1234567] * 30_000))
    assert [record.fault for record in read(tmp_path / "r.json")] == ["found int, expected an object: {...}"] * 30_000


def test_numbers_keep_the_digits_that_were_written(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"a": 12345678901234567890.50, "b": 1e2, "c": 1.0}')
    ((record),) = read(tmp_path / "r.jsonl")
    assert record.row is not None
    assert [str(record.row[name]) for name in "abc"] == ["12345678901234567890.50", "1e2", "1.0"]
    assert record.row["c"] == 1.0


#: Lines that are no rows, each with what its message must hold.
FAULTS = {
    "no JSON": ("{not json}", ["no JSON", "{not json}"]),
    "a Python dict": ("{'a': 1}", ["no JSON", "json.dumps"]),
    "CSV": ("a,b", ["no JSON", ".csv"]),
    "a list": ('["a"]', ["found list", "expected an object"]),
    "a number": ("1", ["found int"]),
    "null": ("null", ["found NoneType"]),
    "a comma behind": ('{"a": 1},', ["',' after the row", "sed 's/,[[:space:]]*$//'"]),
    "two rows in a line": ('{"a": 1}{"a": 2}', ["after the row", "one row a line"]),
    "a torn row": ('{"a": 1', ["no JSON"]),
    "a key twice": ('{"a": 1, "b": 2, "a": 3}', ["the key 'a' stands twice"]),
    "a key twice, deeper": ('{"c": [{"a": 1, "a": 1}]}', ["the key 'a' stands twice"]),
    "NaN": ('{"a": NaN}', ["NaN is no JSON", "null"]),
    "Infinity": ('{"a": [Infinity]}', ["Infinity is no JSON"]),
    "minus Infinity": ('{"a": -Infinity}', ["-Infinity is no JSON"]),
    "a number beyond all": ('{"a": 1e999}', ["1e999", "larger", "as text"]),
    "a number of many digits": ('{"a": ' + "9" * 5_000 + "}", ["5,000 digits", "as text"]),
    "a float of many digits": ('{"a": 0.' + "9" * 5_000 + "}", ["as text"]),
    "half a surrogate pair": ('{"a": "x \\ud835 y"}', ["surrogate"]),
    "the other half, in a key": ('{"\\uDC00": 1}', ["surrogate"]),
    "nested too deep": ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", ["nested too deep"]),
    "a control character": ('{"a": "\x01"}', ["no JSON", "control character"]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_line_that_is_no_row_says_why_and_the_others_are_read(name: str, tmp_path: Path) -> None:
    line, parts = FAULTS[name]
    path = tmp_path / "r.jsonl"
    path.write_text(f'{{"a": 1}}\n\n{line}\n{{"a": 2}}\n')
    first, bad, last = read(path)
    assert (first.row, last.row) == ({"a": 1}, {"a": 2}) and bad.row is None
    assert str(bad) == "2 (line 3)" and all(part in bad.fault for part in parts), bad.fault


def test_a_line_that_is_not_utf_8_says_which_byte_and_what_to_run(tmp_path: Path) -> None:
    path = tmp_path / "it's.jsonl"
    path.write_bytes('{"a": 1}\n{"a": "é"}\n'.encode("latin-1"))
    _, bad = read(path)
    assert "byte 0xe9 at place 8 of the line is no UTF-8; run: iconv -f WINDOWS-1252 -t UTF-8 '" in bad.fault
    assert """ > 'utf8-it'"'"'s.jsonl'""" in bad.fault, "for a shell"


@pytest.mark.parametrize(
    "line",
    [
        name
        for name in FAULTS
        if FAULTS[name][1][0].startswith(("the key", "NaN", "Infinity", "-Inf", "1e", "5,", "sur"))
    ],
)
def test_what_is_refused_in_lines_is_refused_in_arrays_too(line: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(f'[{{"a": 1}}, {FAULTS[line][0]}, {{"a": 2}}]')
    first, bad, last = read(path)
    assert (first.row, last.row) == ({"a": 1}, {"a": 2}) and all(part in bad.fault for part in FAULTS[line][1])


#: Files that cannot be read on: name, content, what the message must hold.
BROKEN: dict[str, tuple[str, bytes, list[str]]] = {
    "a torn array": ("r.json", b'[{"a": 1}, {"a"', ["row 2"]),
    "an array without an end": ("r.json", b'[{"a": 1}', ["row 1", "the end of the file", "expected ']'"]),
    "an array without commas": ("r.json", b'[{"a": 1}\n{"a": 2}]', ["row 1", "'{'", "expected ']'"]),
    "an array with a comma too many": ("r.json", b'[{"a": 1},]', ["row 2", "no JSON"]),
    "text after an array": ("r.json", b'[{"a": 1}]\n{"a": 2}', ["row 1", "after the array"]),
    "an array that is not UTF-8": ("r.json", '[{"a": "é"}]'.encode("latin-1"), ["iconv -f WINDOWS-1252"]),
    "an array nested too deep": ("r.json", b'[{"a": ' + b"[" * 100_000, ["row 1", "nested too deep"]),
    "an object that is torn": ("r.json", b'{\n "a": 1,\n "b"', ["row 1", "no JSON"]),
    "UTF-16": ("r.jsonl", '{"a": 1}\n'.encode("utf-16"), ["UTF-16", "iconv -f UTF-16 -t UTF-8"]),
    "UTF-16 without a mark": ("r.csv", "a,b\n".encode("utf-16-le"), ["iconv -f UTF-16LE"]),
    "UTF-16 of the other order": ("r.csv", "a,b\n".encode("utf-16-be"), ["iconv -f UTF-16BE"]),
    "UTF-32": ("r.tsv", "a\tb\n".encode("utf-32"), ["UTF-32", "iconv -f UTF-32"]),
    "a torn gz": ("r.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 9_999)[:60], ["torn", "gzip -t"]),
    "a gz of another check sum": ("r.csv.gz", gzip.compress(b"a\n1\n")[:-6] + b"xxxxxx", ["torn"]),
    "a gz of nothing": ("r.jsonl.gz", gzip.compress(b'{"a": 1}\n')[:12], ["torn"]),
    "Parquet in a gz": ("r.parquet.gz", gzip.compress(b"PAR1..."), ["gunzip"]),
    "an Excel file": ("r.csv", b"PK\x03\x04...", ["zip archive", "CSV"]),
    "zstd": ("r.jsonl.zst", b"\x28\xb5\x2f\xfd...", ["zstd -d"]),
    "a pointer of LFS": ("r.jsonl", b"version https://git-lfs.github.com/spec/v1\n", ["git lfs pull"]),
    "a torn Parquet": ("r.parquet", b"PAR1...", ["no readable Parquet"]),
    "no Parquet": ("r.parquet", b'{"a": 1}', ["no readable Parquet"]),
    "a column twice": ("r.csv", b"a,b,a\n1,2,3\n", ["the column 'a' twice"]),
    "two columns without a name": ("r.csv", b"a,,\n1,2,3\n", ["the column '' twice"]),
    "a header of two minds": ("r.csv", b"a;b,c\n1;2,3\n", ["comma and semicolon", ".tsv"]),
    "a quote without an end": ("r.csv", b'a,b\n1,2\n"1,2\n1,2\n', ["row 2", "line 3", "double quotes"]),
    "a quote in the middle": ("r.csv", b'a,b\n1,"2"x\n', ["row 1", "double quotes"]),
    "a CSV that is not UTF-8": ("r.csv", "a\n1\né\n".encode("latin-1"), ["line 3", "0xe9", "iconv"]),
    "a cell that is too long": ("r.csv", b"a,b\n1," + b"x" * 200_000, ["row 1", "field larger"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_read_on_says_why_and_what_to_do(name: str, tmp_path: Path) -> None:
    file, content, parts = BROKEN[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read(tmp_path / file))
    assert all(part in str(caught.value) for part in [file, *parts]), caught.value


def test_a_column_of_parquet_that_stands_twice_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": [2]}).rename_columns(["a", "a"]), tmp_path / "r.parquet")
    with pytest.raises(DataError, match="the column 'a' twice"):
        list(read(tmp_path / "r.parquet"))


@pytest.mark.parametrize("start", [b'{"a": "', b'[{"a": "', b"a,b\n1,", b'{\n"a": "'])
@pytest.mark.parametrize("packed", [False, True])
def test_a_row_without_an_end_takes_bounded_memory(start: bytes, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("r.csv" if start[:1] == b"a" else "r.json")
    with gzip.open(path, "wb", 1) if packed else open(path, "wb") as file:
        file.write(start)
        for _ in range(100):
            file.write(b"x" * 1_000_000)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"16,777,216|field larger"):
        list(read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 90e6, "16 MiB as bytes, as text, and what is read on, not 100 MB of each"


def test_lines_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "r.jsonl.gz").write_bytes(gzip.compress(b"\n" * 1_001))
    assert list(read(tmp_path / "r.jsonl.gz")) == []
    for name, most in (("MOST_LINES", 1_000), ("LARGEST_TEXT", 1_000)):
        with monkeypatch.context() as patch, pytest.raises(DataError, match=r"r\.jsonl\.gz .* more than 1,000 "):
            patch.setattr(f"boundary_bench.records.texts.{name}", most)
            list(read(tmp_path / "r.jsonl.gz"))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.jsonl", Path("/dev/zero")):
        with pytest.raises(DataError, match="found no file"):
            read(path)


def test_cells_that_do_not_fit_the_header_are_faults_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text('a;b\n"1\n1";2\n3\n\n4;5;6\n7;8\n')
    found = list(read(tmp_path / "r.csv"))
    assert [record.row for record in found] == [{"a": "1\n1", "b": "2"}, None, None, {"a": "7", "b": "8"}]
    assert [str(record) for record in found] == ["1 (line 2)", "2 (line 4)", "3 (line 6)", "4 (line 7)"]
    assert "found 1 cells, expected 2" in found[1].fault and "with a semicolon in it" in found[2].fault


def test_parts_are_numbered_as_one(tmp_path: Path) -> None:
    parts = [("x", [Record(1, {}), Record(2, None, "line 4", "torn")]), ("y", [Record(1, {})])]
    found = list(joined(parts))
    assert [str(record) for record in found] == ["1 (x, row 1)", "2 (x, row 2, line 4)", "3 (y, row 1)"]
    assert found[1].fault == "torn"


# places in a row

ROW = {"a": {"b": [{"c": 1}, {"c": 2}], "": 5}, "a.b": 3, "x": {"y.z": {"w": 4}}, "n": None, "list": [1, 2]}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b", 3),
        ("a.b.0.c", 1),
        ("a.b.-1.c", 2),
        ("x.y.z.w", 4),
        ("x.y.z", {"w": 4}),
        ("n.anything", None),
        ("list.1", 2),
        ("list", [1, 2]),
    ],
)
def test_a_path_finds_what_it_names(path: str, found: Any) -> None:
    assert find(ROW, path) == found


@pytest.mark.parametrize(
    "path", ["b", "a.c", "a.b.2.c", "a.b.-3", "list.x", "list.1.x", "a.b.0.c.d", "list.99999999999"]
)
def test_a_path_that_leads_nowhere_is_a_key_error(path: str) -> None:
    with pytest.raises(KeyError):
        find(ROW, path)


def test_every_place_is_listed_but_not_without_end() -> None:
    found = places({"a": {"b": [{"c": 1}, {"d": 2}]}, "e": "x"})
    assert list(found) == ["a", "e", "a.b", "a.b.-1", "a.b.-1.d"] and found["a.b.-1.d"] == 2
    wide = places({"meta": {str(number): number for number in range(900)}, "question": "q"})
    assert "question" in wide and len(wide) == 200, "what stands above is not crowded out"
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"a": deep, "b": [deep]}
    assert 10 < len(places(deep)) <= 200


@given(st.dictionaries(TEXT.filter(bool), TEXT))
def test_a_line_of_yaml_is_read_back_and_is_printable(names: dict[str, str]) -> None:
    import yaml

    line = flow(names)
    assert yaml.safe_load(line) == names and "\n" not in line and "\x1b" not in line
