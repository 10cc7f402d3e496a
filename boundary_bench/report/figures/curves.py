"""pass@k against k, and below it the difference from the base, both with their bands."""

from __future__ import annotations

from typing import Any

import numpy as np

from boundary_bench.analysis.means import Boundary
from boundary_bench.plan import Plan
from boundary_bench.plan.figures import FigureFile
from boundary_bench.report.figures.style import GREY, footer, grid, heading, save, whose
from boundary_bench.report.tables import Tables

NOTE = (
    "pale: simultaneous band over k, for problems like these   |   dark: this very set, sampled again   |   "
    "grey zone: changes below the margin   |   diamond: crossover with its interval"
)


def pass_curves(plan: Plan, tables: Tables, file: FigureFile) -> None:
    """Draw two panels an algorithm: the curves of all checkpoints, and the last one's difference from the base."""
    import matplotlib.pyplot as plt

    found = tables.boundaries[file.model, file.benchmark]
    rows, columns = grid(len(found), 4)
    width, height = max(9.5, 3.2 * columns + 0.6), 4.9 * rows + 1.4
    heights = [1.5, 1] * rows
    figure, axes = plt.subplots(
        2 * rows, columns, figsize=(width, height), sharex=True, sharey="row", squeeze=False, height_ratios=heights
    )
    for place in range(rows * columns):
        top, bottom = axes[2 * (place // columns), place % columns], axes[2 * (place // columns) + 1, place % columns]
        if place >= len(found):
            top.set_visible(False)
            bottom.set_visible(False)
            continue
        algorithm = list(found)[place]
        colors = plt.get_cmap("plasma")(np.linspace(0.08, 0.82, len(found[algorithm].checkpoints)))
        _curves(plan, top, found[algorithm], colors)
        _difference(plan, bottom, found[algorithm], colors[-1])
        top.set_title(algorithm, fontweight="bold")
        bottom.set_xlabel("attempts per problem, k")
        if place % columns == 0:
            top.set_ylabel("problems solved (pass@k)")
            bottom.set_ylabel(f"step {found[algorithm].checkpoints[-1].step} minus base")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncol=len(labels), bbox_to_anchor=(0.5, 1 - 0.58 / height))
    what = f"pass@k, {whose(plan, file)}"
    heading(figure, "How many problems are solved within k attempts?", what)
    below = 0.45 + footer(plan, figure, NOTE)
    figure.tight_layout(rect=(0, below / height, 1, 1 - 0.85 / height))
    alt = (
        f"pass@k against k on {file.benchmark}, one line per checkpoint, and the difference of the last checkpoint "
        "from the base with its band, one column per algorithm, mean over seeds. The values are in "
        "mean_differences.csv."
    )
    save(plan, figure, file.stem, alt)


def _curves(plan: Plan, axis: Any, curve: Boundary, colors: np.ndarray) -> None:
    ks, steps = plan.study.ks, len(curve.checkpoints)
    shown = range(steps) if steps <= 6 else (0, steps // 2, steps - 1)
    for found, color in ((curve.base, "black"), (curve.checkpoints[-1].curve, colors[-1])):
        axis.fill_between(ks, found.band_low_K, found.band_high_K, color=color, alpha=0.11, lw=0)
        axis.fill_between(ks, found.samples_low_K, found.samples_high_K, color=color, alpha=0.3, lw=0)
    axis.plot(ks, curve.base.estimate_K, color="black", lw=2.2, label="base (step 0)")
    for i, checkpoint in enumerate(curve.checkpoints):
        label = f"step {checkpoint.step}" if i in shown else None
        axis.plot(ks, checkpoint.curve.estimate_K, color=colors[i], lw=1.7, label=label)
    if not np.isnan(curve.null).any():
        axis.plot(ks, curve.null, "--", color=GREY, lw=1.3, label="random valid responses")
    axis.set_xscale("log", base=2)
    axis.set_xticks(ks, [str(k) if i % 2 == 0 or len(ks) < 7 else "" for i, k in enumerate(ks)])
    axis.minorticks_off()
    axis.set_ylim(0, 1.02)


def _difference(plan: Plan, axis: Any, curve: Boundary, color: Any) -> None:
    """Draw the last checkpoint's difference from the base, with the margin and the crossover."""
    ks, margin, last = plan.study.ks, plan.study.analysis.margin, curve.checkpoints[-1]
    found, crossing = last.difference, last.crossover
    axis.axhspan(-margin, margin, color="black", alpha=0.05, lw=0)
    axis.axhline(0, color="black", lw=0.8)
    axis.fill_between(ks, found.band_low_K, found.band_high_K, color=color, alpha=0.16, lw=0)
    axis.fill_between(ks, found.samples_low_K, found.samples_high_K, color=color, alpha=0.35, lw=0)
    axis.plot(ks, found.estimate_K, color=color, lw=1.9)
    if ks[0] <= crossing.k <= ks[-1]:
        ends = np.clip([crossing.low, crossing.high], ks[0], ks[-1])
        axis.plot(ends, [0, 0], color="black", lw=2.6, solid_capstyle="butt")
        axis.plot([crossing.k], [0], "D", color="white", mec="black", ms=6.5, zorder=5)
