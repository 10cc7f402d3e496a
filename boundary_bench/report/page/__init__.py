"""The page: one HTML file that needs nothing else and asks for nothing else, whatever is in the names it shows."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from boundary_bench import __version__
from boundary_bench.claims.verdicts import ClaimVerdict, Ledger
from boundary_bench.core.files import write_text
from boundary_bench.core.text import small
from boundary_bench.plan import Plan
from boundary_bench.report.figures.style import sampled, settings
from boundary_bench.report.limits import left_out, limits, power
from boundary_bench.report.page import panels
from boundary_bench.report.page.answer import answers
from boundary_bench.report.pivots import Pivot
from boundary_bench.report.tables import Tables, record
from boundary_bench.statistics.intervals import METHODS

ASSETS = Path(__file__).parent / "assets"
#: A sign for every verdict, for those who do not see its colour; in the order of the ledger.
SIGNS = {
    ClaimVerdict.SUPPORTED: "\N{CHECK MARK}",
    ClaimVerdict.CONTRADICTED: "\N{MULTIPLICATION X}",
    ClaimVerdict.UNDECIDED: "?",
    ClaimVerdict.NOT_TESTABLE: "\N{EN DASH}",
}
#: What the page runs, in this order.
SCRIPTS = (
    "vendor/d3-7.9.2.min.js",
    "vendor/plot-0.6.17.min.js",
    "dom.js",
    "state.js",
    "drawing.js",
    "panels-map.js",
    "panels-curves.js",
    "panels-training.js",
    "panels-coverage.js",
    "samples.js",
    "page.js",
)
#: What would end a script element, or a line of a script, early.
UNSAFE = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Panel:
    """A place that a script draws into: its id, its heading, and how to read it."""

    id: str
    heading: str
    reading: str


#: In the order of the page; the boundary map stands beside the ledger.
PANELS = (
    Panel(
        "pass_at_k",
        "pass@k curves",
        "Problems solved within k attempts. Small k is what a user sees, large k is what could be found by search: "
        "where a checkpoint's curve crosses the base's, some problems are solved more often than before, and others "
        "more rarely or not at all.",
    ),
    Panel(
        "differences",
        "Difference from the base",
        "The same problems before and after: above zero the boundary has expanded at that k, below it has shrunk. The "
        "band is the last checkpoint's; the grey zone is the margin, the diamond the crossover with its interval.",
    ),
    Panel(
        "guessing",
        "Against guessing",
        "pass@k less what uniformly random valid responses reach. Below zero a policy solves fewer problems than "
        "guessing, and what differs there is how many different responses are drawn: no evidence of skill.",
    ),
    Panel(
        "dynamics",
        "Dynamics of training",
        "Reward, entropy and length of the rollouts at every step; entropies and greedy accuracy of the evaluated "
        "checkpoints. Thick lines are means over the seeds, thin ones the seeds.",
    ),
    Panel(
        "coverage",
        "Coverage over training",
        "How many problems have a correct sample: of both, newly, no longer, of none. Beneath, both policies with half "
        "of their samples: the grey band is what two halves of the base differ by on average, by luck alone.",
    ),
    Panel(
        "verdicts",
        "Verdicts and truncation",
        "What the grader said of every sample. A change of pass@k that comes from responses cut off or not readable is "
        "one of form. Hard problems are sampled longer, so the correct share is not pass@1.",
    ),
)


def write(
    plan: Plan,
    tables: Tables,
    pivots: dict[str, list[Pivot]],
    ledger: Ledger,
    samples: dict[str, Any],
) -> None:
    """Write ``report.html``; everything that comes from a name or a file is escaped.

    ``samples`` is what ``samples.write`` returned.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["small"] = small
    scripts = [asset(name) for name in SCRIPTS]
    source = record(plan, tables)
    blocks = {**panels.blocks(plan, tables), "data-samples": samples}
    text = environment.get_template("report.html.j2").render(
        study=plan.study,
        version=__version__,
        policy=policy(scripts),
        style=Markup(asset("page.css") + asset("samples.css")),
        scripts=[Markup(script) for script in scripts],
        blocks={name: Markup(embed(data)) for name, data in blocks.items()},
        panels=PANELS,
        answers=answers(plan, tables.boundaries),
        ledger=ledger,
        signs=SIGNS,
        limits=[*left_out(tables), *limits(plan)],
        power=power(plan, tables),
        made_with=settings(plan),
        level=f"{100 * plan.study.analysis.level:g}",
        pivots=pivots,
        sampled=sampled(plan),
        intervals=f"{100 * plan.study.analysis.level:g} % intervals over {METHODS[plan.study.analysis.interval]}",
        settings=yaml.safe_dump(source["study"], sort_keys=False, allow_unicode=True),
        record=source,
    )
    write_text(plan.root / "report.html", text)


def asset(name: str) -> str:
    """The text of a file that is part of every page."""
    return (ASSETS / name).read_text(encoding="utf-8")


def policy(scripts: Iterable[str]) -> str:
    """The content security policy of a page that runs exactly these scripts and asks for nothing."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src {allowed}"
    )


def embed(data: Any) -> str:
    r"""Data as JSON that cannot end the element it stands in.

    >>> embed({"name": "</script>"})
    '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(str.maketrans(UNSAFE))
