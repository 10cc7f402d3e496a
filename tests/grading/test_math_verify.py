"""What math-verify by itself gets wrong, and is mended here: a failure means that upstream has mended it too.

Then the mend can go: the right verdict is asked for in ``test_grading_cases.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: mend -> (reference, answer, the right verdict), which math-verify does not give
FAULTS = {
    "algebra._apart: numbers are rounded to six decimals": [
        (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}", False),
        ("0.0000001", "0.0000002", False),
        ("x=10^{-20}", "x=10^{-21}", False),
    ],
    "algebra._library: equations without a solution are all equal": [
        ("x^2+1=0", "x^2+2=0", False),
        (r"0.56=56\%", r"0.46=56\%", False),
    ],
    "rewriting: capital and small letters are one": [("R+r", "2r", False)],
    "algebra._alike: braces are parentheses": [(r"\{0,1\}", "(0,1)", False)],
    "algebra._alike: primes are not seen": [("f'", "f", False)],
    "algebra._alike: 0 answers an implicit equation": [("x+y+z=0", "0", False)],
    "algebra.parsed: units are taken off formulas": [("5t", "5", False), ("x+2m", "x+2", False)],
    "algebra.parsed: a fraction stands for what cannot be read": [(r"\frac15", r"\frac{7}{5}+\frac{1}{5} i..", False)],
    "rewriting: a number before brackets is added": [("17", "12(5)", False), ("60", "12(5)", True)],
    "rewriting: such letters in commands and with indices too": [
        (r"\frac{R}{r}", "1", False),
        (r"\frac{R}{r}", r"\frac{r}{R}", False),
        ("I_1", "I_2", False),
    ],
    "rewriting: letters that are constants": [
        (r"\gamma m", "0.5772156649 m", False),
        (r"\Pi", "3.14159265358979", False),
    ],
    "rewriting: derivatives are zero": [(r"\frac{dy}{dx}", "0", False), ("y'", "y", False)],
    "rewriting: degrees are dropped": [(r"\sin 30^\circ", r"\frac12", True)],
    "rewriting: intervals are not answered by relations": [(r"(3,\infty)", "x>3", True)],
    "algebra._times: units of formulas": [(r"x+y\text{ cm}", r"x+y\text{ m}", False)],
    "readings: lists are sets": [("1,1,2", "1,2", False)],
    "equations: 5 answers an equation of two variables": [("x+y=5", "5", False)],
    "algebra._same_formula: roots of quotients, complex powers": [
        (r"\sqrt{1/n}", r"\frac{1}{\sqrt{n}}", True),
        ("-1", r"e^{i\pi}", True),
    ],
    "readings: bases are not read": [("1010_2", "1010_3", False), ("52_8", "52_9", False)],
    "readings: halves of the day are not read": [(r"5:30\text{ am}", r"5:30\text{ pm}", False)],
    "readings: 70,110 may be two numbers": [("70,110", "70 and 110", True)],
    "values: numbers in words, mixed numbers": [
        (r"5\text{ million}", "5", False),
        (r"5\text{ million}", "5000000", True),
        (r"\frac{14}{3}", "4 2/3", True),
    ],
    "units: units are not compared": [(r"5\text{ cm}", r"5\text{ m}", False)],
    "typography: e is Euler's": [("4.5e33", r"4.5\times10^{33}", True)],
    "typography: spaces, dots, styles and signs": [
        (r"10\,000", "10000", True),
        ("2.", "2", True),
        (r"\textcolor{red}{2}", "2", True),
        (r"\boldsymbol{2}", "2", True),
        (r"\mathbf{x+1}", "x+1", True),
        ("５", "5", True),
        ("（1，2）", "(1,2)", True),
        ("€5", "5", True),
    ],
    "graders._words: words are products of letters": [("even", "neve", False)],
}

SCRIPT = """
import json, logging, sys
from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

logging.disable(logging.CRITICAL)
targets = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
read = lambda text: parse(f"\\\\boxed{{{text}}}", targets, parsing_timeout=None)
pairs = json.load(sys.stdin)
print(json.dumps([verify(read(gold), read(answer), timeout_seconds=None) for gold, answer, _ in pairs]))
"""


@pytest.fixture(scope="module")
def upstream() -> dict[tuple[str, str], bool]:
    """The verdicts of math-verify, in a process that knows nothing of the mends."""
    pairs = [case for cases in FAULTS.values() for case in cases]
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, input=json.dumps(pairs), capture_output=True, text=True, check=True)
    return {(gold, answer): said for (gold, answer, _), said in zip(pairs, json.loads(done.stdout), strict=True)}


@pytest.mark.parametrize(
    ("reference", "answer", "right"),
    [pytest.param(*case, id=f"{mend}-{i}") for mend, cases in FAULTS.items() for i, case in enumerate(cases)],
)
def test_math_verify_still_needs_the_mend(
    upstream: dict[tuple[str, str], bool], reference: str, answer: str, right: bool
) -> None:
    assert upstream[reference, answer] is not right, "math-verify has it right now: the mend can go"


@pytest.mark.parametrize(
    ("reference", "answer", "right"), [case for cases in FAULTS.values() for case in cases if ".." not in case[1]]
)
def test_here_it_is_right(reference: str, answer: str, right: bool) -> None:
    from boundary_bench.grading.graders import mathematics

    ruling = mathematics(reference, answer)
    assert (ruling.verdict == "correct") is right, ruling
