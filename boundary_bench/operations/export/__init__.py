"""The export: a study's finished tables, and nothing else, in formats that others collect."""

from __future__ import annotations

import re
from pathlib import Path

from boundary_bench.core.errors import DataError
from boundary_bench.core.files import atomic, write_json, write_text
from boundary_bench.operations.export import cards, every_eval_ever
from boundary_bench.operations.export.source import read_source
from boundary_bench.plan import Plan

#: The entries of an export; a folder with any other entry is not replaced.
PARTS = ("every_eval_ever", "model_cards", "result_card.md")
FILE = re.compile(r"every_eval_ever/data(/[^/]+){3}/[0-9a-f-]{36}\.json|model_cards/[^/]+\.md|result_card\.md")


def export(plan: Plan, organization: str, folder: Path | None = None) -> Path:
    """Write records of Every Eval Ever, a model card for each checkpoint and the result card; returns their folder.

    Policies of which there are samples alone have no card.

    The same tables give the same bytes. An earlier export in the folder is replaced.

    Args:
        plan: gives the folder of ``tables/``; their study is read from ``provenance.json``.
        organization: the one that ran the evaluation and publishes the checkpoints, as named on the hub.
        folder: by default ``results/<study>/export``.

    Raises:
        DataError: a table is missing or damaged, a name is not a valid folder of the datastore, or the folder holds
            something else.
    """
    source = read_source(plan)
    records = every_eval_ever.records(source, organization)
    folder = (folder or plan.root / "export").resolve()
    _check_replaceable(folder)
    with atomic(folder) as temporary:
        for path, record in records.items():
            write_json(temporary / "every_eval_ever" / path, record)
        (temporary / "model_cards").mkdir()
        for policy in source.plan.policies:
            if policy.run and not source.plan.stored(policy):
                text = cards.model_card(source, policy, records)
                write_text(temporary / "model_cards" / f"{policy.name}.md", text)
        write_text(temporary / "result_card.md", cards.result_card(source))
    return folder


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ["a file"]
    odd = [name for name in found if name not in PARTS] or sorted(set(PARTS) - set(found)) or _others(folder)
    if found and odd:
        raise DataError(
            f"{folder} is no earlier export that could be replaced: found {', '.join(found[:5])}, expected "
            f"{', '.join(PARTS)} (differing: {odd[0]}); give a folder that is empty or not there with --to"
        )


def _others(folder: Path) -> list[str]:
    """The files in an export's folders that no export writes."""
    files = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(name for name in files if not FILE.fullmatch(name))
