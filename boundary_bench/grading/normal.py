r"""One way to write an answer: the string form in which the second grader compares.

In the tradition of the MATH data set and of Minerva, and independent of any algebra: layout, units, dollar and percent
signs go, ``\dfrac`` and ``1/2`` become ``\frac{1}{2}``. ``2/4`` stays unequal to ``1/2``.
"""

from __future__ import annotations

import re

#: In this order.
RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\[dtc]frac", r"\\frac"),
        (r"\\(?:left|right|displaystyle|limits|mleft|mright)(?![a-zA-Z])", ""),
        (r"\{,\}", ","),
        (r"(?<!\\)\\[!,;: ]|~|\\q?quad(?![a-zA-Z])", " "),
        (r"\\\$|\$", ""),
        (r"\\?%|\\text\{\s*percent\s*\}", ""),
        (r"\^\s*(?:\{\s*\\circ\s*\}|\\circ)|°|\\text\{\s*degrees?\s*\}", ""),
        (r"(?<=\d)\s*\\(?:text|mathrm|mbox|textrm)\s*\{[^{}]*\}(?:\^\{?\d\}?)?\s*$", ""),
        (r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}", r"\1"),
        (r"\\(?:begin|end)\{[bvBV]?matrix\}", lambda match: re.sub(r"[bvBV]matrix", "pmatrix", match[0])),
        (r"\\geq(?![a-zA-Z])", r"\\ge"),
        (r"\\leq(?![a-zA-Z])", r"\\le"),
        (r"\\neq(?![a-zA-Z])", r"\\ne"),
        (r"\\infin(?:ity)?(?![a-zA-Z])", r"\\infty"),
        (r"\\cdot(?![a-zA-Z])|\\times(?![a-zA-Z])", "*"),
        (r"^\s*\\?[a-zA-Z]{1,8}\s*(?:\([a-zA-Z]\))?\s*(?<![<>!])=(?!.*=)", ""),
        (r"(?<=\d),(?=\d{3}(?!\d))(?!.*,\s)", ""),
        (r"\\sqrt\s*([0-9a-zA-Z])", r"\\sqrt{\1}"),
        (r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{"),
        (r"(\\frac\s*\{[^{}]*\})\s*(\d)", r"\1{\2}"),
        (r"^\s*(-?)\s*(\d+)\s*/\s*(\d+)\s*$", r"\1\\frac{\2}{\3}"),
        (r"\\frac\{-(\d+)\}", r"-\\frac{\1}"),
        (r"(?<![\d.])\.(?=\d)", "0."),
        (r"(\d)\.0+(?!\d)", r"\1"),
        (r"(\.\d*?[1-9])0+(?!\d)", r"\1"),
        (r"\s+", ""),
        (r"^\(([a-zA-Z])\)$", r"\1"),
        (r"\.$", ""),
    )
]
HALF = ("0.5", r"\frac{1}{2}")


def normal(answer: str) -> str:
    r"""The normal form of an answer.

    >>> normal(r"x = \dfrac12\text{ cm}"), normal("1,000.0 %")
    ('\\frac{1}{2}', '1000')
    """
    for pattern, replacement in RULES:
        answer = pattern.sub(replacement, answer)
    return HALF[1] if answer == HALF[0] else answer
