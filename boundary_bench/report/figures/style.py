"""Common parts of figures: colours, frame, heading, settings line, and saving.

matplotlib is imported when a figure is drawn. The same results give the same bytes.
"""

from __future__ import annotations

from typing import Any

from boundary_bench.core.files import atomic
from boundary_bench.plan import Plan
from boundary_bench.plan.figures import FigureFile
from boundary_bench.report import drawing
from boundary_bench.statistics.intervals import INTERVAL

GREY = "#6b6b6b"
SEPARATOR = "   |   "
#: Letters of the settings, and of the note above them, on one inch.
LETTERS_AN_INCH, NOTE_LETTERS_AN_INCH = 16, 14
STYLE = {
    "svg.hashsalt": "boundary-bench",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9a9a9a",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}


def save(plan: Plan, figure: Any, stem: str, alt: str) -> None:
    """Write a figure as SVG and PNG with the description ``alt``, and close it."""
    import matplotlib.pyplot as plt

    for kind, undated in (("svg", "Date"), ("png", "Software")):
        with atomic(plan.root / "figures" / f"{stem}.{kind}") as temporary:
            figure.savefig(temporary, format=kind, dpi=160, metadata={undated: None, "Description": alt})
    plt.close(figure)


def grid(panels: int, columns: int) -> tuple[int, int]:
    """Rows and columns for a number of panels, with at most ``columns`` columns."""
    columns = min(panels, columns)
    return -(-panels // columns), columns


def heading(figure: Any, text: str, what: str) -> None:
    """Draw the question of a figure, and below it the content."""
    height = figure.get_figheight()
    figure.text(0.5, 1 - 0.32 / height, text, fontsize=14, fontweight="bold", ha="center")
    figure.text(0.5, 1 - 0.56 / height, what, ha="center", color=GREY)


def footer(plan: Plan, figure: Any, note: str) -> float:
    """Draw a note on reading the figure and the settings; returns the height of the note's extra lines in inches."""
    height = figure.get_figheight()
    notes = filled(note.split(SEPARATOR), NOTE_LETTERS_AN_INCH * figure.get_figwidth())
    lines = filled(settings(plan), LETTERS_AN_INCH * figure.get_figwidth())
    text, below = "\n".join(lines), 0.17 + 0.13 * len(lines)
    figure.text(0.5, below / height, "\n".join(notes), fontsize=8.5, ha="center", va="bottom")
    figure.text(0.5, 0.1 / height, text, fontsize=7.5, ha="center", va="bottom", color=GREY)
    return 0.15 * (len(notes) - 1)


def settings(plan: Plan) -> list[str]:
    """The study's settings for the footer."""
    return [
        f"study {plan.study.study}",
        drawing.designs(plan),
        *drawing.settings(plan),
        f"training seeds {', '.join(map(str, plan.seeds))}",
        intervals(plan),
    ]


def filled(parts: list[str], letters: float) -> list[str]:
    """Parts joined into as few lines as possible, each of at most ``letters`` letters."""
    lines = [parts[0]]
    for part in parts[1:]:
        longer = lines[-1] + SEPARATOR + part
        lines = [*lines[:-1], longer] if len(longer) <= letters else [*lines, part]
    return lines


def whose(plan: Plan, file: FigureFile) -> str:
    """Whose numbers a figure shows."""
    return f"{file.model} on {file.benchmark}, {over_seeds(plan)}"


def over_seeds(plan: Plan) -> str:
    """How many training seeds a number is the mean over."""
    least, most = min(map(len, plan.courses.values())), plan.most_seeds
    if most == 1:
        return "one training seed"
    return f"mean over {most if least == most else f'{least} to {most}'} training seeds"


def level(plan: Plan) -> str:
    """The confidence level of every interval."""
    return f"{100 * plan.study.analysis.level:g} %"


def intervals(plan: Plan) -> str:
    """How intervals are made."""
    return f"{level(plan)} intervals over {INTERVAL}"
