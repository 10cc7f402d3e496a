"""The files that say what the literature says."""

from __future__ import annotations

from pathlib import Path

#: Claims of papers and their published numbers: a report depends on them as on its study.
LITERATURE = {name: Path(__file__).with_name(f"{name}.yaml") for name in ("claims", "published")}
