"""The files with claims and published numbers of the literature."""

from __future__ import annotations

from pathlib import Path

#: Claims of papers, and published numbers: a report depends on them as on its study.
LITERATURE = {name: Path(__file__).with_name(f"{name}.yaml") for name in ("claims", "published")}
