"""Lines of an untrusted text file: unpacked, bounded, and in UTF-8, or refused with the command that converts it."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from boundary_bench.core.errors import DataError

LONGEST_ROW = 16 * 2**20  # bytes; a question with a long worked solution has some 100,000
LARGEST_TEXT = 4 * 2**30  # bytes of an unpacked file, up to a thousand times its size on disk
MOST_LINES = 50_000_000
BOM = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
#: First bytes of files that are not text, and what to do with them.
OTHERS = {
    b"PK\x03\x04": "a zip archive, as Excel's files are; save the sheet as CSV, or unzip it",
    b"\x28\xb5\x2f\xfd": "packed by zstd; run: zstd -d {file}",
    b"BZh": "packed by bzip2; run: bunzip2 -k {file}",
    b"\xfd7zXZ": "packed by xz; run: unxz -k {file}",
    PARQUET: "a Parquet file in a gz file; run: gunzip -k {file}",
    b"version https://git-lfs": "a pointer of Git LFS instead of the file; run in its folder: git lfs pull",
}
ENCODINGS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


@contextmanager
def unpacked(path: Path) -> Iterator[io.BufferedReader]:
    """The bytes of a text file, unpacked if it is gzipped."""
    try:
        with open(path, "rb") as file:
            packed = file.peek(2)[:2] == GZIP
            text = io.BufferedReader(gzip.GzipFile(fileobj=file)) if packed else file  # type: ignore[arg-type]
            _check(path, text.peek(32)[:32])
            yield text
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise DataError(
            f"{path}: its packing is torn ({fault}); fetch it again; gzip -t {quote(str(path))} says more"
        ) from None
    except OSError as fault:
        raise DataError(f"{path} cannot be read: {fault.strerror or fault}") from None


def _check(path: Path, head: bytes) -> None:
    """Refuse a file that is not UTF-8, by its first bytes."""
    for magic, what in OTHERS.items():
        if head.startswith(magic):
            raise DataError(f"{path} is {what.format(file=quote(str(path)))}")
    found = next((name for magic, name in ENCODINGS.items() if head.startswith(magic)), None)
    if found is None and b"\0" in head[:2]:
        found = "UTF-16BE" if head[0] == 0 else "UTF-16LE"
    if found:
        raise DataError(f"{path} is in {found}, expected UTF-8; {conversion(path, found)}")


def conversion(path: Path, encoding: str) -> str:
    """The command that converts a file to UTF-8."""
    return f"run: iconv -f {encoding} -t UTF-8 {quote(str(path))} > {quote(f'utf8-{path.name}')}"


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a text file, without its byte order mark."""
    with unpacked(path) as content:
        number = size = 0
        while line := content.readline(LONGEST_ROW + 1):
            number, size = number + 1, size + len(line)
            if len(line) > LONGEST_ROW:
                raise DataError(
                    f"{path}, line {number}: found more than {LONGEST_ROW:,} bytes without a line break, expected one "
                    "row a line; cut it, or leave it out"
                )
            check_size(path, size)
            if number > MOST_LINES:
                raise DataError(f"{path} has more than {MOST_LINES:,} lines; take a part of it")
            yield line.removeprefix(BOM) if number == 1 else line


def check_size(path: Path, size: int) -> None:
    """Refuse a text larger than ``LARGEST_TEXT``."""
    if size > LARGEST_TEXT:
        raise DataError(f"{path} holds more than {LARGEST_TEXT:,} bytes, unpacked; take a part of it")


def decoded(path: Path, line: bytes) -> str:
    """A line as text; ValueError with the command to run if it is not UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError as fault:
        found = f"byte 0x{line[fault.start]:02x} at place {fault.start + 1} of the line"
        raise ValueError(f"{found} is no UTF-8; {conversion(path, 'WINDOWS-1252')}") from None
