"""Reward, entropy and greedy accuracy over training."""

from __future__ import annotations

from typing import Any

import numpy as np

from boundary_bench.plan import Plan
from boundary_bench.plan.figures import FigureFile
from boundary_bench.report.figures.style import footer, heading, save
from boundary_bench.report.tables import Tables
from boundary_bench.tables.table import BASE, Row

#: Okabe and Ito's colours, which colour-blind readers can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#332288")
MARKERS = "osD^vP*X"


def dynamics(plan: Plan, tables: Tables, file: FigureFile) -> None:
    """Draw training on the left, and the evaluated checkpoints on each benchmark beside it."""
    import matplotlib.pyplot as plt

    model, benchmarks = file.model, list(plan.study.benchmarks)
    log = [row for row in tables.rows["training"] if row["model"] == model]
    first = int(bool(log))  # the column of training, where something was trained here
    columns = first + len(benchmarks)
    width, height = max(10.0, 3.9 * columns), 7.0
    figure, axes = plt.subplots(2, columns, figsize=(width, height), squeeze=False, sharex=True)
    if log:
        axes[0, 0].set_title("training", fontweight="bold")
        for axis, name, label in (
            (axes[0, 0], "reward", "training reward"),
            (axes[1, 0], "entropy", "token entropy of rollouts (nats)"),
        ):
            _lines(plan, axis, log, name, smooth=True)
            axis.set_ylabel(label)
    for column, benchmark in enumerate(benchmarks, first):
        rows = [row for row in tables.whole("summary", benchmark) if row["model"] == model]
        axes[0, column].set_title(benchmark, fontweight="bold")
        for axis, name, label in (
            (axes[0, column], *entropy_column(rows)),
            (axes[1, column], "greedy", "greedy accuracy"),
        ):
            base = next(row for row in rows if row["algorithm"] == BASE)
            axis.axhline(_value(base[name]), color="black", lw=1, ls="--")
            if name == "greedy" and base["greedy_low"]:
                axis.axhspan(_value(base["greedy_low"]), _value(base["greedy_high"]), color="black", alpha=0.08, lw=0)
            _lines(plan, axis, rows, name, smooth=False)
            axis.set_ylabel(label)
    for axis in axes[1]:
        axis.set_xlabel("training step")
    handles, labels = axes[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncol=len(labels), bbox_to_anchor=(0.5, 1 - 0.38 / height))
    heading(figure, f"Reward, entropy and greedy accuracy over training, {model}", "")
    note = (
        f"thick: mean over seeds   |   thin: each seed   |   training: running mean of {window(plan)} "
        "steps, raw values faint   |   dashed, grey band: base model and its interval"
    )
    below = 0.45 + footer(plan, figure, note)
    figure.tight_layout(rect=(0, below / height, 1, 1 - 0.68 / height))
    alt = "Training reward, token entropy and greedy accuracy over training, one colour an algorithm."
    save(plan, figure, file.stem, alt)


def entropy_column(rows: list[Row]) -> tuple[str, str]:
    """The column with the token entropy of the samples, and its label; some engines give only the tokens' -log p."""
    if any(row["token_entropy"] for row in rows):
        return "token_entropy", "token entropy of samples (nats)"
    return "nll", "sampled-token entropy (nats)"


def _value(cell: str) -> float:
    return float(cell or "nan")


def _series(rows: list[Row], algorithm: str, seed: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of one run; among evaluated policies the base model is its step 0."""
    mine = [row for row in rows if (row["algorithm"], row["seed"]) in ((BASE, ""), (algorithm, seed))]
    return np.array([int(row["step"]) for row in mine]), np.array([_value(row[name]) for row in mine])


def window(plan: Plan) -> int:
    """Number of steps in the running mean: a twentieth of the training, odd."""
    return max(1, (plan.segments or [0])[-1] // 20 | 1)


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """The centred running mean; at the ends it covers only existing steps."""
    ones = np.ones(window)
    return np.convolve(values, ones, "same") / np.convolve(np.ones_like(values), ones, "same")


def _lines(plan: Plan, axis: Any, rows: list[Row], name: str, smooth: bool) -> None:
    """One colour an algorithm: thin lines for the seeds, a thick one for their mean."""
    for i, algorithm in enumerate(plan.labels):
        color, marker = COLORS[i % len(COLORS)], None if smooth else MARKERS[i % len(MARKERS)]
        seeds = dict.fromkeys(row["seed"] for row in rows if row["algorithm"] == algorithm)
        found = [_series(rows, algorithm, seed, name) for seed in seeds]
        if not found:  # of another model, or not trained here
            continue
        steps, mean = found[0][0], np.mean([values for _, values in found], 0)
        for _, values in found:
            if smooth:
                axis.plot(steps, values, color=color, lw=0.6, alpha=0.25)
            if len(found) > 1:
                shown = running_mean(values, window(plan)) if smooth else values
                axis.plot(steps, shown, color=color, lw=0.8, alpha=0.6)
        shown = running_mean(mean, window(plan)) if smooth else mean
        axis.plot(steps, shown, color=color, lw=2.2, marker=marker, ms=5, label=algorithm)
    if all(np.isnan(line.get_ydata()).all() for line in axis.lines):
        axis.set_yticks([])
        axis.text(0.5, 0.5, "unknown", ha="center", va="center", transform=axis.transAxes)
