"""YAML files of users, read strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from boundary_bench.core.errors import BoundaryBenchError


class _StrictLoader(yaml.SafeLoader):
    """A YAML loader that refuses duplicate keys; the standard loader silently keeps the last."""

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
