"""Two results against each other, as a command: what is printed, what is damaged, what it exits with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from claim_tables import edit
from contrasts import PUBLISHED, REPOSITORY, STEP4, P, copied, made, rewrite

from boundary_bench.commands import main
from boundary_bench.core.errors import EXIT_MOVED, EXIT_USER_ERROR
from boundary_bench.core.parquet import read_table, write_table
from boundary_bench.operations.diff import contrast
from boundary_bench.operations.diff.text import plain, record, text
from results import RUN


def test_the_record_has_every_cell_and_is_json(
    before: Path, better: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = copied(better, tmp_path)
    place = other / "tables" / "provenance.json"
    place.write_text(place.read_text().replace('"resamples": 200', '"resamples": 200, "odd": NaN'))
    assert main(["diff", str(before), str(other), "--json"]) == EXIT_MOVED
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["moved"] and len(found["numbers"]["cells"]) == 12 and found["numbers"]["moved"] == 3
    assert found["settings"]["values"] == [{"path": "study.analysis.odd", "a": None, "b": "NaN"}]
    assert found == json.loads(json.dumps(record(contrast(before, other)))), "text and record are of the same"


HOSTILE = "\x1b[2J::error::x\u202e"


def test_what_files_say_cannot_steer_a_terminal_or_a_runner(before: Path, tmp_path: Path) -> None:
    other = copied(before, tmp_path)

    def change(said: dict[str, Any]) -> None:
        said["study"][HOSTILE] = said["fingerprints"][f"::{HOSTILE}"] = {HOSTILE: HOSTILE}
        said["packages"]["torch"] = f"{HOSTILE}\n::error::{HOSTILE}"

    rewrite_json(other / "tables" / "provenance.json", change)
    shown = text(contrast(before, other))
    assert "\\x1b[2J" in shown and plain(shown.replace("\n", "")) == shown.replace("\n", "")
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())


@pytest.mark.parametrize("name", ["../../elsewhere", HOSTILE, "a--b", "", "a\nb"])
@pytest.mark.parametrize("column", ["model", "benchmark"])
def test_a_name_that_is_none_is_refused(
    before: Path, name: str, column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = copied(before, tmp_path)
    edit(other / "tables" / "pass_at_k.csv", 0, **{column: name})
    assert main(["diff", str(before), str(other)]) == EXIT_USER_ERROR
    assert f"pass_at_k.csv: found {column} {name!r}, expected what matches" in capsys.readouterr().err


# damage


def alter(path: Path, change: Callable[[Any, dict[str, Any]], tuple[Any, dict[str, Any]]]) -> None:
    table, facts = read_table(path)
    facts.pop("sha256")
    write_table(path, *change(table, facts))


PROBLEMS = f"measures/{STEP4}/countdown/problems.parquet"
DAMAGE: dict[str, Callable[[Path], Any]] = {
    "stages.csv is missing": lambda it: (it / "tables" / "stages.csv").unlink(),
    "provenance.json is torn": lambda it: (it / "tables" / "provenance.json").write_text('{"study": '),
    "provenance.json is torn (maximum": lambda it: (it / "tables" / "provenance.json").write_text('{"a": ' * 10**5),
    "provenance.json: found no study": lambda it: (it / "tables" / "provenance.json").write_text("{}"),
    "fingerprints: missing": lambda it: rename(it / "tables" / "provenance.json", "fingerprints"),
    "weights_sha256: missing": lambda it: rename(it / "tables" / "provenance.json", "weights_sha256"),
    "code.commit: String should match pattern": lambda it: rewrite_json(
        it / "tables" / "provenance.json", lambda said: said["code"].update(commit=f"{HOSTILE}\n::error::{HOSTILE}")
    ),
    "differences.csv is torn": lambda it: (it / "tables" / "differences.csv").write_text(
        (it / "tables" / "differences.csv").read_text()[:900]
    ),
    "found seed '-1'": lambda it: edit(it / "tables" / "differences.csv", 0, seed="-1"),
    "found change 'grown', expected one of": lambda it: edit(it / "tables" / "differences.csv", 0, change="grown"),
    "found course '', expected one of": lambda it: edit(it / "tables" / "stages.csv", 0, course=""),
    "twice, expected each row once": lambda it: rewrite(
        it / "tables" / "summary.csv", lambda row: row | {"model": "x", "stratum": f"{HOSTILE}\n::error::", "step": "0"}
    ),
    "estimate: found 'nan', expected a finite number": lambda it: edit(
        it / "tables" / "pass_at_k.csv", 0, estimate="nan"
    ),
    "problems.parquet is torn": lambda it: (it / PROBLEMS).write_bytes((it / PROBLEMS).read_bytes()[:500]),
    "problems.parquet: found no design and counts": lambda it: alter(
        it / PROBLEMS, lambda table, facts: (table, facts | {"settings": {}})
    ),
    "problems.parquet: found no design and counts in it ('Field": lambda it: alter(
        it / PROBLEMS, lambda table, facts: (table.drop_columns(["correct"]), facts)
    ),
    "problems, 1 of them distinct": lambda it: alter(it / PROBLEMS, lambda table, facts: (table.take([0, 0]), facts)),
    "problem 0: found 2 correct of 8 samples, which the design": lambda it: alter(
        it / PROBLEMS,
        lambda table, facts: (table, facts | {"settings": {"design": {"rounds": [9], "stop_after": None}}}),
    ),
    "in tables/pass_at_k.csv and 0.25 by measures/": lambda it: edit(
        it / "tables" / "pass_at_k.csv", 8, estimate="0.3"
    ),
    "have no policy, benchmark and k in common": lambda it: rewrite(
        it / "tables" / "pass_at_k.csv", lambda row: row | {"benchmark": "other"}
    ),
}


def rewrite_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))


def rename(path: Path, name: str) -> None:
    path.write_text(path.read_text().replace(f'"{name}"', f'"{name}-"'))


@pytest.mark.parametrize("said", DAMAGE)
def test_damage_is_named(said: str, before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = copied(before, tmp_path)
    DAMAGE[said](other)
    assert main(["diff", str(before), str(other)]) == EXIT_USER_ERROR
    shown = capsys.readouterr().err
    assert said in shown and plain(shown.replace("\n", "")) == shown.replace("\n", "")
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())


# the command


def test_a_study_is_found_by_its_name_and_by_its_file(
    before: Path, better: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", str(before.parent.parent / "toy.yaml"), str(better), "--results", str(before.parent)]) == 1
    assert f"A: {before} (study toy" in capsys.readouterr().out
    assert main(["diff", "quickstart-seeds", str(PUBLISHED), "--results", str(PUBLISHED.parent)]) == 0


@pytest.mark.parametrize(
    ("what", "code"), [([], 1), (["any"], 1), (["verdicts"], 1), (["numbers"], 0)], ids=lambda value: str(value)
)
def test_the_exit_code_is_for_what_is_asked(
    before: Path, better: Path, what: Sequence[str], code: int, tmp_path: Path
) -> None:
    """Without measures no number can be said to have moved."""
    other = copied(before, tmp_path, tables_alone=True)
    assert main(["diff", str(other), str(better), *(["--fail-on", *what] if what else [])]) == code
    assert main(["diff", str(before), str(before), *(["--fail-on", *what] if what else [])]) == 0


def test_no_number_compared_is_not_none_moved(before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = made(tmp_path / "other", first=P)
    assert main(["diff", str(before), str(others), "--fail-on", "numbers"]) == EXIT_USER_ERROR
    said = capsys.readouterr()
    assert "found no number that could be compared" in said.err and "0 are the same" in said.out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["diff", "smoke"], "required: b"),
        (["diff", "smoke", "--run", RUN], "unrecognized arguments: --run"),
        (["diff", "smoke", "smoke", "--run", RUN], f"unrecognized arguments: --run {RUN}"),
        (["compare", "smoke"], "required: --run, --benchmark"),
        (["compare", "smoke", "--run", RUN], "required: --benchmark"),
        (["compare", "smoke", "--benchmark", "countdown", "--json"], "required: --run"),
        (["compare", "smoke", "--run", RUN, "--benchmark", "countdown", "--fail-on", "any"], "arguments: --fail-on"),
        (["compare", "smoke", "smoke", "--run", RUN, "--benchmark", "countdown"], "unrecognized arguments: smoke"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_half_a_stage_and_half_a_comparison_are_refused(
    command: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == EXIT_USER_ERROR and said in capsys.readouterr().err


def test_the_stage_is_called_by_its_run_and_benchmark(tmp_path: Path) -> None:
    root = made(tmp_path / "tree")
    folder = root / "comparisons" / RUN / "countdown"
    expected = (folder / "differences.csv").read_bytes()
    shutil.rmtree(folder)
    stage = ["compare", str(tmp_path / "tree" / "toy.yaml"), "--results", str(root.parent)]
    assert main([*stage, "--run", RUN, "--benchmark", "countdown"]) == 0
    assert (folder / "differences.csv").read_bytes() == expected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (str(PUBLISHED.parent), f"did you mean {PUBLISHED}?"),
        (str(PUBLISHED / "tables"), f"did you mean {PUBLISHED}?"),
        ("no/such", "give a folder of results"),
        ("quickstrt", "did you mean 'quickstart'?"),
        ("smoke", "provenance.json is missing"),
    ],
)
def test_what_holds_no_results_is_told(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", name, str(PUBLISHED), "--results", str(tmp_path)]) == EXIT_USER_ERROR
    assert said in capsys.readouterr().err


def test_the_step_of_the_docs_is_one(before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The artifact of another run as `gh run download` leaves it."""
    page = (REPOSITORY / "docs" / "diff.md").read_text()
    steps = yaml.safe_load(page.partition("```yaml\n")[2].partition("\n```")[0])
    (line,) = [step["run"] for step in steps if step["run"].startswith("boundary-bench")]
    _, command, a, b, *options = line.partition(" | ")[0].split()
    shutil.copytree(before, tmp_path / "before" / "results-0123" / "smoke")
    (there,) = tmp_path.glob(a)
    assert (b, options) == ("smoke", ["--fail-on", "verdicts"])
    assert main([command, str(there), str(before), *options]) == 0 and "0 moved" in capsys.readouterr().out
