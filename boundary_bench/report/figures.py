"""The figures: the boundary map, the pass@k curves and the dynamics of training.

matplotlib is imported when a figure is drawn. The same results give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boundary_bench.files import atomic
from boundary_bench.plan import Plan
from boundary_bench.report.boundary import Boundary, boundary
from boundary_bench.report.tables import Row, Tables
from boundary_bench.statistics.intervals import INTERVAL

#: Okabe and Ito's colours, which colour-blind readers tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#332288")
MARKERS = "osD^vP*X"
NULL_NOTE = (
    "   |   inside the dotted line, random valid responses solve more than the checkpoint;   "
    "inside the solid line, more than both"
)
#: Differences below this are rounding errors of averages over seeds.
ROUNDING = 1e-9
#: Where the checkpoints begin in a boundary map: right of the base model's column.
BASE_GAP = 1.12
GREY = "#6b6b6b"
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


@dataclass(frozen=True)
class Figure:
    """A drawn figure: file stem, a description in words, and its SVG text."""

    stem: str
    alt: str
    svg: str


def draw_all(plan: Plan, tables: Tables) -> list[Figure]:
    """Draw every figure of a study into ``figures/``: boundary maps first, then curves, then dynamics."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    study, maps, curves, dynamics = plan.study, [], [], []
    with matplotlib.rc_context(STYLE):
        for model in study.models:
            suffix = f"-{model}" if len(study.models) > 1 else ""
            for benchmark in study.benchmarks:
                found = {a: boundary(plan, tables, model, a, benchmark) for a in study.algorithms}
                maps.append(_boundary_map(plan, found, model, benchmark, f"boundary_map{suffix}-{benchmark}"))
                curves.append(_pass_curves(plan, found, model, benchmark, f"pass_at_k{suffix}-{benchmark}"))
            dynamics.append(_dynamics(plan, tables, model, f"dynamics{suffix}"))
    return [*maps, *curves, *dynamics]


def _save(plan: Plan, figure: Any, stem: str, alt: str) -> Figure:
    import matplotlib.pyplot as plt

    paths: dict[str, Path] = {kind: plan.root / "figures" / f"{stem}.{kind}" for kind in ("svg", "png")}
    for kind, path in paths.items():
        with atomic(path) as temporary:
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(temporary, format=kind, dpi=160, metadata=metadata)
    plt.close(figure)
    return Figure(stem, alt, paths["svg"].read_text(encoding="utf-8"))


def _grid(panels: int, columns: int) -> tuple[int, int]:
    columns = min(panels, columns)
    return -(-panels // columns), columns


def _boundary_map(plan: Plan, found: dict[str, Boundary], model: str, benchmark: str, stem: str) -> Figure:
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    steps, ks = plan.study.evaluate.steps[1:], plan.study.ks
    rows, columns = _grid(len(found), 4 if len(steps) <= 6 else 2)
    width = max(9.5, columns * (0.35 + 0.53 * (len(steps) + BASE_GAP)) + 2)
    height = rows * (0.75 + 0.3 * len(ks)) + 1.5
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    limit = max(0.1, np.ceil(20 * max(np.abs(curve.differences[0]).max() for curve in found.values())) / 20)
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for place, (axis, (algorithm, curve)) in enumerate(zip(axes.flat, found.items(), strict=False)):
        image = _map_panel(axis, curve, steps, ks, limit)
        middle = (BASE_GAP + len(steps) / 2) / (BASE_GAP + len(steps))
        axis.set_title(algorithm, fontweight="bold", x=middle)
        axis.set_xlabel("training step", x=middle)
        if place % columns:
            axis.set_yticklabels([])
        else:
            axis.set_ylabel("attempts per problem, k")
    bottom, top = 1.0 / height, 1 - 0.95 / height
    spacing = 0.75 / (0.3 * len(ks) + (0.75 + 0.5) / rows)
    figure.subplots_adjust(0.8 / width, bottom, 1 - 1.1 / width, top, 0.08, spacing)
    bar = figure.colorbar(
        image, cax=figure.add_axes((1 - 0.85 / width, bottom, 0.15 / width, top - bottom)), format="%+.2f"
    )
    bar.locator = MaxNLocator(5, steps=[1, 2, 5])
    bar.outline.set_visible(False)
    bar.ax.set_title("expands", fontsize=9, pad=10, color="#2166ac")
    bar.ax.set_xlabel("shrinks", fontsize=9, labelpad=8, color="#b2182b")
    _heading(figure, "Does training shrink or expand what the model can solve?")
    what = f"pass@k of each checkpoint minus pass@k of its base model, {_whose(plan, model, benchmark)}"
    figure.text(0.5, 1 - 0.56 / height, what, ha="center", color=GREY)
    guessing = any(not np.isnan(curve.null).any() for curve in found.values())
    _footer(plan, figure, "hatched: the interval includes zero" + NULL_NOTE * guessing)
    alt = (
        "Heat map, one panel per algorithm: training step against k; the colour is the difference of "
        f"pass@k from the base model on {benchmark}. The values are in differences.csv."
    )
    return _save(plan, figure, stem, alt)


def _heading(figure: Any, text: str) -> None:
    figure.text(0.5, 1 - 0.32 / figure.get_figheight(), text, fontsize=14, fontweight="bold", ha="center")


def _footer(plan: Plan, figure: Any, note: str) -> None:
    """How to read the figure, and the settings its numbers depend on."""
    study, sampling, height = plan.study, plan.study.sampling, figure.get_figheight()
    settings = (
        f"study {study.study}   |   n = {sampling.n_max} samples a problem   |   temperature "
        f"{sampling.temperature:g}   |   top_p {sampling.top_p:g}   |   max_tokens {sampling.max_tokens}   "
        f"|   training seeds {', '.join(map(str, study.seeds))}   |   intervals: "
        f"{100 * study.analysis.level:g} %, {INTERVAL}"
    )
    figure.text(0.5, 0.3 / height, note, fontsize=8.5, ha="center")
    figure.text(0.5, 0.11 / height, settings, fontsize=7.5, ha="center", color=GREY)


def _whose(plan: Plan, model: str, benchmark: str) -> str:
    seeds = len(plan.study.seeds)
    return f"{model} on {benchmark}, " + (f"mean over {seeds} training seeds" if seeds > 1 else "one training seed")


def _map_panel(axis: Any, curve: Boundary, steps: list[int], ks: list[int], limit: float) -> Any:
    """One algorithm: a column of the base's own pass@k, then a column of differences for each checkpoint."""
    difference_SK, base_K, first = curve.differences[0], curve.base[0], BASE_GAP
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
        checkpoint_SK, base_SK = curve.curves[0] < curve.null, np.tile(base_K < curve.null, (len(steps), 1))
        _outline(axis, checkpoint_SK & ~base_SK, first, ":")
        _outline(axis, checkpoint_SK & base_SK, first, "-")
    axis.set_xticks([0.5, *(first + 0.5 + np.arange(len(steps)))], ["base", *map(str, steps)], fontsize=9)
    axis.set_yticks(np.arange(len(ks)) + 0.5, [str(k) for k in ks], fontsize=9)
    axis.set_xlim(0, edges[-1])
    axis.set_ylim(0, len(ks))
    return image


def _cells(axis: Any, curve: Boundary, limit: float) -> None:
    """The number in every cell, and a hatch where the interval includes zero."""
    difference_SK, low_SK, high_SK = curve.differences
    for j, base in enumerate(curve.base[0]):
        text = f"{base:.2f}".lstrip("0")
        axis.text(0.5, j + 0.5, text, ha="center", va="center", fontsize=8, color="#333333")
    for (i, j), value in np.ndenumerate(difference_SK):
        unsure = not (low_SK[i, j] > ROUNDING or high_SK[i, j] < -ROUNDING)
        if unsure:
            corner = (BASE_GAP + i, j)
            axis.add_patch(_rectangle(corner, hatch="////", facecolor="none", edgecolor="#00000030", lw=0))
        color = "white" if abs(value) > 0.62 * limit else "black"
        if unsure and abs(value) < 0.3 * limit:
            color = GREY
        place, weight = (BASE_GAP + i + 0.5, j + 0.5), "normal" if unsure else "bold"
        axis.text(*place, _signed(value), ha="center", va="center", fontsize=8, color=color, weight=weight)


def _rectangle(corner: tuple[float, float], **style: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 1, 1, **style)


def _signed(value: float) -> str:
    """A difference in three characters: "-.12", "+.05", "0" where it rounds to nothing."""
    text = f"{value:+.2f}"
    return "0" if float(text) == 0 else text.replace("0.", ".", 1).replace("-", "\N{MINUS SIGN}")


def _outline(axis: Any, inside_SK: np.ndarray, first: float, style: str) -> None:
    """A line around the cells that are inside."""
    padded = np.pad(inside_SK, 1)
    sides = [(i, j) for i, j in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])]
    for i, j in sides:
        axis.plot([first + i] * 2, [j, j + 1], style, color="black", lw=1.5, clip_on=False, zorder=5)
    for i, j in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1]):
        axis.plot([first + i, first + i + 1], [j] * 2, style, color="black", lw=1.5, clip_on=False, zorder=5)


def _pass_curves(plan: Plan, found: dict[str, Boundary], model: str, benchmark: str, stem: str) -> Figure:
    import matplotlib.pyplot as plt

    steps, ks = plan.study.evaluate.steps[1:], plan.study.ks
    rows, columns = _grid(len(found), 4)
    width, height = max(9.5, 3.2 * columns + 0.6), 3.0 * rows + 1.4
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), sharex=True, sharey=True, squeeze=False)
    colors = plt.get_cmap("plasma")(np.linspace(0.08, 0.82, len(steps)))
    shown = range(len(steps)) if len(steps) <= 6 else (0, len(steps) // 2, len(steps) - 1)
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for axis, (algorithm, curve) in zip(axes.flat, found.items(), strict=False):
        axis.fill_between(ks, *curve.base[1:], color="black", alpha=0.13, lw=0)
        axis.fill_between(ks, curve.curves[1][-1], curve.curves[2][-1], color=colors[-1], alpha=0.2, lw=0)
        axis.plot(ks, curve.base[0], color="black", lw=2.2, label="base (step 0)")
        for i, step in enumerate(steps):
            axis.plot(ks, curve.curves[0][i], color=colors[i], lw=1.7, label=f"step {step}" if i in shown else None)
        if not np.isnan(curve.null).any():
            axis.plot(ks, curve.null, "--", color=GREY, lw=1.3, label="random valid responses")
        axis.set_xscale("log", base=2)
        axis.set_xticks(ks, [str(k) if i % 2 == 0 or len(ks) < 7 else "" for i, k in enumerate(ks)])
        axis.minorticks_off()
        axis.set_ylim(0, 1.02)
        axis.set_title(algorithm, fontweight="bold")
    for axis in axes[:, 0]:
        axis.set_ylabel("problems solved (pass@k)")
    for axis in axes[-1]:
        axis.set_xlabel("attempts per problem, k")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncol=len(labels), bbox_to_anchor=(0.5, 1 - 0.58 / height))
    _heading(figure, "How many problems are solved within k attempts?")
    what = f"pass@k, {_whose(plan, model, benchmark)}"
    figure.text(0.5, 1 - 0.56 / height, what, ha="center", color=GREY)
    _footer(plan, figure, "bands: intervals of the base model and of the last step")
    figure.tight_layout(rect=(0, 0.45 / height, 1, 1 - 0.85 / height))
    alt = f"pass@k against k on {benchmark}, one panel per algorithm, one line per checkpoint, mean over seeds."
    return _save(plan, figure, stem, alt)


def _dynamics(plan: Plan, tables: Tables, model: str, stem: str) -> Figure:
    import matplotlib.pyplot as plt

    benchmarks = list(plan.study.benchmarks)
    columns = 1 + len(benchmarks)
    width, height = max(10.0, 3.9 * columns), 7.0
    figure, axes = plt.subplots(2, columns, figsize=(width, height), squeeze=False, sharex=True)
    log = [row for row in tables.training if row["model"] == model]
    for axis, name, label in (
        (axes[0, 0], "reward", "training reward"),
        (axes[1, 0], "entropy", "token entropy of rollouts (nats)"),
    ):
        _lines(plan, axis, lambda a, s, n=name: _series(log, a, s, n), smooth=True)
        axis.set_ylabel(label)
    axes[0, 0].set_title("training", fontweight="bold")
    for column, benchmark in enumerate(benchmarks, 1):
        rows = [r for r in tables.summary if (r["model"], r["benchmark"], r["stratum"]) == (model, benchmark, "all")]
        axes[0, column].set_title(benchmark, fontweight="bold")
        for axis, name, label in (
            (axes[0, column], "token_entropy", "token entropy of samples (nats)"),
            (axes[1, column], "greedy", "greedy accuracy"),
        ):
            base = next(row for row in rows if row["algorithm"] == "base")
            axis.axhline(_value(base[name]), color="black", lw=1, ls="--")
            if name == "greedy" and base["greedy_low"]:
                axis.axhspan(_value(base["greedy_low"]), _value(base["greedy_high"]), color="black", alpha=0.08, lw=0)
            _lines(plan, axis, lambda a, s, n=name, rs=rows: _series(rs, a, s, n), smooth=False)
            axis.set_ylabel(label)
    for axis in axes[1]:
        axis.set_xlabel("training step")
    handles, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncol=len(labels), bbox_to_anchor=(0.5, 1 - 0.38 / height))
    _heading(figure, f"Reward, entropy and greedy accuracy over training, {model}")
    note = (
        f"thick: mean over seeds   |   thin: each seed   |   training: running mean of {_window(plan)} "
        "steps, raw values faint   |   dashed, grey band: base model and its interval"
    )
    _footer(plan, figure, note)
    figure.tight_layout(rect=(0, 0.45 / height, 1, 1 - 0.68 / height))
    alt = "Training reward, token entropy and greedy accuracy over training, one colour an algorithm."
    return _save(plan, figure, stem, alt)


def _value(cell: str) -> float:
    return float(cell or "nan")


def _series(rows: list[Row], algorithm: str, seed: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of one run; among evaluated policies the base model is its step 0."""
    mine = [row for row in rows if (row["algorithm"], row["seed"]) in (("base", ""), (algorithm, str(seed)))]
    return np.array([int(row["step"]) for row in mine]), np.array([_value(row[name]) for row in mine])


def _window(plan: Plan) -> int:
    """Steps of the running mean: a twentieth of the training, odd."""
    return max(1, plan.study.training.segments[-1] // 20 | 1)


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Centred mean; at the ends, of the steps that exist."""
    ones = np.ones(window)
    return np.convolve(values, ones, "same") / np.convolve(np.ones_like(values), ones, "same")


def _lines(plan: Plan, axis: Any, series: Callable[[str, int], tuple[np.ndarray, np.ndarray]], smooth: bool) -> None:
    """One colour an algorithm: thin lines for the seeds, a thick one for their mean."""
    for i, algorithm in enumerate(plan.study.algorithms):
        color, marker = COLORS[i % len(COLORS)], None if smooth else MARKERS[i % len(MARKERS)]
        found = [series(algorithm, seed) for seed in plan.study.seeds]
        steps, mean = found[0][0], np.mean([values for _, values in found], 0)
        for _, values in found:
            if smooth:
                axis.plot(steps, values, color=color, lw=0.6, alpha=0.25)
            if len(found) > 1:
                axis.plot(
                    steps,
                    _running_mean(values, _window(plan)) if smooth else values,
                    color=color,
                    lw=0.8,
                    alpha=0.6,
                )
        shown = _running_mean(mean, _window(plan)) if smooth else mean
        axis.plot(steps, shown, color=color, lw=2.2, marker=marker, ms=5, label=algorithm)
