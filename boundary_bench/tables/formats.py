"""A table as text: GitHub-flavoured Markdown, and LaTeX that needs the package booktabs alone.

Whatever a name or a file holds stays in its cell.
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


#: What a name could leave its cell with, or become markup.
_MARKDOWN = str.maketrans({"\\": "\\\\", "|": "\\|", "\n": " ", "&": "&amp;", "<": "&lt;"})


def markdown(pivot: Pivot) -> str:
    """A GitHub-flavoured table under a heading, numbers to the right."""
    numbers = len(pivot.header) - pivot.labels
    lines = [pivot.header, ["---"] * pivot.labels + ["---:"] * numbers, *pivot.rows]
    body = ["| " + " | ".join(cell.translate(_MARKDOWN) for cell in line) + " |" for line in lines]
    return f"## {pivot.title.translate(_MARKDOWN)}\n\n" + "\n".join(body) + "\n"


#: What has a meaning of its own in LaTeX, and the signs of our tables.
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
#: Points of the line of an article, between two columns, and of a letter in the sizes that a table may have.
_LINE, _GAP, _SIZES = 345, 7, {"footnotesize": 4.1, "scriptsize": 3.8}
_INTERVAL = re.compile(r"\[[^]]*\]")
_MINUS = re.compile(r"(?<![\w.-])-(?=[0-9.])")
#: A sign after a number hangs beside it, so that the numbers of a column stand beneath one another.
_MARK = re.compile(r"(?<=[0-9])(=|\$\\(?:down|up)arrow\$)$")


def latex_text(text: str) -> str:
    """Text that LaTeX sets as it is: ASCII on one line; a letter beyond ASCII is named by its number.

    >>> latex_text("a_b & 50 %")
    'a\\\\_b \\\\& 50 \\\\%'
    >>> latex_text("\u00e9")
    '(U+00E9)'
    """
    plain = "".join(_LATEX.get(letter, letter if " " <= letter <= "\x7e" else _beyond(letter)) for letter in text)
    return plain.replace("--", "-{}-").replace("--", "-{}-")  # two together would be set as a dash


def _beyond(letter: str) -> str:
    return " " if letter.isspace() else f"(U+{ord(letter):04X})"


def latex(pivot: Pivot, label: str) -> str:
    """A floating table: caption above, booktabs rules, numbers to the right, intervals that stand alone smaller.

    A row without a first cell belongs to the one above.
    """
    lines = [pivot.header, *pivot.rows]
    size, kinds = _columns(pivot)
    # a last cell that breaks its lines has changed the meaning of the usual end of a row
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
    """The size of the letters, and of what kind each column is.

    Where a table does not fit on a line its letters become smaller, and then the widest columns of text break lines.
    """
    letters = [max(map(len, column)) for column in zip(pivot.header, *pivot.rows, strict=True)]
    texts, numbers, gaps = letters[: pivot.labels], letters[pivot.labels :], _GAP * (len(letters) - 1)
    size = "footnotesize" if gaps + _SIZES["footnotesize"] * sum(letters) <= _LINE else "scriptsize"
    room = (_LINE - gaps) / _SIZES[size] - sum(numbers)
    for place, width in enumerate(sorted(texts)):
        widest = room / (len(texts) - place)  # what this one and the wider ones can have each
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
    # after a rule or the end of a row LaTeX would take a bracket or a star for an argument of it
    return "{}" + text if cell.lstrip()[:1] in ("[", "*") else text
