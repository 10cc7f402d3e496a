"""Limits of a study's results: in a few words for the first screen, and in full."""

from __future__ import annotations

from dataclasses import dataclass

from boundary_bench.plan import Plan
from boundary_bench.report import drawing
from boundary_bench.report.figures.style import level
from boundary_bench.report.tables import Tables
from boundary_bench.statistics.coverage import detection_limit


@dataclass(frozen=True)
class Limit:
    """Something that the study cannot show: in a few words, and as a paragraph."""

    short: str
    text: str


def limits(plan: Plan) -> list[Limit]:
    """What the results of this study cannot show."""
    return [*_made(plan), _rare(plan), _seeds(plan), _intervals(plan), GUESSING, _measured(plan)]


def _made(plan: Plan) -> list[Limit]:
    made = [name for name, model in plan.study.models.items() if model.pretrain]
    if not made:
        return []
    verb = "is a tiny model" if len(made) == 1 else "are tiny models"
    text = (
        f"{', '.join(made)} {verb} made from scratch on a synthetic task. What happens here shows that "
        "the measurement works and what these objectives do to such a model; it does not carry over to "
        "large language models by itself."
    )
    return [Limit(f"what large models do ({', '.join(made)} {verb} made from scratch)", text)]


def _rare(plan: Plan) -> Limit:
    n = max(design.n_max for design in plan.designs)
    limit, thrice = detection_limit(n), detection_limit(n, min(3, n))
    return Limit(
        f"success rates below {limit:.2g} (n = {n})",
        f"No success is not impossible. With {n} samples and no correct one, the success rate of a "
        f"problem is only known to be below {limit:.2g} (95 % confidence, 1 - 0.05^(1/n)); a rule of three "
        f"hits misses rates up to {thrice:.2g} as often. Problems that are rarer than that look unsolvable "
        "here. Some problems near that rate look newly solved or lost by chance alone: the coverage table shows how "
        "many do between two halves of the base's own samples.",
    )


def _seeds(plan: Plan) -> Limit:
    seeds = plan.most_seeds
    if seeds == 1:
        short = "how much a repeat of the training would differ"
        return Limit(short, f"One training seed per algorithm. Nothing here says {short}.")
    return Limit(
        f"what other seeds than these {seeds} would add",
        f"{seeds} training seeds per algorithm. The curves are means over them; of the intervals only other_seeds in "
        "mean_differences.csv holds their choice.",
    )


def _intervals(plan: Plan) -> Limit:
    return Limit(
        "that no cell of a map is chance (bands hold for one checkpoint)",
        f"Intervals ({level(plan)}) hold for one k and one checkpoint and speak of other "
        "problems of the same kind; bands hold for all k of one checkpoint; the sample-only ones speak of this very "
        "set, sampled again. Across checkpoints, algorithms and benchmarks nothing is corrected but the verdicts on "
        "claims: of many findings in the panels some are chance.",
    )


GUESSING = Limit(
    "skill, where random valid responses solve as many problems",
    "The null line is what uniformly random valid responses reach (known where the benchmark knows its "
    "chance rates). Near or below it a large-k difference is one of coverage, of how many different "
    "responses are drawn, and no evidence of skill gained or lost.",
)


def _measured(plan: Plan) -> Limit:
    sets = ", ".join(f"{name} ({plan.problem_sets[name].kind.name})" for name in plan.study.benchmarks)
    drawn = ", ".join(drawing.settings(plan))
    unscored = dict.fromkeys(verdict for design in plan.designs for verdict in design.unscored)
    return Limit(
        f"another way of sampling ({drawn})",
        f"Everything is measured on {sets}, in this way: {drawn}. Verdicts that count as missing: "
        f"{', '.join(unscored)}; all others but correct count as not solved in pass@k. The summary counts every "
        "verdict apart.",
    )


def from_files(plan: Plan, tables: Tables) -> list[Limit]:
    """The limits from samples that others drew; empty without such ones."""
    found = []
    if said := drawing.otherwise(plan):
        found.append(
            Limit(
                f"the policies alone: {len(said)} comparison(s) are of samples drawn in other ways, or in unknown ones",
                f"Of stored samples only the study can say how they were drawn. Not alike or not known: "
                f"{'; '.join(said)}. A part of a difference may come from that.",
            )
        )
    for (policy, benchmark), notes in tables.notes.items():
        found += [
            Limit(f"samples of {policy} on {benchmark}: {note}", f"{policy} on {benchmark}: {note}.") for note in notes
        ]
    return found


def other_prompts(tables: Tables) -> list[Limit]:
    """The limit from given checkpoints that are not asked as their base is; empty without such ones."""
    found = {policy: parts for policy, parts in tables.differs.items() if parts}
    if not found:
        return []
    said = "; ".join(f"{policy}: another {', another '.join(parts)}" for policy, parts in found.items())
    return [
        Limit(
            f"the policies alone: {len(found)} given checkpoint(s) differ from the base in more than weights",
            f"Beside their weights these differ from their base ({said}), so that the same problem reaches them as "
            "other tokens or ends elsewhere: a part of the difference may come from that.",
        )
    ]


def left_out(tables: Tables) -> list[Limit]:
    """The limit from rows without a reference or skipped by the study; empty without such rows."""
    found = []
    for row in tables.rows["problems"]:
        if count := int(row["no_reference"]) + int(row["skipped"]):
            found.append(f"{count} of the {row['rows']} rows of {row['benchmark']}")
    if not found:
        return []
    rows = ", ".join(found)
    short = f"what {rows} would have added, which were left out"
    text = f"Left out were {rows}: they have no reference answer, or the study skips them. "
    return [Limit(short, f"{text}The table problems counts them by reason, the log of the prepare stage names them.")]
