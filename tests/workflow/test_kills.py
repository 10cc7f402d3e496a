"""Nothing that was sampled is lost: processes killed at any moment, full disks."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from campaigns import Store

from boundary_bench.core.errors import StoreError
from boundary_bench.sampling.engine import Engine
from boundary_bench.statistics.design import Design

DESIGN = Design((64, 512), 8)
BLOCK = 4


def child(work: Callable[[], object]) -> tuple[int, int]:
    """Do something in a process of its own; its id, and a pipe that ends when it does."""
    ends, held = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.close(held)
    return process, ends


def killed(work: Callable[[], object], seconds: float) -> bool:
    """Whether a process had to be killed, that much later."""
    process, ends = child(work)
    ready, _, _ = select.select([ends], [], [], seconds)
    if not ready:
        os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    os.close(ends)
    return not ready


def test_twenty_kills_at_random_moments_leave_the_files_of_an_undisturbed_campaign(store: Store, other: Store) -> None:
    other.run(DESIGN, block=BLOCK)
    rng, kills, begun = random.Random(0), 0, []
    while kills < 20 or begun[-1] <= 10:
        kills += killed(lambda: store.run(DESIGN, block=BLOCK), rng.uniform(0.02, 0.25))
        begun.append(len(list(store.folder.glob("block-*"))))
        assert begun[-1] < len(other.files()), "the campaign must not end before it was killed twenty times"
    assert begun == sorted(begun), "what is stored stays"
    store.run(DESIGN, block=BLOCK)
    assert store.files() == other.files(), "byte by byte"


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_the_rename_of_a_block_costs_at_most_that_block(store: Store, other: Store, after: bool) -> None:
    other.run()

    def dying() -> None:
        rename = os.replace

        def replace(source: Path, target: Path) -> None:
            last = target.name == "block-000008-000016.parquet"
            if last and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(source, target)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = replace  # type: ignore[assignment]
        store.run()

    assert not killed(dying, 60)
    assert (store.folder / "block-000008-000016.parquet").exists() == after
    assert len(list(store.folder.glob(".*.tmp"))) == (not after)
    store.run()
    assert store.files() == other.files()


def mount(folder: Path, *options: str) -> None:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "size=64k")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_costs_the_block_in_flight_and_nothing_else(
    engine: Engine, store: Store, small_disk: Path
) -> None:
    store.run(DESIGN, block=32)
    full = Store(engine, small_disk / "store")
    with pytest.raises(StoreError, match=r"cannot write .*block-\d{6}-\d{6}\.parquet: .*No space left.* disk full\?"):
        full.run(DESIGN, block=32)
    kept = full.files()
    assert len(kept) > 2 and kept.items() <= store.files().items() and not list(full.folder.glob(".*.tmp"))
    mount(small_disk, "remount", "size=64m")
    full.run(DESIGN, block=32)
    assert full.files() == store.files()
