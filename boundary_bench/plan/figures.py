"""The figures of a study, each declared once: outputs, drawing and captions read it here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from boundary_bench.plan import Plan


@dataclass(frozen=True)
class Figure:
    """A figure of every model.

    Attributes:
        name: beginning of its file names.
        scope: one figure per model and benchmark, or one per model.
        caption: how to read it; repeated in ``workflows/captions/figures`` for Snakemake's report.
        draw: the function that draws it, "module:function"; it gets the plan, the tables and a ``FigureFile``.
    """

    name: str
    scope: Literal["benchmark", "model"]
    caption: str
    draw: str


#: In the order of their files.
FIGURES = (
    Figure(
        name="boundary_map",
        scope="benchmark",
        caption="Columns are training steps, rows the attempts k; grey is the base. Blue: the checkpoint solves more "
        "problems within k attempts than its base, red: fewer. Where the band over k includes zero a cell is hatched. "
        "Inside a dotted or solid outline uniformly random valid responses solve more than the checkpoint does.",
        draw="boundary_bench.report.figures.boundary_map:boundary_map",
    ),
    Figure(
        name="pass_at_k",
        scope="benchmark",
        caption="Above pass@k of the base (black) and of every checkpoint, below the last checkpoint minus the base; "
        "mean over the training seeds. Pale: the band over all k at once, for problems like these. Dark: for this very "
        "set of problems, sampled again. Dashed: random valid responses. Diamond: where the two curves cross.",
        draw="boundary_bench.report.figures.curves:pass_curves",
    ),
    Figure(
        name="dynamics",
        scope="model",
        caption="Reward and token entropy over training, entropy and greedy accuracy of the evaluated checkpoints. "
        "Thick: mean over training seeds, thin: each of them. Dashed: the base.",
        draw="boundary_bench.report.figures.dynamics:dynamics",
    ),
)


@dataclass(frozen=True)
class FigureFile:
    """A figure of one model; ``benchmark`` is None if it shows all, ``stem`` is the file name without its suffix."""

    figure: Figure
    model: str
    benchmark: str | None
    stem: str


def figures(plan: Plan) -> list[FigureFile]:
    """The figures of a study."""
    models, found = plan.study.models, []
    for figure in FIGURES:
        benchmarks = list(plan.study.benchmarks) if figure.scope == "benchmark" else [None]
        for model, benchmark in ((model, benchmark) for model in models for benchmark in benchmarks):
            parts = [figure.name, model if len(models) > 1 else None, benchmark]
            found.append(FigureFile(figure, model, benchmark, "-".join(part for part in parts if part)))
    return found
