"""A table as text: GitHub-flavoured Markdown, and LaTeX that needs the package booktabs only.

All text is escaped, so that no name or file content leaves its cell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Pivot:
    """A table for reading: the first ``labels`` columns name the row, the others hold numbers."""

    title: str
    header: list[str]
    rows: list[list[str]]
    labels: int


#: Characters that could end a cell or become markup.
_MARKDOWN = str.maketrans({"\\": "\\\\", "|": "\\|", "\n": " ", "&": "&amp;", "<": "&lt;"})


def markdown(pivot: Pivot) -> str:
    """A GitHub-flavoured table under a heading, numbers aligned to the right."""
    numbers = len(pivot.header) - pivot.labels
    lines = [pivot.header, ["---"] * pivot.labels + ["---:"] * numbers, *pivot.rows]
    body = ["| " + " | ".join(cell.translate(_MARKDOWN) for cell in line) + " |" for line in lines]
    return f"## {pivot.title.translate(_MARKDOWN)}\n\n" + "\n".join(body) + "\n"


#: Characters with a meaning in LaTeX, and the symbols of our tables.
_LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "{''}",
    "`": "\\`{}",
    "\N{DOWNWARDS ARROW}": "$\\downarrow$",
    "\N{UPWARDS ARROW}": "$\\uparrow$",
    "\N{EN DASH}": "\\textendash{}",
    "\N{PLUS-MINUS SIGN}": "$\\pm$",
}
#: In points: an article's line, the gap between two columns, a letter by font size.
_LINE, _GAP, _SIZES = 345, 7, {"footnotesize": 4.1, "scriptsize": 3.8}
_INTERVAL = re.compile(r"\[[^]]*\]")
_MINUS = re.compile(r"(?<![\w.-])-(?=[0-9.])")
#: A sign after a number hangs to its right, so that the numbers of a column stay aligned.
_MARK = re.compile(r"(?<=[0-9])(=|\$\\(?:down|up)arrow\$)$")


def latex_text(text: str) -> str:
    """Text escaped for LaTeX, ASCII on one line; letters beyond ASCII become their code points.

    >>> latex_text("a_b & 50 %")
    'a\\\\_b \\\\& 50 \\\\%'
    >>> latex_text("\u00e9")
    '(U+00E9)'
    """
    plain = "".join(_LATEX.get(letter, letter if " " <= letter <= "\x7e" else _beyond(letter)) for letter in text)
    return plain.replace("--", "-{}-").replace("--", "-{}-")  # LaTeX sets two hyphens as a dash


def _beyond(letter: str) -> str:
    return " " if letter.isspace() else f"(U+{ord(letter):04X})"


def latex(pivot: Pivot, label: str) -> str:
    """A floating table: caption above, booktabs rules, numbers to the right, cells with only an interval smaller.

    A row with an empty first cell belongs to the row above.
    """
    lines = [pivot.header, *pivot.rows]
    size, kinds = _columns(pivot)
    # \raggedright in a last cell that breaks lines redefines the usual end of a row
    end = " \\tabularnewline" if kinds[-1].startswith("p") else " \\\\"
    header, *rows = (
        " & ".join(_cell(cell, kind) for cell, kind in zip(line, kinds, strict=True)) + end for line in lines
    )
    spaced = any(not line[0] for line in pivot.rows) or any(kind.startswith("p") for kind in kinds)
    body = [
        "\\addlinespace[2pt]\n" + row if spaced and place and line[0] else row
        for place, (row, line) in enumerate(zip(rows, pivot.rows, strict=True))
    ]
    return "\n".join(
        [
            "\\begin{table}[tbp]",
            f"\\centering\\{size}",
            "\\setlength{\\tabcolsep}{3.5pt}\\setlength{\\belowcaptionskip}{4pt}",
            f"\\caption{{{latex_text(pivot.title)}}}",
            f"\\label{{{re.sub('[^A-Za-z0-9.:_-]', '-', label)}}}",
            f"\\begin{{tabular}}{{@{{}}{''.join(kinds)}@{{}}}}",
            "\\toprule",
            header,
            "\\midrule",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
            "",
        ]
    )


def _columns(pivot: Pivot) -> tuple[str, list[str]]:
    """The font size, and the LaTeX column type of each column.

    A table wider than the line gets a smaller font; if it still does not fit, its widest text columns break lines.
    """
    letters = [max(map(len, column)) for column in zip(pivot.header, *pivot.rows, strict=True)]
    texts, numbers, gaps = letters[: pivot.labels], letters[pivot.labels :], _GAP * (len(letters) - 1)
    size = "footnotesize" if gaps + _SIZES["footnotesize"] * sum(letters) <= _LINE else "scriptsize"
    room = (_LINE - gaps) / _SIZES[size] - sum(numbers)
    for place, width in enumerate(sorted(texts)):
        widest = room / (len(texts) - place)  # equal share for this column and each wider one
        if width > widest:
            break
        room -= width
    else:
        widest = max(texts)
    broken = f"p{{{max(_SIZES[size] * widest / _LINE, 0.1):.2f}\\linewidth}}"
    return size, [*(broken if width > widest else "l" for width in texts), *"r" * len(numbers)]


def _cell(cell: str, kind: str) -> str:
    text = latex_text(cell)
    if kind == "r":
        text = _MARK.sub(r"\\rlap{\1}", _MINUS.sub("$-$", text))
    if _INTERVAL.fullmatch(cell):
        return f"{{\\scriptsize {text}}}"
    if kind.startswith("p"):
        return f"\\raggedright {text}"
    # after a rule or the end of a row LaTeX would read a bracket or a star as an argument
    return "{}" + text if cell.lstrip()[:1] in ("[", "*") else text
