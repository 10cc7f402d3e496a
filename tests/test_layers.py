"""The rooms: imports run downwards without circles, light modules stay light, files and functions stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import boundary_bench

PACKAGE = Path(boundary_bench.__file__).parent
HEAVY = ("torch", "transformers", "vllm", "matplotlib", "jinja2", "pandas", "datasets", "lm_eval", "reasoning_gym")

#: From the ground up; a room may import from its own floor and from those below it.
FLOORS = [
    {"", "core"},
    {"study", "statistics", "grading", "models", "tables", "records"},
    {"benchmarks", "algorithms", "samples", "claims", "machine"},
    {"sampling", "plan"},
    {"analysis", "training"},
    {"report", "operations"},
    {"commands"},
    {"__main__"},
]
#: Rooms that Snakemake, every command or every table goes through: nothing heavy is loaded with them.
LIGHT = ["core", "study", "statistics", "grading", "tables", "records", "benchmarks", "algorithms", "samples", "claims"]
LIGHT += ["machine", "plan", "analysis", "report", "operations", "commands"]
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
REPOSITORY = Path(__file__).parents[1]
WRITTEN = sorted({*PACKAGE.rglob("*.py"), *(REPOSITORY / "tests").rglob("*.py"), *(REPOSITORY / "speed").glob("*.py")})


@cache
def sources() -> dict[str, ast.Module]:
    """Module names, without the package's own, and their syntax trees."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(), str(path))
    return found


def imported(name: str, nodes: list[ast.AST]) -> set[str]:
    """The package's modules that import statements name; ``from package import module`` counts as that module."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} has a relative import; write the whole name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for full in names:
            inside = full.removeprefix("boundary_bench").lstrip(".") if full.startswith("boundary_bench") else None
            while inside is not None and inside not in sources():
                inside = inside.rpartition(".")[0]
            if inside is not None:
                found.add(inside)
    return found - {name}


def room(name: str) -> str:
    return name.split(".")[0]


def floor(name: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if room(name) in rooms)


def test_every_room_has_a_floor() -> None:
    rooms = {room(name) for name in sources()}
    assert rooms == set().union(*FLOORS), "a new room needs a place in FLOORS, an old one must leave it"


@pytest.mark.parametrize("name", sources())
def test_no_import_runs_upwards(name: str) -> None:
    upwards = {other for other in imported(name, list(ast.walk(sources()[name]))) if floor(other) > floor(name)}
    assert not upwards, f"{name} imports from a floor above it: {sorted(upwards)}"


def test_the_import_graph_is_seen_at_all() -> None:
    stages = imported("commands.stages", list(ast.walk(sources()["commands.stages"])))
    assert "plan" in stages and "training.step_log" in stages, "also inside of functions"
    assert "sampling.torch.decoder" in imported("sampling.torch.engine", sources()["sampling.torch.engine"].body)


@pytest.mark.parametrize("name", [name for name in sources() if room(name) in ("analysis", "statistics", "tables")])
def test_numbers_know_no_study(name: str) -> None:
    """Analysis takes design, ks, settings and counts, so that a notebook can call it; only its settings are a block."""
    strangers = {room(other) for other in imported(name, list(ast.walk(sources()[name])))}
    assert not strangers & {"plan", "commands", "operations", "report"}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of a graph, or nothing."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in done:
            for other in sorted(graph[name]):
                if found := walk(other, [*way, name]):
                    return found
            done.add(name)
        return []

    for name in graph:
        if found := walk(name, []):
            return found
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports inside of functions count: they would only hide a circle."""
    graph = {name: imported(name, list(ast.walk(tree))) for name, tree in sources().items()}
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert not circle(graph)


def test_no_rooms_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {room(name): set() for name in sources()}
    for name, tree in sources().items():
        graph[room(name)] |= {room(other) for other in imported(name, list(ast.walk(tree)))} - {room(name)}
    assert not circle(graph)


def brought_in(modules: list[str], packages: tuple[str, ...]) -> list[str]:
    """Which of some packages a fresh process has loaded after importing some modules."""
    statements = "".join(f"import boundary_bench.{module}; " for module in modules)
    code = f"import sys; {statements}print(*(package for package in {packages} if package in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_import_nothing_heavy(name: str) -> None:
    modules = [module for module in sources() if room(module) == name]
    assert modules and not brought_in(modules, HEAVY)


def test_what_every_job_imports_leaves_scipy_alone() -> None:
    """Snakemake and every command import these; scipy would cost each of them most of a second."""
    assert not brought_in(["study.file", "plan", "plan.jobs", "commands"], ("scipy", "pyarrow"))
    assert brought_in(["analysis.measure"], ("scipy", "pyarrow")) == ["scipy", "pyarrow"], "what is loaded is seen"


def test_no_name_of_a_package_is_that_of_a_module_in_it() -> None:
    """A module takes the place of the name as soon as anybody imports it."""
    for path in PACKAGE.rglob("__init__.py"):
        body, package = ast.parse(path.read_text()).body, ".".join(path.parent.relative_to(PACKAGE.parent).parts)
        named = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for node in body:
            if isinstance(node, ast.ImportFrom) and node.module != package:
                # what a module of its name has given stays: the module is there already
                named |= {alias.name for alias in node.names if node.module != f"{package}.{alias.name}"}
        twice = named & {file.stem for file in path.parent.iterdir()}
        assert not twice, f"{path}: {twice} are modules too; rename one of each"


def test_errors_and_seeds_stand_alone() -> None:
    for name in ("core.errors", "core.randomness", "core.provenance", "core.text"):
        assert not imported(name, list(ast.walk(sources()[name])))


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(path.parents[1])))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= LONGEST_FILE, f"{path.name} has {lines} lines, at most {LONGEST_FILE}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, (
                f"{path.name}: {node.name} has {length} lines, at most {LONGEST_FUNCTION}"
            )
