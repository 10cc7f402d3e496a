"""Explanation of a grade: the extracted answer, the readings of answer and reference, and the grades of all graders."""

from __future__ import annotations

from boundary_bench.core.text import plain
from boundary_bench.grading import Grade, Grader, JudgeAll, Nothing, grade_all
from boundary_bench.grading.graders import GRADERS
from boundary_bench.grading.normal import normal
from boundary_bench.grading.readings import readings
from boundary_bench.grading.typography import dress

WIDTH = 15


def explain(reference: str, response: str, grader: Grader, judge: JudgeAll) -> str:
    """The steps from a response that ended by itself to its grade, one a line.

    Raises:
        GradingError: a process of a grader does not start.
    """
    answer = grader.extract(response)
    lines = [_line("grader", grader.label), _line("reference", reference)]
    lines += [_line("answer", f"none: {answer.reason}" if isinstance(answer, Nothing) else answer)]
    if not isinstance(answer, Nothing):
        lines += [_line(f"  {name}", text) for name, text in _forms(reference, answer)]
    lines += ["", _line("grade", _grade(grader, reference, response, judge)), ""]
    others = (other for other in GRADERS.values() if other.name != grader.name)
    lines += [_line(other.label, _grade(other, reference, response, judge)) for other in others]
    return "\n".join(lines)


def _forms(reference: str, answer: str) -> list[tuple[str, str]]:
    """The readings of both: without typography, as numbers if possible, and in the form of the grader ``boxed``."""
    steps = {
        "as LaTeX": dress,
        "as numbers": lambda text: " or ".join(map(str, readings(dress(text)))) or "none",
        "as a string": normal,
    }
    return [(name, f"{step(answer)}   against   {step(reference)}") for name, step in steps.items()]


def _grade(grader: Grader, reference: str, response: str, judge: JudgeAll) -> str:
    grade: Grade = grade_all(grader, reference, [response], [True], judge)[0]
    return f"{grade.verdict}: {grade.reason}"


def _line(name: str, text: str) -> str:
    """A name and a text, with control characters escaped so that they cannot steer a terminal."""
    return f"{name:<{WIDTH}}{plain(text)}"
