r"""Equations as answers: ``x = 2 + 3 = 5`` means 5, ``2x = 5`` is not solved.

The sides of an equation are the texts between its equals signs outside of brackets. The first may be the quantity that
is asked for: a name, a function of names, or an expression of several variables, as in ``x + y = 5``, but not an
expression of one variable, since then the equation is not solved. All other sides are the answer.
"""

from __future__ import annotations

import re

from boundary_bench.grading.units import TEXT

EQUALS = re.compile(r"(?<![<>!:\\])=(?!=)|\\(?:approx|equiv)(?![a-z])")
ROUNDED = re.compile(r"\\approx(?![a-z])")
BRACKET = re.compile(r"\\[{}]|[(){}\[\]]")
OPENING = ("(", "[", "{", "\\{")
NAME = re.compile(
    r"\\?[A-Za-z]+(?:_(?:\w|\\?[a-z]+|\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}))?'*(?:\([^()]*\))?"
    r"|\|[^|]*\||\[[A-Z]+\]|(?:\\(?:angle|triangle|overline|widehat|vec|hat|bar|m))+\s*\{?\s*[A-Za-z]\w*\}?"
    r"|(?:m\s*)?\\angle\s*[A-Za-z]+|\\(?:sin|cos|tan|cot|sec|csc)\s*(?:\\[a-z]+|[A-Za-z]|\([^()]*\))"
    r"|[A-Za-z]\^\{-1\}\([^()]*\)|\\\|.*\\\||\\(?:min|max|det|Pr|dim|deg|gcd|lim|sup|inf|sum|prod|int)(?![a-z]).*"
)
COMMAND = re.compile(r"\\[a-zA-Z]+")
VARIABLE = re.compile(r"[A-Za-z](?:_(?:\w|\{[^{}]*\}))?")
CONSTANTS = {"e", "i", "\\pi"}
MODULUS = re.compile(r"\s*\(?\s*(?:\\[pb]?mod|\\text\{\s*mod\s*\}|\bmod\b)\s*\{?\s*(\w+)\s*\}?\s*\)?$")
NEGATED = re.compile(r"\\(?:not|ne|le|ge)(?![a-z])|[!<>]")


def sides(text: str, sign: re.Pattern[str] = EQUALS) -> list[str]:
    """The sides of a dressed equation; the text itself if it is no equation.

    >>> sides("x = 2+3 = 5"), sides(r"\\sum_{i=1}^{3} i"), sides("f(x=1)")
    (['x', '2+3', '5'], ['\\\\sum_{i=1}^{3} i'], ['f(x=1)'])
    """
    found, done, depth, last = [], 0, 0, 0
    for match in sign.finditer(text):
        for bracket in BRACKET.finditer(text, last, match.start()):
            depth += 1 if bracket[0] in OPENING else -1
        last = match.end()
        if depth <= 0:
            found.append(text[done : match.start()].strip())
            done = match.end()
    return [*found, text[done:].strip()]


def is_quantity(side: str) -> bool:
    """Whether the first side of a dressed equation may be the quantity that is asked for.

    >>> [is_quantity(side) for side in ("x", "f(2)", r"\\cos A", "x+y", "2x", "x^{2}-5x", "2+2", r"\\pi")]
    [True, True, True, True, False, False, False, False]
    """
    if NEGATED.search(side) or side in CONSTANTS:
        return False
    plain = TEXT.sub("", side)
    if NAME.fullmatch(side) or (plain != side and not re.search(r"[\d+*/^=]", plain)):
        return True
    return len({*VARIABLE.findall(COMMAND.sub(" ", plain))} - CONSTANTS) > 1


def without_modulus(reference: str, answer: str) -> tuple[str, str]:
    """A reference and an answer without a modulus that one or both state: ``5 (mod 7)`` is 5.

    >>> without_modulus("5", r"5 \\pmod{7}"), without_modulus(r"5 \\pmod{7}", r"5 \\pmod{8}")
    (('5', '5'), ('5 \\\\pmod{7}', '5 \\\\pmod{8}'))
    """
    found = [MODULUS.search(text) for text in (reference, answer)]
    if len({match[1] for match in found if match}) != 1:
        return reference, answer
    one, other = (
        text[: match.start()] if match else text for text, match in zip((reference, answer), found, strict=True)
    )
    return one, other


def asked(reference: str) -> str | None:
    """The text that an answer must equal if it is no equation; None if the reference requires an equation.

    >>> asked("x = \\\\frac12 = 0.5"), asked("5"), asked("x^{2}+y^{2} = 9")
    ('\\\\frac12', '5', None)
    """
    first, *others = sides(reference)
    if not others:
        return first
    if NAME.fullmatch(first) and first not in CONSTANTS:
        return others[0]
    return None if VARIABLE.search(COMMAND.sub(" ", TEXT.sub("", first))) else first


def answers(text: str, decimal: bool) -> list[str]:
    """The parts of an answer that must all be right: the sides of an equation except the quantity, else the text.

    Args:
        decimal: whether the reference is a decimal number; then a rounded side counts, else the exact ones.

    >>> answers("x = 2+3 = 5", False), answers("2x = 5", False), answers(r"\\pi \\approx 3.14", True)
    (['2+3', '5'], ['2x', '5'], ['3.14'])
    """
    exact, *rounded = (sides(part) for part in sides(text, ROUNDED))
    found = exact[1:] if (len(exact) > 1 or rounded) and is_quantity(exact[0]) else exact
    return [rounded[-1][-1]] if rounded and (decimal or not found) else found
