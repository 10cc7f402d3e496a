"""The status as text: jobs by stage, then running jobs, then failed and stopped ones."""

from __future__ import annotations

import time

from boundary_bench.core.text import aligned, duration, listed, number
from boundary_bench.operations.status import Ended, Running, StageStatus, Status

#: Most characters of a line from a log.
LONGEST = 1000


def text(found: Status) -> str:
    """The whole status."""
    parts = [
        _stages(found.stages),
        _listed("running", [_running(each) for each in found.running]),
        _listed("failed; the line of the log that says why", [_ended(each) for each in found.failed]),
        _listed("stopped; to do, and goes on from what is saved", [_ended(each) for each in found.stopped]),
        _listed("damaged", found.damaged),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _stages(stages: dict[str, StageStatus]) -> list[str]:
    rows = [["jobs", "all", "done", "running", "failed", "to do", "time left"]]
    columns = [[each.jobs, each.done, each.running, each.failed, each.to_do] for each in stages.values()]
    for (name, each), counts in zip(stages.items(), columns, strict=True):
        rows.append([name, *map(number, counts), duration(each.seconds_left)])
    rows.append(["all", *(number(sum(column)) for column in zip(*columns, strict=True)), ""])
    assumed = [f"{name} {each.side_by_side}" for name, each in stages.items() if each.seconds_left]
    note = f"time left if so many go on side by side: {', '.join(assumed)}"
    return [*aligned(rows), *([note] if assumed else [])]


def _listed(title: str, entries: list[str]) -> list[str]:
    return [title, *listed(entries)] if entries else []


def _running(found: Running) -> str:
    who = [f"process {found.process} on {found.host}" if found.process else "unknown process"]
    who += [f"job {found.job}"] if found.job else []
    who.append(f"since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(found.since))}")
    who.append(f"last wrote {duration(max(time.time() - found.heard, 0))} ago")
    more = " or more" if found.progress and found.progress.samples is not None else ""
    left = f", {duration(found.seconds_left)}{more} left" if found.seconds_left is not None else ""
    return f"{found.name}: {_progress(found)}{left}; {', '.join(who)}"


def _progress(found: Running) -> str:
    come = found.progress
    if come is None:
        return "-"
    samples = f", {number(come.samples)} samples" if come.samples is not None else ""
    return f"{number(come.done)} of {number(come.total)} {come.unit}{samples}"


def _ended(found: Ended) -> str:
    said = found.said if len(found.said) <= LONGEST else f"{found.said[:LONGEST]} ..."
    return f"{found.name}: {said}\n    {found.log}"
