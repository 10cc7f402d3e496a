"""Answers from public threads on graders, and others of the same kinds: what each grader must say of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from boundary_bench.grading import Verdict
from boundary_bench.grading.graders import GRADERS

DATA = Path(__file__).parent.parent / "data"

#: (where it was reported, grader, reference, response, whether it is correct)
REPORTED = [
    ("Math-Verify#10", "math", "0<x<12.5", r"\boxed{(0,12.5)}", True),
    ("Math-Verify#14", "math", r"\frac{1}{2^{99}}", r"\boxed{\frac{1}{2^{98}}}", False),
    ("Math-Verify#14", "math", r"6.6\times10^{-34}", r"\boxed{1.1\times10^{-31}}", False),
    ("Math-Verify#14", "math", "n=2,3,4", r"\boxed{n=1,2,3}", False),
    ("Math-Verify#14", "math", r"\pm 7", r"\boxed{7}", False),
    ("Math-Verify#14", "math", "12:00", r"\boxed{1:00}", False),
    ("Math-Verify#14", "math", r"1-\frac1e", r"\boxed{1+\frac1e}", False),
    ("Math-Verify#25", "math", r"x\ge\sqrt2", r"\boxed{[\sqrt2,\infty)}", True),
    ("Math-Verify#26", "math", "2x+4y-3=0", r"\boxed{y=-\frac12x+\frac34}", True),
    ("Math-Verify#35", "math", r"\frac12", r"\boxed{\frac{1}{2}}", True),
    ("Math-Verify#37", "math", "13", r"\boxed{\text{13}}", True),
    ("Math-Verify#40", "math", r"\frac{x^2}{4}+\frac{y^2}{3}=1", r"\boxed{\frac{x^2}{16}+\frac{y^2}{12}=1}", False),
    ("Math-Verify#60", "math", "3x-y+13=0", r"\boxed{3x+4y+14=0}", False),
    ("Math-Verify#64", "math", r"\sqrt{1/n}", r"\boxed{\frac{1}{\sqrt{n}}}", True),
    ("Math-Verify#67", "math", r"28\%", r"\boxed{28}", True),
    ("Math-Verify#76", "math", "73", "So it is **73**.\n\nFinal Answer: **73**", True),
    ("Math-Verify#81", "math", r"\frac{14}{3}", r"\boxed{4 2/3}", True),
    ("Math-Verify#2", "math", "34x+45y-20z+100=0", r"\boxed{-34x-45y+20z-100=0}", True),
    ("Minerva", "math", "1.325e-27", r"\boxed{1.325\times 10^{-27}}", True),
    ("Minerva", "math", "8.7e8", r"\boxed{870000000}", True),
    ("college_math", "math", "x^{2} y^{2}", r"\boxed{x^2y^2}", True),
    ("college_math", "math", "4 x^{2} y^{4} z^{2}", r"\boxed{4x^2y^4z^2}", True),
    ("limits", "math", r"\frac{10^{2018}-1}{9}", r"\boxed{\frac{10^{2018}-1}{9}}", True),
    ("limits", "math", "2013!", r"\boxed{2013!}", True),
    ("opencompass#2647", "numeric", "9500", r"\boxed{\$9{,}500}", True),
    ("opencompass#2647", "numeric", "8000", r"\boxed{8,000}", True),
    ("reasoning-from-scratch#133", "math", r"11,\! 111,\! 100", r"\boxed{11111100}", True),
    ("reasoning-from-scratch#133", "math", "52_8", r"\boxed{528}", False),
    ("reasoning-from-scratch#133", "math", "1010_2", r"\boxed{1010_3}", False),
    ("lm-evaluation-harness#3214", "numeric", "29", "...comes to $29.00.", True),
    ("inspect_ai#1622", "numeric", "20", "The answer is 20% of 100.", True),
    ("inspect_ai#3916", "numeric", "-5", r"\boxed{−5}", True),
    ("inspect_ai#3916", "numeric", "5", r"\boxed{−5}", False),
    ("inspect_ai#4646", "numeric", "460", r"\text{ANSWER: } \$460", True),
    ("inspect_ai#4742", "numeric", "42", "The answer is (42).", True),
    ("PostTrainBench#44", "numeric", "11", "ANSWER: 711", False),
    ("Math-Verify#36", "numeric", "50", r"\boxed{50\text{ cm}^2}", True),
    ("Math-Verify#36", "numeric", "4", r"\boxed{\frac{3}{4}}", False),
    ("Math-Verify#36", "numeric", "0.75", r"\boxed{\frac{3}{4}}", True),
    ("sglang#29933", "numeric", "18", "#### 18\n\nQuestion: Ann has 5.\nAnswer: 5+2=7\n#### 7", True),
    ("verl#7274", "numeric", "42", "#### 42\nand that is consistent. and that is consistent. and that is con", True),
    ("lm-evaluation-harness#2552", "math", "42", r"Thus the answer is \[ \boxed{42} \]", True),
    ("lm-evaluation-harness#2552", "math", "42", "Thus the answer is \\[\n42\n\\]", True),
    ("lm-evaluation-harness#3477", "math", "6", r"\boxed{6}. As asked, I put it in \boxed{}.", True),
    ("lm-evaluation-harness#3643", "math", "4", "**Answer:** 4.", True),
    ("lm-evaluation-harness#3644", "math", "3,5,7", r"The roots are \boxed{3}, \boxed{5} and \boxed{7}.", True),
    ("tinker-cookbook#903", "math", "7", r"First \boxed{5}; wrong. Now \boxed{7}.", True),
    ("promptfoo#9142", "math", "3", r"work \boxed{2}, final answer: 3", True),
    ("slime#2150", "math", "5", r"\fbox{5}", True),
    ("verl#2446", "math", "033", r"\boxed{33}", True),
    ("verl#2446", "boxed", "033", r"\boxed{33}", True),
    ("open-r1#628", "math", "5", "The answer is 5, because 2+3=5.", True),
    ("omlx#3668", "choice", "B", "The answer is B. Note that A is common.", True),
    ("omlx#3668", "choice", "C", "The answer is C because I computed it.", True),
    ("omlx#3668", "choice", "B", "The answer is B. That answer is a good one.", True),
    ("Skills#1526", "choice", "D", "We have \\boxed{H_2O}.\n**Answer: D**", True),
    ("Gym#1844", "choice", "E", r"\boxed{E: a polygenic score}", True),
    ("Gym#1844", "choice", "E", r"\boxed{\text{E}}", True),
    ("inspect_ai#3910", "choice", "B", "Answer: b", True),
    ("inspect_ai#3910", "choice", "A", r"\boxed{A, B, C, D}", False),
    ("lm-evaluation-harness#4188", "choice", "B", "B. 4", True),
    ("lm-evaluation-harness#4188", "choice", "B", "The answer is B because a car moves.", True),
    ("lm-evaluation-harness#4188", "choice", "B", "Answer：B", True),
    ("inspect_ai#5145", "choice", "A", "ANSWER: $A$", True),
    ("openbench#348", "choice", "A", "Answer seems to be A.\n\nAnswer: A", True),
    ("simple-evals#33", "choice", "C", "Antwort:\n\nAntwort: C", True),
    ("Qwen2.5-Math#29", "math", r"\left( 3, \frac{\pi}{2} \right)", r"\boxed{(3,\frac{\pi}{2})}", True),
    ("Latex-Sympy-Calculator#26", "math", r"\frac{1}{2}", r"\boxed{\frac12}", True),
    ("OpenThoughts-Agent#129", "math", "(0,1)", r"\boxed{\{0,1\}}", False),
]

#: kind -> (grader, reference, response, whether it is correct): further members of the kinds above
LIKEWISE = {
    "products of powers are no towers": [
        ("math", "e^x e^y", r"\boxed{e^xe^y}", True),
        ("math", "2^3 x^2", r"\boxed{2^3x^2}", True),
        ("math", "x^n y^n", r"\boxed{x^ny^n}", True),
        ("math", "a^2b^3c^4", r"\boxed{c^4 b^3 a^2}", True),
        ("math", "a^2b^3c^4", r"\boxed{a^3b^2c^4}", False),
        ("boxed", "2 a^{3} b^{4}", r"\boxed{2a^3b^4}", True),
    ],
    "scientific notation": [
        ("math", "4.5e33", r"\boxed{4.5 \times 10^{33}}", True),
        ("math", "4.5e33", r"\boxed{4.5\cdot10^{33}}", True),
        ("math", "4.5e33", r"\boxed{4.5E+33}", True),
        ("math", "4.5e33", r"\boxed{4.5 × 10³³}", True),
        ("math", "4.5e33", r"\boxed{4.5x10^33 \text{ erg}}", True),
        ("math", "4.5e33", r"\boxed{4.5 \times 10^{32}}", False),
        ("math", r"3 \times 10^{-7}", r"\boxed{0.0000003}", True),
        ("math", "1e38", r"\boxed{10^{38}}", True),
        ("math", "-2e-3", r"\boxed{-0.002}", True),
        ("math", r"2.0\mathrm{e}{-3}", r"\boxed{.002}", True),
        ("math", "2e", r"\boxed{2e}", True),
        ("math", "e^2", r"\boxed{7.389056}", True),
        ("boxed", "6.02e23", r"\boxed{6.02\times 10^{23}}", True),
        ("numeric", "6.02e23", r"#### 6.02 x 10^23", True),
    ],
    "no absolute rounding": [
        ("math", "1-2^{-60}", r"\boxed{1-2^{-61}}", False),
        ("math", "0.0000001", r"\boxed{0.0000002}", False),
        ("math", r"(\frac{1}{2^{99}},1)", r"\boxed{(\frac{1}{2^{98}},1)}", False),
        ("math", "x=10^{-20}", r"\boxed{x=10^{-21}}", False),
        ("math", "x=10^{-20}y", r"\boxed{x=10^{-21}y}", False),
        ("math", r"\sqrt{2}\cdot 10^{-9}", r"\boxed{\sqrt{3}\cdot 10^{-9}}", False),
        ("math", r"\begin{pmatrix}2^{-40}\\1\end{pmatrix}", r"\boxed{\begin{pmatrix}2^{-41}\\1\end{pmatrix}}", False),
        ("math", r"\frac13", r"\boxed{0.333333}", True),
        ("math", r"\frac13", r"\boxed{0.3333}", False),
        ("math", r"10^{-9}/3", r"\boxed{3.33333 \times 10^{-10}}", True),
        ("math", r"10^{-9}/3", r"\boxed{3.4 \times 10^{-10}}", False),
        ("math", r"\pi", r"\boxed{3.141593}", True),
        ("math", "1234567", r"\boxed{1234567.4}", False),
        ("math", "2000000", r"\boxed{2000001}", False),
        ("math", "299792458", r"\boxed{2.997925\times10^8}", True),
        ("math", r"\frac{10^7}{7}", r"\boxed{1428571.43}", True),
    ],
    "text of the reference is correct before any limit": [
        ("math", r"\frac{1}{2004!}", r"\boxed{\dfrac{1}{2004!}}", True),
        ("math", "9^{8^{8^9}}", r"\boxed{9^{8^{8^{9}}}}", True),
        ("math", "2018^{2018}", r"\boxed{$2018^{2018}$}", True),
        ("math", r"(1+i)(1-2^{-2^{2001}})", r"\boxed{(1 + i)(1 - 2^{-2^{2001}}).}", True),
        ("math", "5!!", r"\boxed{5!!}", True),
        ("math", "9^{8^{8^9}}", r"\boxed{9^{8^{8^8}}}", False),
        ("math", "2013!", r"\boxed{2012!}", False),
        ("math", "2013!", r"\boxed{2013 \cdot 2012!}", True),
    ],
    "signs and spaces of Unicode and LaTeX": [
        ("math", "3159", r"\boxed{3\,159}", True),
        ("math", "3159", "\\boxed{3\u2009159}", True),
        ("math", "1250000", r"\boxed{1\,250\,000}", True),
        ("math", r"\sqrt{2}", r"\boxed{√2}", True),
        ("math", r"3\sqrt{5}", r"\boxed{3√5}", True),
        ("math", r"\sqrt{x+1}", r"\boxed{√(x+1)}", True),
        ("math", r"\frac12", r"\boxed{½}", True),
        ("math", r"\frac92", r"\boxed{4½}", True),
        ("math", "12", r"\boxed{１２}", True),
        ("math", "12", "\\boxed{12\u200b}", True),
        ("math", "(1,2)", r"\boxed{（1，2）}", True),
        ("math", "-3", r"\boxed{−3}", True),
        ("math", r"2\pi", r"\boxed{2π}", True),
        ("math", r"x^2y^{10}", r"\boxed{x²y¹⁰}", True),
        ("math", r"90^\circ", r"\boxed{90°}", True),
        ("math", r"x \ge 3", r"\boxed{x ≥ 3}", True),
        ("math", r"(-\infty, 3]", r"\boxed{(−∞, 3]}", True),
        ("boxed", "-3", r"\boxed{−3}", True),
        ("boxed", "3159", r"\boxed{3\,159}", True),
        ("numeric", "1000", "It is 1\u202f000.", True),
    ],
    "mixed numbers, dots, styles": [
        ("math", r"\frac{14}{3}", r"\boxed{4\frac{2}{3}}", True),
        ("math", r"-\frac{7}{2}", r"\boxed{-3 1/2}", True),
        ("math", r"\frac{42}{3}", r"\boxed{4 2/3}", False),
        ("math", "27", r"\boxed{27.}", True),
        ("math", r"\frac{3}{7}", r"\boxed{\frac{3}{7}.}", True),
        ("math", "2", r"\boxed{\textcolor{red}{2}}", True),
        ("math", "2", r"\boxed{\underline{2}}", True),
        ("math", "x+1", r"\boxed{\mathbf{x+1}}", True),
        ("math", "x^{2}", r"\boxed{\boldsymbol{x^{2}}}", True),
        ("math", "033", r"\boxed{\text{33}}", True),
        ("math", "33", r"\boxed{\text{033}}", True),
        ("numeric", "033", "33", True),
    ],
    "currency, units, words and times": [
        ("math", "5", r"\boxed{€5}", True),
        ("math", r"\$5", r"\boxed{5\text{ dollars}}", True),
        ("math", r"\$5", r"\boxed{500\text{ cents}}", True),
        ("math", r"\$5", r"\boxed{5\text{ cents}}", False),
        ("math", r"5\text{ million}", r"\boxed{5000000}", True),
        ("math", r"5\text{ million}", r"\boxed{5}", False),
        ("math", r"\$3.2 \text{ billion}", r"\boxed{3200000000}", True),
        ("math", r"5\text{ cm}", r"\boxed{5\text{ m}}", False),
        ("math", r"5\text{ m}", r"\boxed{500\text{ cm}}", True),
        ("math", r"5\text{ m}", r"\boxed{5}", True),
        ("math", r"45\text{ cm}^2", r"\boxed{45\text{ square centimeters}}", True),
        ("math", r"45\text{ cm}^2", r"\boxed{45\text{ cm}^3}", False),
        ("math", "60", r"\boxed{60 \text{ miles per hour}}", True),
        ("math", r"2\pi", r"\boxed{2\pi \text{ cm}}", True),
        ("math", "5t", r"\boxed{5}", False),
        ("math", "x+2m", r"\boxed{x+2}", False),
        ("math", r"5:30\text{ am}", r"\boxed{5:30\text{ pm}}", False),
        ("math", r"5:30\text{ pm}", r"\boxed{17:30}", True),
        ("math", r"5:30\text{ pm}", r"\boxed{5:30 \text{ p.m.}}", True),
        ("math", r"\text{even}", r"\boxed{neve}", False),
        ("math", "even", r"\boxed{neve}", False),
        ("math", r"\text{Monday}", r"\boxed{monday}", True),
        ("numeric", "5000000", "That makes $5 million.", True),
    ],
    "a number whole, and the first after its cue": [
        ("numeric", "70000", r"\boxed{70,\!000}", True),
        ("numeric", "70000", r"\boxed{70\,000}", True),
        ("numeric", "70000", r"\boxed{70 000}", True),
        ("numeric", "1.5", r"\boxed{1 1/2}", True),
        ("numeric", "2", r"\boxed{1 1/2}", False),
        ("numeric", "3000000", r"\boxed{3\times10^6}", True),
        ("numeric", "6", r"\boxed{3\times10^6}", False),
        ("numeric", "1000000", r"\boxed{1e6}", True),
        ("numeric", "-15", r"\boxed{10-15}", False),
        ("numeric", "15", r"\boxed{10-15}", False),
        ("numeric", "30", "It ends at 5:30", False),
        ("numeric", "18", "#### 18 eggs per 7 days", True),
        ("numeric", "7", "#### 18 eggs per 7 days", False),
        ("numeric", "8", r"\boxed{5+3=8}", True),
        ("numeric", "18", r"\boxed{18 \text{ eggs per 7 days}}", True),
        ("numeric", "50", r"\boxed{50 \text{ m}^3}", True),
        ("numeric", "2", r"\boxed{H_2O}", False),
        ("numeric", "-5", "The answer is −5 degrees.", True),
        ("numeric", "12", "From 10-12 it rains: 12", True),
    ],
    "the sentence after its cue": [
        ("math", "42", "The answer is $$\n42\n$$", True),
        ("math", "5", "The answer is $5$ (see above).", True),
        ("math", "5", "The answer is therefore 5", True),
        ("math", "5", "The answer is approximately 5.", True),
        ("math", "5", "The answer is 5.\nI hope this answer is helpful!", True),
        ("math", "5", "The answer is 5 since 2+3=5", True),
        ("math", "5", "The answer is 5, which we wanted to show.", True),
        ("math", "5", "The final answer is: **5**", True),
        ("math", r"\frac12", r"So the answer is \(\frac{1}{2}\), as required.", True),
        ("math", "3,5", "The answer is $3$ and $5$.", True),
        ("math", "Monday", "The answer is Monday.\nI hope that answer is right.", True),
        ("math", "7", "The answer is 5. No, the answer is 7.", True),
        ("math", "5", "Réponse : 5", True),
        ("math", "5", "答案是5。", True),
    ],
    "empty boxes hide nothing, and bare ones are boxes": [
        ("math", "6", r"\boxed{6} and \boxed{ } and \fbox{}", True),
        ("math", "6", r"The answer is 6, written \boxed{}.", True),
        ("numeric", "6", r"So 6. I put it in \boxed{}.", True),
        ("math", "2", r"so \boxed2", True),
        ("math", "9", r"$x^2+y^2 = \boxed 9$.", True),
        ("math", r"\frac12", r"$\boxed \frac{1}{2}$", True),
        ("math", "-4", r"$\boxed -4$", True),
        ("choice", "B", r"\boxed B", True),
    ],
    "several boxes": [
        ("math", "3,5,7", r"$x=\boxed{3}$, $\boxed{5}$ or $\boxed{7}$", True),
        ("math", "3,5,7", r"\boxed{3}, \boxed{5} and \boxed{8}", False),
        ("math", "3,5", r"Not \boxed{4}. The roots are \boxed{5} and \boxed{3}", True),
        ("math", "(3,5)", r"$x = \boxed{3}$, $y = \boxed{5}$", True),
        ("math", "(5,3)", r"$x = \boxed{3}$, $y = \boxed{5}$", False),
        ("math", r"\{3,5\}", r"\boxed{3} \text{ and } \boxed{5}", True),
        ("math", "7", r"\boxed{3}, \boxed{5} and \boxed{7}", True),
        ("boxed", "3,5,7", r"\boxed{3}, \boxed{5} and \boxed{7}", True),
    ],
    "another question is another answer": [
        ("math", "5", "\\boxed{5}\n\nQuestion: What is 3+4?\nAnswer: \\boxed{7}", True),
        ("math", "7", "\\boxed{5}\n\nProblem 2. What is 3+4?\n\\boxed{7}", False),
        ("math", "5", "The answer is 5.<|im_end|>\n<|im_start|>user\n\\boxed{7}", True),
        ("numeric", "18", "#### 18\n\n### Question: two more\n#### 2", True),
        ("math", "7", "Question: what is 3+4?\n\\boxed{7}", True),
        ("choice", "A", "Answer: A\nHuman: and the next?\nAnswer: B", True),
    ],
    "one letter": [
        ("choice", "G", r"\boxed{G=3}", False),
        ("choice", "E", r"\boxed{E=mc^2}", False),
        ("choice", "A", r"\boxed{A+B}", False),
        ("choice", "A", "The answer is A or B.", False),
        ("choice", "A", "The answer is A and C.", False),
        ("choice", "A", r"\boxed{A/B}", False),
        ("choice", "A", r"\boxed{(A), (B)}", False),
        ("choice", "A", "The answer is A. \\boxed{A, B, C, D}", False),
        ("choice", "D", "A. 1\nB. 2\nC. 3\nD. 4", False),
        ("choice", "B", r"\boxed{b}", True),
        ("choice", "B", "(B) a mirror", True),
        ("choice", "B", "So it reflects.\nB) a mirror", True),
        ("choice", "B", "Option B is correct.", True),
        ("choice", "B", "Option B is correct. Option C is wrong.", True),
        ("choice", "B", "The correct option is B.", True),
        ("choice", "B", "I would choose (B), since it reflects.", True),
        ("choice", "B", "The answer is I think B", True),
        ("choice", "I", "The answer is I think B", False),
        ("choice", "A", "The answer is a mirror.", False),
        ("choice", "C", r"\boxed{\textbf{(C)}\ 12}", True),
        ("choice", "C", "答案：C", True),
        ("choice", "D", "Respuesta: (d)", True),
        ("choice", "C", "**Answer:** (C) the Sun", True),
    ],
    "bases": [
        ("math", "1010_2", r"\boxed{1010}", True),
        ("math", "1010", r"\boxed{1010_{2}}", True),
        ("math", r"1010_{\text{two}}", r"\boxed{1010_2}", True),
        ("math", "52_8", r"\boxed{52_9}", False),
        ("math", "11111_2", r"\boxed{31}", False),
        ("math", "1010_2", r"\boxed{10_{10}}", False),
        ("math", r"\text{A5}_{11}", r"\boxed{A5_{11}}", True),
        ("math", "1010_2", r"\boxed{1010 \text{ (base 2)}}", True),
    ],
    "what math-verify takes for equal": [
        ("math", r"\{0,1\}", r"\boxed{(0,1)}", False),
        ("math", r"\{\sqrt2,\sqrt3\}", r"\boxed{(\sqrt2,\sqrt3)}", False),
        ("math", "x^2+1=0", r"\boxed{x^2+2=0}", False),
        ("math", "N=n", r"\boxed{N=n+1}", False),
        ("math", "R+r", r"\boxed{2r}", False),
        ("math", "x+y+z=0", r"\boxed{0}", False),
        ("math", "f'", r"\boxed{f}", False),
        ("math", r"\frac15", r"\boxed{\frac{7}{5}+\oint\frac{1}{5}}", False),
        ("math", "70,110", r"\boxed{70, 110}", True),
        ("math", "2500,7500", r"\boxed{7500, 2500}", True),
    ],
    "what math-verify takes for unequal": [
        ("math", r"\sqrt{x^2}", r"\boxed{x}", False),
        ("math", r"\frac{1}{\sqrt{n}}", r"\boxed{\sqrt{1/n}}", True),
        ("math", r"\sqrt{\frac{a}{b}}", r"\boxed{\frac{\sqrt a}{\sqrt b}}", True),
        ("math", "-1", r"\boxed{e^{i\pi}}", True),
        ("math", r"e^{i\pi/4}", r"\boxed{\frac{\sqrt2}{2}(1+i)}", True),
        ("math", r"\frac13", r"\boxed{0.\overline{3}}", True),
    ],
}  # fmt: skip


#: Answers that were written to deceive the graders, and right ones in odd dress; a line each.
TRIED = [json.loads(line) for line in (DATA / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("where", "grader", "reference", "response", "correct"), REPORTED)
def test_reported_answers(where: str, grader: str, reference: str, response: str, correct: bool) -> None:
    grade = GRADERS[grader].grade(reference, response)
    assert (grade.verdict is Verdict.CORRECT) == correct, (where, grade)


@pytest.mark.parametrize(
    ("grader", "reference", "response", "correct"),
    [pytest.param(*case, id=f"{kind}-{i}") for kind, cases in LIKEWISE.items() for i, case in enumerate(cases)],
)
def test_others_of_the_same_kinds(grader: str, reference: str, response: str, correct: bool) -> None:
    grade = GRADERS[grader].grade(reference, response)
    assert (grade.verdict is Verdict.CORRECT) == correct, grade


@pytest.mark.parametrize("kind", sorted({row["kind"] for row in TRIED}))
def test_answers_that_were_tried(kind: str) -> None:
    rows = [row for row in TRIED if row["kind"] == kind]
    grades = [GRADERS[row["grader"]].grade(row["reference"], row["response"]) for row in rows]
    differ = [
        (row, grade) for row, grade in zip(rows, grades, strict=True) if (grade.verdict == "correct") != row["correct"]
    ]
    assert not differ


def test_no_wrong_answer_is_unreadable_where_another_writes_it_so() -> None:
    """A style that one policy has must cost it nothing: the same answer is judged alike in every notation."""
    for written in ("x^2y^2", "x^{2}y^{2}", "x^2 y^2", "x²y²", r"x^2\cdot y^2"):
        grades = [GRADERS["math"].grade(gold, f"\\boxed{{{written}}}").verdict for gold in ("x^2y^2", "x^2y^3")]
        assert grades == [Verdict.CORRECT, Verdict.WRONG], written
