"""The command line: parsers of signatures, help by what a person wants, and names that are not in a study."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Annotated, Literal

import pytest

from boundary_bench.commands import arguments, main, parser, stages, tools
from boundary_bench.core.errors import EXIT_USER_ERROR
from boundary_bench.plan import make_plan
from boundary_bench.plan.stages import STAGES


def odd_(
    study: Annotated[str, "whose"],
    other: str | None = None,
    *,
    policy: str,
    step: int = 3,
    to: Annotated[Path | None, "where"] = None,
    how: Annotated[Literal["fast", "well"], "which way"] = "well",
    json_: Annotated[bool, "for programs"] = False,
    hidden: Annotated[str | None, ""] = None,
) -> int:
    """Do something odd.

    The second paragraph.
    """
    print(study, other, policy, step, to, how, json_, hidden)
    return 7


def parse(*words: str) -> arguments.Command:
    return arguments.call(arguments.parser("program", "about", "1", {"some": [odd_]}).parse_args(["odd", *words]))


def test_a_signature_is_a_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse("a", "--policy", "p") == 7
    assert capsys.readouterr().out == "a None p 3 None well False None\n"
    assert (
        parse("a", "b", "--policy", "p", "--step", "4", "--to", "x/y", "--how", "fast", "--json", "--hidden", "h") == 7
    )
    assert capsys.readouterr().out == "a b p 4 x/y fast True h\n"


@pytest.mark.parametrize(
    "words, said",
    [
        (["a"], "required: --policy"),
        ([], "required: study, --policy"),
        (["a", "--policy", "p", "--step", "x"], "--step: invalid int value: 'x'"),
        (["a", "--policy", "p", "--how", "badly"], "invalid choice: 'badly'"),
        (["a", "b", "c", "--policy", "p"], "unrecognized arguments: c"),
    ],
)
def test_what_does_not_fit_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*words)
    assert caught.value.code == 2 and said in capsys.readouterr().err


def test_help_shows_words_defaults_and_no_hidden_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    said = capsys.readouterr().out
    assert "Do something odd.\n\nThe second paragraph." in said
    assert "which way (well)" in said and "{fast,well}" in said and "--step STEP" in said
    assert "hidden" not in said


def test_every_command_is_listed_once_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    commands = next(action.choices for action in parser()._actions if action.dest == "command")
    assert set(STAGES) < set(commands)
    for name, command in commands.items():
        (line,) = [line for line in said.splitlines() if line.startswith(f"  {name} ")]
        assert line.split(maxsplit=1)[1] == (command.description or "").partition("\n")[0]


def test_every_function_of_the_tools_is_a_command() -> None:
    commands = next(action.choices for action in parser()._actions if action.dest == "command")
    functions = {name for name, each in vars(tools).items() if getattr(each, "__module__", "") == tools.__name__}
    assert {name.rstrip("_") for name in functions if name.islower() and not name.startswith("_")} <= set(commands)


def test_a_stage_has_its_wildcards_as_options() -> None:
    commands = next(action.choices for action in parser()._actions if action.dest == "command")
    for name, stage in STAGES.items():
        options = {action.dest for action in commands[name]._actions} - {"help", "study", "results", "settings"}
        assert options == set(stage.wildcards) and callable(stages.function_of(name))


@pytest.mark.parametrize(
    "words, said",
    [
        (["prepare", "smoke", "--benchmark", "countdwn"], "no benchmark 'countdwn' in this study; did you mean"),
        (["measure", "smoke", "--policy", "nobody", "--benchmark", "countdown"], "no policy 'nobody' in this study"),
        (["measure", "smoke", "--policy", "countdown-base", "--benchmark", "training"], "no benchmark 'training'"),
        (["compare", "smoke", "--run", "x", "--benchmark", "countdown"], "no run 'x' in this study"),
        (
            ["train", "smoke", "--run", "countdown-base--grpo--seed0", "--step", "3"],
            "step 3 of run countdown-base--grpo--seed0 is no",
        ),
        (
            ["adopt", "smoke", "--run", "countdown-base--grpo--seed0", "--step", "2"],
            "are made by: boundary-bench train",
        ),
        (
            ["import", "smoke", "--policy", "countdown-base", "--benchmark", "countdown"],
            "its samples are made by: boundary-bench sample",
        ),
        (["pretrain", "smoke", "--model", "x"], "no model 'x' in this study"),
        (
            ["prepare", "smoke", "--benchmark", "training", "--settings", "0" * 12],
            "has changed while the workflow runs",
        ),
        (["claims", "smoke", "--json", "--markdown"], "found --json and --markdown, expected one of them"),
        (["grade", "smoke"], "expected a file of rows"),
    ],
)
def test_names_that_are_not_in_the_study_are_messages(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *(["--results", str(tmp_path)] if words[0] != "grade" else [])]) == 2
    assert said in capsys.readouterr().err
    assert not any(tmp_path.iterdir()), "nothing has been done"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands_and_options(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "forecast" in script and "--success-rate" in script
    if shell == "bash":
        (tmp_path / "script").write_text(script)
        assert subprocess.run(["bash", "-n", str(tmp_path / "script")], check=False).returncode == 0


def test_a_plan_has_every_stage() -> None:
    plan = make_plan("smoke")
    assert all(list(stage.each(plan)) or name in ("probe", "adopt", "import") for name, stage in STAGES.items())


def test_an_error_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "\x1b[2J\u202e"
    (tmp_path / "study.yaml").write_text("study: x\n")
    assert main(["status", str(tmp_path / f"{name}.yaml")]) == EXIT_USER_ERROR
    assert main(["claims", str(tmp_path / "study.yaml"), "--results", name]) == EXIT_USER_ERROR
    said = capsys.readouterr().err
    assert "\\x1b[2J" in said and not {"\x1b", "\u202e"} & set(said)
