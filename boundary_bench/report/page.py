"""The page: one HTML file that needs nothing else, with every figure and the compact tables in it."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import yaml

from boundary_bench import __version__
from boundary_bench.files import write_text
from boundary_bench.plan import Plan
from boundary_bench.report.pivots import Pivot
from boundary_bench.report.style import Figure, sampled
from boundary_bench.report.tables import Tables, record
from boundary_bench.statistics.coverage import detection_limit
from boundary_bench.statistics.intervals import METHODS


def write(plan: Plan, tables: Tables, pivots: dict[str, list[Pivot]], figures: list[Figure]) -> None:
    """Write ``report.html``; everything that comes from a name or a file is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source = record(plan, tables)
    inline = [(figure, Markup(_inline(figure, f"f{place}"))) for place, figure in enumerate(figures)]
    text = environment.get_template("report.html.j2").render(
        study=plan.study,
        version=__version__,
        groups=[(name, [pair for pair in inline if pair[0].stem.startswith(name)]) for name in SECTIONS],
        sections=SECTIONS,
        pivots=pivots,
        sampled=sampled(plan),
        intervals=f"{100 * plan.study.analysis.level:g} % intervals over {METHODS[plan.study.analysis.interval]}",
        settings=yaml.safe_dump(source["study"], sort_keys=False, allow_unicode=True),
        record=source,
        limits=[*limits(plan), *power(plan, tables)],
    )
    write_text(plan.root / "report.html", text)


#: Figure stems in the order of the page: heading and how to read them.
SECTIONS = {
    "boundary_map": (
        "The boundary map",
        "Every cell compares one checkpoint with the base model at one k, on the same problems. Red: fewer "
        "problems are solved within k attempts than before training, so the boundary shrinks. Blue: more, "
        "so it expands. The grey column is the base model itself. Hatched cells are those whose simultaneous "
        "band includes zero: the unhatched cells of a column hold together, not one by one. Inside the lines the "
        "comparison is with guessing: uniformly random valid "
        "responses solve more than the checkpoint does (dotted), or more than both (solid).",
    ),
    "pass_at_k": (
        "pass@k curves",
        "The same numbers as curves. Small k is what a user sees, large k is what could be found by "
        "search. Where the curves of a checkpoint and the base cross, training has moved problems from "
        "rarely solved to either often or never. The dashed line is what random valid responses reach. Beneath, "
        "the last checkpoint minus the base, problem by problem. The pale band speaks of problems like these, at every "
        "k at once; the dark one of this very set of problems, sampled again.",
    ),
    "dynamics": (
        "Dynamics of training",
        "Reward and token entropy of the rollouts at every step, token entropy and greedy accuracy of the "
        "evaluated checkpoints on each benchmark.",
    ),
}


def _inline(figure: Figure, prefix: str) -> str:
    """The SVG element of a figure, with names of its own: two figures of a page must not share an id."""
    text = figure.svg[figure.svg.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    return re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)  # the page scales it


def limits(plan: Plan) -> list[str]:
    """What the results of this study cannot show, each as a paragraph."""
    study, design, level = plan.study, plan.design, 100 * plan.study.analysis.level
    limit, thrice = detection_limit(design.n_max), detection_limit(design.n_max, min(3, design.n_max))
    seeds = len(study.seeds)
    made = [name for name, model in study.models.items() if model.pretrain]
    sets = ", ".join(f"{name} ({plan.problem_sets[name].kind.name})" for name in study.benchmarks)
    found = [
        f"No success is not impossible. With {design.n_max} samples and no correct one, the success rate of a "
        f"problem is only known to be below {limit:.2g} (95 % confidence, 1 - 0.05^(1/n)); a rule of three "
        f"hits misses rates up to {thrice:.2g} as often. Problems that are rarer than that look unsolvable "
        "here. Some problems near that rate look newly solved or lost by chance alone: the coverage table shows how "
        "many do between two halves of the base's own samples.",
        f"{'One training seed' if seeds == 1 else f'{seeds} training seeds'} per algorithm. "
        + (
            "Nothing here says how much a repeat of the training would differ."
            if seeds == 1
            else "The curves are means over them; no interval but other_seeds in mean_differences.csv holds what the "
            "choice of seeds adds."
        ),
        f"Intervals ({level:g} %) hold for one k and one checkpoint and speak of other problems of the same kind; "
        "bands hold for all k of one checkpoint; the sample-only ones speak of this very set, sampled again. "
        "Across checkpoints, algorithms and benchmarks nothing is corrected: of many findings some are chance.",
        "The null line is what uniformly random valid responses reach (known where the benchmark knows its "
        "chance rates). Near or below it a large-k difference is one of coverage, of how many different "
        "responses are drawn, and no evidence of skill gained or lost.",
        f"Everything is measured on {sets}, at temperature {study.sampling.temperature:g} and responses of "
        f"at most {study.sampling.max_tokens} tokens. Verdicts that count as missing: "
        f"{', '.join(design.unscored)}; all others but correct count as not "
        "solved in pass@k. The summary counts every verdict apart.",
    ]
    if made:
        verb = "is a tiny model" if len(made) == 1 else "are tiny models"
        found.insert(
            0,
            f"{', '.join(made)} {verb} made from scratch on a synthetic task. What happens here shows that "
            "the measurement works and what these objectives do to such a model; it does not carry over to "
            "large language models by itself.",
        )
    return found


def power(plan: Plan, tables: Tables) -> list[str]:
    """For every benchmark, the smallest difference that its problems and samples could have shown."""
    ks = sorted({1, plan.study.ks[len(plan.study.ks) // 2], plan.study.ks[-1]} & set(plan.study.ks))
    notes = []
    for benchmark in plan.study.benchmarks:
        rows = [row for row in tables.differences if (row["benchmark"], row["stratum"]) == (benchmark, "all")]
        least = [
            f"{statistics.median(float(row['detectable']) for row in rows if row['k'] == str(k)):.2f} at k = {k}"
            for k in ks
        ]
        notes.append(
            f"Power. With the {rows[0]['problems']} problems of {benchmark} a change of pass@k is found four times in "
            f"five if it is at least {', '.join(least)} (median over the comparisons, one k at a time); of smaller "
            "ones more are missed."
        )
    return notes
