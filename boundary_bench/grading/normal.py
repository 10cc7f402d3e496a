r"""The normal form of an answer, as a string, in which the grader ``boxed`` compares.

In the tradition of the MATH data set and of Minerva, and independent of any algebra: units, dollar and percent signs
are removed, ``1/2`` becomes ``\frac{1}{2}``. ``2/4`` stays unequal to ``1/2``.
"""

from __future__ import annotations

import re

from boundary_bench.grading.typography import dress
from boundary_bench.grading.values import SIZES

#: Applied in this order to a dressed answer.
RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\\$|[€£¥₹]", ""),
        (r"\\%|\\text\{\s*percent\s*\}|percent\b", ""),
        (r"\^\\circ(?![a-zA-Z])|\\text\{\s*degrees?\s*\}|(?<=\d)\s*degrees?\b", ""),
        (rf"(?<=[\d}}])\s*\\text\{{(?!\s*(?:{'|'.join(SIZES)}))[^{{}}]*\}}(?:\^\{{\d\}})?\s*$", ""),
        (r"\\text\{([^{}]*)\}", r"\1"),
        (r"\\(?:begin|end)\{[bvBV]?matrix\}", lambda match: re.sub(r"[bvBV]matrix", "pmatrix", match[0])),
        (r"\\cdot(?![a-zA-Z])|\\times(?![a-zA-Z])", "*"),
        (r"^\s*\\?[a-zA-Z]{1,8}\s*(?:\([a-zA-Z]\))?\s*(?<![<>!])=(?!.*=)", ""),
        (r"(?<=\d),(?=\d{3}(?!\d))(?!.*,\s)", ""),
        (r"^\s*(-?)\s*(\d+)\s*/\s*(\d+)\s*$", r"\1\\frac{\2}{\3}"),
        (r"\\frac\{-(\d+)\}", r"-\\frac{\1}"),
        (r"(?<![\d.])\.(?=\d)", "0."),
        (r"(\d)\.0+(?!\d)", r"\1"),
        (r"(\.\d*?[1-9])0+(?!\d)", r"\1"),
        (r"(?<![\w.])0+(?=\d)", ""),
        (r"\s+", ""),
        (r"^\(([a-zA-Z])\)$", r"\1"),
        (r"\.$", ""),
    )
]
HALF = ("0.5", r"\frac{1}{2}")


def normal(answer: str) -> str:
    r"""The normal form of an answer.

    >>> normal(r"x = \dfrac12\text{ cm}"), normal("1,000.0 %"), normal("033.")
    ('\\frac{1}{2}', '1000', '33')
    """
    answer = dress(answer)
    for pattern, replacement in RULES:
        answer = pattern.sub(replacement, answer)
    return HALF[1] if answer == HALF[0] else answer
