"""The boundary map: training step against k, coloured by the change of pass@k from the base model."""

from __future__ import annotations

from typing import Any

import numpy as np

from boundary_bench.analysis.means import Boundary
from boundary_bench.core.text import bare
from boundary_bench.plan import Plan
from boundary_bench.plan.figures import FigureFile
from boundary_bench.report.figures.style import GREY, footer, grid, heading, save, whose
from boundary_bench.report.tables import Tables
from boundary_bench.statistics.paired import ROUNDING

#: Cells without a hatch hold for all k of their checkpoint together.
HATCH_NOTE = "hatched: the simultaneous band over k includes zero"
NULL_NOTE = (
    "   |   inside the dotted line, random valid responses solve more than the checkpoint;   "
    "inside the solid line, more than both"
)
#: Left edge of the checkpoints in a boundary map, right of the base model's column.
BASE_GAP = 1.12


def boundary_map(plan: Plan, tables: Tables, file: FigureFile) -> None:
    """Draw one panel an algorithm: checkpoints from left to right, k from bottom to top."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    found = tables.boundaries[file.model, file.benchmark]
    ks, longest = plan.study.ks, max(len(curve.checkpoints) for curve in found.values())
    rows, columns = grid(len(found), 4 if longest <= 6 else 2)
    width = max(9.5, columns * (0.35 + 0.53 * (longest + BASE_GAP)) + 2)
    height = rows * (0.75 + 0.3 * len(ks)) + 1.5
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    limit = max(0.1, np.ceil(20 * max(np.abs(_differences(curve)).max() for curve in found.values())) / 20)
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for place, (axis, (algorithm, curve)) in enumerate(zip(axes.flat, found.items(), strict=False)):
        steps = [checkpoint.step for checkpoint in curve.checkpoints]
        image = _map_panel(axis, curve, steps, ks, limit)
        middle = (BASE_GAP + len(steps) / 2) / (BASE_GAP + len(steps))
        axis.set_title(algorithm, fontweight="bold", x=middle)
        axis.set_xlabel("training step", x=middle)
        if place % columns:
            axis.set_yticklabels([])
        else:
            axis.set_ylabel("attempts per problem, k")
    guessing = any(not np.isnan(curve.null).any() for curve in found.values())
    bottom = (1.0 + footer(plan, figure, HATCH_NOTE + NULL_NOTE * guessing)) / height
    top = 1 - 0.95 / height
    spacing = 0.75 / (0.3 * len(ks) + (0.75 + 0.5) / rows)
    figure.subplots_adjust(0.8 / width, bottom, 1 - 1.1 / width, top, 0.08, spacing)
    bar = figure.colorbar(
        image, cax=figure.add_axes((1 - 0.85 / width, bottom, 0.15 / width, top - bottom)), format="%+.2f"
    )
    bar.locator = MaxNLocator(5, steps=[1, 2, 5])
    bar.outline.set_visible(False)
    bar.ax.set_title("expands", fontsize=9, pad=10, color="#2166ac")
    bar.ax.set_xlabel("shrinks", fontsize=9, labelpad=8, color="#b2182b")
    what = f"pass@k of each checkpoint minus pass@k of its base model, {whose(plan, file)}"
    heading(figure, "Does training shrink or expand what the model can solve?", what)
    alt = (
        "Heat map, one panel per algorithm: training step against k; the colour is the difference of "
        f"pass@k from the base model on {file.benchmark}. The values are in mean_differences.csv."
    )
    save(plan, figure, file.stem, alt)


def _map_panel(axis: Any, curve: Boundary, steps: list[int], ks: list[int], limit: float) -> Any:
    """Draw one algorithm: a column of the base's pass@k, then a column of differences for each checkpoint."""
    difference_SK, base_K, first = _differences(curve), curve.base.estimate_K, BASE_GAP
    axis.grid(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)
    axis.tick_params(length=0)
    axis.pcolormesh([0, 1], np.arange(len(ks) + 1), np.zeros((len(ks), 1)), cmap="Greys", vmin=-0.12, vmax=1)
    edges = first + np.arange(len(steps) + 1)
    image = axis.pcolormesh(
        edges,
        np.arange(len(ks) + 1),
        difference_SK.T,
        cmap="RdBu",
        vmin=-limit,
        vmax=limit,
        edgecolors="white",
        lw=0.8,
    )
    _cells(axis, curve, limit)
    if not np.isnan(curve.null).any():
        checkpoint_SK = np.array([checkpoint.curve.estimate_K for checkpoint in curve.checkpoints]) < curve.null
        _outline(axis, checkpoint_SK & (base_K >= curve.null), first, ":")
        _outline(axis, checkpoint_SK & (base_K < curve.null), first, "-")
    axis.set_xticks([0.5, *(first + 0.5 + np.arange(len(steps)))], ["base", *map(str, steps)], fontsize=9)
    axis.set_yticks(np.arange(len(ks)) + 0.5, [str(k) for k in ks], fontsize=9)
    axis.set_xlim(0, edges[-1])
    axis.set_ylim(0, len(ks))
    return image


def _differences(curve: Boundary) -> np.ndarray:
    """difference_SK: checkpoint minus base."""
    return np.array([checkpoint.difference.estimate_K for checkpoint in curve.checkpoints])


def _cells(axis: Any, curve: Boundary, limit: float) -> None:
    """The number in every cell, and a hatch where the band includes zero."""
    from matplotlib.patches import Rectangle

    for j, base in enumerate(curve.base.estimate_K):
        text = f"{base:.2f}".lstrip("0")
        axis.text(0.5, j + 0.5, text, ha="center", va="center", fontsize=8, color="#333333")
    for (i, j), value in np.ndenumerate(_differences(curve)):
        found = curve.checkpoints[i].difference
        unsure = not (found.band_low_K[j] > ROUNDING or found.band_high_K[j] < -ROUNDING)
        if unsure:
            style = {"hatch": "////", "facecolor": "none", "edgecolor": "#00000030", "lw": 0}
            axis.add_patch(Rectangle((BASE_GAP + i, j), 1, 1, **style))
        color = "white" if abs(value) > 0.62 * limit else "black"
        if unsure and abs(value) < 0.3 * limit:
            color = GREY
        place, weight = (BASE_GAP + i + 0.5, j + 0.5), "normal" if unsure else "bold"
        axis.text(*place, bare(f"{value:+.2f}"), ha="center", va="center", fontsize=8, color=color, weight=weight)


def _outline(axis: Any, inside_SK: np.ndarray, first: float, style: str) -> None:
    """Draw a line around the cells of a region."""
    padded = np.pad(inside_SK, 1)
    for i, j in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1]):
        axis.plot([first + i] * 2, [j, j + 1], style, color="black", lw=1.5, clip_on=False, zorder=5)
    for i, j in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1]):
        axis.plot([first + i, first + i + 1], [j] * 2, style, color="black", lw=1.5, clip_on=False, zorder=5)
