"""``boundary-bench new``: a small file that works, and the line that names it."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from boundary_bench import benchmarks
from boundary_bench.benchmarks import KINDS, example
from boundary_bench.core.errors import StoreError, StudyError
from boundary_bench.core.files import write_text
from boundary_bench.study.blocks import NAME

LONGEST = 100  # characters of a name, which is part of file names

MODEL = """\
study: {name}
models:
{line}
algorithms: [grpo, grpo-n]
seeds: [0]
training: {{benchmark: random-calculation, segments: [20, 40], prompts: 16, rollouts: 16, max_tokens: 512}}
evaluate: {{steps: [0, 20, 40]}}
benchmarks:
  random-calculation: {{split: test}}
sampling: {{n_max: 256, max_tokens: 512}}
"""


def benchmark(name: str, folder: Path | None = None) -> str:
    """Write a benchmark's file; returns what to do next.

    Args:
        folder: folder of the benchmarks; by default this package's.
    """
    _check(name)
    if name in KINDS:
        raise StudyError(f"new benchmark: there is a benchmark {name!r} already; choose another name")
    if not re.match(r"[A-Za-z]", name):
        raise StudyError(f"new benchmark: found {name!r}, expected a name that starts with a letter")
    words = re.split(r"[._-]", name)
    module, title = "_".join(words).lower(), "".join(word[0].upper() + word[1:] for word in words)
    if keyword.iskeyword(module):
        raise StudyError(f"new benchmark: found {name!r}, a word of Python, which no module can be called")
    path = (folder or Path(benchmarks.__file__).parent) / f"{module}.py"
    text = Path(example.__file__).read_text(encoding="utf-8")
    for own, word in (("EXAMPLE", module.upper()), ("Example", title), ('"example', f'"{name}')):
        text = text.replace(own, word)
    _write(path, text)
    return (
        "(questions and answers in a file need no code: "
        f"benchmarks: {{{name}: {{kind: qa-math, data: FILE}}}}, or qa-numeric, qa-choice)\n\n"
        f"written: {path}\n\nname it in boundary_bench/benchmarks/__init__.py, in KINDS:\n\n"
        f"from boundary_bench.benchmarks.{module} import {module.upper()}\n\n"
        f"and in a study:\n\nbenchmarks:\n  {name}: {{split: test}}\n\nthen: boundary-bench check STUDY"
    )


def model(name: str, folder: Path = Path()) -> str:
    """Write a small study of a model; returns what to do next.

    Args:
        folder: folder of the study; by default the working folder.

    Raises:
        StudyError: the name is invalid.
        StoreError: the file exists, or cannot be written.
    """
    _check(name)
    path = folder / f"{name}.yaml"
    line = f"  {name}: {{path: {name}}}  # a folder; or {{hub: organisation/name, revision: COMMIT}}"
    _write(path, MODEL.format(name=name, line=line))
    return (
        f"written: {path}\n\nor in a study of yours:\n\nmodels:\n{line}\n\n"
        f"then: snakemake --cores all --config study={path}"
    )


def _check(name: str) -> None:
    if not re.fullmatch(NAME, name) or len(name) > LONGEST:
        raise StudyError(
            f"new: found {name!r:.80}, expected at most {LONGEST} letters and digits, joined by single '.', '_' or '-'"
        )


def _write(path: Path, text: str) -> None:
    if path.exists():
        raise StoreError(f"{path} is there already; choose another name, or move it away")
    write_text(path, text)
