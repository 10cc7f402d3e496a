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
from boundary_bench.measure import null_line
from boundary_bench.plan import Plan, Policy, Run
from boundary_bench.report.tables import Row, Tables
from boundary_bench.statistics.intervals import bootstrap_weights, mean_interval
from boundary_bench.statistics.passk import pass_at_k

#: Okabe and Ito's colours, which colour-blind readers tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#332288")
MARKERS = "osD^vP*X"
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
    """A drawn figure: file stem, heading, a description in words, and its SVG text."""

    stem: str
    title: str
    alt: str
    svg: str


@dataclass(frozen=True)
class Boundary:
    """The curves of one algorithm on one benchmark, means over its seeds. Axes: S checkpoints, K values of k."""

    base: tuple[np.ndarray, np.ndarray, np.ndarray]
    curves: tuple[np.ndarray, np.ndarray, np.ndarray]
    differences: tuple[np.ndarray, np.ndarray, np.ndarray]
    null: np.ndarray


def boundary(plan: Plan, tables: Tables, model: str, algorithm: str, benchmark: str) -> Boundary:
    """Seed-averaged pass@k and paired differences, each with its interval over problems.

    The values of a problem are averaged over the seeds first, then the problems are resampled, so that the interval
    is that of the mean over these seeds.
    """
    analysis, ks = plan.study.analysis, plan.study.ks

    def of(policy: Policy) -> np.ndarray:
        counts = tables.counts[policy.name, benchmark]
        return pass_at_k(counts["n"], counts["correct"], ks)

    base_PK = of(Policy(model, None, 0))
    weight_BP = bootstrap_weights(len(base_PK), analysis.resamples, analysis.seed)
    runs = [Run(model, algorithm, seed) for seed in plan.study.seeds]
    steps = plan.study.evaluate.steps[1:]
    means = [np.mean([of(Policy(model, run, step)) for run in runs], 0) for step in steps]

    def intervals(values: list[np.ndarray]) -> Any:
        return tuple(np.array(part) for part in zip(*(mean_interval(x, weight_BP, analysis.level) for x in values), strict=True))

    chance_P = tables.counts[model, benchmark]["chance"]
    return Boundary(
        mean_interval(base_PK, weight_BP, analysis.level),
        intervals(means),
        intervals([mean_PK - base_PK for mean_PK in means]),
        null_line(chance_P, ks),
    )


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


def _save(plan: Plan, figure: Any, stem: str, title: str, alt: str) -> Figure:
    import matplotlib.pyplot as plt

    paths: dict[str, Path] = {kind: plan.root / "figures" / f"{stem}.{kind}" for kind in ("svg", "png")}
    for kind, path in paths.items():
        with atomic(path) as temporary:
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(temporary, format=kind, dpi=160, metadata=metadata)
    plt.close(figure)
    return Figure(stem, title, alt, paths["svg"].read_text(encoding="utf-8"))


def settings_line(plan: Plan) -> str:
    """The settings that a figure's numbers depend on, in one line."""
    study, sampling = plan.study, plan.study.sampling
    seeds = ", ".join(map(str, study.seeds))
    return (
        f"study {study.study}   n = {sampling.n_max} samples a problem   temperature {sampling.temperature:g}   "
        f"top_p {sampling.top_p:g}   max_tokens {sampling.max_tokens}   training seeds {seeds}   "
        f"intervals: {100 * study.analysis.level:g} %, bootstrap over problems"
    )


def _grid(panels: int, columns: int) -> tuple[int, int]:
    columns = min(panels, columns)
    return -(-panels // columns), columns


def _boundary_map(plan: Plan, found: dict[str, Boundary], model: str, benchmark: str, stem: str) -> Figure:
    import matplotlib.pyplot as plt

    steps, ks = plan.study.evaluate.steps[1:], plan.study.ks
    rows, columns = _grid(len(found), 4 if len(steps) <= 6 else 2)
    width = max(8.0, columns * (0.9 + 0.52 * (len(steps) + 1.3)) + 1.2)
    height = rows * (0.62 + 0.3 * len(ks)) + 1.75
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), sharey=True, squeeze=False)
    largest = max(float(np.abs(b.differences[0]).max()) for b in found.values())
    limit = max(0.05, np.ceil(largest * 20) / 20)
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for axis, (algorithm, curve) in zip(axes.flat, found.items(), strict=False):
        image = _map_panel(axis, curve, steps, ks, limit)
        axis.set_title(algorithm, fontweight="bold", pad=22)
    for axis in axes[:, 0]:
        axis.set_ylabel("attempts per problem, k")
    top, bottom = 1 - 0.98 / height, 0.98 / height
    figure.subplots_adjust(
        left=0.72 / width, right=1 - 1.05 / width, top=top, bottom=bottom, wspace=0.07, hspace=0.75 / (0.3 * len(ks))
    )
    bar = figure.colorbar(
        image, cax=figure.add_axes((1 - 0.85 / width, bottom, 0.14 / width, top - bottom)), format="%+.2f"
    )
    bar.outline.set_visible(False)
    bar.ax.set_title("expands", fontsize=9, color="#2166ac")
    bar.ax.set_xlabel("shrinks", fontsize=9, color="#b2182b")
    figure.text(0.5, 1 - 0.27 / height, "Does training shrink or expand what the model can solve?", fontsize=14,
                ha="center", fontweight="bold")
    figure.text(0.5, 1 - 0.5 / height, f"Change of pass@k against the base model on {benchmark}, {model}, by training "
                "step: paired over problems, mean over seeds", fontsize=10, ha="center", color=GREY)
    figure.text(0.5, 0.46 / height, "training step", ha="center")
    figure.text(0.5, 0.26 / height, "hatched: the interval contains no change   |   solid line: base and checkpoint are both "
                "below random valid responses   |   dotted line: only the checkpoint is", fontsize=8.5, ha="center")
    figure.text(0.5, 0.08 / height, settings_line(plan), fontsize=7.5, ha="center", color=GREY)
    alt = (
        f"Heat map, one panel per algorithm: training step against k, colour is the difference of pass@k from the base "
        f"model on {benchmark}. Values are in differences.csv."
    )
    return _save(plan, figure, stem, f"Boundary map, {benchmark}, {model}", alt)


def _map_panel(axis: Any, curve: Boundary, steps: list[int], ks: list[int], limit: float) -> Any:
    """One algorithm: a column of the base's own pass@k, then a column of differences for each checkpoint."""
    difference_SK, low_SK, high_SK = curve.differences
    base_K, first = curve.base[0], 1.3
    axis.grid(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)
    axis.tick_params(length=0)
    axis.pcolormesh([0, 1], np.arange(len(ks) + 1), np.zeros((len(ks), 1)), cmap="Greys", vmin=-0.12, vmax=1)
    edges = first + np.arange(len(steps) + 1)
    image = axis.pcolormesh(
        edges, np.arange(len(ks) + 1), difference_SK.T, cmap="RdBu", vmin=-limit, vmax=limit, edgecolors="white", lw=0.8
    )
    for j in range(len(ks)):
        axis.text(0.5, j + 0.5, f"{base_K[j]:.2f}".lstrip("0"), ha="center", va="center", fontsize=8, color="#333333")
        for i in range(len(steps)):
            value, unsure = difference_SK[i, j], not (low_SK[i, j] > 0 or high_SK[i, j] < 0)
            if unsure:
                box = (first + i, j)
                axis.add_patch(_rectangle(box, hatch="////", facecolor="none", edgecolor="#00000030", lw=0))
            axis.text(
                first + i + 0.5, j + 0.5, _signed(value), ha="center", va="center", fontsize=8,
                color="white" if abs(value) > 0.62 * limit else "#777777" if unsure else "black",
                fontweight="normal" if unsure else "bold",
            )
    if not np.isnan(curve.null).any():
        checkpoint_SK, base_SK = curve.curves[0] < curve.null, np.tile(base_K < curve.null, (len(steps), 1))
        _outline(axis, checkpoint_SK & ~base_SK, first, ":")
        _outline(axis, checkpoint_SK & base_SK, first, "-")
    axis.set_xticks([0.5, *(first + 0.5 + np.arange(len(steps)))], ["base\npass@k", *map(str, steps)], fontsize=9)
    axis.set_yticks(np.arange(len(ks)) + 0.5, [str(k) for k in ks], fontsize=9)
    axis.xaxis.tick_top()
    axis.set_xlim(0, edges[-1])
    axis.set_ylim(0, len(ks))
    return image


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
    width, height = max(7.5, 3.2 * columns + 0.6), 3.1 * rows + 1.5
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), sharex=True, sharey=True, squeeze=False)
    colors = plt.get_cmap("plasma")(np.linspace(0.08, 0.82, len(steps)))
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for axis, (algorithm, curve) in zip(axes.flat, found.items(), strict=False):
        axis.fill_between(ks, *curve.base[1:], color="black", alpha=0.13, lw=0)
        axis.fill_between(ks, curve.curves[1][-1], curve.curves[2][-1], color=colors[-1], alpha=0.2, lw=0)
        axis.plot(ks, curve.base[0], color="black", lw=2.2, label="base (step 0)")
        for i, step in enumerate(steps):
            axis.plot(ks, curve.curves[0][i], color=colors[i], lw=1.7, label=f"step {step}")
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
    figure.legend(handles, labels, loc="upper center", ncol=len(labels), bbox_to_anchor=(0.5, 1 - 0.36 / height))
    figure.suptitle(f"What k attempts solve on {benchmark}, {model}", fontsize=14, fontweight="bold", y=1 - 0.12 / height)
    figure.text(0.5, 0.08 / height, settings_line(plan) + " (base and last step)", fontsize=7.5, ha="center", color=GREY)
    figure.tight_layout(rect=(0, 0.22 / height, 1, 1 - 0.68 / height))
    alt = f"pass@k against k on {benchmark}, one panel per algorithm, one line per checkpoint, mean over seeds."
    return _save(plan, figure, stem, f"pass@k on {benchmark}, {model}", alt)


def _dynamics(plan: Plan, tables: Tables, model: str, stem: str) -> Figure:
    import matplotlib.pyplot as plt

    benchmarks = list(plan.study.benchmarks)
    columns = 1 + len(benchmarks)
    width, height = max(8.0, 3.9 * columns), 7.0
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
    figure.suptitle(f"Reward, entropy and greedy accuracy over training, {model}", fontsize=14, fontweight="bold",
                    y=1 - 0.12 / height)
    note = f"thick: mean over seeds; thin: each seed; training curves: mean of {_window(plan)} steps, raw values faint; " \
           "dashed and grey: the base model, its interval"
    figure.text(0.5, 0.26 / height, note, fontsize=8.5, ha="center")
    figure.text(0.5, 0.08 / height, settings_line(plan), fontsize=7.5, ha="center", color=GREY)
    figure.tight_layout(rect=(0, 0.42 / height, 1, 1 - 0.7 / height))
    alt = "Training reward, token entropy and greedy accuracy against the training step, one colour per algorithm."
    return _save(plan, figure, stem, f"Dynamics, {model}", alt)


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


def _lines(
    plan: Plan, axis: Any, series: Callable[[str, int], tuple[np.ndarray, np.ndarray]], smooth: bool
) -> None:
    """One colour an algorithm: thin lines for the seeds, a thick one for their mean."""
    for i, algorithm in enumerate(plan.study.algorithms):
        color, marker = COLORS[i % len(COLORS)], None if smooth else MARKERS[i % len(MARKERS)]
        found = [series(algorithm, seed) for seed in plan.study.seeds]
        steps, mean = found[0][0], np.mean([values for _, values in found], 0)
        for _, values in found:
            if smooth:
                axis.plot(steps, values, color=color, lw=0.6, alpha=0.25)
            if len(found) > 1:
                axis.plot(steps, _running_mean(values, _window(plan)) if smooth else values, color=color, lw=0.8, alpha=0.6)
        shown = _running_mean(mean, _window(plan)) if smooth else mean
        axis.plot(steps, shown, color=color, lw=2.2, marker=marker, ms=5, label=algorithm)
