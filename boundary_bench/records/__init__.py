"""Rows of files in several formats, and places in a row. This room does not know what a row means."""

from __future__ import annotations

from boundary_bench.records.base import Record, joined
from boundary_bench.records.reading import SUFFIXES, read

__all__ = ["SUFFIXES", "Record", "joined", "read"]
