r"""Rewriting of two dressed answers that math-verify would read differently than a reader.

To math-verify ``I`` is the imaginary unit and ``\gamma`` Euler's constant, upper and lower case are equal, ``12(5)`` is
17, ``\cos 15^\circ`` is the cosine of 15 radians, ``x>3`` is not ``(3,\infty)``, and derivatives are taken of letters
that depend on nothing.
"""

from __future__ import annotations

import re

from boundary_bench.grading.equations import sides
from boundary_bench.grading.readings import brackets_of, parts_of

BRACES = r"\{(?:[^{}]|\{[^{}]*\})*\}"
SUBSCRIPT = rf"_\s*(?:{BRACES}|\\[a-zA-Z]+|\w)"
PRIMES = r"'+|\^\s*(?:\{\s*(?:\\prime\s*)+\}|\\prime(?![a-z]))"
OPERATOR = r"\s*(?:d|\\partial)(?![a-zA-Z]\w)\s*"
GREEK = (
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau|upsilon|phi|chi|psi|omega|"
    "pi|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega"
)
#: Derivatives, numerals with a base, letters with subscripts and primes; and commands, to skip their letters.
SYMBOL = re.compile(
    rf"(?P<other>\\frac\s*\{{\s*(?:d|\\partial)(?:[^{{}}a-zA-Z]|{BRACES})*(?:\\?[a-zA-Z]+(?:{SUBSCRIPT})?\s*)?\}}"
    rf"\s*\{{\s*(?:d|\\partial)\s*\\?[a-zA-Z](?:[^{{}}]|{BRACES})*\}}"
    rf"|(?<![\w.])\d+(?:{SUBSCRIPT}|')|\\(?:bar|dot|ddot|hat|vec|tilde|overline)\s*(?:{BRACES}|[a-zA-Z])(?:{SUBSCRIPT})?)"
    rf"|(?P<letter>\\(?:{GREEK})(?![a-zA-Z])|[a-zA-Z])\s*(?P<more>(?:{SUBSCRIPT})?\s*(?:{PRIMES})?)"
    r"|\\(?:text|begin|end|mathbb|mathcal)\s*\{[^{}]*\}|\\[a-zA-Z]+"
)
#: A dot and a prime are derivatives too.
DERIVATIVES = (
    (re.compile(r"\\frac\s*\{\s*d\s*([^{}^]+)\}\s*\{\s*d[^{}]*\}|\\dot\s*\{?([^{}]+)\}?"), "'"),
    (re.compile(r"\\frac\s*\{\s*d\s*\^\{2\}([^{}]+)\}\s*\{\s*d[^{}]*\^\{2\}\s*\}|\\ddot\s*\{?([^{}]+)\}?"), "''"),
)
LAYOUT = re.compile(r"\\(?:text|mathrm)|[\s{}\\]")
#: Letters that math-verify takes for numbers.
NUMBERS = {"E", "I", "\\gamma", "\\Pi"}

#: ``12(5)`` is a product, whatever the content of the brackets; so are two adjacent binomial coefficients.
PRODUCTS = [
    (re.compile(r"((?<![_\d.])\d+(?:\.\d+)?|\)|\\pi)\s*(?=\()"), r"\1\\cdot "),
    (re.compile(r"(?<![_\d.])(\d+)\s*(?:\[([^\[\](),]*)\]|\\\{([^{},]*)\\\})"), r"\1\\cdot(\2\3)"),
    (re.compile(r"(?<=[\d)}\]])\s*(?=\\binom)"), r"\\cdot "),
    (re.compile(rf"(\\binom\s*{BRACES}\s*{BRACES})\s*(?=[\d(]|\\(?:binom|frac|sqrt))"), r"\1\\cdot "),
]
DEGREES = re.compile(
    r"(\\(?:sin|cos|tan|cot|sec|csc)(?:\^\{\d\})?)\s*"
    r"(?:([\d.]+)\s*\^\\circ(?!\w)|\(\s*([\d.]+)\s*\^\\circ\s*\)|\{\s*([\d.]+)\s*\^\\circ\s*\})"
)

RELATION = re.compile(r"<|>|\\(?:le|ge)(?![a-z])")
EITHER = re.compile(r"\\text\{\s*,?\s*or\s*\}|\bor\b|\\(?:cup|lor)(?![a-z])|,")
MEMBER = re.compile(r"([a-zA-Z])\s*\\in(?![a-z])\s*(.*)", re.DOTALL)
INTERVALS = re.compile(r"[(\[].*,.*[)\]]", re.DOTALL)


def rewritten(reference: str, answer: str) -> tuple[str, str]:
    """A reference and an answer in a form that math-verify reads correctly."""
    reference, answer = _as_tuples(*_as_intervals(reference, answer))
    reference, answer = _renamed(reference, answer)
    return _multiplied(reference), _multiplied(answer)


def _multiplied(text: str) -> str:
    for pattern, replacement in PRODUCTS:
        text = pattern.sub(replacement, text)
    return DEGREES.sub(lambda found: rf"{found[1]}(\frac{{{found[2] or found[3] or found[4]}\pi}}{{180}})", text)


# letters


def _renamed(*texts: str) -> list[str]:
    """The texts with unambiguous names for math-verify; a symbol has the same name in all texts."""
    letters = [{match["letter"] for match in SYMBOL.finditer(text) if match["letter"]} for text in texts]
    doubtful = NUMBERS | {each for found in letters for letter in found for each in _twins(letter, found)}
    keys = {key for text in texts for match in SYMBOL.finditer(text) if (key := _key(match, doubtful))}
    names = {key: f" z_{{{number}}}" for number, key in enumerate(sorted(keys), 1)}
    return [SYMBOL.sub(lambda match: names.get(_key(match, doubtful), match[0]), text) for text in texts]


def _twins(letter: str, letters: set[str]) -> set[str]:
    """A letter in upper and lower case, if both occur."""
    small = letter.lower()
    return {letter, small} if letter != small and small in letters else set()


def _key(match: re.Match[str], doubtful: set[str]) -> str:
    """The name of a symbol, however it is typeset; empty if math-verify reads it correctly."""
    named = match["other"] or (match["letter"] and (match["more"].strip() or match["letter"] in doubtful))
    if not named:
        return ""
    for derivative, primes in DERIVATIVES:
        if found := derivative.fullmatch(match[0]):
            return LAYOUT.sub("", found[1] or found[2]) + primes
    return LAYOUT.sub("", match[0].replace("\\prime", "'")).replace("^'", "'")


# relations and names


def _as_intervals(reference: str, answer: str) -> tuple[str, str]:
    """Two answers as intervals, if one is a relation like ``x>3`` and the other an interval, or both are relations."""
    found = _intervals(reference), _intervals(answer)
    if found[0] and found[1]:
        return (found[0][1], found[1][1]) if found[0][0] == found[1][0] else (reference, answer)
    if found[0] and INTERVALS.fullmatch(answer):
        return found[0][1], answer
    if found[1] and INTERVALS.fullmatch(reference):
        return reference, found[1][1]
    return reference, answer


def _intervals(text: str) -> tuple[str, str] | None:
    """The variable of a relation and the intervals in which it holds; None if the text is no relation."""
    if member := MEMBER.fullmatch(text):
        return (member[1], member[2]) if INTERVALS.fullmatch(member[2]) else None
    found = [_interval(part) for part in EITHER.split(text)] if RELATION.search(text) else []
    names = {each[0] if each else "" for each in found}
    if len(names) != 1 or "" in names:
        return None
    return names.pop(), "\\cup".join(each[1] for each in found if each)


def _interval(text: str) -> tuple[str, str] | None:
    signs, operands = RELATION.findall(text), [operand.strip() for operand in RELATION.split(text)]
    if len({sign in ("<", "\\le") for sign in signs}) != 1 or not all(operands):
        return None
    if signs[0] not in ("<", "\\le"):
        signs, operands = signs[::-1], operands[::-1]
    opening, closing = ("[" if "e" in signs[0] else "("), ("]" if "e" in signs[-1] else ")")
    match operands:
        case [low, name] if _is_variable(name):
            return name, f"{opening}{low},\\infty)"
        case [name, high] if _is_variable(name):
            return name, f"(-\\infty,{high}{closing}"
        case [low, name, high] if _is_variable(name):
            return name, f"{opening}{low},{high}{closing}"
    return None


def _is_variable(text: str) -> bool:
    return re.fullmatch(r"[a-zA-Z]|\\(?!pi)[a-z]+", text) is not None


def _as_tuples(*texts: str) -> list[str]:
    """Two answers as tuples, if one names the numbers that the other lists in order: ``y=2, x=1`` is ``(1,2)``."""
    tuples = [_tuple(text) for text in texts]
    plain = [brackets_of(text) == "()" and "=" not in text for text in texts]
    return [each if each and other else text for text, each, other in zip(texts, tuples, reversed(plain), strict=True)]


def _tuple(text: str) -> str | None:
    parts = [sides(part) for part in parts_of(text)]
    values = {part[0]: part[1] for part in parts if len(part) == 2 and re.fullmatch(r"[a-zA-Z](?:_\w)?", part[0])}
    return f"({','.join(values[name] for name in sorted(values))})" if 1 < len(values) == len(parts) else None
