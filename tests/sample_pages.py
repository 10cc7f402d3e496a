"""A page that holds the sample browser and nothing else, with the variables and the policy of the report's page."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from boundary_bench import report

FOLDER = Path(report.__file__).parent
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
<script type="application/json" id="samples-data">{{ data }}</script>
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
