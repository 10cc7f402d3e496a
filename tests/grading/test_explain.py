"""``boundary-bench explain``: every step from a response to its grade is there, and hostile text steers no terminal."""

from __future__ import annotations

import io

import pytest

from boundary_bench.commands import main


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """What each line says, by its name."""
    assert main(["explain", *arguments]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    return {line[:15].strip(): line[15:] for line in lines}


def test_the_way_of_an_answer_to_its_grade(capsys: pytest.CaptureFixture[str]) -> None:
    said = explained(capsys, "4.5e33", r"So it is $\boxed{4.5 × 10^33}$.")
    assert said["answer"] == "4.5 × 10^33"
    assert said["as LaTeX"] == r"4.5 \times  10^{33}   against   4.5\times10^{33}"
    assert said["as numbers"] == "4.5e+33   against   4.5e+33"
    assert said["as a string"] == "4.5*10^{33}   against   4.5*10^{33}"
    assert said["grade"] == "correct: equal text"
    assert [said[name].split(":")[0] for name in ("boxed 3", "exact 1", "choice 3", "numeric 3")] == [
        "correct", "wrong", "unparsable", "correct",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("gold", "response", "grade"),
    [
        (r"\frac12", r"\boxed{x+1}", "wrong: unequal by algebra: read as x + 1 against 1/2"),
        ("5", r"\boxed{9^{9^{9^9}}}", "unparsable: limit: powers more than 2 deep"),
        ("5", "I do not know.", "unparsable: no answer found"),
        (r"\sqrt2", r"\boxed{\sqrt8/2}", "correct: equal by algebra: read as sqrt(8)/2 against sqrt(2)"),
    ],
)
def test_the_reason_says_what_was_read_or_which_limit_it_is(
    capsys: pytest.CaptureFixture[str], gold: str, response: str, grade: str
) -> None:
    assert explained(capsys, gold, response)["grade"] == grade


def test_another_grader_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("The answer is A or B\n"))
    said = explained(capsys, "A", "-", "--grader", "choice")
    assert said["answer"] == "none: several letters" and said["grade"] == "unparsable: several letters"
    assert main(["explain", "A", "B", "--grader", "chioce"]) == 2
    assert "explain --grader: no grader 'chioce'; did you mean 'choice'?" in capsys.readouterr().err


def test_no_character_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "\x1b[2J5", "\\boxed{\u202e\x1b[31m}"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\u202e" not in out and r"\x1b[2J5" in out
