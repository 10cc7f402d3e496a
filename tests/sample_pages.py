"""A page that holds the sample browser and nothing else, as the report's page holds it, and hostile data for it."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from boundary_bench.report import page
from boundary_bench.report.page.cases import CaseKind

FOLDER = Path(page.__file__).parent
HOST = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src {{ hashes | join(' ') }}">
<title>samples</title>
<style>
:root { color-scheme: light dark; --ink: #1d1d1f; --soft: #63636a; --page: #fcfcfa; --card: #fff; --line: #dedede;
  --accent: #2166ac; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e9e9ea; --soft: #a2a2a9; --page: #17181a; --card: #212327; --line: #3a3c41; --accent: #8ebce6; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1.25rem; background: var(--page); color: var(--ink);
  font: 16px/1.6 system-ui, sans-serif; }
.soft { color: var(--soft); }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; font-size: .8rem; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th.label, td.label { text-align: left; }
{{ style }}
</style></head>
<body>
{% include "samples.html.j2" %}
<script type="application/json" id="data-samples">{{ data }}</script>
{% for script in scripts %}<script>{{ script }}</script>
{% endfor %}
</body></html>
"""


def host_page(data: dict[str, Any], path: Path) -> Path:
    """Write a page around the data of ``samples.write``."""
    scripts = [(FOLDER / "assets" / name).read_text(encoding="utf-8") for name in ("dom.js", "samples.js")]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    page = environment.from_string(HOST).render(
        hashes=[Markup(f"'sha256-{digest}'") for digest in digests],
        style=Markup((FOLDER / "assets" / "samples.css").read_text(encoding="utf-8")),
        data=Markup(json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")),
        scripts=[Markup(script) for script in scripts],
    )
    path.write_text(page, encoding="utf-8")
    return path


# data

ATTACK = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'></style><b>bold</b>"
UNSEEN = "left\u202eright\x00null\x1b[31mred\u200bzero\u2028line\u0378\ufeff"
SPACES = "a  b\n\n\tc"
REASON = f"unequal numbers: read as {ATTACK} against 42"
LONG = ["head " * 100, 1_000_000, "tail " * 100]
KINDS = [str(kind) for kind in CaseKind]


def sample(index: int | None, verdict: str, text: Any, disputes: Any = (), answer: Any = "42") -> list[Any]:
    return [index, verdict, 100, -12.5, 30.0, answer, text, list(disputes), REASON]


def group(benchmark: str, algorithm: str, kinds_of: dict[str, list[str]], seeds: int = 1) -> dict[str, Any]:
    counts = [64, 32, 0.5, 0.38, 0.62]
    return {
        "model": "base",
        "benchmark": benchmark,
        "algorithm": algorithm,
        "step": 40,
        "seeds": list(range(seeds)),
        "policies": [f"base--{algorithm}--seed{seed}--step40" for seed in range(seeds)],
        "totals": {kind: [sum(kind in held for held in kinds_of.values()), 50] for kind in KINDS},
        "cases": [
            {
                "problem": name,
                "seeds": [
                    {"kinds": held if not seed else [], "counts": counts, "p": 1e-9, "q": 0.02, "shown": not seed}
                    for seed in range(seeds)
                ],
            }
            for name, held in kinds_of.items()
        ],
    }


def problem(prompt: Any) -> dict[str, Any]:
    texts = {"prompt": prompt, "reference": ATTACK, "stratum": "hard"}
    return {**texts, "chance": 0.01, "base": [1024, 0, 0.0, 0.0, 0.0024]}


def made_up() -> dict[str, Any]:
    """Four problems of one benchmark for two algorithms, and one of another benchmark whose samples are gone."""
    first, last = "base--grpo--seed0--step40", "base--gspo--seed0--step40"
    prompts = {"aa": ATTACK, "bb": UNSEEN, "cc": SPACES, "dd": LONG}
    return {
        "archive": "samples.zip", "level": 0.95, "rate": 0.05, "excerpt": 1000, "most": 8, "each": 3, "kinds": KINDS,
        "problems": {
            "base/sums": {"template": "simple", "chat": False, "of": {k: problem(v) for k, v in prompts.items()}},
            "base/gone": {"template": "raw", "chat": True, "of": {"ee": problem("plain")}},
        },
        "groups": [
            group("sums", "grpo", {"aa": ["gained"], "bb": ["lost", KINDS[2]], "cc": [KINDS[4]]}, seeds=2),
            group("sums", "gspo", {"aa": ["lost"], "dd": [KINDS[3]]}),
            group("gone", "grpo", {"ee": ["gained"]}),
        ],
        "samples": {
            "base/sums": {
                "aa": [sample(3, "wrong", ATTACK), sample(None, "wrong", "greedily"), sample(0, "correct", "fine")],
                "bb": [sample(0, "truncated", UNSEEN, answer=None)],
                "cc": [sample(7, "wrong", SPACES, [["math-verify 1", "correct", 12]])],
                "dd": [sample(0, "wrong", LONG)],
            },
            f"{first}/sums": {
                "aa": [sample(0, "correct", "Needle in a Haystack")],
                "bb": [sample(0, "wrong", "b")],
                "cc": [sample(1, "correct", "c")],
            },
            f"{last}/sums": {"aa": [sample(1, "unparsable", "?")], "dd": [sample(0, "correct", "d")]},
        },
        "absent": [["base--grpo--seed0--step40", "gone", 2, 3]],
        "silent": [],
    }  # fmt: skip
