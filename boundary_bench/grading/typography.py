r"""Typography of an answer: differences that mean nothing to a reader are removed.

Unicode signs become LaTeX; sizes, styles, colours, spaces and the dollars of mathematics are removed; ``\dfrac12``
becomes ``\frac{1}{2}`` and ``1.5e33`` becomes ``1.5\times10^{33}``. Nothing is calculated, and no unit, sign or word is
dropped. References and answers are treated alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from boundary_bench.grading.units import WORD as UNIT_NAME
from boundary_bench.grading.units import known

#: Signs and their names in LaTeX.
NAMED = (  # noqa: SIM905
    "÷ div ± pm ∓ mp ≠ ne ≈ approx ≡ equiv ∞ infty ∅ emptyset ∪ cup ∩ cap ∈ in ∖ setminus ⊂ subset ⊆ subseteq → to "
    "⇒ implies ∠ angle △ triangle ∥ parallel ⊥ perp ⌊ lfloor ⌋ rfloor ⌈ lceil ⌉ rceil ⟨ langle ⟩ rangle ∧ land ∨ lor "
    "· cdot ⋅ cdot ∙ cdot × times ✕ times ⨯ times ≤ le ⩽ le ≥ ge ⩾ ge … ldots ⋯ ldots √ sqrt ∑ sum ∏ prod ∫ int "
    "∂ partial ∇ nabla ∼ sim ∝ propto ℏ hbar ℓ ell"
).split()
#: Characters with a compatibility form in Unicode that differs from their meaning in mathematics.
SIGNS = {
    **{sign: f"\\{name} " for sign, name in zip(NAMED[::2], NAMED[1::2], strict=True)},
    **{sign: f"\\mathbb{{{name}}}" for sign, name in zip("ℝℤℕℚℂ", "RZNQC", strict=True)},
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff", ""),
    **dict.fromkeys("−‐‑‒–—﹣", "-"),
    **dict.fromkeys("’ʹ′", "'"),
    **dict.fromkeys("“”„″", '"'),
    **dict.fromkeys("°º˚", "^\\circ "),
    **dict(zip("∕⁄∗、。∶", "//*,.:", strict=True)),
}
RAISED, LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "₀₁₂₃₄₅₆₇₈₉₊₋₍₎"
SCRIPTS = [
    (re.compile(f"[{characters}]+"), mark, str.maketrans(characters, plain))
    for characters, mark, plain in ((RAISED, "^", "0123456789+-()ni"), (LOWERED, "_", "0123456789+-()"))
]
VULGAR = re.compile(r"(\d*)\s?([¼-¾⅐-⅞])")
ROOT = re.compile(r"([√∛∜])\s*(?:\(([^()]*)\)|(\d+(?:\.\d+)?|[A-Za-z]))")
ROOTS = {"√": "", "∛": "[3]", "∜": "[4]"}
GREEK = re.compile(r"GREEK (SMALL|CAPITAL) LETTER (?:FINAL )?([A-Z]+)")

STYLES = re.compile(r"\\(?:mathbf|boldsymbol|bm|mathit|mathsf|mathtt|underline|textcolor\s*\{[^{}]*\}|boxed|fbox)\s*\{")
TEXTS = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|up|normal)?|mathrm|mbox|hbox|operatorname\*?)\s*\{")
WORD = re.compile(r"[A-Za-z]{2}")
#: The label of an option before its text, as in AMC's answers.
OPTION = re.compile(r"^[\s$]*\\(?:text(?:bf|rm|it)?|math(?:rm|bf))\s*\{\s*\([A-J]\)[\s\\~]*\}[\s\\~,:]*(?=[^\s$])")
NUMBER_BEFORE = re.compile(r"(?:[\d})]|\\[a-zA-Z]+)(?:\s|~|\\[,;:!> ]|\\q?quad|\\thinspace)*$")
BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def _commands(names: str) -> str:
    return rf"\\(?:{names})(?![a-zA-Z])\s*"


#: Applied in this order.
RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<=\d)\s*(?:,\s*\\!|\{,\}|\{\\,\})\s*(?=\d{3}(?!\d))", ""),
        (r"\{([,:])\}", r"\1"),
        (r"(?<!\\)\\!|\{\}", ""),
        (r"(?<!\\)\\[,;:> \n]|~|" + _commands("q?quad|thinspace|enspace|nobreakspace"), " "),
        (r"\\(?:hspace|phantom)\s*\{[^{}]*\}", " "),
        (r"\\(?:left|right)\s*\.", ""),
        (_commands("left|right|mleft|mright|[bB]igg?[lrm]?|displaystyle|(?:text|script)style|(?:no)?limits"), ""),
        (_commands("bf|rm|it|sf|tiny|scriptsize|footnotesize|small|normalsize|large|Large|LARGE|huge|Huge"), ""),
        (_commands("colon"), ":"),
        (r"\\var(epsilon|theta|phi|rho|sigma|kappa)(?![a-z])", r"\\\1"),
        (r"\\text\{\s*((?:arc)?(?:sin|cos|tan)h?|cot|log|ln|exp|lcm|gcd)\s*\}", r"\\\1 "),
        (r"(?<![\\a-zA-Z])((?:arc)?(?:sin|cos|tan)h?|cot|log|ln|exp|pi|theta)(?![a-zA-Z])", r"\\\1 "),
        (r"(?<=[\w)}])\s*\*\*\s*(?=[\w({\\-])", "^"),
        (_commands("checkmark|blacksquare"), ""),
        (r"^\\text\{[^{}]*(?:\b(?:is|are|equals)|[:=])\s*\}\s*(?=\S)", ""),
        (r"(?<=[\d.])\s*\\(?:bar|dot)\s*\{?\s*(\d+)\s*\}?", r"\\overline{\1}"),
        (
            r"(?<![\d.])(\d*\.\d*?)(?:(\d)\2\2+|(\d\d{1,5}?)\3+)\s*(?:\\[cl]?dots(?![a-z])|\.\.\.)",
            r"\1\\overline{\2\3}",
        ),
        (r"\\color\s*\{[^{}]*\}", ""),
        (r"\\(begin|end)\s*\{[bB]matrix\}", r"\\\1{pmatrix}"),
        (_commands("[dtc]frac"), r"\\frac "),
        (_commands("leqslant|leq"), r"\\le "),
        (_commands("geqslant|geq"), r"\\ge "),
        (_commands("neq"), r"\\ne "),
        (r"<=", r"\\le "),
        (r">=", r"\\ge "),
        (r"!=", r"\\ne "),
        (_commands("lt"), "<"),
        (_commands("gt"), ">"),
        (_commands("rightarrow"), r"\\to "),
        (_commands("varnothing"), r"\\emptyset "),
        (_commands("ast"), "*"),
        (_commands("lbrace"), r"\\{"),
        (_commands("rbrace"), r"\\}"),
        (_commands("infin"), r"\\infty "),
        (r"\\degree(?![a-zA-Z])|\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))", r"^\\circ "),
        (r"(?<!\\)%", r"\\%"),
        (r"\\sqrt\s*(\[\w+\])?\s*([0-9a-zA-Z])", r"\\sqrt\1{\2}"),
        (r"\\frac\s*([0-9a-zA-Z]|\\[a-zA-Z]+(?=[\s\d]))\s*([0-9a-zA-Z])", r"\\frac{\1}{\2}"),
        (r"\\frac\s*([0-9a-zA-Z])\s*\{", r"\\frac{\1}{"),
        (r"\\frac\s*\{([^{}]*)\}\s*([0-9a-zA-Z])", r"\\frac{\1}{\2}"),
        (r"\\frac\s*([0-9a-zA-Z])\s*(\\[a-zA-Z]+)(?![a-zA-Z{])", r"\\frac{\1}{\2}"),
        (r"\\frac\s+\{", r"\\frac{"),
        (r"(?<![\d.,])(?<![\d.,]\s)(\d{1,3})((?:\s\d{3})+)(?![\d.]|\s*/)", lambda found: re.sub(r"\s", "", found[0])),
        (r"(?<![\w.}])(\d{1,9})\s+(\d{1,9})\s?/\s?(\d{1,9})(?![\d.])", r"\1\\frac{\2}{\3}"),
        (r"\^\s*([+-]?\d+(?![\d.])|[A-Za-z](?![A-Za-z]))", r"^{\1}"),
        (r"_\s*\{\s*(\w)\s*\}", r"_\1"),
        (
            r"(?<![\w.\\^])(\d+(?:\.\d*)?|\.\d+)(?:[eE]|\\text\{[eE]\})\{?\+?(-?)0*(\d{1,6})\}?(?![\w.])",
            r"\1\\times10^{\2\3}",
        ),
        (r"(?<=\d)\s*[xX]\s*(?=10\s*\^)", r"\\times "),
        (
            r"^(?:\\text\{)?\s*(?i:(?:there (?:is|are) )?no (?:real )?(?:solution|root)s?|(?:the )?empty set)[\s.]*\}?$"
            r"|^\\\{\s*\\\}$",
            r"\\emptyset",
        ),
    )
]
#: Pairs of marks that may enclose a whole answer.
WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"), ('"', '"'))
ENDS = re.compile(r"(?<![.\\])(?:[,;:]|\.{1,2})$|\s+$|^[\s=]+")
CALL = re.compile(r"(?<![\\a-zA-Z])(?:sqrt|abs)\s*\(|\^\s*\(|\*\*\s*\(|[()]")
CALLS = {"sqrt": ("\\sqrt{", "}"), "abs": ("|", "|"), "^": ("^{", "}"), "**": ("^{", "}")}
DOLLAR = re.compile(r"(?<!\\)\$")
LOOSE = re.compile(r"(?<!\d)\s+|\s+(?!\d)")


@lru_cache(maxsize=20_000)
def dress(text: str) -> str:
    r"""An answer as LaTeX without layout; different notations stay different texts.

    >>> dress(r" $\dfrac12$. "), dress("−1.5e+33"), dress("4½"), dress("１２ 000"), dress(r"\textcolor{red}{x^2}")
    ('\\frac{1}{2}', '-1.5\\times10^{33}', '4\\frac{1}{2}', '12000', 'x^{2}')
    """
    if not text.isascii():
        text = _latex(text)
    text = _without(TEXTS, _without(STYLES, OPTION.sub("", _unwrapped(text))), _words)
    # an even number of dollars delimits mathematics, an odd number includes a currency
    text = _calls(text)
    text = DOLLAR.sub(r"\\$" if len(DOLLAR.findall(text)) % 2 else " ", text)
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return _unwrapped(text)


def _calls(text: str) -> str:
    """The text with ``sqrt(...)``, ``abs(...)`` and ``^(...)`` in braces, however parentheses are nested."""
    edits = {}
    opened: list[tuple[int, str]] = []
    for match in CALL.finditer(text):
        if match[0] != ")":
            opened.append((match.start(), match[0]))
        elif opened:
            start, call = opened.pop()
            before, after = next((marks for name, marks in CALLS.items() if call.startswith(name)), ("", ""))
            if before:
                edits[start], edits[match.start()] = (call, before), (")", after)
    parts, done = [], 0
    for place, (old, new) in sorted(edits.items()):
        parts += [text[done:place], new]
        done = place + len(old)
    return "".join([*parts, text[done:]])


def key(text: str) -> str:
    r"""A key shared by answers with the same text: the dressed answer without spaces and ``\text`` commands.

    >>> key(r"\left( 3, \frac{\pi}{2} \right)") == key(r"(3,\frac\pi2)"), key("4 2") == key("42")
    (True, False)
    """
    return LOOSE.sub("", _without(TEXTS, dress(text)))


def _latex(text: str) -> str:
    """The text with non-ASCII signs as LaTeX."""
    for pattern, mark, plain in SCRIPTS:
        text = pattern.sub(lambda found, mark=mark, plain=plain: f"{mark}{{{found[0].translate(plain)}}}", text)
    text = ROOT.sub(lambda found: f"\\sqrt{ROOTS[found[1]]}{{{found[2] or found[3]}}}", VULGAR.sub(_vulgar, text))
    return "".join(map(_sign, text))


def _vulgar(found: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", found[2]).partition("\u2044")
    return f"{found[1]}\\frac{{{above}}}{{{below}}}"


@lru_cache(maxsize=4096)
def _sign(character: str) -> str:
    if character.isascii():
        return character
    if character in SIGNS:
        return SIGNS[character]
    if character.isdecimal():
        return str(int(character))
    if greek := GREEK.fullmatch(unicodedata.name(character, "")):
        name = "lambda" if greek[2] == "LAMDA" else greek[2].lower()
        return f"\\{name if greek[1] == 'SMALL' else name.capitalize()} "
    return unicodedata.normalize("NFKC", character)


def _unwrapped(text: str) -> str:
    """The text without marks around the whole of it, and without the punctuation at its end."""
    before = ""
    while text != before:
        before, text = text, ENDS.sub("", text)
        for opening, closing in WRAPPERS:
            inside = text[len(opening) : -len(closing)]
            if inside and text.startswith(opening) and text.endswith(closing) and opening not in inside:
                text = inside
        if text.startswith("{") and _groups(text).get(0) == len(text) - 1:
            text = text[1:-1]
    return text


def _groups(text: str) -> dict[int, int]:
    """The place of the closing brace by the place of its opening brace."""
    opened: list[int] = []
    found = {}
    for match in BRACE.finditer(text):
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}" and opened:
            found[opened.pop()] = match.start()
    return found


def _without(
    pattern: re.Pattern[str], text: str, stays: Callable[[str, str], bool] = lambda inside, before: False
) -> str:
    """The text without a command around its argument, which may contain nested braces.

    Args:
        pattern: the command up to the opening brace of its argument.
        stays: (argument, text before the command) -> whether the command is kept, as ``\\text``.
    """
    edits = []
    ends = _groups(text) if pattern.search(text) else {}
    for match in pattern.finditer(text):
        end = ends.get(match.end() - 1)
        if end is not None:
            kept = stays(text[match.end() : end], text[: match.start()])
            opening, closing = (
                ("\\text{", "}") if kept else (" " if text[match.start() - 1 :][:1].isalpha() else "", "")
            )
            edits += [(match.start(), match.end(), opening), (end, end + 1, closing)]
    parts, done = [], 0
    for first, stop, new in sorted(edits):
        parts += [text[done:first], new]
        done = stop
    return "".join([*parts, text[done:]])


def _words(inside: str, before: str) -> bool:
    """Whether an argument contains words, or is the unit of a number."""
    if WORD.search(inside):
        return True
    names = UNIT_NAME.findall(inside)
    return bool(names) and all(map(known, names)) and NUMBER_BEFORE.search(before) is not None
