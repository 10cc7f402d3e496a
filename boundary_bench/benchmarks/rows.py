"""The rows of a set, from a user's file or folder or from the hub. Nothing in them is run as code.

``boundary_bench.records`` reads files, also those of a folder that are named by split; the library ``datasets`` reads
other folders and the hub, and need not be installed otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from boundary_bench.benchmarks.base import Kind, Source, Split
from boundary_bench.core.errors import DataError
from boundary_bench.records import SUFFIXES, Record, joined, read

HUB = "https://huggingface.co"
SECONDS_TO_ANSWER = 10
#: Names of the splits, if the set's own names are not used.
NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "dev": ("dev", "validation", "val"),
    "test": ("test",),
}


def rows_in(kind: Kind, path: Path, split: Split) -> Iterator[Record]:
    """The rows of a user's file or folder: a folder of files named by split, a repository of the hub, or the output
    of ``save_to_disk``.

    Args:
        split: the part of a folder; a file serves as any split.
    """
    if kind.read:
        return kind.read(path)
    if not path.is_dir():
        if not path.is_file():
            raise DataError(
                f"found no file or folder {path}, expected one with the problems; paths start where you are"
            )
        return read(path)
    parts = list(dict.fromkeys([kind.source.splits.get(split, split) if kind.source else split, *NAMES[split]]))
    configs = kind.source.configs if kind.source else ()
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return _saved(path, parts)
    return _by_name(path, parts, configs) or _repository(path, parts, configs)


def _by_name(path: Path, parts: list[str], configs: tuple[str, ...]) -> Iterator[Record] | None:
    """The rows of files named by split, in the folder or in the folder of each configuration, or of all files in a
    folder named by split; None without such files."""
    folders = [path / config for config in configs]
    for part in parts:
        if files := _files(path, part):
            return read(files[0])
        found = [_files(folder, part) for folder in folders]
        if found and all(found):
            return joined((config, read(files[0])) for config, files in zip(configs, found, strict=True))
        inside = [file for file in (path / part).rglob("*") if file.name.endswith(SUFFIXES) and file.is_file()]
        if inside:
            inside.sort(key=lambda file: (file.parent, len(file.name), file.name))
            return joined((str(file.relative_to(path)), read(file)) for file in inside)
    return None


def _files(folder: Path, part: str) -> list[Path]:
    """The file of a split, as a list of at most one."""
    files = [file for suffix in SUFFIXES if (file := folder / f"{part}{suffix}").is_file()]
    if len(files) > 1:
        raise DataError(
            f"{folder}: found {' and '.join(file.name for file in files)}, expected one; name it: data: FILE"
        )
    return files


def _saved(path: Path, parts: list[str]) -> Iterator[Record]:
    """The rows in the output of ``save_to_disk``."""
    with _readable(f"the folder {path}"):
        found = _library(f"the folder {path}").load_from_disk(str(path))
    if isinstance(found, dict):
        found = found[_part(path, parts, found)]
    return _numbered(f"the folder {path}", found)


def _repository(path: Path, parts: list[str], configs: tuple[str, ...]) -> Iterator[Record]:
    """The rows in a clone of a hub repository."""
    loose = sorted(file.name for file in path.iterdir() if file.name.endswith(SUFFIXES))
    if loose and not (path / "README.md").exists() and not any(part in name for name in loose for part in parts):
        raise DataError(
            f"the folder {path} has no file of the split {parts[0]}, but {', '.join(loose[:5])}; name one: "
            f"data: {path / loose[0]}, or call it {parts[-1]}.jsonl"
        )
    library = _library(f"the folder {path}")
    laid_out = (path / "README.md").exists() or any((path / config).is_dir() for config in configs)
    pieces = []
    for config in configs if laid_out and configs else (None,):
        # with a folder per configuration, the card that maps names to files may be missing
        place = {"data_dir": config} if config and (path / config).is_dir() else {"name": config}
        with _readable(f"the folder {path}"):
            found = library.load_dataset(str(path), streaming=True, **place)
        pieces.append((config, _numbered(f"the folder {path}", found[_part(path, parts, found)])))
    return joined(pieces) if len(pieces) > 1 else pieces[0][1]


def _part(path: Path, parts: list[str], there: Iterable[str]) -> str:
    """The split's name in the folder."""
    found = next((part for part in parts if part in there), None)
    if found is None:
        raise DataError(
            f"the folder {path} has no split {' or '.join(parts)}, but {', '.join(there)}; write a split that it has, "
            "or name the file: data: FOLDER/FILE"
        )
    return found


def hub_rows(source: Source, split: Split, revision: str) -> Iterator[Record]:
    """The rows of a split of a set on the hub, or of its copy in the local cache."""
    library = _library(f"the set {source.hub}")
    pieces = []
    for config in source.configs or (None,):
        with _readable(f"the set {source.hub} of the hub at {revision}"):
            found = library.load_dataset(source.hub, config, split=source.splits[split], revision=revision)
        pieces.append((config, _numbered(source.hub, found)))
    return joined(pieces) if len(pieces) > 1 else pieces[0][1]


def without_network() -> str | None:
    """The reason why the hub does not answer, None if it does.

    Without network it sets HF_HUB_OFFLINE, so that the hub's library, imported later, reads only its cache.
    """
    if os.environ.get("HF_HUB_OFFLINE") or os.environ.get("HF_DATASETS_OFFLINE"):
        return "HF_HUB_OFFLINE is set"
    try:
        # uses the proxies of the environment, as the library does
        with urlopen(Request(os.environ.get("HF_ENDPOINT", HUB), method="HEAD"), timeout=SECONDS_TO_ANSWER):
            return None
    except HTTPError:
        return None
    except (OSError, ValueError) as fault:
        os.environ["HF_HUB_OFFLINE"] = "1"
        return str(getattr(fault, "reason", fault))


def _numbered(where: str, rows: Iterable[dict[str, Any]]) -> Iterator[Record]:
    with _readable(where):
        yield from (Record(number, row) for number, row in enumerate(rows, 1))


def _library(what: str) -> Any:
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"{what} needs the library datasets, which is not installed; run: pip install 'boundary-bench[hub]', or "
            "name one file: data: FILE"
        ) from None
    datasets.disable_progress_bars()
    return datasets


class _readable:
    """Turns any error of ``datasets`` into one message."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        if isinstance(fault, Exception) and not isinstance(fault, DataError):
            reason = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
            raise DataError(
                f"{self.what} could not be read: {reason}; expected the set on the hub or in its cache (without a "
                "network HF_HUB_OFFLINE=1 spares the waiting), or in the study data: a file, a folder that holds "
                "test.jsonl, a clone of the set's repository, or a folder that save_to_disk wrote"
            ) from None
