"""YAML files: those of users, read strictly, and data of others, read with nothing in them that can grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from boundary_bench.core.errors import BoundaryBenchError

DEEPEST = 20  # levels of the data of others


class _Strict(yaml.constructor.SafeConstructor):
    """A YAML constructor that refuses duplicate keys; the standard one silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} is written twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class _StrictLoader(_Strict, yaml.SafeLoader):
    """The loader of what users write."""


class _PlainLoader(_Strict, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The loader of data: texts, truth values, lists and mappings; numbers and dates stay texts, as written."""


_TAG = "tag:yaml.org,2002:"
_PlainLoader.yaml_constructors = {
    **{_TAG + name: yaml.SafeLoader.yaml_constructors[_TAG + name] for name in ("null", "bool", "str", "seq", "map")},
    **{_TAG + name: yaml.SafeLoader.yaml_constructors[_TAG + "str"] for name in ("int", "float", "timestamp")},
    None: yaml.SafeLoader.yaml_constructors[None],
}


def read_yaml(path: Path, missing: str, error: type[BoundaryBenchError]) -> Any:
    """The content of a YAML file.

    Raises:
        error: there is no file (with the message ``missing``), or it is not YAML.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)
    except FileNotFoundError:
        raise error(missing) from None
    except RecursionError:
        raise error(f"{path} is not readable as YAML: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as fault:
        raise error(f"{path} is not readable as YAML: {fault}") from None


def read_plain_yaml(path: Path, largest: int, error: type[BoundaryBenchError]) -> Any:
    """The data of a YAML file that somebody else wrote, with numbers and dates as texts.

    Raises:
        error: it cannot be read, has more than ``largest`` bytes, is not YAML, or has aliases, with which a small
            file describes a huge one.
    """
    try:
        if (size := path.stat().st_size) > largest:
            raise error(f"{path}: found {size:,} bytes, expected at most {largest:,}; take a part of it")
        text = path.read_text(encoding="utf-8")
        depth = 0
        for event in yaml.parse(text, _PlainLoader):
            if isinstance(event, yaml.AliasEvent):
                raise error(f"{path}: found the alias *{event.anchor:.40}, expected data without aliases; write it out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise error(f"{path}: found more than {DEEPEST} levels, expected data that are nested less")
        return yaml.load(text, _PlainLoader)
    except error:
        raise
    except OSError as fault:
        raise error(f"{path} cannot be read: {fault.strerror or fault}") from None
    except (yaml.YAMLError, ValueError) as fault:
        raise error(f"{path} is not readable as YAML: {fault}") from None
