"""Claims of the literature, as data, and what a study's tables say of each.

``claims.yaml`` holds the claims; ``judge`` is a pure function of them and of the tables.
"""

from __future__ import annotations

from pathlib import Path

from boundary_bench.claims.claim import Claim, load_claims
from boundary_bench.claims.verdicts import ClaimVerdict, Judged, Ledger, judge
from boundary_bench.tables.reading import Tables, read_tables

__all__ = ["Claim", "Judged", "Ledger", "Tables", "ClaimVerdict", "judge", "ledger", "load_claims", "read_tables"]


def ledger(tables: Path) -> Ledger:
    """The verdicts on all shipped claims, by the tables in a folder.

    Raises:
        DataError: a table is missing or damaged.
    """
    return judge(load_claims(), read_tables(tables))
