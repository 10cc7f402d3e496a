"""Rows of files, whatever form they have, and places in them. What a row means is not known here."""

from __future__ import annotations

from boundary_bench.records.base import Record, joined
from boundary_bench.records.reading import SUFFIXES, read

__all__ = ["SUFFIXES", "Record", "joined", "read"]
