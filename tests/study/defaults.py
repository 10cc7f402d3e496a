"""Every default of a study and the versions of what reads it, as ``tests/data/defaults.json`` keeps them.

Results are named by what is not at its default, so that a default that changes would give old results a new meaning
under the same name. A change of one needs a raised version of every stage that reads it; then write the file anew:

    python tests/study/defaults.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from boundary_bench.benchmarks import FAMILIES, KINDS
from boundary_bench.plan.stages import STAGES
from boundary_bench.study.backends import BACKENDS
from boundary_bench.study.blocks import _EXECUTION, Block
from boundary_bench.study.engines import ENGINES
from boundary_bench.study.sampling import DESIGN

FILE = Path(__file__).resolve().parents[1] / "data" / "defaults.json"
AGAIN = "python tests/study/defaults.py"
#: A member of a family that knows its members.
MEMBERS = {"stored": "math"}
#: Of a block, or of one setting of it, the versions that name what it makes; of several in a line one suffices.
READ_BY: dict[str, tuple[tuple[str, ...], ...]] = {
    "Model": (("stages pretrain",),),
    "Pretrain": (("stages pretrain",),),
    "Origin": (("stages adopt",), ("stages import",)),
    "StoredSamples": (("stages import",),),
    "GivenRun": (),
    "Training": (("stages train",),),
    "OpenRLHF": (("stages train", "backends openrlhf"),),
    "Trl": (("stages train", "backends trl"),),
    "Sampling": (("stages sample",), ("stages probe",)),
    # greedy continuations know neither of these
    **dict.fromkeys(("Sampling temperature", "Sampling top_p", "Sampling seed"), (("stages sample",),)),
    "Vllm": (("stages sample", "engines vllm"), ("stages probe", "engines vllm")),
    "Analysis": tuple((f"stages {name}",) for name in ("probe", "measure", "compare", "report")),
    "Benchmark": (("stages prepare",),),
    # the names of these say them in full, whether or not they are at their defaults
    **dict.fromkeys([f"Sampling {name}" for name in DESIGN], ()),
    **dict.fromkeys(("Analysis ks", "Benchmark split", "Benchmark template", "Benchmark graders"), ()),
    "Probe": (),
    "Study": (),
}


def blocks() -> list[type[Block]]:
    """Every block of a study, those of algorithms among them, by name."""
    found, waiting = [], [Block]
    while waiting:
        waiting += (below := waiting.pop().__subclasses__())
        found += below
    rooms = "boundary_bench.study.", "boundary_bench.algorithms"
    return sorted((block for block in found if block.__module__.startswith(rooms)), key=lambda block: block.__name__)


def executes(block: type[Block], name: str) -> bool:
    """Whether a setting only says where and how something runs."""
    return _EXECUTION in block.model_fields[name].metadata


def defaults() -> dict[str, dict[str, Any]]:
    """The defaults of every block, of settings that have one and are no block, and of the options of every kind."""
    found: dict[str, dict[str, Any]] = {}
    for block in blocks():
        values = {name: field.get_default(call_default_factory=True) for name, field in block.model_fields.items()}
        given = {name for name, field in block.model_fields.items() if field.is_required()}
        usual = {
            name: type(value).__name__ if isinstance(value, Block) else value
            for name, value in values.items()
            if name not in given
        }
        if usual:
            found[block.__name__] = to_jsonable_python(usual)
    kinds = {**KINDS, **{f"{family}:": make(MEMBERS.get(family, "any")) for family, make in FAMILIES.items()}}
    for name, kind in kinds.items():
        options = {option: getattr(kind.options, option) for option in type(kind.options).model_fields}
        found[f"kind {name}"] = to_jsonable_python(options)
    return found


def versions() -> dict[str, int]:
    """The versions that names of results hold: of stages, backends, engines and benchmark kinds."""
    kinds = {**KINDS, **{f"{family}:": make(MEMBERS.get(family, "any")) for family, make in FAMILIES.items()}}
    declared = {"stages": STAGES, "backends": BACKENDS, "engines": ENGINES, "kinds": kinds}
    return {f"{what} {name}": each.version for what, them in declared.items() for name, each in them.items()}


def read_by(where: str, name: str) -> tuple[tuple[str, ...], ...]:
    """The versions of which one in each line has to be raised where the default of a setting changes."""
    if where.startswith("kind "):
        return ((f"kinds {where.removeprefix('kind ')}", "stages prepare"),)
    block = next((each for each in blocks() if each.__name__ == where), None)
    if block is None or (name in block.model_fields and executes(block, name)):
        return ()
    if block.__module__.startswith("boundary_bench.algorithms"):
        return (("stages train",),)
    return READ_BY[f"{where} {name}" if f"{where} {name}" in READ_BY else where]


def now() -> dict[str, Any]:
    """What the file would hold if it was written now."""
    return json.loads(json.dumps({"versions": versions(), "defaults": defaults()}))


def faults(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Defaults that changed while a version that says so was not raised; new settings and gone ones are none."""
    raised = {name for name, version in after["versions"].items() if version > before["versions"].get(name, 0)}
    found = []
    for where, usual in before["defaults"].items():
        for name, value in usual.items():
            changed = after["defaults"].get(where, {}).get(name, value)
            need = [line for line in read_by(where, name) if changed != value and not raised & set(line)]
            if need:
                found.append(
                    f"the default of {where}.{name} was {value!r} and is {changed!r}: results of before would keep "
                    f"their names; raise the version of {' and of '.join(' or '.join(line) for line in need)}, then "
                    f"write the file anew: {AGAIN}"
                )
    return found


def stale(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What the file says otherwise than the code; of a new setting it says nothing."""
    pairs = [(f"version of {name}", value, after["versions"].get(name)) for name, value in before["versions"].items()]
    for where, usual in before["defaults"].items():
        pairs += [
            (f"{where}.{name}", value, after["defaults"].get(where, {}).get(name)) for name, value in usual.items()
        ]
    return [f"{what}: {old!r} in {FILE.name}, {new!r} in the code" for what, old, new in pairs if old != new]


def main() -> None:
    """Write the file, unless a default changed and no version was raised."""
    if FILE.exists() and (found := faults(json.loads(FILE.read_text()), now())):
        sys.exit("\n".join(found))
    FILE.write_text(json.dumps(now(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
