"""Read a study file; the message of a fault says where it is, what was found and what to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from boundary_bench.core.errors import StudyError, did_you_mean
from boundary_bench.core.yaml_files import read_yaml
from boundary_bench.study.blocks import KIND, NAME
from boundary_bench.study.study import Study

SHIPPED = Path(__file__).resolve().parents[2] / "workflows" / "studies"


def find_study(name: str) -> Path:
    """The file of a study: a path, or the name of a shipped one.

    Raises:
        StudyError: there is no such file.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise StudyError(f"no study file at {path}")
        return path
    shipped = {file.stem: file for file in sorted(SHIPPED.glob("*.yaml"))}
    if not shipped:
        raise StudyError(
            f"no study {name!r}: the package is installed without its repository, which ships them; give the path of a "
            ".yaml file, or install a checkout with pip install -e"
        )
    if name not in shipped:
        raise StudyError(f"no shipped study {name!r}; {did_you_mean(name, shipped)}. Or give the path of a .yaml file")
    return shipped[name]


def load_study(path: Path) -> Study:
    """Read and check a study file.

    Raises:
        StudyError: the file is missing, is no YAML mapping, or has a wrong key or value; the message lists every
            fault with what was found and what to write instead.
    """
    found = read_yaml(path, f"no study file at {path}; shipped ones are in workflows/studies/", StudyError)
    if not isinstance(found, dict):
        raise StudyError(f"{path}: found {type(found).__name__}, expected a mapping that starts with 'study: NAME'")
    return checked(found, f"the study {path}")


def checked(found: dict[str, Any], what: str) -> Study:
    """A study from a mapping.

    Raises:
        StudyError: a key or value is wrong; the message begins with ``what``.
    """
    try:
        return Study.model_validate(found)
    except ValidationError as fault:
        raise StudyError(explain(fault, what)) from None


def explain(fault: ValidationError, what: str) -> str:
    """The faults of a validation, one line each: where, what was found, what to write."""
    lines = [f"{what} has {fault.error_count()} fault(s):"]
    for error in fault.errors(include_url=False):
        where = ".".join(str(part) for part in error["loc"])
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            message = "unknown key; " + did_you_mean(str(error["loc"][-1]), _keys_at(error["loc"]))
        elif error["type"] == "missing":
            message = "missing; this key is required"
        elif error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] in (NAME, KIND):
            message = "names are letters, digits, '.', '_' and single '-'"
        elif not isinstance(error["input"], dict | list) and error["type"] != "value_error":
            message += f", found {error['input']!r}"
        lines.append(f"  {where}: {message}" if where else f"  {message}")
    return "\n".join(lines)


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """The keys allowed at the place of an unknown one."""
    schema = Study.model_json_schema()
    node: dict[str, Any] = schema
    for part in location[:-1]:
        node = node.get("properties", {}).get(part) or next(iter(node.get("patternProperties", {}).values()), {})
        for option in node.get("anyOf", []):
            node = option if "$ref" in option else node
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return list(node.get("properties", {}))


def schema() -> str:
    """The JSON schema of study files; ``workflows/studies/schema.json`` is this text, for editors to complete from."""
    return json.dumps(Study.model_json_schema(), indent=2) + "\n"
