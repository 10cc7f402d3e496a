"""The page: one self-contained HTML file that loads nothing, whatever text its names contain."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from boundary_bench import __version__
from boundary_bench.claims.verdicts import ClaimVerdict, Ledger
from boundary_bench.core.files import write_text
from boundary_bench.core.text import small
from boundary_bench.plan import Plan
from boundary_bench.report import drawing
from boundary_bench.report.figures.style import intervals, over_seeds, settings
from boundary_bench.report.limits import from_files, left_out, limits, other_prompts
from boundary_bench.report.page import panels
from boundary_bench.report.page.answer import answers
from boundary_bench.report.page.power import power
from boundary_bench.report.tables import Tables, record
from boundary_bench.tables.formats import Pivot

ASSETS = Path(__file__).parent / "assets"
#: A sign for every verdict, for readers who do not see its colour; in the order of the ledger.
SIGNS = {
    ClaimVerdict.SUPPORTED: "\N{CHECK MARK}",
    ClaimVerdict.CONTRADICTED: "\N{MULTIPLICATION X}",
    ClaimVerdict.UNDECIDED: "?",
    ClaimVerdict.NOT_TESTABLE: "\N{EN DASH}",
}
#: Characters that would end a script element, or a line of a script, early.
UNSAFE = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def write(
    plan: Plan,
    tables: Tables,
    pivots: dict[str, list[Pivot]],
    ledger: Ledger,
    samples: dict[str, Any],
) -> None:
    """Write ``report.html``, with everything from names and files escaped; ``samples`` is from ``samples.write``."""
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
    texts, source = scripts(), record(plan, tables)
    blocks = {"study": panels.study(plan), "panels": panels.data(plan, tables), "samples": samples}
    text = environment.get_template("report.html.j2").render(
        study=plan.study,
        version=__version__,
        seeds=over_seeds(plan),
        policy=policy(texts),
        style=Markup(asset("page.css") + asset("samples.css")),
        scripts=[Markup(script) for script in texts],
        blocks={f"data-{name}": Markup(embed(data)) for name, data in blocks.items()},
        panels=panels.PANELS,
        answers=answers(plan, tables.boundaries),
        ledger=ledger,
        signs=SIGNS,
        limits=[*left_out(tables), *other_prompts(tables), *from_files(plan, tables), *limits(plan)],
        power=power(plan, tables),
        made_with=settings(plan),
        level=f"{100 * plan.study.analysis.level:g}",
        pivots=pivots,
        sampled=drawing.designs(plan),
        intervals=intervals(plan),
        settings=yaml.safe_dump(source["study"], sort_keys=False, allow_unicode=True),
        record=source,
    )
    write_text(plan.root / "report.html", text)


def scripts() -> list[str]:
    """The scripts of the page in order: libraries and helpers, the panels, the sample browser, the page."""
    drawn = sorted(file.name for file in ASSETS.glob("panels-*.js"))
    vendored = ("vendor/d3-7.9.2.min.js", "vendor/plot-0.6.17.min.js")
    return [asset(name) for name in (*vendored, "dom.js", "state.js", "drawing.js", *drawn, "samples.js", "page.js")]


def asset(name: str) -> str:
    """The text of an asset of the page."""
    return (ASSETS / name).read_text(encoding="utf-8")


def policy(scripts: Iterable[str]) -> str:
    """The content security policy of a page that runs exactly these scripts and loads nothing."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src {allowed}"
    )


def embed(data: Any) -> str:
    r"""Data as JSON that cannot end its script element.

    >>> embed({"name": "</script>"})
    '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(str.maketrans(UNSAFE))
